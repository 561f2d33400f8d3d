//! Texts with variables: `{client.id}`, `{room}`, `{stamp}`. Read once, when the scenario is; a variable nobody knows is an
//! error there, not a surprise in the run. Must never know where a value comes from: all are given in [`Vars`].

mod refusal;
mod scan;
mod value;

use std::collections::BTreeMap;
use std::sync::Arc;

use refusal::{changes, in_class, own, unknown};
use scan::Scan;
use serde::{Serialize, Serializer};
use value::Filter;

use super::feeder::Row;
use crate::base::{ConnId, RunId};

pub(super) use value::{Computation, Definition, Var};

/// A text with variables, as written and as read. Equal when the texts are.
#[derive(Debug, Clone)]
pub struct Template {
    source: String,
    parts: Vec<Part>,
}

#[derive(Debug, Clone)]
enum Part {
    Literal(String),
    Var(Var, Filter),
}

/// The names a template may use besides the built-in ones.
#[derive(Debug, Clone, Default)]
pub(super) struct Names {
    /// Captured by a script or a reply; the index is the slot in [`Captured`].
    pub(super) captures: Vec<String>,
    /// `[vars]`.
    pub(super) defined: BTreeMap<String, Arc<Definition>>,
    /// Columns of the feeder: `None` without a feeder, empty when its file has not been read.
    pub(super) columns: Option<Vec<String>>,
}

/// Values captured on one connection, by slot.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Captured(Vec<Option<String>>);

impl Captured {
    /// Keeps a value.
    pub fn set(&mut self, slot: usize, value: String) {
        if self.0.len() <= slot {
            self.0.resize(slot + 1, None);
        }
        self.0[slot] = Some(value);
    }

    /// The value of a slot, once captured.
    #[must_use]
    pub fn get(&self, slot: usize) -> Option<&str> {
        self.0.get(slot)?.as_deref()
    }
}

/// The values of all variables at one moment on one connection. What does not apply is left at its default.
#[derive(Debug, Clone, Copy)]
pub struct Vars<'a> {
    /// `{run}`.
    pub run: RunId,
    /// `{client.id}`.
    pub client: ConnId,
    /// `{client.index}`: its place in its group.
    pub index: u32,
    /// `{group}`.
    pub group: &'a str,
    /// `{room}`.
    pub room: &'a str,
    /// `{seq}`: which publication of this publisher.
    pub seq: u64,
    /// `{count}`: which sending of a timed message, from 1.
    pub count: u64,
    /// `{now_ms}` and, divided, `{now_s}`: Unix time, told by the edge.
    pub now_ms: u64,
    /// What `{uuid}` is made of; give other bits for every message.
    pub random: u128,
    /// `{env.NAME}`; see [`Scenario::env_names`](super::Scenario::env_names).
    pub env: &'a BTreeMap<String, String>,
    /// Captured values.
    pub captured: &'a Captured,
    /// The client's row of the feeder.
    pub row: Option<Row<'a>>,
    /// `{stamp}`: the whole payload, stamp and padding.
    pub payload: &'a [u8],
    /// `{body}`: the rendered body of the request being built.
    pub body: &'a [u8],
}

static NO_ENV: BTreeMap<String, String> = BTreeMap::new();
static NO_CAPTURES: Captured = Captured(Vec::new());

impl Default for Vars<'_> {
    fn default() -> Self {
        Self {
            run: RunId(0),
            client: ConnId(0),
            index: 0,
            group: "clients",
            room: "1",
            seq: 0,
            count: 1,
            now_ms: 0,
            random: 0,
            env: &NO_ENV,
            captured: &NO_CAPTURES,
            row: None,
            payload: b"",
            body: b"",
        }
    }
}

/// A variable that has no value at this moment.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct MissingValue(pub(super) String);

/// What is wrong with a template: the piece of text it is about, what, and what to write.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct TemplateError {
    pub(super) piece: String,
    pub(super) what: String,
    pub(super) help: String,
}

/// The built-in variables, for messages and suggestions.
pub(super) const BUILT_IN: [&str; 13] =
    ["client.id", "client.index", "group", "room", "run", "seq", "count", "now_ms", "now_s", "uuid", "stamp", "stamp.len", "body"];

