//! `report.json`: the value itself, indented, integers in the units their names state.

use std::io;

use serde::Serialize;
use serde_json::ser::{CharEscape, Formatter, PrettyFormatter, Serializer};

use super::Report;
use super::escape::is_unsafe;

/// Why a text is not a report this version can read.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// Not JSON, or a member is missing or of the wrong type.
    #[error("it is no wsbench report: {0}")]
    Json(#[from] serde_json::Error),
    /// A report of another major version of the schema.
    #[error("its schema is `{found}`, and this version of wsbench reads `{expected}`: render it with the wsbench that wrote it")]
    Schema {
        /// What the file names.
        found: String,
        /// What we read.
        expected: &'static str,
    },
}

/// The report as JSON text, two spaces to a level, ending in a line feed. Characters that could disturb a terminal are
/// written as `\uXXXX`, which leaves the value as it was.
#[must_use]
pub fn render(report: &Report) -> String {
    pretty(report)
}

/// Several reports as one JSON array, which [`read_all`] reads.
#[must_use]
pub fn several(reports: &[Report]) -> String {
    pretty(&reports)
}

/// Any value in the same dress as the report.
pub(super) fn pretty(value: &impl Serialize) -> String {
    let mut bytes = Vec::with_capacity(64 * 1024);
    // Serialising plain data into memory has no way to fail: every map key is a string and there is no reader to lose.
    let done = value.serialize(&mut Serializer::with_formatter(&mut bytes, Plain(PrettyFormatter::new())));
    debug_assert!(done.is_ok(), "a report always serialises");
    bytes.push(b'\n');
    String::from_utf8(bytes).unwrap_or_default()
}

/// Reads a report back. The schema is looked at first, so that a newer file is told from a broken one.
///
/// # Errors
/// When the text is not JSON, names another schema, or lacks a member.
pub fn read(text: &str) -> Result<Report, ReadError> {
    #[derive(serde::Deserialize)]
    struct Head {
        schema: String,
    }
    let head: Head = serde_json::from_str(text)?;
    if head.schema != super::SCHEMA {
        return Err(ReadError::Schema { found: super::escape(&head.schema).into_owned(), expected: super::SCHEMA });
    }
    Ok(serde_json::from_str(text)?)
}

/// Reads one report, or the array [`several`] writes.
///
/// # Errors
/// As [`read`]; an array of nothing is no report.
pub fn read_all(text: &str) -> Result<Vec<Report>, ReadError> {
    if !text.trim_start().starts_with('[') {
        return Ok(vec![read(text)?]);
    }
    let each: Vec<serde_json::Value> = serde_json::from_str(text)?;
    if each.is_empty() {
        return Err(ReadError::Json(serde::de::Error::custom("the array is empty")));
    }
    each.iter().map(|one| read(&one.to_string())).collect()
}

/// serde_json's pretty form, with every character [`is_unsafe`] names written as an escape.
struct Plain(PrettyFormatter<'static>);

macro_rules! forward {
    ($($name:ident($($arg:ident: $type:ty),*);)*) => {
        $(fn $name<W: ?Sized + io::Write>(&mut self, writer: &mut W $(, $arg: $type)*) -> io::Result<()> {
            self.0.$name(writer $(, $arg)*)
        })*
    };
}

impl Formatter for Plain {
    forward! {
        begin_array();
        end_array();
        begin_array_value(first: bool);
        end_array_value();
        begin_object();
        end_object();
        begin_object_key(first: bool);
        begin_object_value();
        end_object_value();
        write_char_escape(char_escape: CharEscape);
    }

    fn write_string_fragment<W: ?Sized + io::Write>(&mut self, writer: &mut W, fragment: &str) -> io::Result<()> {
        let mut plain = 0;
        for (at, c) in fragment.char_indices().filter(|&(_, c)| is_unsafe(c)) {
            writer.write_all(&fragment.as_bytes()[plain..at])?;
            let mut units = [0; 2];
            for unit in c.encode_utf16(&mut units) {
                write!(writer, "\\u{unit:04x}")?;
            }
            plain = at + c.len_utf8();
        }
        writer.write_all(&fragment.as_bytes()[plain..])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_disturbs_a_terminal_is_escaped_and_reads_back() {
        let text = "a\u{1b}[2J\u{9b}\u{7f}\u{202e}\u{e0041}\"\\é";
        let json = pretty(&text);
        assert!(!json.trim_end().chars().any(is_unsafe), "{json}");
        assert_eq!(serde_json::from_str::<String>(&json).expect("it is JSON"), text);
    }

    #[test]
    fn another_schema_is_named() {
        let error = read(r#"{"schema":"wsbench.report/9"}"#).expect_err("refused").to_string();
        assert!(error.contains("wsbench.report/9") && error.contains("wsbench.report/1"), "{error}");
        assert!(matches!(read("{}"), Err(ReadError::Json(_))));
    }
}
