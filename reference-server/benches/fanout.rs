//! What a copy costs: deliveries per CPU second of the server, and of a bare loop of `send` calls, in one run.
//!
//! Each side fans 64-byte messages out to the same number of loopback sockets, which a thread of this process reads
//! and throws away. CPU time is that of the sending thread alone, so the readers are not counted (Linux: `/proc/self/task`).
//! `paced` sends one message at a time and waits for the last client to have it; `queued` sends bursts, which the
//! server may put into one write and the bare loop does not. Quote the ratio, not the figure: machines differ, and so
//! do minutes. `cargo bench -p reference-server --bench fanout [-- CLIENTS…]`.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::JoinHandle;

use reference_server::{ServerConfig, spawn};

type Error = Box<dyn std::error::Error>;

const PAYLOAD: usize = 64;
/// An unmasked frame of that payload.
const FRAME: usize = PAYLOAD + 2;
/// Messages in a burst.
const BURST: usize = 16;
/// Copies per measurement.
const COPIES: usize = 200_000;
const ROUNDS: usize = 3;

fn main() -> Result<(), Error> {
    let given: Vec<usize> = std::env::args().skip(1).filter_map(|arg| arg.parse().ok()).collect();
    let sizes = if given.is_empty() { vec![1_000, 5_000] } else { given };
    print("clients  mode     server deliveries/CPU-s   bare send loop   ratio (median of 3)")?;
    for clients in sizes {
        for (mode, burst) in [("paced", 1), ("queued", BURST)] {
            let mut rows = Vec::new();
            for _ in 0..ROUNDS {
                rows.push((server_rate(clients, burst)?, bare_rate(clients)?));
            }
            rows.sort_by(|a, b| (a.0 / a.1).total_cmp(&(b.0 / b.1)));
            let (server, bare) = rows[ROUNDS / 2];
            print(&format!("{clients:>7}  {mode:<7}  {server:>23.0}   {bare:>14.0}   {:>5.2}", server / bare))?;
        }
    }
    Ok(())
}

fn print(line: &str) -> Result<(), Error> {
    Ok(writeln!(std::io::stdout(), "{line}")?)
}

/// Deliveries per CPU second of the reference server.
fn server_rate(clients: usize, burst: usize) -> Result<f64, Error> {
    let server = spawn(ServerConfig { heartbeat: None, greeting: None, ..ServerConfig::on_free_port() })?;
    let audience = Audience::gather((0..clients).map(|_| open(server.local_addr())))?;
    let mut publisher = open(server.local_addr())?;
    let frame = masked_frame();
    let messages = COPIES / clients / burst * burst;
    let before = (cpu_of_server()?, server.totals().copies_out);
    for sent in (0..messages).step_by(burst) {
        publisher.write_all(&frame.repeat(burst))?;
        publisher.read_exact(&mut vec![0; FRAME * burst])?;
        audience.wait_for((sent + burst) * clients * FRAME);
    }
    let spent = cpu_of_server()? - before.0;
    let copies = server.totals().copies_out - before.1;
    audience.end();
    drop(publisher);
    drop(server);
    Ok(rate(copies, spent))
}

/// Deliveries per CPU second of a loop that does nothing but `send` a ready frame to one socket after the other.
fn bare_rate(clients: usize) -> Result<f64, Error> {
    let listener = TcpListener::bind(("127.0.0.1", 0))?;
    let address = listener.local_addr()?;
    let mut ends = Vec::with_capacity(clients);
    let audience = Audience::gather((0..clients).map(|_| {
        let far = TcpStream::connect(address)?;
        let (near, _) = listener.accept()?;
        near.set_nodelay(true)?;
        ends.push(near);
        Ok(far)
    }))?;
    let frame = [&[0x81, PAYLOAD as u8][..], &[b'x'; PAYLOAD]].concat();
    let sender = std::thread::spawn(move || -> Result<(u64, f64, Audience), String> {
        let (mut copies, mut spent) = (0, 0.0);
        for _ in 0..COPIES / clients {
            let before = cpu_of_this_thread();
            for end in &mut ends {
                end.write_all(&frame).map_err(|error| error.to_string())?;
                copies += 1;
            }
            spent += cpu_of_this_thread() - before;
            audience.wait_for(usize::try_from(copies).unwrap_or(usize::MAX) * FRAME);
        }
        Ok((copies, spent, audience))
    });
    let (copies, spent, audience) = sender.join().map_err(|_| "the bare loop panicked")??;
    audience.end();
    Ok(rate(copies, spent))
}

