//! `[[disrupt]]`, and the checks about it, as typed.

use super::super::typed::{Share, Spot, table};
use super::{Word, Words};
use crate::base::{ByteSize, Rate, Span};

table! {
    /// A planned disruption: something is done to some of the clients while the others go on.
    Disrupt {
        /// What is done: close (a closing handshake), kill (TCP reset without a Close frame), offline (reset, and back after a span), half_open (stops reading and answering), slow_reader (reads a few bytes a second), reconnect (all are reset and come back at once), churn (one after another leaves and joins), malformed (sends what RFC 6455 forbids), server (a command restarts the target).
        verb: Word<Verbs>,
        /// When, after the beginning of the steady state.
        at: Span,
        /// Again and again, from strike to strike. Default: once.
        every: Span,
        /// How long it lasts (offline, churn: until the client comes back; half_open: until it is reset; server: how long connections that end are put down to it).
        r#for: Span,
        /// Only clients of this group.
        group: String,
        /// How many clients, drawn by the seed from those that do not publish. Default: 1; of malformed one for each kind, of churn all.
        count: u32,
        /// What share of the clients, drawn by the seed from those that do not publish.
        share: Share,
        /// Just these clients, by number from 0 (of the group, if one is named).
        indices: Vec<Spot<u32>>,
        /// slow_reader: how much is read in a second, such as "1KiB".
        per_second: ByteSize,
        /// churn: how many leave in a second; as many join.
        rate: Rate,
        /// malformed: what is sent. Default: one client after another sends each of them.
        what: Word<Malformations>,
        /// server: a program and its arguments, run once and without a shell, such as ["docker", "restart", "chat"].
        command: Vec<Spot<String>>,
        /// How clients that come back try again when they are not let in.
        back_off: BackOffTable,
    }
}

table! {
    /// The waits between attempts to come back: doubled each time.
    BackOffTable {
        /// The first wait. Default: 100ms.
        first: Span,
        /// The longest wait. Default: 5s.
        most: Span,
        /// The share of each wait that is left to chance, by the seed. Default: 50%.
        jitter: Share,
    }
}

table! {
    /// Clients that were away come back.
    Recovery {
        /// From the planned return until the client is a member again. Default: 5s.
        within: Span,
    }
}

table! {
    /// Clients that nothing is done to do not notice what is done to the others.
    Isolation {
        /// How much longer delivery to them may take (p99) than without disruption. Default: 100ms.
        slower: Span,
    }
}

table! {
    /// The server ends the connection of a client that has become half-open.
    DeadPeer {
        /// From the client's silence to the end of its connection.
        within: Span,
        /// The same as so many periods of the heartbeat.
        beats: u32,
        /// The close code it must give. Default: any, or none.
        code: u32,
    }
}

table! {
    /// Clients that have left are sent nothing more.
    StrayAfterLeave {
        /// How long after a client's Close publications may still be sent to it. Default: 1s.
        within: Span,
    }
}

/// `disrupt.what`.
#[derive(Debug, Clone)]
pub(in crate::scenario) struct Malformations;
impl Words for Malformations {
    const WORDS: &'static [&'static str] = &["oversize", "reserved_opcode", "invalid_utf8", "unmasked"];
}

/// `disrupt.verb`.
#[derive(Debug, Clone)]
pub(in crate::scenario) struct Verbs;
impl Words for Verbs {
    const WORDS: &'static [&'static str] =
        &["close", "kill", "offline", "half_open", "slow_reader", "reconnect", "churn", "malformed", "server"];
}

/// `checks.resume`.
#[derive(Debug, Clone)]
pub(in crate::scenario) struct Resumes;
impl Words for Resumes {
    const WORDS: &'static [&'static str] = &["replayed", "nothing"];
}
