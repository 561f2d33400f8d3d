//! Reading a tree into types, noting everything that is wrong instead of stopping at the first, and describing the same
//! types as a JSON Schema. One declaration (the `table!` macro) gives the type, its keys, its reader and its schema, so
//! that the four cannot drift apart; serde's derive gives neither several errors at once nor a place for each.

use std::ops::Deref;

use serde_json::{Value, json};

use super::error::{At, Problem, ScenarioError, Source, Warning, nearest};
use super::node::{Entry, Kind, Node};
use super::quoted::is_secret;
use crate::base::{ByteSize, Rate, Span};

/// Collects what is wrong.
#[derive(Debug)]
pub(super) struct Reader {
    pub(super) sources: Vec<Source>,
    problems: Vec<(At, Problem)>,
    warnings: Vec<Warning>,
}

impl Reader {
    pub(super) fn new(sources: Vec<Source>) -> Self {
        Self { sources, problems: Vec::new(), warnings: Vec::new() }
    }

    /// Notes an error.
    pub(super) fn fail(&mut self, at: &At, what: impl Into<String>, help: impl Into<String>) {
        let problem = Problem::new(&self.sources, at, what.into(), help.into());
        self.problems.push((at.clone(), problem));
    }

    /// Notes a doubt.
    pub(super) fn warn(&mut self, at: &At, what: impl Into<String>, help: impl Into<String>) {
        self.warnings.push(Warning(Problem::new(&self.sources, at, what.into(), help.into())));
    }

    /// The first place of `piece` in the text at `at`, or all of it when it does not stand there as it is (escapes).
    pub(super) fn within(&self, at: &At, piece: &str) -> At {
        let text = self.sources.get(at.source).map_or("", |s| s.text.as_str());
        match text.get(at.start..at.end).and_then(|range| range.find(piece)) {
            Some(i) => At { start: at.start + i, end: at.start + i + piece.len(), ..at.clone() },
            None => at.clone(),
        }
    }

    /// Notes a value of the wrong type.
    pub(super) fn wrong(&mut self, node: &Node, wanted: &str) {
        // A secret of the wrong type is one all the same.
        let found = if is_secret(&node.at.path) && matches!(node.kind, Kind::Text(_)) { "a text".into() } else { node.describe() };
        self.fail(&node.at, format!("expected {wanted}, found {found}"), "");
    }

    /// All that was noted so far, if it was anything.
    pub(super) fn check(&mut self) -> Result<(), ScenarioError> {
        if self.problems.is_empty() {
            return Ok(());
        }
        let mut problems = std::mem::take(&mut self.problems);
        problems.sort_by_key(|(at, _)| (at.source, at.start));
        problems.dedup_by(|a, b| a.1 == b.1);
        Err(ScenarioError { problems: problems.into_iter().map(|(_, p)| p).collect() })
    }

    /// `None` when anything was noted: for stopping early inside a step.
    pub(super) fn check_again(&self) -> Option<()> {
        self.problems.is_empty().then_some(())
    }

    /// The doubts.
    pub(super) fn into_warnings(self) -> Vec<Warning> {
        self.warnings
    }
}

/// A value with its place.
#[derive(Debug, Clone)]
pub(super) struct Spot<T> {
    pub(super) value: T,
    pub(super) at: At,
}

impl<T> Deref for Spot<T> {
    type Target = T;
    fn deref(&self) -> &T {
        &self.value
    }
}

/// A type that can be read from a tree.
pub(super) trait Typed: Sized {
    /// The value, or `None` after noting why not.
    fn read(node: &Node, r: &mut Reader) -> Option<Self>;
    /// Its JSON Schema.
    fn schema() -> Value;
}

/// The keys of a table, taken one by one; what is left at the end is unknown.
pub(super) struct Keys<'a> {
    entries: &'a [Entry],
    taken: Vec<bool>,
    known: Vec<&'static str>,
}

impl<'a> Keys<'a> {
    pub(super) fn of(node: &'a Node, wanted: &str, r: &mut Reader) -> Option<Self> {
        let Kind::Table(entries) = &node.kind else {
            r.wrong(node, wanted);
            return None;
        };
        Some(Self { entries, taken: vec![false; entries.len()], known: Vec::new() })
    }

    pub(super) fn take<T: Typed>(&mut self, key: &'static str, r: &mut Reader) -> Option<Spot<T>> {
        self.known.push(key);
        let i = self.entries.iter().position(|e| e.key == key)?;
        self.taken[i] = true;
        let node = &self.entries[i].node;
        Some(Spot { value: T::read(node, r)?, at: node.at.clone() })
    }

    /// Notes what is left over; says whether there was anything.
    pub(super) fn finish(self, r: &mut Reader) -> bool {
        let mut unknown = false;
        for (entry, _) in self.entries.iter().zip(&self.taken).filter(|(_, taken)| !**taken) {
            unknown_key(entry, &self.known, r);
            unknown = true;
        }
        unknown
    }
}

