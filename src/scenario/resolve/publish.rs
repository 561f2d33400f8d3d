//! `[publish]`.

use super::super::error::At;
use super::super::model::{Audience, Encoding, Pace, PayloadSize, Phases, Publish, Step};
use super::super::schema;
use super::super::typed::{Reader, Spot};
use super::value;
use crate::base::{ByteSize, STAMP_LEN, Span};

/// The largest payload: 64 MiB. Beyond it a plan measures memory, not delivery.
const LARGEST: u64 = 64 << 20;

pub(super) fn resolve(typed: &Spot<schema::Publish>, clients: u32, r: &mut Reader) -> Option<Publish> {
    let publishers = publishers(typed, clients, r);
    let pace = match &typed.pace {
        Some(spot) => pace(&spot.value.0, &spot.at, r),
        None => {
            r.fail(&typed.at, "when are publications sent?", "write `pace = { rate = \"50/s\" }`");
            None
        }
    };
    let size = size(typed, r);
    let audience = typed.audience.as_ref().map_or("all", |a| a.word);
    if let (Some(spot), "others", 1) = (&typed.audience, audience, clients) {
        r.fail(
            &spot.at,
            "with one client there are no others: nothing would be owed to anybody",
            "raise `clients.count`, or write audience = \"all\"",
        );
        return None;
    }
    if let (Some(Pace::Closed { .. }), "others", Some(spot)) = (&pace, audience, &typed.pace) {
        r.fail(
            &spot.at,
            "a closed pace waits for the publisher's own copy, and audience = \"others\" says it gets none",
            "use an open pace such as { rate = \"50/s\" }",
        );
        return None;
    }
    Some(Publish {
        publishers: publishers?,
        pace: pace?,
        size: size?,
        encoding: if typed.encoding.as_ref().is_some_and(|e| e.word == "binary") { Encoding::Binary } else { Encoding::Text },
        audience: if audience == "others" { Audience::Others } else { Audience::All },
    })
}

fn publishers(typed: &Spot<schema::Publish>, clients: u32, r: &mut Reader) -> Option<u32> {
    let Some(spot) = &typed.publishers else { return Some(1) };
    if spot.value == 0 {
        r.fail(&spot.at, "zero publishers: nobody would publish", "write at least 1, or leave out [publish] to only listen");
        return None;
    }
    if spot.value > clients {
        let what = format!("{} publishers, but only {clients} clients: publishers are the first of the clients", spot.value);
        r.fail(&spot.at, what, format!("write at most {clients}, or raise `clients.count`"));
        return None;
    }
    Some(spot.value)
}

fn pace(typed: &schema::PaceTable, at: &At, r: &mut Reader) -> Option<Pace> {
    let closed = typed.closed.as_ref().is_some_and(|c| c.value);
    let kinds = [
        ("rate", typed.rate.is_some() && !closed),
        ("ramp", typed.ramp.is_some()),
        ("steps", typed.steps.is_some()),
        ("burst", typed.burst.is_some()),
        ("poisson", typed.poisson.is_some()),
        ("closed", closed),
    ];
    let named: Vec<_> = kinds.iter().filter(|(_, given)| *given).map(|(kind, _)| *kind).collect();
    let [kind] = named[..] else {
        let what =
            if named.is_empty() { "a pace of no kind".into() } else { format!("a pace is of one kind, not {}", named.join(" and ")) };
        r.fail(at, what, "exactly one of: rate, ramp, steps, burst with every, poisson, closed");
        return None;
    };
    if let (Some(every), true) = (&typed.every, kind != "burst") {
        r.fail(&every.at, format!("`every` goes with `burst`, not with `{kind}`"), "leave it out");
        return None;
    }
    match kind {
        "ramp" => ramp(typed.ramp.as_ref()?, r),
        "steps" => steps(typed.steps.as_ref()?, r),
        "burst" => burst(typed, at, r),
        "poisson" => Some(Pace::Poisson { rate: typed.poisson.as_ref()?.value }),
        "closed" => Some(Pace::Closed { rate: value(&typed.rate) }),
        _ => Some(Pace::Constant { rate: typed.rate.as_ref()?.value }),
    }
}

