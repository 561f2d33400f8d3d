//! What is wrong with a scenario, said so that it can be mended: file, line, column, key, what was found, what to write
//! instead. Values only; must never know a terminal.

use std::fmt;
use std::rc::Rc;

use super::quoted::without_secrets;

/// A text that takes part in a scenario: the user's file, or a shipped preset it uses.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Source {
    pub(super) name: String,
    pub(super) text: String,
}

/// A place in a scenario's text, and the key that stands there.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct At {
    /// Which text: 0 is the user's own file, others are presets.
    pub(super) source: usize,
    /// First byte.
    pub(super) start: usize,
    /// One past the last byte.
    pub(super) end: usize,
    /// The dotted key path: `checks.pong.within`, `clients[1].count`; empty for the whole file.
    pub(super) path: Rc<str>,
}

/// One thing that is wrong, and where.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// The file's name as given.
    pub file: String,
    /// Line, from 1.
    pub line: usize,
    /// Column in characters, from 1.
    pub column: usize,
    /// The dotted key path; empty when the whole file is meant.
    pub key: String,
    /// What is wrong.
    pub what: String,
    /// What to write instead; empty when there is nothing to add.
    pub help: String,
    /// The line itself, tabs made spaces.
    snippet: String,
    /// How many characters of it are meant.
    width: usize,
}

impl Problem {
    pub(super) fn new(sources: &[Source], at: &At, what: String, help: String) -> Self {
        let empty = Source { name: String::new(), text: String::new() };
        let source = sources.get(at.source).unwrap_or(&empty);
        let text = source.text.as_str();
        let floor = |i: usize| (0..=i.min(text.len())).rev().find(|&i| text.is_char_boundary(i)).unwrap_or(0);
        let (start, end) = (floor(at.start), floor(at.end.max(at.start)));
        let line_start = text[..start].rfind('\n').map_or(0, |i| i + 1);
        let line_end = text[start..].find('\n').map_or(text.len(), |i| start + i);
        Self {
            file: source.name.clone(),
            line: text[..start].matches('\n').count() + 1,
            column: text[line_start..start].chars().count() + 1,
            key: at.path.to_string(),
            what,
            help,
            snippet: printable(&without_secrets(text[line_start..line_end].trim_end(), &text[..line_start], &at.path)),
            width: text[start..end.clamp(start, line_end)].chars().count().max(1),
        }
    }

    fn render(&self, f: &mut fmt::Formatter<'_>, level: &str) -> fmt::Result {
        writeln!(f, "{level}: {}", self.what)?;
        let margin = " ".repeat(self.line.to_string().len());
        writeln!(f, "{margin}--> {}:{}:{}", self.file, self.line, self.column)?;
        if !self.snippet.is_empty() {
            // Shown cut, so that one endless line does not flood the terminal.
            let skip = self.column.saturating_sub(100).min(self.snippet.chars().count());
            let shown: String = self.snippet.chars().skip(skip).take(160).collect();
            let caret = " ".repeat(self.column - 1 - skip);
            let room = shown.chars().count().saturating_sub(caret.len()).max(1);
            writeln!(f, "{margin} |\n{} | {shown}\n{margin} | {caret}{}", self.line, "^".repeat(self.width.min(room)))?;
        }
        if !self.key.is_empty() {
            writeln!(f, "{margin} = key: {}", self.key)?;
        }
        if !self.help.is_empty() {
            writeln!(f, "{margin} = help: {}", self.help)?;
        }
        Ok(())
    }
}

/// Control characters would move the terminal's cursor: each becomes one space, so that the caret stays true.
fn printable(line: &str) -> String {
    line.chars().map(|c| if c.is_control() { ' ' } else { c }).collect()
}

/// A scenario that cannot be run: all that was found wrong, in the order of the text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ScenarioError {
    /// At least one.
    pub problems: Vec<Problem>,
}

impl std::error::Error for ScenarioError {}

impl fmt::Display for ScenarioError {
    /// Like rustc's: a line of the file with a caret under what is meant, one paragraph a problem.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, problem) in self.problems.iter().enumerate() {
            if i > 0 {
                writeln!(f)?;
            }
            problem.render(f, "error")?;
        }
        Ok(())
    }
}

/// Something that will run, but hardly as meant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Warning(pub Problem);

impl fmt::Display for Warning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.render(f, "warning")
    }
}

/// The candidate nearest to `word`, if one is near enough to be what was meant.
pub(super) fn nearest<'a>(word: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let plain = |s: &str| s.to_lowercase().replace(['-', ' '], "_");
    let word = plain(word);
    candidates
        .into_iter()
        .map(|c| {
            let candidate = plain(c);
            let contained = word.len() >= 3 && candidate.len() >= 3 && (candidate.contains(&word) || word.contains(&candidate));
            (if contained { 1 } else { distance(&word, &candidate) }, c)
        })
        .filter(|(d, c)| *d <= (c.len().max(word.len()) / 3).max(1))
        .min_by_key(|(d, _)| *d)
        .map(|(_, c)| c)
}

/// Damerau–Levenshtein distance (optimal string alignment): a swap of neighbours counts once.
fn distance(a: &str, b: &str) -> usize {
    let (a, b): (Vec<char>, Vec<char>) = (a.chars().take(64).collect(), b.chars().take(64).collect());
    let mut rows = vec![vec![0; b.len() + 1]; a.len() + 1];
    for (i, row) in rows.iter_mut().enumerate() {
        row[0] = i;
    }
    rows[0] = (0..=b.len()).collect();
    for i in 1..=a.len() {
        for j in 1..=b.len() {
            let cost = usize::from(a[i - 1] != b[j - 1]);
            let mut best = (rows[i - 1][j] + 1).min(rows[i][j - 1] + 1).min(rows[i - 1][j - 1] + cost);
            if i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] {
                best = best.min(rows[i - 2][j - 2] + 1);
            }
            rows[i][j] = best;
        }
    }
    rows[a.len()][b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nearest_key_is_the_one_meant() {
        let keys = ["publishers", "pace", "size", "encoding", "audience"];
        assert_eq!(nearest("pubilshers", keys), Some("publishers"));
        assert_eq!(nearest("publisher", keys), Some("publishers"));
        assert_eq!(nearest("Pace", keys), Some("pace"));
        assert_eq!(nearest("siez", keys), Some("size"));
        assert_eq!(nearest("colour", keys), None);
    }

    #[test]
    fn a_place_outside_the_text_does_no_harm() {
        let sources = [Source { name: "a.toml".into(), text: "é = 1".into() }];
        for (start, end) in [(0, 999), (1, 1), (999, 3), (5, 2)] {
            let at = At { source: 0, start, end, path: "".into() };
            assert!(!Warning(Problem::new(&sources, &at, "w".into(), String::new())).to_string().is_empty());
        }
        assert_eq!(Problem::new(&[], &At::default(), "w".into(), String::new()).line, 1);
    }
}
