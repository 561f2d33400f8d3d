//! A page under construction: lines that fit, labels that align, words that wrap.

use unicode_width::{UnicodeWidthChar, UnicodeWidthStr};

use super::style::{Ink, Style};
use crate::check::Verdict;

/// Where labels end and values begin.
const LABEL: usize = 14;

/// The text so far.
pub(in crate::report) struct Page {
    style: Style,
    out: String,
}

impl Page {
    pub(super) fn new(style: Style) -> Self {
        Self { style: Style { width: style.width.clamp(48, 120), ..style }, out: String::new() }
    }

    pub(super) const fn style(&self) -> Style {
        self.style
    }

    /// `text` in a colour, or as it is. Pad before painting.
    pub(super) fn ink(&self, ink: Ink, text: &str) -> String {
        if self.style.colour && !text.trim().is_empty() { format!("{}{text}\u{1b}[0m", ink.ansi()) } else { text.into() }
    }

    /// One finished line; trailing blanks are cut.
    pub(super) fn line(&mut self, text: &str) {
        self.out.push_str(text.trim_end());
        self.out.push('\n');
    }

    /// An empty line, never two.
    pub(in crate::report) fn blank(&mut self) {
        if !self.out.ends_with("\n\n") {
            self.out.push('\n');
        }
    }

    /// A heading after an empty line.
    pub(in crate::report) fn heading(&mut self, text: &str) {
        self.blank();
        let text = self.ink(Ink::Bold, text);
        self.line(&text);
    }

    /// Words wrapped at the width, each line indented.
    pub(in crate::report) fn paragraph(&mut self, indent: usize, text: &str) {
        for line in wrap(text, self.style.width - indent) {
            self.line(&format!("{}{line}", " ".repeat(indent)));
        }
    }

    /// A faint label and its values, separated by commas; a value is broken over lines only when it alone is too long.
    pub(in crate::report) fn pairs(&mut self, label: &str, values: &[String]) {
        if values.is_empty() {
            return;
        }
        let room = self.style.width - LABEL - 2;
        let mut label = self.ink(Ink::Faint, &format!("  {label:<LABEL$}"));
        for line in flow(values, ", ", room) {
            self.line(&format!("{label}{line}"));
            label = " ".repeat(LABEL + 2);
        }
    }

    /// The verdict's line under its mark; parts are separated by ` · `, and further lines stand below the first part.
    pub(in crate::report) fn verdict(&mut self, verdict: Verdict, line: &str) {
        let (word, rest) = line.split_once(' ').unwrap_or((line, ""));
        let mark = self.style.mark(verdict);
        let indent = mark.chars().count() + word.len() + 2;
        let parts: Vec<_> = rest.split(" · ").map(str::to_owned).collect();
        let separator = if self.style.unicode { " · " } else { " - " };
        let mut lines = flow(&parts, separator, self.style.width.saturating_sub(indent)).into_iter();
        let first = self.ink(Ink::Bold, &lines.next().unwrap_or_default());
        let lead = self.ink(Ink::of(verdict), &format!("{mark} {word}"));
        self.line(&format!("{lead} {first}"));
        for line in lines {
            self.line(&format!("{}{line}", " ".repeat(indent)));
        }
    }

    /// A table whose columns are as wide as they must be; `numbers` marks those set to the right. Where the page is too
    /// narrow, each row becomes a paragraph.
    pub(in crate::report) fn table(&mut self, head: &[&str], numbers: &[bool], rows: &[Vec<String>]) {
        let columns: Vec<usize> = (0..head.len())
            .map(|n| rows.iter().filter_map(|row| row.get(n)).map(|cell| width(cell)).chain([width(head[n])]).max().unwrap_or(0))
            .collect();
        if columns.iter().sum::<usize>() + 2 * columns.len() > self.style.width {
            for row in rows {
                let cells: Vec<_> = row.iter().filter(|cell| !cell.is_empty()).cloned().collect();
                for line in flow(&cells, ", ", self.style.width - 2) {
                    self.line(&format!("  {line}"));
                }
            }
            return;
        }
        let set = |cells: &[String]| {
            let cells = cells.iter().zip(&columns).zip(numbers);
            cells
                .map(|((cell, &columns), &number)| if number { right(cell, columns) } else { left(cell, columns) })
                .fold(String::new(), |line, cell| format!("{line}  {cell}"))
        };
        let head: Vec<_> = head.iter().map(|&cell| cell.to_owned()).collect();
        let head = self.ink(Ink::Faint, set(&head).trim_end());
        self.line(&head);
        for row in rows {
            self.line(&set(row));
        }
    }

    /// The text, in the style's alphabet.
    pub(super) fn finish(self) -> String {
        if self.style.unicode { self.out } else { ascii(&self.out) }
    }
}

