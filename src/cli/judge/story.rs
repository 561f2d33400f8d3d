//! `--explain`: one publication's or one client's story out of a journal, as a space-time diagram in text.

mod client;
mod publication;

use std::io::Read;

use crate::base::{ConnId, PublisherId, Seq};
use crate::event::journal::{JournalReader, Missing};
use crate::plan::Plan;
use crate::report::text::Style;

/// Whose story.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Subject {
    /// A publication, by publisher and number.
    Publication(PublisherId, Seq),
    /// A client.
    Client(ConnId),
}

/// Reads `3#17` as a publication and `931` as a client: as reports name them.
///
/// # Errors
/// When it is neither.
pub(super) fn parse(text: &str) -> Result<Subject, String> {
    let subject = match text.split_once('#') {
        Some((publisher, seq)) => publisher.parse().ok().zip(seq.parse().ok()).map(|(p, s)| Subject::Publication(PublisherId(p), Seq(s))),
        None => text.parse().ok().map(|conn| Subject::Client(ConnId(conn))),
    };
    subject.ok_or_else(|| {
        "write a publication as PUBLISHER#NUMBER (`0#117`) or a client as its number (`931`), as the report names them".into()
    })
}

/// The story, or why there is none.
///
/// # Errors
/// When the plan has no such publisher or client, or the journal nothing of it.
pub(super) fn tell(journal: JournalReader<impl Read>, plan: &Plan, subject: Subject, style: Style) -> Result<String, String> {
    let (text, missing) = match subject {
        Subject::Publication(publisher, _) if publisher.0 >= plan.publishers => {
            return Err(format!("there is no publisher {publisher}: the run had {}, counted from 0", plan.publishers));
        }
        Subject::Client(conn) if conn.0 >= plan.connections => {
            return Err(format!("there is no client {conn}: the run had {}, counted from 0", plan.connections));
        }
        Subject::Publication(publisher, seq) => {
            let mut story = publication::Story::new(plan, publisher, seq);
            let ending = journal.read(|_, event| story.take(&event));
            (story.text(style)?, ending.missing)
        }
        Subject::Client(conn) => {
            let mut story = client::Story::new(plan, conn, style);
            let ending = journal.read(|_, event| story.take(&event));
            (story.text(), ending.missing)
        }
    };
    Ok(text + &doubts(&missing))
}

/// What the story may lack.
fn doubts(missing: &[Missing]) -> String {
    if missing.is_empty() {
        return String::new();
    }
    let names: Vec<String> = missing.iter().take(4).map(Missing::to_string).collect();
    let more = if missing.len() > 4 { "; …" } else { "" };
    format!("\nThe journal is not whole, so parts of this story may be missing: {}{more}\n", names.join("; "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn subjects_are_written_as_reports_name_them() {
        assert_eq!(parse("3#17"), Ok(Subject::Publication(PublisherId(3), Seq(17))));
        assert_eq!(parse("931"), Ok(Subject::Client(ConnId(931))));
        for wrong in ["", "#", "3#", "#3", "-1", "client 3", "99999999999"] {
            assert!(parse(wrong).is_err(), "{wrong}");
        }
    }
}
