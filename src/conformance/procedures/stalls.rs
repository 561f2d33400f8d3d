//! Subscribers that do not read: others must not wait for them, and what is kept for them must have an end.

use std::time::Duration;

use futures::future::join_all;
use tokio::time::Instant;

use super::broadcast::{crowd, told};
use super::relays::{pump, settled};
use super::{Asked, Growth, Put, describe, fail, pass};
use crate::conformance::verdict::Verdict;
use crate::conformance::wire::assemble::Incoming;
use crate::conformance::wire::frame::Frame;
use crate::conformance::wire::link::{Delivery, Heard, Link};

/// Octets of one broadcast of B.5.
const PIECE: usize = 256 << 10;
/// Broadcasts while everybody reads.
const BEFORE: usize = 16;
/// Broadcasts while one does not: 64 MiB.
const COUNT: usize = 256;

/// B.5: one of 50 subscribers stops reading while 64 MiB are broadcast. The others' delays are compared with what they were
/// before; the one that stalled is read at the end, which shows what was kept for it.
pub(super) async fn stalled(asked: &Asked<'_>) -> Put {
    let growth = Growth::watch(asked.bench);
    let mut subscribers = Vec::new();
    for _ in 0..50 {
        subscribers.push(asked.open().await?);
    }
    let mut a = asked.open().await?;
    for link in subscribers.iter_mut().chain([&mut a]) {
        settled(asked, link, 2.0).await;
    }
    let mut wave = Wave { until: asked.bench.until(60.0), payload: vec![0x2a; PIECE], n: 0 };
    let before = match wave.send(&mut a, &mut subscribers, BEFORE).await {
        Ok(delays) => p99(delays),
        Err(why) => return Ok((fail(format!("while everybody reads, {why}")), Vec::new())),
    };
    let mut deaf = subscribers.remove(0);
    deaf.deaf = true;
    let after = match wave.send(&mut a, &mut subscribers, COUNT).await {
        Ok(delays) => p99(delays),
        Err(why) => return Ok((fail(format!("beside one that does not read, {why}")), Vec::new())),
    };
    let verdict = match kept(&mut deaf, asked.bench.until(10.0)).await {
        Ok(kept) if after <= before * 3 + asked.bench.span(0.25) => pass(kept),
        Ok(kept) => fail(kept),
        Err(why) => fail(why),
    };
    let delays = format!("p99 to 49 readers {} ms, {} ms while all read; {}", after.as_millis(), before.as_millis(), verdict.actual);
    Ok((growth.judge(256 << 20, Verdict { actual: delays, ..verdict }), deaf.record.render()))
}

/// Numbered broadcasts.
struct Wave {
    until: Instant,
    payload: Vec<u8>,
    n: usize,
}

impl Wave {
    /// So many broadcasts, one after another; how long each took to each reader.
    async fn send(&mut self, a: &mut Link, readers: &mut [Link], count: usize) -> Result<Vec<Duration>, String> {
        let mut delays = Vec::with_capacity(count * readers.len());
        for _ in 0..count {
            self.payload[..8].copy_from_slice(&(self.n as u64).to_be_bytes());
            self.n += 1;
            let (began, until, wanted) = (Instant::now(), self.until, self.payload.as_slice());
            a.frame(&Frame::new(0x82, wanted), Delivery::Alone);
            let reading = join_all(readers.iter_mut().map(|link| async move {
                match link.hear(until).await {
                    Heard::Said(Incoming::Message { payload, .. }) if payload == wanted => Ok(began.elapsed()),
                    other => Err(describe(&other)),
                }
            }));
            let ((), results) = tokio::join!(pump(a, until), reading);
            for result in results {
                delays.push(result.map_err(|why| format!("instead of message {} a subscriber got {why}", self.n))?);
            }
        }
        Ok(delays)
    }
}

fn p99(mut delays: Vec<Duration>) -> Duration {
    delays.sort_unstable();
    delays.get((delays.len() * 99 / 100).min(delays.len().saturating_sub(1))).copied().unwrap_or_default()
}

/// What a subscriber that did not read finds when it does.
///
/// # Errors
/// When everything was kept for it: that has no bound.
async fn kept(deaf: &mut Link, until: Instant) -> Result<String, String> {
    deaf.deaf = false;
    let mut got = 0;
    loop {
        // Two quiet seconds are the end of what was kept.
        match deaf.hear(until.min(Instant::now() + Duration::from_secs(2))).await {
            Heard::Said(Incoming::Message { .. }) if got + 1 == COUNT => {
                return Err(format!("all {} MiB were kept for the one that did not read", (COUNT * PIECE) >> 20));
            }
            Heard::Said(Incoming::Message { .. }) => got += 1,
            end => return Ok(format!("the one that did not read found {got} of {COUNT} messages, then {}", describe(&end))),
        }
    }
}

/// B.16: a subscriber that does not read holds up no pong of the publisher.
pub(super) async fn slow(asked: &Asked<'_>) -> Put {
    let [mut a, mut b] = crowd::<2>(asked).await?;
    b.deaf = true;
    let payload = vec![0x2a_u8; 1 << 20];
    let mut slowest = Duration::ZERO;
    for n in 0..32 {
        a.frame(&Frame::new(0x82, &payload), Delivery::Alone);
        pump(&mut a, asked.bench.until(5.0)).await;
        let began = Instant::now();
        if !settled(asked, &mut a, 3.0).await {
            return Ok(told(Err(format!("no pong within 3 s after {} MiB", n + 1)), &a));
        }
        slowest = slowest.max(began.elapsed());
    }
    let told_ms = format!("32 MiB published; the slowest pong took {} ms", slowest.as_millis());
    let result = if slowest > asked.bench.span(1.0) { Err(told_ms) } else { Ok(told_ms) };
    Ok(told(result, &a))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_ninety_ninth_of_a_hundred() {
        assert_eq!(p99((1..=100).map(Duration::from_millis).collect()), Duration::from_millis(100));
        assert_eq!(p99((1..=200).map(Duration::from_millis).collect()), Duration::from_millis(199));
        assert_eq!(p99(Vec::new()), Duration::ZERO);
    }
}
