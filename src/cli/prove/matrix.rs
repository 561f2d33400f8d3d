//! The matrix: each fault the reference server can commit, exactly the findings that must leave Pass, and which number of the
//! report must equal the number of acts the server wrote down. One row a fault; a fault that is left out has its reason.

use super::load::Load;
use super::staged::Ran;

/// What of the report is compared with the server's log.
pub(super) type Count = fn(&Ran) -> u64;

/// One row.
#[derive(Clone, Copy)]
pub(super) struct Row {
    /// The fault, as `wsbench serve --fault` takes it.
    pub(super) fault: &'static str,
    /// The findings that must leave Pass, by check, in the order of the catalogue. Empty: the fault is legal and must trip nothing.
    pub(super) trips: &'static [&'static str],
    /// The number that must equal the copies (or acts) in the server's own log.
    pub(super) count: Option<Count>,
    /// Why just these.
    pub(super) because: &'static str,
    /// What goes on meanwhile.
    pub(super) load: Load,
}

impl Row {
    /// The fault, and what goes on meanwhile where that is more than publishing.
    pub(super) fn name(&self) -> String {
        match self.load.name() {
            "" => self.fault.to_owned(),
            load => format!("{} + {load}", self.fault),
        }
    }
}

const fn row(fault: &'static str, trips: &'static [&'static str], count: Option<Count>, because: &'static str) -> Row {
    Row { fault, trips, count, because, load: Load::Relay }
}

const fn feed(fault: &'static str, trips: &'static [&'static str], count: Option<Count>, because: &'static str) -> Row {
    Row { fault, trips, count, because, load: Load::Feed }
}

const fn under(load: Load, fault: &'static str, trips: &'static [&'static str], count: Option<Count>, because: &'static str) -> Row {
    Row { fault, trips, count, because, load }
}

const MISSING: Option<Count> = Some(|ran| ran.summary.copies.missing);
const DUPLICATE: Option<Count> = Some(|ran| ran.summary.copies.duplicate);
const OUT_OF_ORDER: Option<Count> = Some(|ran| ran.summary.copies.out_of_order);

/// Ticks that never came; an act of the server's log is a copy, and there are eight clients.
const SKIPPED: Option<Count> = Some(|ran| ran.summary.feed.as_ref().map_or(0, |feed| feed.missed * 8));
const LATE_TICKS: Option<Count> = Some(|ran| ran.summary.feed.as_ref().map_or(0, |feed| feed.late));

const REFUSED: Option<Count> = Some(|ran| ran.summary.connections.failed.values().sum());
const LOST: Option<Count> = Some(|ran| ran.summary.connections.lost);
const UNNOTICED: Option<Count> = Some(|ran| violations(ran, "dead_peer"));

fn damaged(ran: &Ran, kind: &str) -> u64 {
    ran.summary.copies.damaged.get(kind).copied().unwrap_or(0)
}

/// How often a check was violated.
fn violations(ran: &Ran, check: &str) -> u64 {
    ran.findings.iter().filter(|finding| finding.check == check).map(|finding| finding.violations).sum()
}

/// The rows.
pub(super) const MATRIX: &[Row] = &[
    row("drop,every=7", &["delivery"], MISSING, "a copy that is not sent is missing, and nothing else is wrong"),
    row("drop-publication,every=5", &["delivery"], MISSING, "every client misses it"),
    row("drop-forever,clients=5,from=2500ms", &["delivery"], None, "one client goes deaf while its connection stays open"),
    row("duplicate,every=7", &["duplicate"], DUPLICATE, "the second arrival is a duplicate, and never makes up for a loss"),
    row("reorder,every=7", &["order"], OUT_OF_ORDER, "the copy held back comes behind a later one"),
    row(
        "delay=1800ms,every=60,until=3500ms",
        &["delivery", "latency", "pong", "heartbeat"],
        None,
        "a copy is held back, and with it everything behind it on that connection: pongs and beats too",
    ),
    row(
        "stall=2500ms,from=2500ms",
        &["delivery", "latency", "pong", "heartbeat"],
        None,
        "a server that stands still is late with everything it owes",
    ),
    row("truncate,every=9", &["integrity"], Some(|ran| damaged(ran, "length")), "the copy is shorter than what was sent"),
    row("flip,every=9", &["integrity"], Some(|ran| damaged(ran, "bytes")), "one byte differs"),
    row("opcode,every=9", &["integrity"], Some(|ran| damaged(ran, "opcode")), "text became binary; the copy still counts as delivered"),
    row("fragment", &[], None, "fragments are legal (RFC 6455 5.4)"),
    row("dribble", &[], None, "a byte at a time is legal, if slow"),
    row("re-serialise,every=9", &["integrity"], None, "the payload is wrapped, and the scenario describes no envelope"),
    row("beat-never,clients=2", &["heartbeat"], None, "no beat ever"),
    row("beat-late=600ms,every=2", &["heartbeat"], None, "beyond the tolerance"),
    row("beat-double=300ms", &["heartbeat"], None, "two timers: intervals far too short"),
    row("beat-stop=1", &["heartbeat"], None, "the beat stops"),
    row("beat-starved", &["heartbeat"], None, "the beat is left out under load"),
    row("beat-text", &["stray", "heartbeat"], None, "what should be the beat is another message"),
    row("pong-none,clients=4", &["pong"], None, "no answer"),
    row("pong-late=1200ms,clients=4", &["pong"], None, "an answer beyond the limit"),
    row("pong-twice,clients=4", &["pong"], None, "answered twice"),
    row("pong-everyone,clients=4", &["pong"], None, "an answer to one client reaches the others"),
    row("refuse=503,clients=3", &["connect"], REFUSED, "a client that was refused never opened"),
    row("slow-handshake=1500ms,clients=3", &["connect"], None, "the handshake takes longer than allowed"),
    row("wrong-accept,clients=3", &["connect"], REFUSED, "RFC 6455 4.1: the connection is failed"),
    row("no-upgrade-header,clients=3", &["connect"], REFUSED, "RFC 6455 4.1: the connection is failed"),
    row("subprotocol,clients=3", &["connect"], REFUSED, "RFC 6455 4.1: nobody offered it"),
    row("close=1011,clients=3,from=3s", &["survival"], LOST, "closed unasked; what it misses then is contested, not missing"),
    row("close-silent,clients=3,from=3s", &["survival"], LOST, "TCP ends without a Close frame"),
    row("masked,clients=3,from=3s", &["survival"], None, "RFC 6455 5.1: we must fail the connection"),
    row("rsv,clients=3,from=3s", &["survival"], None, "RFC 6455 5.2: we must fail the connection"),
    row("bad-utf8,clients=3,from=3s", &["survival"], None, "RFC 6455 8.1: we must fail the connection"),
    row("oversize,clients=3,from=3s", &["survival"], None, "a frame nobody can take"),
    row("fragmented-control,clients=3,from=3s", &["survival"], None, "RFC 6455 5.5: we must fail the connection"),
    feed("drop,every=3,clients=3,from=2s,until=6s", &["delivery"], MISSING, "what the others got of the feed, this one did not"),
    feed("drop-forever,clients=5,from=2500ms", &["delivery"], None, "one client goes deaf to the feed"),
    feed("duplicate,every=3,clients=3,from=2s,until=6s", &["duplicate"], DUPLICATE, "a tick came twice to one client"),
    feed("reorder,every=3,clients=3,from=2s,until=6s", &["order"], OUT_OF_ORDER, "one client had a tick behind the next, and no other had"),
    feed(
        "delay=1700ms,clients=3,from=3s,until=3400ms",
        &["delivery", "latency"],
        None,
        "one client had ticks long after the first to have them",
    ),
    feed("drop-publication,every=4,from=2s,until=6s", &["feed"], SKIPPED, "a tick that reaches nobody is missed by the cadence alone"),
    feed("tick-late=150ms,every=4,from=2s,until=6s", &["feed"], LATE_TICKS, "the feed itself is late, and all clients are equally"),
    under(Load::Churn, "refuse=503,from=2500ms", &["recovery"], None, "who left is not let in again"),
    under(
        Load::Churn,
        "replay=5",
        &["resume"],
        Some(|ran| violations(ran, "resume")),
        "who comes back is sent some of what it missed, and nobody promised that",
    ),
    under(
        Load::Churn,
        "after-close,until=4500ms",
        &["stray_after_leave"],
        Some(|ran| violations(ran, "stray_after_leave")),
        "RFC 6455 5.5.1: nothing stands behind a Close frame; the closes at the end of the run are nobody's leave",
    ),
    under(Load::SlowReader, "head-of-line", &["isolation"], None, "one reads slowly, and all the others wait with it"),
    under(Load::HalfOpen, "dead-kept", &["dead_peer"], UNNOTICED, "who answers no ping is never given up"),
    under(Load::HalfOpen, "dead-late=3s", &["dead_peer"], UNNOTICED, "who answers no ping is given up too late"),
    under(Load::HalfOpen, "dead-code=1000", &["dead_peer"], UNNOTICED, "who answers no ping is given up as if it had taken its leave"),
];

/// Faults without a row, and why.
pub(super) const LEFT_OUT: &[(&str, &str)] = &[
    ("wrong-room", "needs an audience smaller than everyone: proved by the sender-excluded test of the command line"),
    ("swap", "an exchange of halves shows as damage of both copies: judged with flip"),
    ("batch", "two payloads in one message: proved by the dialect tests, where batching can be described"),
    ("beat-early", "the first beat cannot be early enough for a tolerance that a busy machine can keep"),
    ("beat-drift", "the drift outgrows the tolerance only in long runs"),
    ("pong-wrong", "trips stray as well, since a wrong application answer explains nothing"),
    ("pong-unsolicited", "judged with pong-everyone"),
    ("reset", "a reset in the middle of a frame ends like close-silent"),
    ("half-open", "needs more data than the kernel's buffers hold before it shows"),
    ("silent", "a server that says nothing never greets: the client is not ready, which connect and survival both may tell"),
];
