//! Rows of values for the clients: user names, tokens, rooms. CSV with a header line, or JSON Lines. Pure: the edge reads the
//! file; a missing column or too few rows is found before anything connects.

use serde::Serialize;

use crate::base::{ConnId, Seed};

/// `[feeder]`: where rows come from and who gets which.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Feeder {
    /// The file, as written: the edge resolves it relative to the scenario's folder.
    pub file: String,
    /// Which client gets which row.
    pub order: FeederOrder,
    /// The rows, once the edge has read the file.
    #[serde(skip)]
    pub rows: Option<Rows>,
}

/// Which client gets which row.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum FeederOrder {
    /// Client n gets row n; fewer rows than clients is an error.
    Sequential,
    /// As sequential, and from the first row again after the last.
    Circular,
    /// Any row, by the seed.
    Random,
}

/// The rows of a feeder.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rows {
    columns: Vec<String>,
    cells: Vec<Vec<String>>,
}

/// One row.
#[derive(Debug, Clone, Copy)]
pub struct Row<'a> {
    columns: &'a [String],
    cells: &'a [String],
}

impl<'a> Row<'a> {
    /// The value in a column.
    #[must_use]
    pub fn get(self, column: &str) -> Option<&'a str> {
        self.cells.get(self.columns.iter().position(|c| c == column)?).map(String::as_str)
    }
}

impl Rows {
    /// Reads CSV (a header line, then rows) or, when `file` ends in `.jsonl` or `.ndjson`, a JSON object a line.
    ///
    /// # Errors
    /// The line that cannot be read and why.
    pub fn parse(text: &str, file: &str) -> Result<Self, String> {
        let name = file.to_ascii_lowercase();
        let rows = if name.ends_with(".jsonl") || name.ends_with(".ndjson") { Self::json_lines(text) } else { Self::csv(text) }?;
        if rows.cells.is_empty() { Err("it has no rows".into()) } else { Ok(rows) }
    }

    fn csv(text: &str) -> Result<Self, String> {
        let mut reader = csv::ReaderBuilder::new().trim(csv::Trim::All).from_reader(text.as_bytes());
        let columns = reader.headers().map_err(|e| e.to_string())?.iter().map(str::to_owned).collect();
        let mut cells = Vec::new();
        for record in reader.records() {
            cells.push(record.map_err(|e| e.to_string())?.iter().map(str::to_owned).collect());
        }
        Ok(Self { columns, cells })
    }

    /// All objects must have the first one's members: a value that is missing in the middle of a run helps nobody.
    fn json_lines(text: &str) -> Result<Self, String> {
        let mut columns: Vec<String> = Vec::new();
        let mut cells = Vec::new();
        for (i, line) in text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty()) {
            let object: serde_json::Map<String, serde_json::Value> =
                serde_json::from_str(line).map_err(|e| format!("line {}: not a JSON object: {e}", i + 1))?;
            if columns.is_empty() {
                columns = object.keys().cloned().collect();
            }
            let row: Result<Vec<String>, String> = columns
                .iter()
                .map(|c| match object.get(c) {
                    Some(serde_json::Value::String(text)) => Ok(text.clone()),
                    Some(value) => Ok(value.to_string()),
                    None => Err(format!("line {}: there is no `{c}`", i + 1)),
                })
                .collect();
            cells.push(row?);
        }
        Ok(Self { columns, cells })
    }

    /// The names of the columns.
    #[must_use]
    pub fn columns(&self) -> &[String] {
        &self.columns
    }

    /// How many rows there are; at least 1.
    #[must_use]
    pub fn len(&self) -> usize {
        self.cells.len()
    }

    /// Never: a feeder without rows is refused.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.cells.is_empty()
    }

    /// Row `i`.
    #[must_use]
    pub fn row(&self, i: usize) -> Option<Row<'_>> {
        Some(Row { columns: &self.columns, cells: self.cells.get(i)? })
    }
}

impl Feeder {
    /// The row of a client; `None` before the file is read, or when a sequential feeder is too short.
    #[must_use]
    pub fn row(&self, conn: ConnId, seed: Seed) -> Option<Row<'_>> {
        let rows = self.rows.as_ref()?;
        let n = rows.len();
        let i = match self.order {
            FeederOrder::Sequential => conn.index(),
            FeederOrder::Circular => conn.index() % n.max(1),
            FeederOrder::Random => usize::try_from(seed.derive("feeder").nth(u64::from(conn.0)).rng().below(n as u64)).ok()?,
        };
        rows.row(i)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn csv_and_json_lines_say_the_same() {
        let csv = Rows::parse("user,age\nann,7\n\"b, c\",8\n", "users.csv").expect("csv");
        let json = Rows::parse("{\"user\":\"ann\",\"age\":7}\n\n{\"age\":8,\"user\":\"b, c\"}\n", "users.jsonl").expect("jsonl");
        assert_eq!(csv, json);
        assert_eq!(csv.row(1).and_then(|r| r.get("user")), Some("b, c"));
        assert!(csv.row(2).is_none());
    }

    #[test]
    fn what_cannot_be_read_says_where() {
        for (text, file, words) in [
            ("user,age\nann\n", "a.csv", "line"),
            ("user\n", "a.csv", "no rows"),
            ("{\"a\":1}\n{\"b\":1}\n", "a.jsonl", "line 2: there is no `a`"),
            ("[1]\n", "a.jsonl", "line 1: not a JSON object"),
        ] {
            let error = Rows::parse(text, file).expect_err(text);
            assert!(error.contains(words), "{error}");
        }
    }

    #[test]
    fn rows_are_dealt_in_order_in_circles_or_by_the_seed() {
        let rows = Rows::parse("n\n0\n1\n2\n", "n.csv").ok();
        let dealt = |order| {
            let feeder = Feeder { file: "n.csv".into(), order, rows: rows.clone() };
            (0..5).map(|c| feeder.row(ConnId(c), Seed(1)).and_then(|r| r.get("n")).map(str::to_owned)).collect::<Vec<_>>()
        };
        let some = |list: &[&str]| list.iter().map(|s| Some((*s).to_owned())).collect::<Vec<_>>();
        assert_eq!(dealt(FeederOrder::Sequential)[..3], some(&["0", "1", "2"]));
        assert_eq!(dealt(FeederOrder::Sequential)[3..], [None, None]);
        assert_eq!(dealt(FeederOrder::Circular), some(&["0", "1", "2", "0", "1"]));
        assert_eq!(dealt(FeederOrder::Random), dealt(FeederOrder::Random));
    }
}