fn ramp(typed: &Spot<schema::Ramp>, r: &mut Reader) -> Option<Pace> {
    match (&typed.from, &typed.to) {
        (Some(from), Some(to)) => Some(Pace::Ramp { from: from.value, to: to.value }),
        _ => {
            r.fail(&typed.at, "a ramp has two ends", "write `ramp = { from = \"10/s\", to = \"100/s\" }`");
            None
        }
    }
}

fn steps(typed: &Spot<Vec<Spot<schema::PaceStep>>>, r: &mut Reader) -> Option<Pace> {
    if typed.value.is_empty() {
        r.fail(&typed.at, "no step", "write `steps = [{ rate = \"10/s\", for = \"5s\" }, …]`");
        return None;
    }
    let mut steps = Vec::new();
    for step in &typed.value {
        match (&step.rate, &step.r#for) {
            (Some(rate), Some(span)) if !span.is_zero() => steps.push(Step { rate: rate.value, span: span.value }),
            (Some(_), Some(span)) => r.fail(&span.at, "a step of no length", "write how long it lasts, such as \"5s\""),
            _ => r.fail(&step.at, "a step has a rate and a length", "write `{ rate = \"10/s\", for = \"5s\" }`"),
        }
    }
    (steps.len() == typed.value.len()).then_some(Pace::Steps { steps })
}

fn burst(typed: &schema::PaceTable, at: &At, r: &mut Reader) -> Option<Pace> {
    let size = typed.burst.as_ref()?;
    if size.value == 0 {
        r.fail(&size.at, "a burst of nothing", "write how many are sent at once: at least 1");
        return None;
    }
    match &typed.every {
        Some(every) if every.is_zero() => {
            r.fail(&every.at, "bursts without a pause between them", "write the time from burst to burst, such as \"1s\"");
            None
        }
        Some(every) => Some(Pace::Burst { size: size.value, every: every.value }),
        None => {
            r.fail(at, "how often does a burst come?", format!("write `{{ burst = {}, every = \"1s\" }}`", size.value));
            None
        }
    }
}

fn size(typed: &Spot<schema::Publish>, r: &mut Reader) -> Option<PayloadSize> {
    let Some(spot) = &typed.size else { return Some(PayloadSize { min: ByteSize(128), max: ByteSize(128) }) };
    let (min, min_at, max, max_at) = match &spot.value {
        schema::Size::One(size) => (*size, &spot.at, *size, &spot.at),
        schema::Size::Range(table) => match (&table.min, &table.max) {
            (Some(min), Some(max)) => (min.value, &min.at, max.value, &max.at),
            _ => {
                r.fail(&spot.at, "a range of sizes has two ends", "write `size = { min = \"64B\", max = \"1KiB\" }`");
                return None;
            }
        },
    };
    if min.0 < STAMP_LEN as u64 {
        let what = format!("a payload of {} bytes cannot hold the stamp of {STAMP_LEN} bytes by which a copy is known", min.0);
        r.fail(min_at, what, format!("write at least \"{STAMP_LEN}B\""));
        return None;
    }
    if max < min {
        r.fail(max_at, format!("the largest size ({max}) is less than the smallest ({min})"), "exchange them");
        return None;
    }
    if max.0 > LARGEST {
        r.fail(max_at, format!("a payload of {max} is beyond the limit"), format!("write at most \"{}\"", ByteSize(LARGEST)));
        return None;
    }
    Some(PayloadSize { min, max })
}

/// What runs, but hardly as meant.
pub(super) fn doubts(document: &schema::Document, phases: &Phases, r: &mut Reader) {
    let Some(pace) = document.publish.as_ref().and_then(|p| p.pace.as_ref()) else { return };
    let publishing = phases.warm_up + phases.steady;
    if let Some(steps) = &pace.0.steps {
        let total = steps.value.iter().filter_map(|s| value(&s.r#for)).fold(Span::ZERO, |a, b| a + b);
        if total > publishing {
            let what = format!("the steps take {total}, but publishing lasts {publishing}: the end is cut");
            r.warn(&steps.at, what, "raise `phases.steady`, or shorten the steps");
        }
    }
    if let Some(every) = &pace.0.every
        && every.value > phases.steady
    {
        let what = format!("a burst every {}, but the steady state lasts {}: it may see none", every.value, phases.steady);
        r.warn(&every.at, what, "raise `phases.steady`, or burst more often");
    }
}
