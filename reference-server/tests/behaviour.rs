//! The honest server, seen from its clients, in memory and in virtual time.

mod common;

use std::time::Duration;

use common::{Client, Frame, Lines, masked, pass, quiet, request, with_server, with_sinks};
use reference_server::{Fanout, ServerConfig, Sinks, SlowConsumer};

const SOON: Duration = Duration::from_millis(100);

fn texts(frames: &[Frame]) -> Vec<String> {
    frames.iter().map(Frame::text).collect()
}

fn firsts(frames: &[Frame]) -> Vec<u8> {
    frames.iter().map(|frame| frame.first).collect()
}

#[test]
fn everyone_gets_the_same_bytes_with_the_same_opcode() {
    for (fanout, expected) in [(Fanout::All, [1, 1, 1]), (Fanout::Others, [0, 1, 1]), (Fanout::Echo, [1, 0, 0])] {
        with_server(ServerConfig { fanout, ..quiet() }, |server| async move {
            let mut clients = Vec::new();
            for _ in 0..3 {
                clients.push(Client::connect(&server).await);
            }
            clients[0].say("text \u{fc}").await;
            clients[0].send(0x82, &[0, 255, 7]).await;
            for (client, copies) in clients.iter_mut().zip(expected) {
                let frames = client.hear_all(SOON).await;
                assert_eq!(firsts(&frames), [0x81, 0x82].repeat(copies), "{fanout:?}");
                assert!(copies == 0 || (frames[0].text() == "text \u{fc}" && frames[1].payload == [0, 255, 7]));
            }
            let totals = server.totals();
            assert_eq!((totals.messages_in, totals.copies_out), (2, 2 * expected.iter().sum::<usize>() as u64));
        });
    }
}

