//! Disruptions as meant: what is done to which clients, and when; and what is asked of the server about it.

use serde::Serialize;

use crate::base::{ByteSize, Rate, Span};

/// One `[[disrupt]]`.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Disruption {
    /// What is done.
    pub verb: Verb,
    /// When it strikes first, after the beginning of the steady state.
    pub at: Span,
    /// From strike to strike; `None`: it strikes once.
    pub every: Option<Span>,
    /// Whom.
    pub on: Chosen,
}

/// What is done to a client.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub enum Verb {
    /// It begins a closing handshake and stays away.
    Close,
    /// Its TCP connection is reset, without a Close frame, and it stays away.
    Kill,
    /// Its TCP connection is reset, and it comes back after this span.
    Offline {
        /// How long it is away; above zero.
        span: Span,
        /// How it tries again when it is not let in.
        back_off: BackOff,
    },
    /// It stops reading and answering for this span, while its TCP connection stays; then it is reset and stays away.
    HalfOpen {
        /// How long; above zero.
        span: Span,
    },
    /// It reads no more than so much for this span; then as fast as it can again.
    SlowReader {
        /// How long; above zero.
        span: Span,
        /// Bytes a second; above zero.
        per_second: ByteSize,
    },
    /// All at once their TCP connections are reset, and all at once they try to come back: a storm, as far as jitter leaves one.
    Reconnect {
        /// How long each waits before its first attempt, and before each further one.
        back_off: BackOff,
    },
    /// One after another leaves with a closing handshake and joins again, as long as the steady state lasts.
    Churn {
        /// Leaves per second; as many joins follow.
        rate: Rate,
        /// How long each is away; above zero.
        span: Span,
        /// How it tries again when it is not let in.
        back_off: BackOff,
    },
    /// It sends what RFC 6455 forbids, and goes when the server has closed it, or after a second.
    Malformed {
        /// What it sends; `None`: one client after another sends each of them.
        what: Option<Malformation>,
    },
    /// A command outside makes the target restart: every connection that ends while it is away is put down to that, and comes back.
    Server {
        /// A program and its arguments; run once, without a shell.
        command: Vec<String>,
        /// How long connections that end are put down to it; above zero.
        span: Span,
        /// How clients try again.
        back_off: BackOff,
    },
}

/// What RFC 6455 forbids.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Malformation {
    /// A header that announces 2^62 bytes (section 5.2; no server has room for it), and none of them.
    Oversize,
    /// A frame with the reserved opcode 3 (section 5.2).
    ReservedOpcode,
    /// A text message that is not UTF-8 (section 8.1).
    InvalidUtf8,
    /// A frame that is not masked (section 5.1).
    Unmasked,
}

impl Malformation {
    /// All of them, in the order in which clients take them.
    pub const ALL: [Self; 4] = [Self::Oversize, Self::ReservedOpcode, Self::InvalidUtf8, Self::Unmasked];

    /// Its name in scenarios.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Oversize => "oversize",
            Self::ReservedOpcode => "reserved_opcode",
            Self::InvalidUtf8 => "invalid_utf8",
            Self::Unmasked => "unmasked",
        }
    }
}

/// How long a client that came back is left alone at least, before it is disrupted again.
pub const REST: Span = Span::from_millis(500);

/// How long a server may take to close a client that broke the protocol, before the client goes by itself.
pub const PATIENCE: Span = Span::from_secs(1);

impl Verb {
    /// Its name in scenarios and reports.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Close => "close",
            Self::Kill => "kill",
            Self::Offline { .. } => "offline",
            Self::HalfOpen { .. } => "half_open",
            Self::SlowReader { .. } => "slow_reader",
            Self::Reconnect { .. } => "reconnect",
            Self::Churn { .. } => "churn",
            Self::Malformed { .. } => "malformed",
            Self::Server { .. } => "server",
        }
    }

    /// How it comes back, if it does.
    #[must_use]
    pub const fn back_off(&self) -> Option<BackOff> {
        match self {
            Self::Offline { back_off, .. }
            | Self::Reconnect { back_off }
            | Self::Churn { back_off, .. }
            | Self::Server { back_off, .. } => Some(*back_off),
            Self::Close | Self::Kill | Self::HalfOpen { .. } | Self::SlowReader { .. } | Self::Malformed { .. } => None,
        }
    }

    /// From the strike to the planned return, or to the end of what is done; zero where it is done at once.
    #[must_use]
    pub const fn span(&self) -> Span {
        match self {
            Self::Offline { span, .. }
            | Self::HalfOpen { span }
            | Self::SlowReader { span, .. }
            | Self::Churn { span, .. }
            | Self::Server { span, .. } => *span,
            Self::Malformed { .. } => PATIENCE,
            Self::Close | Self::Kill | Self::Reconnect { .. } => Span::ZERO,
        }
    }

    /// From the strike to the planned return: when the server goes, clients are to come back as soon as it lets them.
    #[must_use]
    pub const fn away(&self) -> Span {
        if let Self::Server { .. } = self { Span::ZERO } else { self.span() }
    }

    /// Whether the client takes its leave with a closing handshake.
    #[must_use]
    pub const fn says_goodbye(&self) -> bool {
        matches!(self, Self::Close | Self::Churn { .. })
    }
}

