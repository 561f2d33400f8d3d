//! How connections end: who closes TCP first, half-closed connections, a peer that never answers, octets behind an upgrade.

use super::{Asked, Put, and_alive, describe, fail, pass};
use crate::conformance::verdict::{Outcome, Verdict};
use crate::conformance::wire::assemble::Incoming;
use crate::conformance::wire::frame::Frame;
use crate::conformance::wire::http::{Request, random_key};
use crate::conformance::wire::link::{Delivery, Heard, Link, Moved};

/// C.3.5: the server ends TCP within a second of its Close.
pub(super) async fn who_closes(asked: &Asked<'_>) -> Put {
    let mut link = asked.open().await?;
    link.say(0x88, &1000_u16.to_be_bytes());
    let heard = link.hear(asked.bench.until(2.0)).await;
    let Heard::Said(Incoming::Close { .. }) = &heard else {
        return Ok((fail(format!("no Close in answer: {}", describe(&heard))), link.record.render()));
    };
    let began = tokio::time::Instant::now();
    let verdict = match link.hear(asked.bench.until(1.0)).await {
        Heard::Ended(_) => pass(format!("it ended TCP {} ms after its Close", began.elapsed().as_millis())),
        other => fail(format!("TCP still open a second after its Close: {}", describe(&other))),
    };
    Ok((verdict, link.record.render()))
}

/// C.3.7: a text, then FIN without a Close.
pub(super) async fn half_close(asked: &Asked<'_>) -> Put {
    let mut link = asked.open().await?;
    link.say(0x81, b"then silence");
    link.flush(asked.bench.until(1.0)).await;
    link.shut().await;
    ended_within(asked, link, 5.0, "it ended the half-closed connection").await
}

async fn ended_within(asked: &Asked<'_>, mut link: Link, seconds: f64, good: &str) -> Put {
    let began = tokio::time::Instant::now();
    let until = asked.bench.until(seconds);
    let verdict = loop {
        match link.hear(until).await {
            Heard::Ended(_) => break pass(format!("{good} after {} ms", began.elapsed().as_millis())),
            Heard::Silence => break fail(format!("still open after {seconds} s")),
            Heard::Said(_) => {}
        }
    };
    Ok((verdict, link.record.render()))
}

/// C.3.8: the server fails the connection and we never answer nor close.
pub(super) async fn never_answers(asked: &Asked<'_>) -> Put {
    let mut link = asked.open().await?;
    link.say(0x83, b"a reserved opcode");
    let heard = link.hear(asked.bench.until(2.0)).await;
    match heard {
        Heard::Said(Incoming::Close { .. }) => ended_within(asked, link, 12.0, "it dropped TCP by itself").await,
        Heard::Ended(_) => Ok((pass("it dropped TCP at once"), link.record.render())),
        other => Ok((fail(format!("the violation was not refused: {}", describe(&other))), link.record.render())),
    }
}

/// R.3: a Close behind 16 MiB whose echo nobody reads.
pub(super) async fn close_unread(asked: &Asked<'_>) -> Put {
    let mut link = asked.open().await?;
    link.deaf = true;
    let payload = vec![0x2a_u8; 1 << 20];
    for _ in 0..16 {
        link.frame(&Frame::new(0x82, &payload), Delivery::Alone);
    }
    link.say(0x88, &1000_u16.to_be_bytes());
    let verdict = if link.flush(asked.bench.until(5.0)).await {
        dropped_unread(asked, &mut link).await
    } else {
        pass("backpressure: it stopped reading before its echo was 16 MiB, so the Close never reached it")
    };
    let verdict = and_alive(asked, verdict).await;
    link.reset();
    Ok((verdict, Vec::new()))
}

/// Whether a connection whose Close the server has read is dropped, though nothing is ever read from it.
async fn dropped_unread(asked: &Asked<'_>, link: &mut Link) -> Verdict {
    let began = tokio::time::Instant::now();
    let until = asked.bench.until(12.0);
    // We read nothing, so its end is learnt by writing: octets to a socket that is gone are answered with a reset.
    while tokio::time::Instant::now() < until {
        tokio::time::sleep(asked.bench.span(0.25)).await;
        link.say(0x8a, b"");
        link.flush(asked.bench.until(0.1)).await;
        if link.refused() {
            return pass(format!("it dropped the connection after {:.1} s", began.elapsed().as_secs_f64()));
        }
    }
    Verdict::plain(Outcome::NonStrict, "still open 12 s after a Close whose answer was never read")
}

/// R.4: a second HTTP request behind a valid upgrade must be read as frames.
pub(super) async fn smuggle(asked: &Asked<'_>) -> Put {
    let (mut link, request) = asked.bench.link(&asked.case.id).await?;
    let second = Request::upgrade(&asked.bench.options.target.authority(), "/", &random_key(&mut link.rng), &[]);
    let octets = [request.octets(), second.octets()].concat();
    link.raw("an upgrade and a second request", &octets, Delivery::Alone);
    let until = asked.bench.until(2.0);
    let response = match link.response(until).await {
        Ok(response) => response,
        Err(why) => return Ok((Verdict::plain(Outcome::NonStrict, format!("refused: {why}")), link.record.render())),
    };
    if response.status != 101 {
        return Ok((pass(format!("refused with {}", response.status)), link.record.render()));
    }
    // `GET ` read as a frame is FIN=0, RSV1, opcode 7, unmasked; anything but its refusal shows the octets went elsewhere.
    while link.inbox.is_empty() && matches!(link.step(Some(until)).await, Moved::Read | Moved::Wrote) {}
    if link.inbox.starts_with(b"HTTP/") {
        return Ok((fail("the octets behind the upgrade were answered as HTTP"), link.record.render()));
    }
    let verdict = match link.hear(until).await {
        Heard::Said(Incoming::Close { code: Some(1002), .. }) => pass("Close 1002: the octets were read as frames"),
        Heard::Ended(_) => Verdict::plain(Outcome::NonStrict, "dropped without a Close"),
        other => fail(format!("the octets behind the upgrade: {}", describe(&other))),
    };
    Ok((verdict, link.record.render()))
}

/// T.1: over TLS, our side vanishes after the Closes without a `close_notify`.
pub(super) async fn no_notify(asked: &Asked<'_>) -> Put {
    let mut link = asked.open().await?;
    link.say(0x88, &1000_u16.to_be_bytes());
    let heard = link.hear(asked.bench.until(2.0)).await;
    let verdict = match &heard {
        Heard::Said(Incoming::Close { code: None | Some(1000), .. }) => pass("the closing handshake was clean over TLS"),
        other => fail(describe(other)),
    };
    let dialogue = link.record.render();
    link.reset();
    Ok((and_alive(asked, verdict).await, dialogue))
}
