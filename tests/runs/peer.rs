//! A server of many rooms in which everything bears somebody's name, so that a client which does not know its own takes what is
//! another's. Hand-written, on a library wsbench does not use. One mistake at a time can be asked of it.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures::{SinkExt as _, StreamExt as _};
use serde_json::{Value, json};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::mpsc::{UnboundedSender, unbounded_channel};
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::handshake::server::{ErrorResponse, Request, Response};
use tokio_tungstenite::tungstenite::protocol::CloseFrame;
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;

/// One thing it does with another's name on it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Mistake {
    None,
    /// The answer to a join names another room.
    Join,
    /// The server's own ping bears another session.
    Ping,
    /// A note is for another client.
    Note,
    /// Copies say they are of another room.
    Label,
    /// Every tenth copy goes to another room as well.
    Leak,
    /// The sender's acknowledgement bears another session.
    Ack,
    /// Beats are another room's.
    Beat,
    /// Pongs are another client's.
    Pong,
    /// The welcome names another room.
    Welcome,
    /// Who wants to join is sent away.
    Refuses,
}

/// Who is there.
struct Member {
    room: String,
    /// It only listens to what the server broadcasts by itself.
    listens: bool,
    tell: UnboundedSender<String>,
}

#[derive(Default)]
struct Hub {
    members: BTreeMap<u64, Member>,
    sessions: u64,
    copies: u64,
}

/// Starts one on a free port; it lives as long as this process.
pub(crate) fn serve(mistake: Mistake) -> String {
    let (told, port) = std::sync::mpsc::channel();
    std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        runtime.block_on(async move {
            let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
            told.send(listener.local_addr().expect("an address").port()).expect("somebody waits");
            let hub = Arc::default();
            tokio::spawn(tick(mistake, Arc::clone(&hub)));
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(client(stream, mistake, Arc::clone(&hub), None));
            }
        });
    });
    format!("ws://127.0.0.1:{}/hub", port.recv().expect("it listens"))
}

/// Starts one on a Unix socket; it refuses whoever does not say that it is on this machine (`Host: localhost`).
pub(crate) fn serve_at(path: &Path) {
    let (told, bound) = std::sync::mpsc::channel();
    let path = path.to_owned();
    std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        runtime.block_on(async move {
            let listener = tokio::net::UnixListener::bind(path).expect("the scratch directory is writable");
            told.send(()).expect("somebody waits");
            let hub = Arc::default();
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(client(stream, Mistake::None, Arc::clone(&hub), Some("localhost")));
            }
        });
    });
    bound.recv().expect("it listens");
}

/// Broadcasts of the server's own, a sequence for every room.
async fn tick(mistake: Mistake, hub: Arc<Mutex<Hub>>) {
    let mut ticks = tokio::time::interval(Duration::from_millis(100));
    for seq in 0.. {
        ticks.tick().await;
        let hub = hub.lock().expect("nobody panics");
        for (n, member) in hub.members.values().filter(|m| m.listens).enumerate() {
            let wrong = mistake == Mistake::Label && n == 0 && seq % 5 == 0;
            let room = if wrong { "elsewhere" } else { &member.room };
            let _ = member.tell.send(json!({ "tick": seq, "room": room }).to_string());
        }
    }
}

/// One connection. Its address says who it is and where: `?room=a&id=3`.
async fn client(stream: impl AsyncRead + AsyncWrite + Unpin, mistake: Mistake, hub: Arc<Mutex<Hub>>, host: Option<&str>) {
    let mut query = BTreeMap::new();
    #[expect(clippy::result_large_err, reason = "the library's own type")]
    let look = |request: &Request, response: Response| {
        for pair in request.uri().query().unwrap_or_default().split('&') {
            let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
            query.insert(key.to_owned(), value.to_owned());
        }
        let said = request.headers().get("Host").and_then(|h| h.to_str().ok());
        if host.is_none_or(|host| said == Some(host)) { Ok(response) } else { Err(ErrorResponse::new(None)) }
    };
    let Ok(mut socket) = tokio_tungstenite::accept_hdr_async(stream, look).await else { return };
    let room = query.get("room").cloned().unwrap_or_default();
    let id: u64 = query.get("id").and_then(|id| id.parse().ok()).unwrap_or(0);
    let (tell, mut told) = unbounded_channel();
    let me = {
        let mut hub = hub.lock().expect("nobody panics");
        hub.sessions += 1;
        hub.sessions
    };
    let named = |right: String, wrong: Mistake| if mistake == wrong { format!("{right}x") } else { right };
    let other = |right: u64, wrong: Mistake| if mistake == wrong { right + 1000 } else { right };
    let listens = query.contains_key("ticks");
    if listens {
        hub.lock().expect("nobody panics").members.insert(me, Member { room: room.clone(), listens, tell: tell.clone() });
    }
    let _ = tell.send(format!("welcome to {}", named(room.clone(), Mistake::Welcome)));
    let _ = tell.send(json!({ "hello": format!("s{me}") }).to_string());
    let mut beats = tokio::time::interval(Duration::from_millis(300));
    let mut joined = false;
    loop {
        tokio::select! {
            Some(text) = told.recv() => if socket.send(Message::text(text)).await.is_err() { break },
            _ = beats.tick(), if joined => {
                let _ = tell.send(json!({ "beat": named(room.clone(), Mistake::Beat) }).to_string());
                let _ = tell.send(json!({ "ping": named(format!("s{me}"), Mistake::Ping) }).to_string());
                let _ = tell.send(json!({ "note": "seen", "to": other(id, Mistake::Note) }).to_string());
            }
            message = socket.next() => {
                let Some(Ok(message)) = message else { break };
                let Message::Text(text) = message else { continue };
                let value: Value = serde_json::from_str(&text).unwrap_or_default();
                let mut hub = hub.lock().expect("nobody panics");
                match value["op"].as_str() {
                    Some("join") if mistake == Mistake::Refuses => break,
                    Some("join") => {
                        joined = true;
                        let _ = tell.send(json!({ "joined": "elsewhere", "id": id }).to_string());
                        let _ = tell.send(json!({ "joined": room, "id": id + 1000 }).to_string());
                        let _ = tell.send(json!({ "joined": named(room.clone(), Mistake::Join), "id": id }).to_string());
                        hub.members.insert(me, Member { room: room.clone(), listens, tell: tell.clone() });
                    }
                    Some("ping") => drop(tell.send(json!({ "pong": other(id, Mistake::Pong) }).to_string())),
                    // Answers are for the one who was asked, and nobody else.
                    Some("pong") if value["of"] != json!(format!("s{me}")) => break,
                    Some("say") => {
                        hub.copies += 1;
                        let leak = mistake == Mistake::Leak && hub.copies.is_multiple_of(10);
                        for member in hub.members.values().filter(|m| m.room == room || leak) {
                            let label = named(room.clone(), Mistake::Label);
                            let _ = member.tell.send(json!({ "room": label, "from": id, "text": value["text"] }).to_string());
                        }
                        let to = named(format!("s{me}"), Mistake::Ack);
                        let _ = tell.send(json!({ "room": room, "ack": to, "text": value["text"] }).to_string());
                    }
                    _ => {}
                }
            }
        }
    }
    if mistake == Mistake::Refuses {
        let _ = socket.close(Some(CloseFrame { code: CloseCode::Library(4003), reason: "no".into() })).await;
        // Until the client has closed its end.
        while socket.next().await.is_some_and(|message| message.is_ok()) {}
    }
    hub.lock().expect("nobody panics").members.remove(&me);
}
