//! The rows: what each measures, against what, and the bar it is held to.

use std::ffi::OsString;
use std::process::{Command, Stdio};
use std::time::Duration;

use rustix::process::Signal;

use crate::ours::{self, Ran};
use crate::process::{self, Failed, Running, pass};
use crate::row::{Bar, Line, median};

/// A row.
pub(crate) struct Row {
    pub(crate) name: &'static str,
    pub(crate) what: &'static str,
    pub(crate) long: bool,
    pub(crate) measure: fn(&Bench) -> Result<Vec<Line>, Failed>,
}

/// Every row, in the order of the table.
pub(crate) const ALL: &[Row] = &[
    Row { name: "paced", what: "1,000 clients, 128 B, 50 broadcasts/s, every check on, against the floor", long: false, measure: paced },
    Row { name: "burst", what: "1,000 clients, 64 B, a broadcast every 25 ms, against the floor", long: false, measure: burst },
    Row { name: "batched", what: "many frames a read: 1,000 clients, bursts of 2,000, every check on", long: false, measure: batched },
    Row { name: "envelope", what: "the same, every payload in a JSON envelope, against plain relay", long: false, measure: envelope },
    Row { name: "idle", what: "user memory of an idle connection, plain and TLS", long: false, measure: idle },
    Row { name: "connects", what: "10,000 connects by one process", long: false, measure: connects },
    Row { name: "accuracy", what: "a server that stops for 500 ms every 5 s, 100 broadcasts/s", long: false, measure: accuracy },
    Row { name: "pairs", what: "memory of client × publisher pairs; chat at 5,000 × 5,000", long: false, measure: pairs },
    Row { name: "crowd", what: "19,000 clients, one publisher at 5/s for 60 s, every check on", long: true, measure: crowd },
    Row { name: "held", what: "50,000 connections held with pings, over processes and servers", long: true, measure: held },
    Row { name: "soak", what: "10 minutes, 2,000 clients, 50/s: does memory grow?", long: true, measure: soak },
];

/// What all rows share.
pub(crate) struct Bench {
    repeat: u32,
    brief: bool,
    floor: Option<OsString>,
    server: Option<OsString>,
}

impl Bench {
    pub(crate) fn new(repeat: u32, brief: bool) -> Self {
        Self { repeat, brief, floor: std::env::var_os("WSBENCH_FLOOR"), server: std::env::var_os("WSBENCH_BSERVER") }
    }

    /// Which yardsticks are used.
    pub(crate) fn tools(&self) -> Vec<String> {
        let name = |path: &Option<OsString>, own: &str| path.as_ref().map_or_else(|| own.to_owned(), |p| p.to_string_lossy().into_owned());
        vec![
            format!("floor client: {}", name(&self.floor, "built in (epoll, one buffer, counts headers)")),
            format!("server: {}", name(&self.server, "wsbench serve (the reference server)")),
        ]
    }

    fn seconds(&self, full: u32) -> u32 {
        if self.brief { (full / 4).max(2) } else { full }
    }

    /// The server the client figures are taken with.
    fn server(&self) -> Result<Server, Failed> {
        match &self.server {
            Some(path) => Server::start(Command::new(path).arg("broadcast"), "ws"),
            None => Server::own(&[]),
        }
    }

    /// What the floor client reaches with this load, copies per CPU second.
    fn floor(&self, port: u16, clients: u32, senders: u32, rate: u32, size: u32) -> Result<f64, Failed> {
        let secs = self.seconds(10);
        let mut command = match &self.floor {
            Some(path) => {
                let mut command = Command::new(path);
                let load = [
                    ("-c", clients),
                    ("--port", port.into()),
                    ("--senders", senders),
                    ("--rate", rate),
                    ("--size", size),
                    ("--secs", secs),
                ];
                for (flag, value) in load {
                    command.arg(flag).arg(value.to_string());
                }
                command
            }
            None => {
                let mut command = Command::new(std::env::current_exe().map_err(Failed::because("floor"))?);
                command.arg("--floor").args([clients, port.into(), senders, rate, size, secs].map(|n| n.to_string()));
                command
            }
        };
        let output = command.stderr(Stdio::inherit()).output().map_err(Failed::because("floor"))?;
        let text = String::from_utf8_lossy(&output.stdout);
        let figure = text.split_whitespace().find_map(|word| word.strip_prefix("msgs/cpu-s=")?.parse().ok());
        figure.ok_or_else(|| Failed(format!("the floor client said nothing: {text}")))
    }