impl Template {
    /// Reads a template. `{name}` is a variable when it looks like one, `{{name}}` is the text `{name}`; any other brace is
    /// itself, so JSON needs no escaping.
    pub(super) fn parse(source: &str, names: &Names) -> Result<Self, TemplateError> {
        Self::read(source, names, Scan::text(), |_, _| Ok(()))
    }

    /// Reads what a message is compared with: as [`parse`](Self::parse), but a variable whose value changes from message to
    /// message is refused, since nothing could be known by it. In a regular expression (`pattern`), the braces of its own syntax
    /// are no variables, nor is `\{`.
    pub(super) fn parse_fixed(source: &str, names: &Names, pattern: bool) -> Result<Self, TemplateError> {
        let scan = if pattern { Scan::pattern() } else { Scan::text() };
        Self::read(source, names, scan, |inner, var| match var.is_late() {
            true => Err(changes(inner, var)),
            false => Ok(()),
        })
    }

    /// Reads what is the same for every client: as [`parse`](Self::parse), but with the environment's variables alone.
    pub(super) fn parse_shared(source: &str, names: &Names) -> Result<Self, TemplateError> {
        Self::read(source, names, Scan::text(), |inner, var| if var.is_shared() { Ok(()) } else { Err(own(inner)) })
    }

    fn read(
        source: &str,
        names: &Names,
        mut scan: Scan,
        allowed: impl Fn(&str, &Var) -> Result<(), TemplateError>,
    ) -> Result<Self, TemplateError> {
        let mut parts: Vec<Part> = Vec::new();
        let mut literal = String::new();
        let mut rest = source;
        while let Some(open) = scan.brace(rest) {
            literal.push_str(&rest[..open]);
            let tail = &rest[open..];
            if let Some(inner) = tail.strip_prefix('{').and_then(placeholder) {
                let (var, filter) = variable(inner, names).map_err(|e| scan.remedy(inner, e))?;
                allowed(inner, &var)?;
                if scan.in_class() {
                    return Err(in_class(inner));
                }
                if !literal.is_empty() {
                    parts.push(Part::Literal(std::mem::take(&mut literal)));
                }
                parts.push(Part::Var(var, filter));
                rest = &tail[inner.len() + 2..];
            } else if let Some(inner) = tail.strip_prefix("{{").and_then(placeholder)
                && tail[inner.len() + 3..].starts_with('}')
            {
                literal.push('{');
                literal.push_str(inner);
                literal.push('}');
                rest = &tail[inner.len() + 4..];
            } else {
                literal.push('{');
                rest = &tail[1..];
            }
        }
        literal.push_str(rest);
        if !literal.is_empty() {
            parts.push(Part::Literal(literal));
        }
        Ok(Self { source: source.into(), parts })
    }

    /// How a text is written where variables are looked for, so that it is this text and no variable.
    #[must_use]
    pub fn source_of(text: &str) -> String {
        Self::escape(text, false)
    }

    /// The source of which [`parse_fixed`](Self::parse_fixed) makes this text, and no variable.
    pub(super) fn escape(text: &str, pattern: bool) -> String {
        let mut scan = if pattern { Scan::pattern() } else { Scan::text() };
        let mut out = String::with_capacity(text.len());
        let mut rest = text;
        while let Some(open) = scan.brace(rest) {
            out.push_str(&rest[..open]);
            let tail = &rest[open + 1..];
            match placeholder(tail) {
                Some(inner) => {
                    out.push_str("{{");
                    out.push_str(inner);
                    out.push_str("}}");
                    rest = &tail[inner.len() + 1..];
                }
                None => {
                    out.push('{');
                    rest = tail;
                }
            }
        }
        out.push_str(rest);
        out
    }

    /// A text without variables.
    #[must_use]
    pub fn literal(text: &str) -> Self {
        let source = text.to_owned();
        Self { parts: vec![Part::Literal(source.clone())], source }
    }

