//! What went wrong and when: a lane a kind of event, a dot a row of the timeline, larger for more.

use std::fmt::Write as _;

use super::chart::{Kind, LEFT, RIGHT, TOP, WIDTH};
use super::page::{Page, text};
use super::scale::{Scale, clock_ticks};
use crate::base::Instant;
use crate::check::Outcome;
use crate::measure::TimelineRow;
use crate::report::Report;
use crate::report::number::{group, span};

/// An event loop later than this is told as a stall.
const STALL_NS: u64 = 50_000_000;

/// Height of a lane.
const LANE: f64 = 26.0;

/// Left edge: lanes have names, not numbers.
const NAMES: f64 = 112.0;

struct Lane {
    name: &'static str,
    ink: usize,
    /// When, how much, and in words.
    events: Vec<(u64, u64, String)>,
}

pub(super) fn render(page: &mut Page, report: &Report) {
    let lanes = lanes(report);
    let count: usize = lanes.iter().map(|lane| lane.events.len()).sum();
    let mut out = String::from(
        "<figure id=\"events\" class=\"chart\"><figcaption><h3 id=\"events-t\">Events</h3>\
         <p id=\"events-d\">When something went wrong: in which row of the timeline, larger for more.</p></figcaption>\n",
    );
    if count == 0 {
        out.push_str("<p>None: no connection lost, no copy missing, no faulty arrival, no stall.</p></figure>\n");
        page.raw(&out);
        return;
    }
    drawing(&mut out, &lanes, report);
    table(&mut out, &lanes);
    out.push_str("</figure>\n");
    page.raw(&out);
}

/// Whether there is anything to tell.
pub(super) fn has_events(report: &Report) -> bool {
    lanes(report).iter().any(|lane| !lane.events.is_empty())
}

fn lanes(report: &Report) -> Vec<Lane> {
    let timeline = &report.summary.timeline;
    let lane = |name, ink, of: &dyn Fn(&TimelineRow) -> u64, word: &dyn Fn(u64) -> String| Lane {
        name,
        ink,
        events: timeline.rows.iter().map(|row| (row.at_ns, of(row))).filter(|(_, n)| *n > 0).map(|(at, n)| (at, n, word(n))).collect(),
    };
    let counted = |n: u64| group(n);
    let mut witnesses = Lane { name: "witnesses", ink: 3, events: Vec::new() };
    for finding in report.findings.iter().filter(|finding| finding.outcome != Outcome::Pass) {
        witnesses.events.extend(
            finding
                .witnesses
                .iter()
                .map(|witness| (witness.at_ns, 1, format!("{}: {} {}", finding.check, crate::report::text::who(witness), witness.what))),
        );
    }
    vec![
        lane("lost", 2, &|row| row.lost, &counted),
        lane("missing copies", 2, &|row| row.missing, &counted),
        lane("faulty arrivals", 1, &|row| row.faults, &counted),
        lane("silence", 1, &|row| u64::from(row.sent > 0 && row.copies == 0), &|_| "publications sent, no copy received".into()),
        lane("our stalls", 4, &|row| row.loop_lag_max_ns.filter(|lag| *lag >= STALL_NS).unwrap_or(0), &span),
        witnesses,
    ]
}

#[expect(clippy::cast_precision_loss, reason = "places on a chart")]
fn drawing(out: &mut String, lanes: &[Lane], report: &Report) {
    let rows = &report.summary.timeline.rows;
    let end = rows
        .last()
        .map_or(0, |row| row.at_ns)
        .max(lanes.iter().flat_map(|lane| &lane.events).map(|(at, ..)| *at).max().unwrap_or(0))
        .max(1);
    let scale = Scale::Linear(0.0, end as f64);
    let place = |at: f64| NAMES + scale.place(at) * (WIDTH - NAMES - RIGHT);
    let bottom = TOP + LANE * lanes.len() as f64;
    let _ =
        write!(out, "<div class=\"lanes\"><svg viewBox=\"0 0 {WIDTH} {:.0}\" role=\"img\" aria-labelledby=\"events-t\">", bottom + 26.0);
    for tick in clock_ticks(scale) {
        let x = place(tick);
        let anchor = if x > WIDTH - LEFT + 10.0 { "e" } else { "x" };
        let _ = write!(
            out,
            "<path class=\"grid\" d=\"M{x:.1} {TOP}V{bottom}\"/><text class=\"{anchor}\" x=\"{x:.1}\" y=\"{:.0}\">{}</text>",
            bottom + 18.0,
            span(tick as u64)
        );
    }
    for (n, lane) in lanes.iter().enumerate() {
        let y = (n as f64).mul_add(LANE, TOP + LANE / 2.0);
        let _ = write!(
            out,
            "<path class=\"grid\" d=\"M{NAMES} {y}H{:.0}\"/><text class=\"y\" x=\"{:.0}\" y=\"{:.1}\">{}</text>",
            WIDTH - RIGHT,
            NAMES - 8.0,
            y + 4.0,
            lane.name
        );
        let most = lane.events.iter().map(|(_, n, _)| *n).max().unwrap_or(1) as f64;
        for (at, n, word) in &lane.events {
            let radius = 3.0 + 6.0 * (*n as f64 / most).sqrt() * f64::from(u8::from(lane.ink != 3));
            let _ = write!(
                out,
                "<circle class=\"f{}\" cx=\"{:.1}\" cy=\"{y}\" r=\"{radius:.1}\"><title>{} {}: {}</title></circle>",
                lane.ink,
                place(*at as f64),
                Instant::from_nanos(*at),
                lane.name,
                text(word)
            );
        }
    }
    out.push_str("</svg></div>\n");
}

#[expect(clippy::cast_precision_loss, reason = "shown with three decimals")]
fn table(out: &mut String, lanes: &[Lane]) {
    let mut events: Vec<_> = lanes.iter().flat_map(|lane| lane.events.iter().map(move |(at, _, word)| (*at, lane.name, word))).collect();
    events.sort();
    out.push_str(
        "<details class=\"data\"><summary>Table: Events</summary><div class=\"scroll\" tabindex=\"0\" role=\"region\" aria-label=\"Events as a table\">\
         <table><thead><tr><th scope=\"col\">at (s)<th scope=\"col\">kind<th scope=\"col\">what</thead><tbody>\n",
    );
    for (at, name, word) in events {
        let _ = writeln!(out, "<tr><td>{}<td class=\"t\">{name}<td class=\"t\">{}", Kind::Clock.cell(at as f64), text(word));
    }
    out.push_str("</tbody></table></div></details>\n");
}
