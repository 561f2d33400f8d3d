//! `wsbench plan FILE`: what a run would do and need, without touching the network.

mod disruptions;

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use clap::{Args, ValueEnum};
use serde_json::json;

use super::exit::Exit;
use super::terminal::{harmless, print, say};
use crate::base::{ByteSize, Seed, Span};
use crate::plan::{Budget, PaceKind, Plan, Planned};
use crate::scenario::model::{Extract, Feed, Pace, Scenario, Target, Via};
use crate::scenario::{Reading, ScenarioError, Surroundings, read_with};

/// Show what a run would do and need, without touching the network.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  wsbench plan scenarios/broadcast.toml              load, sockets, ports and memory, before anything is sent")]
pub struct PlanArgs {
    /// The scenario (TOML).
    pub file: PathBuf,
    /// Plan for this target instead of the scenario's.
    #[arg(long, value_name = "URL")]
    pub url: Option<String>,
    /// The seed all random choices follow from.
    #[arg(long, default_value_t = 1)]
    pub seed: u64,
    /// How to print it.
    #[arg(long, value_enum, default_value_t)]
    pub format: PlanFormat,
}

/// How to print a plan.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum)]
pub enum PlanFormat {
    /// For people.
    #[default]
    Text,
    /// For programs: digest, budget, phases, the first and last publications, the resolved scenario without its secrets.
    Json,
    /// The scenario as resolved, every default written out; it can be run, so the secrets written in it are in it.
    Toml,
}

/// Reads, decides, prints. Warnings go to standard error.
#[must_use]
pub fn run(args: &PlanArgs) -> Exit {
    match prepare(args) {
        Ok((reading, plan)) => {
            for warning in &reading.warnings {
                say(&warning.to_string());
            }
            match args.format {
                PlanFormat::Text => print(&harmless(&render(&plan))),
                PlanFormat::Json => print(&format!("{:#}\n", as_json(&plan))),
                PlanFormat::Toml => print(&plan.scenario.to_toml()),
            }
            Exit::Pass
        }
        Err(message) => {
            say(message.trim_end());
            Exit::Usage
        }
    }
}

fn prepare(args: &PlanArgs) -> Result<(Reading, Plan), String> {
    let name = args.file.display().to_string();
    let text = std::fs::read_to_string(&args.file).map_err(|e| format!("error: cannot read the scenario {name}: {e}\n"))?;
    let reading = read_here(&text, &args.file, args.url.as_deref()).map_err(|e| e.to_string())?;
    let plan = Plan::new(Arc::new(reading.scenario.clone()), Seed(args.seed));
    Ok((reading, plan))
}

/// Reads a scenario with this process's environment, and the files it names beside it; against `url` instead of its own target's, if
/// given.
///
/// # Errors
/// Everything that is wrong with the scenario or missing around it.
pub fn read_here(text: &str, path: &Path, url: Option<&str>) -> Result<Reading, ScenarioError> {
    let folder = path.parent().unwrap_or(Path::new("")).to_owned();
    let file = move |name: &str| std::fs::read_to_string(folder.join(name)).map_err(|e| e.to_string());
    let env = |name: &str| std::env::var(name).ok();
    read_with(text, &path.display().to_string(), &Surroundings { env: &env, file: &file, url })
}

/// How many publications are shown at each end of the timetable.
const SHOWN: usize = 5;

/// The first publications, and the last ones that are not among them.
fn ends(plan: &Plan) -> (Vec<Planned>, Vec<Planned>) {
    let table = plan.timetable();
    let head: Vec<_> = table.iter().take(SHOWN).collect();
    let skip = table.len().saturating_sub(SHOWN as u64).max(head.len() as u64);
    let tail = table.iter().skip_while(|p| p.n < skip).collect();
    (head, tail)
}

/// The plan as a text for people.
#[must_use]
pub fn render(plan: &Plan) -> String {
    let mut out = String::new();
    let scenario = &plan.scenario;
    let budget = plan.budget();
    // Writing into a String cannot fail.
    let _ = writeln!(out, "{}{}", scenario.name, scenario.description.as_ref().map_or(String::new(), |d| format!(": {d}")));
    let _ = writeln!(out);
    row(&mut out, "target", &target(scenario));
    row(&mut out, "seed", &format!("{} (run {:08x})", plan.seed.0, plan.run.0));
    row(&mut out, "digest", &plan.digest());
    phases(&mut out, plan);
    clients(&mut out, plan);
    publications(&mut out, plan, &budget);
    disruptions::section(&mut out, plan);
    checks(&mut out, scenario);
    needs(&mut out, plan, &budget);
    out
}

fn heading(out: &mut String, text: &str) {
    let _ = writeln!(out, "\n{text}");
}

