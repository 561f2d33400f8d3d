//! The state of one connection's script and answers: a pure machine that is told what arrived and what time passed, and says
//! what to do. Must never know a socket or a clock.

use std::collections::VecDeque;

use super::behaviour::{Behaviour, Request, Step, Trigger};
use super::body::Body;
use super::capture::Capture;
use super::template::{Captured, MissingValue, Vars};
use super::wanted::{Own, Wanted};
use crate::base::Span;

/// What the connection must do now.
#[derive(Debug, Clone, PartialEq)]
pub enum Action {
    /// Connect now: what comes before the handshake is done.
    Connect,
    /// Send this message: its content, and whether it is text.
    Send(Vec<u8>, bool),
    /// Call [`Session::on_timer`] after this span. A later `Timer` replaces an earlier one.
    Timer(Span),
    /// Make this request, and tell [`Session::on_http`] how it ended.
    Http(Request),
    /// The script is done: the client is ready. The messages it did not account for follow, in order of arrival, to be
    /// classified as any message is; start the timed messages.
    Ready(Vec<Vec<u8>>),
    /// The script cannot be finished, with the reason for people. The client is given up.
    Failed(String),
}

/// What a message was to the session.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Claim {
    /// The script waited for it.
    Script,
    /// It was answered.
    Reply,
    /// A rule says to ignore it.
    Ignored,
    /// Kept until the script is done: a later step may wait for it.
    Held,
    /// Nothing here explains it.
    Unclaimed,
}

/// How many frames are kept to be shown when a script fails, how much of each, and how many may be held.
const SHOWN: usize = 3;
const SHOWN_BYTES: usize = 160;
const HELD: usize = 64;

/// The state of one connection's session.
#[derive(Debug, Clone, Default)]
pub struct Session {
    step: usize,
    open: bool,
    done: bool,
    failed: bool,
    captured: Captured,
    held: VecDeque<Vec<u8>>,
    last: VecDeque<Vec<u8>>,
    counts: Vec<u64>,
    own: Option<Box<Matchers>>,
}

/// Matchers that have variables, with this connection's values. Made only where there are any.
#[derive(Debug, Clone, Default)]
struct Matchers {
    /// Of the step that waits.
    step: Option<Own>,
    /// Of the replies and the ignore rules, by their index.
    replies: Vec<Option<Own>>,
    ignore: Vec<Option<Own>>,
}

impl Session {
    /// The values captured so far, for [`Vars::captured`].
    #[must_use]
    pub const fn captured(&self) -> &Captured {
        &self.captured
    }

    /// Whether the script is done.
    #[must_use]
    pub const fn is_ready(&self) -> bool {
        self.done
    }

    /// Before connecting: runs the requests at the head of the script, and then, or at once when there are none, asks to
    /// connect. In `vars`, here and below, `captured` is ignored: the session has its own.
    pub fn start(&mut self, behaviour: &Behaviour, vars: &Vars<'_>) -> Vec<Action> {
        let mut actions = Vec::new();
        self.advance(behaviour, vars, &mut actions);
        actions
    }

    /// The connection is open: runs the script up to its first wait.
    pub fn on_open(&mut self, behaviour: &Behaviour, vars: &Vars<'_>) -> Vec<Action> {
        self.open = true;
        if behaviour.varies() {
            self.own = Some(Box::default());
            if let Err(missing) = self.bind_rules(behaviour, vars) {
                let mut actions = Vec::new();
                self.fail(behaviour, &missing.to_string(), &mut actions);
                return actions;
            }
        }
        self.start(behaviour, vars)
    }

    /// A message arrived (one of [`Dialect::messages`](super::dialect::Dialect::messages)).
    pub fn on_message(&mut self, behaviour: &Behaviour, vars: &Vars<'_>, message: &[u8]) -> (Claim, Vec<Action>) {
        let mut actions = Vec::new();
        if !self.done && !self.failed {
            if self.last.len() == SHOWN {
                self.last.pop_front();
            }
            self.last.push_back(message[..message.len().min(SHOWN_BYTES)].to_vec());
            if let Some(Step::Expect { matches, captures, .. }) = behaviour.script.get(self.step)
                && matches.matches(message, self.own.as_ref().and_then(|own| own.step.as_ref()))
            {
                self.take(behaviour, vars, (captures, message, "the message"), &mut actions);
                if !self.failed {
                    self.step += 1;
                    self.advance(behaviour, vars, &mut actions);
                }
                return (Claim::Script, actions);
            }
        }
        let claim = self.explain(behaviour, vars, message, &mut actions);
        (claim, actions)
    }

