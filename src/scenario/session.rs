//! The state of one connection's script and answers: a pure machine that is told what arrived and what time passed, and says
//! what to do. Must never know a socket or a clock.

use std::collections::VecDeque;

use super::behaviour::{Behaviour, Request, Step, Trigger};
use super::body::Body;
use super::capture::Capture;
use super::model::Matcher;
use super::template::{Captured, MissingValue, Vars};
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
                && matches.matches(message)
            {
                self.take(captures, message, "the message", &mut actions);
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
        let answer = behaviour.replies.iter().find(|r| matches!(&r.when, Trigger::Message(m) if m.matches(message)));
        if let Some(reply) = answer {
            for capture in &reply.captures {
                if let Some(value) = capture.from.apply(message) {
                    self.captured.set(capture.slot, value);
                }
            }
            self.send(&reply.send, vars, actions);
            return Claim::Reply;
        }
        if behaviour.ignore.iter().any(|m| m.matches(message)) {
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
                self.fail(behaviour, &format!("expected {} within {within}, and it did not come", describe(matches)), &mut actions);
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
                self.take(&step.captures, body, "the answer", &mut actions);
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
                    let Some(i) = self.held.iter().position(|held| matches.matches(held)) else {
                        return actions.push(Action::Timer(*within));
                    };
                    let message = self.held.remove(i).unwrap_or_default();
                    self.take(captures, &message, "the message", actions);
                    if self.failed {
                        return;
                    }
                    self.step += 1;
                }
            }
        }
    }

    fn take(&mut self, captures: &[Capture], message: &[u8], what: &str, actions: &mut Vec<Action>) {
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

    fn fail(&mut self, behaviour: &Behaviour, what: &str, actions: &mut Vec<Action>) {
        self.failed = true;
        let seen: Vec<String> = self.last.iter().map(|m| show(m)).collect();
        let seen = if seen.is_empty() { "nothing was received".into() } else { format!("the last frames seen: {}", seen.join(", ")) };
        actions.push(Action::Failed(format!("step {} of {} of the script: {what}; {seen}", self.step + 1, behaviour.script.len())));
    }
}

/// A matcher in words.
#[must_use]
pub fn describe(matcher: &Matcher) -> String {
    match matcher {
        Matcher::Exact(text) => format!("exactly {text:?}"),
        Matcher::Contains(text) => format!("something that contains {text:?}"),
        Matcher::Prefix(text) => format!("something that begins with {text:?}"),
        Matcher::Regex(pattern) => format!("something that matches {:?}", pattern.as_str()),
        Matcher::Json(value) => format!("JSON with {value}"),
    }
}

/// A message for people: escaped and cut.
fn show(message: &[u8]) -> String {
    let cut = &message[..message.len().min(SHOWN_BYTES)];
    let more = if cut.len() < message.len() { "…" } else { "" };
    format!("\"{}{more}\"", String::from_utf8_lossy(cut).escape_debug())
}

#[cfg(test)]
mod tests {
    use super::super::parse;
    use super::*;

    fn behaviour(text: &str) -> Behaviour {
        let scenario = parse(&format!("{text}\n[clients]\ncount = 1\n"), "t.toml").unwrap_or_else(|e| panic!("{e}"));
        scenario.groups[0].behaviour.clone()
    }

    fn text(action: &Action) -> String {
        match action {
            Action::Send(bytes, _) => String::from_utf8_lossy(bytes).into_owned(),
            other => format!("{other:?}"),
        }
    }

    fn texts(actions: &[Action]) -> Vec<String> {
        actions.iter().map(text).collect()
    }

