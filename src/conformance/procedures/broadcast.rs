//! The cases only a broadcast server can fail: what one client says must reach the others whole, unmixed, legal, and what
//! breaks one must not break another. RFC 6455 5.4, 5.5, 8.1; RFC 7692 7.

use futures::future::join_all;

use super::frames::noise;
use super::relays::{overheard, pump, settled, until_message};
use super::{Answered, Asked, Put, contexts, describe, fail, pass, stalls};
use crate::conformance::verdict::{Outcome, Verdict};
use crate::conformance::wire::assemble::Incoming;
use crate::conformance::wire::frame::Frame;
use crate::conformance::wire::link::{Delivery, Heard, Link};

/// Dispatches by the case's argument.
pub(super) async fn run(asked: &Asked<'_>) -> Put {
    match asked.word(0) {
        "interleave" => interleave(asked, 200_000, 4096).await,
        "turns" => interleave(asked, 3000, 500).await,
        "bad-utf8" | "bad-text" => bad_text(asked).await,
        "odd-frames" => contexts::odd_frames(asked).await,
        "fragments" => fragments(asked).await,
        "four-contexts" => contexts::four_contexts(asked).await,
        "stalled" => stalls::stalled(asked).await,
        "resets" => resets(asked).await,
        "leaving" => leaving(asked).await,
        "order" => order(asked).await,
        "unfinished" => unfinished(asked).await,
        "control" => control(asked).await,
        "reason" => reason(asked).await,
        "compression" => contexts::compression(asked).await,
        "slow" => stalls::slow(asked).await,
        "large" => large(asked).await,
        "empty" => empty(asked).await,
        "kill" => kill(asked).await,
        other => Ok((fail(format!("no broadcast case is called {other}")), Vec::new())),
    }
}

/// So many greeted links.
pub(super) async fn crowd<const N: usize>(asked: &Asked<'_>) -> Result<[Link; N], super::Closed> {
    let mut links = Vec::with_capacity(N);
    for _ in 0..N {
        let mut link = asked.open().await?;
        // A pong means the server has taken the client in, not only answered its handshake.
        settled(asked, &mut link, 2.0).await;
        links.push(link);
    }
    links.try_into().map_err(|_| super::Closed::Unreachable("fewer connections than asked for".to_owned()))
}

pub(super) fn told(result: Result<String, String>, link: &Link) -> Answered {
    (result.map_or_else(fail, pass), link.record.render())
}

/// B.1, B.10: fragments of two publishers in turn; each message arrives whole.
async fn interleave(asked: &Asked<'_>, len: usize, by: usize) -> Put {
    let [mut a, mut c, mut b] = crowd::<3>(asked).await?;
    let (one, two) = (vec![b'a'; len], vec![b'c'; len]);
    let until = asked.bench.until(10.0);
    for (n, (x, y)) in one.chunks(by).zip(two.chunks(by)).enumerate() {
        let last = (n + 1) * by >= len;
        let first = (if n == 0 { 1 } else { 0 }) | (if last { 0x80 } else { 0 });
        for (link, piece) in [(&mut a, x), (&mut c, y)] {
            link.frame(&Frame::new(first, piece), Delivery::Alone);
            pump(link, until).await;
        }
    }
    let mut got = Vec::new();
    while got.len() < 2 {
        match b.hear(until).await {
            Heard::Said(Incoming::Message { payload, .. }) => got.push(payload),
            other => return Ok(told(Err(format!("after {} messages: {}", got.len(), describe(&other))), &b)),
        }
    }
    got.sort();
    let whole = got == [one, two];
    Ok(told(if whole { Ok("both messages whole".to_owned()) } else { Err("fragments of two messages were mixed".to_owned()) }, &b))
}

/// B.2, B.12: invalid text closes its publisher and reaches nobody.
async fn bad_text(asked: &Asked<'_>) -> Put {
    let [mut a, mut c, mut b] = crowd::<3>(asked).await?;
    a.say(0x81, b"bad \xff\xfe text");
    let closed = loop {
        match a.hear(asked.bench.until(2.0)).await {
            Heard::Said(Incoming::Message { .. }) => {}
            other => break other,
        }
    };
    c.say(0x81, b"a good one");
    pump(&mut c, asked.bench.until(2.0)).await;
    let got = until_message(&mut b, b"a good one", asked.bench.until(3.0)).await;
    let verdict = match (&closed, got) {
        (_, Err(why)) => fail(format!("the subscriber: {why}")),
        (_, Ok(got)) if got.len() != 1 => fail(format!("the subscriber got {} messages, one of them of the bad text", got.len())),
        (Heard::Said(Incoming::Close { code: Some(1007), .. }), _) => pass("publisher closed with 1007, subscriber untouched"),
        (Heard::Ended(_), _) => Verdict::plain(Outcome::NonStrict, "publisher dropped without a Close, subscriber untouched"),
        (other, _) => fail(format!("the publisher: {}", describe(other))),
    };
    Ok((verdict, b.record.render()))
}

