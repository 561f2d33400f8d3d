//! The comparison itself: numbers, intervals, p-values, findings.

use std::collections::BTreeMap;

use super::interval::{distribution, effective_samples, percentile};
use super::permutation::{Sample, adjusted_p, ways};
use super::{ALPHA, COMPARISON_SCHEMA, Change, Comparison, Judgement, OutcomeChange, Side, distances, halves};
use crate::check::{Finding, Outcome};
use crate::report::metric::{self, Unit};
use crate::report::number::{count, percent};
use crate::report::{Report, text};

/// Ways to split the runs from which the permutation test can find anything at all: the least p is one of them.
const ENOUGH: u64 = 20;

/// What is compared, and whether more is worse. Counts of faults are not here: the checks judge those absolutely.
const COMPARED: [(&str, bool); 15] = [
    ("delivery.p50", true),
    ("delivery.p90", true),
    ("delivery.p99", true),
    ("delivery.p99.9", true),
    ("transit.p50", true),
    ("transit.p99", true),
    ("last_receiver.p50", true),
    ("last_receiver.p99", true),
    ("pong.p50", true),
    ("pong.p99", true),
    ("connect.p50", true),
    ("connect.p99", true),
    ("delivery.ratio", false),
    ("publications.achieved", false),
    ("copies.per_second", false),
];

type Runs<'a> = (&'a Report, &'a [Report]);

/// One metric, read from every run of both sides.
struct Read {
    name: &'static str,
    more_is_worse: bool,
    unit: Unit,
    base: Vec<f64>,
    new: Vec<f64>,
}

pub(super) fn judge(base: Runs<'_>, new: Runs<'_>, limit: Option<f64>) -> Comparison {
    let reads = reads(base.1, new.1);
    let repeats = ways(base.1.len() + new.1.len(), new.1.len()) >= ENOUGH;
    let allowed = limit.unwrap_or(0.0);
    let lag = instrument_lag(base.1, new.1);
    let changes = if repeats { by_permutation(&reads, allowed, lag) } else { by_interval(&reads, base, new, allowed, lag) };
    let outcomes = outcomes(base.1, new.1);
    let mut findings: Vec<_> = limit.map(|limit| changes.iter().filter_map(|change| finding(change, limit)).collect()).unwrap_or_default();
    if limit.is_some() {
        findings.extend(outcomes.iter().filter(|change| change.new > change.base).map(worsened));
        if findings.is_empty() {
            findings.push(nothing_in_common());
        }
    }
    let verdict = findings.iter().map(|finding| finding.outcome).max().unwrap_or(Outcome::Pass);
    Comparison {
        schema: COMPARISON_SCHEMA.into(),
        scenario: base.0.scenario.name.clone(),
        base: side(base),
        new: side(new),
        method: method(repeats, base.1.len(), new.1.len()),
        limit,
        changes,
        distances: if repeats { distances::of_repeats(base.1, new.1) } else { distances::of_single_runs(base.1, new.1) },
        outcomes,
        findings,
        verdict,
    }
}

fn side((first, runs): Runs<'_>) -> Side {
    Side {
        runs: runs.len(),
        started_at: runs.iter().map(|report| report.started_at.clone()).collect(),
        target: first.target.url.clone(),
        wsbench_version: first.wsbench_version.clone(),
    }
}

fn method(repeats: bool, base: usize, new: usize) -> String {
    let floor = "Latency changes below the instrument's own event-loop lag (p99) are not called.";
    let runs = |n: usize| count(n as u64, "run", "runs");
    if repeats {
        format!(
            "Permutation test over {base} and {new} runs (Welch's t of log values, largest over all metrics, one-sided): \
             the chance that any metric is called worse although none is, is at most {}. Distances of whole distributions are held \
             against the same splits of the runs, at the same rate. {floor}",
            percent(ALPHA)
        )
    } else {
        format!(
            "Too few runs ({} against {}), so what varies from run to run is not seen; with three a side or more it is. \
             Order-statistic intervals at effective sample sizes, widened by the drift within each run; sampling noise within \
             the runs makes any metric be called worse with a chance of at most {}. {floor}",
            runs(base),
            runs(new),
            percent(ALPHA)
        )
    }
}

/// Every compared metric that has data in all runs.
fn reads(base: &[Report], new: &[Report]) -> Vec<Read> {
    let all = |metric: &metric::Metric, runs: &[Report]| {
        runs.iter().map(|report| metric.read(report).map(|reading| reading.value)).collect::<Option<Vec<_>>>()
    };
    COMPARED
        .into_iter()
        .filter_map(|(name, more_is_worse)| {
            let metric = metric::find(name).ok()?;
            Some(Read { name, more_is_worse, unit: metric.unit(), base: all(&metric, base)?, new: all(&metric, new)? })
        })
        .collect()
}

