//! `pong`: pings are answered, in time, once, with their payload, and to the asker only.

use super::evidence::{Draft, Evidence, witnesses};
use super::words::{count, listed, several};
use super::{Check, Finding};

pub(super) static CHECK: Check = Check {
    id: "pong",
    claim: "Every ping is answered within the limit, once, with its payload, and to the asker only.",
    needs: "At least one ping whose connection outlived the limit.",
    proves: "Application pings are matched to their answers in order, protocol pings by their payload (RFC 6455 section 5.5.3). Unsolicited protocol pongs are allowed by that section and only shown; an application answer nobody asked for is held against the server.",
    examine,
};

fn examine(check: &Check, evidence: &Evidence<'_>) -> Vec<Finding> {
    let Some(asked) = &evidence.plan.scenario.checks.pong else { return Vec::new() };
    let account = evidence.account;
    let (application, protocol) = (&account.application, &account.protocol);
    let both = |of: fn(&crate::account::Pings) -> u64| of(application) + of(protocol);
    let population = both(|p| p.judged());
    let (late, unanswered, again) = (both(|p| p.late), both(|p| p.unanswered), both(|p| p.again));
    let stray_answers = if asked.application.is_some() { application.unsolicited } else { 0 };
    let passed_on = application.passed_on;
    let violations = late + unanswered + again + stray_answers + passed_on;
    let wrong = both(|p| p.wrong_payload);
    let faults = listed([
        (unanswered, format!("{} unanswered", count(unanswered))),
        (wrong, format!("{} of them with a wrong payload instead", count(wrong))),
        (late, format!("{} late", count(late))),
        (again, format!("{} answered again", count(again))),
        (stray_answers, format!("{} unasked", several(stray_answers, "answer", "answers"))),
        (passed_on, format!("{} passed on to other clients", several(passed_on, "ping", "pings"))),
    ]);
    let on_time = format!("{} of {} answered in time", count(both(|p| p.on_time)), several(population, "ping", "pings"));
    let mut draft = Draft {
        population,
        unit: "pings",
        expected: format!("every ping answered within {}, once, to the asker only", asked.within),
        observed: if faults.is_empty() { on_time } else { format!("{on_time}, {faults}") },
        violations,
        timing: late,
        witnesses: witnesses([&application.sightings, &protocol.sightings]),
        empty: "no ping was sent by a client that then stayed for the limit",
        ..Draft::default()
    };
    draft.excuse(evidence, asked.within, |standstill| standstill.seconds.saturating_mul(2 * account.connections.opened));
    draft.note = vec![
        hint(evidence),
        (protocol.unsolicited > 0).then(|| {
            format!(
                "{} came, which RFC 6455 section 5.5.3 allows.",
                several(protocol.unsolicited, "unsolicited protocol pong", "unsolicited protocol pongs")
            )
        }),
    ];
    if violations == 0 {
        draft.witnesses.clear();
    }
    vec![draft.conclude(check, evidence)]
}

fn hint(evidence: &Evidence<'_>) -> Option<String> {
    let (application, protocol) = (&evidence.account.application, &evidence.account.protocol);
    if application.clients > 0 && application.mute == application.clients {
        let how =
            if application.passed_on > 0 { "the server broadcasts the ping like any message" } else { "no client ever got an answer" };
        return Some(format!(
            "{}: does it recognise the ping (in Node `ws` a message is a Buffer, and never equals a string)?",
            capital(how)
        ));
    }
    if protocol.clients > 0 && protocol.mute == protocol.clients {
        return Some("No client ever got a protocol pong: does the server's library answer pings by itself, or is it told not to?".into());
    }
    if protocol.wrong_payload > 0 && protocol.wrong_payload == protocol.unanswered {
        return Some("Pongs come, but with another payload than the ping's.".into());
    }
    if application.again > 0 && application.again >= application.on_time {
        return Some("Answers come to clients that did not ask: is the pong broadcast, or sent twice?".into());
    }
    None
}

pub(super) fn capital(text: &str) -> String {
    let mut chars = text.chars();
    chars.next().map_or_else(String::new, |first| first.to_uppercase().collect::<String>() + chars.as_str())
}
