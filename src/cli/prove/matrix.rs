//! The matrix: each fault the reference server can commit, exactly the findings that must leave Pass, and which number of the
//! report must equal the number of acts the server wrote down. Every fault and every check has a row; a check that has none, its reason.

use super::load::Load;
use super::staged::Ran;
use crate::measure::Summary;

/// What of the report must equal the copies (or acts) in the server's log.
#[derive(Debug, Clone, Copy)]
pub(super) enum Count {
    /// Nothing does, by its nature: one act has several consequences, or how many depends on the moment.
    None,
    /// A number of the summary.
    Number(fn(&Summary) -> u64),
    /// The violations of these checks together.
    Of(&'static [&'static str]),
    /// Attempts to come back that failed.
    FailedReturns,
}

impl Count {
    /// The number, of a run.
    pub(super) fn in_report(self, ran: &Ran) -> Option<u64> {
        match self {
            Self::None => None,
            Self::Number(number) => Some(number(&ran.summary)),
            Self::Of(checks) => {
                let theirs = ran.findings.iter().filter(|finding| checks.contains(&finding.check.as_str()));
                Some(theirs.map(|finding| finding.violations).sum())
            }
            Self::FailedReturns => Some(ran.failed_returns),
        }
    }
}

/// One row.
#[derive(Clone, Copy)]
pub(super) struct Row {
    /// The fault, as `wsbench serve --fault` takes it.
    pub(super) fault: &'static str,
    /// The findings that must leave Pass, by check, in the order of the catalogue. Empty: the fault is legal and must trip nothing.
    pub(super) trips: &'static [&'static str],
    /// Which number must equal the server's own.
    pub(super) count: Count,
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