    /// Ours and the floor by turns, with one load.
    fn beside_floor(&self, load: &Load) -> Result<Beside, Failed> {
        let Beside { mut ours, mut floor, mut runs } = Beside::default();
        for _ in 0..self.repeat {
            let server = self.server()?;
            floor.push(self.floor(server.port, load.clients, load.publishers, load.rate, load.size)?);
            let server = self.server()?;
            let ran = ours::run(&load.scenario(self.seconds(10)), &server.one_thread())?;
            ours.push(ran.copies_per_cpu_second());
            runs.push(ran);
        }
        Ok(Beside { ours, floor, runs })
    }
}

/// Ours and the floor, copies per CPU second, sample by sample.
#[derive(Default)]
struct Beside {
    ours: Vec<f64>,
    floor: Vec<f64>,
    runs: Vec<Ran>,
}

/// A broadcast load with every check on that the server can meet.
struct Load {
    clients: u32,
    publishers: u32,
    rate: u32,
    size: u32,
}

impl Load {
    fn scenario(&self, secs: u32) -> String {
        let Self { clients, publishers, rate, size } = self;
        format!(
            "name = \"bars\"\n[clients]\ncount = {clients}\nconnect_rate = \"2000/s\"\n\
             [publish]\npublishers = {publishers}\npace = \"{rate}/s\"\nsize = \"{size}B\"\n\
             [phases]\nwarm_up = \"1s\"\nsteady = \"{secs}s\"\n[checks]\norder = \"total\"\n\
             [checks.delivery]\nwithin = \"2s\"\n[checks.latency]\np99 = \"2s\"\n\
             [checks.pong]\nprotocol = true\nevery = \"5s\"\nwithin = \"2s\"\n"
        )
    }
}

/// A server process on its own port.
struct Server {
    process: Running,
    port: u16,
    scheme: &'static str,
}

impl Server {
    fn start(command: &mut Command, scheme: &'static str) -> Result<Self, Failed> {
        let port = process::free_port()?;
        command.args(["--port", &port.to_string()]).stdout(Stdio::null()).stderr(Stdio::null());
        let process = Running::start(command, "server")?;
        process::listening(port)?;
        Ok(Self { process, port, scheme })
    }

    fn own(arguments: &[&str]) -> Result<Self, Failed> {
        let mut command = Command::new(env!("CARGO_BIN_EXE_wsbench"));
        let tls = arguments.contains(&"--tls-self-signed");
        command.args(["serve", "--heartbeat", "off", "--greeting", "off"]).args(arguments);
        Self::start(&mut command, if tls { "wss" } else { "ws" })
    }

    fn url(&self) -> Vec<String> {
        let mut arguments = vec!["--url".to_owned(), format!("{}://127.0.0.1:{}", self.scheme, self.port)];
        if self.scheme == "wss" {
            arguments.push("--insecure".to_owned());
        }
        arguments
    }
}

impl Server {
    /// Arguments of a run by one thread, as the floor client is one.
    fn one_thread(&self) -> Vec<String> {
        [self.url(), vec!["--threads".into(), "1".into()]].concat()
    }
}

fn ratio(ours: &[f64], floor: &[f64]) -> Vec<f64> {
    ours.iter().zip(floor).map(|(a, b)| a / b).collect()
}

