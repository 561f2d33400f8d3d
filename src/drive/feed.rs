//! Broadcasts of the server's own: which messages are some, and by what each is known. Nothing of a message is parsed unless the
//! scenario asks for it (a JSON pointer for the id, a JSON matcher): by default it is hashed whole.

use crate::base::Instant;
use crate::event::Event;
use crate::scenario::model::{Beat, Dialect, Feed, Matcher, OwnMatchers, Place, Wanted};
use crate::scenario::session::Claim;
use crate::wire::violation::{self, Violation};

use super::classify::Kind;
use super::link::Io;
use super::session::Session;
use super::shard::Shard;

/// What a broadcast looks like.
#[derive(Debug)]
pub(super) struct Broadcasts {
    feed: Feed,
    pub(super) dialect: Dialect,
    /// A beat must have this in it: spares most broadcasts the look of the beat's own matcher.
    beat_has: Option<&'static [u8]>,
}

impl Broadcasts {
    pub(super) fn new(feed: &Feed, dialect: &Dialect, beat: Option<&Beat>) -> Self {
        let stated = matches!(beat, Some(Beat::Message(_)));
        Self { feed: feed.clone(), dialect: dialect.clone(), beat_has: (!stated).then_some(b"\"ping\"") }
    }

    /// Whether the scenario says that this is a broadcast, and its key.
    pub(super) fn stated(&self, message: &[u8], matchers: Option<&OwnMatchers>) -> Option<Kind> {
        let matches = self.dialect.matches.as_ref()?;
        matches.matches(message, Place::Copy.own(matchers)).then(|| self.feed.key(message).map(Kind::Item)).flatten()
    }

    /// What a message is that nothing else explains: where no `match` says which are broadcasts, all are that have an id.
    pub(super) fn unstated(&self, message: &[u8], matchers: Option<&OwnMatchers>) -> Option<Kind> {
        if self.dialect.ack.as_ref().is_some_and(|ack| ack.matches(message, Place::Ack.own(matchers))) {
            return Some(Kind::Nothing);
        }
        if self.dialect.matches.is_some() {
            return None;
        }
        self.feed.key(message).map(Kind::Item)
    }

    /// Whether the beat's matcher must be asked.
    pub(super) fn may_be_beat(&self, message: &[u8]) -> bool {
        self.beat_has.is_none_or(|text| memchr::memmem::find(message, text).is_some())
    }
}

/// The heartbeat where none is described: this project's own shape.
pub(super) fn own_beat() -> Wanted {
    Matcher::Json(serde_json::json!({ "type": 1, "message": "ping" })).into()
}

impl Session {
    /// A frame of a server that broadcasts by itself.
    pub(super) fn on_feed(
        &mut self,
        broadcasts: &Broadcasts,
        shard: &Shard,
        io: &mut Io,
        at: Instant,
        bytes: &[u8],
        text: bool,
    ) -> Result<(), Violation> {
        if text {
            violation::check_text(bytes)?;
        }
        for message in broadcasts.dialect.messages(bytes) {
            if self.talk.is_none() {
                self.unclaimed(shard, at, message);
            } else if let Claim::Reply = self.on_unstamped(shard, io, at, message)
                && let Some(kind) = broadcasts.stated(message, self.own().as_deref())
            {
                // Answered, and a broadcast all the same.
                self.on_kind(shard, at, message, kind);
            }
        }
        Ok(())
    }

    pub(super) fn on_item(&mut self, shard: &Shard, at: Instant, key: u64) {
        self.first = false;
        shard.observe(Event::Item { conn: self.conn, at, key });
    }
}
