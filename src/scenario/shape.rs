//! JSON that is looked for, with variables in its texts and keys.

use serde_json::{Map, Value};

use super::matcher::has;
use super::template::{MissingValue, Names, Template, TemplateError, Vars};

/// At least these members, as written. Equal when they are written alike.
#[derive(Debug, Clone)]
pub struct Shape {
    written: Value,
    root: Part,
}

#[derive(Debug, Clone)]
enum Part {
    /// As it stands.
    Fixed(Value),
    Text(Template),
    List(Vec<Part>),
    Members(Vec<(Template, Part)>),
}

/// JSON that is looked for on one connection.
#[derive(Debug, Clone, PartialEq)]
pub enum OwnShape {
    /// As a matcher without variables would.
    Fixed(Value),
    /// This text; or, where all of it is one variable, the number, `true`, `false` or `null` that is written like it: a captured
    /// number is a text from then on.
    Text(String, Option<Value>),
    /// So many items, each like this.
    List(Vec<OwnShape>),
    /// At least these members; a key that begins with `/` is a JSON pointer (RFC 6901).
    Members(Vec<(String, OwnShape)>),
}

impl PartialEq for Shape {
    fn eq(&self, other: &Self) -> bool {
        self.written == other.written
    }
}

/// JSON as read: with variables, or without any.
#[derive(Debug)]
pub(super) enum Read {
    Fixed(Value),
    Varying(Shape),
}

impl Shape {
    /// Reads the variables in JSON's texts and keys.
    pub(super) fn read(written: Value, names: &Names) -> Result<Read, TemplateError> {
        Ok(match Part::read(&written, names)? {
            Part::Fixed(value) => Read::Fixed(value),
            root => Read::Varying(Self { written, root }),
        })
    }

    /// As written: texts are templates.
    #[must_use]
    pub const fn written(&self) -> &Value {
        &self.written
    }

    pub(super) fn templates(&self) -> Vec<&Template> {
        let mut list = Vec::new();
        self.root.templates(&mut list);
        list
    }

    pub(super) fn bind(&self, vars: &Vars<'_>) -> Result<OwnShape, MissingValue> {
        self.root.bind(vars)
    }
}

impl Part {
    fn read(written: &Value, names: &Names) -> Result<Self, TemplateError> {
        let part = match written {
            Value::String(text) => {
                let template = Template::parse_fixed(text, names, false)?;
                match template.as_literal() {
                    Some(text) => Self::Fixed(text.into()),
                    None => Self::Text(template),
                }
            }
            Value::Array(items) => {
                let parts = items.iter().map(|item| Self::read(item, names)).collect::<Result<Vec<_>, _>>()?;
                let fixed: Option<Vec<Value>> = parts.iter().map(|p| p.fixed().cloned()).collect();
                fixed.map_or(Self::List(parts), |items| Self::Fixed(items.into()))
            }
            Value::Object(members) => {
                let mut parts = Vec::with_capacity(members.len());
                for (key, value) in members {
                    parts.push((Template::parse_fixed(key, names, false)?, Self::read(value, names)?));
                }
                let fixed: Option<Map<String, Value>> =
                    parts.iter().map(|(key, part)| Some((key.as_literal()?.to_owned(), part.fixed()?.clone()))).collect();
                fixed.map_or(Self::Members(parts), |members| Self::Fixed(members.into()))
            }
            other => Self::Fixed(other.clone()),
        };
        Ok(part)
    }

    const fn fixed(&self) -> Option<&Value> {
        if let Self::Fixed(value) = self { Some(value) } else { None }
    }

    fn templates<'a>(&'a self, list: &mut Vec<&'a Template>) {
        match self {
            Self::Fixed(_) => {}
            Self::Text(template) => list.push(template),
            Self::List(parts) => parts.iter().for_each(|part| part.templates(list)),
            Self::Members(members) => {
                for (key, part) in members {
                    list.push(key);
                    part.templates(list);
                }
            }
        }
    }

    fn bind(&self, vars: &Vars<'_>) -> Result<OwnShape, MissingValue> {
        Ok(match self {
            Self::Fixed(value) => OwnShape::Fixed(value.clone()),
            Self::Text(template) => {
                let text = template.text(vars)?;
                let scalar = template.is_one_variable().then(|| serde_json::from_str::<Value>(&text).ok()).flatten();
                OwnShape::Text(text, scalar.filter(|v| v.is_number() || v.is_boolean() || v.is_null()))
            }
            Self::List(parts) => OwnShape::List(parts.iter().map(|part| part.bind(vars)).collect::<Result<_, _>>()?),
            Self::Members(members) => {
                let bound = members.iter().map(|(name, part)| Ok((key(name, vars)?, part.bind(vars)?)));
                OwnShape::Members(bound.collect::<Result<_, _>>()?)
            }
        })
    }
}

/// A value is one step of a pointer, whatever its characters; and a key that was not written as a pointer never becomes one.
fn key(template: &Template, vars: &Vars<'_>) -> Result<String, MissingValue> {
    if template.as_str().starts_with('/') {
        return template.text_with(vars, step);
    }
    let text = template.text(vars)?;
    Ok(if text.starts_with('/') && template.as_literal().is_none() { format!("/{}", step(&text)) } else { text })
}

/// RFC 6901 section 3.
fn step(text: &str) -> String {
    text.replace('~', "~0").replace('/', "~1")
}

impl OwnShape {
    /// Whether `found` has at least what is looked for.
    pub(super) fn is_in(&self, found: &Value) -> bool {
        match self {
            Self::Fixed(wanted) => has(found, wanted),
            Self::Text(text, scalar) => {
                found.as_str() == Some(text) || scalar.as_ref().is_some_and(|scalar| !found.is_string() && has(found, scalar))
            }
            Self::List(wanted) => found
                .as_array()
                .is_some_and(|found| found.len() == wanted.len() && found.iter().zip(wanted).all(|(found, wanted)| wanted.is_in(found))),
            Self::Members(wanted) => {
                let pointers = wanted.iter().any(|(key, _)| key.starts_with('/'));
                (pointers || found.is_object())
                    && wanted.iter().all(|(key, wanted)| {
                        let place = if key.starts_with('/') { found.pointer(key) } else { found.get(key) };
                        place.is_some_and(|found| wanted.is_in(found))
                    })
            }
        }
    }

    /// As JSON, for people.
    pub(super) fn shown(&self) -> Value {
        match self {
            Self::Fixed(value) => value.clone(),
            Self::Text(text, _) => text.as_str().into(),
            Self::List(items) => items.iter().map(Self::shown).collect(),
            Self::Members(members) => members.iter().map(|(key, part)| (key.clone(), part.shown())).collect(),
        }
    }
}