fn verdicts(runs: &[Ran]) -> String {
    let mut all: Vec<_> = runs.iter().map(Ran::verdict).collect();
    all.sort();
    all.dedup();
    all.join(" | ")
}

fn against_floor(bench: &Bench, load: &Load, bar: f64) -> Result<Vec<Line>, Failed> {
    let Beside { ours, floor, runs } = bench.beside_floor(load)?;
    Ok(vec![
        Line::new("ours ÷ floor, copies per CPU second", "", Bar::AtLeast(bar), ratio(&ours, &floor)).note(verdicts(&runs)),
        Line::new("ours", "copies/CPU-s", Bar::Stated, ours),
        Line::new("floor", "copies/CPU-s", Bar::Stated, floor),
    ])
}

fn paced(bench: &Bench) -> Result<Vec<Line>, Failed> {
    against_floor(bench, &Load { clients: 1000, publishers: 4, rate: 50, size: 128 }, 0.88)
}

fn burst(bench: &Bench) -> Result<Vec<Line>, Failed> {
    against_floor(bench, &Load { clients: 1000, publishers: 1, rate: 40, size: 64 }, 0.85)
}

/// Many frames a read: 1,000 clients, one publisher that sends 2,000 at once every second.
fn bursts(secs: u32, more: &str) -> String {
    format!(
        "name = \"bursts\"\n[clients]\ncount = 1000\nconnect_rate = \"2000/s\"\n\
         [publish]\npublishers = 1\npace = {{ burst = 2000, every = \"1s\" }}\nsize = \"64B\"\n\
         [phases]\nwarm_up = \"1s\"\nsteady = \"{secs}s\"\ndrain = \"10s\"\n[checks]\norder = \"total\"\n[checks.delivery]\nwithin = \"5s\"\n{more}"
    )
}

fn batched(bench: &Bench) -> Result<Vec<Line>, Failed> {
    let scenario = bursts(bench.seconds(12), "");
    let mut samples = Vec::new();
    let mut runs = Vec::new();
    for _ in 0..bench.repeat {
        let server = bench.server()?;
        let ran = ours::run(&scenario, &server.one_thread())?;
        samples.push(ran.copies_per_cpu_second());
        runs.push(ran);
    }
    Ok(vec![Line::new("ours, many frames a read, publishing included", "copies/CPU-s", Bar::AtLeast(10e6), samples).note(verdicts(&runs))])
}

/// The same payloads as they are and in a JSON envelope, by turns: where reading is cheapest the envelope weighs most.
fn envelope(bench: &Bench) -> Result<Vec<Line>, Failed> {
    let secs = bench.seconds(12);
    let dialect = "[dialect]\npublish = '{\"type\":\"message\",\"room\":\"lobby\",\"body\":\"{stamp}\"}'\n";
    let (mut ratios, mut runs) = (Vec::new(), Vec::new());
    for _ in 0..bench.repeat {
        let mut cost = [0.0; 2];
        for (cost, more) in cost.iter_mut().zip(["", dialect]) {
            let server = bench.server()?;
            let ran = ours::run(&bursts(secs, more), &server.one_thread())?;
            *cost = ran.copies_per_cpu_second().recip();
            runs.push(ran);
        }
        ratios.push(cost[1] / cost[0]);
    }
    Ok(vec![Line::new("CPU of a copy in a JSON envelope ÷ of a plain one", "", Bar::AtMost(1.5), ratios).note(verdicts(&runs))])
}

/// Clients that only hold their connections.
fn holding(clients: u32, connect_rate: u32, secs: u32, more: &str) -> String {
    format!("name = \"held\"\n[clients]\ncount = {clients}\nconnect_rate = \"{connect_rate}/s\"\n[phases]\nsteady = \"{secs}s\"\n{more}")
}

