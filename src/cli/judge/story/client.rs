//! One client's life: time runs down, the client on the left, the server on the right.

use std::collections::HashMap;
use std::fmt::Write as _;

use crate::base::{ConnId, Instant, PublisherId, Span};
use crate::event::{ClosedBy, Copy, Event, PingLevel};
use crate::plan::Plan;
use crate::report::escape;
use crate::report::text::Style;

/// Columns between client and server.
const LANE: usize = 26;
/// Uneventful copies in a row told one by one; more become one line.
const ROW_OF: u64 = 3;
/// Lines told; a life longer than that loses its middle.
const LINES: usize = 2_000;

/// Which way something went.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Way {
    Out,
    In,
    Here,
}

/// Copies in a row with nothing to say about them.
#[derive(Debug)]
struct Quiet {
    from: Instant,
    to: Instant,
    first: String,
    last: String,
    copies: u64,
    slowest: Span,
    lines: Vec<String>,
}

/// A client's story being told.
#[derive(Debug)]
pub(super) struct Story<'p> {
    plan: &'p Plan,
    conn: ConnId,
    style: Style,
    within: Span,
    /// By publisher, the number expected next.
    next: HashMap<PublisherId, u32>,
    quiet: Option<Quiet>,
    lines: Vec<String>,
    untold: u64,
}

impl<'p> Story<'p> {
    pub(super) fn new(plan: &'p Plan, conn: ConnId, style: Style) -> Self {
        let within = plan.scenario.checks.delivery.map_or(plan.scenario.phases.drain, |delivery| delivery.within);
        Self { plan, conn, style, within, next: HashMap::new(), quiet: None, lines: Vec::new(), untold: 0 }
    }

    pub(super) fn take(&mut self, event: &Event<'_>) {
        match *event {
            Event::Copy(copy) if copy.conn == self.conn => self.copy(&copy),
            Event::Sent { publisher, seq, sent, planned, .. } if self.plan.connection_of(publisher) == self.conn => {
                self.line(sent, Way::Out, &format!("publishes {publisher}#{seq}"), &lag(sent - planned));
            }
            Event::Dropped { publisher, at, cause, .. } if self.plan.connection_of(publisher) == self.conn => {
                self.line(at, Way::Here, "drops a publication", &format!("{cause:?}"));
            }
            Event::Connecting { conn, at } if conn == self.conn => self.line(at, Way::Out, "connects", ""),
            Event::ConnectFailed { conn, at, cause, detail } if conn == self.conn => {
                self.line(at, Way::Here, "fails to connect", &format!("{cause:?}: {}", escape(detail)));
            }
            Event::Opened { conn, at, handshake } if conn == self.conn => {
                self.line(at, Way::In, "open", &format!("handshake {handshake}"));
            }
            Event::Greeting { conn, at, text } if conn == self.conn => self.line(at, Way::In, "greeting", &shown(text)),
            Event::Ready { conn, at } if conn == self.conn => self.line(at, Way::Here, "is a member", ""),
            Event::NotReady { conn, at, detail } if conn == self.conn => self.line(at, Way::Here, "never a member", &escape(detail)),
            Event::Restored { conn, at, .. } if conn == self.conn => self.line(at, Way::Here, "is left alone again", ""),
            Event::AfterClose { conn, at, publisher, seq } if conn == self.conn => {
                self.line(at, Way::In, &format!("{publisher}#{seq}"), "behind the server's Close frame");
            }
            Event::Disrupted { conn, at, strike } if conn == self.conn => {
                let strike = self.plan.strikes.as_slice().get(strike as usize);
                let verb = strike.and_then(|s| self.plan.scenario.disrupt.get(usize::from(s.disruption))).map_or("", |d| d.verb.name());
                self.line(at, Way::Here, "is disrupted", verb);
            }
            Event::Leaving { conn, at } if conn == self.conn => self.line(at, Way::Here, "leaves", ""),
            Event::Closed { conn, at, closure, detail } if conn == self.conn => {
                let way = if closure.by == ClosedBy::Us { Way::Here } else { Way::In };
                let code = closure.code.map_or_else(|| "no code".to_owned(), |code| format!("code {code}"));
                let clean = if closure.clean { "clean" } else { "not clean" };
                self.line(at, way, "closed", &format!("by {:?}, {code}, {clean}: {}", closure.by, escape(detail)));
            }
            _ => self.further(event),
        }
    }

    fn further(&mut self, event: &Event<'_>) {
        match *event {
            Event::PingSent { conn, level, nonce, at } if conn == self.conn => {
                self.line(at, Way::Out, &format!("{} {nonce}", ping(level)), "")
            }
            Event::Pong { conn, level, nonce, at } if conn == self.conn => {
                let which = nonce.map_or_else(String::new, |nonce| format!(" {nonce}"));
                self.line(at, Way::In, &format!("{}{which}", pong(level)), "");
            }
            Event::AlienPong { conn, at, sample } if conn == self.conn => self.line(at, Way::In, "pong of nobody's", &shown(sample)),
            Event::Stray { conn, at, kind, sample } if conn == self.conn => {
                self.line(at, Way::In, "stray", &format!("{kind:?} {}", shown(sample)));
            }
            Event::Beat { conn, at } if conn == self.conn => self.line(at, Way::In, "beat", ""),
            Event::ServerPing { conn, at } if conn == self.conn => self.line(at, Way::In, "ping", ""),
            Event::Answered { publisher, seq, at, status, took, detail } if self.plan.connection_of(publisher) == self.conn => {
                let what = if status == 0 { "no answer".to_owned() } else { format!("HTTP {status}") };
                let why = if detail.is_empty() { String::new() } else { format!(": {}", escape(detail)) };
                self.line(at, Way::In, &what, &format!("to {publisher}#{seq}, request to answer {took}{why}"));
            }
            Event::NoSubprotocol { conn, at } if conn == self.conn => self.line(at, Way::Here, "no subprotocol", "it offered some"),
            Event::Compressed { conn, at } if conn == self.conn => self.line(at, Way::Here, "permessage-deflate", "agreed"),
            Event::Item { conn, at, key } if conn == self.conn => self.line(at, Way::In, "broadcast", &format!("item {key:016x}")),
            Event::Mishap { at, mishap } if !mishap.asleep.is_zero() => {
                self.line(at, Way::Here, "suspended", &format!("for {}", mishap.asleep))
            }
            Event::Interrupted { at, detail } => self.line(at, Way::Here, "interrupted", &escape(detail)),
            _ => {}
        }
    }

