//! One case played against a client: greet, play, judge, with the roles changed over.

use std::time::Duration;

use tokio::time::Instant;

use super::greeting::Greeting;
use crate::conformance::catalogue::model::{Ask, Case};
use crate::conformance::exchange::Exchange;
use crate::conformance::run::{CaseResult, autobahn_plan};
use crate::conformance::script;
use crate::conformance::verdict::{self, Outcome, Verdict};
use crate::conformance::wire::frame::Role;
use crate::conformance::wire::link::{Delivery, Link};

/// Plays a case over a connection whose request has been read.
pub(super) async fn play(mut link: Link, greeting: &Greeting, case: &Case, scale: f64) -> CaseResult {
    let began = Instant::now();
    let offer = if let Ask::Autobahn(ask) = &case.ask { ask.offer.as_deref() } else { None };
    let agreed = offer.and_then(|wanted| greeting.agree(wanted));
    let answer = greeting.accept(agreed.as_ref().map(|(_, text)| text.as_str()));
    link.raw("101 Switching Protocols", answer.as_bytes(), Delivery::Alone);
    if let Some((agreement, _)) = agreed {
        link.agree(agreement);
    }
    let mut verdict = match &case.ask {
        Ask::Autobahn(ask) => {
            let seen = Exchange::play(&mut link, None, autobahn_plan(ask, scale)).await;
            verdict::judge(ask, &seen, Role::Server, false, case.limits)
        }
        Ask::Script(ask) => {
            link.assembler.later_codes = true;
            let mut seen = Exchange::play(&mut link, None, script::plan(ask, scale)).await;
            // A server ends TCP itself: only a client's doing so is a matter of judgement here.
            seen.dropped_by_us = false;
            script::judge(&ask.verifier, &seen, false, case.limits)
        }
        Ask::Handshake(_) | Ask::Procedure { .. } => Verdict::skipped("cannot be mirrored"),
    };
    if let Some(rule) = greeting.broken_rule() {
        verdict = verdict::no_handshake(format!("the client's opening handshake: {rule}; {}", verdict.actual));
    }
    CaseResult { case: case.clone(), verdict: verdict.at_level(case.level), dialogue: link.record.render(), took: began.elapsed() }
}

/// A case the client never asked for.
pub(super) fn never_asked(case: &Case) -> CaseResult {
    let verdict = Verdict::plain(Outcome::Error, "the client never asked for this case");
    CaseResult { case: case.clone(), verdict, dialogue: Vec::new(), took: Duration::ZERO }
}