/// Memory per connection: the difference between many connections and few, so that what a run holds anyway is left out.
fn memory_per_connection(bench: &Bench, server: &dyn Fn() -> Result<Server, Failed>, many: u32, rate: u32) -> Result<Vec<f64>, Failed> {
    let few = 100;
    let mut samples = Vec::new();
    for _ in 0..bench.repeat {
        let mut held = [0.0; 2];
        for (held, clients) in held.iter_mut().zip([few, many]) {
            let server = server()?;
            let ran = ours::run(&holding(clients, rate, 2, ""), &server.one_thread())?;
            #[expect(clippy::cast_precision_loss, reason = "a figure")]
            let memory = ran.marks.get("drain").map_or(f64::NAN, |mark| mark.memory as f64);
            *held = memory;
        }
        samples.push((held[1] - held[0]) / f64::from(many - few) / 1024.0);
    }
    Ok(samples)
}

fn idle(bench: &Bench) -> Result<Vec<Line>, Failed> {
    let plain = memory_per_connection(bench, &|| bench.server(), 10_000, 10_000)?;
    let tls = memory_per_connection(bench, &|| Server::own(&["--tls-self-signed"]), 3_000, 500)?;
    Ok(vec![
        Line::new("plain, 10,000 connections", "KiB", Bar::AtMost(2.0), plain),
        Line::new("TLS, 3,000 connections", "KiB", Bar::AtMost(16.0), tls),
    ])
}

fn connects(bench: &Bench) -> Result<Vec<Line>, Failed> {
    let clients = 10_000;
    let (mut rate, mut cost) = (Vec::new(), Vec::new());
    for _ in 0..bench.repeat {
        let server = bench.server()?;
        let ran = ours::run(&holding(clients, 100_000, 1, ""), &server.one_thread())?;
        rate.push(ran.number("summary.rates.connects_per_s"));
        cost.push(ran.cpu("ramp", "warm-up") * 1e6 / f64::from(clients));
    }
    Ok(vec![
        Line::new("connects, one process", "/s", Bar::AtLeast(12_000.0), rate),
        Line::new("CPU of a connect", "µs", Bar::AtMost(55.0), cost),
    ])
}

/// Stops a process for 500 ms every 5 s, on a thread of its own, until told to end.
struct Stalls {
    stop: std::sync::mpsc::Sender<()>,
    thread: Option<std::thread::JoinHandle<()>>,
}

impl Stalls {
    fn of(pid: u32) -> Self {
        let (stop, stopped) = std::sync::mpsc::channel();
        let thread = std::thread::spawn(move || {
            let Some(pid) = i32::try_from(pid).ok().and_then(rustix::process::Pid::from_raw) else { return };
            while stopped.recv_timeout(Duration::from_millis(4_500)).is_err_and(|e| e == std::sync::mpsc::RecvTimeoutError::Timeout) {
                let _ = rustix::process::kill_process(pid, Signal::STOP);
                pass(Duration::from_millis(500));
                let _ = rustix::process::kill_process(pid, Signal::CONT);
            }
        });
        Self { stop, thread: Some(thread) }
    }
}

