//! The matchers with variables that are asked besides a script: greeting, copies, acknowledgements, beats, pongs; each connection
//! has its own, for as long as it lives. Where nothing varies there is none of this.

use super::model::{Beat, Greeting, Scenario};
use super::template::{MissingValue, Vars};
use super::wanted::{Own, Wanted};

/// What a matcher is asked about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Place {
    /// `greeting`.
    Greeting,
    /// `[dialect] match`, or that of a feed.
    Copy,
    /// `[dialect] ack`.
    Ack,
    /// `[heartbeat] expect`.
    Beat,
    /// `[ping] expect`.
    Pong,
}

impl Place {
    /// All of them; each stands at its own number.
    pub const ALL: [Self; 5] = [Self::Greeting, Self::Copy, Self::Ack, Self::Beat, Self::Pong];

    /// A connection's own matcher of this place, where it has any.
    #[must_use]
    pub fn own(self, matchers: Option<&OwnMatchers>) -> Option<&Own> {
        matchers?.get(self)
    }
}

impl Scenario {
    /// The matcher of a place, for the clients of a group.
    #[must_use]
    pub fn wanted(&self, place: Place, group: usize) -> Option<&Wanted> {
        match place {
            Place::Greeting => match &self.groups.get(group)?.greeting {
                Greeting::Expected { matches, .. } => Some(matches),
                Greeting::Any | Greeting::None => None,
            },
            Place::Copy => self.dialect.matches.as_ref(),
            Place::Ack => self.dialect.ack.as_ref(),
            Place::Beat => match self.looks_of_a_beat()? {
                Beat::Message(matches) => Some(matches),
                Beat::ProtocolPing => None,
            },
            Place::Pong => self.checks.pong.as_ref()?.application.as_ref().map(|ping| &ping.expect),
        }
    }

    /// How a beat looks, whether or not the heartbeat is checked.
    #[must_use]
    pub fn looks_of_a_beat(&self) -> Option<&Beat> {
        self.checks.heartbeat.as_ref().map(|h| &h.beat).or(self.beat.as_ref())
    }

    /// Whether clients of this group need [`OwnMatchers`].
    #[must_use]
    pub fn varies(&self, group: usize) -> bool {
        Place::ALL.iter().any(|place| self.wanted(*place, group).is_some_and(Wanted::varies))
    }
}

/// One connection's matchers, by place. Those of fixed text are not among them.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct OwnMatchers([Option<Own>; 5]);

impl OwnMatchers {
    /// Those of a connection with these values; what needs a value not captured yet is left out, and matches nothing.
    ///
    /// # Errors
    /// A value that is missing for good, or of which no matcher can be made.
    pub fn bind(scenario: &Scenario, group: usize, vars: &Vars<'_>) -> Result<Self, MissingValue> {
        let mut own = Self::default();
        for (place, slot) in Place::ALL.into_iter().zip(&mut own.0) {
            if let Some(wanted) = scenario.wanted(place, group) {
                *slot = wanted.bind(vars)?;
            }
        }
        Ok(own)
    }

    /// The one of a place.
    #[must_use]
    pub fn get(&self, place: Place) -> Option<&Own> {
        self.0[place as usize].as_ref()
    }
}