/// B.9: a fragmented message with pings between arrives whole, unmasked, in legal frames (the reader checks those).
async fn fragments(asked: &Asked<'_>) -> Put {
    let [mut a, mut b] = crowd::<2>(asked).await?;
    for (n, piece) in [&b"five "[..], b"", b"odd ", b"pieces ", b"here"].iter().enumerate() {
        a.say((if n == 0 { 1 } else { 0 }) | (if n == 4 { 0x80 } else { 0 }), piece);
        if n < 4 {
            a.say(0x89, b"between");
        }
    }
    pump(&mut a, asked.bench.until(2.0)).await;
    let got = until_message(&mut b, b"five odd pieces here", asked.bench.until(3.0)).await;
    Ok(told(got.map(|_| "whole, unmasked, in legal frames".to_owned()), &b))
}

/// B.6: subscribers are reset during a broadcast; the survivors get everything once, in order.
async fn resets(asked: &Asked<'_>) -> Put {
    let mut victims = Vec::new();
    for _ in 0..20 {
        victims.push(asked.open().await?);
    }
    let [mut a, mut b] = crowd::<2>(asked).await?;
    let until = asked.bench.until(10.0);
    for n in 0..200_u32 {
        a.say(0x81, format!("numbered {n}").as_bytes());
        pump(&mut a, until).await;
        if n % 10 == 5
            && let Some(victim) = victims.pop()
        {
            victim.reset();
        }
    }
    Ok(told(in_order(&mut b, 200, until).await, &b))
}

/// B.8: per-publisher order, at every subscriber.
async fn order(asked: &Asked<'_>) -> Put {
    let mut subscribers = crowd::<4>(asked).await?;
    let [mut a] = crowd::<1>(asked).await?;
    let until = asked.bench.until(20.0);
    for n in 0..10_000 {
        a.say(0x81, format!("numbered {n}").as_bytes());
    }
    let reading = join_all(subscribers.iter_mut().map(|b| in_order(b, 10_000, until)));
    let ((), results) = tokio::join!(pump(&mut a, until), reading);
    let result = results.into_iter().collect::<Result<Vec<_>, _>>();
    Ok(told(result.map(|_| "10000 messages, each once, in order, at each of 4 subscribers".to_owned()), &subscribers[0]))
}

async fn in_order(link: &mut Link, count: usize, until: tokio::time::Instant) -> Result<String, String> {
    for n in 0..count {
        match link.hear(until).await {
            Heard::Said(Incoming::Message { payload, .. }) if payload == format!("numbered {n}").as_bytes() => {}
            other => return Err(format!("instead of message {n}: {}", describe(&other))),
        }
    }
    Ok(format!("{count} messages, each once, in order"))
}

/// B.7: a subscriber closes while broadcasts are in flight: one Close, nothing behind it.
async fn leaving(asked: &Asked<'_>) -> Put {
    let [mut a, mut b] = crowd::<2>(asked).await?;
    let until = asked.bench.until(5.0);
    for n in 0..2000 {
        a.say(0x81, format!("numbered {n}").as_bytes());
    }
    b.say(0x88, &1000_u16.to_be_bytes());
    let watching = async {
        let mut closed = false;
        loop {
            match b.hear(until).await {
                Heard::Said(Incoming::Close { .. }) if closed => return Err("a second Close".to_owned()),
                Heard::Said(Incoming::Close { .. }) => closed = true,
                Heard::Said(other) if closed => return Err(format!("behind its Close: {}", describe(&Heard::Said(other)))),
                Heard::Said(_) => {}
                Heard::Ended(_) if closed => return Ok("one Close and nothing behind it".to_owned()),
                Heard::Ended(how) => return Err(format!("no Close: {how}")),
                Heard::Silence => return Err(if closed { "TCP was left open" } else { "no Close in answer" }.to_owned()),
            }
        }
    };
    let ((), result) = tokio::join!(pump(&mut a, until), watching);
    Ok(told(result, &b))
}

/// B.11: a message never finished reaches nobody.
async fn unfinished(asked: &Asked<'_>) -> Put {
    let [mut a, mut b] = crowd::<2>(asked).await?;
    a.say(0x01, b"never finished");
    let ponged = settled(asked, &mut a, 2.0).await;
    nothing_heard(asked, &mut b, if ponged { "nothing of it" } else { "nothing of it (but A got no pong)" }).await
}

