//! Templates, messages and captures wherever they stand, and the names they may use.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::super::body::{Body, Piece};
use super::super::capture::{Capture, Extract};
use super::super::error::At;
use super::super::feeder::Rows;
use super::super::matcher::Pattern;
use super::super::model::{Compute, Variable};
use super::super::schema::session::{ExtractTable, ExtractTyped, PieceTyped, SendTyped, TextBody, VarTyped};
use super::super::schema::{self};
use super::super::template::{BUILT_IN, Computation, Definition, Names, Template, TemplateError};
use super::super::typed::{Any, Named, Reader, Spot};

/// Every name a template of this document may use, and the `[vars]` as meant.
pub(super) fn names(document: &schema::Document, rows: Option<&Rows>, r: &mut Reader) -> (Names, Vec<Variable>) {
    let mut names = Names::default();
    let steps = |script: &Option<Spot<Vec<Spot<schema::session::StepTable>>>>| -> Vec<Spot<Named<ExtractTyped>>> {
        script.iter().flat_map(|s| &s.value).filter_map(|step| step.capture.clone()).collect()
    };
    let replies = |list: &Option<Spot<Vec<Spot<schema::session::ReplyTable>>>>| -> Vec<Spot<Named<ExtractTyped>>> {
        list.iter().flat_map(|s| &s.value).filter_map(|reply| reply.capture.clone()).collect()
    };
    let mut tables = steps(&document.script);
    tables.extend(replies(&document.reply));
    for group in document.clients.iter().flat_map(|c| &c.0) {
        tables.extend(steps(&group.script));
        tables.extend(replies(&group.reply));
    }
    for (name, spot) in tables.iter().flat_map(|t| &t.0) {
        if good_name(name, &spot.at, r) && !names.captures.contains(name) {
            names.captures.push(name.clone());
        }
    }
    if document.feeder.is_some() {
        names.columns = Some(rows.map(|rows| rows.columns().to_vec()).unwrap_or_default());
    }
    let variables = variables(document, &mut names, r);
    (names, variables)
}

fn good_name(name: &str, at: &At, r: &mut Reader) -> bool {
    let plain = name.starts_with(|c: char| c.is_ascii_alphabetic()) && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
    if !plain {
        r.fail(at, format!("`{name}` cannot be a variable's name"), "a letter, then letters, digits and underscores");
    } else if BUILT_IN.contains(&name) {
        r.fail(at, format!("{{{name}}} has a meaning already"), "choose another name");
    }
    plain
}

/// Definitions may use one another in any order, but not in a circle. They are kept by name.
fn variables(document: &schema::Document, names: &mut Names, r: &mut Reader) -> Vec<Variable> {
    let all = document.vars.iter().flat_map(|v| &v.0);
    let mut waiting: Vec<&(String, Spot<VarTyped>)> = all.filter(|(name, spot)| good_name(name, &spot.at, r)).collect();
    let mut list = Vec::new();
    while !waiting.is_empty() {
        let free: Vec<usize> = (0..waiting.len()).filter(|i| !waiting.iter().any(|(name, _)| mentions(&waiting[*i].1, name))).collect();
        if free.is_empty() {
            let (name, spot) = waiting[0];
            r.fail(
                &spot.at,
                format!("{{{name}}} is defined by itself, in a circle"),
                "a variable may use others, but not itself through them",
            );
            break;
        }
        for i in free.into_iter().rev() {
            let (name, spot) = waiting.remove(i);
            let Some((of, compute)) = variable(spot, names, r) else { continue };
            let how = match &compute {
                None => Computation::Text,
                Some(Compute::Md5) => Computation::Md5,
                Some(Compute::Sha256) => Computation::Sha256,
                Some(Compute::HmacSha256(key)) => Computation::HmacSha256 { key: key.clone() },
            };
            names.defined.insert(name.clone(), Arc::new(Definition { of: of.clone(), how }));
            list.push(Variable { name: name.clone(), of, compute });
        }
    }
    list.sort_by(|a, b| a.name.cmp(&b.name));
    list
}

/// Whether a definition uses `{name}`.
fn mentions(spot: &Spot<VarTyped>, name: &str) -> bool {
    let texts: Vec<&str> = match &spot.value {
        VarTyped::Text(text) => vec![text],
        VarTyped::Table(t) => {
            [&t.text, &t.md5, &t.sha256, &t.hmac_sha256, &t.key].into_iter().flatten().map(|s| s.value.as_str()).collect()
        }
    };
    texts.iter().any(|text| text.contains(&format!("{{{name}}}")) || text.contains(&format!("{{{name}|")))
}