    /// As written.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.source
    }

    /// The text itself, where it has no variables.
    pub(super) fn as_literal(&self) -> Option<&str> {
        match &self.parts[..] {
            [] => Some(""),
            [Part::Literal(text)] => Some(text),
            _ => None,
        }
    }

    /// Whether it is one variable and nothing else.
    pub(super) fn is_one_variable(&self) -> bool {
        matches!(&self.parts[..], [Part::Var(..)])
    }

    /// Whether nothing stands before its first variable.
    pub(super) fn begins_with_variable(&self) -> bool {
        matches!(&self.parts[..], [Part::Var(..), ..])
    }

    /// Whether it has a value that is not to be shown: tokens come from the environment or the feeder.
    pub(super) fn is_private(&self) -> bool {
        self.vars().iter().any(|v| matches!(v, Var::Env(_) | Var::Column(_)))
    }

    /// The text with every value written as `write` says.
    ///
    /// # Errors
    /// As [`render`](Self::render).
    pub(super) fn text_with(&self, vars: &Vars<'_>, write: impl Fn(&str) -> String) -> Result<String, MissingValue> {
        let mut out = String::with_capacity(self.source.len());
        for part in &self.parts {
            match part {
                Part::Literal(text) => out.push_str(text),
                Part::Var(var, filter) => {
                    let mut value = Vec::new();
                    filter.write(&var.value(vars)?, &mut value);
                    out.push_str(&write(&String::from_utf8_lossy(&value)));
                }
            }
        }
        Ok(out)
    }

    /// The text with `value` for every variable.
    pub(super) fn sample(&self, value: &str) -> String {
        self.parts.iter().map(|part| if let Part::Literal(text) = part { text } else { value }).collect()
    }

    /// The text with the variables' values.
    ///
    /// # Errors
    /// A variable that has no value: the environment lacks it, or it has not been captured.
    pub fn render(&self, vars: &Vars<'_>) -> Result<Vec<u8>, MissingValue> {
        let mut out = Vec::with_capacity(self.source.len());
        self.render_into(vars, &mut out)?;
        Ok(out)
    }

    /// As [`render`](Self::render), as text; bytes that are not UTF-8 (only a payload could bring any) are replaced.
    ///
    /// # Errors
    /// As [`render`](Self::render).
    pub fn text(&self, vars: &Vars<'_>) -> Result<String, MissingValue> {
        self.render(vars).map(|bytes| String::from_utf8(bytes).unwrap_or_else(|e| String::from_utf8_lossy(e.as_bytes()).into_owned()))
    }

    pub(super) fn render_into(&self, vars: &Vars<'_>, out: &mut Vec<u8>) -> Result<(), MissingValue> {
        for part in &self.parts {
            match part {
                Part::Literal(text) => out.extend_from_slice(text.as_bytes()),
                Part::Var(Var::Stamp, Filter::None) => out.extend_from_slice(vars.payload),
                Part::Var(var, filter) => filter.write(&var.value(vars)?, out),
            }
        }
        Ok(())
    }

    /// The template cut where something only known at each publication stands: text rendered now, and what is left.
    pub(super) fn bind(&self, vars: &Vars<'_>) -> Result<Vec<Bound>, MissingValue> {
        let mut bound = Vec::new();
        for part in &self.parts {
            let (late, mut text) = match part {
                Part::Literal(text) => (None, text.clone().into_bytes()),
                Part::Var(Var::Stamp, Filter::None) => (Some(Bound::Stamp), Vec::new()),
                Part::Var(Var::StampLen, Filter::None) => (Some(Bound::StampLen), Vec::new()),
                Part::Var(Var::Seq, Filter::None) => (Some(Bound::Seq), Vec::new()),
                Part::Var(var, _) if var.is_late() => {
                    (Some(Bound::Late(Self { source: self.source.clone(), parts: vec![part.clone()] })), Vec::new())
                }
                Part::Var(var, filter) => {
                    let mut text = Vec::new();
                    filter.write(&var.value(vars)?, &mut text);
                    (None, text)
                }
            };
            match (late, bound.last_mut()) {
                (Some(late), _) => bound.push(late),
                (None, Some(Bound::Bytes(before))) => before.append(&mut text),
                (None, _) => bound.push(Bound::Bytes(text)),
            }
        }
        Ok(bound)
    }

    /// The slots of captured values it needs.
    pub(super) fn slots(&self) -> Vec<usize> {
        self.vars().into_iter().filter_map(|v| if let Var::Captured(slot) = v { Some(*slot) } else { None }).collect()
    }

    /// The environment variables it needs.
    pub(super) fn env(&self) -> Vec<String> {
        self.vars().into_iter().filter_map(|v| if let Var::Env(name) = v { Some(name.clone()) } else { None }).collect()
    }

    /// Whether it holds the payload, and how that is written there.
    pub(super) fn carries(&self) -> Option<super::dialect::Carrier> {
        self.parts.iter().find_map(|part| match part {
            Part::Var(Var::Stamp, Filter::Base64) => Some(super::dialect::Carrier::Base64),
            Part::Var(Var::Stamp, Filter::Hex) => Some(super::dialect::Carrier::Hex),
            Part::Var(Var::Stamp, _) => Some(super::dialect::Carrier::Plain),
            Part::Var(Var::Defined(d), _) => d.of.carries(),
            _ => None,
        })
    }

    /// Whether it names `{stamp}`, `{stamp.len}`, `{seq}` or `{body}`, which only publications have.
    pub(super) fn of_publication(&self) -> bool {
        self.vars().iter().any(|v| v.is_of_publication())
    }

    /// All variables, those inside definitions included.
    fn vars(&self) -> Vec<&Var> {
        let mut list = Vec::new();
        for part in &self.parts {
            if let Part::Var(var, _) = part {
                list.push(var);
                if let Var::Defined(definition) = var {
                    list.extend(definition.of.vars());
                    if let Computation::HmacSha256 { key } = &definition.how {
                        list.extend(key.vars());
                    }
                }
            }
        }
        list
    }
}

