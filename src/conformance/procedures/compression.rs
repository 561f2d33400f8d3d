//! permessage-deflate beyond scripts: what a response may say, far references, tiny fragments, contexts kept and dropped.
//! RFC 7692 7.

use flate2::{Compress, Compression, FlushCompress};

use super::frames::noise;
use super::{Asked, Put, describe, expect, fail, hang_up, pass};
use crate::conformance::corpus::Kind;
use crate::conformance::verdict::{Outcome, Verdict};
use crate::conformance::wire::assemble::Incoming;
use crate::conformance::wire::deflate::{Agreement, Inflater};
use crate::conformance::wire::link::{Heard, Link};

/// D.1, D.2.13: an offer, and the rule its answer must keep.
pub(super) async fn negotiate(asked: &Asked<'_>) -> Put {
    let (mut link, mut request) = asked.bench.link(&asked.case.id).await?;
    let offer = asked.offer.unwrap_or_default();
    request.set("Sec-WebSocket-Extensions", offer);
    let verdict = match link.shake(&request, asked.bench.span(3.0)).await {
        Err(why) if why == "status 400" => Verdict::plain(Outcome::NonStrict, "400 instead of declining the offer"),
        Err(why) => fail(why),
        Ok(response) => {
            let said = response.field("Sec-WebSocket-Extensions").unwrap_or("no extension").to_owned();
            match link.deflate.ok_or("declined").and_then(|a| allowed(a, offer, asked)) {
                Ok(()) => pass(format!("accepted: {said}")),
                Err("declined") => pass("declined"),
                Err(why) => fail(format!("{why}: {said}")),
            }
        }
    };
    hang_up(asked, &mut link).await;
    Ok((verdict, link.record.render()))
}

/// Whether an agreement answers the offer. RFC 7692 7.1.
fn allowed(agreement: Agreement, offer: &str, asked: &Asked<'_>) -> Result<(), &'static str> {
    let offered = |parameter| offer.contains(parameter);
    if agreement.client_max_window_bits.is_some() && !offered("client_max_window_bits") {
        return Err("client_max_window_bits was never offered");
    }
    match asked.word(0) {
        "server-bits" if agreement.server_max_window_bits.is_none_or(|bits| usize::from(bits) > asked.number(1)) => {
            Err("accepted without the server window asked for")
        }
        "server-fresh" if !agreement.server_no_context_takeover => Err("accepted without server_no_context_takeover"),
        _ => Ok(()),
    }
}

/// D.3.10–12, D.4.6: compressed messages of unusual make.
pub(super) async fn compressed(asked: &Asked<'_>) -> Put {
    let mut link = match asked.compressed().await? {
        Ok(link) => link,
        Err(answered) => return Ok(answered),
    };
    let window = link.deflate.map_or(15, |a| a.client_window());
    let until = asked.bench.until(5.0);
    let heard = match asked.word(0) {
        "far" => {
            let noise = noise(&mut link.rng, (1 << window) - 300);
            let message = [noise.as_slice(), &noise[..200]].concat();
            say_packed(&mut link, true, &message, None);
            expect(&mut link, true, &message, until).await
        }
        "tiny" => {
            let text = Kind::Prose.corpus().window(0, 2048).0;
            say_packed(&mut link, false, &text, Some(1));
            expect(&mut link, false, &text, until).await
        }
        "blocks" => {
            let text = Kind::Json.corpus().window(0, 4000).0;
            let packed = blocks(&text, window);
            link.fragments(false, 4, &packed, None);
            expect(&mut link, false, &text, until).await
        }
        _ => return bad_utf8(asked, link).await,
    };
    hang_up(asked, &mut link).await;
    Ok((heard.map_or_else(fail, |()| pass("exact echo")), link.record.render()))
}

async fn bad_utf8(asked: &Asked<'_>, mut link: Link) -> Put {
    say_packed(&mut link, false, &[0xff, 0xfe], None);
    let heard = link.hear(asked.bench.until(2.0)).await;
    let verdict = match &heard {
        Heard::Said(Incoming::Close { code: Some(1007), .. }) => pass("Close 1007"),
        Heard::Ended(_) => Verdict::plain(Outcome::NonStrict, "dropped without a Close"),
        other => fail(describe(other)),
    };
    Ok((verdict, link.record.render()))
}

fn say_packed(link: &mut Link, binary: bool, message: &[u8], by: Option<usize>) {
    match link.deflater().message(message) {
        Ok(packed) => link.fragments(binary, 4, &packed, by),
        Err(e) => link.record.note(format!("we could not compress: {e}")),
    }
}

/// A message of many deflate blocks: a full flush every 100 octets.
fn blocks(text: &[u8], window: u8) -> Vec<u8> {
    let mut deflater = Compress::new_with_window_bits(Compression::new(6), false, window.clamp(9, 15));
    let mut out = Vec::with_capacity(text.len() * 2 + 1024);
    for chunk in text.chunks(100) {
        if deflater.compress_vec(chunk, &mut out, FlushCompress::Full).is_err() {
            break;
        }
    }
    if out.ends_with(&[0, 0, 0xff, 0xff]) {
        out.truncate(out.len() - 4);
    }
    out
}

/// D.5.3–6: whether windows and contexts are what was agreed to; the reader refuses anything larger.
pub(super) async fn context(asked: &Asked<'_>) -> Put {
    let mut link = match asked.compressed().await? {
        Ok(link) => link,
        Err(answered) => return Ok(answered),
    };
    let agreement = link.deflate;
    let missing = match asked.word(0) {
        "window" => agreement.is_none_or(|a| a.server_window() > 9),
        "fresh" => agreement.is_none_or(|a| !a.server_no_context_takeover),
        _ => false,
    };
    if missing {
        let why = "it accepted the offer without the parameter asked for";
        return Ok((fail(why), link.record.render()));
    }
    if let Some(agreed) = agreement {
        link.assembler.inflater = Some(Inflater::strict(agreed.server_window(), agreed.server_no_context_takeover));
    }
    let messages = messages(asked.word(0), &mut link);
    let mut packer = link.deflater();
    let until = asked.bench.until(10.0);
    for (n, (binary, message)) in messages.iter().enumerate() {
        match packer.message(message) {
            Ok(packed) => link.fragments(*binary, 4, &packed, None),
            Err(e) => return Ok((fail(format!("we could not compress: {e}")), link.record.render())),
        }
        if let Err(why) = expect(&mut link, *binary, message, until).await {
            return Ok((fail(format!("message {n}: {why}")), link.record.render()));
        }
    }
    hang_up(asked, &mut link).await;
    Ok((pass(format!("{} exact echoes, each inflated with what was agreed to", messages.len())), link.record.render()))
}

fn messages(which: &str, link: &mut Link) -> Vec<(bool, Vec<u8>)> {
    match which {
        // Noise repeated 1 KiB on: only a window above 1 KiB could refer back to it.
        "window" => (0..3)
            .map(|_| {
                let half = noise(&mut link.rng, 1024);
                (true, [half.as_slice(), &half].concat())
            })
            .collect(),
        "fresh" => (0..3).map(|_| (false, Kind::Json.corpus().window(0, 2048).0)).collect(),
        "takeover" => (0..5).map(|n| (false, Kind::Prose.corpus().window(n * 2048, 2048).0)).collect(),
        _ => (0..40)
            .map(|n| match n % 3 {
                0 => (false, Kind::Json.corpus().window(n * 700, 1500).0),
                1 => (false, format!("short {n}").into_bytes()),
                _ => (true, noise(&mut link.rng, 1200)),
            })
            .collect(),
    }
}
