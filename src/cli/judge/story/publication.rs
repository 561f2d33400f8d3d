//! One publication's way to its audience: time runs to the right, one row a client that is worth a look.

use std::collections::HashSet;
use std::fmt::Write as _;

use crate::account::is_accepted;
use crate::base::{ConnId, Flaws, Instant, PublisherId, Seq, Span};
use crate::event::{ClosedBy, Closure, Copy, Event};
use crate::plan::Plan;
use crate::report::escape;
use crate::report::text::Style;

/// Rows of clients shown for one reason.
const ROWS: usize = 6;
/// Columns before the diagram.
const LABEL: usize = 16;
/// Columns behind it.
const TAIL: usize = 24;

/// When a client was a member.
#[derive(Debug, Clone, Copy)]
struct Life {
    ready: Instant,
    left: Instant,
}

/// A publication's story being collected.
#[derive(Debug)]
pub(super) struct Story {
    publisher: PublisherId,
    seq: Seq,
    within: Span,
    /// By client, each time it was a member; `None` for a client that is owed nothing of this publisher.
    lives: Vec<Option<Vec<Life>>>,
    /// Published over HTTP: status, request to answer, what else was said.
    answer: Option<(u16, Span, String)>,
    instants: Option<(Instant, Instant)>,
    bytes: Option<u32>,
    copies: Vec<(ConnId, Instant, Flaws)>,
}

/// A client's row.
struct Row {
    label: String,
    arrived: Option<Instant>,
    note: String,
}

impl Story {
    pub(super) fn new(plan: &Plan, publisher: PublisherId, seq: Seq) -> Self {
        Self {
            publisher,
            seq,
            answer: None,
            within: plan.scenario.checks.delivery.map_or(plan.scenario.phases.drain, |delivery| delivery.within),
            lives: (0..plan.connections).map(|conn| plan.is_owed(publisher, ConnId(conn)).then(Vec::new)).collect(),
            instants: None,
            bytes: None,
            copies: Vec::new(),
        }
    }

    pub(super) fn take(&mut self, event: &Event<'_>) {
        match *event {
            Event::Copy(Copy { conn, publisher, seq, planned, sent, received, flaws })
                if (publisher, seq) == (self.publisher, self.seq) =>
            {
                self.instants.get_or_insert((planned, sent));
                self.copies.push((conn, received, flaws));
            }
            Event::Sent { publisher, seq, planned, sent, bytes } if (publisher, seq) == (self.publisher, self.seq) => {
                self.instants = Some((planned, sent));
                self.bytes = Some(bytes);
            }
            Event::Answered { publisher, seq, status, took, detail, .. } if (publisher, seq) == (self.publisher, self.seq) => {
                self.answer = Some((status, took, escape(detail).into_owned()));
            }
            Event::Ready { conn, at } => self.lives(conn, |lives| lives.push(Life { ready: at, left: Instant::FAR })),
            // Our own closing at the end takes nothing away from what was owed; a leave before that is told as one.
            Event::Closed { closure: Closure { by: ClosedBy::Us, .. }, .. } => {}
            Event::Leaving { conn, at } | Event::Closed { conn, at, .. } => {
                self.lives(conn, |lives| lives.iter_mut().for_each(|life| life.left = life.left.min(at)));
            }
            _ => {}
        }
    }

    fn lives(&mut self, conn: ConnId, change: impl FnOnce(&mut Vec<Life>)) {
        if let Some(Some(lives)) = self.lives.get_mut(conn.index()) {
            change(lives);
        }
    }

    /// The story as text.
    ///
    /// # Errors
    /// When nothing is known of the publication.
    pub(super) fn text(mut self, style: Style) -> Result<String, String> {
        let Some((planned, sent)) = self.instants else {
            return Err(format!("the journal has no publication {}#{}: it was never sent", self.publisher, self.seq));
        };
        self.copies.sort_unstable_by_key(|&(conn, received, _)| (received, conn));
        let rows = self.rows(planned, sent);
        let mut out = self.head(planned, sent);
        let last = self.copies.last().map_or(sent, |copy| copy.1).max(sent);
        let unfinished = rows.iter().any(|row| row.arrived.is_none());
        let end = if unfinished { last.max(planned + self.within) } else { last };
        let chart = Chart::new(style, planned, sent, (end - planned).max(Span::from_nanos(1)));
        out.push_str(&chart.axis());
        out.push_str(&chart.row(&format!("publisher {}", self.publisher), Some(sent), &format!("sent +{}", sent - planned), true));
        if self.copies.len() > 2 {
            out.push_str(&chart.density(self.copies.iter().map(|copy| copy.1), self.copies.len()));
        }
        for row in rows {
            out.push_str(&chart.row(&row.label, row.arrived, &row.note, false));
        }
        Ok(out)
    }

    fn head(&self, planned: Instant, sent: Instant) -> String {
        let bytes = self.bytes.map_or_else(String::new, |bytes| format!(", {bytes} bytes"));
        let distinct: HashSet<ConnId> = self.copies.iter().map(|copy| copy.0).collect();
        let (owed, missing) = (self.owed(planned, sent).count(), self.missing(planned, sent, &distinct).len());
        let again = self.copies.len() - distinct.len();
        let late = self.copies.iter().filter(|copy| copy.1 - planned > self.within).count();
        let damaged = self.copies.iter().filter(|copy| !copy.2.is_none()).count();
        let answer = self.answer.as_ref().map_or_else(String::new, told);
        format!(
            "publication {}#{}{bytes}\nplanned {planned}, sent {} later{answer}; owed to {owed} clients, {} copies came: {missing} missing, {late} late, {again} again, {damaged} damaged\n\n",
            self.publisher,
            self.seq,
            sent - planned,
            self.copies.len(),
        )
    }