const fn row(fault: &'static str, trips: &'static [&'static str], count: Count, because: &'static str) -> Row {
    Row { fault, trips, count, because, load: Load::Relay }
}

const fn feed(fault: &'static str, trips: &'static [&'static str], count: Count, because: &'static str) -> Row {
    Row { fault, trips, count, because, load: Load::Feed }
}

const fn under(load: Load, fault: &'static str, trips: &'static [&'static str], count: Count, because: &'static str) -> Row {
    Row { fault, trips, count, because, load }
}

const MISSING: Count = Count::Number(|s| s.copies.missing);
const DUPLICATE: Count = Count::Number(|s| s.copies.duplicate);
const OUT_OF_ORDER: Count = Count::Number(|s| s.copies.out_of_order);
const REFUSED: Count = Count::Number(|s| s.connections.failed.values().sum());
const LOST: Count = Count::Number(|s| s.connections.lost);
const BEATS_MISSED: Count = Count::Number(|s| s.heartbeat.missed);
const BEATS_EARLY: Count = Count::Number(|s| s.heartbeat.early);
const BEATS_LATE: Count = Count::Number(|s| s.heartbeat.late);
const PONG: Count = Count::Of(&["pong"]);
const DEAD_PEER: Count = Count::Of(&["dead_peer"]);

/// Ticks that never came; an act of the server's log is a copy, and there are eight clients.
const SKIPPED: Count = Count::Number(|s| s.feed.as_ref().map_or(0, |feed| feed.missed * 8));
const LATE_TICKS: Count = Count::Number(|s| s.feed.as_ref().map_or(0, |feed| feed.late));

fn damaged(summary: &Summary, kind: &str) -> u64 {
    summary.copies.damaged.get(kind).copied().unwrap_or(0)
}

/// The rows. Windows end (`until=`) before the run does where an act at its end would have no time to be seen.
pub(super) const MATRIX: &[Row] = &[
    row("drop,every=7", &["delivery"], MISSING, "a copy that is not sent is missing, and nothing else is wrong"),
    row("drop-publication,every=5", &["delivery"], MISSING, "every client misses it"),
    row("drop-forever,clients=5,from=2500ms", &["delivery"], MISSING, "one client goes deaf while its connection stays open"),
    row("duplicate,every=7", &["duplicate"], DUPLICATE, "the second arrival is a duplicate, and never makes up for a loss"),
    row("reorder,every=7", &["order"], OUT_OF_ORDER, "the copy held back comes behind a later one"),
    row(
        "delay=1800ms,every=60,until=3500ms",
        &["delivery", "latency", "pong", "heartbeat"],
        Count::None,
        "a copy is held back, and with it everything behind it on that connection: pongs and beats too",
    ),
    row(
        "stall=2500ms,from=2500ms",
        &["delivery", "latency", "pong", "heartbeat"],
        Count::None,
        "a server that stands still is late with everything it owes",
    ),
    under(Load::Others, "wrong-room,every=5", &["stray"], Count::Of(&["stray"]), "the sender gets what was for the others"),
    row("truncate,every=9", &["integrity"], Count::Number(|s| damaged(s, "length")), "the copy is shorter than what was sent"),
    row("flip,every=9", &["integrity"], Count::Number(|s| damaged(s, "bytes")), "one byte differs"),
    row("swap,every=9", &["integrity"], Count::Number(|s| damaged(s, "bytes")), "both copies have the other's later half"),
    row(
        "opcode,every=9",
        &["integrity"],
        Count::Number(|s| damaged(s, "opcode")),
        "text became binary; the copy still counts as delivered",
    ),
    row("fragment", &[], Count::None, "fragments are legal (RFC 6455 5.4)"),
    row("dribble", &[], Count::None, "a byte at a time is legal, if slow"),
    row(
        "batch=2,clients=4",
        &["delivery", "integrity"],
        Count::Of(&["delivery", "integrity"]),
        "the scenario describes no batches: of two payloads in a message the first is too long, and the second is not there",
    ),
    row(
        "re-serialise,every=9",
        &["integrity"],
        Count::Of(&["integrity"]),
        "the payload is wrapped, and the scenario describes no envelope",
    ),
    row("beat-never,clients=2,until=4500ms", &["heartbeat"], BEATS_MISSED, "no beat for seconds"),
    row("beat-late=600ms,every=2", &["heartbeat"], BEATS_LATE, "beyond the tolerance"),
    row("beat-early=600ms,every=2", &["heartbeat"], BEATS_EARLY, "beyond the tolerance"),
    row("beat-drift=50%", &["heartbeat"], BEATS_LATE, "each interval is longer than the one before"),
    row("beat-double=300ms,until=4500ms", &["heartbeat"], BEATS_EARLY, "two timers: intervals far too short"),
    row("beat-stop=1,until=4500ms", &["heartbeat"], BEATS_MISSED, "the beat stops"),
    row("beat-starved,until=4500ms", &["heartbeat"], BEATS_MISSED, "the beat is left out under load"),
    row("beat-text,until=4500ms", &["stray", "heartbeat"], BEATS_MISSED, "what should be the beat is another message"),
    row("pong-none,clients=4,until=4s", &["pong"], PONG, "no answer"),
    row(
        "pong-late=1200ms,clients=4",
        &["pong"],
        Count::None,
        "an answer beyond the limit, where answers that name no ping run into the next",
    ),
    row("pong-wrong,clients=4,until=4s", &["stray", "pong"], PONG, "no answer, and a message that nothing explains"),
    row("pong-twice,clients=4,until=4s", &["pong"], PONG, "answered twice"),
    row("pong-everyone,clients=4", &["pong"], Count::None, "an answer to one client reaches the others, who may take it for theirs"),
    row("pong-unsolicited=700ms,clients=4,until=4s", &["pong"], PONG, "an answer that nobody asked for"),
    row("half-open,clients=3,from=3s", &["pong"], Count::None, "who is no longer read is no longer answered"),
    row("refuse=503,clients=3", &["connect"], REFUSED, "a client that was refused never opened"),
    row("slow-handshake=1500ms,clients=3", &["connect"], Count::Of(&["connect"]), "the handshake takes longer than allowed"),
    row("wrong-accept,clients=3", &["connect"], REFUSED, "RFC 6455 4.1: the connection is failed"),
    row("no-upgrade-header,clients=3", &["connect"], REFUSED, "RFC 6455 4.1: the connection is failed"),
    row("subprotocol,clients=3", &["connect"], REFUSED, "RFC 6455 4.1: nobody offered it"),
    under(
        Load::Subprotocol,
        "subprotocol-none,clients=3",
        &["subprotocol"],
        Count::Of(&["subprotocol"]),
        "offered, known and not chosen (RFC 6455 4.2.2)",
    ),
    row("silent,clients=3", &["connect", "heartbeat"], Count::Of(&["connect"]), "open, and never a word: neither a greeting nor a beat"),
    row("close=1011,clients=3,from=3s", &["survival"], LOST, "closed unasked; what it misses then is contested, not missing"),
    row("close-silent,clients=3,from=3s", &["survival"], LOST, "TCP ends without a Close frame"),
    row("reset,clients=3,from=3s", &["survival"], LOST, "TCP is reset in the middle of a frame"),
    row("masked,clients=3,from=3s", &["survival"], Count::None, "RFC 6455 5.1: we must fail the connection"),
    row("rsv,clients=3,from=3s", &["survival"], Count::None, "RFC 6455 5.2: we must fail the connection"),
    row("bad-utf8,clients=3,from=3s", &["survival"], Count::None, "RFC 6455 8.1: we must fail the connection"),
    row("oversize,clients=3,from=3s", &["survival"], Count::None, "a frame nobody can take"),
    row("fragmented-control,clients=3,from=3s", &["survival"], Count::None, "RFC 6455 5.5: we must fail the connection"),
    feed("drop,every=3,clients=3,from=2s,until=6s", &["delivery"], MISSING, "what the others got of the feed, this one did not"),
    feed("drop-forever,clients=5,from=2500ms", &["delivery"], Count::None, "one client goes deaf to the feed, and stays so while we leave"),
    feed("duplicate,every=3,clients=3,from=2s,until=6s", &["duplicate"], DUPLICATE, "a tick came twice to one client"),
    feed("reorder,every=3,clients=3,from=2s,until=6s", &["order"], OUT_OF_ORDER, "one client had a tick behind the next, and no other had"),
    feed(
        "delay=1700ms,clients=3,from=3s,until=3400ms",
        &["delivery", "latency"],
        Count::None,
        "one client had ticks long after the first to have them",
    ),
    feed("drop-publication,every=4,from=2s,until=6s", &["feed"], SKIPPED, "a tick that reaches nobody is missed by the cadence alone"),
    feed("tick-late=150ms,every=4,from=2s,until=6s", &["feed"], LATE_TICKS, "the feed itself is late, and all clients are equally"),
    under(Load::SlowReader, "head-of-line", &["isolation"], Count::None, "one reads slowly, and all the others wait with it"),
    under(Load::HalfOpen, "dead-kept", &["dead_peer"], DEAD_PEER, "who answers no ping is never given up"),
    under(Load::HalfOpen, "dead-late=3s", &["dead_peer"], DEAD_PEER, "who answers no ping is given up too late"),
    under(Load::HalfOpen, "dead-code=1000", &["dead_peer"], DEAD_PEER, "who answers no ping is told that all is well"),
    under(Load::Churn, "refuse=503,from=2500ms", &["recovery"], Count::FailedReturns, "who left is not let in again"),
    under(
        Load::Churn,
        "replay=5",
        &["resume"],
        Count::Of(&["resume"]),
        "who comes back is sent some of what it missed, and nobody promised that",
    ),
    under(
        Load::Churn,
        "after-close,until=4500ms",
        &["stray_after_leave"],
        Count::Of(&["stray_after_leave"]),
        "RFC 6455 5.5.1: nothing stands behind a Close frame",
    ),
];

/// Checks without a row, and why.
pub(super) const LEFT_OUT: &[(&str, &str)] = &[
    (
        "instrument",
        "speaks of wsbench, and no fault of a server may ever trip it: stopped, starved and killed workers do, in the tests of runs",
    ),
    (
        "publish",
        "the built-in server takes publications over WebSocket only: rejected requests are in the tests of the check, and of runs over HTTP",
    ),
];