    #[test]
    fn a_script_runs_step_by_step() {
        let b = behaviour(
            r#"
            script = [
                { expect = { prefix = "0" }, capture = { sid = "/sid" } },
                { send = "40 {sid} {client.id}" },
                { wait = "1s" },
                { expect = "ok", within = "2s" },
            ]"#,
        );
        let vars = Vars::default();
        let mut s = Session::default();
        assert_eq!(s.start(&b, &vars), [Action::Connect]);
        assert_eq!(s.on_open(&b, &vars), [Action::Timer(WITHIN)]);
        let (claim, actions) = s.on_message(&b, &vars, br#"0{"sid":"abc"}"#);
        assert_eq!(
            (claim, texts(&actions)),
            (Claim::Script, vec!["40 abc 0".to_owned(), format!("{:?}", Action::Timer(Span::from_secs(1)))])
        );
        // What comes early is kept: the next step finds it.
        assert_eq!(s.on_message(&b, &vars, b"ok").0, Claim::Held);
        assert_eq!(s.on_message(&b, &vars, b"news").0, Claim::Held);
        assert_eq!(s.on_timer(&b, &vars), [Action::Ready(vec![b"news".to_vec()])]);
        assert!(s.is_ready());
        assert_eq!(s.on_message(&b, &vars, b"more").0, Claim::Unclaimed);
    }

    const WITHIN: Span = Span::from_secs(5);

    #[test]
    fn a_message_that_does_not_come_is_told_with_what_came_instead() {
        let b = behaviour(r#"script = [{ send = "hello" }, { expect = { json = { ok = true } }, within = "2s" }]"#);
        let vars = Vars::default();
        let mut s = Session::default();
        assert_eq!(texts(&s.on_open(&b, &vars)), ["hello".to_owned(), format!("{:?}", Action::Timer(Span::from_secs(2)))]);
        s.on_message(&b, &vars, b"{\"ok\":\x01false}");
        let [Action::Failed(why)] = &s.on_timer(&b, &vars)[..] else { panic!("it fails") };
        assert!(why.starts_with("step 2 of 2") && why.contains(r#"JSON with {"ok":true} within 2s"#), "{why}");
        assert!(why.contains("{\\\"ok\\\":\\u{1}false}"), "{why}");
    }

    #[test]
    fn a_capture_that_matches_nothing_is_a_failure() {
        let b = behaviour(r#"script = [{ expect = { prefix = "0" }, capture = { sid = "/sid" } }]"#);
        let mut s = Session::default();
        s.on_open(&b, &Vars::default());
        let (_, actions) = s.on_message(&b, &Vars::default(), b"0{}");
        assert!(matches!(&actions[..], [Action::Failed(why)] if why.contains("no `sid` to capture")), "{actions:?}");
    }

    #[test]
    fn requests_at_the_head_come_before_the_handshake() {
        let b = behaviour(
            r#"script = [{ http = { url = "http://h/login", body = { json = { user = "u{client.id}" } } }, capture = { token = "/token" } }, { send = "{token}" }]"#,
        );
        let (mut s, vars) = (Session::default(), Vars::default());
        let actions = s.start(&b, &vars);
        let Some(Action::Http(request)) = actions.last() else { panic!("{actions:?}") };
        assert_eq!(
            (request.method.as_str(), request.url.as_str(), &request.body[..]),
            ("POST", "http://h/login", &br#"{"user":"u0"}"#[..])
        );
        assert_eq!(s.on_http(&b, &vars, Ok((200, br#"{"token":"t"}"#))), [Action::Connect]);
        assert_eq!(texts(&s.on_open(&b, &vars))[0], "t");
        let mut s = Session::default();
        s.start(&b, &vars);
        let actions = s.on_http(&b, &vars, Ok((403, b"no")));
        assert!(matches!(&actions[..], [Action::Failed(why)] if why.contains("status 403")), "{actions:?}");
    }

    #[test]
    fn answers_rules_and_the_clock() {
        let b = behaviour(
            r#"
            ignore = [{ prefix = "* " }]
            on_close = ["bye {client.id}"]
            reply = [
                { when = "2", send = "3" },
                { when = { json = { type = "ping" } }, capture = { id = "/id" }, send = { json = { type = "pong", id = "{id}" } } },
                { every = "30s", send = "beat {count}" },
            ]"#,
        );
        let (mut s, vars) = (Session::default(), Vars::default());
        assert_eq!(s.on_open(&b, &vars), [Action::Ready(Vec::new())]);
        let (claim, actions) = s.on_message(&b, &vars, b"2");
        assert_eq!((claim, texts(&actions)), (Claim::Reply, vec!["3".to_owned()]));
        let (_, actions) = s.on_message(&b, &vars, br#"{"type":"ping","id":7}"#);
        assert_eq!(texts(&actions), [r#"{"type":"pong","id":"7"}"#]);
        assert_eq!(s.on_message(&b, &vars, b"* joined").0, Claim::Ignored);
        assert_eq!(b.timed().collect::<Vec<_>>(), [(2, Span::from_secs(30))]);
        assert_eq!([texts(&s.on_period(&b, &vars, 2)), texts(&s.on_period(&b, &vars, 2))], [["beat 1"], ["beat 2"]]);
        assert_eq!(texts(&s.on_close(&b, &vars)), ["bye 0"]);
    }
}