/// A piece of a template bound to a connection.
#[derive(Debug, Clone)]
pub(super) enum Bound {
    Bytes(Vec<u8>),
    Stamp,
    StampLen,
    Seq,
    Late(Template),
}

/// What stands between braces, when it looks like a variable: a name, dots, and filters behind bars.
fn placeholder(text: &str) -> Option<&str> {
    let end = text.find('}')?;
    let inner = &text[..end];
    let word = |c: char| c.is_ascii_alphanumeric() || "_.|".contains(c);
    (inner.starts_with(|c: char| c.is_ascii_alphabetic()) && inner.chars().all(word)).then_some(inner)
}

fn variable(inner: &str, names: &Names) -> Result<(Var, Filter), TemplateError> {
    let error = |what: String, help: String| TemplateError { piece: format!("{{{inner}}}"), what, help };
    let (name, filter) = inner.split_once('|').unwrap_or((inner, ""));
    let filter = match filter {
        "" => Filter::None,
        "json" => Filter::Json,
        "base64" => Filter::Base64,
        "hex" => Filter::Hex,
        "url" => Filter::Url,
        other => return Err(error(format!("`{other}` is not a way to write a value"), "one of: json, base64, hex, url".into())),
    };
    let captured = names.captures.iter().position(|c| c == name);
    let column = |name: &str| names.columns.as_ref().is_some_and(|columns| columns.is_empty() || columns.iter().any(|c| c == name));
    let var = match name {
        "client.id" => Var::ClientId,
        "client.index" => Var::ClientIndex,
        "group" => Var::Group,
        "room" => Var::Room,
        "run" => Var::Run,
        "seq" => Var::Seq,
        "count" => Var::Count,
        "now_ms" => Var::NowMs,
        "now_s" => Var::NowS,
        "uuid" => Var::Uuid,
        "stamp" => Var::Stamp,
        "stamp.len" => Var::StampLen,
        "body" => Var::Body,
        _ if name.starts_with("env.") => Var::Env(name["env.".len()..].into()),
        _ => match (names.defined.get(name), captured, name.strip_prefix("feeder.").unwrap_or(name)) {
            (Some(definition), ..) => Var::Defined(Arc::clone(definition)),
            (_, Some(slot), _) => Var::Captured(slot),
            (_, _, name) if column(name) => Var::Column(name.into()),
            _ => return Err(unknown(name, inner, names)),
        },
    };
    Ok((var, filter))
}

impl PartialEq for Template {
    fn eq(&self, other: &Self) -> bool {
        self.source == other.source
    }
}

impl Serialize for Template {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.source)
    }
}

#[cfg(test)]
mod tests;