/// How long a client waits before it tries to connect again: before attempt *k* (from 0) `first` × 2^k, at most `most`; less a share
/// of it of up to `jitter`, by the seed.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct BackOff {
    /// Before the first further attempt; above zero.
    pub first: Span,
    /// The longest wait; at least `first`.
    pub most: Span,
    /// 0..=1: 0 is everybody at once, 1 is anywhere between nothing and the whole wait.
    pub jitter: f64,
}

impl BackOff {
    /// The wait before attempt `k`, where `share` (0..1) was drawn from the seed.
    #[must_use]
    #[expect(clippy::cast_precision_loss, clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "below 2^53 ns is 104 days")]
    pub fn wait(&self, k: u32, share: f64) -> Span {
        let whole = self.first.times(1 << k.min(40)).min(self.most);
        whole.saturating_sub(Span::from_nanos((whole.as_nanos() as f64 * self.jitter * share) as u64))
    }
}

/// Whom a disruption strikes. Drawn anew by the seed at every strike, from those who are there.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Chosen {
    /// Of this group, as an index into the scenario's groups; `None`: of all clients.
    pub group: Option<u32>,
    /// How many, or which.
    pub which: Which,
}

/// How many, or which.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub enum Which {
    /// So many; at least 1. Of those who do not publish, unless a group is named.
    Count(u32),
    /// This share of them, 0 < share ≤ 1, at least one. Of those who do not publish, unless a group is named.
    Share(f64),
    /// These, by their place in the group, or among all clients.
    Indices(Vec<u32>),
}

/// What is asked about disruptions. `None` or `false`: not asked.
#[derive(Debug, Clone, PartialEq, Default, Serialize)]
pub struct DisruptionChecks {
    /// Clients that were away come back in time.
    pub recovery: Option<RecoveryCheck>,
    /// The others do not notice.
    pub isolation: Option<IsolationCheck>,
    /// The server notices a client that no longer answers.
    pub dead_peer: Option<DeadPeerCheck>,
    /// Who has left is sent nothing more.
    pub stray_after_leave: Option<StrayAfterLeaveCheck>,
    /// What clients missed while they were away.
    pub resume: Option<Resume>,
}

/// `checks.resume`: what the server promises to a client that comes back.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Resume {
    /// Every publication sent while it was away is replayed to it.
    Replayed,
    /// Nothing sent while it was away comes later.
    Nothing,
}

/// `[checks.stray_after_leave]`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct StrayAfterLeaveCheck {
    /// How long after our Close publications may still be sent to us: until then the server may not have read it.
    pub within: Span,
}

/// `[checks.isolation]`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct IsolationCheck {
    /// How much longer than without disruption delivery to bystanders may take (p99); above zero.
    pub slower: Span,
}

/// `[checks.dead_peer]`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct DeadPeerCheck {
    /// From the client's silence to the end of its connection; above zero and shorter than any half-open client is kept.
    pub within: Span,
    /// The close code the server must give; `None`: any, or none.
    pub code: Option<u16>,
}

/// `[checks.recovery]`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct RecoveryCheck {
    /// From the planned return until the client is a member again; above zero.
    pub within: Span,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_double_up_to_the_longest_and_jitter_only_shortens_them() {
        let back_off = BackOff { first: Span::from_millis(100), most: Span::from_secs(1), jitter: 0.5 };
        let waits: Vec<_> = (0..6).map(|k| back_off.wait(k, 0.0).as_nanos() / 1_000_000).collect();
        assert_eq!(waits, [100, 200, 400, 800, 1_000, 1_000]);
        assert_eq!(back_off.wait(3, 1.0), Span::from_millis(400));
        assert_eq!(back_off.wait(u32::MAX, 0.0), Span::from_secs(1));
        assert_eq!(BackOff { jitter: 1.0, ..back_off }.wait(9, 1.0), Span::ZERO);
    }
}
