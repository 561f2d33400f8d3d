//! Rows of the table: a measured quantity, its bar, and every sample it was taken from.

use std::fmt;

use serde::Serialize;

/// A figure the issue sets.
#[derive(Debug, Clone, Copy, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Bar {
    /// To be reached or passed.
    AtLeast(f64),
    /// Not to be passed.
    AtMost(f64),
    /// Stated, not judged.
    Stated,
}

/// One measured quantity.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Line {
    pub(crate) quantity: String,
    pub(crate) unit: &'static str,
    pub(crate) median: f64,
    pub(crate) samples: Vec<f64>,
    pub(crate) bar: Bar,
    pub(crate) note: String,
}

impl Line {
    pub(crate) fn new(quantity: impl Into<String>, unit: &'static str, bar: Bar, samples: Vec<f64>) -> Self {
        Self { quantity: quantity.into(), unit, median: median(&samples), samples, bar, note: String::new() }
    }

    pub(crate) fn note(mut self, note: impl Into<String>) -> Self {
        self.note = note.into();
        self
    }

    fn met(&self) -> Option<bool> {
        match self.bar {
            Bar::AtLeast(bar) => Some(self.median >= bar),
            Bar::AtMost(bar) => Some(self.median <= bar),
            Bar::Stated => None,
        }
    }
}

/// The middle of the samples (the mean of the two middle ones); NaN without any.
pub(crate) fn median(samples: &[f64]) -> f64 {
    let mut sorted = samples.to_vec();
    sorted.sort_by(f64::total_cmp);
    let n = sorted.len();
    match n {
        0 => f64::NAN,
        n if n % 2 == 1 => sorted[n / 2],
        n => f64::midpoint(sorted[n / 2 - 1], sorted[n / 2]),
    }
}

#[derive(Serialize)]
struct Entry {
    row: &'static str,
    met: Option<bool>,
    #[serde(flatten)]
    line: Line,
}

/// The table.
#[derive(Serialize)]
pub(crate) struct Table {
    schema: &'static str,
    tools: Vec<String>,
    lines: Vec<Entry>,
    failed: Vec<(&'static str, String)>,
}

impl Table {
    pub(crate) fn new(tools: Vec<String>) -> Self {
        Self { schema: "wsbench.bars/1", tools, lines: Vec::new(), failed: Vec::new() }
    }

    pub(crate) fn add(&mut self, row: &'static str, line: Line) {
        self.lines.push(Entry { row, met: line.met(), line });
    }

    pub(crate) fn fail(&mut self, row: &'static str, why: &str) {
        self.failed.push((row, why.to_owned()));
    }

    pub(crate) fn print_last(&self, row: &str) {
        for entry in self.lines.iter().filter(|entry| entry.row == row) {
            eprintln!("  {}", entry.text());
        }
        for (_, why) in self.failed.iter().filter(|(failed, _)| *failed == row) {
            eprintln!("  could not be measured: {why}");
        }
    }

    /// Every bar was met and every row measured.
    pub(crate) fn all_met(&self) -> bool {
        self.failed.is_empty() && self.lines.iter().all(|entry| entry.met != Some(false))
    }

    pub(crate) fn json(&self) -> String {
        serde_json::to_string_pretty(self).unwrap_or_default() + "\n"
    }
}

impl Entry {
    fn text(&self) -> String {
        let Line { quantity, unit, median, samples, bar, note } = &self.line;
        let bar = match bar {
            Bar::AtLeast(bar) => format!("≥ {}", number(*bar)),
            Bar::AtMost(bar) => format!("≤ {}", number(*bar)),
            Bar::Stated => String::new(),
        };
        let met = match self.met {
            Some(true) => "met",
            Some(false) => "NOT MET",
            None => "",
        };
        let (low, high) = samples.iter().fold((f64::INFINITY, f64::NEG_INFINITY), |(a, b), x| (a.min(*x), b.max(*x)));
        let range = if samples.len() > 1 { format!("{}…{} of {}", number(low), number(high), samples.len()) } else { String::new() };
        format!("{quantity:<46} {:>9} {unit:<12} {bar:<9} {met:<8} {range:<22} {note}", number(*median)).trim_end().to_owned()
    }
}

impl fmt::Display for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for tool in &self.tools {
            writeln!(f, "{tool}")?;
        }
        let mut last = "";
        for entry in &self.lines {
            let row = if entry.row == last { "" } else { entry.row };
            last = entry.row;
            writeln!(f, "{row:<12} {}", entry.text())?;
        }
        for (row, why) in &self.failed {
            writeln!(f, "{row:<12} could not be measured: {why}")?;
        }
        Ok(())
    }
}

/// Three figures, with thousands and millions named.
fn number(x: f64) -> String {
    let (x, suffix) = match x.abs() {
        a if a >= 999_500.0 => (x / 1e6, " M"),
        a if a >= 9_999.5 => (x / 1e3, " k"),
        _ => (x, ""),
    };
    let digits = match x.abs() {
        a if a >= 100.0 => 0,
        a if a >= 10.0 => 1,
        a if a >= 1.0 => 2,
        _ => 3,
    };
    format!("{x:.digits$}{suffix}")
}