    fn explain(&mut self, behaviour: &Behaviour, vars: &Vars<'_>, message: &[u8], actions: &mut Vec<Action>) -> Claim {
        let own = self.own.as_deref();
        let mut replies = behaviour.replies.iter().enumerate();
        let answer = replies.find(|(i, reply)| match &reply.when {
            Trigger::Message(when) => when.matches(message, own.and_then(|own| own.replies.get(*i)?.as_ref())),
            Trigger::Every(_) => false,
        });
        if let Some((_, reply)) = answer {
            for capture in &reply.captures {
                if let Some(value) = capture.from.apply(message) {
                    self.captured.set(capture.slot, value);
                }
            }
            if !reply.captures.is_empty() {
                // A value of which no matcher can be made leaves the rule without effect: what it was for becomes stray, and is shown.
                let _ = self.bind_rules(behaviour, vars);
            }
            self.send(&reply.send, vars, actions);
            return Claim::Reply;
        }
        let mut ignore = behaviour.ignore.iter().enumerate();
        if ignore.any(|(i, rule)| rule.matches(message, own.and_then(|own| own.ignore.get(i)?.as_ref()))) {
            return Claim::Ignored;
        }
        if !self.done && !self.failed && self.held.len() < HELD {
            self.held.push_back(message.to_vec());
            return Claim::Held;
        }
        Claim::Unclaimed
    }

    /// The span of the last [`Action::Timer`] is over: a wait ends, or an expected message did not come.
    pub fn on_timer(&mut self, behaviour: &Behaviour, vars: &Vars<'_>) -> Vec<Action> {
        let mut actions = Vec::new();
        if self.done || self.failed {
            return actions;
        }
        match behaviour.script.get(self.step) {
            Some(Step::Wait(_)) => {
                self.step += 1;
                self.advance(behaviour, vars, &mut actions);
            }
            Some(Step::Expect { matches, within, .. }) => {
                let wanted = self.wanted(matches);
                self.fail(behaviour, &format!("expected {wanted} within {within}, and it did not come"), &mut actions);
            }
            Some(Step::Http(http)) => self.fail(behaviour, &format!("no answer within {}", http.within), &mut actions),
            _ => {}
        }
        actions
    }

    /// The request of the last [`Action::Http`] ended: its status and body, or why there is none.
    pub fn on_http(&mut self, behaviour: &Behaviour, vars: &Vars<'_>, answer: Result<(u16, &[u8]), &str>) -> Vec<Action> {
        let mut actions = Vec::new();
        let Some(Step::Http(step)) = behaviour.script.get(self.step).filter(|_| !self.done && !self.failed) else { return actions };
        match answer {
            Ok((200..=299, body)) => {
                self.take(behaviour, vars, (&step.captures, body, "the answer"), &mut actions);
                if !self.failed {
                    self.step += 1;
                    self.advance(behaviour, vars, &mut actions);
                }
            }
            Ok((status, body)) => {
                let what = format!("{} {} was answered with status {status}: {}", step.method, step.url.as_str(), show(body));
                self.fail(behaviour, &what, &mut actions);
            }
            Err(reason) => self.fail(behaviour, &format!("{} {}: {reason}", step.method, step.url.as_str()), &mut actions),
        }
        actions
    }

    /// A timed message is due: `reply` is its index from [`Behaviour::timed`]. The edge arms it again.
    pub fn on_period(&mut self, behaviour: &Behaviour, vars: &Vars<'_>, reply: usize) -> Vec<Action> {
        let mut actions = Vec::new();
        if self.counts.len() <= reply {
            self.counts.resize(reply + 1, 0);
        }
        self.counts[reply] += 1;
        if let Some(reply_to) = behaviour.replies.get(reply) {
            let vars = Vars { count: self.counts[reply], ..*vars };
            self.send(&reply_to.send, &vars, &mut actions);
        }
        actions
    }

    /// The last words before the closing handshake, as [`Action::Send`]s.
    pub fn on_close(&mut self, behaviour: &Behaviour, vars: &Vars<'_>) -> Vec<Action> {
        let mut actions = Vec::new();
        for body in &behaviour.on_close {
            self.send(body, vars, &mut actions);
        }
        actions
    }

