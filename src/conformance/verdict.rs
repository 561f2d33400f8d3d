//! From an observation to a verdict, by Autobahn's rules: behaviour and closing behaviour apart, then folded into one
//! outcome. Pure: no socket, no clock.

use super::catalogue::model::{Autobahn, Expectation, Level, Side};
use super::observation::{Observation, same};
use super::wire::frame::Role;

/// One of Autobahn's words for a behaviour or a closing behaviour.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Word {
    /// As demanded.
    Ok,
    /// Legal, but not what a strict reading wants.
    NonStrict,
    /// Not judged.
    Informational,
    /// The extension was not agreed to.
    Unimplemented,
    /// Wrong.
    Failed,
    /// Closing only: not a clean close.
    Unclean,
    /// Closing only: the code is none of those accepted.
    WrongCode,
    /// Closing only: the tester had to drop TCP.
    FailedByClient,
}

impl Word {
    /// As Autobahn writes it.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Ok => "OK",
            Self::NonStrict => "NON-STRICT",
            Self::Informational => "INFORMATIONAL",
            Self::Unimplemented => "UNIMPLEMENTED",
            Self::Failed => "FAILED",
            Self::Unclean => "UNCLEAN",
            Self::WrongCode => "WRONG CODE",
            Self::FailedByClient => "FAILED BY CLIENT",
        }
    }
}

/// A case's outcome, both behaviours folded in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Outcome {
    /// As demanded.
    Pass,
    /// Tolerated; fails with `--strict`.
    NonStrict,
    /// A stated policy limit (1008 or 1009) in a limits case.
    Limit,
    /// Either way is right; what was seen is told.
    Info,
    /// An extension the server does not have.
    Unimplemented,
    /// Could not be asked of this server; the reason says why.
    Skipped,
    /// Wrong.
    Fail,
    /// No verdict: the server could not be reached any more, or died during the case.
    Error,
}

impl Outcome {
    /// Every outcome, in the order reports count them.
    pub const ALL: [Self; 8] =
        [Self::Pass, Self::NonStrict, Self::Limit, Self::Info, Self::Unimplemented, Self::Skipped, Self::Fail, Self::Error];

    /// As reports write it.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Pass => "PASS",
            Self::NonStrict => "NON-STRICT",
            Self::Limit => "LIMIT",
            Self::Info => "INFO",
            Self::Unimplemented => "UNIMPLEMENTED",
            Self::Skipped => "SKIPPED",
            Self::Fail => "FAIL",
            Self::Error => "ERROR",
        }
    }

    /// From a report's word.
    #[must_use]
    pub fn parse(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|o| o.word() == word)
    }

    /// Whether it fails the run.
    #[must_use]
    pub const fn fails(self, strict: bool) -> bool {
        matches!(self, Self::Fail | Self::Error) || (strict && matches!(self, Self::NonStrict))
    }
}

/// A verdict on one case.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verdict {
    /// Autobahn's behaviour.
    pub behavior: Word,
    /// Autobahn's closing behaviour.
    pub close: Word,
    /// The fold.
    pub outcome: Outcome,
    /// What was seen, in words.
    pub actual: String,
}

impl Verdict {
    /// A verdict of ours, where closing is part of the one outcome.
    #[must_use]
    pub fn plain(outcome: Outcome, actual: impl Into<String>) -> Self {
        let behavior = match outcome {
            Outcome::Pass => Word::Ok,
            Outcome::NonStrict => Word::NonStrict,
            Outcome::Info | Outcome::Skipped => Word::Informational,
            Outcome::Unimplemented => Word::Unimplemented,
            Outcome::Limit | Outcome::Fail | Outcome::Error => Word::Failed,
        };
        let close = match outcome {
            Outcome::Fail | Outcome::Error => Word::Failed,
            Outcome::Info | Outcome::Skipped => Word::Informational,
            _ => Word::Ok,
        };
        Self { behavior, close, outcome, actual: actual.into() }
    }

    /// A case that was not asked.
    #[must_use]
    pub fn skipped(reason: impl Into<String>) -> Self {
        Self::plain(Outcome::Skipped, reason)
    }

    /// Weighs an outcome by how strongly the RFC wants it: breaking a SHOULD is NON-STRICT, a MAY is told.
    #[must_use]
    pub fn at_level(mut self, level: Level) -> Self {
        let weighed = match (level, self.outcome) {
            (Level::Should, Outcome::Fail) => Outcome::NonStrict,
            (Level::May, Outcome::Fail | Outcome::NonStrict) => Outcome::Info,
            _ => return self,
        };
        Self::plain(weighed, std::mem::take(&mut self.actual))
    }
}

/// The handshake was never completed: both behaviours failed.
#[must_use]
pub fn no_handshake(why: impl Into<String>) -> Verdict {
    Verdict { behavior: Word::Failed, close: Word::Failed, outcome: Outcome::Fail, actual: why.into() }
}

/// Judges a case of Autobahn's catalogue.
#[must_use]
pub fn judge(case: &Autobahn, seen: &Observation, role: Role, apart: bool, limits: bool) -> Verdict {
    let mut behavior = behavior(case, seen, apart);
    let close = close_behavior(case, seen, role);
    if (case.party_fails && seen.initiator() != case.initiator) || (case.code_fails && close == Word::WrongCode) {
        behavior = Word::Failed;
    }
    let (behavior, close) = if case.informational { (Word::Informational, Word::Informational) } else { (behavior, close) };
    let policy = seen.their_close.as_ref().is_some_and(|c| matches!(c.code, Some(1008 | 1009)));
    let outcome = match (behavior, close) {
        (Word::Informational, _) => Outcome::Info,
        (Word::Unimplemented, _) => Outcome::Unimplemented,
        (Word::Ok, Word::Ok) => Outcome::Pass,
        (Word::NonStrict, Word::Ok) => Outcome::NonStrict,
        _ if limits && policy => Outcome::Limit,
        _ => Outcome::Fail,
    };
    Verdict { behavior, close, outcome, actual: seen.describe() }
}

fn behavior(case: &Autobahn, seen: &Observation, apart: bool) -> Word {
    if seen.unimplemented {
        return Word::Unimplemented;
    }
    match &case.expectation {
        Expectation::Events { ok, .. } if same(&seen.events, ok, apart) => Word::Ok,
        Expectation::Events { lax: Some(lax), .. } if same(&seen.events, lax, apart) => Word::NonStrict,
        Expectation::SameSize | Expectation::Echoes if matches!(seen.concluded, Some(Ok(()))) => Word::Ok,
        _ => Word::Failed,
    }
}

/// The first of Autobahn's closing rules that matches.
fn close_behavior(case: &Autobahn, seen: &Observation, role: Role) -> Word {
    let code = seen.last_code;
    let wrong_side = (seen.initiator() == Side::Us) != (case.initiator == Side::Us);
    if wrong_side {
        Word::Failed
    } else if case.clean && !seen.clean {
        Word::Unclean
    } else if code.is_some_and(|code| !case.codes.contains(&code)) {
        Word::WrongCode
    } else if role == Role::Client && seen.dropped_by_us {
        Word::FailedByClient
    } else {
        Word::Ok
    }
}
