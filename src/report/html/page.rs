//! The frame of a page: head, verdict, sections, and the one way text enters it.

use std::fmt::Write as _;

use crate::check::Outcome;
use crate::report::text::outcome_word;
use crate::report::{Report, escape, headline};

const STYLE: &str = include_str!("style.css");
const SCRIPT: &str = include_str!("script.js");

/// HTML so far.
pub(super) struct Page {
    out: String,
}

impl Page {
    /// A page with this title. Nothing may be loaded from anywhere: the policy says so to the browser too.
    pub(super) fn new(title: &str) -> Self {
        let out = format!(
            "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
             <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
             <meta name=\"color-scheme\" content=\"light dark\">\n\
             <meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'; \
             script-src 'unsafe-inline'; img-src data:\">\n<link rel=\"icon\" href=\"data:,\">\n\
             <title>{}</title>\n<style>\n{STYLE}</style>\n</head>\n<body>\n<main>\n",
            text(title)
        );
        Self { out }
    }

    /// Markup made by this floor, as it is.
    pub(super) fn raw(&mut self, markup: &str) {
        self.out.push_str(markup);
    }

    /// The verdict and what ran, at the top.
    pub(super) fn verdict(&mut self, report: &Report) {
        let line = headline(report);
        let (_, rest) = line.split_once(' ').unwrap_or((&line, ""));
        let description = report.scenario.description.as_deref().map_or_else(String::new, |text_| format!("<p>{}</p>", text(text_)));
        let _ = writeln!(
            self.out,
            "<header class=\"verdict {word}\"><h1>{badge}<span class=\"what\">{}</span></h1>{description}\
             <p class=\"meta\">{} · {} · seed {} · wsbench {}</p></header>",
            text(rest),
            text(&report.target.url),
            text(&report.started_at),
            report.seed.0,
            text(&report.wsbench_version),
            word = outcome_word(report.verdict),
            badge = badge(report.verdict),
        );
    }

    /// A section with a heading that can be linked to.
    pub(super) fn section(&mut self, id: &str, title: &str, body: impl FnOnce(&mut Self)) {
        let _ = writeln!(self.out, "<section id=\"{id}\" aria-labelledby=\"{id}-h\"><h2 id=\"{id}-h\">{}</h2>", text(title));
        body(self);
        self.out.push_str("</section>\n");
    }

    /// The whole file.
    pub(super) fn finish(mut self, version: &str) -> String {
        let _ = write!(
            self.out,
            "<footer>Written by wsbench {}. This file loads nothing from anywhere.</footer>\n</main>\n<script>\n{SCRIPT}</script>\n</body>\n</html>\n",
            text(version)
        );
        self.out
    }
}

/// Mark and word of an outcome; the word is what screen readers say.
pub(super) fn badge(outcome: Outcome) -> String {
    let word = outcome_word(outcome);
    let mark = match outcome {
        Outcome::Pass => "✓",
        Outcome::Fail => "✗",
        Outcome::Inconclusive => "?",
    };
    format!("<span class=\"badge {word}\"><span aria-hidden=\"true\">{mark}</span> {word}</span>")
}

/// Text that is only text: control characters shown, markup characters as entities.
pub(super) fn text(raw: &str) -> String {
    let escaped = escape(raw);
    let mut out = String::with_capacity(escaped.len());
    for c in escaped.chars() {
        match c {
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '&' => out.push_str("&amp;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            c => out.push(c),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_cannot_become_markup() {
        assert_eq!(text("</script><b a=\"'\">\u{1b}&"), "&lt;/script&gt;&lt;b a=&quot;&#39;&quot;&gt;\\u{1b}&amp;");
    }
}
