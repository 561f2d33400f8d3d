//! What a plan needs and does, in numbers: the arithmetic a user would do on paper before a large run.

use serde::Serialize;

use super::{PaceKind, Plan};
use crate::scenario::model::{ClientGroup, Target, unix_socket};

/// User memory of an idle connection, stated by the engine's benchmark: at most 2 KiB.
const BYTES_PLAIN: u64 = 2 << 10;
/// The same over TLS, whose state and buffers are the connection's own: 9 to 16 KiB were measured.
const BYTES_TLS: u64 = 16 << 10;
/// What compression adds to a connection whose server keeps its context: a window of 32 KiB and the decompressor around it.
const BYTES_DEFLATE: u64 = 40 << 10;
/// The books: a delivery window per client and publisher.
const BYTES_PER_PAIR: u64 = 16;
/// Histograms, buffers, runtime: what a run of one client costs, about.
pub const PROCESS_BYTES: u64 = 16 << 20;
/// A server frame's header: 2 bytes up to 125 bytes of payload, 4 up to 64 KiB, 10 beyond (RFC 6455 section 5.2).
const fn frame(payload: u64) -> u64 {
    payload
        + match payload {
            0..=125 => 2,
            126..=65_535 => 4,
            _ => 10,
        }
}
/// Descriptors of a process besides its clients' sockets and its shards. Eleven were measured, five more for the built-in server;
/// the rest is for what comes and goes: reports, names looked up, whoever reads the metrics, requests of scripts, pipes of a process
/// that is being started.
pub const PROCESS_DESCRIPTORS: u64 = 56;
/// Descriptors of a shard that publishes. Six were measured (its runtime's epoll twice, its eventfd and its share of the signals; the
/// alarms of its pacer and of its watch over itself), a seventh while it ramps or closes; the eighth is a margin.
const SHARD_DESCRIPTORS: u64 = 8;

/// The load of one phase.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
pub struct PhaseLoad {
    /// Publications due in it.
    pub publications: u64,
    /// Copies owed for them when every client is a member.
    pub copies: u64,
}

/// What a plan needs and does.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Budget {
    /// Connections.
    pub connections: u64,
    /// Publishers.
    pub publishers: u64,
    /// Copies owed per publication, at most (rooms differ).
    pub fan_out: u64,
    /// Publications and copies of the warm-up; zero in a closed loop, where the server decides how many.
    pub warm_up: PhaseLoad,
    /// Publications and copies of the steady state; zero in a closed loop.
    pub steady: PhaseLoad,
    /// False in a closed loop: the two above cannot be known beforehand.
    pub known: bool,
    /// Sockets of this process, the built-in server's included.
    pub sockets: u64,
    /// Descriptors of this process, all in all, as long as one thread drives the clients.
    pub descriptors: u64,
    /// Descriptors of each thread that drives clients; the first one's are among those of the process.
    pub descriptors_per_thread: u64,
    /// Local ports, one a connection as long as all go to one address and port.
    pub local_ports: u64,
    /// Memory of this process in bytes: an estimate from above for the clients; the built-in server's is not in it.
    pub memory_bytes: u64,
    /// Mean size of a payload.
    pub payload_bytes: u64,
    /// Mean copies received per second over the steady state.
    pub copies_per_s: f64,
    /// Mean bytes received per second over the steady state, frame headers included, TCP and TLS not.
    pub bytes_per_s: f64,
}

impl Budget {
    /// Publications of warm-up and steady state together.
    #[must_use]
    pub const fn publications(&self) -> u64 {
        self.warm_up.publications + self.steady.publications
    }

    /// Copies owed of both phases together.
    #[must_use]
    pub const fn copies(&self) -> u64 {
        self.warm_up.copies.saturating_add(self.steady.copies)
    }