impl Drop for Stalls {
    fn drop(&mut self) {
        let _ = self.stop.send(());
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

fn accuracy(bench: &Bench) -> Result<Vec<Line>, Failed> {
    let scenario = format!(
        "name = \"stalled\"\n[clients]\ncount = 100\nconnect_rate = \"1000/s\"\n[publish]\npublishers = 1\npace = \"100/s\"\nsize = \"64B\"\n\
         [phases]\nwarm_up = \"1s\"\nsteady = \"{}s\"\n[checks.delivery]\nwithin = \"2s\"\n",
        if bench.brief { 10 } else { 30 }
    );
    let mut figures: [Vec<f64>; 4] = Default::default();
    let mut runs = Vec::new();
    for _ in 0..bench.repeat {
        let (server, _stalls) = match &bench.server {
            Some(path) => {
                (Server::start(Command::new(path).args(["broadcast", "--stall-ms", "500", "--stall-every-ms", "5000"]), "ws")?, None)
            }
            None => {
                let server = Server::own(&[])?;
                let stalls = Stalls::of(server.process.pid());
                (server, Some(stalls))
            }
        };
        let ran = ours::run(&scenario, &server.url())?;
        let max = ran.number("summary.latency.delivery.max_ns") / 1e6;
        let seen = [ran.percentile("delivery", 95.0), ran.percentile("delivery", 99.0), max, ran.percentile("transit", 99.0)];
        figures.iter_mut().zip(seen).for_each(|(all, one)| all.push(one));
        runs.push(ran);
    }
    let [p95, p99, max, transit] = figures;
    // A stalled tenth of the time delays a publication by what is left of the stall: uniform from 0 to 500 ms.
    let off = |seen: &[f64], truth: f64| seen.iter().map(|x| (x / truth - 1.0).abs() * 100.0).collect::<Vec<_>>();
    Ok(vec![
        Line::new("delivery p99, off the truth of 450 ms", "%", Bar::AtMost(2.0), off(&p99, 450.0)).note(verdicts(&runs)),
        Line::new("delivery max, off the truth of 500 ms", "%", Bar::AtMost(2.0), off(&max, 500.0)),
        Line::new("delivery p95 (truth: 250 ms)", "ms", Bar::Stated, p95),
        Line::new("delivery p99 (truth: 450 ms)", "ms", Bar::Stated, p99),
        Line::new("delivery max (truth: 500 ms)", "ms", Bar::Stated, max),
        Line::new("transit p99", "ms", Bar::Stated, transit),
    ])
}

fn chat(clients: u32, publishers: u32, rate: u32, secs: u32) -> String {
    format!(
        "name = \"chat\"\n[clients]\ncount = {clients}\nconnect_rate = \"5000/s\"\n\
         [publish]\npublishers = {publishers}\npace = \"{rate}/s\"\nsize = \"64B\"\n[phases]\nsteady = \"{secs}s\"\n[checks.delivery]\nwithin = \"5s\"\n"
    )
}

fn pairs(bench: &Bench) -> Result<Vec<Line>, Failed> {
    let mut each = Vec::new();
    for _ in 0..bench.repeat {
        let mut held = [0.0; 2];
        for (held, publishers) in held.iter_mut().zip([1, 1000]) {
            let server = bench.server()?;
            let ran = ours::run(&chat(1000, publishers, 20, 3), &server.url())?;
            #[expect(clippy::cast_precision_loss, reason = "a figure")]
            let memory = ran.marks.get("close").map_or(f64::NAN, |mark| mark.memory as f64);
            *held = memory;
        }
        each.push((held[1] - held[0]) / 999_000.0);
    }
    let server = bench.server()?;
    let ran = ours::run(&chat(5000, 5000, 10, bench.seconds(10)), &server.url())?;
    let peak = ran.number("summary.instrument.peak_memory_bytes") / 1e6;
    Ok(vec![
        Line::new("a client × publisher pair, of a million", "bytes", Bar::AtMost(24.0), each),
        Line::new("chat 5,000 × 5,000, peak memory", "MB", Bar::AtMost(600.0), vec![peak]).note(ran.verdict()),
    ])
}

fn crowd(bench: &Bench) -> Result<Vec<Line>, Failed> {
    let server = bench.server()?;
    let secs = bench.seconds(60);
    let scenario = Load { clients: 19_000, publishers: 1, rate: 5, size: 64 }.scenario(secs);
    let ran = ours::run(&scenario, &server.url())?;
    Ok(vec![
        Line::new("verdict is a pass", "", Bar::AtLeast(1.0), vec![if ran.passed() { 1.0 } else { 0.0 }]).note(ran.verdict()),
        Line::new("send lag p99", "ms", Bar::AtMost(5.0), vec![ran.percentile("send_lag", 99.0)]),
        Line::new("missing", "copies", Bar::AtMost(0.0), vec![ran.number("summary.copies.missing")]),
        Line::new("delivery p99", "ms", Bar::Stated, vec![ran.percentile("delivery", 99.0)]),
    ])
}

fn held(bench: &Bench) -> Result<Vec<Line>, Failed> {
    let servers: Vec<Server> = (0..3).map(|_| bench.server()).collect::<Result<_, _>>()?;
    let secs = bench.seconds(20);
    let checks = "[checks.pong]\nprotocol = true\nevery = \"5s\"\nwithin = \"2s\"\n";
    let runs: Vec<Result<Ran, Failed>> = std::thread::scope(|scope| {
        let started: Vec<_> = servers
            .iter()
            .zip([16_667, 16_667, 16_666])
            .map(|(server, clients)| {
                let arguments = [server.url(), vec!["--processes".into(), "2".into()]].concat();
                scope.spawn(move || ours::run(&holding(clients, 2_000, secs, checks), &arguments))
            })
            .collect();
        started.into_iter().map(|run| run.join().unwrap_or_else(|_| Err(Failed("a thread broke".into())))).collect()
    });
    let runs = runs.into_iter().collect::<Result<Vec<_>, _>>()?;
    let opened: f64 = runs.iter().map(|ran| ran.number("summary.connections.ready")).sum();
    #[expect(clippy::cast_precision_loss, reason = "a figure")]
    let memory: f64 = runs.iter().map(|ran| ran.marks.get("drain").map_or(f64::NAN, |mark| mark.memory as f64)).sum();
    let passed = if runs.iter().all(Ran::passed) { 1.0 } else { 0.0 };
    Ok(vec![
        Line::new("verdicts are passes", "", Bar::AtLeast(1.0), vec![passed]).note(verdicts(&runs)),
        Line::new("connections held", "", Bar::AtLeast(50_000.0), vec![opened]),
        Line::new("memory of all clients", "MB", Bar::Stated, vec![memory / 1e6]),
    ])
}

/// The slope of a straight line through samples taken once a second, by least squares.
fn slope(samples: &[u64]) -> f64 {
    #[expect(clippy::cast_precision_loss, reason = "a fit")]
    let points: Vec<(f64, f64)> = samples.iter().enumerate().map(|(t, y)| (t as f64, *y as f64)).collect();
    #[expect(clippy::cast_precision_loss, reason = "a fit")]
    let n = points.len() as f64;
    let (mx, my) = (points.iter().map(|p| p.0).sum::<f64>() / n, points.iter().map(|p| p.1).sum::<f64>() / n);
    let covariance: f64 = points.iter().map(|p| (p.0 - mx) * (p.1 - my)).sum();
    let variance: f64 = points.iter().map(|p| (p.0 - mx).powi(2)).sum();
    covariance / variance
}

fn soak(bench: &Bench) -> Result<Vec<Line>, Failed> {
    let server = bench.server()?;
    let scenario = Load { clients: 2000, publishers: 1, rate: 50, size: 64 }.scenario(bench.seconds(600));
    let ran = ours::run(&scenario, &server.url())?;
    let after = ran.memory.get(60.min(ran.memory.len() / 4)..ran.memory.len().saturating_sub(2)).unwrap_or_default();
    #[expect(clippy::cast_precision_loss, reason = "a figure")]
    let seen: Vec<f64> = after.iter().map(|m| *m as f64 / 1e6).collect();
    Ok(vec![
        Line::new("growth after the first minute", "KiB/min", Bar::AtMost(64.0), vec![slope(after) * 60.0 / 1024.0]).note(ran.verdict()),
        Line::new("resident, private", "MB", Bar::Stated, vec![median(&seen)]),
        Line::new("copies verified", "", Bar::Stated, vec![ran.number("summary.copies.received")]),
    ])
}
