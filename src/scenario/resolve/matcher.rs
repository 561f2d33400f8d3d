//! Matchers wherever they stand: of fixed text, or with variables whose values each connection has.

use super::super::error::At;
use super::super::matcher::Pattern;
use super::super::model::{Matcher, Varying, Wanted};
use super::super::node::Kind;
use super::super::schema;
use super::super::shape::{Read, Shape};
use super::super::template::{Names, Template};
use super::super::typed::{Any, Reader, Spot};
use super::language::{believed, pattern_at};

/// A matcher as meant. `timed`: whether a time limit makes sense here (greetings).
pub(super) fn matcher(typed: &schema::Match, at: &At, timed: bool, names: &Names, r: &mut Reader) -> Option<Wanted> {
    let table = match typed {
        schema::Match::Text(text) => return some_text(text, at, r).and_then(|text| exact(text, at, names, r)),
        schema::Match::Table(table) => table,
    };
    if let (Some(within), false) = (&table.within, timed) {
        r.fail(&within.at, "a time limit does not belong to this matcher", "write `within` beside `expect`");
        return None;
    }
    let kinds = [table.exact.is_some(), table.contains.is_some(), table.prefix.is_some(), table.regex.is_some(), table.json.is_some()];
    if kinds.iter().filter(|given| **given).count() != 1 {
        r.fail(at, "a matcher is of one kind", "exactly one of: exact, contains, prefix, regex, json");
        return None;
    }
    if let Some(text) = &table.exact {
        return exact(text, &text.at, names, r);
    }
    if let Some(text) = &table.contains {
        let template = fixed(some_text(text, &text.at, r)?, &text.at, names, r)?;
        return Some(wanted(template, Matcher::Contains, Varying::Contains));
    }
    if let Some(text) = &table.prefix {
        let template = fixed(some_text(text, &text.at, r)?, &text.at, names, r)?;
        return Some(wanted(template, Matcher::Prefix, Varying::Prefix));
    }
    if let Some(text) = &table.regex {
        return regex(text, names, r);
    }
    json(table.json.as_ref()?, names, r)
}

fn some_text<'a>(text: &'a str, at: &At, r: &mut Reader) -> Option<&'a str> {
    if text.is_empty() {
        r.fail(at, "an empty text matches nothing in particular", "write the text meant; for an empty message { exact = \"\" }");
        return None;
    }
    Some(text)
}

fn fixed(text: &str, at: &At, names: &Names, r: &mut Reader) -> Option<Template> {
    believed(Template::parse_fixed(text, names, false), at, r)
}

fn wanted(template: Template, plain: fn(String) -> Matcher, varying: fn(Template) -> Varying) -> Wanted {
    match template.as_literal() {
        Some(text) => Wanted::Fixed(plain(text.into())),
        None => Wanted::WithVariables(varying(template)),
    }
}

fn exact(text: &str, at: &At, names: &Names, r: &mut Reader) -> Option<Wanted> {
    fixed(text, at, names, r).map(|template| wanted(template, Matcher::Exact, Varying::Exact))
}

fn regex(text: &Spot<String>, names: &Names, r: &mut Reader) -> Option<Wanted> {
    let template = believed(Template::parse_fixed(text, names, true), &text.at, r)?;
    match template.as_literal() {
        Some(source) => pattern_at(source, &text.at, r).map(|pattern| Wanted::Fixed(Matcher::Regex(pattern))),
        None => {
            // Whatever the values are, they stand in groups of their own.
            let _: Pattern = pattern_at(&template.sample("(?:x)"), &text.at, r)?;
            Some(Wanted::WithVariables(Varying::Regex(template)))
        }
    }
}

/// JSON as a TOML value, or as JSON in a text.
fn json(spot: &Spot<Any>, names: &Names, r: &mut Reader) -> Option<Wanted> {
    let written = match &spot.value.0.kind {
        Kind::Text(text) => match serde_json::from_str(text) {
            Ok(value) => value,
            Err(error) => {
                let bare = Template::parse(text, names).is_ok_and(|template| template.as_literal().is_none());
                let help = if bare {
                    "variables stand in texts: write \"{client.id}\"; it matches the number too"
                } else {
                    "write a table such as { type = 0 }, or JSON in single quotes: '{\"type\":0}'"
                };
                r.fail(&spot.at, format!("not JSON: {error}"), help);
                return None;
            }
        },
        _ => spot.value.0.to_json(),
    };
    Some(match believed(Shape::read(written, names), &spot.at, r)? {
        Read::Fixed(value) => Wanted::Fixed(Matcher::Json(value)),
        Read::Varying(shape) => Wanted::WithVariables(Varying::Json(shape)),
    })
}
