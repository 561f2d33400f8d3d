//! Reads the pages of our own catalogue. A case is a line `id | level | RFC | what is sent | what a correct server does`,
//! and the indented lines below it say how it is asked and judged:
//!
//! ```text
//! edit set Connection keep-alive, Upgrade     one change to the correct request
//! http 101 ~ 4xx                              answers that are right ~ tolerated
//! send 81 'a' plain                           a script (see `steps`)
//! offer permessage-deflate                    the extension offered with it
//! echoes text 'a'                             judged: exactly these events, then a clean close
//! fails 1002 ~ 1000 drop lenient              judged: the server fails the connection
//! answers 1000 empty drop                     judged: the server answers our Close
//! run bomb 1                                  a procedure, where no script will do
//! needs echo | broadcast | tls                what must be there to ask at all
//! pace timing | heavy | alone                 when it may run
//! ```
//!
//! Must never know a file.

use super::model::{Answer, Ask, Case, Edit, Handshake, Level, Needs, Pace, Script, Verifier};
use super::payload::Payload;
use super::steps::{events, steps, words};

/// The cases of one page.
///
/// # Errors
/// A sentence with the line that cannot be read.
pub fn parse(text: &str) -> Result<Vec<Case>, String> {
    let (mut group, mut section) = (String::new(), String::new());
    let mut drafts: Vec<Draft> = Vec::new();
    for line in text.lines().filter(|l| !l.trim().is_empty() && !l.starts_with('#')) {
        let read = if let Some(line) = line.strip_prefix("  ") {
            drafts.last_mut().ok_or_else(|| "no case yet".to_owned()).and_then(|d| d.line(line))
        } else if let Some(name) = line.strip_prefix("group ") {
            name.clone_into(&mut group);
            name.clone_into(&mut section);
            Ok(())
        } else if let Some(name) = line.strip_prefix("section ") {
            name.clone_into(&mut section);
            Ok(())
        } else {
            Draft::begin(line, &group, &section).map(|d| drafts.push(d))
        };
        read.map_err(|e| format!("`{line}`: {e}"))?;
    }
    drafts.into_iter().map(Draft::finish).collect()
}

struct Draft {
    case: Case,
    handshake: Handshake,
    script: Script,
    judged: Option<Judged>,
}

#[derive(Clone, Copy)]
enum Judged {
    Handshake,
    Script,
    Procedure,
}

impl Draft {
    fn begin(line: &str, group: &str, section: &str) -> Result<Self, String> {
        let columns: Vec<&str> = line.split(" | ").collect();
        let [id, level, rfc, sends, expects] = columns.as_slice() else { return Err("not five columns".to_owned()) };
        let level = match *level {
            "MUST" => Level::Must,
            "SHOULD" => Level::Should,
            "MAY" => Level::May,
            "robustness" => Level::Robustness,
            other => return Err(format!("level {other}")),
        };
        let case = Case {
            id: (*id).to_owned(),
            group: group.to_owned(),
            section: section.to_owned(),
            rfc: (*rfc).to_owned(),
            level,
            sends: (*sends).to_owned(),
            expects: (*expects).to_owned(),
            needs: Needs::default(),
            pace: Pace::Light,
            limits: false,
            ask: Ask::Handshake(Handshake::default()),
        };
        let handshake = Handshake { seconds: 3, ..Handshake::default() };
        let script = Script { offer: None, takeover: false, steps: Vec::new(), seconds: 2.0, verifier: Verifier::Echo(Vec::new()) };
        Ok(Self { case, handshake, script, judged: None })
    }

    fn line(&mut self, line: &str) -> Result<(), String> {
        let (word, rest) = line.trim_end().split_once(' ').unwrap_or((line.trim_end(), ""));
        match word {
            "edit" => self.handshake.edits.push(edit(rest)?),
            "http" => {
                let (ok, lax) = rest.split_once('~').unwrap_or((rest, ""));
                (self.handshake.ok, self.handshake.lax) = (answers(ok)?, answers(lax)?);
                self.judged = Some(Judged::Handshake);
            }
            "within" => {
                self.handshake.seconds = rest.parse().map_err(|_| "not seconds")?;
                self.script.seconds = rest.parse().map_err(|_| "not seconds")?;
            }
            "echo" => (self.handshake.echo, self.case.needs.echo) = (true, true),
            "send" => self.script.steps = steps(rest)?,
            "offer" => self.script.offer = Some(rest.to_owned()),
            "takeover" => self.script.takeover = true,
            "echoes" | "fails" | "answers" => {
                self.script.verifier = verifier(word, rest)?;
                self.case.needs.echo |= word == "echoes" && (rest.contains("text") || rest.contains("binary"));
                self.judged = Some(Judged::Script);
            }
            "run" => {
                let mut words = words(rest).into_iter();
                let name = words.next().ok_or("run what?")?;
                let arguments = words.map(|w| w.trim_matches('\'').to_owned()).collect();
                self.case.ask = Ask::Procedure { name, arguments, offer: None, takeover: false };
                self.judged = Some(Judged::Procedure);
            }
            "needs" => match rest {
                "echo" => self.case.needs.echo = true,
                "broadcast" => self.case.needs.broadcast = true,
                "tls" => self.case.needs.tls = true,
                other => return Err(format!("needs {other}?")),
            },
            "pace" => {
                self.case.pace = match rest {
                    "timing" => Pace::Timing,
                    "heavy" => Pace::Heavy,
                    "alone" => Pace::Alone,
                    other => return Err(format!("pace {other}?")),
                }
            }
            "limits" => self.case.limits = true,
            other => return Err(format!("unknown line `{other}`")),
        }
        Ok(())
    }