    #[expect(clippy::cast_precision_loss, reason = "display values")]
    pub(super) fn of(plan: &Plan) -> Self {
        let table = plan.timetable();
        let (early, all) = (table.warm_up_len(), table.len());
        let fan_out = plan.fan_out();
        let load = |from: u64, publications: u64| PhaseLoad { publications, copies: plan.copies_owed(from, publications) };
        let steady = load(early, all - early);
        let connections = u64::from(plan.connections);
        let inside = plan.scenario.target == Target::BuiltIn;
        let sockets = if inside { connections * 2 + 1 } else { connections };
        let payload_bytes = plan.scenario.publish.as_ref().map_or(0, |p| u64::midpoint(p.size.min.0, p.size.max.0));
        let copies_per_s = steady.copies as f64 / plan.scenario.phases.steady.as_secs_f64().max(1e-9);
        let pairs = connections * u64::from(plan.publishers);
        Self {
            connections,
            publishers: u64::from(plan.publishers),
            fan_out,
            warm_up: load(0, early),
            steady,
            known: plan.pace_kind() != PaceKind::Closed,
            sockets,
            descriptors: sockets + PROCESS_DESCRIPTORS + shard_descriptors(plan),
            descriptors_per_thread: shard_descriptors(plan),
            local_ports: ports(plan),
            memory_bytes: PROCESS_BYTES + connection_bytes(plan) + pairs * BYTES_PER_PAIR,
            payload_bytes,
            copies_per_s,
            bytes_per_s: copies_per_s * frame(payload_bytes) as f64,
        }
    }
}

/// What a group connects to, as it is written; nothing for the built-in server.
fn url<'a>(plan: &'a Plan, group: &'a ClientGroup) -> &'a str {
    match (&group.connection.url, &plan.scenario.target) {
        (Some(url), _) => url.as_str(),
        (None, Target::Url(url)) => url.as_str(),
        (None, Target::BuiltIn) => "",
    }
}

/// One for each client that does not go to a Unix socket.
fn ports(plan: &Plan) -> u64 {
    plan.scenario.groups.iter().filter(|group| unix_socket(url(plan, group)).is_none()).map(|group| u64::from(group.count)).sum()
}

/// An alarm more for each kind of ping, and one for the disruptions.
fn shard_descriptors(plan: &Plan) -> u64 {
    let pings = plan.scenario.checks.pong.as_ref().map_or(0, |pong| u64::from(pong.application.is_some()) + u64::from(pong.protocol));
    SHARD_DESCRIPTORS + pings + u64::from(!plan.scenario.disrupt.is_empty())
}

