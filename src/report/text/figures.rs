//! The other numbers: copies, load, connections, pings, heartbeat, and what the run cost the instrument.

use std::collections::BTreeMap;

use crate::measure::{CopyNumbers, InstrumentNumbers, Summary};
use crate::report::number::{bytes, group, per_second, percent, quantity, span};
use crate::report::{Report, escape};

/// Groups of labelled values, for any page.
#[derive(Default)]
pub(in crate::report) struct Figures {
    /// A title and its rows: a label (empty when it continues the one above) and values.
    pub(in crate::report) groups: Vec<(&'static str, Vec<Row>)>,
}

/// A label and its values.
pub(in crate::report) type Row = (&'static str, Vec<String>);

impl Figures {
    fn heading(&mut self, title: &'static str) {
        self.groups.push((title, Vec::new()));
    }

    fn pairs(&mut self, label: &'static str, values: &[String]) {
        if let Some((_, rows)) = self.groups.last_mut()
            && !values.is_empty()
        {
            rows.push((label, values.to_vec()));
        }
    }
}

/// Everything that is told besides checks and latencies.
pub(in crate::report) fn figures(report: &Report) -> Figures {
    let mut page = Figures::default();
    let summary = &report.summary;
    page.heading("Load");
    load(&mut page, summary);
    connections(&mut page, summary);
    liveness(&mut page, summary);
    page.heading("Instrument");
    instrument(&mut page, &summary.instrument);
    page
}

fn load(page: &mut Figures, summary: &Summary) {
    let (publications, rates) = (&summary.publications, &summary.rates);
    let mut sent = vec![
        format!("{} of {} sent", group(publications.sent), group(publications.planned)),
        format!("{} achieved of {} offered", per_second(rates.achieved_per_s), per_second(rates.offered_per_s)),
        bytes(publications.bytes),
    ];
    sent.extend(counted(&publications.dropped, "dropped: "));
    page.pairs("publications", &sent);
    copies(page, &summary.copies, summary);
}

fn copies(page: &mut Figures, copies: &CopyNumbers, summary: &Summary) {
    if copies.owed == 0 && copies.received == 0 {
        return;
    }
    let mut owed = vec![format!(
        "{} owed = {} on time + {} late + {} missing",
        group(copies.owed),
        group(copies.on_time),
        group(copies.late),
        group(copies.missing)
    )];
    if let Some(ratio) = copies.delivery_ratio {
        owed.push(format!("delivered {}", percent(ratio)));
    }
    page.pairs("copies", &owed);
    let mut more = vec![
        format!("{} received", group(copies.received)),
        per_second(summary.rates.copies_per_s),
        format!("fan-out {}", quantity(summary.rates.fan_out)),
    ];
    for (n, says) in [
        (copies.late_by_us, "late by our own send lag"),
        (copies.contested, "contested"),
        (copies.contested_received, "contested and received"),
        (copies.duplicate, "duplicate"),
        (copies.out_of_order, "out of order"),
        (copies.out_of_total_order, "against one total order"),
        (copies.stray_copies, "stray"),
    ] {
        if n > 0 {
            more.push(format!("{} {says}", group(n)));
        }
    }
    more.extend(counted(&copies.damaged, "damaged: "));
    page.pairs("", &more);
    page.pairs("stray frames", &counted(&copies.stray, "").into_iter().collect::<Vec<_>>());
}

fn connections(page: &mut Figures, summary: &Summary) {
    let connections = &summary.connections;
    let mut line = vec![
        format!("{} of {} opened", group(connections.opened), group(connections.planned)),
        format!("{} ready", group(connections.ready)),
        format!("{} lost", group(connections.lost)),
        per_second(summary.rates.connects_per_s),
    ];
    line.extend(counted(&connections.failed, "failed: "));
    page.pairs("connections", &line);
    if let Some(compressed) = connections.compressed {
        page.pairs("compression", &[format!("permessage-deflate agreed on {} of {}", group(compressed), group(connections.opened))]);
    }
    let mut closed = vec![format!("{} in order", group(connections.closed_clean))];
    closed.extend(counted(&connections.close_codes, "codes: "));
    page.pairs("closed", &closed);
    if connections.greetings > 0 {
        let mut greeting = vec![format!("{} seen", group(connections.greetings))];
        if let Some(sample) = &connections.greeting_sample {
            greeting.push(format!("the first “{}”", escape(sample)));
        }
        page.pairs("greeting", &greeting);
    }
}

fn liveness(page: &mut Figures, summary: &Summary) {
    for (level, pong) in &summary.pong.levels {
        let mut line = vec![format!("{} {} sent", group(pong.sent), escape(level)), format!("{} on time", group(pong.on_time))];
        for (n, says) in [
            (pong.late, "late"),
            (pong.unanswered, "unanswered"),
            (pong.unsolicited, "unsolicited answers"),
            (pong.wrong_payload, "with a wrong payload"),
            (pong.contested, "contested"),
        ] {
            if n > 0 {
                line.push(format!("{} {says}", group(n)));
            }
        }
        page.pairs("pings", &line);
    }
    let beat = &summary.heartbeat;
    if beat.beats > 0 || beat.due > 0 {
        let mut line = vec![format!("{} beats of {} due", group(beat.beats), group(beat.due))];
        if beat.due > 0 {
            line.push(format!("{} in time", group(beat.in_time)));
        }
        for (n, says) in [(beat.early, "early"), (beat.late, "late"), (beat.missed, "missed"), (beat.silent_clients, "clients without any")]
        {
            if n > 0 {
                line.push(format!("{} {says}", group(n)));
            }
        }
        if beat.due > 0 {
            line.push(format!("jitter mean {} worst {}", span(beat.mean_jitter_ns), span(beat.worst_jitter_ns)));
        }
        page.pairs("heartbeat", &line);
    }
    if beat.server_pings > 0 {
        page.pairs("server pings", &[group(beat.server_pings)]);
    }
}

fn instrument(page: &mut Figures, instrument: &InstrumentNumbers) {
    let inside = if instrument.server_inside { " with the server inside" } else { "" };
    let mut cpu = vec![format!("{}{inside}", span(instrument.cpu_ns)), format!("{} in the clients", span(instrument.shard_cpu_ns))];
    if instrument.copies_per_cpu_s > 0.0 {
        cpu.push(format!("{} copies per CPU second", quantity(instrument.copies_per_cpu_s)));
    }
    page.pairs("CPU", &cpu);
    page.pairs(
        "memory",
        &[format!("{} peak", bytes(instrument.peak_memory_bytes)), format!("{} a connection", bytes(instrument.bytes_per_connection))],
    );
    page.pairs("late sends", &[format!("{} of the publications sent ({})", group(instrument.late_sends), percent(instrument.late_share))]);
    page.pairs(
        "loop lag",
        &[
            format!("p50 {}", span(instrument.loop_lag_p50_ns)),
            format!("p99 {}", span(instrument.loop_lag_p99_ns)),
            format!("max {}", span(instrument.loop_lag_max_ns)),
        ],
    );
    let mut shards = vec![
        format!("{} in {}", plural(instrument.shards, "shard", "shards"), plural(instrument.processes, "process", "processes")),
        format!("the busiest at {} of a core", percent(instrument.busiest_shard)),
    ];
    if instrument.backlog_max_bytes > 0 {
        shards.push(format!("backlog at most {}", bytes(instrument.backlog_max_bytes)));
    }
    if let Some(steal) = instrument.steal_share {
        shards.push(format!("{} of CPU time stolen", percent(steal)));
    }
    page.pairs("shards", &shards);
    for bound in &instrument.bounds_reached {
        page.pairs("bound", &[escape(bound).into_owned()]);
    }
    if let Some(why) = &instrument.interrupted {
        page.pairs("interrupted", &[escape(why).into_owned()]);
    }
}

fn plural(n: u32, one: &str, many: &str) -> String {
    crate::report::number::count(n.into(), one, many)
}

/// `dropped: 3 back_pressure, 1 ending`, when there is any.
fn counted(map: &BTreeMap<String, u64>, lead: &str) -> Option<String> {
    let parts: Vec<_> = map.iter().filter(|&(_, &n)| n > 0).map(|(name, &n)| format!("{} × {}", escape(name), group(n))).collect();
    (!parts.is_empty()).then(|| format!("{lead}{}", parts.join(", ")))
}