    /// Runs steps until one has to wait.
    fn advance(&mut self, behaviour: &Behaviour, vars: &Vars<'_>, actions: &mut Vec<Action>) {
        loop {
            match behaviour.script.get(self.step) {
                step if !self.open && !matches!(step, Some(Step::Http(_))) => return actions.push(Action::Connect),
                None => {
                    self.done = true;
                    actions.push(Action::Ready(std::mem::take(&mut self.held).into()));
                    self.last = VecDeque::new();
                    return;
                }
                Some(Step::Send(body)) => {
                    if let Err(missing) = self.render(body, vars).map(|bytes| actions.push(Action::Send(bytes, body.is_text()))) {
                        return self.fail(behaviour, &missing.to_string(), actions);
                    }
                    self.step += 1;
                }
                Some(Step::Wait(span)) => return actions.push(Action::Timer(*span)),
                Some(Step::Http(step)) => {
                    match step.request(&Vars { captured: &self.captured, ..*vars }) {
                        Ok(request) => actions.extend([Action::Timer(step.within), Action::Http(request)]),
                        Err(missing) => self.fail(behaviour, &missing.to_string(), actions),
                    }
                    return;
                }
                Some(Step::Expect { matches, within, captures }) => {
                    let own = match matches.bind(&Vars { captured: &self.captured, ..*vars }) {
                        Ok(own) => own,
                        Err(missing) => return self.fail(behaviour, &missing.to_string(), actions),
                    };
                    let Some(i) = self.held.iter().position(|held| matches.matches(held, own.as_ref())) else {
                        if let Some(matchers) = &mut self.own {
                            matchers.step = own;
                        }
                        return actions.push(Action::Timer(*within));
                    };
                    let message = self.held.remove(i).unwrap_or_default();
                    self.take(behaviour, vars, (captures, &message, "the message"), actions);
                    if self.failed {
                        return;
                    }
                    self.step += 1;
                }
            }
        }
    }

    /// Keeps what a step captures: from which message, and what that is for people.
    fn take(&mut self, behaviour: &Behaviour, vars: &Vars<'_>, from: (&[Capture], &[u8], &str), actions: &mut Vec<Action>) {
        let (captures, message, what) = from;
        for capture in captures {
            match capture.from.apply(message) {
                Some(value) => self.captured.set(capture.slot, value),
                None => {
                    self.failed = true;
                    let step = self.step + 1;
                    return actions.push(Action::Failed(format!(
                        "step {step} of the script: {what} has no `{}` to capture: {}",
                        capture.name,
                        show(message)
                    )));
                }
            }
        }
        if !captures.is_empty()
            && let Err(missing) = self.bind_rules(behaviour, vars)
        {
            self.fail(behaviour, &missing.to_string(), actions);
        }
    }

    /// Gives the rules that have variables their values, as far as these are there.
    fn bind_rules(&mut self, behaviour: &Behaviour, vars: &Vars<'_>) -> Result<(), MissingValue> {
        let Some(own) = &mut self.own else { return Ok(()) };
        let vars = Vars { captured: &self.captured, ..*vars };
        let reply = |when: &Trigger| if let Trigger::Message(when) = when { when.bind(&vars) } else { Ok(None) };
        own.replies = behaviour.replies.iter().map(|r| reply(&r.when)).collect::<Result<_, _>>()?;
        own.ignore = behaviour.ignore.iter().map(|rule| rule.bind(&vars)).collect::<Result<_, _>>()?;
        Ok(())
    }

    /// What the step waits for, in words.
    fn wanted(&self, matches: &Wanted) -> String {
        matches.describe(self.own.as_ref().and_then(|own| own.step.as_ref()))
    }

    fn render(&self, body: &Body, vars: &Vars<'_>) -> Result<Vec<u8>, MissingValue> {
        body.render(&Vars { captured: &self.captured, ..*vars })
    }

    /// Sends outside the script: a value that is missing there has been refused when the scenario was read.
    fn send(&self, body: &Body, vars: &Vars<'_>, actions: &mut Vec<Action>) {
        if let Ok(bytes) = self.render(body, vars) {
            actions.push(Action::Send(bytes, body.is_text()));
        }
    }

    /// The connection ended, `how` for people: why the client never became ready, if its script was not done.
    pub fn on_end(&mut self, behaviour: &Behaviour, how: &str) -> Option<String> {
        if !self.open || self.done || self.failed {
            return None;
        }
        self.failed = true;
        Some(match behaviour.script.get(self.step) {
            Some(Step::Expect { matches, .. }) => self.reason(behaviour, &format!("expected {}, but {how}", self.wanted(matches))),
            _ => self.reason(behaviour, how),
        })
    }

    fn fail(&mut self, behaviour: &Behaviour, what: &str, actions: &mut Vec<Action>) {
        self.failed = true;
        actions.push(Action::Failed(self.reason(behaviour, what)));
    }

    fn reason(&self, behaviour: &Behaviour, what: &str) -> String {
        let seen: Vec<String> = self.last.iter().map(|m| show(m)).collect();
        let seen = if seen.is_empty() { "nothing was received".into() } else { format!("the last frames seen: {}", seen.join(", ")) };
        format!("step {} of {} of the script: {what}; {seen}", self.step + 1, behaviour.script.len())
    }
}

/// A message for people: escaped and cut.
fn show(message: &[u8]) -> String {
    let cut = &message[..message.len().min(SHOWN_BYTES)];
    let more = if cut.len() < message.len() { "…" } else { "" };
    format!("\"{}{more}\"", String::from_utf8_lossy(cut).escape_debug())
}
