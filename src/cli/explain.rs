//! `wsbench explain [CHECK]`: what each check claims, what it needs, what a pass proves.

use std::fmt::Write as _;

use clap::Args;

use super::exit::Exit;
use super::terminal::{print, say};
use crate::check::{CATALOGUE, Check, find};

/// Explain the checks.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  wsbench explain                 a line a check
  wsbench explain delivery        what it claims, needs and proves")]
pub struct ExplainArgs {
    /// The check to explain (`delivery`, `order`, …); all of them, in a line each, when left out.
    pub check: Option<String>,
}

/// Prints the explanation; an unknown check is a usage error that names those there are.
#[must_use]
pub fn run(args: &ExplainArgs) -> Exit {
    match explanation(args.check.as_deref()) {
        Ok(text) => {
            print(&text);
            Exit::Pass
        }
        Err(text) => {
            say(&text);
            Exit::Usage
        }
    }
}

/// The text for one check, or for all.
fn explanation(id: Option<&str>) -> Result<String, String> {
    let Some(id) = id else { return Ok(all()) };
    find(id).map(one).ok_or_else(|| {
        let ids: Vec<_> = CATALOGUE.iter().map(|check| check.id).collect();
        format!("error: there is no check `{}`; there are: {}", id.escape_debug(), ids.join(", "))
    })
}

fn all() -> String {
    let mut text = String::from("The checks; `wsbench explain CHECK` tells more.\n\n");
    for check in &CATALOGUE {
        let _ = writeln!(text, "  {:<19}{}", check.id, wrapped(check.claim, 19 + 2));
    }
    text
}

fn one(check: &'static Check) -> String {
    format!(
        "{}\n\n  Claims   {}\n\n  Needs    {}\n\n  Proves   {}\n\n  In a scenario: [checks.{}]\n",
        check.id,
        wrapped(check.claim, 11),
        wrapped(check.needs, 11),
        wrapped(check.proves, 11),
        check.id
    )
}

/// The text in lines that leave room for `indent` columns within 100, all but the first indented.
fn wrapped(text: &str, indent: usize) -> String {
    const WIDTH: usize = 100;
    let mut out = String::new();
    let mut column = indent;
    for word in text.split_whitespace() {
        let length = word.chars().count();
        if column > indent && column + 1 + length > WIDTH {
            let _ = write!(out, "\n{:indent$}", "");
            column = indent;
        } else if column > indent {
            out.push(' ');
            column += 1;
        }
        out.push_str(word);
        column += length;
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_check_is_listed_and_explained() {
        let list = explanation(None).expect("a list");
        for check in &CATALOGUE {
            assert!(list.contains(&format!("\n  {} ", check.id)), "{}", check.id);
            let text = explanation(Some(check.id)).expect(check.id);
            assert!(text.lines().all(|line| line.chars().count() <= 100), "{text}");
            for part in [check.claim, check.needs, check.proves] {
                let flat: Vec<_> = text.split_whitespace().collect();
                assert!(flat.join(" ").contains(part), "{part}");
            }
        }
    }

    #[test]
    fn an_unknown_check_is_answered_with_those_there_are() {
        let error = explanation(Some("delivry")).expect_err("no such check");
        assert!(error.contains("delivry") && error.contains("delivery, duplicate"), "{error}");
        assert_eq!(run(&ExplainArgs { check: Some("\u{1b}[2J".into()) }), Exit::Usage);
    }
}
