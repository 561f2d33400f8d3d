//! The floor: what receiving costs at least on this machine. One thread, epoll, one shared buffer; frame headers are walked and
//! counted, nothing else is looked at. It also publishes, as the client it is compared with does.
//!
//! Its last line has the form the table's driver reads: `… frames=N … msgs/cpu-s=N …`, CPU from the moment all connections are
//! open.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::process::ExitCode;

use rustix::event::{Timespec, epoll};
use wsbench::base::{Instant, Span};
use wsbench::drive::clock::Clock;

use crate::process::Failed;

const BUFFER: usize = 64 * 1024;
const REQUEST: &[u8] = b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
    Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n";

/// What to do: connections, port, senders, publications a second, payload bytes, seconds.
struct Load {
    connections: usize,
    port: u16,
    senders: usize,
    rate: u64,
    size: usize,
    secs: u64,
}

impl Load {
    fn parse(numbers: &[String]) -> Result<Self, Failed> {
        let n = |i: usize| numbers.get(i).and_then(|n| n.parse::<u64>().ok());
        let (Some(c), Some(p), Some(s), Some(rate), Some(size), Some(secs)) = (n(0), n(1), n(2), n(3), n(4), n(5)) else {
            return Err(Failed("--floor CONNECTIONS PORT SENDERS RATE SIZE SECS".into()));
        };
        let port = u16::try_from(p).map_err(|e| Failed(e.to_string()))?;
        #[expect(clippy::cast_possible_truncation, reason = "64-bit machines")]
        Ok(Self { connections: c as usize, port, senders: s as usize, rate, size: size as usize, secs })
    }
}

/// A connection and how far it is in the frame that comes.
struct Conn {
    stream: TcpStream,
    skip: usize,
    head: [u8; 10],
    have: usize,
}

impl Conn {
    fn open(port: u16) -> std::io::Result<Self> {
        let mut stream = TcpStream::connect(("127.0.0.1", port))?;
        stream.set_nodelay(true)?;
        stream.write_all(REQUEST)?;
        let mut answer = Vec::new();
        let mut byte = [0];
        while !answer.ends_with(b"\r\n\r\n") {
            if stream.read(&mut byte)? == 0 {
                return Err(std::io::ErrorKind::UnexpectedEof.into());
            }
            answer.push(byte[0]);
        }
        stream.set_nonblocking(true)?;
        Ok(Self { stream, skip: 0, head: [0; 10], have: 0 })
    }

    /// Counts the frame headers in `bytes`.
    fn count(&mut self, mut bytes: &[u8]) -> u64 {
        let mut frames = 0;
        loop {
            let step = self.skip.min(bytes.len());
            self.skip -= step;
            bytes = &bytes[step..];
            if bytes.is_empty() {
                return frames;
            }
            if self.have == 0 && bytes.len() >= 10 {
                let (head, payload) = header(bytes);
                self.skip = head + payload;
            } else {
                self.head[self.have] = bytes[0];
                self.have += 1;
                bytes = &bytes[1..];
                if self.have < needed(&self.head[..self.have]) {
                    continue;
                }
                self.skip = header(&self.head).1;
                self.have = 0;
            }
            frames += 1;
        }
    }
}

fn needed(head: &[u8]) -> usize {
    match head.get(1) {
        Some(126) => 4,
        Some(127) => 10,
        _ => 2,
    }
}

/// Length of the header and of the payload; `bytes` holds at least the whole header.
fn header(bytes: &[u8]) -> (usize, usize) {
    match bytes[1] {
        126 => (4, usize::from(bytes[2]) << 8 | usize::from(bytes[3])),
        127 => (10, bytes[2..10].iter().fold(0, |n, b| n << 8 | usize::from(*b))),
        n => (2, usize::from(n)),
    }
}

fn frame(size: usize) -> Vec<u8> {
    let mut frame = vec![0x81];
    #[expect(clippy::cast_possible_truncation, reason = "cut into bytes on purpose")]
    match size {
        0..=125 => frame.push(0x80 | size as u8),
        126..=65_535 => frame.extend([0x80 | 126, (size >> 8) as u8, size as u8]),
        _ => {
            frame.push(0x80 | 127);
            frame.extend((size as u64).to_be_bytes());
        }
    }
    frame.extend([0; 4]);
    frame.resize(frame.len() + size, b'x');
    frame
}

/// Runs the floor client.
pub(crate) fn run(numbers: &[String]) -> Result<ExitCode, Failed> {
    let load = Load::parse(numbers)?;
    let failed = Failed::because("floor");
    let conns: std::io::Result<Vec<_>> = (0..load.connections).map(|_| Conn::open(load.port)).collect();
    let mut conns = conns.map_err(&failed)?;
    let poll = epoll::create(epoll::CreateFlags::CLOEXEC).map_err(|e| failed(e.into()))?;
    for (i, conn) in conns.iter().enumerate() {
        epoll::add(&poll, &conn.stream, epoll::EventData::new_u64(i as u64), epoll::EventFlags::IN).map_err(|e| failed(e.into()))?;
    }
    println!("connected {}", conns.len());
    receive(&load, &mut conns, &poll).map_err(&failed)?;
    Ok(ExitCode::SUCCESS)
}

fn receive(load: &Load, conns: &mut [Conn], poll: &std::os::fd::OwnedFd) -> std::io::Result<()> {
    let clock = Clock::start();
    let (cpu, end) = (Clock::process_cpu(), Instant::EPOCH + Span::from_secs(load.secs));
    let publication = frame(load.size);
    let gap = 1_000_000_000 / load.rate.max(1);
    let (mut frames, mut reads, mut sent) = (0_u64, 0_u64, 0_u64);
    let mut buffer = vec![0; BUFFER];
    let mut events: Vec<epoll::Event> = Vec::with_capacity(1024);
    loop {
        let now = clock.now();
        if now >= end {
            break;
        }
        let publishing = load.senders > 0 && load.rate > 0;
        while publishing && gap * sent <= now.as_nanos() {
            #[expect(clippy::cast_possible_truncation, reason = "below the number of senders")]
            let sender = (sent % load.senders as u64) as usize;
            // What does not fit is not sent again: a floor does not buffer.
            let _ = conns[sender].stream.write(&publication)?;
            sent += 1;
        }
        let next = if publishing { (gap * sent).min(end.as_nanos()) } else { end.as_nanos() };
        #[expect(clippy::cast_possible_wrap, reason = "a minute at most")]
        let wait = next.saturating_sub(now.as_nanos()) as i64;
        let timeout = Timespec { tv_sec: wait / 1_000_000_000, tv_nsec: wait % 1_000_000_000 };
        events.clear();
        epoll::wait(poll, rustix::buffer::spare_capacity(&mut events), Some(&timeout))?;
        for event in &events {
            #[expect(clippy::cast_possible_truncation, reason = "an index")]
            let conn = &mut conns[event.data.u64() as usize];
            match conn.stream.read(&mut buffer) {
                Ok(0) => return Err(std::io::ErrorKind::UnexpectedEof.into()),
                Ok(n) => frames += conn.count(&buffer[..n]),
                Err(e) if e.kind() == std::io::ErrorKind::WouldBlock => {}
                Err(e) => return Err(e),
            }
            reads += 1;
        }
    }
    let cpu = Clock::process_cpu().saturating_sub(cpu).as_secs_f64();
    #[expect(clippy::cast_precision_loss, reason = "printed")]
    let per_cpu = frames as f64 / cpu;
    println!("run sent={sent} frames={frames} reads={reads} cpu={cpu:.3} msgs/cpu-s={per_cpu:.0}");
    Ok(())
}