fn row(out: &mut String, name: &str, value: &str) {
    let _ = writeln!(out, "  {name:<14}{value}");
}

/// A number with separators between thousands.
fn number(n: u64) -> String {
    let digits = n.to_string();
    let mut out = String::new();
    for (i, digit) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

fn target(scenario: &Scenario) -> String {
    match &scenario.target {
        Target::BuiltIn => "the built-in reference server, inside this process".into(),
        // Credentials before an @ and whatever a query carries are nobody's business here.
        Target::Url(url) => {
            let url = url.as_str();
            let bare = url.split_once('?').map_or(url, |(bare, _)| bare);
            let hidden = if bare.len() < url.len() { "?…" } else { "" };
            match bare.split_once("://").and_then(|(scheme, rest)| Some((scheme, rest.split_once('@')?.1))) {
                Some((scheme, rest)) => format!("{scheme}://…@{rest}{hidden}"),
                None => format!("{bare}{hidden}"),
            }
        }
    }
}

fn phases(out: &mut String, plan: &Plan) {
    heading(out, "Phases");
    let phases = plan.scenario.phases;
    let limit = plan.ramp() + phases.ramp_limit;
    row(out, "ramp", &format!("{} by the timetable, given up after {limit}", plan.ramp()));
    row(out, "warm-up", &format!("{} checked, not measured", phases.warm_up));
    row(out, "steady state", &format!("{} checked and measured", phases.steady));
    row(out, "drain", &format!("at most {}, ends when every owed copy is in", phases.drain));
    row(out, "close", "a closing handshake with every client");
}

fn clients(out: &mut String, plan: &Plan) {
    heading(out, "Clients");
    for group in &plan.scenario.groups {
        let last = group.connect_rate.nth(u64::from(group.count) - 1);
        let count = number(u64::from(group.count));
        let script = match group.behaviour.script.len() {
            0 => String::new(),
            n => format!(", ready after a script of {n} steps"),
        };
        let listens = if group.receives { "" } else { ", owed nothing" };
        row(out, &group.name, &format!("{count} at {}, the last after {last}{script}{listens}", group.connect_rate));
    }
    if plan.division.rooms() > 1 {
        let sizes: Vec<u32> = (0..plan.division.rooms()).map(|r| plan.division.receivers(r)).collect();
        let (least, most) = (sizes.iter().min().copied().unwrap_or(0), sizes.iter().max().copied().unwrap_or(0));
        row(out, "rooms", &format!("{} of {least} to {most} receivers", number(u64::from(plan.division.rooms()))));
    }
}

fn pace(pace: &Pace) -> String {
    match pace {
        Pace::Constant { rate } => format!("{rate}, evenly spaced"),
        Pace::Ramp { from, to } => format!("from {from} to {to}, evenly"),
        Pace::Steps { steps } => {
            let list: Vec<_> = steps.iter().map(|s| format!("{} for {}", s.rate, s.span)).collect();
            format!("{}; the last holds to the end", list.join(", "))
        }
        Pace::Burst { size, every } => format!("{size} at once, every {every}"),
        Pace::Poisson { rate } => format!("{rate} on average, at random instants from the seed"),
        Pace::Closed { rate: None } => "closed loop: each publisher waits for its own copy".into(),
        Pace::Closed { rate: Some(rate) } => format!("closed loop: each publisher waits for its own copy, together at most {rate}"),
    }
}

/// What the server broadcasts by itself.
fn broadcasts(out: &mut String, plan: &Plan, feed: &Feed) {
    row(out, "none", "the server broadcasts by itself: what one client gets, all that are there must");
    let known = match &feed.id {
        None => "its whole content".to_owned(),
        Some(Extract::Json(pointer)) => format!("the JSON value at {pointer}"),
        Some(Extract::Regex(pattern)) => format!("what {} finds", pattern.as_str()),
        Some(Extract::Bytes(from, to)) => format!("its bytes {from} to {to}"),
    };
    let again = if feed.unique { ", which never comes twice" } else { " and its occurrence" };
    row(out, "known by", &format!("{known}{again}"));
    let which = if plan.scenario.dialect.matches.is_some() { "those that match" } else { "all that nothing else explains" };
    row(out, "messages", which);
    if plan.scenario.target == Target::BuiltIn {
        row(out, "cadence", &format!("the built-in server broadcasts every {}", feed.built_in));
    }
    if plan.division.rooms() > 1 {
        row(out, "rooms", &format!("{} feeds, compared apart", number(plan.division.rooms().into())));
    }
}

fn publications(out: &mut String, plan: &Plan, budget: &Budget) {
    heading(out, "Publications");
    let Some(publish) = &plan.scenario.publish else {
        match &plan.scenario.feed {
            Some(feed) => broadcasts(out, plan, feed),
            None => row(out, "none", "nothing is published: the clients only listen"),
        }
        return;
    };
    let (min, max) = (publish.size.min, publish.size.max);
    let size = if min == max { min.to_string() } else { format!("{min} to {max}") };
    row(out, "publishers", &format!("{} of the clients", number(budget.publishers)));
    row(out, "pace", &pace(&publish.pace));
    row(out, "payload", &format!("{size} of {}, the stamp of {} bytes included", encoding(plan), crate::base::STAMP_LEN));
    if let Via::Http(http) = &publish.via {
        row(out, "via", &format!("{} requests, not the socket", http.method));
    }
    let most = if plan.division.rooms() > 1 { "at most " } else { "" };
    row(out, "audience", &format!("{most}{} clients a publication", number(budget.fan_out)));
    if plan.pace_kind() == PaceKind::Closed {
        row(out, "copies owed", "known when the run is over: in a closed loop the server sets the pace");
        return;
    }
    for (name, load) in [("warm-up", budget.warm_up), ("steady state", budget.steady)] {
        row(out, name, &format!("{} publications, {} copies owed", number(load.publications), number(load.copies)));
    }
    timetable(out, plan);
}

fn encoding(plan: &Plan) -> &'static str {
    match plan.scenario.publish.as_ref().map(|p| p.encoding) {
        Some(crate::scenario::model::Encoding::Binary) => "binary",
        _ => "text",
    }
}

