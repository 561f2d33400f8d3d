//! Floods: lengths declared and never sent, fragments without end, pings unread, bombs. The server must bound what it
//! holds and go on serving others.

use flate2::{Compress, Compression, FlushCompress};

use super::{Asked, Growth, Put, and_alive, describe, expect, fail, hang_up, limited, pass};
use crate::conformance::verdict::{Outcome, Verdict};
use crate::conformance::wire::assemble::Incoming;
use crate::conformance::wire::frame::{Frame, LengthForm};
use crate::conformance::wire::link::{Delivery, Heard, Link};

/// The first Close or end within a time, messages and pongs passed over.
async fn ending(link: &mut Link, until: tokio::time::Instant) -> Heard {
    loop {
        match link.hear(until).await {
            Heard::Said(Incoming::Message { .. } | Incoming::Pong(_)) => {}
            other => return other,
        }
    }
}

/// F.3.8: many connections that each declare much and send little.
pub(super) async fn declare(asked: &Asked<'_>) -> Put {
    let growth = Growth::watch(asked.bench);
    let (count, declared) = (asked.number(0), asked.number(1) as u64);
    let mut links = Vec::new();
    for _ in 0..count {
        let mut link = asked.open().await?;
        let frame = Frame { declared: Some(declared), form: LengthForm::SixtyFour, ..Frame::new(0x82, &[0x2a; 16]) };
        link.frame(&frame, Delivery::Burst);
        link.flush(asked.bench.until(1.0)).await;
        links.push(link);
    }
    tokio::time::sleep(asked.bench.span(0.5)).await;
    let verdict = growth.judge(256 << 20, pass(format!("{count} connections declared {declared} octets each; the server serves on")));
    let verdict = and_alive(asked, verdict).await;
    Ok((verdict, links.first().map(|l| l.record.render()).unwrap_or_default()))
}

/// F.7.1, F.7.2: fragments of `size` octets, never finished.
pub(super) async fn fragments(asked: &Asked<'_>) -> Put {
    let growth = Growth::watch(asked.bench);
    let mut link = asked.open().await?;
    let (count, size) = (asked.number(0), asked.number(1));
    let until = asked.bench.until(20.0);
    link.record.note(format!("{count} fragments of {size} octets, never finished"));
    let piece = vec![b'a'; size];
    let mut octets = Vec::new();
    for n in 0..count {
        Frame::new(if n == 0 { 0x01 } else { 0x00 }, &piece).write(link.role, &mut link.rng, &mut octets);
        if octets.len() > 65_536 || n + 1 == count {
            link.queue(&octets, Delivery::Alone);
            octets.clear();
            if !link.flush(until).await {
                break;
            }
        }
    }
    let meanwhile = asked.bench.alive(1.0).await;
    let heard = ending(&mut link, asked.bench.until(1.0)).await;
    let verdict = match (&heard, meanwhile) {
        (_, Err(why)) => fail(format!("another client was not served meanwhile: {why}")),
        (Heard::Silence, Ok(())) => pass("the fragments were taken in; another client was served meanwhile"),
        (other, Ok(())) => limited_or_pass(other),
    };
    Ok((growth.judge(64 << 20, verdict), link.record.render()))
}

/// A stated limit or a drop is as good as bounded memory here.
fn limited_or_pass(heard: &Heard) -> Verdict {
    match heard {
        Heard::Said(Incoming::Close { code: Some(1008 | 1009), .. }) => pass(format!("a stated limit: {}", describe(heard))),
        other => limited(other, &[]),
    }
}

/// F.7.3: a message that grows beyond any sensible limit in fragments below the frame limit.
pub(super) async fn growing(asked: &Asked<'_>) -> Put {
    let mut link = asked.open().await?;
    let (count, size) = (asked.number(0), asked.number(1));
    let piece = vec![0x2a_u8; size];
    let until = asked.bench.until(30.0);
    let mut sent = 0_usize;
    for n in 0..count {
        let first = match n {
            0 => 0x02,
            n if n + 1 == count => 0x80,
            _ => 0x00,
        };
        link.frame(&Frame::new(first, &piece), Delivery::Alone);
        if !link.flush(until).await {
            break;
        }
        sent += size;
    }
    let heard = link.hear(asked.bench.until(10.0)).await;
    let verdict = match &heard {
        Heard::Said(Incoming::Message { payload, .. }) => {
            fail(format!("no limit: a message of {} MiB was taken and {} octets came back", sent >> 20, payload.len()))
        }
        Heard::Silence => Verdict::plain(Outcome::Info, format!("{} MiB were taken without a word", sent >> 20)),
        other => limited(other, &[1009]),
    };
    Ok((and_alive(asked, verdict).await, link.record.render()))
}