#[expect(clippy::cast_precision_loss, reason = "counts far below 2^53")]
fn rate(copies: u64, seconds: f64) -> f64 {
    copies as f64 / seconds.max(0.01)
}

/// Opens a WebSocket by hand: a blocking socket behind a finished handshake.
fn open(address: SocketAddr) -> Result<TcpStream, Error> {
    let mut stream = TcpStream::connect(address)?;
    stream.set_nodelay(true)?;
    stream.write_all(
        b"GET / HTTP/1.1\r\nHost: bench\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
          Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n",
    )?;
    let mut head = Vec::new();
    let mut buffer = [0; 1024];
    // Nothing follows the head: greeting and heartbeat are off.
    while !head.ends_with(b"\r\n\r\n") {
        match stream.read(&mut buffer)? {
            0 => return Err("the server hung up".into()),
            n => head.extend_from_slice(&buffer[..n]),
        }
    }
    if head.starts_with(b"HTTP/1.1 101 ") { Ok(stream) } else { Err(String::from_utf8_lossy(&head).into()) }
}

fn masked_frame() -> Vec<u8> {
    [&[0x81, 0x80 | PAYLOAD as u8, 0, 0, 0, 0][..], &[b'x'; PAYLOAD]].concat()
}

/// Sockets that somebody reads.
struct Audience {
    octets: Arc<AtomicU64>,
    over: Arc<AtomicBool>,
    reader: JoinHandle<()>,
}

impl Audience {
    fn gather(sockets: impl Iterator<Item = Result<TcpStream, Error>>) -> Result<Self, Error> {
        let sockets = sockets.collect::<Result<Vec<_>, _>>()?;
        for socket in &sockets {
            socket.set_nonblocking(true)?;
        }
        let (octets, over) = (Arc::new(AtomicU64::new(0)), Arc::new(AtomicBool::new(false)));
        let (count, ended) = (Arc::clone(&octets), Arc::clone(&over));
        let reader = std::thread::Builder::new().name("audience".into()).spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
            if let Ok(runtime) = runtime {
                runtime.block_on(read_all(sockets, &count, &ended));
            }
        })?;
        Ok(Self { octets, over, reader })
    }

    /// Waits until so many octets have arrived.
    fn wait_for(&self, octets: usize) {
        while self.octets.load(Ordering::Acquire) < octets as u64 {
            std::thread::park_timeout(std::time::Duration::from_micros(200));
        }
    }

    fn end(self) {
        self.over.store(true, Ordering::Release);
        // A reader that failed shows in its count.
        let _ = self.reader.join();
    }
}

/// Reads every socket until it is over.
async fn read_all(sockets: Vec<TcpStream>, octets: &Arc<AtomicU64>, over: &AtomicBool) {
    let mut tasks = tokio::task::JoinSet::new();
    for socket in sockets {
        let octets = Arc::clone(octets);
        if let Ok(socket) = tokio::net::TcpStream::from_std(socket) {
            tasks.spawn(async move {
                let mut buffer = [0; 4096];
                while socket.readable().await.is_ok() {
                    match socket.try_read(&mut buffer) {
                        Ok(0) => return,
                        Ok(n) => drop(octets.fetch_add(n as u64, Ordering::Release)),
                        Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => {}
                        Err(_) => return,
                    }
                }
            });
        }
    }
    while !over.load(Ordering::Acquire) {
        tokio::time::sleep(std::time::Duration::from_millis(5)).await;
    }
}

/// CPU seconds spent so far by the server's threads, which sleep when this is asked.
#[expect(clippy::cast_precision_loss, reason = "far below 2^53 ns in a benchmark")]
fn cpu_of_server() -> Result<f64, Error> {
    let mut nanoseconds = 0u64;
    for task in std::fs::read_dir("/proc/self/task")? {
        let task = task?.path();
        let name = std::fs::read_to_string(task.join("comm")).unwrap_or_default();
        if name.starts_with("server-") {
            let stat = std::fs::read_to_string(task.join("schedstat")).unwrap_or_default();
            nanoseconds += stat.split_whitespace().next().and_then(|field| field.parse::<u64>().ok()).unwrap_or(0);
        }
    }
    Ok(nanoseconds as f64 / 1e9)
}

/// CPU seconds spent so far by this thread.
#[expect(clippy::cast_precision_loss, reason = "far below 2^53 s and ns")]
fn cpu_of_this_thread() -> f64 {
    let now = rustix::time::clock_gettime(rustix::time::ClockId::ThreadCPUTime);
    now.tv_sec as f64 + now.tv_nsec as f64 / 1e9
}
