//! Broadcast under permessage-deflate: each subscriber has a context of its own, and a frame packed for one is no frame for
//! another. RFC 7692 7.1, 7.2.

use futures::future::join_all;

use super::frames::noise;
use super::relays::{pump, settled, until_message};
use super::{Asked, Put, fail, pass};
use crate::conformance::corpus::Kind;
use crate::conformance::verdict::{Outcome, Verdict};
use crate::conformance::wire::deflate::{Deflater, Inflater};
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
        subscribers.push(strict(asked.bench.open(&asked.case.id, offer).await?));
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
    for message in &messages {
        a.say(0x82, message);
    }
    heard_by_all(asked, &mut a, subscribers, &messages, good).await
}

/// B.15: a publisher that keeps its context over 60 messages, every third sent uncompressed (those do not enter it); one
/// subscriber that keeps one too, one that agreed to none, and one without compression.
pub(super) async fn compression(asked: &Asked<'_>) -> Put {
    let mut a = asked.bench.open(&asked.case.id, KEPT).await?;
    let mut subscribers = Vec::new();
    for offer in [KEPT, Some("permessage-deflate; server_no_context_takeover; client_no_context_takeover"), None] {
        subscribers.push(strict(asked.bench.open(&asked.case.id, offer).await?));
    }
    let Some(agreement) = a.deflate else {
        return Ok((Verdict::plain(Outcome::Unimplemented, "the server did not agree to permessage-deflate"), a.record.render()));
    };
    for link in subscribers.iter_mut().chain([&mut a]) {
        settled(asked, link, 2.0).await;
    }
    let mut packer = a.deflater();
    let messages: Vec<Vec<u8>> =
        (0..60).map(|n| [format!("{n} ").into_bytes(), Kind::Prose.corpus().window(n * 250, 800).0].concat()).collect();
    for (n, message) in messages.iter().enumerate() {
        match packer_for(n, &mut packer, message) {
            Some(packed) => a.fragments(false, 4, &packed, None),
            None => a.say(0x81, message),
        }
    }
    let kept = if agreement.client_no_context_takeover { "the server asked A not to keep its context" } else { "A's context kept" };
    heard_by_all(asked, &mut a, subscribers, &messages, &format!("60 messages intact at 3 subscribers; {kept}")).await
}

/// The offer that lets both sides keep their context.
const KEPT: Option<&str> = Some("permessage-deflate; client_max_window_bits");

/// Every third message goes uncompressed.
fn packer_for(n: usize, packer: &mut Deflater, message: &[u8]) -> Option<Vec<u8>> {
    if n % 3 == 2 { None } else { packer.message(message).ok() }
}

/// A link that inflates with what was agreed to and nothing larger.
fn strict(mut link: Link) -> Link {
    if let Some(agreed) = link.deflate {
        link.assembler.inflater = Some(Inflater::strict(agreed.server_window(), agreed.server_no_context_takeover));
    }
    link
}

/// B.3: a publisher's frames are masked, RSV1 is set where it may be, and its fragments have odd lengths. The reader of each
/// subscriber refuses masks, RSV1 without an agreement, and illegal fragments.
pub(super) async fn odd_frames(asked: &Asked<'_>) -> Put {
    let mut a = asked.bench.open(&asked.case.id, KEPT).await?;
    let mut subscribers = Vec::new();
    for offer in [None, KEPT] {
        subscribers.push(strict(asked.bench.open(&asked.case.id, offer).await?));
    }
    for link in subscribers.iter_mut().chain([&mut a]) {
        settled(asked, link, 2.0).await;
    }
    let mut packer = a.deflater();
    let messages: Vec<Vec<u8>> =
        (0..9).map(|n| [format!("{n} ").into_bytes(), Kind::Tags.corpus().window(n * 400, 90 + n * 333).0].concat()).collect();
    for (n, (message, by)) in messages.iter().zip([1, 2, 3, 7, 125, 126, 127, 333, 1000]).enumerate() {
        let packed = if a.deflate.is_some() { packer_for(n, &mut packer, message) } else { None };
        let rsv = if packed.is_some() { 4 } else { 0 };
        a.fragments(false, rsv, packed.as_deref().unwrap_or(message), Some(by));
    }
    let with = if a.deflate.is_some() { "with RSV1 and without" } else { "without RSV1, for the server agreed to no compression" };
    heard_by_all(asked, &mut a, subscribers, &messages, &format!("9 messages in odd fragments, {with}: whole, unmasked, in legal frames"))
        .await
}

/// Writes what is queued and demands that every subscriber gets exactly these texts, in order.
async fn heard_by_all(asked: &Asked<'_>, a: &mut Link, mut subscribers: Vec<Link>, messages: &[Vec<u8>], good: &str) -> Put {
    let until = asked.bench.until(10.0);
    let last = messages.last().map_or(&[][..], Vec::as_slice);
    let reading = join_all(subscribers.iter_mut().map(|link| async {
        let got = until_message(link, last, until).await?;
        let same = got.len() == messages.len() && got.iter().zip(messages).all(|((_, p), m)| p == m);
        if same { Ok(()) } else { Err(format!("{} of {} messages, or changed ones", got.len(), messages.len())) }
    }));
    let ((), results) = tokio::join!(pump(a, until), reading);
    let wrong = results.into_iter().enumerate().find_map(|(n, r)| r.err().map(|why| (n, why)));
    let shown = subscribers.get(wrong.as_ref().map_or(0, |(n, _)| *n)).map(|s| s.record.render()).unwrap_or_default();
    Ok((wrong.map_or_else(|| pass(good), |(n, why)| fail(format!("subscriber {n}: {why}"))), shown))
}
