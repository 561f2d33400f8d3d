//! Client conformance: we play the server, the client under test connects and is judged by the same catalogue, mirrored.
//!
//! The paths are those of Autobahn's fuzzing server, so that every driver written for it works: `/getCaseCount`,
//! `/getCaseInfo?case=N`, `/runCase?case=N&agent=A`, `/getCaseStatus?case=N&agent=A`, `/updateReports?agent=A`. A browser
//! gets a page at `/` that does all of that with the plain WebSocket API, and any program `/report.json?agent=A`.

mod greeting;
mod play;

use std::collections::BTreeMap;
use std::rc::Rc;
use std::sync::Mutex;
use std::time::Duration;

use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Notify;
use tokio::time::Instant;

use self::greeting::{Greeting, Query};
use super::catalogue::model::{Ask, Case};
use super::report::Report;
use super::run::CaseResult;
use super::wire::frame::{Masking, Role, close_payload};
use super::wire::link::{Heard, Link};
use super::wire::record::Record;
use super::wire::stream::Stream;
use crate::base::Seed;

/// The page a browser is given.
const PAGE: &str = include_str!("page.html");

/// The cases that can be mirrored: Autobahn's, and our scripts that do not depend on a client's masking key.
#[must_use]
pub fn mirrored(cases: Vec<Case>) -> Vec<Case> {
    use super::catalogue::model::Step;
    let keyed = |steps: &[Step]| steps.iter().any(|s| matches!(s, Step::Frame { masking: Masking::Key(_), .. } | Step::Shut));
    cases
        .into_iter()
        .filter(|case| match &case.ask {
            Ask::Autobahn(_) => true,
            Ask::Script(script) => !keyed(&script.steps) && script.offer.is_none(),
            Ask::Handshake(_) | Ask::Procedure { .. } => false,
        })
        .collect()
}

/// The serving side of a run.
pub struct Clients {
    cases: Vec<Case>,
    scale: f64,
    strict: bool,
    seed: Seed,
    began: Instant,
    results: Mutex<BTreeMap<String, BTreeMap<usize, CaseResult>>>,
    reported: Notify,
}

impl Clients {
    /// Ready to judge clients on these cases.
    #[must_use]
    pub fn new(cases: Vec<Case>, scale: f64, strict: bool, seed: Seed) -> Self {
        let results = Mutex::new(BTreeMap::new());
        Self { cases: mirrored(cases), scale, strict, seed, began: Instant::now(), results, reported: Notify::new() }
    }

    /// How many cases a client is asked.
    #[must_use]
    pub fn count(&self) -> usize {
        self.cases.len()
    }

    /// Serves until dropped; must run inside a `LocalSet`.
    pub async fn serve(self: Rc<Self>, listener: TcpListener) {
        let mut nth = 0;
        loop {
            // An accept that fails (a client already gone, descriptors spent) concerns that client only.
            let Ok((tcp, _)) = listener.accept().await else {
                tokio::time::sleep(Duration::from_millis(20)).await;
                continue;
            };
            nth += 1;
            let it = Rc::clone(&self);
            tokio::task::spawn_local(async move { it.client(tcp, nth).await });
        }
    }

    /// Resolves when a client has asked for its report.
    pub async fn reported(&self) {
        self.reported.notified().await;
    }

    /// The report on one client; on all cases, those never asked for as ERROR.
    #[must_use]
    pub fn report(&self, agent: &str) -> Report {
        let results = self.results.lock().ok().and_then(|all| all.get(agent).cloned()).unwrap_or_default();
        let rows: Vec<CaseResult> =
            (0..self.cases.len()).map(|n| results.get(&n).cloned().unwrap_or_else(|| play::never_asked(&self.cases[n]))).collect();
        Report::new("client", agent, "client under test", self.strict, self.seed.0, self.began.elapsed(), &rows)
    }

    /// The clients seen so far.
    #[must_use]
    pub fn agents(&self) -> Vec<String> {
        self.results.lock().map(|all| all.keys().cloned().collect()).unwrap_or_default()
    }

