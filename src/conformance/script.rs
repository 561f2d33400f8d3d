//! The verifiers of our own scripts: pure functions from an observation to a verdict.

use super::catalogue::model::{Expected, Script, Side, Step, Timer, Verifier};
use super::exchange::{Complete, Plan};
use super::observation::{Observation, same};
use super::verdict::{Outcome, Verdict};

/// How a script is played: what completes it and what its timer does.
#[must_use]
pub fn plan(script: &Script, scale: f64) -> Plan<'_> {
    let (complete, auto_close) = match &script.verifier {
        Verifier::Echo(events) => (Complete::Events(events), Some(1000)),
        _ => (Complete::Never, None),
    };
    let steps: &[Step] = &script.steps;
    Plan { steps, complete, auto_close, timer: Timer::Fail, seconds: script.seconds, scale }
}

/// The verdict on a script.
#[must_use]
pub fn judge(verifier: &Verifier, seen: &Observation, apart: bool, limits: bool) -> Verdict {
    let (outcome, why) = match verifier {
        Verifier::Echo(events) => echo(events, seen, apart),
        Verifier::Fails { codes, lax, drop, lenient, before } => {
            let (outcome, why) = fails(codes, lax, *drop, before, seen, apart);
            if *lenient && outcome == Outcome::Fail && !died(seen) {
                (Outcome::NonStrict, format!("{why} (widespread)"))
            } else {
                (outcome, why)
            }
        }
        Verifier::Answers { codes, empty, drop } => answers(codes, *empty, *drop, seen),
    };
    let policy = seen.their_close.as_ref().is_some_and(|c| matches!(c.code, Some(1008 | 1009)));
    let outcome = if limits && outcome == Outcome::Fail && policy { Outcome::Limit } else { outcome };
    let actual = if why.is_empty() { seen.describe() } else { format!("{why}: {}", seen.describe()) };
    Verdict::plain(outcome, actual)
}

fn died(seen: &Observation) -> bool {
    seen.ended.is_some() && seen.their_close.is_none()
}

fn echo(events: &[Expected], seen: &Observation, apart: bool) -> (Outcome, String) {
    if let Some(fault) = &seen.fault {
        return (Outcome::Fail, format!("it broke a rule ({})", fault.why));
    }
    if !same(&seen.events, events, apart) {
        return (Outcome::Fail, "not what was expected".to_owned());
    }
    if seen.initiator() != Side::Us {
        return (Outcome::Fail, "it closed first".to_owned());
    }
    if !seen.clean {
        return (Outcome::NonStrict, "the echo is right, the close is not clean".to_owned());
    }
    (Outcome::Pass, String::new())
}

fn fails(codes: &[u16], lax: &[u16], drop: bool, before: &[Expected], seen: &Observation, apart: bool) -> (Outcome, String) {
    if !seen.events.is_empty() && !same(&seen.events, before, apart) {
        return (Outcome::Fail, "it answered what it must refuse".to_owned());
    }
    if seen.initiator() == Side::Us {
        return (Outcome::Fail, "it carried on".to_owned());
    }
    match &seen.their_close {
        None if drop => (Outcome::Pass, String::new()),
        // RFC 6455 7.1.7: an endpoint SHOULD send a Close with a fitting code when it fails the connection.
        None => (Outcome::NonStrict, "dropped without a Close".to_owned()),
        Some(close) => match close.code {
            Some(code) if codes.contains(&code) && seen.dropped_by_us => (Outcome::NonStrict, "closed, but TCP was left open".to_owned()),
            Some(code) if codes.contains(&code) => (Outcome::Pass, String::new()),
            Some(code) if lax.contains(&code) => (Outcome::NonStrict, format!("closed with {code}")),
            None if drop => (Outcome::Pass, String::new()),
            None => (Outcome::NonStrict, "closed without a code".to_owned()),
            Some(code) => (Outcome::Fail, format!("closed with {code}")),
        },
    }
}

fn answers(codes: &[u16], empty: bool, drop: bool, seen: &Observation) -> (Outcome, String) {
    if !seen.events.is_empty() {
        return (Outcome::Fail, "it said something else after our Close".to_owned());
    }
    match &seen.their_close {
        None if drop && seen.ended.is_some() => return (Outcome::Pass, String::new()),
        None => return (Outcome::Fail, "no Close in answer".to_owned()),
        Some(close) => match close.code {
            None if empty || drop => {}
            Some(code) if codes.contains(&code) => {}
            other => return (Outcome::Fail, format!("answered with {}", other.map_or("no code".to_owned(), |c| c.to_string()))),
        },
    }
    if seen.after_close > 0 {
        return (Outcome::Fail, format!("{} frames behind its Close", seen.after_close));
    }
    if seen.dropped_by_us {
        return (Outcome::NonStrict, "answered, but TCP was left open".to_owned());
    }
    (Outcome::Pass, String::new())
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::super::observation::{CloseSeen, Event};
    use super::*;

    fn closed(code: Option<u16>, ours_first: bool) -> Observation {
        Observation {
            closed_by_us: ours_first,
            their_close: Some(CloseSeen { code, reason: Vec::new(), at: Duration::ZERO }),
            clean: true,
            ended: Some((String::new(), Duration::ZERO)),
            ..Observation::default()
        }
    }

    #[test]
    fn failing_the_connection_is_judged_by_who_and_how() {
        let fails = |drop, lenient| Verifier::Fails { codes: vec![1002], lax: vec![1000], drop, lenient, before: Vec::new() };
        let dropped = Observation { ended: Some((String::new(), Duration::ZERO)), ..Observation::default() };
        let spoke = Observation { events: vec![Event::Pong(Vec::new())], ..closed(Some(1002), false) };
        for (verifier, seen, outcome) in [
            (fails(false, false), closed(Some(1002), false), Outcome::Pass),
            (fails(false, false), closed(Some(1000), false), Outcome::NonStrict),
            (fails(false, false), closed(Some(1011), false), Outcome::Fail),
            (fails(false, false), closed(Some(1002), true), Outcome::Fail),
            (fails(false, true), closed(Some(1001), true), Outcome::NonStrict),
            (fails(true, false), dropped.clone(), Outcome::Pass),
            (fails(false, false), dropped, Outcome::NonStrict),
            (fails(false, false), spoke, Outcome::Fail),
        ] {
            assert_eq!(judge(&verifier, &seen, false, false).outcome, outcome, "{seen:?}");
        }
        assert_eq!(judge(&fails(false, false), &closed(Some(1009), false), false, true).outcome, Outcome::Limit);
    }

    #[test]
    fn answering_a_close_is_one_close_and_nothing_more() {
        let verifier = Verifier::Answers { codes: vec![1000], empty: true, drop: false };
        let late = Observation { after_close: 1, ..closed(Some(1000), true) };
        let open = Observation { dropped_by_us: true, ..closed(Some(1000), true) };
        for (seen, outcome) in [
            (closed(Some(1000), true), Outcome::Pass),
            (closed(None, true), Outcome::Pass),
            (closed(Some(1005), true), Outcome::Fail),
            (late, Outcome::Fail),
            (open, Outcome::NonStrict),
            (Observation::default(), Outcome::Fail),
        ] {
            assert_eq!(judge(&verifier, &seen, false, false).outcome, outcome, "{seen:?}");
        }
    }
}
