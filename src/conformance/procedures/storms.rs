//! Many connections that behave badly at once: resets, stalls, churn, silence. Others must be served all the while.

use futures::future::join_all;

use super::{Asked, Growth, Put, and_alive, fail, pass};
use crate::conformance::verdict::{Outcome, Verdict};
use crate::conformance::wire::assemble::Incoming;
use crate::conformance::wire::frame::Frame;
use crate::conformance::wire::link::{Delivery, Heard};

/// C.5.1–3: connections reset in the middle of something.
pub(super) async fn resets(asked: &Asked<'_>) -> Put {
    let count = asked.number(1);
    let mut bystander = asked.open().await?;
    for batch in (0..count).collect::<Vec<_>>().chunks(20) {
        join_all(batch.iter().map(|_| one_reset(asked))).await.into_iter().collect::<Result<Vec<()>, _>>()?;
    }
    bystander.say(0x89, b"unaffected?");
    let until = asked.bench.until(3.0);
    let pong = loop {
        match bystander.hear(until).await {
            Heard::Said(Incoming::Pong(payload)) if payload == b"unaffected?" => break Ok(()),
            Heard::Said(Incoming::Message { .. }) => {}
            other => break Err(super::describe(&other)),
        }
    };
    let verdict = match pong {
        Ok(()) => pass(format!("{count} resets; a bystander was ponged")),
        Err(why) => fail(format!("after {count} resets a bystander got {why} instead of a pong")),
    };
    Ok((and_alive(asked, verdict).await, bystander.record.render()))
}

async fn one_reset(asked: &Asked<'_>) -> Result<(), super::Closed> {
    let until = asked.bench.until(2.0);
    if asked.word(0) == "handshake" {
        let (mut link, request) = asked.bench.link(&asked.case.id).await?;
        link.raw("a request", &request.octets(), Delivery::Alone);
        link.flush(until).await;
        link.reset();
        return Ok(());
    }
    let mut link = asked.open().await?;
    if asked.word(0) == "mid-frame" {
        link.frame(&Frame { declared: Some(1000), ..Frame::new(0x82, &[0x2a; 100]) }, Delivery::Alone);
    } else {
        link.deaf = true;
        link.frame(&Frame::new(0x82, &vec![0x2a; 256 << 10]), Delivery::Alone);
    }
    link.flush(until).await;
    link.reset();
    Ok(())
}

/// C.5.4: partial frames, then silence; idle time-outs are told, others must be served.
pub(super) async fn stalled_frames(asked: &Asked<'_>) -> Put {
    let mut links = Vec::new();
    for _ in 0..asked.number(0) {
        let mut link = asked.open().await?;
        link.frame(&Frame { declared: Some(1000), ..Frame::new(0x82, &[0x2a; 10]) }, Delivery::Alone);
        link.flush(asked.bench.until(1.0)).await;
        links.push(link);
    }
    let verdict = and_alive(asked, pass("others are served while frames stall")).await;
    let until = asked.bench.until(6.0);
    let ended = join_all(links.iter_mut().map(|l| l.hear(until))).await.iter().filter(|h| !matches!(h, Heard::Silence)).count();
    let verdict = Verdict { actual: format!("{}; {ended} of {} were ended within 6 s", verdict.actual, links.len()), ..verdict };
    Ok((and_alive(asked, verdict).await, links.first().map(|l| l.record.render()).unwrap_or_default()))
}

/// C.5.5: 64 MiB of echo asked for and not read.
pub(super) async fn slow_reader(asked: &Asked<'_>) -> Put {
    let growth = Growth::watch(asked.bench);
    let mut link = asked.open().await?;
    link.deaf = true;
    let payload = vec![0x2a_u8; 1 << 20];
    link.record.note("64 messages of 1 MiB, nothing read");
    for _ in 0..64 {
        link.frame(&Frame::new(0x82, &payload), Delivery::Alone);
    }
    let took_all = link.flush(asked.bench.until(4.0)).await;
    let told = if took_all { "it took all 64 MiB" } else { "backpressure: it stopped reading" };
    let verdict = growth.judge(128 << 20, pass(told));
    let verdict = and_alive(asked, verdict).await;
    link.reset();
    Ok((verdict, Vec::new()))
}

/// R.1: connect, handshake, Close, again; descriptors and memory compared.
pub(super) async fn churn(asked: &Asked<'_>) -> Put {
    let count = asked.number(0);
    asked.bench.alive(3.0).await.ok();
    let (growth, descriptors) = (Growth::watch(asked.bench), asked.bench.descriptors());
    for batch in (0..count).collect::<Vec<_>>().chunks(25) {
        let cycles = batch.iter().map(|_| async {
            let mut link = asked.open().await?;
            link.say(0x88, &1000_u16.to_be_bytes());
            let until = asked.bench.until(2.0);
            while matches!(link.hear(until).await, Heard::Said(_)) {}
            Ok::<_, super::Closed>(())
        });
        join_all(cycles).await.into_iter().collect::<Result<Vec<()>, _>>()?;
    }
    let mut verdict = growth.judge(64 << 20, pass(format!("{count} cycles")));
    // The last sockets may still be closing: the count has 5 s to come down.
    let until = asked.bench.until(5.0);
    while asked.bench.descriptors() > descriptors.map(|before| before + 20) && tokio::time::Instant::now() < until {
        tokio::time::sleep(asked.bench.span(0.1)).await;
    }
    if let (Some(before), Some(after)) = (descriptors, asked.bench.descriptors()) {
        verdict.actual = format!("{}; descriptors {before} before, {after} after", verdict.actual);
        if after > before + 20 {
            verdict = fail(verdict.actual);
        }
    }
    Ok((and_alive(asked, verdict).await, Vec::new()))
}

/// R.2: TCP connections that say nothing; new clients must be accepted, and a handshake time-out is wanted.
pub(super) async fn idle_tcp(asked: &Asked<'_>) -> Put {
    let mut links = Vec::new();
    for _ in 0..asked.number(0) {
        links.push(asked.bench.link(&asked.case.id).await?.0);
    }
    if let Err(why) = asked.bench.alive(3.0).await {
        return Ok((fail(format!("with {} silent connections open, {why}", links.len())), Vec::new()));
    }
    let until = asked.bench.until(12.0);
    let ended = join_all(links.iter_mut().map(|link| async move {
        // Octets (a 408) count as an answer; only the end of TCP counts as dropped.
        while !matches!(link.step(Some(until)).await, crate::conformance::wire::link::Moved::Time) {
            if link.ended().is_some() {
                return true;
            }
        }
        false
    }))
    .await;
    let dropped = ended.iter().filter(|e| **e).count();
    let told = format!("{dropped} of {} silent connections were dropped within 12 s; new clients were served", links.len());
    let verdict = if dropped == links.len() { pass(told) } else { Verdict::plain(Outcome::Info, told) };
    let mut link = asked.open().await?;
    link.say(0x89, b"after");
    let heard = expect_pong(&mut link, asked).await;
    Ok((heard.map_or_else(fail, |()| verdict), link.record.render()))
}

async fn expect_pong(link: &mut crate::conformance::wire::link::Link, asked: &Asked<'_>) -> Result<(), String> {
    match link.hear(asked.bench.until(2.0)).await {
        Heard::Said(Incoming::Pong(_)) => Ok(()),
        other => Err(super::describe(&other)),
    }
}
