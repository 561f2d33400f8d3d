//! Known deviations, pinned in a file: a new failure and an unexpected pass both fail, so that the file stays true.
//!
//! A line is `ID OUTCOME` and, behind `#`, a remark; what is not listed is expected to pass. Pure: text in, text out.

use std::collections::BTreeMap;

use super::report::{Report, Row};
use super::verdict::Outcome;

/// The ten cases in which a server that answers and one that fails the connection first race: OK and NON-STRICT are equal.
const RACING: [&str; 10] = ["3.2", "3.3", "3.4", "4.1.3", "4.1.4", "4.1.5", "4.2.3", "4.2.4", "4.2.5", "5.15"];

/// A file of known deviations.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Expectations {
    /// The comment the file begins with.
    head: Vec<String>,
    lines: BTreeMap<String, (Outcome, String)>,
}

/// One case that is not as expected.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    /// The case.
    pub id: String,
    /// What the file says; PASS when it does not list the case.
    pub expected: Outcome,
    /// What was found.
    pub found: Outcome,
}

impl Change {
    /// In words.
    #[must_use]
    pub fn describe(&self) -> String {
        let kind = if self.expected == Outcome::Pass { "new deviation" } else { "no longer as pinned" };
        format!("{} {kind}: {} expected, {} found", self.id, self.expected.word(), self.found.word())
    }
}

impl Expectations {
    /// Reads a file.
    ///
    /// # Errors
    /// A sentence with the line number: a word that is no outcome, a case that is none of `known`, a case twice.
    pub fn parse(text: &str, known: &dyn Fn(&str) -> bool) -> Result<Self, String> {
        let head = text.lines().take_while(|l| l.starts_with('#')).map(str::to_owned).collect();
        let mut lines = BTreeMap::new();
        for (n, line) in text.lines().enumerate() {
            let (fact, remark) = line.split_once('#').unwrap_or((line, ""));
            let mut words = fact.split_whitespace();
            let Some(id) = words.next() else { continue };
            let outcome =
                words.next().and_then(Outcome::parse).ok_or_else(|| format!("line {}: `{}` names no outcome", n + 1, fact.trim()))?;
            if !known(id) {
                return Err(format!("line {}: there is no case {id}", n + 1));
            }
            if lines.insert(id.to_owned(), (outcome, remark.trim().to_owned())).is_some() {
                return Err(format!("line {}: case {id} twice", n + 1));
            }
        }
        Ok(Self { head, lines })
    }

    /// What differs between the file and a report, for the cases the report has.
    #[must_use]
    pub fn compare(&self, report: &Report) -> Vec<Change> {
        let changed = |row: &Row| {
            let expected = self.lines.get(&row.id).map_or(Outcome::Pass, |(o, _)| *o);
            let found = row.outcome();
            let same = expected == found
                || (expected == Outcome::Pass && !found.fails(report.strict))
                || (RACING.contains(&row.id.as_str()) && [expected, found].iter().all(|o| matches!(o, Outcome::Pass | Outcome::NonStrict)));
            (!same).then(|| Change { id: row.id.clone(), expected, found })
        };
        report.cases.iter().filter_map(changed).collect()
    }

    /// The file again, made true for a report: its cases rewritten; head, remarks and the other cases kept.
    #[must_use]
    pub fn bless(&self, report: &Report) -> String {
        let mut out = self.head.join("\n") + "\n";
        if self.head.is_empty() {
            out = "# Known deviations, a case a line; what is not listed must pass. Rewritten with --expect FILE --bless.\n".to_owned();
        }
        let mut kept = self.lines.clone();
        for row in &report.cases {
            let remark = kept.remove(&row.id).map(|(_, remark)| remark).filter(|r| !r.is_empty());
            if row.outcome().fails(true) || matches!(row.outcome(), Outcome::Limit | Outcome::Unimplemented) {
                let remark = remark.unwrap_or_else(|| format!("behavior {}, close {}", row.behavior, row.behavior_close));
                out.push_str(&format!("{} {}  # {remark}\n", row.id, row.outcome));
            }
        }
        for (id, (outcome, remark)) in kept {
            out.push_str(format!("{id} {}  # {remark}", outcome.word()).trim_end_matches("  # "));
            out.push('\n');
        }
        out
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn report(rows: &[(&str, Outcome)]) -> Report {
        let mut report = super::super::report::tests::sample();
        let model = report.cases[0].clone();
        report.cases = rows.iter().map(|(id, o)| Row { id: (*id).to_owned(), outcome: o.word().to_owned(), ..model.clone() }).collect();
        report
    }

    #[test]
    fn a_new_failure_and_an_unexpected_pass_are_both_changes() {
        let file = Expectations::parse("# head\n5.1 FAIL # known\n3.2 NON-STRICT\n9.1.1 LIMIT\n", &|_| true).unwrap_or_default();
        let changes = |rows: &[(&str, Outcome)]| file.compare(&report(rows)).into_iter().map(|c| c.id).collect::<Vec<_>>();
        assert!(changes(&[("5.1", Outcome::Fail), ("5.2", Outcome::Pass), ("3.2", Outcome::Pass), ("9.1.1", Outcome::Limit)]).is_empty());
        assert_eq!(changes(&[("5.1", Outcome::Pass)]), ["5.1"]);
        assert_eq!(changes(&[("5.2", Outcome::Fail)]), ["5.2"]);
        assert_eq!(changes(&[("5.2", Outcome::Error)]), ["5.2"]);
        assert_eq!(changes(&[("9.1.1", Outcome::Fail)]), ["9.1.1"]);
        assert!(changes(&[("5.2", Outcome::Info)]).is_empty());
    }

    #[test]
    fn blessing_makes_the_file_true_and_keeps_the_rest() {
        let file = Expectations::parse("# ours\n5.1 FAIL # why\n7.1.1 FAIL\n", &|_| true).unwrap_or_default();
        let found = report(&[("5.1", Outcome::Fail), ("5.2", Outcome::NonStrict), ("5.3", Outcome::Pass)]);
        let text = file.bless(&found);
        assert!(
            text.starts_with("# ours\n")
                && text.contains("5.1 FAIL  # why\n")
                && text.contains("5.2 NON-STRICT")
                && text.contains("7.1.1 FAIL\n"),
            "{text}"
        );
        let again = Expectations::parse(&text, &|_| true).unwrap_or_default();
        assert!(again.compare(&found).is_empty());
    }

    #[test]
    fn what_cannot_be_meant_is_refused() {
        for bad in ["5.1", "5.1 WRONG", "5.1 FAIL\n5.1 FAIL", "nope FAIL"] {
            assert!(Expectations::parse(bad, &|id| id != "nope").is_err(), "{bad}");
        }
    }
}
