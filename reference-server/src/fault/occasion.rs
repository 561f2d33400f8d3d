//! Whether a fault strikes: a pure function of seed, fault, client and occasion.
//!
//! Must never know what striking does.

use std::time::Duration;

use super::spec::{Argument, Fault, Kind};

/// The faults of a server and its seed.
#[derive(Debug, Clone, Default)]
pub(crate) struct Faults {
    seed: u64,
    faults: Vec<Fault>,
}

impl Faults {
    /// Faults under a seed.
    pub(crate) fn new(seed: u64, faults: Vec<Fault>) -> Self {
        Self { seed, faults }
    }

    /// Whether there are none: the honest server.
    pub(crate) fn is_empty(&self) -> bool {
        self.faults.is_empty()
    }

    /// The first fault of a kind that strikes a client on its `n`-th occasion (from 0) at server time `at`, with the
    /// argument it draws.
    pub(crate) fn strike(&self, kind: Kind, client: u64, n: u64, at: Duration) -> Option<Argument> {
        self.faults.iter().enumerate().filter(|(_, fault)| fault.kind == kind).find_map(|(number, fault)| {
            let draw = Draw { seed: self.seed, fault: number as u64, client, n };
            strikes(fault, client, n, at, draw).then(|| drawn(&fault.argument, draw))
        })
    }

    /// Whether a fault of a kind is for this client, now or later.
    pub(crate) fn aims(&self, kind: Kind, client: u64) -> bool {
        self.faults.iter().any(|fault| fault.kind == kind && fault.clients.contains(client))
    }

    /// Whether a fault that happens once per client, at `from` or when it opens, is ahead for this client; when.
    pub(crate) fn once(&self, kind: Kind, client: u64, opened: Duration) -> Option<(Duration, Argument)> {
        self.faults.iter().enumerate().filter(|(_, fault)| fault.kind == kind).find_map(|(number, fault)| {
            let at = fault.from.max(opened);
            let draw = Draw { seed: self.seed, fault: number as u64, client, n: 0 };
            strikes(fault, client, fault.every - 1, at, draw).then(|| (at, fault.argument.clone()))
        })
    }

    /// The end of the stall that holds at server time `at`, if one does, and the number of that stall.
    pub(crate) fn stall_end(&self, client: u64, at: Duration) -> Option<(Duration, u64)> {
        self.faults.iter().filter(|fault| fault.kind == Kind::Stall && fault.clients.contains(client)).find_map(|fault| {
            let Argument::Span(span, _) = fault.argument else { return None };
            let since = at.checked_sub(fault.from)?;
            if at >= fault.until {
                return None;
            }
            let turn = fault.period.map_or(0, |period| since.as_nanos() / period.as_nanos().max(1));
            let turn = u32::try_from(turn).ok()?;
            let begin = fault.from + fault.period.map_or(Duration::ZERO, |period| period * turn);
            (at < begin + span).then(|| (begin + span, u64::from(turn)))
        })
    }
}

/// What a random draw depends on; nothing else.
#[derive(Debug, Clone, Copy)]
struct Draw {
    seed: u64,
    fault: u64,
    client: u64,
    n: u64,
}

impl Draw {
    /// A number in [0, 1), different for every `purpose`.
    #[expect(clippy::cast_precision_loss, reason = "53 bits fit")]
    fn unit(self, purpose: u64) -> f64 {
        let mut state = 0x9E37_79B9_7F4A_7C15_u64;
        for part in [self.seed, self.fault, self.client, self.n, purpose] {
            state = mix(state ^ mix(part));
        }
        (state >> 11) as f64 / (1u64 << 53) as f64
    }
}

/// SplitMix64's finaliser.
const fn mix(mut z: u64) -> u64 {
    z = z.wrapping_add(0x9E37_79B9_7F4A_7C15);
    z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    z ^ (z >> 31)
}

