//! A chat room that relays nothing before a join, speaks JSON, and pings in JSON. Hand-written on a library the tester does
//! not use.

use std::net::SocketAddr;

use futures::{SinkExt as _, StreamExt as _};
use serde_json::{Value, json};
use tokio::sync::broadcast;
use tokio_tungstenite::tungstenite::Message;

/// What the room does with what is said in it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Manners {
    /// Everybody in the room hears it, the sender too.
    All,
    /// Everybody but the sender.
    Others,
    /// As `All`, with a letter changed.
    Scrambles,
    /// Nobody may join.
    Refuses,
}

/// Starts a room; it lives as long as this process.
pub(crate) fn serve(manners: Manners) -> u16 {
    let (told, port) = std::sync::mpsc::channel();
    std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        runtime.block_on(async move {
            let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
            told.send(listener.local_addr().expect("an address").port()).expect("somebody waits");
            let (room, _) = broadcast::channel(1024);
            while let Ok((stream, from)) = listener.accept().await {
                tokio::spawn(client(stream, from, manners, room.clone()));
            }
        });
    });
    port.recv().expect("it listens")
}

type Said = (SocketAddr, String, String);

async fn client(stream: tokio::net::TcpStream, me: SocketAddr, manners: Manners, room: broadcast::Sender<Said>) {
    let Ok(mut socket) = tokio_tungstenite::accept_async(stream).await else { return };
    let mut heard = room.subscribe();
    let mut joined: Option<String> = None;
    loop {
        tokio::select! {
            message = socket.next() => {
                let Some(Ok(message)) = message else { break };
                let Message::Text(text) = message else { continue };
                let value: Value = serde_json::from_str(&text).unwrap_or_default();
                let answers = match (&joined, value["join"].as_str(), value["say"].as_str()) {
                    (None, Some(_), _) if manners == Manners::Refuses => vec![json!({ "error": "the room is full" })],
                    (None, Some(name), _) => {
                        joined = Some(name.to_owned());
                        vec![json!({ "presence": me.to_string() }), json!({ "joined": name }), json!({ "ping": 1 })]
                    }
                    (Some(name), _, Some(said)) => {
                        let said = if manners == Manners::Scrambles { said.replace('e', "a") } else { said.to_owned() };
                        let _ = room.send((me, name.clone(), said));
                        Vec::new()
                    }
                    (_, None, None) if value["pong"] == 1 => Vec::new(),
                    _ => vec![json!({ "error": "join first, and speak JSON" })],
                };
                for answer in answers {
                    if socket.send(Message::text(answer.to_string())).await.is_err() {
                        return;
                    }
                }
            }
            said = heard.recv() => {
                let Ok((from, name, text)) = said else { continue };
                let mine = from == me && manners == Manners::Others;
                if joined.as_deref() == Some(name.as_str()) && !mine {
                    let copy = json!({ "text": text, "by": from.to_string(), "room": name });
                    if socket.send(Message::text(copy.to_string())).await.is_err() {
                        return;
                    }
                }
            }
        }
    }
    // The engine has answered the Close; TCP ends with the socket.
    let _ = socket.close(None).await;
}

/// How its clients join and speak.
pub(crate) const SCENARIO: &str = r#"
script = [
  { send = '{"join":"{room}"}' },
  { expect = { json = { joined = "{room}" } }, within = "2s" },
]
reply = [{ when = { json = { ping = 1 } }, send = '{"pong":1}' }]
ignore = [{ contains = '"presence"' }]

[clients]
count = 4

[rooms]
count = 2

[dialect]
publish = '{"say":"{stamp}"}'
match = { json = { room = "{room}" } }
"#;