fn variable(spot: &Spot<VarTyped>, names: &Names, r: &mut Reader) -> Option<(Template, Option<Compute>)> {
    let table = match &spot.value {
        VarTyped::Text(text) => return Some((template_at(text, &spot.at, names, r)?, None)),
        VarTyped::Table(table) => table,
    };
    let kinds = [&table.text, &table.md5, &table.sha256, &table.hmac_sha256];
    if kinds.iter().filter(|k| k.is_some()).count() != 1 || table.key.is_some() != table.hmac_sha256.is_some() {
        r.fail(&spot.at, "a variable is of one kind", "exactly one of: text, md5, sha256, hmac_sha256 with key");
        return None;
    }
    let of = template(kinds.into_iter().flatten().next()?, names, r)?;
    let compute = match (&table.md5, &table.sha256, &table.key) {
        (Some(_), ..) => Some(Compute::Md5),
        (_, Some(_), _) => Some(Compute::Sha256),
        (_, _, Some(key)) => Some(Compute::HmacSha256(template(key, names, r)?)),
        _ => None,
    };
    Some((of, compute))
}

/// A template; what is wrong in it is shown where it stands, as far as the text is written without escapes.
pub(super) fn template(spot: &Spot<String>, names: &Names, r: &mut Reader) -> Option<Template> {
    template_at(&spot.value, &spot.at, names, r)
}

pub(super) fn template_at(text: &str, at: &At, names: &Names, r: &mut Reader) -> Option<Template> {
    believed(Template::parse(text, names), at, r)
}

/// What was read, or a note of what is wrong where it stands.
pub(super) fn believed<T>(read: Result<T, TemplateError>, at: &At, r: &mut Reader) -> Option<T> {
    match read {
        Ok(read) => Some(read),
        Err(error) => {
            let at = r.within(at, &error.piece);
            r.fail(&at, error.what, error.help);
            None
        }
    }
}

/// Names to templates, as in `headers`.
pub(super) fn named(table: Option<&Spot<Named<String>>>, names: &Names, r: &mut Reader) -> Vec<(String, Template)> {
    let pairs = table.map_or(&[][..], |t| &t.0);
    pairs.iter().filter_map(|(name, text)| Some((name.clone(), template(text, names, r)?))).collect()
}

/// A message to be sent. `publication`: whether `{stamp}` and the like make sense in it.
pub(super) fn send(typed: &SendTyped, at: &At, publication: bool, names: &Names, r: &mut Reader) -> Option<Body> {
    let body = match typed {
        SendTyped::Text(text) => Body::Text(template_at(text, at, names, r)?),
        SendTyped::Table(table) => {
            let given = [table.text.is_some(), table.json.is_some(), table.hex.is_some(), table.binary.is_some()];
            if given.iter().filter(|g| **g).count() != 1 {
                r.fail(at, "a message is of one kind", "exactly one of: text, json, hex, binary");
                return None;
            }
            if let Some(text) = &table.text {
                Body::Text(template(text, names, r)?)
            } else if let Some(json) = &table.json {
                Body::Text(json_template(json, names, r)?)
            } else if let Some(hex) = &table.hex {
                Body::Binary(vec![Piece::Bytes(bytes(hex, &hex.at, r)?)])
            } else {
                Body::Binary(pieces(table.binary.as_ref()?, names, r)?)
            }
        }
    };
    if !publication && body.templates().iter().any(|t| t.of_publication()) {
        let at = r.within(at, "{s");
        r.fail(&at, "{stamp}, {stamp.len}, {seq} and {body} belong to publications", "use them in [publish] and [dialect] only");
        return None;
    }
    Some(body)
}

/// JSON with variables in its texts: values are escaped as JSON texts are, unless they say how they are written.
fn json_template(spot: &Spot<Any>, names: &Names, r: &mut Reader) -> Option<Template> {
    let text = spot.value.0.to_json().to_string();
    let plain = Template::parse(&text, names);
    let mut escaped = String::with_capacity(text.len());
    let mut rest = text.as_str();
    while let Some(open) = rest.find('{') {
        let (before, tail) = rest.split_at(open);
        escaped.push_str(before);
        let inner = tail[1..].split('}').next().unwrap_or_default();
        let is_name =
            inner.starts_with(|c: char| c.is_ascii_alphabetic()) && inner.chars().all(|c| c.is_ascii_alphanumeric() || "_.".contains(c));
        let doubled = before.ends_with('{');
        if is_name && !doubled && tail.len() > inner.len() + 1 && !inner.starts_with("stamp") {
            escaped.push_str(&format!("{{{inner}|json}}"));
            rest = &tail[inner.len() + 2..];
        } else {
            escaped.push('{');
            rest = &tail[1..];
        }
    }
    escaped.push_str(rest);
    match plain {
        Ok(_) => template_at(&escaped, &spot.at, names, r),
        Err(_) => template_at(&text, &spot.at, names, r),
    }
}

