//! A broker of MQTT 3.1.1, hand-written: as far as the shipped preset asks, and it answers pings or it does not. Its answers to pings
//! are what the preset ignores, since it keeps its connections alive by itself.

use std::sync::{Arc, Mutex};

use futures::{SinkExt as _, StreamExt as _};
use tokio::net::TcpStream;
use tokio::sync::mpsc::{UnboundedSender, unbounded_channel};
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::handshake::server::{Request, Response};

use super::disrupt::finding;
use super::{Desk, not_passed};

/// Clients that subscribed.
type Members = Arc<Mutex<Vec<UnboundedSender<Message>>>>;

/// Starts one on a free port; it lives as long as this process.
fn broker(answers_pings: bool) -> String {
    let (told, port) = std::sync::mpsc::channel();
    std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        runtime.block_on(async move {
            let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
            told.send(listener.local_addr().expect("an address").port()).expect("somebody waits");
            let members = Members::default();
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(client(stream, answers_pings, Arc::clone(&members)));
            }
        });
    });
    format!("ws://127.0.0.1:{}", port.recv().expect("it listens"))
}

async fn client(stream: TcpStream, answers_pings: bool, members: Members) {
    #[expect(clippy::result_large_err, reason = "the library's own type")]
    let agree = |_: &Request, mut response: Response| {
        response.headers_mut().insert("Sec-WebSocket-Protocol", "mqtt".parse().expect("a token"));
        Ok(response)
    };
    let Ok(mut socket) = tokio_tungstenite::accept_hdr_async(stream, agree).await else { return };
    let (tell, mut told) = unbounded_channel();
    loop {
        tokio::select! {
            Some(message) = told.recv() => if socket.send(message).await.is_err() { return },
            message = socket.next() => {
                let Some(Ok(message)) = message else { return };
                let Message::Binary(packet) = &message else { continue };
                let answer: &[u8] = match packet.first() {
                    Some(0x10) => &[0x20, 2, 0, 0],
                    Some(0x82) => {
                        members.lock().expect("nobody panics").push(tell.clone());
                        &[0x90, 3, 0, 1, 0]
                    }
                    Some(0x30) => {
                        members.lock().expect("nobody panics").retain(|member| member.send(message.clone()).is_ok());
                        continue;
                    }
                    Some(0xc0) if answers_pings => &[0xd0, 0],
                    _ => continue,
                };
                let _ = tell.send(Message::binary(answer.to_vec()));
            }
        }
    }
}

/// The preset and its pings; it keeps alive far more often than it does by itself.
const PINGS: &str = r#"
name = "pings"
use = "mqtt"
reply = [{ every = "70ms", send = { hex = "c0 00" } }]
[clients]
count = 5
connect_rate = "1000/s"
[publish]
pace = "40/s"
[phases]
steady = "2s"
drain = "5s"
[checks.delivery]
within = "5s"
[checks.pong]
every = "900ms"
within = "899ms"
[checks.instrument]
late_send = "2s"
max_loop_lag = "5s"
"#;

#[test]
fn a_pong_that_an_ignore_rule_explains_is_a_pong_and_the_answer_to_a_keep_alive_is_none() {
    let desk = Desk::new();
    for answers in [true, false] {
        let ran = desk.run(&["run", desk.scenario(PINGS), "--url", &broker(answers), "--format", "json"]);
        let report = ran.json();
        let expected = if answers { Vec::new() } else { vec!["pong fail".to_owned()] };
        assert_eq!((ran.code, not_passed(&report)), (i32::from(!answers), expected), "{report:#}");
        let pong = finding(&report, "pong");
        let population = pong["population"].as_u64().unwrap_or(0);
        assert!((5..=15).contains(&population), "5 clients, 2 s, a ping of each every 900 ms: {pong}");
        assert_eq!(pong["violations"].as_u64(), Some(if answers { 0 } else { population }), "{pong}");
    }
}
