//! Why a variable cannot stand where it does, and what to write instead.

use super::{BUILT_IN, Names, TemplateError, Var};

/// A variable nobody knows.
pub(super) fn unknown(name: &str, inner: &str, names: &Names) -> TemplateError {
    let known: Vec<&str> = BUILT_IN
        .into_iter()
        .chain(names.captures.iter().map(String::as_str))
        .chain(names.defined.keys().map(String::as_str))
        .chain(names.columns.iter().flatten().map(String::as_str))
        .collect();
    let literal = format!("write {{{{{inner}}}}} for the text itself");
    let help = match crate::scenario::error::nearest(name, known.iter().copied()) {
        Some(near) => format!("did you mean {{{near}}}? ({literal})"),
        None => format!("known: {}, env.NAME; {literal}", known.join(", ")),
    };
    TemplateError { piece: format!("{{{inner}}}"), what: format!("unknown variable {{{name}}}"), help }
}

/// A variable of each client's own where there is one thing for all.
pub(super) fn own(inner: &str) -> TemplateError {
    TemplateError {
        piece: format!("{{{inner}}}"),
        what: format!("{{{inner}}} stands in front of the path: a target is one server, the same for every client"),
        help: format!(
            "write it in the path or the query, or use {{env.NAME}}; a group's own `url` may have it anywhere; write {{{{{inner}}}}} for the text itself"
        ),
    }
}

/// A variable that means nothing where messages are compared.
pub(super) fn changes(inner: &str, var: &Var) -> TemplateError {
    let what = if var.is_of_publication() {
        format!("{{{inner}}} belongs to a publication: it cannot tell which message is meant")
    } else {
        format!("{{{inner}}} is another with every message: nothing could be known by it")
    };
    let help = "use what stays the same on a connection: {client.id}, {client.index}, {group}, {room}, {run}, {env.NAME}, a column, \
                or what the script captured before; or match the text around it";
    TemplateError { piece: format!("{{{inner}}}"), what, help: help.into() }
}

pub(super) fn in_class(inner: &str) -> TemplateError {
    TemplateError {
        piece: format!("{{{inner}}}"),
        what: format!("{{{inner}}} stands inside the brackets of a regular expression: it would be taken letter by letter"),
        help: "write it outside of them, such as (?:{room}|lobby); for the text itself, \\{".into(),
    }
}