    /// Clients that were members from before it was sent until its limit.
    fn owed(&self, planned: Instant, sent: Instant) -> impl Iterator<Item = ConnId> + '_ {
        let limit = planned + self.within;
        let through = move |lives: &Vec<Life>| lives.iter().any(|life| life.ready <= sent && life.left >= limit);
        (0..).map(ConnId).zip(&self.lives).filter(move |(_, lives)| lives.as_ref().is_some_and(through)).map(|(conn, _)| conn)
    }

    fn missing(&self, planned: Instant, sent: Instant, came: &HashSet<ConnId>) -> Vec<ConnId> {
        self.owed(planned, sent).filter(|conn| !came.contains(conn)).collect()
    }

    /// The clients worth a look: those it did not reach well, then the first, the median and the last it reached.
    fn rows(&self, planned: Instant, sent: Instant) -> Vec<Row> {
        let label = |conn: ConnId| format!("client {conn}");
        let mut rows = Vec::new();
        let mut seen = HashSet::new();
        let (mut late, mut again, mut damaged) = (Vec::new(), Vec::new(), Vec::new());
        for &(conn, received, flaws) in &self.copies {
            let came = |note: &str| Row { label: label(conn), arrived: Some(received), note: format!("{} {note}", received - planned) };
            if !seen.insert(conn) {
                again.push(came("again"));
            } else if !flaws.is_none() {
                damaged.push(came("damaged"));
            } else if received - planned > self.within {
                late.push(came("late"));
            }
        }
        let missing = self.missing(planned, sent, &seen);
        let missing = missing.into_iter().map(|conn| Row { label: label(conn), arrived: None, note: "never came".into() }).collect();
        for (what, mut group) in [("missing", missing), ("late", late), ("again", again), ("damaged", damaged)] {
            let more = group.len().saturating_sub(ROWS);
            group.truncate(ROWS);
            if more > 0
                && let Some(row) = group.last_mut()
            {
                let _ = write!(row.note, " (+{more} {what})");
            }
            rows.append(&mut group);
        }
        let ranks = [("first", 0), ("median", self.copies.len() / 2), ("last", self.copies.len().saturating_sub(1))];
        for (rank, at) in ranks {
            if let Some(&(conn, received, _)) = self.copies.get(at) {
                rows.push(Row { label: label(conn), arrived: Some(received), note: format!("{} {rank}", received - planned) });
            }
        }
        rows
    }
}

/// What became of its HTTP request.
fn told((status, took, detail): &(u16, Span, String)) -> String {
    let what = match *status {
        0 => format!("never answered, given up {took} later"),
        status if is_accepted(status) => format!("accepted with {status} {took} later"),
        status => format!("rejected with {status} {took} later"),
    };
    if detail.is_empty() { format!(", {what}") } else { format!(", {what} ({detail})") }
}

/// Columns for instants.
struct Chart {
    style: Style,
    width: usize,
    planned: Instant,
    sent: Instant,
    span: Span,
}

impl Chart {
    fn new(style: Style, planned: Instant, sent: Instant, span: Span) -> Self {
        let width = style.width.clamp(64, 120) - LABEL - TAIL;
        Self { style, width, planned, sent, span }
    }

    fn glyphs(&self) -> [char; 5] {
        if self.style.unicode { ['○', '●', '─', '▸', '✗'] } else { ['o', '*', '-', '>', 'x'] }
    }

    fn column(&self, at: Instant) -> usize {
        let share = u128::from((at - self.planned).as_nanos().min(self.span.as_nanos())) * (self.width as u128 - 1);
        (share / u128::from(self.span.as_nanos())) as usize
    }

    fn axis(&self) -> String {
        let end = format!("+{}", self.span);
        let middle = format!("+{}", Span::from_nanos(self.span.as_nanos() / 2));
        let half = self.width / 2;
        format!("{:LABEL$}{:<half$}{:<rest$}{end}\n", "", "planned", middle, rest = self.width - half)
    }

    /// From the planned instant over the sent one to the arrival.
    fn row(&self, label: &str, arrived: Option<Instant>, note: &str, publisher: bool) -> String {
        let [planned, sent, line, arrow, never] = self.glyphs();
        let mut cells = vec![' '; self.width];
        let from = self.column(self.sent);
        let to = arrived.map_or(self.width - 1, |at| self.column(at));
        if publisher {
            cells[0] = planned;
            cells[from] = sent;
        } else {
            let to = to.max(from);
            cells[from..=to].fill(line);
            cells[to] = if arrived.is_some() { arrow } else { never };
        }
        format!("{label:LABEL$}{} {note}\n", cells.into_iter().collect::<String>())
    }

    /// How many copies came when.
    fn density(&self, arrivals: impl Iterator<Item = Instant>, copies: usize) -> String {
        let shades: &[char] = if self.style.unicode {
            &['▁', '▂', '▃', '▄', '▅', '▆', '▇', '█']
        } else {
            &['.', ':', '-', '=', '+', '*', '#', '@']
        };
        let mut counts = vec![0_usize; self.width];
        arrivals.for_each(|at| counts[self.column(at)] += 1);
        let most = counts.iter().copied().max().unwrap_or(1).max(1);
        let cells: String =
            counts.iter().map(|&n| if n == 0 { ' ' } else { shades[(n * shades.len()).div_ceil(most).max(1) - 1] }).collect();
        format!("{:LABEL$}{cells} {copies} copies\n", "all clients")
    }
}
