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
    use crate::base::{Instant, Span};
    use crate::event::Event;

    const ROOMS: &str = "name = \"s\"\n[clients]\ncount = 4\nrooms = { count = 2 }\n[publish]\nvia = \"http\"\nurl = \"http://127.0.0.1:1/\"\n\
        body = \"{stamp}\"\npublishers = 1\npace = \"10/s\"\n[phases]\nsteady = \"1s\"\n[checks.delivery]\nwithin = \"1s\"\n";

    fn plan() -> Plan {
        let scenario = crate::scenario::parse(ROOMS, "s.toml").unwrap_or_else(|error| panic!("{error}"));
        Plan::new(std::sync::Arc::new(scenario), crate::base::Seed(1))
    }

    fn at(ms: u64) -> Instant {
        Instant::from_nanos(ms * 1_000_000)
    }

    /// Everybody is a member, and the publisher sends one publication, which is answered.
    fn events(plan: &Plan, status: u16, detail: &'static str) -> Vec<Event<'static>> {
        let mut events: Vec<_> = (0..plan.connections).map(|conn| Event::Ready { conn: ConnId(conn), at: at(10) }).collect();
        let (publisher, seq) = (PublisherId(0), Seq(0));
        events.push(Event::Sent { publisher, seq, planned: at(100), sent: at(101), bytes: 64 });
        events.push(Event::Answered { publisher, seq, at: at(108), status, took: Span::from_millis(7), detail });
        events
    }

    #[test]
    fn an_answer_to_a_publication_is_told_on_either_side() {
        let plan = plan();
        for (status, detail, of_publication, of_client) in [
            (204, "", "sent 1ms later, accepted with 204 7ms later;", "HTTP 204"),
            (503, "full\u{1b}", "sent 1ms later, rejected with 503 7ms later (full\\u{1b});", "full\\u{1b}"),
            (0, "timed out", "never answered, given up 7ms later (timed out);", "no answer"),
        ] {
            let mut publication = publication::Story::new(&plan, PublisherId(0), Seq(0));
            let mut client = client::Story::new(&plan, plan.connection_of(PublisherId(0)), Style::default());
            for event in events(&plan, status, detail) {
                publication.take(&event);
                client.take(&event);
            }
            let told = publication.text(Style::default()).expect("it was sent");
            assert!(told.contains(of_publication), "{told}");
            let told = client.text();
            assert!(told.contains(of_client) && told.contains("to 0#0, request to answer 7ms"), "{told}");
        }
    }

    #[test]
    fn only_the_clients_of_its_room_are_owed_a_publication_and_only_while_they_are_members() {
        let plan = plan();
        let room: Vec<ConnId> = (0..4).map(ConnId).filter(|conn| plan.is_owed(PublisherId(0), *conn)).collect();
        assert!(!room.is_empty() && room.len() < 4, "{room:?}");
        let told = |more: &[Event<'_>]| {
            let mut story = publication::Story::new(&plan, PublisherId(0), Seq(0));
            events(&plan, 200, "").iter().chain(more).for_each(|event| story.take(event));
            story.text(Style::default()).expect("it was sent")
        };
        let n = room.len();
        assert!(told(&[]).contains(&format!("owed to {n} clients, 0 copies came: {n} missing")), "{}", told(&[]));
        // Who left within the limit is owed nothing, and coming back does not change what was.
        let back = [Event::Leaving { conn: room[0], at: at(500) }, Event::Ready { conn: room[0], at: at(600) }];
        assert!(told(&back).contains(&format!("owed to {} clients", n - 1)), "{}", told(&back));
        // Who left before and came back in time is.
        let before = [Event::Leaving { conn: room[0], at: at(20) }, Event::Ready { conn: room[0], at: at(30) }];
        assert!(told(&before).contains(&format!("owed to {n} clients")), "{}", told(&before));
    }

    #[test]
    fn subjects_are_written_as_reports_name_them() {
        assert_eq!(parse("3#17"), Ok(Subject::Publication(PublisherId(3), Seq(17))));
        assert_eq!(parse("931"), Ok(Subject::Client(ConnId(931))));
        for wrong in ["", "#", "3#", "#3", "-1", "client 3", "99999999999"] {
            assert!(parse(wrong).is_err(), "{wrong}");
        }
    }
}