fn timetable(out: &mut String, plan: &Plan) {
    heading(out, "Timetable (after the start of publishing)");
    let _ = writeln!(out, "  {:>12}  {:>13}  {:>9}  {:>8}  phase", "publication", "due", "publisher", "bytes");
    let (head, tail) = ends(plan);
    for p in &head {
        timetable_row(out, plan, p);
    }
    if tail.first().is_some_and(|first| first.n > head.len() as u64) {
        let _ = writeln!(out, "  {:>12}", "…");
    }
    for p in &tail {
        timetable_row(out, plan, p);
    }
}

fn timetable_row(out: &mut String, plan: &Plan, p: &Planned) {
    // Payloads are numbered within their publisher's own sequence, of which every `publishers`-th publication is the next.
    let bytes = plan.payload_len(p.publisher, p.n / u64::from(plan.publishers.max(1)));
    let phase = if p.after < plan.scenario.phases.warm_up { "warm-up" } else { "steady" };
    let _ = writeln!(out, "  {:>12}  {:>13}  {:>9}  {bytes:>8}  {phase}", number(p.n), stopwatch(p.after), p.publisher);
}

/// Seconds with microseconds: instants are compared, so all have the same form.
fn stopwatch(span: Span) -> String {
    format!("{}.{:06}s", span.as_nanos() / 1_000_000_000, span.as_nanos() / 1_000 % 1_000_000)
}

fn checks(out: &mut String, scenario: &Scenario) {
    heading(out, "Checks");
    let checks = &scenario.checks;
    let mut asked: Vec<String> = Vec::new();
    asked.extend(checks.delivery.map(|d| format!("delivery within {}", d.within)));
    asked.extend(checks.duplicate.then(|| "duplicate".into()));
    asked.extend(
        checks.order.map(|o| format!("order ({})", if o == crate::scenario::model::OrderScope::Total { "total" } else { "per publisher" })),
    );
    asked.extend(checks.integrity.then(|| "integrity".into()));
    asked.extend(checks.stray.then(|| "stray".into()));
    asked.extend(checks.latency.iter().map(|l| {
        let which = if l.percentile >= 100.0 { "max".into() } else { format!("p{}", l.percentile) };
        format!("latency: {} of {} at most {}", which, crate::scenario::metric_name(l.metric), l.at_most)
    }));
    asked.extend(checks.pong.as_ref().map(|p| {
        let kinds = [p.application.is_some().then_some("application"), p.protocol.then_some("protocol")];
        let kinds: Vec<_> = kinds.into_iter().flatten().collect();
        format!("pong: {} pings every {}, answered within {}", kinds.join(" and "), p.every, p.within)
    }));
    asked.extend(checks.heartbeat.as_ref().map(|h| format!("heartbeat every {} ± {}", h.every, h.tolerance)));
    asked.extend(checks.survival.then(|| "survival".into()));
    asked.extend(checks.connect.map(|c| format!("connect: at least {}% of the clients", c.min_share * 100.0)));
    asked.extend(checks.subprotocol.then(|| "subprotocol".into()));
    asked.extend(checks.publish.then(|| "publish".into()));
    asked.extend(checks.feed.map(|f| format!("feed every {} ± {}", f.every, f.tolerance)));
    asked.extend(checks.disruption.recovery.map(|c| format!("recovery within {} of the planned return", c.within)));
    asked.extend(
        checks.disruption.isolation.map(|c| format!("isolation: p99 of the others at most {} above the rest of the run", c.slower)),
    );
    asked.extend(checks.disruption.dead_peer.map(|c| format!("dead peer noticed within {}", c.within)));
    asked.extend(checks.disruption.resume.map(|r| format!("resume: {r:?}").to_lowercase()));
    asked.extend(checks.disruption.stray_after_leave.map(|c| format!("stray after leave: nothing sent {} after a Close", c.within)));
    asked.push("instrument".into());
    for check in asked {
        let _ = writeln!(out, "  {check}");
    }
}