    fn finish(mut self) -> Result<Case, String> {
        match self.judged {
            Some(Judged::Handshake) => self.case.ask = Ask::Handshake(self.handshake),
            Some(Judged::Script) => self.case.ask = Ask::Script(self.script),
            Some(Judged::Procedure) => {
                if let Ask::Procedure { offer, takeover, .. } = &mut self.case.ask {
                    (*offer, *takeover) = (self.script.offer, self.script.takeover);
                }
            }
            None => return Err(format!("{}: nothing says how it is judged", self.case.id)),
        }
        Ok(self.case)
    }
}

fn edit(text: &str) -> Result<Edit, String> {
    let (word, rest) = text.split_once(' ').unwrap_or((text, ""));
    let field = || rest.split_once(' ').map(|(n, v)| (n.to_owned(), unescape(v))).ok_or_else(|| format!("`{text}`: NAME VALUE"));
    let count = || rest.parse::<usize>().map_err(|_| format!("`{text}`: a number"));
    Ok(match word {
        "set" => {
            let (name, value) = field()?;
            Edit::Set(name, value)
        }
        "raw" => {
            let (name, value) = field()?;
            Edit::SetRaw(name, value.into_bytes())
        }
        "add" => {
            let (name, value) = field()?;
            Edit::Add(name, value)
        }
        "empty" => Edit::Set(rest.to_owned(), String::new()),
        "drop" => Edit::Drop(rest.to_owned()),
        "spaced" => Edit::Spaced(rest.to_owned()),
        "lower" => Edit::Lower,
        "upper" => Edit::Upper,
        "method" => Edit::Method(rest.to_owned()),
        "version" => Edit::Version(rest.to_owned()),
        "absolute" => Edit::Absolute,
        "query" => Edit::Query(rest.to_owned()),
        "lead" => Edit::Lead(Payload::parse(rest)?.octets()),
        "lf" => Edit::BareLf,
        "line" => Edit::Line(rest.to_owned()),
        "flood" => Edit::Flood(count()?),
        "behind" => Edit::Behind(Payload::parse(rest)?.octets()),
        "frame" => Edit::Frame(count()?),
        "dribble" => Edit::Dribble,
        "split" => Edit::Split,
        "twice" => Edit::Twice,
        "half" => Edit::Half,
        other => return Err(format!("unknown edit `{other}`")),
    })
}

/// `\t`, `\0`, `\n`, `\r`, and `{text*count}` for repetition.
fn unescape(text: &str) -> String {
    let text = text.replace("\\t", "\t").replace("\\0", "\0").replace("\\r", "\r").replace("\\n", "\n");
    let Some((before, rest)) = text.split_once('{') else { return text };
    let Some((inner, after)) = rest.split_once('}') else { return text };
    match inner.rsplit_once('*').and_then(|(unit, n)| n.parse().ok().map(|n: usize| unit.repeat(n))) {
        Some(run) => format!("{before}{run}{}", unescape(after)),
        None => text,
    }
}

fn answers(text: &str) -> Result<Vec<Answer>, String> {
    text.split_whitespace()
        .map(|word| {
            Ok(match word {
                "101" => Answer::Upgraded,
                "plain" => Answer::Plain,
                "refused" => Answer::NotUpgraded,
                "drop" => Answer::Dropped,
                "silent" => Answer::Silent,
                class if class.ends_with("xx") => Answer::Class(class[..1].parse().map_err(|_| format!("`{class}`"))?),
                status => match status.strip_suffix("+version") {
                    Some(status) => Answer::WithVersion(status.parse().map_err(|_| format!("`{status}`"))?),
                    None => Answer::Status(status.parse().map_err(|_| format!("`{status}` is no answer"))?),
                },
            })
        })
        .collect()
}

fn verifier(word: &str, rest: &str) -> Result<Verifier, String> {
    if word == "echoes" {
        return Ok(Verifier::Echo(events(rest)?));
    }
    let (rest, before) = rest.split_once(" before ").map_or((rest, "nothing"), |(r, b)| (r, b));
    let (mut codes, mut lax, mut flags, mut tolerated) = (Vec::new(), Vec::new(), Vec::new(), false);
    for word in rest.split_whitespace() {
        match word.parse::<u16>() {
            Ok(code) if tolerated => lax.push(code),
            Ok(code) => codes.push(code),
            Err(_) if word == "~" => tolerated = true,
            Err(_) if ["drop", "lenient", "empty"].contains(&word) => flags.push(word),
            Err(_) => return Err(format!("`{word}` is no property of a verifier")),
        }
    }
    let has = |flag| flags.contains(&flag);
    Ok(if word == "fails" {
        Verifier::Fails { codes, lax, drop: has("drop"), lenient: has("lenient"), before: events(before)? }
    } else {
        Verifier::Answers { codes, empty: has("empty"), drop: has("drop") }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_reads() {
        let page = "group H handshake\nsection H.9 made up\nH.9.1 | MUST | 6455 1 | a thing | 101\n  edit set X a{b*3}c\n  http 101 ~ 4xx\n\
                    H.9.2 | SHOULD | 6455 1 | frames | 1002\n  send 81 'a' plain\n  fails 1002 ~ 1000 drop\n";
        let cases = parse(page).unwrap_or_else(|e| panic!("{e}"));
        assert_eq!(cases.len(), 2);
        match &cases[0].ask {
            Ask::Handshake(h) => assert_eq!(h.edits, [Edit::Set("X".to_owned(), "abbbc".to_owned())]),
            other => panic!("{other:?}"),
        }
        for bad in ["X | MUST | 1 | 2\n", "X | MUST | 1 | 2 | 3\n", "X | MUST | 1 | 2 | 3\n  edit fly\n"] {
            assert!(parse(bad).is_err(), "{bad}");
        }
    }
}
