//! `run --metrics ADDRESS`: the run as Prometheus sees it. Serves what the coordinator last merged from its shards' samples, so
//! that a scrape asks nothing of a shard; answers `GET /metrics` and nothing else, to a few clients at a time.

use std::io;
use std::net::{SocketAddr, TcpListener as StdListener, ToSocketAddrs as _};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, watch};
use tokio::task::JoinHandle;

use crate::base::RunId;
use crate::drive;
use crate::event::Phase;
use crate::plan::Plan;
use crate::report::prometheus;

use super::exit::Stopped;

/// Longest request head that is read.
const HEAD: usize = 8 * 1024;
/// Header fields that are looked at.
const FIELDS: usize = 64;
/// Scrapes answered at once; who comes on top of that waits in the backlog of the socket.
const AT_ONCE: usize = 8;
/// How long a request and its answer may take together.
const LIMIT: Duration = Duration::from_secs(5);

/// Where to serve: an address and a port as typed, checked for its form.
#[derive(Debug, Clone)]
pub(super) struct Place(String);

/// Reads `HOST:PORT`.
///
/// # Errors
/// When it has no port.
pub(super) fn parse(text: &str) -> Result<Place, String> {
    let port = text.rsplit_once(':').filter(|(host, _)| !host.is_empty()).and_then(|(_, port)| port.parse::<u16>().ok());
    port.map(|_| Place(text.to_owned())).ok_or_else(|| "an address and a port, such as 127.0.0.1:9464".to_owned())
}

/// The run that is shown now.
struct Shown {
    scenario: String,
    run: RunId,
    publications: u64,
    live: watch::Receiver<drive::Live>,
}

/// A bound socket that shows one run after another.
pub(super) struct Metrics {
    listener: Option<StdListener>,
    address: SocketAddr,
    shown: Arc<Mutex<Option<Shown>>>,
    serving: Option<JoinHandle<()>>,
}

impl Metrics {
    /// Binds; before the first connection, so that an address in use is told at second 0.
    ///
    /// # Errors
    /// When the address cannot be had.
    pub(super) fn open(place: &Place) -> Result<Self, Stopped> {
        let bind = || -> io::Result<(StdListener, SocketAddr)> {
            let addresses: Vec<SocketAddr> = place.0.to_socket_addrs()?.collect();
            let listener = StdListener::bind(addresses.as_slice())?;
            listener.set_nonblocking(true)?;
            let address = listener.local_addr()?;
            Ok((listener, address))
        };
        let (listener, address) = bind().map_err(|e| {
            let help = match e.kind() {
                io::ErrorKind::AddrInUse => {
                    "\n  help: another process listens there, perhaps another run: choose another port, or 0 for any"
                }
                io::ErrorKind::AddrNotAvailable => "\n  help: that is no address of this machine; 127.0.0.1 always is",
                _ => "",
            };
            Stopped::environment(format!("cannot serve metrics on {}: {e}{help}", place.0))
        })?;
        Ok(Self { listener: Some(listener), address, shown: Arc::default(), serving: None })
    }

    /// Where the metrics are.
    pub(super) fn url(&self) -> String {
        format!("http://{}/metrics", self.address)
    }

    /// Shows a run from now on, and serves if that has not begun; must be called within a runtime. What it gives is where the
    /// run tells how it goes.
    ///
    /// # Errors
    /// When the socket cannot be watched.
    pub(super) fn show(&mut self, plan: &Plan) -> Result<watch::Sender<drive::Live>, Stopped> {
        let (sender, live) = watch::channel(drive::Live::default());
        let budget = plan.budget();
        let publications = if budget.known { budget.publications() } else { 0 };
        let shown = Shown { scenario: plan.scenario.name.clone(), run: plan.run, publications, live };
        *self.shown.lock().unwrap_or_else(PoisonError::into_inner) = Some(shown);
        if let Some(listener) = self.listener.take() {
            let listener = TcpListener::from_std(listener).map_err(Stopped::environment)?;
            self.serving = Some(tokio::spawn(serve(listener, self.shown.clone())));
        }
        Ok(sender)
    }
}

impl Drop for Metrics {
    fn drop(&mut self) {
        if let Some(serving) = &self.serving {
            serving.abort();
        }
    }
}

async fn serve(listener: TcpListener, shown: Arc<Mutex<Option<Shown>>>) {
    let seats = Arc::new(Semaphore::new(AT_ONCE));
    loop {
        let Ok(seat) = seats.clone().acquire_owned().await else { return };
        let Ok((stream, _)) = listener.accept().await else {
            // Out of descriptors, most likely: the run needs them more, and the next scrape may have one.
            tokio::time::sleep(Duration::from_millis(100)).await;
            continue;
        };
        let shown = shown.clone();
        tokio::spawn(async move {
            // Whoever is slow, or goes away, has no answer.
            let _ = tokio::time::timeout(LIMIT, answer(stream, &shown)).await;
            drop(seat);
        });
    }
}

