//! A matcher as the scenario says it: of fixed text, asked as it stands; or with variables, and then each connection has its own,
//! made once when it opens (or its script gets there). Must never know when that is.

use serde::{Serialize, Serializer};
use serde_json::Value;

use super::matcher::{Pattern, has};
use super::model::Matcher;
use super::shape::{OwnShape, Shape};
use super::template::{MissingValue, Template, Vars};

/// When a received message is the one meant, as written.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub enum Wanted {
    /// With variables: see [`Wanted::bind`].
    WithVariables(Varying),
    /// The same for all.
    #[serde(untagged)]
    Fixed(Matcher),
}

/// A matcher with variables.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub enum Varying {
    /// Exactly this text.
    Exact(Template),
    /// Has this text somewhere.
    Contains(Template),
    /// Begins with this text.
    Prefix(Template),
    /// Matches this expression somewhere; a value is itself in it, whatever its characters.
    Regex(Template),
    /// Is JSON with at least these members.
    #[serde(serialize_with = "as_written")]
    Json(Shape),
}

/// A matcher with the values of one connection.
#[derive(Debug, Clone, PartialEq)]
pub enum Own {
    /// A plain one.
    Plain(Matcher),
    /// JSON.
    Json(OwnShape),
}

impl From<Matcher> for Wanted {
    fn from(matcher: Matcher) -> Self {
        Self::Fixed(matcher)
    }
}

impl Wanted {
    /// Whether `message` is the one meant. `own` is what [`bind`](Self::bind) gave for this connection; a matcher with variables
    /// that has no values yet matches nothing.
    #[must_use]
    pub fn matches(&self, message: &[u8], own: Option<&Own>) -> bool {
        match self {
            Self::Fixed(matcher) => matcher.matches(message),
            Self::WithVariables(_) => own.is_some_and(|own| own.matches(message)),
        }
    }

    /// The matcher of one connection; `None` when it has no variables, and when what it needs has not been captured yet.
    ///
    /// # Errors
    /// A value that is missing for good, or of which no matcher can be made.
    pub fn bind(&self, vars: &Vars<'_>) -> Result<Option<Own>, MissingValue> {
        match self {
            Self::WithVariables(varying) if self.slots().iter().all(|slot| vars.captured.get(*slot).is_some()) => {
                varying.bind(vars).map(Some)
            }
            _ => Ok(None),
        }
    }

    /// Whether it has variables.
    #[must_use]
    pub const fn varies(&self) -> bool {
        matches!(self, Self::WithVariables(_))
    }

    /// In words. Values from the environment or the feeder are not shown: they may be tokens.
    #[must_use]
    pub fn describe(&self, own: Option<&Own>) -> String {
        match (self, own) {
            (Self::Fixed(matcher), _) => describe(matcher),
            (Self::WithVariables(_), Some(own)) if !self.templates().iter().any(|t| t.is_private()) => own.describe(),
            (Self::WithVariables(varying), _) => varying.describe(),
        }
    }

    /// Whether every message that is the other's is this one's too, as far as that can be seen without any message.
    pub(super) fn surely_matches_all_of(&self, other: &Self) -> bool {
        let (Self::Fixed(this), Self::Fixed(other)) = (self, other) else { return self == other };
        match (this, other) {
            // Of an exact text everything is known.
            (_, Matcher::Exact(text)) => this.matches(text.as_bytes()),
            (Matcher::Contains(part), Matcher::Contains(text) | Matcher::Prefix(text)) => text.contains(part),
            (Matcher::Prefix(part), Matcher::Prefix(text)) => text.starts_with(part),
            // What has all of the other's members has these, if the other has them.
            (Matcher::Json(part), Matcher::Json(whole)) => part == whole || has(whole, part),
            _ => this == other,
        }
    }

    /// All templates in it.
    pub(super) fn templates(&self) -> Vec<&Template> {
        match self {
            Self::Fixed(_) => Vec::new(),
            Self::WithVariables(Varying::Exact(text) | Varying::Contains(text) | Varying::Prefix(text) | Varying::Regex(text)) => {
                vec![text]
            }
            Self::WithVariables(Varying::Json(shape)) => shape.templates(),
        }
    }

    fn slots(&self) -> Vec<usize> {
        self.templates().into_iter().flat_map(Template::slots).collect()
    }
}

impl Varying {
    fn bind(&self, vars: &Vars<'_>) -> Result<Own, MissingValue> {
        Ok(Own::Plain(match self {
            Self::Exact(text) => Matcher::Exact(text.text(vars)?),
            Self::Contains(text) => Matcher::Contains(some(text, vars)?),
            Self::Prefix(text) => Matcher::Prefix(some(text, vars)?),
            Self::Regex(text) => {
                let source = text.text_with(vars, |value| format!("(?:{})", regex::escape(value)))?;
                let pattern = Pattern::new(&source);
                Matcher::Regex(pattern.map_err(|e| MissingValue(format!("no expression can be made of {:?}: {e}", text.as_str())))?)
            }
            Self::Json(shape) => return shape.bind(vars).map(Own::Json),
        }))
    }

    fn describe(&self) -> String {
        match self {
            Self::Exact(text) => describe(&Matcher::Exact(text.as_str().into())),
            Self::Contains(text) => describe(&Matcher::Contains(text.as_str().into())),
            Self::Prefix(text) => describe(&Matcher::Prefix(text.as_str().into())),
            Self::Regex(text) => format!("something that matches {:?}", text.as_str()),
            Self::Json(shape) => format!("JSON with {}", shape.written()),
        }
    }
}

/// Every message contains nothing, and begins with it.
fn some(text: &Template, vars: &Vars<'_>) -> Result<String, MissingValue> {
    let rendered = text.text(vars)?;
    if rendered.is_empty() {
        Err(MissingValue(format!("{:?} is empty here: it would match anything", text.as_str())))
    } else {
        Ok(rendered)
    }
}

impl Own {
    fn matches(&self, message: &[u8]) -> bool {
        match self {
            Self::Plain(matcher) => matcher.matches(message),
            Self::Json(shape) => serde_json::from_slice::<Value>(message).is_ok_and(|found| shape.is_in(&found)),
        }
    }

    fn describe(&self) -> String {
        match self {
            Self::Plain(matcher) => describe(matcher),
            Self::Json(shape) => format!("JSON with {}", shape.shown()),
        }
    }
}

/// A matcher in words.
fn describe(matcher: &Matcher) -> String {
    match matcher {
        Matcher::Exact(text) => format!("exactly {text:?}"),
        Matcher::Contains(text) => format!("something that contains {text:?}"),
        Matcher::Prefix(text) => format!("something that begins with {text:?}"),
        Matcher::Regex(pattern) => format!("something that matches {:?}", pattern.as_str()),
        Matcher::Json(value) => format!("JSON with {value}"),
    }
}

fn as_written<S: Serializer>(shape: &Shape, serializer: S) -> Result<S::Ok, S::Error> {
    shape.written().serialize(serializer)
}

#[cfg(test)]
mod tests;
