//! From settled books to the report: the same road for a run that has just ended and for a journal judged again, which is what
//! makes the two reports the same bytes.

use crate::account::Account;
use crate::check;
use crate::drive::Cost;
use crate::measure::{self, InstrumentNumbers};
use crate::plan::Plan;
use crate::report::{Facts, PlanFacts, Report, ScenarioFacts, TargetFacts};

use super::secrets::{Secrets, redacted};

/// What the report says of a run besides findings and numbers.
pub(super) fn facts(plan: &Plan, target: TargetFacts, started_at_unix_ms: u64) -> Facts {
    let shown = redacted(&plan.scenario);
    let budget = plan.budget();
    Facts {
        scenario: ScenarioFacts {
            name: shown.name.clone(),
            description: shown.description.clone(),
            digest: plan.digest(),
            toml: shown.to_toml(),
        },
        target,
        seed: plan.seed,
        run_id: plan.run,
        started_at_unix_ms,
        plan: PlanFacts {
            digest: plan.digest(),
            connections: plan.connections,
            publishers: plan.publishers,
            publications: budget.publications(),
            copies_owed: budget.copies(),
            planned_ns: (plan.ramp() + plan.publishing()).as_nanos(),
        },
    }
}

/// The report of settled books.
pub(super) fn told(plan: &Plan, account: &Account, cost: &Cost, facts: Facts) -> Report {
    let findings = check::judge(plan, account);
    let mut summary = measure::summarize(plan, account);
    add_cost(&mut summary.instrument, cost, summary.connections.opened);
    let mut report = Report::new(facts, findings, summary);
    Secrets::of(&plan.scenario).hide_in(&mut report);
    report
}

fn add_cost(numbers: &mut InstrumentNumbers, cost: &Cost, opened: u64) {
    numbers.shards = cost.shards;
    numbers.processes = cost.processes;
    numbers.cpu_ns = cost.cpu.as_nanos();
    numbers.peak_memory_bytes = cost.peak_memory;
    numbers.bytes_per_connection = cost.ramp_memory.checked_div(opened).unwrap_or(0);
    numbers.steal_share = cost.steal_share;
    numbers.server_inside = cost.server_inside;
}
