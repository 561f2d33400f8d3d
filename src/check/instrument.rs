//! `instrument`: wsbench speaks against itself before it speaks against the server.

use super::evidence::{Draft, Evidence};
use super::words::{count, percent, several};
use super::{Check, Finding, Outcome};
use crate::account::{Account, ShardCpu};
use crate::base::Span;
use crate::event::{DropCause, Phase};
use crate::plan::Plan;

/// A shard that used more of its core than this had no room left.
const SATURATED: f64 = 0.95;

pub(super) static CHECK: Check = Check {
    id: "instrument",
    claim: "wsbench kept its own timetable, was not saturated, and saw the run to its end: what it says of the server can be believed.",
    needs: "A run that reached its steady state.",
    proves: "Publications left within the limit of their planned instants, the event loops woke in time, no shard's CPU was full, nothing planned was left unsent, and the books balance. When this is inconclusive, missing, duplicate, disordered and damaged copies are still facts; latencies are not.",
    examine,
};

/// Why the instrument's timing cannot be believed, each in a sentence with a remedy.
pub(super) fn unfit(plan: &Plan, account: &Account) -> Vec<String> {
    let limits = plan.scenario.checks.instrument;
    let sums = &account.publications;
    let mut reasons = Vec::new();
    #[expect(clippy::cast_precision_loss, reason = "a share")]
    if sums.late_sends as f64 > limits.max_late_share * sums.sent as f64 {
        reasons.push(format!(
            "{} of {} publications ({}) were sent more than {} late: use more threads, fewer publications or another machine.",
            count(sums.late_sends),
            count(sums.sent),
            percent(sums.late_sends, sums.sent),
            limits.late_send,
        ));
    }
    let lag = &account.health.loop_lag;
    if let Some(p99) = lag.percentile(99.0).map(|ns| Span::from_nanos(ns.min(lag.max())))
        && p99 > limits.max_loop_lag
    {
        reasons.push(format!(
            "the event loop woke up to {p99} late (p99; {} is allowed): use more threads, fewer clients or a less busy machine.",
            limits.max_loop_lag
        ));
    }
    let longest = Span::from_nanos(lag.max());
    if longest > limits.longest_lag() {
        reasons.push(format!(
            "the event loop stood still for {longest} at least once: something stopped or starved wsbench; use a machine that does nothing else."
        ));
    }
    let mishaps = &account.health.mishaps;
    if !mishaps.asleep.is_zero() {
        reasons.push(format!(
            "the machine was suspended for {} in all: wsbench and its clock stood while the world went on; keep it awake.",
            mishaps.asleep
        ));
    }
    if longest.max(limits.longest_lag()) < mishaps.stood_still {
        reasons.push(format!(
            "the process that coordinates the workers (and is the built-in server, where there is one) stood still for {} at least once: something stopped or starved it; use a machine that does nothing else.",
            mishaps.stood_still
        ));
    }
    let busiest = account.health.shards.iter().map(|(shard, cpu)| (ShardCpu::busy(cpu), shard)).max_by(|a, b| a.0.total_cmp(&b.0));
    if let Some((busy, shard)) = busiest.filter(|(busy, _)| *busy > SATURATED) {
        reasons.push(format!("shard {shard} used {:.0} % of its core: use more threads or fewer clients.", busy * 100.0));
    }
    reasons
}

fn examine(check: &Check, evidence: &Evidence<'_>) -> Vec<Finding> {
    let account = evidence.account;
    let sums = &account.publications;
    let planned = sums.sent + sums.dropped_total();
    let (population, unit) =
        if evidence.publishes() { (planned, "planned publications") } else { (account.connections.attempts, "connection attempts") };
    let mut reasons: Vec<String> = evidence.unfit.iter().map(|reason| super::pong::capital(reason)).collect();
    reasons.extend(incomplete(evidence));
    let lag = account.health.loop_lag.percentile(99.0).map_or_else(
        || "no reading of the event loop".into(),
        |ns| format!("event-loop lag p99 {}", Span::from_nanos(ns.min(account.health.loop_lag.max()))),
    );
    let limits = evidence.plan.scenario.checks.instrument;
    let observed = if evidence.publishes() {
        format!(
            "{} of {} sent, {} later than {} ({}), {lag}",
            count(sums.sent),
            several(planned, "publication", "publications"),
            count(sums.late_sends),
            limits.late_send,
            percent(sums.late_sends, sums.sent),
        )
    } else {
        lag
    };
    let unfit = !reasons.is_empty();
    let draft = Draft {
        population,
        unit,
        expected: format!(
            "at most {:.1} % of publications sent more than {} late, event-loop lag p99 at most {}",
            limits.max_late_share * 100.0,
            limits.late_send,
            limits.max_loop_lag
        ),
        observed,
        violations: reasons.len() as u64,
        timing: reasons.len() as u64,
        excuse: unfit.then(|| reasons.join(" ")),
        empty: "nothing was planned",
        note: vec![wall_clock(account)],
        ..Draft::default()
    };
    let finding = draft.conclude(check, evidence);
    debug_assert!(finding.outcome != Outcome::Fail, "the instrument is never the server's failure");
    vec![finding]
}

/// A wall clock that was set: to know, not to judge.
fn wall_clock(account: &Account) -> Option<String> {
    let mishaps = &account.health.mishaps;
    let times = match mishaps.wall_set_times {
        0 => return None,
        1 => "once".to_owned(),
        n => format!("{} times", count(n)),
    };
    let by = Span::from_nanos(mishaps.wall_set_ns.unsigned_abs());
    let way = if mishaps.wall_set_ns < 0 { "back" } else { "forward" };
    Some(format!("The wall clock was set during the run ({times}, {way} by {by} in all): nothing here is measured by it."))
}

/// Why the run as a whole is not what was planned.
fn incomplete(evidence: &Evidence<'_>) -> Vec<String> {
    let account = evidence.account;
    let sums = &account.publications;
    let dropped = |cause| sums.dropped.get(&cause).copied().unwrap_or(0);
    let mut reasons = Vec::new();
    if let Some(why) = &account.interrupted {
        reasons.push(format!("The run was cut short: {why}."));
    }
    if account.began(Phase::Steady).is_none() {
        reasons.push("The steady state was never reached.".into());
    }
    // Where the server lost or never admitted a publisher, survival or connect says so; it is not ours.
    let clients = &account.connections;
    let server_did_it = clients.lost_publishers > 0 || clients.opened < clients.planned || clients.not_ready > 0;
    if dropped(DropCause::NotOpen) > 0 && !server_did_it {
        reasons.push(format!(
            "{} could not be sent because the publisher's connection was not open.",
            several(dropped(DropCause::NotOpen), "publication", "publications")
        ));
    }
    if dropped(DropCause::BackPressure) > 0 {
        reasons.push(format!(
            "{} could not be sent because the server did not read: the load was less than planned.",
            several(dropped(DropCause::BackPressure), "publication", "publications")
        ));
    }
    if dropped(DropCause::Ending) > 0 && account.interrupted.is_none() {
        reasons.push(format!(
            "{} fell to the end of the run.",
            several(dropped(DropCause::Ending), "planned publication", "planned publications")
        ));
    }
    if account.bounds.publishers_unknown > 0 {
        reasons.push(format!(
            "The books of {} are lost with their worker.",
            several(account.bounds.publishers_unknown, "publisher", "publishers")
        ));
    }
    if !account.books_balance() {
        reasons.push("The books do not balance: this is a bug in wsbench (please report it), or somebody forges stamps.".into());
    }
    reasons
}
