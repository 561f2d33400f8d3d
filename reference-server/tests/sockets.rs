//! The server on real sockets: threads, TLS, pages, stopping. Loopback, free ports, and waiting for what should happen.

use std::io::{Read, Write};
use std::net::TcpStream as StdStream;
use std::sync::Arc;
use std::time::Duration;

use futures::{SinkExt, StreamExt};
use reference_server::{Handle, ServerConfig, Tls, spawn};
use tokio::net::TcpStream;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Message;

type Error = Box<dyn std::error::Error>;

fn quiet() -> ServerConfig {
    ServerConfig { heartbeat: None, greeting: None, ..ServerConfig::on_free_port() }
}

fn block_on<T>(future: impl Future<Output = Result<T, Error>>) -> Result<T, Error> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async { tokio::time::timeout(Duration::from_secs(60), future).await? })
}

async fn connect(server: &Handle) -> Result<WebSocketStream<TcpStream>, Error> {
    let stream = TcpStream::connect(server.local_addr()).await?;
    Ok(tokio_tungstenite::client_async(server.url(), stream).await?.0)
}

fn page(server: &Handle, path: &str) -> Result<String, Error> {
    let mut stream = StdStream::connect(server.local_addr())?;
    stream.set_read_timeout(Some(Duration::from_secs(20)))?;
    write!(stream, "GET {path} HTTP/1.1\r\nHost: test\r\n\r\n")?;
    let mut text = String::new();
    stream.read_to_string(&mut text)?;
    Ok(text)
}

#[test]
fn every_client_of_every_thread_sees_one_order() -> Result<(), Error> {
    const CLIENTS: usize = 12;
    const EACH: usize = 20;
    let server = spawn(ServerConfig { threads: 3, ..quiet() })?;
    let orders = block_on(async {
        let mut clients = Vec::new();
        for _ in 0..CLIENTS {
            clients.push(connect(&server).await?);
        }
        for n in 0..EACH {
            for (at, client) in clients.iter_mut().enumerate() {
                client.send(Message::text(format!("{at}/{n}"))).await?;
            }
        }
        let mut orders = Vec::new();
        for client in &mut clients {
            let mut order = Vec::new();
            while order.len() < CLIENTS * EACH {
                match client.next().await {
                    Some(Ok(Message::Text(text))) => order.push(text.to_string()),
                    other => return Err(format!("{other:?}").into()),
                }
            }
            orders.push(order);
        }
        Ok(orders)
    })?;
    assert!(orders.iter().all(|order| *order == orders[0]), "all clients see the same total order");
    for sender in 0..CLIENTS {
        let own: Vec<&String> = orders[0].iter().filter(|text| text.starts_with(&format!("{sender}/"))).collect();
        assert!(own.iter().enumerate().all(|(n, text)| **text == format!("{sender}/{n}")), "{own:?}");
    }
    let totals = server.stop();
    assert_eq!((totals.messages_in, totals.copies_out), (240, 240 * 12));
    Ok(())
}

#[test]
fn pages_are_served_beside_the_web_socket() -> Result<(), Error> {
    let server = spawn(quiet())?;
    assert!(page(&server, "/healthz")?.ends_with("\r\n\r\nok\n"));
    let metrics = page(&server, "/metrics")?;
    assert!(metrics.contains("\nwsbench_server_http_pages_total 2\n"), "{metrics}");
    assert!(page(&server, "/")?.starts_with("HTTP/1.1 426 Upgrade Required\r\n"));
    Ok(())
}

#[test]
fn stopping_says_1001_and_frees_the_port() -> Result<(), Error> {
    let server = spawn(quiet())?;
    let address = server.local_addr();
    let code = block_on(async {
        let mut client = connect(&server).await?;
        let stopped = tokio::task::spawn_blocking(move || server.stop());
        let code = match client.next().await {
            Some(Ok(Message::Close(Some(frame)))) => u16::from(frame.code),
            other => return Err(format!("{other:?}").into()),
        };
        // The end of the stream lets the server end, too.
        while client.next().await.is_some() {}
        drop(client);
        stopped.await?;
        Ok(code)
    })?;
    assert_eq!(code, 1001);
    assert!(StdStream::connect(address).is_err());
    Ok(())
}

#[test]
fn wss_is_served_with_a_certificate_and_key_and_with_none() -> Result<(), Error> {
    let made = rcgen::generate_simple_self_signed(["localhost".to_owned()])?;
    let directory = std::env::temp_dir().join(format!("reference-server-{}", std::process::id()));
    std::fs::create_dir_all(&directory)?;
    let (cert, key) = (directory.join("cert.pem"), directory.join("key.pem"));
    std::fs::write(&cert, made.cert.pem())?;
    std::fs::write(&key, made.signing_key.serialize_pem())?;
    let server = spawn(ServerConfig { tls: Some(Tls::Files { cert, key }), ..quiet() })?;
    std::fs::remove_dir_all(&directory)?;
    assert!(server.url().starts_with("wss://"));
    let mut roots = rustls::RootCertStore::empty();
    roots.add(made.cert.der().clone())?;
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .with_root_certificates(roots)
        .with_no_client_auth();
    let connector = tokio_rustls::TlsConnector::from(Arc::new(config));
    let heard = block_on(async {
        let stream = TcpStream::connect(server.local_addr()).await?;
        let stream = connector.connect("localhost".try_into()?, stream).await?;
        let (mut client, _) = tokio_tungstenite::client_async("wss://localhost/", stream).await?;
        client.send(Message::binary(vec![7; 100_000])).await?;
        Ok(client.next().await)
    })?;
    assert!(matches!(heard, Some(Ok(Message::Binary(bytes))) if bytes.len() == 100_000 && bytes.iter().all(|byte| *byte == 7)));
    let unsigned = spawn(ServerConfig { tls: Some(Tls::SelfSigned), ..quiet() })?;
    let refused = block_on(async {
        let stream = TcpStream::connect(unsigned.local_addr()).await?;
        Ok(connector.connect("localhost".try_into()?, stream).await.is_err())
    })?;
    assert!(refused, "a certificate nobody vouches for is presented, and not trusted");
    Ok(())
}

#[test]
fn an_address_in_use_and_a_missing_certificate_are_told() -> Result<(), Error> {
    let server = spawn(quiet())?;
    let taken = spawn(ServerConfig { listen: server.local_addr(), ..quiet() });
    assert!(taken.err().is_some_and(|error| error.to_string().contains("cannot listen on")));
    let missing = Tls::Files { cert: "no-such-file.pem".into(), key: "no-such-file.pem".into() };
    let error = spawn(ServerConfig { tls: Some(missing), ..quiet() }).err().map(|error| error.to_string()).unwrap_or_default();
    assert!(error.contains("no-such-file.pem"), "{error}");
    Ok(())
}

#[test]
fn a_reset_in_the_middle_of_a_frame_is_a_reset() -> Result<(), Error> {
    let server = spawn(ServerConfig { faults: vec!["reset,clients=0,every=2".parse()?], ..quiet() })?;
    let (first, second) = block_on(async {
        let mut client = connect(&server).await?;
        client.send(Message::text("one")).await?;
        let first = client.next().await;
        client.send(Message::text("two")).await?;
        Ok((first, client.next().await))
    })?;
    assert!(matches!(first, Some(Ok(Message::Text(text))) if text.as_str() == "one"));
    assert!(matches!(second, Some(Err(_)) | None), "{second:?}");
    Ok(())
}
