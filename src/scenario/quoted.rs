//! A line of a scenario as a diagnostic may quote it: what is wrong in it must not print the password that stands beside it.

use crate::base::secrets_of_url;

/// Tables whose every text may be a credential, and keys that hold one.
const SECRET: [&str; 12] =
    ["auth", "headers", "cookies", "query", "bearer", "basic", "password", "key", "hmac_sha256", "authorization", "token", "secret"];

/// The line with every secret as stars, one a character, so that the caret below it stays true. `before` is the text above it,
/// which says in what table it stands; `path` the key that is meant.
pub(super) fn without_secrets(line: &str, before: &str, path: &str) -> String {
    let table = before.lines().rev().map(str::trim).find(|line| line.starts_with('[')).unwrap_or_default();
    let inside = is_secret(table) || is_secret(path);
    let mut out = String::with_capacity(line.len());
    // The keys read on the line so far: a text may belong to any table that is still open.
    let (mut rest, mut keys) = (line, inside);
    while let Some(quote) = rest.find(['"', '\'']) {
        let (code, text) = rest.split_at(quote);
        if code.contains('#') {
            break;
        }
        keys = (keys && !code.contains('}')) || inside || is_secret(code);
        out.push_str(code);
        let mark = &text[..1];
        let end = closing(&text[1..], mark);
        let (value, after) = text[1..].split_at(end);
        out.push_str(mark);
        // A text in front of `=`, `.` or `]` of a table's name is a key; it may be one that has a secret.
        let is_key = after[after.len().min(1)..].trim_start().starts_with(['=', '.']) || line.trim_start().starts_with('[');
        if is_key {
            keys = keys || is_secret(value);
            out.push_str(value);
        } else if keys {
            out.extend(value.chars().map(|_| '*'));
        } else {
            out.push_str(&stars_in_url(value));
        }
        out.push_str(&after[..after.len().min(1)]);
        rest = &after[after.len().min(1)..];
    }
    // A text of several lines has no quotes in its middle.
    if keys && out.is_empty() && !rest.contains('=') && !rest.trim_start().starts_with('[') {
        return rest.chars().map(|c| if c.is_whitespace() { c } else { '*' }).collect();
    }
    // What is commented out may be yesterday's password.
    out.push_str(rest.split('#').next().unwrap_or_default());
    out
}

/// Where a text ends: at its quote, or with the line.
fn closing(text: &str, mark: &str) -> usize {
    let mut escaped = false;
    for (at, c) in text.char_indices() {
        if escaped {
            escaped = false;
        } else if c == '\\' && mark == "\"" {
            escaped = true;
        } else if mark.starts_with(c) {
            return at;
        }
    }
    text.len()
}

/// Whether any word of a piece of TOML is a key of secrets.
pub(super) fn is_secret(code: &str) -> bool {
    code.split(|c: char| !(c.is_ascii_alphanumeric() || c == '_')).any(|word| SECRET.contains(&word.to_ascii_lowercase().as_str()))
}

/// User, password and the values of the query of what may be a URL.
fn stars_in_url(text: &str) -> String {
    if !text.contains("://") && !text.contains('@') {
        return text.to_owned();
    }
    let spans: Vec<_> = secrets_of_url(text)
        .into_iter()
        .map(|secret| {
            let begins = secret.as_ptr().addr() - text.as_ptr().addr();
            begins..begins + secret.len()
        })
        .collect();
    text.char_indices().map(|(at, c)| if spans.iter().any(|span| span.contains(&at)) { '*' } else { c }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_line_a_diagnostic_quotes_has_no_secret_and_its_length() {
        for (line, table, path, shown) in [
            ("url = \"ws://u:S3C@h:1/ws?token=S3C#x\"", "[target]", "target.url", "url = \"ws://*****@h:1/ws?token=***#x\""),
            ("auth = { bearer = \"S3C\", foo = 1 }", "[target]", "target.auth.foo", "auth = { bearer = \"***\", foo = 1 }"),
            ("headers = { \"X-Own\" = 'S3C' }, a = \"b\"", "", "a", "headers = { \"X-Own\" = '***' }, a = \"b\""),
            ("X-Own = \"S3\\\"C", "[target.headers]", "", "X-Own = \"*****"),
            (
                "sign = { hmac_sha256 = \"{run}\", key = \"S3C\" }",
                "[vars]",
                "vars.sign",
                "sign = { hmac_sha256 = \"*****\", key = \"***\" }",
            ),
            ("proxy = \"u:S3C@h\"", "[target]", "target.proxy", "proxy = \"*****@h\""),
            ("pace = \"5/x\" # a \"comment\"", "[publish]", "publish.pace", "pace = \"5/x\" "),
            ("  S3C", "[target.headers]", "target.headers.X", "  ***"),
            ("[target.\"headers\"]", "", "", "[target.\"headers\"]"),
        ] {
            assert_eq!(without_secrets(line, &format!("{table}\na = 1\n"), path), shown);
        }
    }
}
