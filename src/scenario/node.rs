//! The text as a tree in which every value knows its place. `toml` reads; this adds the key path and lets several texts
//! (a preset and the scenario that uses it) become one tree.

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::error::At;

/// A value and where it stands.
#[derive(Debug, Clone)]
pub(super) struct Node {
    pub(super) at: At,
    pub(super) kind: Kind,
}

/// What a value is.
#[derive(Debug, Clone)]
pub(super) enum Kind {
    Text(String),
    Integer(i64),
    Float(f64),
    Bool(bool),
    Datetime(String),
    List(Vec<Node>),
    Table(Vec<Entry>),
}

/// A key, where it stands, and its value.
#[derive(Debug, Clone)]
pub(super) struct Entry {
    pub(super) key: String,
    pub(super) key_at: At,
    pub(super) node: Node,
}

impl Node {
    /// Reads `text` as far as it can be read; what could not is returned beside it as (place, what).
    pub(super) fn parse(text: &str, source: usize) -> (Self, Vec<(At, String)>) {
        let (table, errors) = DeTable::parse_recoverable(text);
        let errors = errors
            .into_iter()
            .map(|e| {
                let span = e.span().unwrap_or(0..0);
                (At { source, start: span.start, end: span.end, path: "".into() }, format!("not TOML: {}", e.message()))
            })
            .collect();
        let at = At { source, start: 0, end: 0, path: "".into() };
        (Self { at, kind: Kind::Table(entries(table.get_ref(), source, "")) }, errors)
    }

    /// What it is, for messages: `a text`, `the number 5`.
    pub(super) fn describe(&self) -> String {
        match &self.kind {
            Kind::Text(s) if s.chars().count() <= 40 => format!("the text {s:?}"),
            Kind::Text(_) => "a text".into(),
            Kind::Integer(i) => format!("the number {i}"),
            Kind::Float(x) => format!("the number {x}"),
            Kind::Bool(b) => format!("`{b}`"),
            Kind::Datetime(d) => format!("the date {d}"),
            Kind::List(items) => format!("a list of {}", items.len()),
            Kind::Table(_) => "a table".into(),
        }
    }

    /// The value as JSON; a date becomes its text.
    pub(super) fn to_json(&self) -> serde_json::Value {
        match &self.kind {
            Kind::Text(s) | Kind::Datetime(s) => s.as_str().into(),
            Kind::Integer(i) => (*i).into(),
            Kind::Float(x) => (*x).into(),
            Kind::Bool(b) => (*b).into(),
            Kind::List(items) => items.iter().map(Self::to_json).collect(),
            Kind::Table(entries) => entries.iter().map(|e| (e.key.clone(), e.node.to_json())).collect(),
        }
    }
}

fn entries(table: &DeTable<'_>, source: usize, path: &str) -> Vec<Entry> {
    let mut list: Vec<Entry> = table
        .iter()
        .map(|(key, value)| {
            let name = key.get_ref().to_string();
            let shown = if name.is_empty() || !name.chars().all(|c| c.is_ascii_alphanumeric() || "_-".contains(c)) {
                format!("{name:?}")
            } else {
                name.clone()
            };
            let path = if path.is_empty() { shown } else { format!("{path}.{shown}") };
            let span = key.span();
            let key_at = At { source, start: span.start, end: span.end, path: path.as_str().into() };
            Entry { key: name, key_at, node: node(value, source, &path) }
        })
        .collect();
    list.sort_by_key(|e| e.key_at.start);
    list
}

fn node(value: &Spanned<DeValue<'_>>, source: usize, path: &str) -> Node {
    let span = value.span();
    let at = At { source, start: span.start, end: span.end, path: path.into() };
    let kind = match value.get_ref() {
        DeValue::String(s) => Kind::Text(s.to_string()),
        DeValue::Integer(i) => match i64::from_str_radix(i.as_str(), i.radix()) {
            Ok(i) => Kind::Integer(i),
            // Beyond 64 bits: no key of ours wants such a number, and as a float it stays recognisable in the message.
            Err(_) => Kind::Float(i.as_str().parse().unwrap_or(f64::INFINITY)),
        },
        DeValue::Float(x) => Kind::Float(x.as_str().parse().unwrap_or(f64::NAN)),
        DeValue::Boolean(b) => Kind::Bool(*b),
        DeValue::Datetime(d) => Kind::Datetime(d.to_string()),
        DeValue::Array(items) => {
            Kind::List(items.iter().enumerate().map(|(i, item)| node(item, source, &format!("{path}[{i}]"))).collect())
        }
        DeValue::Table(table) => Kind::Table(entries(table, source, path)),
    };
    Node { at, kind }
}