async fn answer(mut stream: TcpStream, shown: &Mutex<Option<Shown>>) -> io::Result<()> {
    let mut head = Vec::with_capacity(1024);
    let asked = loop {
        match read(&head) {
            Asked::More if head.len() >= HEAD => break Asked::Nonsense,
            Asked::More => {}
            asked => break asked,
        }
        let mut chunk = [0; 1024];
        match stream.read(&mut chunk).await? {
            0 => return Ok(()),
            n => head.extend_from_slice(&chunk[..n]),
        }
    };
    let bodiless = head.starts_with(b"HEAD ");
    let text = "text/plain; charset=utf-8";
    let (status, fields, kind, body) = match asked {
        Asked::Metrics => ("200 OK", "", prometheus::CONTENT_TYPE, told(shown)),
        Asked::Method => ("405 Method Not Allowed", "Allow: GET\r\n", text, "only GET is answered\n".to_owned()),
        Asked::Elsewhere => ("404 Not Found", "", text, "the metrics are at /metrics\n".to_owned()),
        Asked::Nonsense | Asked::More => ("400 Bad Request", "", text, "that is not HTTP/1.1 (RFC 9112)\n".to_owned()),
    };
    let head = format!("HTTP/1.1 {status}\r\nContent-Type: {kind}\r\nContent-Length: {}\r\n{fields}Connection: close\r\n\r\n", body.len());
    stream.write_all(head.as_bytes()).await?;
    // An answer to HEAD has no content (RFC 9110 section 9.3.2).
    if !bodiless {
        stream.write_all(body.as_bytes()).await?;
    }
    stream.shutdown().await
}

/// What a request asks for.
#[derive(Debug, PartialEq, Eq)]
enum Asked {
    Metrics,
    Method,
    Elsewhere,
    Nonsense,
    /// Its head is not whole yet.
    More,
}

fn read(head: &[u8]) -> Asked {
    let mut fields = [httparse::EMPTY_HEADER; FIELDS];
    let mut request = httparse::Request::new(&mut fields);
    match request.parse(head) {
        Ok(httparse::Status::Partial) => Asked::More,
        Err(_) => Asked::Nonsense,
        Ok(httparse::Status::Complete(_)) => {
            let path = request.path.unwrap_or_default();
            match (request.method, path.split('?').next()) {
                (Some("GET"), Some("/metrics")) => Asked::Metrics,
                (Some("GET"), _) => Asked::Elsewhere,
                _ => Asked::Method,
            }
        }
    }
}

/// The answer to a scrape.
fn told(shown: &Mutex<Option<Shown>>) -> String {
    let shown = shown.lock().unwrap_or_else(PoisonError::into_inner);
    let Some(Shown { scenario, run, publications, live }) = &*shown else { return String::new() };
    let drive::Live { progress, sample } = live.borrow().clone();
    prometheus::render(&prometheus::Live {
        scenario: scenario.clone(),
        run_id: *run,
        phase: progress.phase.unwrap_or(Phase::Ramp),
        elapsed_ns: progress.at_ns,
        connections_planned: progress.planned,
        publications_planned: *publications,
        copies_outstanding: progress.missing,
        books: sample.books,
        loop_lag_ns: sample.loop_lag.as_nanos(),
        cpu_ns: sample.cpu.as_nanos(),
        resident_bytes: sample.resident,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_is_an_address_and_a_port() {
        for good in ["127.0.0.1:9464", "[::1]:0", "localhost:9464", "0.0.0.0:80"] {
            assert!(parse(good).is_ok(), "{good}");
        }
        for bad in ["", "9464", ":9464", "127.0.0.1", "127.0.0.1:99999", "127.0.0.1:http"] {
            assert!(parse(bad).expect_err(bad).contains("127.0.0.1:9464"), "{bad}");
        }
    }

    #[test]
    fn only_get_metrics_is_answered() {
        for (head, asked) in [
            ("GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n", Asked::Metrics),
            ("GET /metrics?a=b HTTP/1.0\r\n\r\n", Asked::Metrics),
            ("GET / HTTP/1.1\r\n\r\n", Asked::Elsewhere),
            ("GET /metricsx HTTP/1.1\r\n\r\n", Asked::Elsewhere),
            ("POST /metrics HTTP/1.1\r\n\r\n", Asked::Method),
            ("GET /metrics HTTP/1.1\r\nHost", Asked::More),
            ("", Asked::More),
            ("\u{16}\u{3}\u{1}", Asked::Nonsense),
        ] {
            assert_eq!(read(head.as_bytes()), asked, "{head:?}");
        }
    }
}
