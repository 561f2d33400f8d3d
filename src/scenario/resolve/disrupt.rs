//! `[[disrupt]]`, and the checks about it.

mod checks;

use super::super::disrupt::{BackOff, Chosen, Disruption, DisruptionChecks, Malformation, REST, Verb, Which};
use super::super::error::At;
use super::super::model::{ClientGroup, Phases, Publish};
use super::super::schema;
use super::super::typed::{Reader, Spot};
use super::value;
use crate::base::{ByteSize, Rate, Span};

type Typed = Spot<schema::Disrupt>;

/// The disruptions in the order written, and what is asked about them.
pub(super) fn resolve(
    document: &schema::Document,
    groups: &[ClientGroup],
    publish: Option<&Publish>,
    phases: &Phases,
    r: &mut Reader,
) -> Option<(Vec<Disruption>, DisruptionChecks)> {
    let typed = document.disrupt.as_ref().map_or(&[][..], |d| &d.0[..]);
    let list: Vec<Disruption> = typed.iter().filter_map(|d| disruption(d, groups, publish, phases, r)).collect();
    if list.len() < typed.len() {
        return None;
    }
    let checks = checks::resolve(document, typed, &list, phases, publish.is_some(), r)?;
    Some((list, checks))
}

fn disruption(typed: &Typed, groups: &[ClientGroup], publish: Option<&Publish>, phases: &Phases, r: &mut Reader) -> Option<Disruption> {
    let verb = verb(typed, r)?;
    let on = chosen(typed, &verb, groups, publish, r)?;
    let every = value(&typed.every);
    // Churn begins when the steady state does, unless stated.
    let whole = Spot { value: Span::ZERO, at: typed.at.clone() };
    let at = match (&typed.value.at, &typed.every) {
        (Some(at), _) | (None, Some(at)) => at,
        (None, None) if matches!(verb, Verb::Churn { .. }) => &whole,
        (None, None) => {
            r.fail(&typed.at, "when does it strike?", "write `at = \"3s\"` of the steady state, or `every = \"5s\"`");
            return None;
        }
    };
    if let Some(spot) = typed.every.as_ref().filter(|every| every.is_zero()) {
        r.fail(&spot.at, "strikes without a pause between them", "write the time from strike to strike, such as \"5s\"");
        return None;
    }
    if at.value + verb.span() >= phases.steady {
        let ends = if verb.span().is_zero() { String::new() } else { format!(" and lasts {}", verb.span()) };
        let what = format!("it strikes after {}{ends}, but the steady state lasts {}", at.value, phases.steady);
        r.fail(&at.at, what, "strike earlier, or raise `phases.steady`");
        return None;
    }
    Some(Disruption { verb, at: at.value, every, on })
}

fn verb(typed: &Typed, r: &mut Reader) -> Option<Verb> {
    let Some(word) = &typed.verb else {
        let all = <schema::Verbs as schema::Words>::WORDS.join(", ");
        r.fail(&typed.at, "what is done?", format!("write `verb = …`, one of {all}"));
        return None;
    };
    let lasts = matches!(word.word, "offline" | "half_open" | "slow_reader" | "churn" | "server");
    if let (Some(spot), false) = (&typed.r#for, lasts) {
        r.fail(&spot.at, format!("`{}` is done at once: it lasts no time", word.word), "leave `for` out");
        return None;
    }
    let span = match &typed.r#for {
        Some(spot) if spot.is_zero() => {
            r.fail(&spot.at, format!("`{}` for no time at all", word.word), "write how long it lasts, such as \"2s\"");
            return None;
        }
        Some(spot) => spot.value,
        None if lasts => {
            r.fail(&word.at, format!("how long does `{}` last?", word.word), "write `for = \"2s\"`");
            return None;
        }
        None => Span::ZERO,
    };
    let comes_back = matches!(word.word, "offline" | "reconnect" | "churn" | "server");
    if let (Some(spot), false) = (&typed.back_off, comes_back) {
        r.fail(&spot.at, format!("after `{}` nobody comes back", word.word), "leave `back_off` out");
        return None;
    }
    let of_one = [
        ("per_second", "slow_reader", typed.per_second.as_ref().map(|s| &s.at)),
        ("rate", "churn", typed.rate.as_ref().map(|s| &s.at)),
        ("command", "server", typed.command.as_ref().map(|s| &s.at)),
        ("what", "malformed", typed.what.as_ref().map(|s| &s.at)),
    ];
    for (key, whose, at) in of_one {
        if let (Some(at), true) = (at, word.word != whose) {
            r.fail(at, format!("`{key}` goes with verb = \"{whose}\""), "leave it out");
            return None;
        }
    }
    Some(match word.word {
        "half_open" => Verb::HalfOpen { span },
        "slow_reader" => Verb::SlowReader { span, per_second: per_second(typed, &word.at, r)? },
        "reconnect" => Verb::Reconnect { back_off: back_off(typed, r)? },
        "churn" => Verb::Churn { rate: churn_rate(typed, &word.at, r)?, span, back_off: back_off(typed, r)? },
        "malformed" => {
            let named = typed.what.as_ref().map(|what| what.word);
            Verb::Malformed { what: Malformation::ALL.into_iter().find(|m| Some(m.name()) == named) }
        }
        "server" => Verb::Server { command: command(typed, &word.at, r)?, span, back_off: back_off(typed, r)? },
        "close" => Verb::Close,
        "kill" => Verb::Kill,
        _ => Verb::Offline { span, back_off: back_off(typed, r)? },
    })
}

