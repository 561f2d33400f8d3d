//! Sweeps and splits of frames: every length, every first octet, many frames in one write, one frame in many.

use super::{Answered, Asked, Put, describe, expect, fail, hang_up, pass};
use crate::base::Rng;
use crate::conformance::verdict::{Outcome, Verdict};
use crate::conformance::wire::assemble::Incoming;
use crate::conformance::wire::frame::Frame;
use crate::conformance::wire::link::{Delivery, Heard, Link};

#[expect(clippy::cast_possible_truncation, reason = "the low octet of noise")]
pub(super) fn noise(rng: &mut Rng, len: usize) -> Vec<u8> {
    (0..len).map(|_| rng.next_u64() as u8).collect()
}

fn answered(link: &Link, verdict: Verdict) -> Put {
    let answered: Answered = (verdict, link.record.render());
    Ok(answered)
}

/// F.1.7: every length 0 to 300 and around 65 536, content compared.
pub(super) async fn lengths(asked: &Asked<'_>) -> Put {
    let mut link = asked.open().await?;
    let until = asked.bench.until(20.0);
    for len in (0..=300).chain(65_533..=65_539) {
        let payload = noise(&mut link.rng, len);
        link.say(0x82, &payload);
        if let Err(why) = expect(&mut link, true, &payload, until).await {
            return answered(&link, fail(format!("length {len}: {why}")));
        }
    }
    hang_up(asked, &mut link).await;
    answered(&link, pass("308 exact echoes"))
}

/// F.5.2: many small texts in one write.
pub(super) async fn burst(asked: &Asked<'_>) -> Put {
    let mut link = asked.open().await?;
    let until = asked.bench.until(10.0);
    let count = asked.number(0);
    for n in 0..count {
        link.say(0x81, format!("message {n}").as_bytes());
    }
    for n in 0..count {
        if let Err(why) = expect(&mut link, false, format!("message {n}").as_bytes(), until).await {
            return answered(&link, fail(format!("echo {n}: {why}")));
        }
    }
    hang_up(asked, &mut link).await;
    answered(&link, pass(format!("{count} echoes in order")))
}

/// F.5.3: the header octet by octet, the payload in writes of 7919.
pub(super) async fn slow_header(asked: &Asked<'_>) -> Put {
    let mut link = asked.open().await?;
    let payload = noise(&mut link.rng, 65_536);
    let mut octets = Vec::new();
    Frame::new(0x82, &payload).write(link.role, &mut link.rng, &mut octets);
    link.record.note("a binary frame of 65536 octets: header octet by octet, payload in writes of 7919");
    for at in 0..14 {
        link.queue(&octets[at..=at], Delivery::Alone);
        link.flush(asked.bench.until(2.0)).await;
        tokio::time::sleep(std::time::Duration::from_millis(5)).await;
    }
    link.queue(&octets[14..], Delivery::Chop(7919));
    let heard = expect(&mut link, true, &payload, asked.bench.until(5.0)).await;
    hang_up(asked, &mut link).await;
    answered(&link, heard.map_or_else(fail, |()| pass("exact echo")))
}

/// F.5.4, F.5.5: fragments with a ping between each, in one write.
pub(super) async fn pings_between(asked: &Asked<'_>) -> Put {
    let mut link = asked.open().await?;
    let count = asked.number(0);
    for n in 0..count {
        link.say(if n == 0 { 0x01 } else { 0x00 }, b"piece ");
        link.say(0x89, format!("ping {n}").as_bytes());
    }
    link.say(0x80, b"end");
    let whole = [b"piece ".repeat(count), b"end".to_vec()].concat();
    let (mut pongs, mut last, until) = (0, None, asked.bench.until(5.0));
    loop {
        match link.hear(until).await {
            Heard::Said(Incoming::Pong(payload)) => {
                let n = String::from_utf8_lossy(&payload).strip_prefix("ping ").and_then(|n| n.parse::<usize>().ok());
                if n.is_none() || n <= last {
                    return answered(&link, fail(format!("pong {n:?} after {last:?}")));
                }
                (pongs, last) = (pongs + 1, n);
            }
            Heard::Said(Incoming::Message { binary: false, payload, .. }) if payload == whole => break,
            Heard::Said(Incoming::Close { code: Some(code @ (1008 | 1009)), .. }) if asked.case.limits => {
                return answered(&link, Verdict::plain(Outcome::Limit, format!("Close {code} after {pongs} pongs")));
            }
            Heard::Ended(how) if asked.case.limits && pongs >= 20 => {
                return answered(
                    &link,
                    Verdict::plain(Outcome::NonStrict, format!("a limit of pings without a Close: {how} after {pongs} pongs")),
                );
            }
            other => return answered(&link, fail(format!("after {pongs} pongs: {}", describe(&other)))),
        }
    }
    hang_up(asked, &mut link).await;
    // RFC 6455 5.5.3 lets a server answer only the most recent ping.
    let verdict = if last == Some(count - 1) {
        pass(format!("{pongs} pongs, then the message"))
    } else {
        fail(format!("the last pong was {last:?}"))
    };
    answered(&link, verdict)
}