/// Repeats: one value a run, all metrics at once; a second pass the other way round finds what became better.
fn by_permutation(reads: &[Read], allowed: f64, lag_ns: f64) -> Vec<Change> {
    let oriented = |read: &Read, value: f64, worse: bool| {
        let log = value.max(1e-12).ln();
        if read.more_is_worse == worse { log } else { -log }
    };
    let samples = |worse: bool, allowed: f64| -> Vec<Sample> {
        reads
            .iter()
            .map(|read| {
                // What is still allowed is added to the base: a tenth more, or a tenth less, on the logarithmic scale.
                let shift = if read.more_is_worse { allowed.ln_1p() } else { -(-allowed.min(0.99)).ln_1p() };
                Sample {
                    base: read.base.iter().map(|&value| oriented(read, value, worse) + shift).collect(),
                    new: read.new.iter().map(|&value| oriented(read, value, worse)).collect(),
                }
            })
            .collect()
    };
    let worse = adjusted_p(&samples(true, allowed));
    let better = adjusted_p(&samples(false, 0.0));
    reads
        .iter()
        .zip(worse.iter().zip(&better))
        .map(|(read, (&p_worse, &p_better))| {
            let judgement = sort(read, allowed, lag_ns, p_worse <= ALPHA, p_better <= ALPHA);
            Change { p_worse: Some(p_worse), judgement, ..change(read) }
        })
        .collect()
}

/// Single runs: intervals apart or not.
fn by_interval(reads: &[Read], base: Runs<'_>, new: Runs<'_>, allowed: f64, lag_ns: f64) -> Vec<Change> {
    // Two ends a side and two directions for each metric.
    #[expect(clippy::cast_precision_loss, reason = "a dozen metrics")]
    let tail = ALPHA / (4.0 * reads.len().max(1) as f64);
    reads
        .iter()
        .map(|read| {
            let (old, young) = (bounds(read, base.1, &read.base, tail), bounds(read, new.1, &read.new, tail));
            if old.0 <= 0.0 || young.0 <= 0.0 || !old.1.is_finite() || !young.1.is_finite() {
                return Change { judgement: Judgement::Unresolved, ..change(read) };
            }
            let interval = Some((young.0 / old.1 - 1.0, young.1 / old.0 - 1.0));
            let (is_worse, is_better) = if read.more_is_worse {
                (young.0 > old.1 * (1.0 + allowed), young.1 < old.0)
            } else {
                (young.1 < old.0 * (1.0 - allowed), young.0 > old.1)
            };
            Change { interval, judgement: sort(read, allowed, lag_ns, is_worse, is_better), ..change(read) }
        })
        .collect()
}

/// The interval of one side: of its runs' intervals the widest reach, so that two or three runs widen it.
fn bounds(read: &Read, runs: &[Report], values: &[f64], tail: f64) -> (f64, f64) {
    let each = runs.iter().zip(values).map(|(report, &value)| {
        let sampling = read.name.split_once('.').and_then(|(stem, statistic)| {
            let p: f64 = statistic.strip_prefix('p')?.parse().ok()?;
            let distribution = distribution(report, stem)?;
            Some(percentile(distribution, p, effective_samples(report, stem, distribution), tail))
        });
        let (low, high) = sampling.unwrap_or_else(|| proportion(read, report, value, tail));
        let drift = halves::drift(report, read.name);
        (low.min(value * (1.0 - drift)), high.max(value * (1.0 + drift)))
    });
    each.fold((f64::INFINITY, 0.0), |(low, high), (a, b)| (low.min(a), high.max(b)))
}

/// Ratios and rates: Hoeffding's interval over as many independent cases as there are publications.
#[expect(clippy::cast_precision_loss, reason = "a sample size")]
fn proportion(read: &Read, report: &Report, value: f64, tail: f64) -> (f64, f64) {
    let n = report.summary.publications.sent.max(1) as f64;
    let half = ((1.0 / tail).ln() / (2.0 * n)).sqrt();
    match read.unit {
        Unit::Share if value >= 1.0 => (1.0 - half, 1.0),
        Unit::Share => (value - half, (value + half).min(1.0)),
        _ => (value * (1.0 - half), value * (1.0 + half)),
    }
}

fn change(read: &Read) -> Change {
    let (base, new) = (median(&read.base), median(&read.new));
    Change {
        metric: read.name.into(),
        base,
        new,
        base_text: read.unit.show(base),
        new_text: read.unit.show(new),
        change: (base > 0.0).then(|| new / base - 1.0),
        interval: None,
        p_worse: None,
        judgement: Judgement::Same,
    }
}