fn needs(out: &mut String, plan: &Plan, budget: &Budget) {
    heading(out, "Needs");
    let inside = if plan.scenario.target == Target::BuiltIn { ", both ends of each connection" } else { "" };
    row(out, "sockets", &format!("{}{inside}", number(budget.sockets)));
    row(out, "descriptors", &format!("{} (ulimit -n)", number(budget.descriptors)));
    row(out, "local ports", &number(budget.local_ports));
    row(out, "memory", &format!("about {} for the clients", ByteSize(budget.memory_bytes)));
    if budget.known && budget.steady.copies > 0 {
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "positive and far below 2^64")]
        let (copies, bytes) = (budget.copies_per_s.round() as u64, budget.bytes_per_s.round() as u64);
        row(out, "received", &format!("{} copies/s, {}/s in the steady state", number(copies), ByteSize(bytes)));
    }
}

/// The plan as JSON: everything the text says, and the scenario as resolved.
#[must_use]
pub fn as_json(plan: &Plan) -> serde_json::Value {
    let (head, tail) = ends(plan);
    let entry = |p: &Planned| json!({ "n": p.n, "publisher": p.publisher.0, "after_ns": p.after.as_nanos() });
    let phases = plan.scenario.phases;
    json!({
        "name": plan.scenario.name,
        "digest": plan.digest(),
        "seed": plan.seed.0,
        "run": format!("{:08x}", plan.run.0),
        "phases": {
            "ramp_ns": plan.ramp().as_nanos(),
            "ramp_limit_ns": phases.ramp_limit.as_nanos(),
            "warm_up_ns": phases.warm_up.as_nanos(),
            "steady_ns": phases.steady.as_nanos(),
            "drain_ns": phases.drain.as_nanos(),
        },
        "timetable": {
            "open_loop": plan.pace_kind() == PaceKind::Open,
            "head": head.iter().map(entry).collect::<Vec<_>>(),
            "tail": tail.iter().map(entry).collect::<Vec<_>>(),
        },
        "disruptions": disruptions::as_json(plan),
        "budget": plan.budget(),
        "scenario_toml": super::secrets::redacted(&plan.scenario).to_toml(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plan(file: &str) -> Plan {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("scenarios").join(file);
        let args = PlanArgs { file: path, url: None, seed: 1, format: PlanFormat::Text };
        prepare(&args).unwrap_or_else(|e| panic!("{e}")).1
    }

    #[test]
    fn the_text_says_what_a_user_would_work_out_on_paper() {
        let text = render(&plan("broadcast.toml"));
        for line in [
            "  warm-up       50 publications, 50,000 copies owed",
            "  steady state  500 publications, 500,000 copies owed",
            "  sockets       2,001, both ends of each connection",
            "           549     10.980000s          1       128  steady",
        ] {
            assert!(text.contains(line), "{line:?} is not in\n{text}");
        }
        assert!(render(&plan("heartbeat.toml")).contains("nothing is published"));
    }

    #[test]
    fn the_json_agrees_with_the_plan() {
        let plan = plan("burst.toml");
        let json = as_json(&plan);
        assert_eq!(json["budget"]["steady"]["publications"], 250);
        assert_eq!(json["timetable"]["head"].as_array().map(Vec::len), Some(SHOWN));
        assert_eq!(json["timetable"]["tail"][4]["after_ns"], 10_000_000_000_u64);
        assert_eq!(json["digest"], plan.digest());
    }

    #[test]
    fn secrets_in_an_address_are_not_shown() {
        let mut scenario = Scenario::clone(&plan("smoke.toml").scenario);
        scenario.target = Target::Url(crate::scenario::model::Address::literal("wss://user:secret@example.com/ws?token=secret"));
        assert_eq!(target(&scenario), "wss://…@example.com/ws?…");
    }

    #[test]
    fn numbers_are_set_in_thousands() {
        assert_eq!([0, 999, 1000, 1_234_567].map(number), ["0", "999", "1,000", "1,234,567"]);
    }
}
