//! Broadcast under permessage-deflate: each subscriber has a context of its own, and a frame packed for one is no frame for
//! another. RFC 7692 7.1, 7.2.

use futures::future::join_all;

use super::broadcast::told;
use super::frames::noise;
use super::relays::{pump, settled, until_message};
use super::{Asked, Put, fail, pass};
use crate::conformance::corpus::Kind;
use crate::conformance::verdict::{Outcome, Verdict};
use crate::conformance::wire::link::Link;

/// B.4: subscribers with different agreements each decode everything.
pub(super) async fn four_contexts(asked: &Asked<'_>) -> Put {
    let offers = [
        None,
        Some("permessage-deflate; client_max_window_bits"),
        Some("permessage-deflate; server_max_window_bits=9"),
        Some("permessage-deflate; server_no_context_takeover"),
    ];
    let mut subscribers = Vec::new();
    for offer in offers {
        subscribers.push(asked.bench.open(&asked.case.id, offer).await?);
    }
    let agreed = subscribers.iter().filter(|s| s.deflate.is_some()).count();
    if agreed == 0 {
        return Ok((Verdict::plain(Outcome::Unimplemented, "the server agreed to permessage-deflate with nobody"), Vec::new()));
    }
    relayed_to_all(asked, subscribers, 50, &format!("{agreed} agreements, 50 messages each")).await
}

/// Publishes prose and noise and demands that every subscriber decodes every message in order.
async fn relayed_to_all(asked: &Asked<'_>, mut subscribers: Vec<Link>, count: usize, good: &str) -> Put {
    let mut a = asked.open().await?;
    for link in subscribers.iter_mut().chain([&mut a]) {
        settled(asked, link, 2.0).await;
    }
    let messages: Vec<Vec<u8>> = (0..count)
        .map(|n| match n % 3 {
            2 => noise(&mut a.rng, 700),
            _ => [format!("{n} ").into_bytes(), Kind::Prose.corpus().window(n * 300, 900).0].concat(),
        })
        .collect();
    let until = asked.bench.until(10.0);
    for message in &messages {
        a.say(0x82, message);
    }
    let reading = join_all(subscribers.iter_mut().map(|link| async {
        let last = messages.last().map_or(&[][..], Vec::as_slice);
        let got = until_message(link, last, until).await?;
        let same = got.len() == messages.len() && got.iter().zip(&messages).all(|((_, p), m)| p == m);
        if same { Ok(()) } else { Err(format!("{} of {} messages, or changed ones", got.len(), messages.len())) }
    }));
    let ((), results) = tokio::join!(pump(&mut a, until), reading);
    let wrong = results.into_iter().enumerate().find_map(|(n, r)| r.err().map(|why| format!("subscriber {n}: {why}")));
    let dialogue = subscribers.first().map(|s| s.record.render()).unwrap_or_default();
    Ok((wrong.map_or_else(|| pass(good), fail), dialogue))
}

/// B.15: a publisher with context takeover, every third message uncompressed.
pub(super) async fn compression(asked: &Asked<'_>) -> Put {
    let offer = Some("permessage-deflate; client_max_window_bits");
    let mut a = asked.bench.open(&asked.case.id, offer).await?;
    let mut b = asked.bench.open(&asked.case.id, offer).await?;
    if a.deflate.is_none() {
        return Ok((Verdict::plain(Outcome::Unimplemented, "the server did not agree to permessage-deflate"), a.record.render()));
    }
    settled(asked, &mut b, 2.0).await;
    let mut packer = a.deflater();
    let messages: Vec<Vec<u8>> = (0..60).map(|n| Kind::Prose.corpus().window(n * 250, 800).0).collect();
    for (n, message) in messages.iter().enumerate() {
        match packer.message(message) {
            Ok(packed) if n % 3 != 2 => a.fragments(false, 4, &packed, None),
            // Sent plain: the compressor must not remember it, so it gets a context of its own from here.
            _ => {
                a.say(0x81, message);
                packer = a.deflater();
            }
        }
    }
    let until = asked.bench.until(10.0);
    let last = messages.last().map_or(&[][..], Vec::as_slice);
    let ((), got) = tokio::join!(pump(&mut a, until), until_message(&mut b, last, until));
    let result = got.and_then(|got| {
        let same = got.len() == messages.len() && got.iter().zip(&messages).all(|((_, p), m)| p == m);
        if same { Ok("60 messages intact".to_owned()) } else { Err(format!("{} of 60 messages, or changed ones", got.len())) }
    });
    Ok(told(result, &b))
}
