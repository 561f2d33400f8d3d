//! `connect`: clients get in.

use super::evidence::{Draft, Evidence, witnesses};
use super::words::{count, listed, percent, several};
use super::{Check, Finding};

pub(super) static CHECK: Check = Check {
    id: "connect",
    claim: "The stated share of clients completes the WebSocket handshake (within the limit, where one is stated) and is greeted as expected.",
    needs: "At least one attempt.",
    proves: "Each attempt was made once, at its planned instant, and the server's answer checked as RFC 6455 section 4.1 asks. Attempts that failed by this machine's own limits are not held against the server.",
    examine,
};

fn examine(check: &Check, evidence: &Evidence<'_>) -> Vec<Finding> {
    let Some(asked) = evidence.plan.scenario.checks.connect else { return Vec::new() };
    let sums = &evidence.account.connections;
    let tried = if evidence.account.interrupted.is_some() { sums.attempts.max(sums.opened) } else { sums.planned };
    let slow = asked.within.map_or(0, |within| sums.handshakes.count_above(within.as_nanos()));
    let in_time = sums.opened.saturating_sub(sums.not_ready).saturating_sub(slow);
    let failed = tried.saturating_sub(in_time);
    #[expect(clippy::cast_precision_loss, reason = "a share; a whole share is compared exactly")]
    let kept = if asked.min_share >= 1.0 { failed == 0 } else { in_time as f64 >= asked.min_share * tried as f64 };
    let violations = if kept { 0 } else { failed };
    let causes = sums.failed.iter().map(|(cause, n)| (*n, format!("{cause} {}", count(*n))));
    let faults = listed(
        causes.chain([(sums.not_ready, format!("{} never ready", count(sums.not_ready))), (slow, format!("{} too slow", count(slow)))]),
    );
    let mut expected = match asked.min_share {
        share if share >= 1.0 => format!("all of {} open", several(tried, "client", "clients")),
        share => format!("at least {:.1} % of {} open", share * 100.0, several(tried, "client", "clients")),
    };
    if let Some(within) = asked.within {
        expected.push_str(&format!(" within {within}"));
    }
    let opened = format!("{} opened ({})", count(sums.opened), percent(sums.opened, tried));
    let mut draft = Draft {
        population: tried,
        unit: "clients",
        expected,
        observed: if faults.is_empty() { opened } else { format!("{opened}; {faults}") },
        violations,
        timing: if violations == 0 { 0 } else { sums.failed_here + slow },
        witnesses: if failed > 0 { witnesses([&sums.failures, &sums.unready]) } else { Vec::new() },
        empty: "no attempt was made",
        ..Draft::default()
    };
    if draft.violations > 0 && sums.failed_here >= failed {
        draft.excuse = Some("The attempts failed by this machine's own limits (descriptors, ports, memory), not by the server's.".into());
    }
    if let Some(within) = asked.within {
        draft.excuse(evidence, within, |_| u64::MAX);
    }
    draft.note = vec![hint(evidence)];
    vec![draft.conclude(check, evidence)]
}

fn hint(evidence: &Evidence<'_>) -> Option<String> {
    let sums = &evidence.account.connections;
    let [(cause, n)] = sums.failed.iter().collect::<Vec<_>>()[..] else { return None };
    let all = *n + sums.opened == sums.planned || sums.opened == 0;
    let text = match cause.as_str() {
        "refused" => "Nothing listens at the target, or its backlog is full.",
        "bad_accept" => "`Sec-WebSocket-Accept` does not answer the key sent (RFC 6455 section 4.2.2).",
        "proxy" => "The proxy on the way did not open a tunnel: its answer is in the witnesses.",
        "bad_upgrade" => "The 101 answer is no WebSocket handshake: a header is missing, wrong or was not asked for.",
        "http_401" | "http_403" => "The server wants credentials: send them with `headers`.",
        "http_404" => "There is no WebSocket at this path.",
        "http_426" | "http_400" | "http_200" => "The server answers plain HTTP: is this the right path, and is it a WebSocket server?",
        "http_429" | "http_503" => "The server turns clients away: is there a limit on connections or on their rate?",
        "tls" => "TLS does not verify; `--insecure` accepts any certificate.",
        "timeout" => "Handshakes do not finish in time: connect more slowly, or is the server's accept loop stuck?",
        _ => return None,
    };
    all.then(|| text.into())
}
