//! Reads the pages of Autobahn's catalogue: directives set what the cases below them share, a case is a line
//! `id | script | expectation`. Must never know a file.

use super::model::{Ask, Autobahn, Case, Expectation, Level, Needs, Pace, Side, Step, Timer};
use super::steps::{describe, describe_events, events, steps};

/// What a page has said so far.
struct Page {
    group: String,
    section: String,
    rfc: String,
    echo: bool,
    shared: Autobahn,
}

/// The cases of one page.
///
/// # Errors
/// A sentence with the line that cannot be read.
pub fn parse(text: &str) -> Result<Vec<Case>, String> {
    let mut page = Page {
        group: String::new(),
        section: String::new(),
        rfc: String::new(),
        echo: true,
        shared: Autobahn {
            offer: None,
            steps: Vec::new(),
            expectation: Expectation::Echoes,
            timer: Timer::Fail,
            seconds: 1.0,
            initiator: Side::Us,
            codes: vec![1000],
            clean: true,
            party_fails: false,
            code_fails: false,
            auto_close: true,
            informational: false,
        },
    };
    let mut cases = Vec::new();
    for line in text.lines().filter(|l| !l.trim().is_empty()) {
        let case = page.line(line).map_err(|e| format!("`{line}`: {e}"))?;
        cases.extend(case);
    }
    Ok(cases)
}

impl Page {
    fn line(&mut self, line: &str) -> Result<Option<Case>, String> {
        let (word, rest) = line.split_once(' ').unwrap_or((line, ""));
        match word {
            "group" => {
                rest.clone_into(&mut self.group);
                rest.clone_into(&mut self.section);
            }
            "section" => rest.clone_into(&mut self.section),
            "rfc" => rest.clone_into(&mut self.rfc),
            "echo" => self.echo = rest == "yes",
            "offer" => self.shared.offer = Some(rest.to_owned()),
            "timer" => {
                let (kind, seconds) = rest.split_once(' ').ok_or("timer KIND SECONDS")?;
                self.shared.timer = if kind == "fail" { Timer::Fail } else { Timer::Close };
                self.shared.seconds = seconds.parse().map_err(|_| "not seconds")?;
            }
            "ends" => self.ends(rest)?,
            _ => return self.case(line).map(Some),
        }
        Ok(None)
    }

    fn ends(&mut self, rest: &str) -> Result<(), String> {
        let mut words = rest.split(' ');
        let shared = &mut self.shared;
        shared.initiator = if words.next() == Some("client") { Side::Us } else { Side::Them };
        let codes = words.next().ok_or("no codes")?;
        shared.codes = codes.split(',').map(|c| c.parse().map_err(|_| format!("code {c}"))).collect::<Result<_, _>>()?;
        (shared.clean, shared.party_fails, shared.code_fails) = (false, false, false);
        (shared.auto_close, shared.informational) = (false, false);
        for word in words {
            match word {
                "clean" => shared.clean = true,
                "party!" => shared.party_fails = true,
                "code!" => shared.code_fails = true,
                "auto" => shared.auto_close = true,
                "info" => shared.informational = true,
                other => return Err(format!("unknown ending `{other}`")),
            }
        }
        Ok(())
    }

    fn case(&self, line: &str) -> Result<Case, String> {
        let columns: Vec<&str> = line.split(" | ").collect();
        let [id, script, expected] = columns.as_slice() else { return Err("not `id | script | expectation`".to_owned()) };
        let steps = steps(script)?;
        let (expectation, words) = match *expected {
            "same-size" => (Expectation::SameSize, "one echo of the same kind and length".to_owned()),
            "echoes" => (Expectation::Echoes, "every message echoed: kind, length, content".to_owned()),
            lists => {
                let (ok, lax) = lists.split_once(" or ").map_or((lists, None), |(ok, lax)| (ok, Some(lax)));
                let (ok, lax) = (events(ok)?, lax.map(events).transpose()?);
                let words = describe_events(&ok);
                (Expectation::Events { ok, lax }, words)
            }
        };
        let ask = Autobahn { steps, expectation, ..self.shared.clone() };
        Ok(Case {
            id: (*id).to_owned(),
            group: self.group.clone(),
            section: self.section.clone(),
            rfc: self.rfc.clone(),
            level: Level::Must,
            sends: describe(&ask.steps),
            expects: format!("{words}; {}", describe_ending(&ask)),
            needs: Needs { echo: self.echo, ..Needs::default() },
            pace: pace(id, &ask.steps),
            limits: matches!(id.split('.').next(), Some("9" | "12" | "13")),
            ask: Ask::Autobahn(ask),
        })
    }
}

fn describe_ending(ask: &Autobahn) -> String {
    let codes = ask.codes.iter().map(ToString::to_string).collect::<Vec<_>>().join(" or ");
    match ask.initiator {
        Side::Us => format!("we close first, answered with {codes} or no code{}", if ask.clean { ", cleanly" } else { "" }),
        Side::Them => format!("the other side fails the connection, {codes}"),
    }
}

fn pace(id: &str, steps: &[Step]) -> Pace {
    match id.split('.').next() {
        Some("9" | "12" | "13") => Pace::Heavy,
        _ if steps.iter().any(|s| matches!(s, Step::Wait { .. })) => Pace::Timing,
        _ => Pace::Light,
    }
}