fn per_second(typed: &Typed, at: &At, r: &mut Reader) -> Option<ByteSize> {
    match &typed.per_second {
        Some(spot) if spot.value.0 > 0 => Some(spot.value),
        Some(spot) => {
            r.fail(&spot.at, "a client that reads nothing is half-open", "write verb = \"half_open\", or at least \"1B\"");
            None
        }
        None => {
            r.fail(at, "how slowly does it read?", "write `per_second = \"1KiB\"`");
            None
        }
    }
}

fn command(typed: &Typed, at: &At, r: &mut Reader) -> Option<Vec<String>> {
    let whom = [
        typed.group.as_ref().map(|s| &s.at),
        typed.count.as_ref().map(|s| &s.at),
        typed.share.as_ref().map(|s| &s.at),
        typed.indices.as_ref().map(|s| &s.at),
    ];
    if let Some(at) = whom.into_iter().flatten().next() {
        r.fail(at, "a server that restarts takes whom it takes", "leave it out");
        return None;
    }
    match &typed.command {
        Some(list) if !list.value.is_empty() => Some(list.value.iter().map(|word| word.value.clone()).collect()),
        Some(list) => {
            r.fail(&list.at, "no command", "write a program and its arguments");
            None
        }
        None => {
            r.fail(at, "what restarts the server?", "write `command = [\"docker\", \"restart\", \"chat\"]`");
            None
        }
    }
}

fn churn_rate(typed: &Typed, at: &At, r: &mut Reader) -> Option<Rate> {
    if let Some(every) = &typed.every {
        r.fail(&every.at, "churn goes on by its `rate`", "leave `every` out");
        return None;
    }
    if typed.rate.is_none() {
        r.fail(at, "how many leave in a second?", "write `rate = \"5/s\"`");
    }
    value(&typed.rate)
}

fn back_off(typed: &Typed, r: &mut Reader) -> Option<BackOff> {
    let empty = schema::BackOffTable::default();
    let table = typed.back_off.as_ref().map_or(&empty, |b| &b.value);
    let first = value(&table.first).unwrap_or(Span::from_millis(100));
    let most = value(&table.most).unwrap_or(Span::from_secs(5)).max(if table.most.is_none() { first } else { Span::ZERO });
    if let Some(spot) = table.first.as_ref().filter(|first| first.value < Span::from_millis(1)) {
        r.fail(&spot.at, "attempts without a pause between them", "write at least \"1ms\"");
        return None;
    }
    if let Some(spot) = table.most.as_ref().filter(|_| most < first) {
        r.fail(&spot.at, format!("the longest wait ({most}) is shorter than the first ({first})"), "exchange them");
        return None;
    }
    Some(BackOff { first, most, jitter: table.jitter.as_ref().map_or(0.5, |j| j.value.0) })
}

