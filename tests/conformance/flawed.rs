//! A small blocking echo server, right unless told to be wrong in one way. Written apart from the tester's own frames.

use std::io::{self, Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use base64::Engine as _;
use sha1::{Digest as _, Sha1};

/// What is wrong with it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Flaw {
    /// Nothing.
    None,
    /// Passes over frames with reserved opcodes.
    IgnoresReserved,
    /// Answers a Close and keeps TCP open.
    NeverClosesTcp,
    /// Does not look whether text is UTF-8.
    EchoesBadText,
    /// Echoes text with its letters changed.
    ScramblesText,
    /// Closes with 1009 beyond so many octets.
    Limit(usize),
    /// Ends for good after so many connections.
    DiesAfter(usize),
    /// Looks at no rule of single frames, answers every Close, and never ends.
    Lax,
    /// Answers control frames and nothing else.
    Mute,
    /// Greets with a wrong `Sec-WebSocket-Accept`.
    WrongAccept,
}

/// A server in this process.
pub(crate) struct Server {
    /// Where.
    pub(crate) port: u16,
    stop: Arc<AtomicBool>,
}

impl Drop for Server {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::SeqCst);
        let _ = TcpStream::connect(("127.0.0.1", self.port));
    }
}

/// Starts a server with a flaw.
pub(crate) fn serve(flaw: Flaw) -> Server {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let port = listener.local_addr().expect("an address").port();
    let stop = Arc::new(AtomicBool::new(false));
    let (ended, served) = (Arc::clone(&stop), AtomicUsize::new(0));
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let full = matches!(flaw, Flaw::DiesAfter(n) if served.fetch_add(1, Ordering::SeqCst) >= n);
            if ended.load(Ordering::SeqCst) || full {
                return;
            }
            if let Ok(stream) = stream {
                std::thread::spawn(move || {
                    let _ = talk(stream, flaw);
                });
            }
        }
    });
    Server { port, stop }
}

struct Peer {
    stream: TcpStream,
    flaw: Flaw,
    message: Option<(u8, Vec<u8>)>,
}