/// A body of text.
pub(super) fn text_body(spot: &Spot<TextBody>, names: &Names, r: &mut Reader) -> Option<Template> {
    match &spot.value {
        TextBody::Text(text) => template_at(text, &spot.at, names, r),
        TextBody::Table(table) => match &table.json {
            Some(json) => json_template(json, names, r),
            None => {
                r.fail(&spot.at, "a body without content", "write a text, or { json = … }");
                None
            }
        },
    }
}

fn pieces(list: &[Spot<PieceTyped>], names: &Names, r: &mut Reader) -> Option<Vec<Piece>> {
    let read: Vec<_> = list
        .iter()
        .filter_map(|piece| match &piece.value {
            PieceTyped::Text(text) => template_at(text, &piece.at, names, r).map(Piece::Text),
            PieceTyped::Hex(text) => bytes(text, &piece.at, r).map(Piece::Bytes),
            PieceTyped::Counted(count, inner) => pieces(inner, names, r).map(|inner| Piece::Counted(*count, inner)),
        })
        .collect();
    (read.len() == list.len()).then_some(read)
}

fn bytes(text: &str, at: &At, r: &mut Reader) -> Option<Vec<u8>> {
    let digits: Vec<char> = text.chars().filter(|c| !c.is_whitespace()).collect();
    let read: Option<Vec<u8>> = digits
        .chunks(2)
        .map(|pair| match pair {
            [high, low] => u8::try_from(high.to_digit(16)? << 4 | low.to_digit(16)?).ok(),
            _ => None,
        })
        .collect();
    if read.is_none() {
        r.fail(at, format!("{text:?} is not hexadecimal"), "write two digits a byte, such as \"c0 00\"");
    }
    read
}

/// Where a value stands.
pub(super) fn extract(typed: &ExtractTyped, at: &At, r: &mut Reader) -> Option<Extract> {
    let table = match typed {
        ExtractTyped::Text(pointer) => return json_pointer(pointer, at, r),
        ExtractTyped::Table(table) => table,
    };
    match &**table {
        ExtractTable { json: Some(pointer), regex: None, bytes: None } => json_pointer(pointer, &pointer.at, r),
        ExtractTable { json: None, regex: Some(text), bytes: None } => pattern(text, r).map(Extract::Regex),
        ExtractTable { json: None, regex: None, bytes: Some(range) } => match &range.value[..] {
            [from, to] if from.value < to.value => Some(Extract::Bytes(from.value as usize, to.value as usize)),
            _ => {
                r.fail(&range.at, "not a range of bytes", "write the first byte and one past the last: [0, 19]");
                None
            }
        },
        _ => {
            r.fail(at, "a value stands in one place", "exactly one of: json, regex, bytes");
            None
        }
    }
}

fn json_pointer(pointer: &str, at: &At, r: &mut Reader) -> Option<Extract> {
    // RFC 6901 section 3: empty for the whole document, otherwise every token begins with a slash.
    if pointer.is_empty() || pointer.starts_with('/') {
        return Some(Extract::Json(pointer.into()));
    }
    r.fail(at, format!("{pointer:?} is not a JSON pointer"), format!("write \"/{}\"", pointer.replace('.', "/")));
    None
}

/// A regular expression.
pub(super) fn pattern(text: &Spot<String>, r: &mut Reader) -> Option<Pattern> {
    pattern_at(text, &text.at, r)
}

pub(super) fn pattern_at(text: &str, at: &At, r: &mut Reader) -> Option<Pattern> {
    match Pattern::new(text) {
        Ok(pattern) => Some(pattern),
        Err(error) => {
            let message = error.to_string();
            let reason = message.lines().last().unwrap_or_default().trim_start_matches("error: ").to_owned();
            r.fail(at, format!("not a regular expression: {reason}"), "backslashes need 'single quotes' in TOML");
            None
        }
    }
}

/// The captures of a step or reply.
pub(super) fn captures(table: Option<&Spot<Named<ExtractTyped>>>, names: &Names, r: &mut Reader) -> Vec<Capture> {
    let pairs = table.map_or(&[][..], |t| &t.0);
    pairs
        .iter()
        .filter_map(|(name, spot)| {
            let slot = names.captures.iter().position(|c| c == name)?;
            Some(Capture { name: name.clone(), slot, from: extract(&spot.value, &spot.at, r)? })
        })
        .collect()
}

/// The environment variables a document's templates name, by template.
pub(super) fn env_of<'a>(templates: impl IntoIterator<Item = &'a Template>) -> BTreeMap<String, ()> {
    templates.into_iter().flat_map(Template::env).map(|name| (name, ())).collect()
}