#[test]
fn the_greeting_comes_first_and_the_heartbeat_keeps_its_period_until_the_close() {
    with_server(ServerConfig::default(), |server| async move {
        let start = tokio::time::Instant::now();
        let mut client = Client::connect(&server).await;
        assert_eq!(client.hear().await.map(|frame| frame.text()).as_deref(), Some("something"));
        for beat in 1..=3u64 {
            let frame = client.hear().await.map(|frame| (frame.first, frame.text()));
            assert_eq!(frame, Some((0x81, r#"{"type":1,"message":"ping"}"#.into())));
            let late = start.elapsed().saturating_sub(Duration::from_secs(5 * beat));
            assert!(late < SOON && start.elapsed() >= Duration::from_secs(5 * beat), "beat {beat} at {:?}", start.elapsed());
        }
        client.send(0x88, &1000u16.to_be_bytes()).await;
        assert_eq!(client.hear().await.and_then(|frame| frame.code()), Some(1000));
        assert_eq!(client.hear_all(Duration::from_secs(60)).await, []);
        pass(6_000).await;
        assert_eq!((server.totals().heartbeats, server.totals().open), (3, 0));
    });
}

#[test]
fn ping_is_answered_to_the_asker_alone_at_both_levels() {
    with_server(quiet(), |server| async move {
        let mut asker = Client::connect(&server).await;
        let mut other = Client::connect(&server).await;
        asker.say("ping").await;
        asker.send(0x89, b"payload").await;
        asker.send(0x82, b"ping").await;
        let frames = asker.hear_all(SOON).await;
        let pong = frames.iter().find(|frame| frame.first == 0x8A).map(Frame::text);
        let app: Vec<String> = texts(&frames).into_iter().filter(|text| text.contains("type")).collect();
        assert_eq!((pong.as_deref(), app), (Some("payload"), vec![r#"{"type":0,"message":"pong"}"#.to_owned()]));
        assert_eq!(firsts(&other.hear_all(SOON).await), [0x82], "binary `ping` is a message like any other");
    });
}

#[test]
fn a_fragmented_message_is_relayed_whole_with_pings_between() {
    with_server(quiet(), |server| async move {
        let mut sender = Client::connect(&server).await;
        let mut other = Client::connect(&server).await;
        sender.send(0x01, b"one ").await;
        sender.send(0x89, b"now").await;
        sender.send(0x00, b"two ").await;
        sender.send(0x80, b"three").await;
        assert_eq!(texts(&sender.hear_all(SOON).await), ["now", "one two three"]);
        assert_eq!(other.hear_all(SOON).await, [Frame { first: 0x81, masked: false, payload: b"one two three".to_vec() }]);
    });
}

#[test]
fn unfinished_messages_and_closing_clients_get_and_break_nothing() {
    with_server(quiet(), |server| async move {
        let mut half = Client::connect(&server).await;
        let mut closing = Client::connect(&server).await;
        let mut other = Client::connect(&server).await;
        half.send(0x01, b"never finished").await;
        half.shut().await;
        closing.send(0x88, &[]).await;
        pass(10).await;
        other.say("still here").await;
        assert_eq!(texts(&other.hear_all(SOON).await), ["still here"]);
        assert_eq!(firsts(&closing.hear_all(SOON).await), [0x88]);
        assert_eq!(half.hear_all(SOON).await, []);
    });
}

#[test]
fn what_was_sent_before_a_violation_is_delivered_and_then_the_client_is_closed() {
    let config = || ServerConfig { max_message: 1000, max_frame: 600, ..quiet() };
    let table: &[(&str, Vec<u8>, u16)] = &[
        ("reserved opcode", masked(0x83, b""), 1002),
        ("RSV without extension", masked(0xC1, b"x"), 1002),
        ("stray continuation", masked(0x80, b"x"), 1002),
        ("unmasked", vec![0x81, 1, b'x'], 1002),
        ("longer length form than needed", vec![0x81, 0xFE, 0, 1, 0, 0, 0, 0, b'x'], 1002),
        ("one-octet close", masked(0x88, b"x"), 1002),
        ("close code 1005", masked(0x88, &1005u16.to_be_bytes()), 1002),
        ("bad UTF-8", masked(0x81, &[0xC3, 0x28]), 1007),
        ("bad UTF-8 in an unfinished message", masked(0x01, &[0xF4, 0x90, 0x80, 0x80]), 1007),
        ("bad close reason", masked(0x88, &[3, 0xE8, 0xC3, 0x28]), 1007),
        ("frame over its limit", masked(0x82, &[0; 601]), 1009),
        ("message over its limit", [masked(0x02, &[0; 600]), masked(0x80, &[0; 401])].concat(), 1009),
        ("2^40 bytes announced", vec![0x82, 0xFF, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0], 1009),
    ];
    for (name, octets, code) in table {
        with_server(config(), |server| async move {
            let mut client = Client::connect(&server).await;
            let mut other = Client::connect(&server).await;
            client.raw(&[masked(0x81, b"fine"), octets.clone(), masked(0x81, b"too late")].concat()).await;
            let frames = client.hear_all(SOON).await;
            assert_eq!(frames.first().map(Frame::text).as_deref(), Some("fine"), "{name}");
            assert_eq!(frames.get(1).and_then(Frame::code), Some(*code), "{name}");
            assert_eq!(frames.len(), 2, "{name}: nothing follows a Close");
            assert_eq!(texts(&other.hear_all(SOON).await), ["fine"], "{name}: bystanders notice nothing");
        });
    }
}

#[test]
fn closes_are_answered_in_kind() {
    for (sent, answered) in
        [(Some(1000), 1000), (Some(1001), 1001), (Some(1014), 1000), (Some(3000), 3000), (Some(4999), 4999), (None, 1005)]
    {
        with_server(quiet(), |server| async move {
            let mut client = Client::connect(&server).await;
            let payload = sent.map_or(Vec::new(), |code: u16| code.to_be_bytes().to_vec());
            client.raw(&[masked(0x88, &payload), masked(0x81, b"after"), masked(0x88, &payload)].concat()).await;
            let frames = client.hear_all(SOON).await;
            assert_eq!(frames.iter().map(Frame::code).collect::<Vec<_>>(), [Some(answered)], "{sent:?}");
        });
    }
}

#[test]
fn a_client_that_never_finishes_closing_is_dropped() {
    with_server(quiet(), |server| async move {
        let mut client = Client::connect(&server).await;
        client.send(0x83, b"").await;
        pass(4_000).await;
        assert_eq!(server.totals().open, 1);
        pass(2_000).await;
        assert_eq!((client.hear_all(SOON).await.len(), server.totals().open), (1, 0));
    });
}

#[test]
fn protocol_pings_tell_the_living_from_the_dead() {
    let config = ServerConfig { protocol_ping: Some(Duration::from_secs(1)), ..quiet() };
    with_server(config, |server| async move {
        let mut living = Client::connect(&server).await;
        let mut dead = Client::connect(&server).await;
        for _ in 0..5 {
            let ping = living.hear().await.expect("a ping");
            assert_eq!(ping.first, 0x89);
            living.send(0x8A, &ping.payload).await;
        }
        let heard = dead.hear_all(Duration::from_secs(5)).await;
        assert_eq!((firsts(&heard), heard[1].code()), (vec![0x89, 0x88], Some(1011)));
        dead.shut().await;
        pass(1).await;
        assert_eq!((server.totals().closed_dead, server.totals().open), (1, 1));
    });
}

#[test]
fn a_slow_reader_is_closed_or_loses_copies_and_delays_nobody() {
    for (policy, closed) in [(SlowConsumer::Close, 1), (SlowConsumer::Drop, 0)] {
        let config = ServerConfig { slow_consumer: policy, outbox: 200_000, close_timeout: Duration::from_secs(2), ..quiet() };
        with_server(config, |server| async move {
            let mut sender = Client::connect(&server).await;
            let mut slow = Client::connect(&server).await;
            let big = vec![b'x'; 50_000];
            for _ in 0..20 {
                sender.send(0x82, &big).await;
                assert_eq!(sender.hear().await.map(|frame| frame.payload.len()), Some(50_000));
            }
            let totals = server.totals();
            assert_eq!(totals.closed_slow, closed, "{policy:?}");
            assert!(totals.copies_dropped > 0, "{policy:?}");
            let frames = slow.hear_all(SOON).await;
            let copies = frames.iter().filter(|frame| frame.first == 0x82).count() as u64;
            if policy == SlowConsumer::Drop {
                assert_eq!(copies + totals.copies_dropped, 20, "{policy:?}");
                sender.say("again").await;
                assert_eq!(texts(&slow.hear_all(SOON).await), ["again"]);
            } else {
                assert_eq!(frames.last().and_then(Frame::code), Some(1013), "{policy:?}");
                assert!(copies < 20, "{policy:?}: {copies}");
            }
        });
    }
}

#[test]
fn a_client_that_does_not_read_its_own_echoes_is_not_read_either() {
    with_server(ServerConfig { fanout: Fanout::Echo, ..quiet() }, |server| async move {
        let mut client = Client::connect(&server).await;
        let flood = masked(0x82, &[0; 10_000]).repeat(1000);
        let sent = tokio::time::timeout(Duration::from_secs(1), client.raw(&flood)).await;
        assert!(sent.is_err(), "10 MB were taken from a client that reads nothing");
        assert!(server.totals().messages_in < 100, "{}", server.totals().messages_in);
    });
}

#[test]
fn a_client_that_takes_nothing_is_given_up_in_the_end() {
    let config = ServerConfig { fanout: Fanout::Echo, write_timeout: Duration::from_secs(10), ..quiet() };
    with_server(config, |server| async move {
        let mut dead = Client::connect(&server).await;
        dead.send(0x82, &[0; 300_000]).await;
        pass(9_000).await;
        assert_eq!((server.totals().open, server.totals().closed_dead), (1, 0));
        pass(2_000).await;
        assert_eq!((server.totals().open, server.totals().closed_dead), (0, 1));
    });
}

#[test]
fn requests_are_answered_as_they_deserve() {
    let upgrade = request("/", "");
    let without =
        |field: &str| upgrade.lines().filter(|line| !line.starts_with(field)).map(|line| format!("{line}\r\n")).collect::<String>();
    let with = |from: &str, to: &str| upgrade.replace(from, to);
    let key = "dGhlIHNhbXBsZSBub25jZQ==";
    let table: &[(&str, String, &str)] = &[
        ("sample key", upgrade.clone(), "101"),
        ("lower case", upgrade.to_lowercase().replace(&key.to_lowercase(), key).replace("get", "GET").replace("http", "HTTP"), "101"),
        (
            "lists",
            with("Connection: Upgrade", "Connection: keep-alive, upgrade").replace("Upgrade: websocket", "Upgrade: h2c,\twebsocket"),
            "101",
        ),
        ("key with trailing bits", with(key, "AQIDBAUGBwgJCgsMDQ4PEC=="), "101"),
        ("absolute form", with("GET / ", "GET http://test/chat?x=1 "), "101"),
        ("empty line before", format!("\r\n{upgrade}"), "101"),
        ("bare line feeds", upgrade.replace("\r\n", "\n"), "101"),
        ("unknown extension", request("/", "Sec-WebSocket-Extensions: x-unknown\r\n"), "101"),
        ("no key", without("Sec-WebSocket-Key"), "400"),
        ("short key", with(key, "dGhlIHNhbXBsZSBub25jZQ"), "400"),
        ("two keys", request("/", &format!("Sec-WebSocket-Key: {key}\r\n")), "400"),
        ("no version", without("Sec-WebSocket-Version"), "426"),
        ("version 8", with("Version: 13", "Version: 8"), "426"),
        ("two versions", request("/", "Sec-WebSocket-Version: 8\r\n"), "400"),
        ("no upgrade", without("Upgrade"), "426"),
        ("substring", with("Upgrade: websocket", "Upgrade: notwebsocket"), "426"),
        ("keep-alive only", with("Connection: Upgrade", "Connection: keep-alive"), "426"),
        ("no host", without("Host"), "400"),
        ("two hosts", request("/", "Host: b\r\n"), "400"),
        ("HTTP/1.0", with("HTTP/1.1", "HTTP/1.0"), "426"),
        ("POST", with("GET", "POST"), "405"),
        ("space before colon", with("Upgrade: ", "Upgrade : "), "400"),
        ("folded line", request("/", "X: a\r\n b\r\n"), "400"),
        ("NUL", request("/", "X: a\0b\r\n"), "400"),
        ("garbage", "how do you do\r\n".into(), "400"),
        ("body", request("/", "Content-Length: 5\r\n"), "400"),
        ("bad sub-protocol list", request("/", "Sec-WebSocket-Protocol: a, a\r\n"), "400"),
        ("malformed extension", request("/", "Sec-WebSocket-Extensions: x; a=\"\r\n"), "400"),
        ("long field", request("/", &format!("X: {}\r\n", "x".repeat(65_536))), "431"),
        ("many fields", request("/", &"X: y\r\n".repeat(2001)), "431"),
        ("page", "GET /healthz HTTP/1.1\r\nHost: a\r\n\r\n".into(), "200"),
        ("metrics", "GET /metrics HTTP/1.1\r\nHost: a\r\n\r\n".into(), "200"),
        ("other page", "GET / HTTP/1.1\r\nHost: a\r\n\r\n".into(), "426"),
        ("half a request", "GET / HTTP/1.1\r\nHost: a\r\n".into(), "408"),
    ];
    for (name, octets, status) in table {
        with_server(quiet(), |server| async move {
            let response = Client::ask(&server, octets.as_bytes()).await.map(|client| client.response).unwrap_or_default();
            assert!(response.starts_with(&format!("HTTP/1.1 {status} ")), "{name}: {response}");
            if *status == "426" {
                assert!(
                    response.contains("\r\nUpgrade: websocket\r\n") && response.contains("\r\nSec-WebSocket-Version: 13\r\n"),
                    "{name}"
                );
            }
            if *status == "101" {
                assert!(!response.contains("Extensions") && !response.contains("Protocol:"), "{name}: {response}");
            }
        });
    }
}

#[test]
fn the_accept_key_is_the_rfcs_and_frames_behind_the_request_are_not_lost() {
    with_server(quiet(), |server| async move {
        let octets = [request("/", "").as_bytes(), &masked(0x81, b"early")].concat();
        let mut client = Client::ask(&server, &octets).await.expect("a response");
        assert!(client.response.contains("\r\nSec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n"), "{}", client.response);
        assert_eq!(texts(&client.hear_all(SOON).await), ["early"]);
    });
}

#[test]
fn sub_protocols_paths_and_rooms_are_served_when_configured() {
    let config = ServerConfig { subprotocols: vec!["chat".into()], path: Some("/ws".into()), ..quiet() };
    with_server(config, |server| async move {
        let ask = async |path: &str, more: &str| {
            Client::ask(&server, request(path, more).as_bytes()).await.map(|client| client.response).unwrap_or_default()
        };
        assert!(ask("/ws?a=b", "Sec-WebSocket-Protocol: soap, chat\r\n").await.contains("\r\nSec-WebSocket-Protocol: chat\r\n"));
        assert!(!ask("/ws", "Sec-WebSocket-Protocol: soap\r\n").await.contains("Protocol:"));
        assert!(ask("/elsewhere", "").await.starts_with("HTTP/1.1 404 "));
    });
    with_server(ServerConfig { rooms: true, ..quiet() }, |server| async move {
        let mut clients = Vec::new();
        for path in ["/a", "/a", "/b"] {
            clients.push(Client::ask(&server, request(path, "").as_bytes()).await.expect("a response"));
        }
        clients[0].say("to a").await;
        clients[2].say("to b").await;
        for (client, expected) in clients.iter_mut().zip(["to a", "to a", "to b"]) {
            assert_eq!(texts(&client.hear_all(SOON).await), [expected]);
        }
    });
}

#[test]
fn a_full_server_says_so_and_has_room_again_when_somebody_leaves() {
    with_server(ServerConfig { max_connections: 1, ..quiet() }, |server| async move {
        let first = Client::connect(&server).await;
        assert!(Client::connect(&server).await.response.starts_with("HTTP/1.1 503 "));
        drop(first);
        pass(10).await;
        assert!(Client::connect(&server).await.response.starts_with("HTTP/1.1 101 "));
    });
}

#[test]
fn stopping_closes_everyone_with_1001_and_waits_no_longer_than_it_must() {
    with_server(quiet(), |server| async move {
        let mut polite = Client::connect(&server).await;
        let mut silent = Client::connect(&server).await;
        let start = tokio::time::Instant::now();
        let polite = tokio::task::spawn_local(async move {
            let close = polite.hear().await.and_then(|frame| frame.code());
            polite.send(0x88, &1001u16.to_be_bytes()).await;
            close
        });
        let totals = server.stop().await;
        assert!(start.elapsed() <= Duration::from_secs(6), "{:?}", start.elapsed());
        assert_eq!(totals.connections, 2);
        assert_eq!(polite.await.ok().flatten(), Some(1001));
        assert_eq!(silent.hear().await.and_then(|frame| frame.code()), Some(1001));
    });
}

#[test]
fn the_log_shows_every_message_escaped() {
    let lines = Lines::default();
    let sinks = Sinks { log: Some(lines.sink()), ..Sinks::default() };
    with_sinks(quiet(), sinks, |server| async move {
        let mut client = Client::connect(&server).await;
        client.say("one\n\u{1b}[2Jtwo").await;
        client.say("ping").await;
        pass(10).await;
    });
    assert_eq!(lines.all(), ["received: one\\n\\u{1b}[2Jtwo", "received: ping"]);
}

#[test]
fn compressed_copies_go_to_those_who_agreed_and_plain_ones_to_the_rest() {
    with_server(ServerConfig { deflate: true, ..quiet() }, |server| async move {
        let offer = |offer: &str| request("/", &format!("Sec-WebSocket-Extensions: {offer}\r\n"));
        let mut plain = Client::connect(&server).await;
        let mut wide = Client::ask(&server, offer("permessage-deflate").as_bytes()).await.expect("a response");
        let mut narrow = Client::ask(&server, offer("permessage-deflate; server_max_window_bits=9").as_bytes()).await.expect("a response");
        assert!(wide.response.contains("permessage-deflate; server_no_context_takeover\r\n"), "{}", wide.response);
        assert!(narrow.response.contains("server_max_window_bits=9\r\n"), "{}", narrow.response);
        let text = "again and again ".repeat(100);
        wide.send(0xC1, &[0xF2, 0x48, 0xCD, 0xC9, 0xC9, 0x07, 0x00]).await;
        plain.say(&text).await;
        for client in [&mut plain, &mut wide, &mut narrow] {
            let compressed = client.response.contains("permessage");
            let frames = client.hear_all(SOON).await;
            assert_eq!(frames.len(), 2);
            for (frame, expected) in frames.iter().zip(["Hello", text.as_str()]) {
                if frame.first == 0xC1 {
                    assert!(compressed && frame.payload.len() < expected.len());
                    let mut out = Vec::new();
                    let mut inflater = reference_server::deflate::Inflater::new(true);
                    assert!(inflater.run(&frame.payload, 1 << 20, |piece| out.extend_from_slice(piece)).is_ok());
                    assert!(inflater.finish(1 << 20, |piece| out.extend_from_slice(piece)).is_ok());
                    assert_eq!(out, expected.as_bytes());
                } else {
                    assert_eq!((frame.first, frame.text().as_str()), (0x81, expected));
                }
            }
            assert_eq!(frames[1].first, if compressed { 0xC1 } else { 0x81 });
        }
    });
}

fn ticking() -> ServerConfig {
    ServerConfig { feed: Some(Duration::from_millis(100)), ..quiet() }
}

/// The next so many ticks a client hears, as (seq, uptime).
async fn ticks(client: &mut Client, n: usize) -> Vec<(u64, u64)> {
    let mut heard = Vec::new();
    for _ in 0..n {
        let frame = client.hear().await.expect("a tick");
        let tick: serde_json::Value = serde_json::from_slice(&frame.payload).expect("JSON");
        assert_eq!(tick["type"], "tick");
        heard.push((tick["seq"].as_u64().expect("a number"), tick["uptime_ms"].as_u64().expect("a number")));
    }
    heard
}

#[test]
fn everybody_hears_every_tick_from_its_opening_on() {
    with_server(ticking(), |server| async move {
        let mut first = Client::connect(&server).await;
        assert_eq!(ticks(&mut first, 3).await, [(0, 100), (1, 200), (2, 300)]);
        let mut second = Client::connect(&server).await;
        assert_eq!(ticks(&mut second, 2).await, [(3, 400), (4, 500)]);
        assert_eq!(ticks(&mut first, 2).await, [(3, 400), (4, 500)]);
    });
    with_server(ServerConfig { rooms: true, ..ticking() }, |server| async move {
        for path in ["/a", "/b"] {
            let mut client = Client::ask(&server, request(path, "").as_bytes()).await.expect("a response");
            assert_eq!(ticks(&mut client, 1).await.len(), 1, "{path} hears the server too");
        }
    });
    with_server(quiet(), |server| async move {
        let mut client = Client::connect(&server).await;
        assert_eq!(client.hear_all(SOON * 10).await.len(), 0, "nothing is said where nothing is asked");
    });
}

#[test]
fn a_late_tick_leaves_the_timetable_as_it_was() {
    let lines = Lines::default();
    let faults = vec!["tick-late=40ms,every=3".parse().expect("a fault")];
    let config = ServerConfig { faults, ..ticking() };
    with_sinks(config, Sinks { faults: Some(lines.sink()), ..Sinks::default() }, |server| async move {
        let mut client = Client::connect(&server).await;
        assert_eq!(ticks(&mut client, 5).await, [(0, 100), (1, 200), (2, 340), (3, 400), (4, 500)]);
    });
    assert_eq!(lines.all().iter().filter(|line| line.contains("tick-late")).count(), 1);
}

#[test]
fn ticks_suffer_the_faults_of_copies() {
    let config = ServerConfig { faults: vec!["drop,every=2,clients=0".parse().expect("a fault")], ..ticking() };
    with_server(config, |server| async move {
        let mut client = Client::connect(&server).await;
        let heard: Vec<u64> = ticks(&mut client, 3).await.into_iter().map(|(seq, _)| seq).collect();
        assert_eq!(heard, [0, 2, 4]);
    });
}