/// Memory of all connections together, from above: a URL that begins with a variable may turn out to be `wss://`.
fn connection_bytes(plan: &Plan) -> u64 {
    let bytes = |group: &ClientGroup| {
        let url = url(plan, group);
        let secure = url.starts_with('{') || url.get(..6).is_some_and(|scheme| scheme.eq_ignore_ascii_case("wss://"));
        let deflate = if group.connection.deflate { BYTES_DEFLATE } else { 0 };
        deflate + if secure { BYTES_TLS } else { BYTES_PLAIN }
    };
    plan.scenario.groups.iter().map(|group| u64::from(group.count) * bytes(group)).sum()
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::base::Seed;
    use crate::scenario::parse;

    fn budget(text: &str) -> Budget {
        Plan::new(Arc::new(parse(text, "t.toml").unwrap_or_else(|e| panic!("{e}"))), Seed(1)).budget()
    }

    #[test]
    fn the_sums_of_the_example() {
        let publish = "[publish]\npublishers = 4\npace = { rate = \"50/s\" }\n[phases]\nwarm_up = \"1s\"\nsteady = \"10s\"\n";
        let b = budget(&format!("[clients]\ncount = 1000\n{publish}"));
        assert_eq!((b.warm_up.publications, b.steady.publications, b.fan_out), (50, 500, 1000));
        assert_eq!((b.warm_up.copies, b.steady.copies), (50_000, 500_000));
        assert_eq!((b.sockets, b.local_ports), (2001, 1000), "the built-in server holds the other end");
        let unix =
            "[target]\nurl = \"ws+unix:///run/a.sock:/\"\n[[clients]]\ncount = 10\n[[clients]]\ncount = 3\nurl = \"ws://h/{room}\"\n";
        assert_eq!((budget(unix).sockets, budget(unix).local_ports), (13, 3), "Unix sockets have no ports");
        assert!((b.copies_per_s - 50_000.0).abs() < 1.0);
        assert!((b.bytes_per_s - 50_000.0 * 132.0).abs() < 1.0, "128 bytes and a header of 4");
        let elsewhere = budget(&format!("[target]\nurl = \"ws://a\"\n[clients]\ncount = 1000\n{publish}"));
        assert_eq!(elsewhere.sockets, 1000);
        let others = budget("[clients]\ncount = 3\n[publish]\npace = \"1/s\"\naudience = \"others\"\n");
        assert_eq!((others.fan_out, others.steady.copies), (2, 20));
    }

    #[test]
    fn what_cannot_be_known_is_not_claimed() {
        let b = budget("[clients]\ncount = 3\n[publish]\npace = { closed = true }\n");
        assert!(!b.known);
        assert_eq!(b.steady, PhaseLoad::default());
        let silent = budget("[clients]\ncount = 3\n");
        assert!(silent.known);
        assert_eq!((silent.publishers, silent.fan_out, silent.steady.copies), (0, 0, 0));
    }

    #[test]
    fn a_frame_is_its_payload_and_its_header() {
        let frames = [0, 1, 125, 126, 65_535, 65_536].map(frame);
        assert_eq!(frames, [2, 3, 127, 130, 65_539, 65_546]);
    }

    /// A connection counted 2,048 bytes whatever it was: a run over TLS with compression was taken for a twentieth of what it is.
    #[test]
    fn memory_depends_on_tls_and_compression() {
        let memory = |url: &str, more: &str| {
            let text = format!("[target]\nurl = \"{url}\"\n{more}[clients]\ncount = 1000\n");
            (budget(&text).memory_bytes - PROCESS_BYTES) / 1_000
        };
        assert_eq!(memory("ws://a", ""), 2 << 10);
        assert_eq!(memory("wss://a", ""), 16 << 10);
        assert_eq!(memory("WSS://a", ""), 16 << 10);
        assert_eq!(memory("ws://a", "deflate = true\n"), 42 << 10);
        assert_eq!(memory("wss://a", "deflate = true\n"), 56 << 10);
        let two = budget("[target]\nurl = \"ws://a\"\n[[clients]]\ncount = 10\n[[clients]]\ncount = 3\nurl = \"wss://b/\"\n");
        assert_eq!(two.memory_bytes - PROCESS_BYTES, 10 * (2 << 10) + 3 * (16 << 10), "each group its own");
    }

    #[test]
    fn what_a_run_needs_is_summed_up_by_hand() {
        let b = budget(
            "[target]\nurl = \"ws://a\"\n[clients]\ncount = 1000\n[publish]\npublishers = 4\npace = { rate = \"50/s\" }\n\
             size = { min = \"100B\", max = \"140B\" }\n[phases]\nwarm_up = \"1s\"\nsteady = \"10s\"\n",
        );
        assert_eq!((b.connections, b.publishers, b.payload_bytes), (1_000, 4, 120));
        assert_eq!((b.publications(), b.copies()), (550, 550_000));
        assert_eq!((b.descriptors, b.descriptors_per_thread), (1_000 + 56 + 8, 8));
        let pings = budget(
            "[clients]\ncount = 2\n[checks.pong]\nevery = \"5s\"\nwithin = \"1s\"\nprotocol = true\nsend = \"ping\"\nexpect = \"pong\"\n",
        );
        assert_eq!(pings.descriptors_per_thread, 10, "an alarm for each kind of ping");
        assert_eq!(b.memory_bytes, 16_777_216 + 1_000 * 2_048 + 4_000 * 16);
        assert!((b.bytes_per_s - 50_000.0 * 122.0).abs() < 1.0, "a header of 2");
        let inside = budget("[clients]\ncount = 2\n[publish]\npublishers = 2\npace = \"1/s\"\n");
        assert_eq!((inside.sockets, inside.descriptors), (5, 69));
    }
}