fn talk(mut stream: TcpStream, flaw: Flaw) -> io::Result<()> {
    stream.set_nodelay(true)?;
    let mut head = Vec::new();
    let mut octet = [0];
    while !head.ends_with(b"\r\n\r\n") {
        if stream.read(&mut octet)? == 0 {
            return Ok(());
        }
        head.push(octet[0]);
    }
    let text = String::from_utf8_lossy(&head).into_owned();
    let key = text.lines().find_map(|l| l.strip_prefix("Sec-WebSocket-Key: ")).map(str::to_owned);
    let valid = |k: &String| base64::engine::general_purpose::STANDARD.decode(k).is_ok_and(|k| k.len() == 16);
    let Some(key) = key.filter(valid).filter(|_| text.matches("Sec-WebSocket-Key").count() == 1) else {
        return stream.write_all(b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
    };
    let mut sha = Sha1::new();
    sha.update(format!("{key}258EAFA5-E914-47DA-95CA-C5AB0DC85B11"));
    let mut accept = base64::engine::general_purpose::STANDARD.encode(sha.finalize());
    if flaw == Flaw::WrongAccept {
        accept = accept.to_lowercase();
    }
    write!(
        stream,
        "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: {accept}\r\n\r\n"
    )?;
    let mut peer = Peer { stream, flaw, message: None };
    while peer.frame()? {}
    if flaw != Flaw::NeverClosesTcp {
        peer.stream.shutdown(Shutdown::Write)?;
        // Read what is still under way, so that closing does not reset what we said last.
        let _ = io::copy(&mut peer.stream.take(1 << 24), &mut io::sink());
        return Ok(());
    }
    let _ = io::copy(&mut peer.stream, &mut io::sink());
    Ok(())
}

impl Peer {
    fn octets(&mut self, len: usize) -> io::Result<Vec<u8>> {
        let mut octets = vec![0; len];
        self.stream.read_exact(&mut octets)?;
        Ok(octets)
    }

    fn send(&mut self, first: u8, payload: &[u8]) -> io::Result<()> {
        let mut frame = vec![first];
        match payload.len() {
            len @ 0..=125 => frame.push(len as u8),
            len @ 126..=65_535 => {
                frame.push(126);
                frame.extend_from_slice(&(len as u16).to_be_bytes());
            }
            len => {
                frame.push(127);
                frame.extend_from_slice(&(len as u64).to_be_bytes());
            }
        }
        frame.extend_from_slice(payload);
        self.stream.write_all(&frame)
    }

    fn fail(&mut self, code: u16) -> io::Result<bool> {
        self.send(0x88, &code.to_be_bytes())?;
        Ok(false)
    }

    /// Reads and answers one frame; false ends the conversation.
    fn frame(&mut self) -> io::Result<bool> {
        let head = self.octets(2)?;
        let (first, masked) = (head[0], head[1] & 0x80 != 0);
        let opcode = first & 0x0f;
        let len = match head[1] & 0x7f {
            126 => usize::from(u16::from_be_bytes(self.octets(2)?.try_into().expect("two"))),
            127 => usize::try_from(u64::from_be_bytes(self.octets(8)?.try_into().expect("eight"))).unwrap_or(usize::MAX),
            short => usize::from(short),
        };
        let reserved = matches!(opcode, 3..=7 | 11..=15);
        let lax = self.flaw == Flaw::Lax;
        if !lax && (!masked || first & 0x70 != 0 || (reserved && self.flaw != Flaw::IgnoresReserved)) {
            return self.fail(1002);
        }
        if !lax && opcode & 8 != 0 && !reserved && (first & 0x80 == 0 || len > 125 || head[1] & 0x7f == 126) {
            return self.fail(1002);
        }
        let held = self.message.as_ref().map_or(0, |(_, m)| m.len());
        if matches!(self.flaw, Flaw::Limit(limit) if len.saturating_add(held) > limit) {
            return self.fail(1009);
        }
        let key = if masked { self.octets(4)? } else { vec![0; 4] };
        let mut payload = self.octets(len)?;
        payload.iter_mut().enumerate().for_each(|(i, b)| *b ^= key[i % 4]);
        match opcode {
            8 => self.close(&payload),
            9 => self.send(0x8a, &payload).map(|()| true),
            10 => Ok(true),
            _ if reserved => Ok(true),
            _ => self.data(first, payload),
        }
    }

    fn close(&mut self, payload: &[u8]) -> io::Result<bool> {
        if self.flaw == Flaw::Lax {
            return self.send(0x88, payload).map(|()| true);
        }
        let code = payload.get(..2).map(|c| u16::from_be_bytes([c[0], c[1]]));
        let text = self.flaw == Flaw::EchoesBadText || std::str::from_utf8(payload.get(2..).unwrap_or_default()).is_ok();
        match code {
            None if payload.is_empty() => self.send(0x88, &[])?,
            Some(1000..=1003 | 1007..=1014 | 3000..=4999) if text => self.send(0x88, payload)?,
            Some(_) if !text => return self.fail(1007),
            _ => return self.fail(1002),
        }
        Ok(false)
    }

    fn data(&mut self, first: u8, payload: Vec<u8>) -> io::Result<bool> {
        let (opcode, mut message) = match (first & 0x0f, self.message.take()) {
            (0, Some((opcode, mut message))) => {
                message.extend_from_slice(&payload);
                (opcode, message)
            }
            (0, None) | (_, Some(_)) => return self.fail(1002),
            (opcode, None) => (opcode, payload),
        };
        let text = opcode == 1 && self.flaw != Flaw::EchoesBadText;
        if text && std::str::from_utf8(&message).is_err_and(|e| e.error_len().is_some() || first & 0x80 != 0) {
            return self.fail(1007);
        }
        if first & 0x80 == 0 {
            self.message = Some((opcode, message));
            return Ok(true);
        }
        if self.flaw == Flaw::Mute {
            return Ok(true);
        }
        if opcode == 1 && self.flaw == Flaw::ScramblesText {
            message.iter_mut().for_each(|b| *b = b'?');
        }
        self.send(0x80 | opcode, &message).map(|()| true)
    }
}