async fn nothing_heard(asked: &Asked<'_>, b: &mut Link, good: &str) -> Put {
    let heard = overheard(b, asked.bench.until(0.5)).await;
    let open = settled(asked, b, 2.0).await;
    let result = match heard.first() {
        None if open => Ok(good.to_owned()),
        None => Err("B is no longer ponged".to_owned()),
        Some(first) => Err(format!("B heard {}", describe(first))),
    };
    Ok(told(result, b))
}

/// B.13: control frames are not relayed.
async fn control(asked: &Asked<'_>) -> Put {
    let [mut a, mut b] = crowd::<2>(asked).await?;
    a.say(0x89, b"not for B");
    a.say(0x8a, b"nor this");
    settled(asked, &mut a, 2.0).await;
    // `hear` answers pings silently, so the dialogue is asked whether the payload ever came.
    let answered = nothing_heard(asked, &mut b, "neither").await?;
    let leaked = answered.1.iter().any(|line| line.contains('<') && line.contains("not for B"));
    Ok(if leaked { (fail("A's ping was relayed to B"), answered.1) } else { answered })
}

/// B.14: a close code and reason stay with their connection.
async fn reason(asked: &Asked<'_>) -> Put {
    let [mut a, mut b] = crowd::<2>(asked).await?;
    a.say(0x88, &[&4001_u16.to_be_bytes()[..], b"a private reason"].concat());
    while matches!(a.hear(asked.bench.until(2.0)).await, Heard::Said(_)) {}
    let heard = overheard(&mut b, asked.bench.until(0.5)).await;
    let open = settled(asked, &mut b, 2.0).await;
    let leaked = |h: &&Heard| match h {
        Heard::Said(Incoming::Message { payload, .. }) => memchr::memmem::find(payload, b"a private reason").is_some(),
        Heard::Said(Incoming::Close { .. } | Incoming::Broken(_)) | Heard::Ended(_) => true,
        _ => false,
    };
    let result = match heard.iter().find(leaked) {
        Some(heard) => Err(format!("B heard {}", describe(heard))),
        None if open => Ok("B stays open and heard nothing of it".to_owned()),
        None => Err("B is no longer ponged".to_owned()),
    };
    Ok(told(result, &b))
}

/// B.17: 16 MiB.
async fn large(asked: &Asked<'_>) -> Put {
    let [mut a, mut b] = crowd::<2>(asked).await?;
    let payload = noise(&mut a.rng, 16 << 20);
    a.frame(&Frame::new(0x82, &payload), Delivery::Burst);
    let until = asked.bench.until(10.0);
    let stated = async {
        loop {
            match a.hear(until).await {
                Heard::Said(Incoming::Close { code: Some(code @ (1008 | 1009)), .. }) => return Some(code),
                Heard::Said(Incoming::Message { .. }) => {}
                Heard::Said(_) | Heard::Ended(_) | Heard::Silence => return None,
            }
        }
    };
    tokio::select! {
        got = until_message(&mut b, &payload, until) => Ok(told(got.map(|_| "16 MiB, whole".to_owned()), &b)),
        Some(code) = stated => Ok((Verdict::plain(Outcome::Limit, format!("a stated limit: Close {code}")), b.record.render())),
    }
}

/// B.18: empty messages are messages.
async fn empty(asked: &Asked<'_>) -> Put {
    let [mut a, mut b] = crowd::<2>(asked).await?;
    a.say(0x81, b"");
    a.say(0x82, b"");
    a.say(0x81, b"the third");
    pump(&mut a, asked.bench.until(2.0)).await;
    let got = until_message(&mut b, b"the third", asked.bench.until(3.0)).await;
    let want = [(false, Vec::new()), (true, Vec::new()), (false, b"the third".to_vec())];
    let result = got.and_then(|got| {
        if got == want { Ok("an empty text, an empty binary, a text".to_owned()) } else { Err(format!("{} messages: {got:?}", got.len())) }
    });
    Ok(told(result, &b))
}

/// B.19: a publisher reset in the middle of a frame takes nobody with it.
async fn kill(asked: &Asked<'_>) -> Put {
    let [mut a, mut c, mut b] = crowd::<3>(asked).await?;
    a.frame(&Frame { declared: Some(100_000), ..Frame::new(0x81, &[b'x'; 5000]) }, Delivery::Alone);
    pump(&mut a, asked.bench.until(2.0)).await;
    a.reset();
    c.say(0x81, b"the next publisher");
    pump(&mut c, asked.bench.until(2.0)).await;
    let got = until_message(&mut b, b"the next publisher", asked.bench.until(3.0)).await;
    let result = got
        .and_then(|got| if got.len() == 1 { Ok("B heard only the next publisher".to_owned()) } else { Err("B got part of it".to_owned()) });
    Ok(told(result, &b))
}