fn strikes(fault: &Fault, client: u64, n: u64, at: Duration, draw: Draw) -> bool {
    fault.clients.contains(client)
        && at >= fault.from
        && at < fault.until
        && (n + 1).is_multiple_of(fault.every)
        && draw.unit(0) < fault.rate
}

/// The argument, with a span drawn from its range.
fn drawn(argument: &Argument, draw: Draw) -> Argument {
    match argument {
        Argument::Span(from, to) if from < to => {
            let span = *from + (*to - *from).mul_f64(draw.unit(1));
            Argument::Span(span, span)
        }
        fixed => fixed.clone(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn faults(seed: u64, texts: &[&str]) -> Faults {
        Faults::new(seed, texts.iter().filter_map(|text| text.parse().ok()).collect())
    }

    const NOW: Duration = Duration::from_secs(3);

    #[test]
    fn a_strike_depends_on_seed_client_and_occasion_only() {
        let hits = |seed, client| {
            let faults = faults(seed, &["drop,rate=10%"]);
            (0..10_000).filter(|n| faults.strike(Kind::Drop, client, *n, NOW).is_some()).collect::<Vec<u64>>()
        };
        assert_eq!(hits(1, 0), hits(1, 0));
        assert_ne!(hits(1, 0), hits(2, 0));
        assert_ne!(hits(1, 0), hits(1, 1));
        let count = hits(1, 0).len();
        assert!((900..1100).contains(&count), "{count} of 10000 at 10%");
    }

    #[test]
    fn windows_targets_and_every_nth_are_kept() {
        let table: &[(&str, u64, u64, u64, bool)] = &[
            ("drop", 0, 0, 3000, true),
            ("drop,rate=0", 0, 0, 3000, false),
            ("drop,clients=2", 2, 0, 3000, true),
            ("drop,clients=2", 1, 0, 3000, false),
            ("drop,from=4s", 0, 0, 3000, false),
            ("drop,from=3s", 0, 0, 3000, true),
            ("drop,until=3s", 0, 0, 3000, false),
            ("drop,every=3", 0, 0, 3000, false),
            ("drop,every=3", 0, 2, 3000, true),
            ("drop,every=3", 0, 5, 3000, true),
            ("duplicate", 0, 0, 3000, false),
        ];
        for (text, client, n, at, expected) in table {
            let struck = faults(7, &[text]).strike(Kind::Drop, *client, *n, Duration::from_millis(*at)).is_some();
            assert_eq!(struck, *expected, "{text} client {client} occasion {n} at {at} ms");
        }
    }

    #[test]
    fn a_drawn_span_lies_in_its_range_and_a_fixed_one_is_fixed() {
        let range = faults(1, &["delay=10ms..50ms"]);
        let mut seen = std::collections::BTreeSet::new();
        for n in 0..200 {
            let Some(Argument::Span(span, _)) = range.strike(Kind::Delay, 0, n, NOW) else { panic!("occasion {n}") };
            assert!((10..=50).contains(&span.as_millis()), "{span:?}");
            seen.insert(span);
        }
        assert!(seen.len() > 100);
    }

    #[test]
    fn stalls_come_back_and_end() {
        let faults = faults(1, &["stall=500ms,period=5s,from=1s,until=20s"]);
        let end = |ms| faults.stall_end(0, Duration::from_millis(ms)).map(|(end, turn)| (end.as_millis(), turn));
        for (at, expected) in
            [(999, None), (1000, Some((1500, 0))), (1499, Some((1500, 0))), (1500, None), (6200, Some((6500, 1))), (21_100, None)]
        {
            assert_eq!(end(at), expected, "at {at} ms");
        }
    }

    #[test]
    fn what_happens_once_happens_at_from_or_at_the_opening() {
        let faults = faults(1, &["close=4000,clients=1,from=2s,until=9s"]);
        let at = |client, opened| faults.once(Kind::Close, client, Duration::from_secs(opened)).map(|(at, _)| at.as_secs());
        assert_eq!((at(1, 0), at(1, 5), at(1, 9), at(0, 0)), (Some(2), Some(5), None, None));
    }
}