/// F.5.1: all 256 first octets, a connection each.
pub(super) async fn sweep(asked: &Asked<'_>) -> Put {
    let mut wrong = Vec::new();
    let mut lax = Vec::new();
    let mut dialogue = Vec::new();
    let firsts: Vec<u8> = (0..=255).collect();
    for batch in firsts.chunks(16) {
        let asks = batch.iter().map(|first| one_first(asked, *first));
        for (first, result) in batch.iter().zip(futures::future::join_all(asks).await) {
            let (outcome, what, lines) = result?;
            match outcome {
                Outcome::Pass => {}
                Outcome::NonStrict => lax.push(format!("{first:02x}")),
                _ => {
                    if wrong.is_empty() {
                        dialogue = lines;
                    }
                    wrong.push(format!("{first:02x} ({what})"));
                }
            }
        }
    }
    let verdict = if !wrong.is_empty() {
        fail(format!("{} of 256 wrong: {}", wrong.len(), wrong.iter().take(8).cloned().collect::<Vec<_>>().join(", ")))
    } else if !lax.is_empty() {
        Verdict::plain(Outcome::NonStrict, format!("dropped without a Close for {} first octets", lax.len()))
    } else {
        pass("all 256 first octets as they must be")
    };
    Ok((verdict, dialogue))
}

async fn one_first(asked: &Asked<'_>, first: u8) -> Result<(Outcome, String, Vec<String>), super::Closed> {
    let mut link = asked.open().await?;
    let payload: &[u8] = if first == 0x88 { b"\x03\xe8abc" } else { b"abc" };
    link.say(first, payload);
    // A ping behind it shows, without waiting, that nothing else was answered.
    let quiet = matches!(first, 0x8a | 0x01 | 0x02);
    if quiet {
        link.say(0x89, b"still there");
    }
    let heard = link.hear(asked.bench.until(2.0)).await;
    let right = match (first, &heard) {
        (0x81 | 0x82, Heard::Said(Incoming::Message { binary, payload, .. })) => *binary == (first == 0x82) && payload == b"abc",
        (0x89, Heard::Said(Incoming::Pong(payload))) => payload == b"abc",
        (0x8a | 0x01 | 0x02, Heard::Said(Incoming::Pong(payload))) => payload == b"still there",
        (0x88, Heard::Said(Incoming::Close { code, .. })) => matches!(code, None | Some(1000)),
        (0x81 | 0x82 | 0x89 | 0x8a | 0x01 | 0x02 | 0x88, _) => false,
        (_, Heard::Said(Incoming::Close { code: Some(1002), .. })) => true,
        (_, Heard::Ended(_)) => return Ok((Outcome::NonStrict, describe(&heard), link.record.render())),
        _ => false,
    };
    let outcome = if right { Outcome::Pass } else { Outcome::Fail };
    link.say(0x88, &1000_u16.to_be_bytes());
    link.flush(asked.bench.until(0.3)).await;
    Ok((outcome, describe(&heard), link.record.render()))
}

/// F.6.5: two-octet sequences with a first octet from 0x80, as text, one in 16: valid pairs echoed, others closed 1007.
pub(super) async fn utf8_pairs(asked: &Asked<'_>) -> Put {
    let pairs: Vec<[u8; 2]> = (0x8000..=0xffff_u16).step_by(16).map(u16::to_be_bytes).collect();
    let (valid, invalid): (Vec<_>, Vec<_>) = pairs.into_iter().partition(|p| std::str::from_utf8(p).is_ok());
    let mut link = asked.open().await?;
    let until = asked.bench.until(10.0);
    for pair in &valid {
        link.say(0x81, pair);
        if let Err(why) = expect(&mut link, false, pair, until).await {
            return answered(&link, fail(format!("valid {pair:02x?}: {why}")));
        }
    }
    hang_up(asked, &mut link).await;
    let mut lax = 0;
    for batch in invalid.chunks(16) {
        let asks = batch.iter().map(|pair| async move {
            let mut link = asked.open().await?;
            link.say(0x81, pair);
            let heard = link.hear(asked.bench.until(2.0)).await;
            link.say(0x88, &1000_u16.to_be_bytes());
            link.flush(asked.bench.until(0.3)).await;
            Ok::<_, super::Closed>((heard, link.record.render()))
        });
        for (pair, result) in batch.iter().zip(futures::future::join_all(asks).await) {
            let (heard, dialogue) = result?;
            match heard {
                Heard::Said(Incoming::Close { code: Some(1007), .. }) => {}
                Heard::Ended(_) => lax += 1,
                other => return Ok((fail(format!("invalid {pair:02x?}: {}", describe(&other))), dialogue)),
            }
        }
    }
    let told = format!("{} valid pairs echoed, {} invalid refused", valid.len(), invalid.len());
    let verdict = if lax > 0 { Verdict::plain(Outcome::NonStrict, format!("{told}, {lax} of them without a Close")) } else { pass(told) };
    answered(&link, verdict)
}
