//! A broadcast server as one writes it in an afternoon: one lock, blocking writes to everybody in turn, and no error handler.

use std::io::Write as _;
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex, PoisonError};

use tokio_tungstenite::tungstenite::protocol::{Role, WebSocket};
use tokio_tungstenite::tungstenite::{self, Error, Message};

/// What it does badly.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Flaw {
    /// A write to a client that does not read holds up everybody.
    Blocks,
    /// A client that breaks the protocol takes everybody down.
    Dies,
}

type Sockets = Arc<Mutex<Vec<TcpStream>>>;

/// Starts it on a free port; it ends with the process of the test.
pub(crate) fn start(flaw: Flaw) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let url = format!("ws://{}/", listener.local_addr().expect("bound"));
    let sockets = Sockets::default();
    std::thread::spawn(move || {
        for stream in listener.incoming().map_while(Result::ok) {
            let sockets = sockets.clone();
            std::thread::spawn(move || serve(&stream, &sockets, flaw));
        }
    });
    url
}

fn serve(stream: &TcpStream, sockets: &Sockets, flaw: Flaw) {
    if flaw == Flaw::Blocks {
        // A small buffer, so that the test is short.
        let _ = socket2::SockRef::from(stream).set_send_buffer_size(4096);
    }
    let Ok(ours) = stream.try_clone().and_then(|s| Ok((s, stream.try_clone()?))) else { return };
    if tungstenite::accept(ours.0).is_err() {
        return;
    }
    lock(sockets).push(ours.1);
    let mut socket = WebSocket::from_raw_socket(stream, Role::Server, None);
    loop {
        match socket.read() {
            Ok(Message::Text(text)) => broadcast(sockets, text.as_bytes()),
            Ok(_) => {}
            Err(
                Error::Protocol(tungstenite::error::ProtocolError::ResetWithoutClosingHandshake) | Error::Io(_) | Error::ConnectionClosed,
            ) => {
                return;
            }
            Err(_) if flaw == Flaw::Dies => {
                for socket in lock(sockets).iter() {
                    let _ = socket.shutdown(std::net::Shutdown::Both);
                }
                return;
            }
            Err(_) => return,
        }
    }
}

fn broadcast(sockets: &Sockets, payload: &[u8]) {
    let mut frame = vec![0x81];
    match u16::try_from(payload.len()) {
        Ok(short) if short < 126 => frame.push(short.to_be_bytes()[1]),
        Ok(long) => {
            frame.push(126);
            frame.extend_from_slice(&long.to_be_bytes());
        }
        Err(_) => return,
    }
    frame.extend_from_slice(payload);
    // A client that is gone stays in the list: writing to it fails at once.
    for mut socket in lock(sockets).iter() {
        let _ = socket.write_all(&frame);
    }
}

fn lock(sockets: &Sockets) -> std::sync::MutexGuard<'_, Vec<TcpStream>> {
    sockets.lock().unwrap_or_else(PoisonError::into_inner)
}