/// C.4.1: pings written without reading what comes back, then read.
pub(super) async fn unread_pings(asked: &Asked<'_>) -> Put {
    let growth = Growth::watch(asked.bench);
    let mut link = asked.open().await?;
    let count = asked.number(0);
    link.deaf = true;
    link.record.note(format!("{count} pings, nothing read"));
    let until = asked.bench.until(10.0);
    let mut sent = 0;
    'writing: for batch in (0..count).collect::<Vec<_>>().chunks(1000) {
        let mut octets = Vec::new();
        for n in batch {
            Frame::new(0x89, format!("ping {n}").as_bytes()).write(link.role, &mut link.rng, &mut octets);
        }
        link.queue(&octets, Delivery::Alone);
        if !link.flush(until).await {
            break 'writing;
        }
        sent = batch.last().map_or(sent, |n| n + 1);
    }
    let grown = growth.judge(64 << 20, pass(""));
    link.deaf = false;
    let mut last = None;
    let end = asked.bench.until(10.0);
    let heard = loop {
        match link.hear(end).await {
            Heard::Said(Incoming::Pong(payload)) => {
                last = String::from_utf8_lossy(&payload).strip_prefix("ping ").and_then(|n| n.parse::<usize>().ok());
                if last == Some(count - 1) {
                    break Heard::Silence;
                }
            }
            other => break other,
        }
    };
    let verdict = match (&heard, last) {
        (_, Some(n)) if n + 1 == count => pass(format!("the last of {count} pings was answered")),
        (Heard::Silence, _) if sent < count => pass(format!("backpressure after {sent} pings")),
        (Heard::Silence, last) => fail(format!("{sent} pings, but the last pong was {last:?}")),
        (other, _) => limited_or_pass(other),
    };
    let verdict =
        if grown.outcome == Outcome::Fail { grown } else { Verdict { actual: format!("{}{}", verdict.actual, grown.actual), ..verdict } };
    Ok((and_alive(asked, verdict).await, link.record.render()))
}

/// C.4.2: unsolicited pongs are ignored.
pub(super) async fn pong_flood(asked: &Asked<'_>) -> Put {
    let mut link = asked.open().await?;
    let count = asked.number(0);
    link.record.note(format!("{count} unsolicited pongs, then a text"));
    let mut octets = Vec::new();
    for n in 0..count {
        Frame::new(0x8a, format!("pong {n}").as_bytes()).write(link.role, &mut link.rng, &mut octets);
    }
    link.queue(&octets, Delivery::Burst);
    link.say(0x81, b"after the pongs");
    let heard = expect(&mut link, false, b"after the pongs", asked.bench.until(10.0)).await;
    hang_up(asked, &mut link).await;
    Ok((heard.map_or_else(fail, |()| pass("pongs ignored, text echoed")), link.record.render()))
}

/// D.5.1, D.5.2: 1 GiB of zeros in about 1 MiB, in so many fragments.
pub(super) async fn bomb(asked: &Asked<'_>) -> Put {
    let growth = Growth::watch(asked.bench);
    let mut link = match asked.compressed().await? {
        Ok(link) => link,
        Err(answered) => return Ok(answered),
    };
    let packed = zeros(1 << 30, link.deflate.map_or(15, |a| a.client_window()));
    let by = packed.len().div_ceil(asked.number(0).max(1)) + 1;
    link.record.note(format!("1 GiB of zeros in {} octets", packed.len()));
    link.fragments(true, 4, &packed, Some(by).filter(|by| *by < packed.len()));
    link.assembler.limit = 64 << 20;
    link.flush(asked.bench.until(10.0)).await;
    let heard = link.hear(asked.bench.until(20.0)).await;
    let verdict = match &heard {
        Heard::Said(Incoming::Close { code: Some(1009), .. }) => pass("Close 1009"),
        Heard::Said(Incoming::Close { code: Some(1007 | 1008), .. }) | Heard::Ended(_) => pass(format!("refused: {}", describe(&heard))),
        Heard::Silence => fail("20 s of silence"),
        other => fail(format!("it was inflated: {}", describe(other))),
    };
    link.reset();
    let verdict = growth.judge(256 << 20, verdict);
    Ok((and_alive(asked, verdict).await, Vec::new()))
}

/// So many zeros, deflated. After the first MiB the window holds nothing but zeros and every flush ends on an octet, so all
/// further MiBs pack to the same octets: two are packed, the second is repeated.
fn zeros(len: usize, bits: u8) -> Vec<u8> {
    let mut deflater = Compress::new_with_window_bits(Compression::best(), false, bits.clamp(9, 15));
    let chunk = vec![0_u8; 1 << 20];
    let mut packed = [Vec::with_capacity(16_384), Vec::with_capacity(16_384)];
    for out in &mut packed {
        let before = deflater.total_in();
        while deflater.total_in() - before < 1 << 20 {
            let at = usize::try_from(deflater.total_in() - before).unwrap_or(0);
            out.reserve(16_384);
            if deflater.compress_vec(&chunk[at..], out, FlushCompress::Sync).is_err() {
                return Vec::new();
            }
        }
    }
    let mut out = [packed[0].clone(), packed[1].repeat((len >> 20) - 1)].concat();
    if out.ends_with(&[0, 0, 0xff, 0xff]) {
        out.truncate(out.len() - 4);
    }
    out
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_bomb_is_small_and_inflates_to_zeros() {
        let packed = super::zeros(4 << 20, 15);
        assert!(packed.len() < 8192, "{}", packed.len());
        let mut inflater = crate::conformance::wire::deflate::Inflater::new(15, true);
        let zeros = inflater.message(&packed, 8 << 20).unwrap_or_default();
        assert_eq!(zeros.len(), 4 << 20);
        assert!(zeros.iter().all(|z| *z == 0));
    }
}
