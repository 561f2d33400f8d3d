//! What a connection does besides publishing, as the scenario says it: its script on opening, its answers, its own timed
//! messages, what it ignores, and its last words. Data only; [`Session`](super::session::Session) runs it.

use serde::Serialize;

use super::body::Body;
use super::capture::Capture;
use super::template::{MissingValue, Template, Vars};
use super::wanted::Wanted;
use crate::base::Span;

/// One step of a script.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub enum Step {
    /// Send a message.
    Send(Body),
    /// Wait for a message.
    Expect {
        /// The one meant.
        matches: Wanted,
        /// The longest wait.
        within: Span,
        /// What to take out of it; all must be there.
        captures: Vec<Capture>,
    },
    /// Let time pass.
    Wait(Span),
    /// Ask over HTTP.
    Http(HttpStep),
}

/// A request of a script: a login, a token.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct HttpStep {
    /// `GET`, `POST`, …
    pub method: String,
    /// An `http://` or `https://` URL.
    pub url: Template,
    /// Headers, in order.
    pub headers: Vec<(String, Template)>,
    /// The body, if any.
    pub body: Option<Template>,
    /// The longest the answer may take.
    pub within: Span,
    /// What to take out of the answer's body; all must be there.
    pub captures: Vec<Capture>,
}

/// An answer the client gives by itself.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Reply {
    /// When.
    pub when: Trigger,
    /// What to take out of the message that triggered it.
    pub captures: Vec<Capture>,
    /// What is sent.
    pub send: Body,
}

/// When a [`Reply`] is given.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub enum Trigger {
    /// A message came.
    Message(Wanted),
    /// This much time passed since the script was done, again and again.
    Every(Span),
}

impl Trigger {
    /// All templates in what triggers it.
    pub(super) fn templates(&self) -> Vec<&Template> {
        match self {
            Self::Message(when) => when.templates(),
            Self::Every(_) => Vec::new(),
        }
    }
}

/// What all connections of a group do.
#[derive(Debug, Clone, PartialEq, Serialize, Default)]
pub struct Behaviour {
    /// On opening. The client is ready when it is done.
    pub script: Vec<Step>,
    /// Sent before the closing handshake.
    pub on_close: Vec<Body>,
    /// Answers.
    pub replies: Vec<Reply>,
    /// Messages that mean nothing here.
    pub ignore: Vec<Wanted>,
}

impl Behaviour {
    /// Whether there is nothing to do: then no [`Session`](super::session::Session) is needed.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.script.is_empty() && self.on_close.is_empty() && self.replies.is_empty() && self.ignore.is_empty()
    }

    /// Whether a matcher in it has variables: then each connection has its own.
    #[must_use]
    pub fn varies(&self) -> bool {
        let step = |step: &Step| matches!(step, Step::Expect { matches, .. } if matches.varies());
        let reply = |reply: &Reply| matches!(&reply.when, Trigger::Message(when) if when.varies());
        self.script.iter().any(step) || self.replies.iter().any(reply) || self.ignore.iter().any(Wanted::varies)
    }

    /// How many steps come before the handshake: the requests at the head of the script. What they capture (a token, a
    /// cookie) may be used in the handshake.
    #[must_use]
    pub fn prelude(&self) -> usize {
        self.script.iter().take_while(|step| matches!(step, Step::Http(_))).count()
    }

    /// The timed messages: `(index into replies, period)`.
    pub fn timed(&self) -> impl Iterator<Item = (usize, Span)> + '_ {
        self.replies.iter().enumerate().filter_map(|(i, r)| if let Trigger::Every(every) = r.when { Some((i, every)) } else { None })
    }
}

/// An HTTP request, ready to be made.
#[derive(Debug, Clone, PartialEq)]
pub struct Request {
    /// `GET`, `POST`, …
    pub method: String,
    /// Where to.
    pub url: String,
    /// Headers, in order.
    pub headers: Vec<(String, String)>,
    /// The body; empty for none.
    pub body: Vec<u8>,
    /// The longest the answer may take.
    pub within: Span,
}

impl HttpStep {
    /// The request with the variables' values.
    ///
    /// # Errors
    /// A variable without a value.
    pub fn request(&self, vars: &Vars<'_>) -> Result<Request, MissingValue> {
        let body = self.body.as_ref().map_or(Ok(Vec::new()), |b| b.render(vars))?;
        let vars = Vars { body: &body, ..*vars };
        let mut headers = Vec::with_capacity(self.headers.len());
        for (name, value) in &self.headers {
            headers.push((name.clone(), value.text(&vars)?));
        }
        Ok(Request { method: self.method.clone(), url: self.url.text(&vars)?, headers, within: self.within, body: body.clone() })
    }
}