    fn copy(&mut self, copy: &Copy) {
        let name = format!("{}#{}", copy.publisher, copy.seq);
        let delivery = copy.received - copy.planned;
        let expected = self.next.get(&copy.publisher).copied();
        let mut doubts = Vec::new();
        match expected {
            Some(expected) if copy.seq.0 > expected => {
                let lost = if copy.seq.0 - expected == 1 { String::new() } else { format!(" to {}#{}", copy.publisher, copy.seq.0 - 1) };
                doubts.push(format!("before {}#{expected}{lost}", copy.publisher));
            }
            Some(expected) if copy.seq.0 < expected => doubts.push("again, or behind a later one".into()),
            _ => {}
        }
        self.next.insert(copy.publisher, copy.seq.0.saturating_add(1).max(expected.unwrap_or(0)));
        if delivery > self.within {
            doubts.push("late".into());
        }
        if !copy.flaws.is_none() {
            doubts.push("damaged".into());
        }
        let note = format!("delivery {delivery}, transit {}", copy.received - copy.sent);
        if !doubts.is_empty() {
            self.line(copy.received, Way::In, &name, &format!("{note}; {}", doubts.join(", ")));
            return;
        }
        let line = self.drawn(copy.received, Way::In, &name, &note);
        let quiet = self.quiet.get_or_insert_with(|| Quiet {
            from: copy.received,
            to: copy.received,
            first: name.clone(),
            last: String::new(),
            copies: 0,
            slowest: Span::ZERO,
            lines: Vec::new(),
        });
        (quiet.to, quiet.last) = (copy.received, name);
        quiet.copies += 1;
        quiet.slowest = quiet.slowest.max(delivery);
        if quiet.copies <= ROW_OF {
            quiet.lines.push(line);
        }
    }

    fn line(&mut self, at: Instant, way: Way, what: &str, note: &str) {
        self.end_quiet();
        let line = self.drawn(at, way, what, note);
        self.push(line);
    }

    fn end_quiet(&mut self) {
        let Some(quiet) = self.quiet.take() else { return };
        if quiet.copies <= ROW_OF {
            return quiet.lines.into_iter().for_each(|line| self.push(line));
        }
        let note = format!("{} to {} until {}, delivery {} at most", quiet.first, quiet.last, quiet.to, quiet.slowest);
        let line = self.drawn(quiet.from, Way::In, &format!("{} copies", quiet.copies), &note);
        self.push(line);
    }

    /// Keeps the line; of a life too long, the beginning and the end.
    fn push(&mut self, line: String) {
        if self.lines.len() == LINES {
            self.lines.remove(LINES / 2);
            self.untold += 1;
        }
        self.lines.push(line);
    }

    fn drawn(&self, at: Instant, way: Way, what: &str, note: &str) -> String {
        let (bar, dash, left, right) = if self.style.unicode { ('│', '─', '◂', '▸') } else { ('|', '-', '<', '>') };
        let what: String = what.chars().take(LANE - 4).collect();
        let room = LANE - 3 - what.chars().count();
        let fill = |n: usize| dash.to_string().repeat(n);
        let lane = match way {
            Way::Out => format!("{} {what} {}{right}", fill(room / 2), fill(room - room / 2)),
            Way::In => format!("{left}{} {what} {}", fill(room / 2), fill(room - room / 2)),
            Way::Here => format!("{what:<LANE$}"),
        };
        let line = format!("{at:>10}  {bar}{lane}{bar}  {note}");
        format!("{}\n", line.trim_end())
    }

    /// The story as text.
    pub(super) fn text(mut self) -> String {
        self.end_quiet();
        let group = self.plan.group_of(self.conn).map_or("", |(group, _)| group.name.as_str());
        let mut out = format!("client {} of group {}\n\n", self.conn, escape(group));
        let _ = writeln!(out, "{:>10}  {:<width$}server", "", "client", width = LANE - 4);
        let untold = self.untold;
        for (n, line) in self.lines.iter().enumerate() {
            if untold > 0 && n == LINES / 2 {
                let _ = writeln!(out, "{:>10}  {untold} further events", "...");
            }
            out.push_str(line);
        }
        if self.lines.is_empty() {
            out.push_str("the journal has nothing of it\n");
        }
        out
    }
}

const fn ping(level: PingLevel) -> &'static str {
    match level {
        PingLevel::Application => "application ping",
        PingLevel::Protocol => "ping",
    }
}

const fn pong(level: PingLevel) -> &'static str {
    match level {
        PingLevel::Application => "application pong",
        PingLevel::Protocol => "pong",
    }
}

fn lag(lag: Span) -> String {
    format!("send lag {lag}")
}

fn shown(bytes: &[u8]) -> String {
    let text = String::from_utf8_lossy(bytes);
    escape(&text.chars().take(60).collect::<String>()).into_owned()
}