    async fn client(&self, tcp: TcpStream, nth: u64) {
        if tcp.set_nodelay(true).is_err() {
            return;
        }
        let record = Record::new(Instant::now());
        let mut link = Link::new(Stream::Plain(tcp), Role::Server, self.seed.nth(nth).rng(), record);
        let until = Instant::now() + Duration::from_secs(10);
        let Ok(greeting) = greeting::read(&mut link, until).await else { return };
        let query = greeting.query();
        if !greeting.upgrades() {
            self.plain(link, &query).await;
            return;
        }
        match query.path.as_str() {
            "/runCase" => self.run_case(link, &greeting, &query).await,
            "/getCaseCount" => say(link, &greeting, &self.cases.len().to_string()).await,
            "/getCaseInfo" => {
                let info = query.case().and_then(|n| self.cases.get(n)).map(|c| serde_json::json!({"id": c.id, "description": c.sends}));
                say(link, &greeting, &info.unwrap_or_default().to_string()).await;
            }
            "/getCaseStatus" => {
                let behavior = query.case().map_or("UNKNOWN", |n| self.status(&query.agent(), n));
                say(link, &greeting, &serde_json::json!({ "behavior": behavior }).to_string()).await;
            }
            "/updateReports" => {
                say(link, &greeting, "").await;
                self.reported.notify_one();
            }
            _ => refuse(&mut link, "404 Not Found", "no such path; see /").await,
        }
    }

    fn status(&self, agent: &str, n: usize) -> &'static str {
        let results = self.results.lock().ok();
        let word = results.as_ref().and_then(|all| all.get(agent)?.get(&n)).map(|r| r.verdict.behavior.word());
        word.unwrap_or("UNKNOWN")
    }

    async fn run_case(&self, mut link: Link, greeting: &Greeting, query: &Query) {
        let Some((n, case)) = query.case().and_then(|n| Some((n, self.cases.get(n)?))) else {
            refuse(&mut link, "404 Not Found", "no such case").await;
            return;
        };
        let result = play::play(link, greeting, case, self.scale).await;
        if let Ok(mut all) = self.results.lock() {
            all.entry(query.agent()).or_default().insert(n, result);
        }
    }

    /// What a plain GET gets: the page, or a report.
    async fn plain(&self, mut link: Link, query: &Query) {
        match query.path.as_str() {
            "/" => answer(&mut link, "200 OK", "text/html; charset=utf-8", PAGE).await,
            "/report.json" => {
                let agent = query.agent();
                let report = self.report(&agent).to_json();
                answer(&mut link, "200 OK", "application/json", &report).await;
            }
            _ => refuse(&mut link, "404 Not Found", "no such path; see /").await,
        }
    }
}

/// Greets, says one text, closes.
async fn say(mut link: Link, greeting: &Greeting, text: &str) {
    link.raw("101", greeting.accept(None).as_bytes(), super::wire::link::Delivery::Burst);
    if !text.is_empty() {
        link.say(0x81, text.as_bytes());
    }
    link.say(0x88, &close_payload(Some(1000), b""));
    let until = Instant::now() + Duration::from_secs(2);
    while matches!(link.hear(until).await, Heard::Said(_)) {}
}

async fn refuse(link: &mut Link, status: &str, why: &str) {
    answer(link, status, "text/plain; charset=utf-8", why).await;
}

async fn answer(link: &mut Link, status: &str, kind: &str, body: &str) {
    let head = format!(
        "HTTP/1.1 {status}\r\nContent-Type: {kind}\r\nContent-Length: {}\r\nConnection: close\r\nCache-Control: no-store\r\n\r\n",
        body.len()
    );
    link.queue(head.as_bytes(), super::wire::link::Delivery::Burst);
    link.queue(body.as_bytes(), super::wire::link::Delivery::Burst);
    link.flush(Instant::now() + Duration::from_secs(5)).await;
    link.shut().await;
}
