//! What was observed of one conversation, as a plain value, and how it compares with what was expected. Pure: must never
//! know a socket, nor a verdict.

use std::time::Duration;

use super::catalogue::model::{Expected, Side};
use super::wire::assemble::Fault;
use super::wire::record::sample;

/// Something that arrived, or a marker passed while still open.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// A whole message.
    Message {
        /// Opcode 2.
        binary: bool,
        /// Its octets.
        payload: Vec<u8>,
    },
    /// A pong.
    Pong(Vec<u8>),
    /// A marker.
    Open(char),
}

/// A Close frame of the other side.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CloseSeen {
    /// Its code.
    pub code: Option<u16>,
    /// Its reason.
    pub reason: Vec<u8>,
    /// When, since the script began.
    pub at: Duration,
}

/// What was observed of one conversation.
#[derive(Debug, Clone, Default)]
pub struct Observation {
    /// What arrived, in order.
    pub events: Vec<Event>,
    /// Whether our Close went out before theirs.
    pub closed_by_us: bool,
    /// Their first Close.
    pub their_close: Option<CloseSeen>,
    /// The code of their last Close: Autobahn judges that one.
    pub last_code: Option<u16>,
    /// Frames of any kind behind their first Close.
    pub after_close: usize,
    /// Close in both directions, and TCP closed by the server in time.
    pub clean: bool,
    /// We had to drop TCP.
    pub dropped_by_us: bool,
    /// The first rule the other side broke.
    pub fault: Option<Fault>,
    /// How the other side ended TCP, and when.
    pub ended: Option<(String, Duration)>,
    /// What a loop or a size comparison concluded.
    pub concluded: Option<Result<(), String>>,
    /// permessage-deflate was needed and not agreed to.
    pub unimplemented: bool,
    /// From the script's first octet to the end.
    pub took: Duration,
}

/// Whether what arrived is what was expected. With an observer, messages and the rest travel on different connections, so
/// their order is only compared among themselves.
#[must_use]
pub fn same(events: &[Event], expected: &[Expected], apart: bool) -> bool {
    let one = |event: &Event, expected: &Expected| match (event, expected) {
        (Event::Message { binary, payload }, Expected::Message { binary: b, payload: p }) => binary == b && p.is(payload),
        (Event::Pong(payload), Expected::Pong(p)) => p.is(payload),
        (Event::Open(marker), Expected::Open(m)) => marker == m,
        _ => false,
    };
    if events.len() != expected.len() {
        return false;
    }
    if !apart {
        return events.iter().zip(expected).all(|(e, x)| one(e, x));
    }
    let (said, rest): (Vec<_>, Vec<_>) = events.iter().partition(|e| matches!(e, Event::Message { .. }));
    let (said_x, rest_x): (Vec<_>, Vec<_>) = expected.iter().partition(|e| matches!(e, Expected::Message { .. }));
    said.len() == said_x.len() && said.iter().zip(&said_x).chain(rest.iter().zip(&rest_x)).all(|(e, x)| one(e, x))
}

impl Observation {
    /// The side whose Close went first; theirs when nobody's did and TCP was lost.
    #[must_use]
    pub const fn initiator(&self) -> Side {
        if self.closed_by_us { Side::Us } else { Side::Them }
    }

    /// What happened, in words.
    #[must_use]
    pub fn describe(&self) -> String {
        let mut parts: Vec<String> = self.events.iter().take(12).map(describe_event).collect();
        if self.events.len() > 12 {
            parts.push(format!("{} more", self.events.len() - 12));
        }
        if let Some(Err(why)) = &self.concluded {
            parts.push(why.clone());
        }
        if let Some(fault) = &self.fault {
            parts.push(format!("it broke a rule: {}", fault.why));
        }
        match &self.their_close {
            Some(CloseSeen { code: Some(code), reason, .. }) if reason.is_empty() => parts.push(format!("Close {code}")),
            Some(CloseSeen { code: Some(code), reason, .. }) => parts.push(format!("Close {code} {}", sample(reason))),
            Some(_) => parts.push("Close without a code".to_owned()),
            None => parts.push("no Close".to_owned()),
        }
        if self.closed_by_us {
            parts.push("(ours went first)".to_owned());
        }
        match (&self.ended, self.dropped_by_us) {
            (Some((how, _)), _) => parts.push(how.clone()),
            (None, true) => parts.push("we had to drop TCP".to_owned()),
            (None, false) => {}
        }
        parts.join("; ")
    }
}

fn describe_event(event: &Event) -> String {
    match event {
        Event::Message { binary, payload } => {
            let kind = if *binary { "binary" } else { "text" };
            format!("{kind} {} octets {}", payload.len(), sample(&payload[..payload.len().min(40)]))
        }
        Event::Pong(payload) => format!("pong {}", sample(payload)),
        Event::Open(marker) => format!("still open at {marker}"),
    }
}