/// What has a usual ASCII spelling takes it; anything else beyond ASCII becomes an escape, as in Rust's own.
fn ascii(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            'µ' => out.push('u'),
            '…' => out.push_str("..."),
            '→' => out.push_str("->"),
            '–' | '−' | '·' => out.push('-'),
            '≤' => out.push_str("<="),
            '≥' => out.push_str(">="),
            '×' => out.push('x'),
            '÷' => out.push('/'),
            '±' => out.push_str("+-"),
            '’' | '‘' => out.push('\''),
            '“' | '”' => out.push('"'),
            c if c.is_ascii() => out.push(c),
            c => out.extend(c.escape_unicode()),
        }
    }
    out
}

/// Columns a text takes.
pub(super) fn width(text: &str) -> usize {
    text.width()
}

/// `text` with blanks to its right up to `columns`.
pub(super) fn left(text: &str, columns: usize) -> String {
    format!("{text}{}", " ".repeat(columns.saturating_sub(width(text))))
}

/// `text` with blanks to its left up to `columns`.
pub(super) fn right(text: &str, columns: usize) -> String {
    format!("{}{text}", " ".repeat(columns.saturating_sub(width(text))))
}

/// Lines of at most `columns`, broken between words; a word that is longer alone is cut where it must be. At least one line.
pub(super) fn wrap(text: &str, columns: usize) -> Vec<String> {
    let words: Vec<_> = text.split_whitespace().map(str::to_owned).collect();
    flow(&words, " ", columns)
}

/// Items joined by `separator`, broken between items to lines of at most `columns`. The separator stays at the line's end,
/// without its trailing blank. At least one line.
pub(super) fn flow(items: &[String], separator: &str, columns: usize) -> Vec<String> {
    let columns = columns.max(8);
    let stop = width(separator.trim_end());
    let mut lines = vec![String::new()];
    for (i, item) in items.iter().enumerate() {
        let tail = if i + 1 < items.len() { stop } else { 0 };
        // Measured joined: a selector at the head of an item widens the letter before it.
        let full = lines.last().is_some_and(|line| !line.is_empty() && width(&format!("{line}{item}")) + tail > columns);
        if full {
            lines.push(String::new());
        }
        if width(item) + tail > columns {
            // Too long for any line: by words if it has some, else by force.
            if separator != " " && item.contains(' ') {
                let mut wrapped = wrap(item, columns - tail);
                if let Some(line) = lines.last_mut() {
                    *line = wrapped.remove(0);
                }
                lines.extend(wrapped);
            } else {
                cut(item, columns - tail, &mut lines);
            }
        } else if let Some(line) = lines.last_mut() {
            line.push_str(item);
        }
        if i + 1 < items.len()
            && let Some(line) = lines.last_mut()
        {
            line.push_str(separator);
        }
    }
    for line in &mut lines {
        line.truncate(line.trim_end().len());
    }
    lines
}

/// Cuts a word with no blank into the last line and new ones. The line is measured whole after each letter: a variation
/// selector widens the letter before it, so that the widths of letters do not add up to the width of the line.
fn cut(word: &str, columns: usize, lines: &mut Vec<String>) {
    for c in word.chars() {
        let Some(line) = lines.last_mut() else { return };
        let before = line.len();
        line.push(c);
        if before > 0 && width(line) > columns {
            // A selector takes its letter along; a letter is never left without what it was given.
            let at =
                if c.width().unwrap_or(0) == 0 { line[..before].char_indices().next_back().map_or(before, |(at, _)| at) } else { before };
            let rest = line.split_off(at);
            lines.push(rest);
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn words_wrap_and_items_stay_whole() {
        assert_eq!(wrap("one two three", 8), ["one two", "three"]);
        assert_eq!(wrap("", 8), [""]);
        assert_eq!(wrap("abcdefghijkl", 8), ["abcdefgh", "ijkl"]);
        let items = ["1,000 clients".to_owned(), "4 publishers".to_owned()];
        assert_eq!(flow(&items, ", ", 20), ["1,000 clients,", "4 publishers"]);
        assert_eq!(flow(&items, ", ", 40), ["1,000 clients, 4 publishers"]);
    }

    #[test]
    fn a_selector_that_widens_its_letter_goes_with_it_to_the_next_line() {
        let text = "🌀a!a!🕯\u{fe0f}\u{fffc}a";
        assert_eq!(wrap(text, 9), ["🌀a!a!🕯\u{fe0f}\u{fffc}", "a"].map(str::to_owned));
        assert_eq!(wrap("abcdefg🕯\u{fe0f}", 8), ["abcdefg", "🕯\u{fe0f}"]);
    }

    proptest! {
        #[test]
        fn no_line_is_wider_than_asked(text in "\\PC{0,200}", columns in 8_usize..60) {
            for line in wrap(&text, columns) {
                prop_assert!(width(&line) <= columns, "{line:?} in {columns}");
            }
        }

        #[test]
        fn no_letter_is_lost(text in "[a-z ]{0,200}", columns in 8_usize..60) {
            let joined: String = wrap(&text, columns).concat().split_whitespace().collect();
            prop_assert_eq!(joined, text.split_whitespace().collect::<String>());
        }
    }
}