/// Notes a key nobody knows, with the nearest one that is known.
pub(super) fn unknown_key(entry: &Entry, known: &[&str], r: &mut Reader) {
    let help = match nearest(&entry.key, known.iter().copied()) {
        Some(near) => format!("did you mean `{near}`?"),
        None => format!("known here: {}", known.join(", ")),
    };
    r.fail(&entry.key_at, format!("unknown key `{}`", entry.key), help);
}

/// Declares a table as typed: every key optional and with its place.
macro_rules! table {
    ($(#[doc = $about:literal])* $name:ident { $($(#[doc = $doc:literal])* $field:ident : $ty:ty,)* }) => {
        $(#[doc = $about])*
        #[derive(Debug, Clone, Default)]
        pub(in crate::scenario) struct $name {
            $($(#[doc = $doc])* pub(in crate::scenario) $field: Option<$crate::scenario::typed::Spot<$ty>>,)*
        }

        impl $crate::scenario::typed::Typed for $name {
            fn read(node: &$crate::scenario::node::Node, r: &mut $crate::scenario::typed::Reader) -> Option<Self> {
                let mut keys = $crate::scenario::typed::Keys::of(node, "a table", r)?;
                let value = Self {
                    $($field: keys.take($crate::scenario::typed::key(stringify!($field)), r),)*
                };
                keys.finish(r);
                Some(value)
            }

            fn schema() -> serde_json::Value {
                let mut properties = serde_json::Map::new();
                $(
                    let doc = $crate::scenario::typed::prose(&[$($doc),*]);
                    properties.insert(
                        $crate::scenario::typed::key(stringify!($field)).into(),
                        $crate::scenario::typed::described(<$ty as $crate::scenario::typed::Typed>::schema(), &doc),
                    );
                )*
                $crate::scenario::typed::described(
                    serde_json::json!({ "type": "object", "properties": properties, "additionalProperties": false }),
                    &$crate::scenario::typed::prose(&[$($about),*]),
                )
            }
        }
    };
}
pub(super) use table;

/// A field's name as a key: `r#for` is `for`.
pub(super) fn key(field: &'static str) -> &'static str {
    field.strip_prefix("r#").unwrap_or(field)
}

/// Doc lines as one sentence.
pub(super) fn prose(lines: &[&str]) -> String {
    lines.iter().map(|l| l.trim()).collect::<Vec<_>>().join(" ")
}

/// A schema with its description in front.
pub(super) fn described(schema: Value, doc: &str) -> Value {
    let Value::Object(mut map) = schema else { return schema };
    let mut out = serde_json::Map::new();
    if !doc.is_empty() {
        map.shift_remove("description");
        out.insert("description".into(), doc.into());
    }
    out.extend(map);
    Value::Object(out)
}

impl Typed for String {
    fn read(node: &Node, r: &mut Reader) -> Option<Self> {
        match &node.kind {
            Kind::Text(s) => Some(s.clone()),
            _ => {
                r.wrong(node, "a text in quotes");
                None
            }
        }
    }
    fn schema() -> Value {
        json!({ "type": "string" })
    }
}

impl Typed for bool {
    fn read(node: &Node, r: &mut Reader) -> Option<Self> {
        match &node.kind {
            Kind::Bool(b) => Some(*b),
            _ => {
                r.wrong(node, "true or false");
                None
            }
        }
    }
    fn schema() -> Value {
        json!({ "type": "boolean" })
    }
}

impl Typed for u32 {
    fn read(node: &Node, r: &mut Reader) -> Option<Self> {
        let Kind::Integer(i) = &node.kind else {
            r.wrong(node, "a whole number");
            return None;
        };
        let value = Self::try_from(*i).ok();
        if value.is_none() {
            r.fail(&node.at, format!("{i} is out of range"), format!("write a whole number from 0 to {}", Self::MAX));
        }
        value
    }
    fn schema() -> Value {
        json!({ "type": "integer", "minimum": 0 })
    }
}

/// Reads a text with a unit; a bare number is told what it lacks.
fn unit<T: std::str::FromStr<Err: std::fmt::Display>>(node: &Node, r: &mut Reader, wanted: &str) -> Option<T> {
    let text = match &node.kind {
        Kind::Text(s) => s.clone(),
        Kind::Integer(i) => i.to_string(),
        Kind::Float(x) => x.to_string(),
        _ => {
            r.wrong(node, wanted);
            return None;
        }
    };
    match text.parse() {
        Ok(value) => Some(value),
        Err(error) => {
            let message = error.to_string();
            let (what, help) = message.split_once(": ").map_or((message.as_str(), ""), |(a, b)| (a, b));
            r.fail(&node.at, what, help);
            None
        }
    }
}

impl Typed for Span {
    fn read(node: &Node, r: &mut Reader) -> Option<Self> {
        unit(node, r, "a time such as \"250ms\" or \"5s\"")
    }
    fn schema() -> Value {
        json!({ "type": "string", "pattern": r"^\s*[0-9.]+\s*(ns|us|µs|ms|s|m|min|h)\s*$", "examples": ["250ms", "5s", "2m"] })
    }
}

impl Typed for Rate {
    fn read(node: &Node, r: &mut Reader) -> Option<Self> {
        unit(node, r, "a rate such as \"50/s\"")
    }
    fn schema() -> Value {
        json!({ "type": "string", "pattern": r"^\s*[0-9.]+\s*/\s*(s|sec|second|m|min|minute|h|hour)\s*$", "examples": ["50/s", "30/m"] })
    }
}

impl Typed for ByteSize {
    fn read(node: &Node, r: &mut Reader) -> Option<Self> {
        unit(node, r, "a size such as \"128B\" or \"4KiB\"")
    }
    fn schema() -> Value {
        json!({ "type": ["string", "integer"], "examples": ["128B", "4KiB"] })
    }
}

/// A share of a whole: `"99%"`, or a number from 0 to 1.
#[derive(Debug, Clone, Copy)]
pub(super) struct Share(pub(super) f64);

impl Typed for Share {
    fn read(node: &Node, r: &mut Reader) -> Option<Self> {
        #[expect(clippy::cast_precision_loss, reason = "out of range anyway when it matters")]
        let value = match &node.kind {
            Kind::Text(s) => s.trim().strip_suffix('%').and_then(|n| n.trim().parse::<f64>().ok()).map(|p| p / 100.0),
            Kind::Integer(i) => Some(*i as f64),
            Kind::Float(x) => Some(*x),
            _ => None,
        };
        let share = value.filter(|x| (0.0..=1.0).contains(x)).map(Self);
        if share.is_none() {
            r.fail(&node.at, format!("expected a share, found {}", node.describe()), "write `\"99%\"`, or a number from 0 to 1");
        }
        share
    }
    fn schema() -> Value {
        json!({ "type": ["string", "number"], "examples": ["99%", 0.99] })
    }
}

impl<T: Typed> Typed for Vec<Spot<T>> {
    fn read(node: &Node, r: &mut Reader) -> Option<Self> {
        let Kind::List(items) = &node.kind else {
            r.wrong(node, "a list in brackets");
            return None;
        };
        let read: Vec<_> = items.iter().filter_map(|i| Some(Spot { value: T::read(i, r)?, at: i.at.clone() })).collect();
        (read.len() == items.len()).then_some(read)
    }
    fn schema() -> Value {
        json!({ "type": "array", "items": T::schema() })
    }
}

/// One thing, or a list of them: `[clients]` and `[[clients]]`.
#[derive(Debug, Clone)]
pub(super) struct OneOrMany<T>(pub(super) Vec<Spot<T>>);

impl<T: Typed> Typed for OneOrMany<T> {
    fn read(node: &Node, r: &mut Reader) -> Option<Self> {
        match &node.kind {
            Kind::List(_) => Vec::read(node, r).map(Self),
            _ => T::read(node, r).map(|value| Self(vec![Spot { value, at: node.at.clone() }])),
        }
    }
    fn schema() -> Value {
        json!({ "anyOf": [T::schema(), { "type": "array", "items": T::schema() }] })
    }
}

/// Free keys: names to values, in the order written.
#[derive(Debug, Clone)]
pub(super) struct Named<T>(pub(super) Vec<(String, Spot<T>)>);

impl<T: Typed> Typed for Named<T> {
    fn read(node: &Node, r: &mut Reader) -> Option<Self> {
        let Kind::Table(entries) = &node.kind else {
            r.wrong(node, "a table of names and values");
            return None;
        };
        let read: Vec<_> =
            entries.iter().filter_map(|e| Some((e.key.clone(), Spot { value: T::read(&e.node, r)?, at: e.node.at.clone() }))).collect();
        (read.len() == entries.len()).then_some(Self(read))
    }
    fn schema() -> Value {
        json!({ "type": "object", "additionalProperties": T::schema() })
    }
}

/// A check that may be switched: `false`, `true`, or a table of its settings.
#[derive(Debug, Clone)]
pub(super) enum Toggle<T> {
    Off,
    On(T),
}

impl<T: Typed + Default> Typed for Toggle<T> {
    fn read(node: &Node, r: &mut Reader) -> Option<Self> {
        match &node.kind {
            Kind::Bool(false) => Some(Self::Off),
            Kind::Bool(true) => Some(Self::On(T::default())),
            Kind::Table(_) => T::read(node, r).map(Self::On),
            _ => {
                r.wrong(node, "true, false, or a table of settings");
                None
            }
        }
    }
    fn schema() -> Value {
        json!({ "anyOf": [{ "type": "boolean" }, T::schema()] })
    }
}

/// Any value, kept as a tree.
#[derive(Debug, Clone)]
pub(super) struct Any(pub(super) Node);

impl Typed for Any {
    fn read(node: &Node, _: &mut Reader) -> Option<Self> {
        Some(Self(node.clone()))
    }
    fn schema() -> Value {
        json!({})
    }
}