fn sort(read: &Read, allowed: f64, lag_ns: f64, is_worse: bool, is_better: bool) -> Judgement {
    let (base, new) = (median(&read.base), median(&read.new));
    let beyond = if read.more_is_worse { new > base * (1.0 + allowed) } else { new < base * (1.0 - allowed) };
    if small(read, lag_ns) {
        return Judgement::Same;
    }
    match (beyond, is_worse, is_better) {
        (true, true, _) => Judgement::Worse,
        (true, false, _) => Judgement::MaybeWorse,
        (false, _, true) => Judgement::Better,
        (false, ..) => Judgement::Same,
    }
}

/// A change of a latency that the instrument cannot tell from its own lag.
fn small(read: &Read, lag_ns: f64) -> bool {
    read.unit == Unit::Time && (median(&read.new) - median(&read.base)).abs() <= lag_ns
}

#[expect(clippy::cast_precision_loss, reason = "nanoseconds of an hour are exact")]
fn instrument_lag(base: &[Report], new: &[Report]) -> f64 {
    base.iter().chain(new).map(|report| report.summary.instrument.loop_lag_p99_ns).max().unwrap_or(0) as f64
}

fn median(values: &[f64]) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let middle = sorted.len() / 2;
    match sorted.len() {
        0 => 0.0,
        n if n % 2 == 1 => sorted[middle],
        _ => f64::midpoint(sorted[middle - 1], sorted[middle]),
    }
}

fn outcomes(base: &[Report], new: &[Report]) -> Vec<OutcomeChange> {
    let worst = |runs: &[Report]| {
        let mut worst: BTreeMap<String, Outcome> = BTreeMap::new();
        for finding in runs.iter().flat_map(|report| &report.findings) {
            let outcome = worst.entry(finding.check.clone()).or_insert(finding.outcome);
            *outcome = (*outcome).max(finding.outcome);
        }
        worst
    };
    let (base, new) = (worst(base), worst(new));
    base.into_iter()
        .filter_map(|(check, base)| {
            let new = *new.get(&check)?;
            (base != new).then_some(OutcomeChange { check, base, new })
        })
        .collect()
}

/// What a limit makes of a change; nothing where the samples cannot answer.
fn finding(change: &Change, limit: f64) -> Option<Finding> {
    let (outcome, note) = match change.judgement {
        Judgement::Unresolved => return None,
        Judgement::Worse => (Outcome::Fail, String::new()),
        Judgement::MaybeWorse => (Outcome::Pass, "worse by more than is allowed, but noise can explain it: repeats tell".into()),
        Judgement::Same | Judgement::Better => (Outcome::Pass, String::new()),
    };
    let shown = change.change.map_or_else(|| "from nothing".into(), signed);
    Some(Finding {
        check: "regression".into(),
        claim: format!("{} did not become worse by more than {}, beyond noise", change.metric, percent(limit)),
        population: 1,
        population_unit: "comparison".into(),
        outcome,
        expected: format!("{} at most {} worse than {}", change.metric, percent(limit), change.base_text),
        observed: format!("{} ({shown})", change.new_text),
        violations: u64::from(outcome == Outcome::Fail),
        note,
        witnesses: Vec::new(),
    })
}

fn worsened(change: &OutcomeChange) -> Finding {
    Finding {
        check: "regression".into(),
        claim: format!("`{}` is no worse than before", change.check),
        population: 1,
        population_unit: "check".into(),
        outcome: change.new,
        expected: format!("{} {} as before", change.check, text::outcome_word(change.base)),
        observed: text::outcome_word(change.new).into(),
        violations: u64::from(change.new == Outcome::Fail),
        note: "see the new report for its witnesses".into(),
        witnesses: Vec::new(),
    }
}

fn nothing_in_common() -> Finding {
    Finding {
        check: "regression".into(),
        claim: "no metric became worse".into(),
        population: 0,
        population_unit: "metrics".into(),
        outcome: Outcome::Inconclusive,
        expected: "a metric with data in every run".into(),
        observed: "none".into(),
        violations: 0,
        note: "no metric has data on both sides, so nothing was compared".into(),
        witnesses: Vec::new(),
    }
}

/// `+23.4%`, `−0.1%`, `±0%`.
pub(in crate::report) fn signed(change: f64) -> String {
    let size = percent(change.abs());
    match change {
        c if c > 0.0 => format!("+{size}"),
        c if c < 0.0 => format!("−{size}"),
        _ => "±0%".into(),
    }
}
