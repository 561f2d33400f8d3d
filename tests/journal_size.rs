//! What a copy costs in a journal, in bytes: the figures the documentation states.

use wsbench::base::{ConnId, Flaws, Instant, PublisherId, RunId, Seed, Seq};
use wsbench::event::journal::{Header, JournalReader, JournalWriter, write_header};
use wsbench::event::{Copy, Event};

/// A fan-out as a shard sees it: every publication on every connection, in the server's order, some microseconds apart.
struct FanOut {
    conns: u32,
    publishers: u32,
    publications: u32,
    /// Publications a server hands to a client in one write.
    together: u32,
    /// The server walks its clients in an order of its own.
    shuffled: bool,
}

impl FanOut {
    /// Bytes per copy; asserts that all of them come back.
    fn cost(&self) -> f64 {
        let mut rng = Seed(1).rng();
        let mut order: Vec<u32> = (0..self.conns).collect();
        if self.shuffled {
            for i in (1..order.len()).rev() {
                order.swap(i, usize::try_from(rng.below(i as u64 + 1)).expect("an index"));
            }
        }
        let header = Header {
            wsbench_version: String::new(),
            scenario: String::new(),
            seed: Seed(1),
            run: RunId(1),
            shards: 1,
            facts: serde_json::Value::Null,
        };
        let mut bytes = Vec::new();
        write_header(&mut bytes, &header).expect("memory");
        let mut writer = JournalWriter::new(bytes, 0, 1);
        let (mut now, mut copies) = (0, 0_u64);
        for round in 0..self.publications / self.together {
            now = now.max(u64::from(round) * 10_000_000);
            let stamps: Vec<_> = (0..self.together)
                .map(|n| {
                    let n = round * self.together + n;
                    let planned = u64::from(n) * 10_000_000;
                    (PublisherId(n % self.publishers), Seq(n / self.publishers), planned, planned + 20_000 + rng.below(60_000))
                })
                .collect();
            for &conn in &order {
                now += 4_000 + rng.below(4_000) + if rng.below(50) == 0 { rng.below(200_000) } else { 0 };
                for &(publisher, seq, planned, sent) in &stamps {
                    copies += 1;
                    writer.event(&Event::Copy(Copy {
                        conn: ConnId(conn),
                        publisher,
                        seq,
                        planned: Instant::from_nanos(planned),
                        sent: Instant::from_nanos(sent),
                        received: Instant::from_nanos(now),
                        flaws: Flaws::NONE,
                    }));
                }
            }
        }
        let bytes = writer.finish(Instant::from_nanos(now)).expect("memory");
        let mut seen = 0;
        JournalReader::open(&*bytes).expect("a header").read(|_, _| seen += 1);
        assert_eq!(seen, copies);
        #[expect(clippy::cast_precision_loss, reason = "far below 2⁵³")]
        let cost = bytes.len() as f64 / copies as f64;
        cost
    }
}

#[test]
fn a_copy_costs_its_instant_and_little_else() {
    for (what, fan_out, most) in [
        ("one publisher, 1,000 clients", FanOut { conns: 1_000, publishers: 1, publications: 200, together: 1, shuffled: false }, 2.1),
        ("in the server's own order", FanOut { conns: 1_000, publishers: 1, publications: 200, together: 1, shuffled: true }, 2.3),
        ("10,000 clients", FanOut { conns: 10_000, publishers: 1, publications: 40, together: 1, shuffled: true }, 3.6),
        ("chat: every one of 200 speaks", FanOut { conns: 200, publishers: 200, publications: 1_000, together: 1, shuffled: true }, 2.3),
        ("bursts of 16 in one read", FanOut { conns: 1_000, publishers: 4, publications: 320, together: 16, shuffled: true }, 0.4),
    ] {
        let cost = fan_out.cost();
        assert!(cost <= most, "{what}: {cost:.2} bytes a copy, should be {most} at most");
    }
}