fn chosen(typed: &Typed, verb: &Verb, groups: &[ClientGroup], publish: Option<&Publish>, r: &mut Reader) -> Option<Chosen> {
    let group = match &typed.group {
        None => None,
        Some(name) => {
            let found = (0..).zip(groups).find(|(_, g)| g.name == name.value).map(|(i, _)| i);
            if found.is_none() {
                let known: Vec<&str> = groups.iter().map(|g| g.name.as_str()).collect();
                r.fail(&name.at, format!("no group of clients is called `{}`", name.value), format!("one of: {}", known.join(", ")));
                return None;
            }
            found
        }
    };
    let all: u32 = groups.iter().map(|g| g.count).fold(0, u32::saturating_add);
    let of = group.and_then(|g: u32| groups.get(g as usize)).map_or(all, |g| g.count);
    // Publishers are spared unless they are named: a run whose publications fail to leave says less than it could.
    let spared = if group.is_none() { publish.map_or(0, |p| p.publishers) } else { 0 };
    let which = match (&typed.count, &typed.share, &typed.indices) {
        (Some(count), None, None) => Which::Count(count.value),
        (None, None, None) => match verb {
            Verb::Churn { .. } => Which::Share(1.0),
            Verb::Server { .. } => return Some(Chosen { group: None, which: Which::Share(1.0) }),
            Verb::Malformed { what: None } => Which::Count(4.min(of - spared.min(of)).max(1)),
            _ => Which::Count(1),
        },
        (None, Some(share), None) => Which::Share(share.value.0),
        (None, None, Some(indices)) => {
            let chosen = indices_of(indices, group, of, r)?;
            if let Verb::Churn { rate, span, .. } = verb {
                enough_for_churn(typed, rate.as_per_second(), *span, &chosen.which, of, r)?;
            }
            return Some(chosen);
        }
        _ => {
            r.fail(&typed.at, "clients are chosen in one way", "exactly one of: count, share, indices");
            return None;
        }
    };
    let there = of - spared.min(of);
    let at = typed.count.as_ref().map(|c| &c.at).or(typed.share.as_ref().map(|s| &s.at)).unwrap_or(&typed.at);
    let nobody = match which {
        Which::Count(n) => n == 0,
        Which::Share(share) => share <= 0.0,
        Which::Indices(_) => false,
    };
    if nobody {
        r.fail(at, "it strikes nobody", "write at least 1, or leave the whole disruption out");
        return None;
    }
    if there == 0 {
        r.fail(at, "every client publishes, and publishers are spared unless they are named", "name the clients with `indices` or `group`");
        return None;
    }
    if let Which::Count(n) = which
        && n > there
    {
        let besides = if spared > 0 { " that do not publish" } else { "" };
        r.fail(at, format!("{n} clients, but there are only {there}{besides}"), format!("write at most {there}"));
        return None;
    }
    if let Verb::Churn { rate, span, .. } = verb {
        enough_for_churn(typed, rate.as_per_second(), *span, &which, there, r)?;
    }
    Some(Chosen { group, which })
}

/// Clients that come back need a moment before they leave again: with too few of them the churn would be less than was asked for.
fn enough_for_churn(typed: &Typed, rate: f64, away: Span, which: &Which, there: u32, r: &mut Reader) -> Option<()> {
    let set = match which {
        Which::Count(n) => f64::from(*n),
        Which::Share(share) => (f64::from(there) * share).round().max(1.0),
        Which::Indices(list) => f64::from(u32::try_from(list.len()).unwrap_or(u32::MAX)),
    };
    let needed = (rate * (away + REST).as_secs_f64()).ceil();
    if set < needed {
        let at = typed.rate.as_ref().map_or(&typed.at, |rate| &rate.at);
        let what = format!("at this rate {needed} clients are on their way at a time ({REST} to settle included), but there are {set}");
        r.fail(at, what, "let fewer leave in a second, stay away for less, or take more clients");
        return None;
    }
    Some(())
}

fn indices_of(typed: &Spot<Vec<Spot<u32>>>, group: Option<u32>, of: u32, r: &mut Reader) -> Option<Chosen> {
    let mut indices: Vec<u32> = Vec::new();
    for spot in &typed.value {
        if spot.value >= of {
            r.fail(&spot.at, format!("there is no client {}", spot.value), format!("clients are numbered from 0 to {}", of - 1));
            return None;
        }
        if indices.contains(&spot.value) {
            r.fail(&spot.at, format!("client {} is named twice", spot.value), "leave one out");
            return None;
        }
        indices.push(spot.value);
    }
    if indices.is_empty() {
        r.fail(&typed.at, "it strikes nobody", "name at least one client");
        return None;
    }
    indices.sort_unstable();
    Some(Chosen { group, which: Which::Indices(indices) })
}
