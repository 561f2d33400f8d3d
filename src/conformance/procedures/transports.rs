//! Other ways to carry WebSocket: HTTP/2 (RFC 8441) is looked for, HTTP/3 (RFC 9220) is not spoken here.

use super::{Asked, Put};
use crate::conformance::verdict::{Outcome, Verdict};
use crate::conformance::wire::link::{Delivery, Moved};

/// HTTP/2's connection preface and an empty SETTINGS frame. RFC 9113 3.4.
const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\x00\x00\x00\x04\x00\x00\x00\x00\x00";
/// SETTINGS_ENABLE_CONNECT_PROTOCOL. RFC 8441 3.
const ENABLE_CONNECT_PROTOCOL: u16 = 8;

/// T.2: does the server speak HTTP/2 in the clear, and does it announce extended CONNECT?
pub(super) async fn http2(asked: &Asked<'_>) -> Put {
    let (mut link, _) = asked.bench.link(&asked.case.id).await?;
    link.raw("the HTTP/2 preface", PREFACE, Delivery::Alone);
    let until = asked.bench.until(2.0);
    while link.inbox.len() < 9 {
        if matches!(link.step(Some(until)).await, Moved::Ended(_) | Moved::Time) {
            break;
        }
    }
    let Some(settings) = settings(&link.inbox) else {
        return Ok((Verdict::skipped("the server does not speak HTTP/2 by prior knowledge"), link.record.render()));
    };
    let verdict = if settings.contains(&(ENABLE_CONNECT_PROTOCOL, 1)) {
        Verdict::skipped("the server announces RFC 8441; its frames are the same, its streams are not asked here")
    } else {
        Verdict::plain(Outcome::Info, "HTTP/2 without SETTINGS_ENABLE_CONNECT_PROTOCOL: extended CONNECT must not be used")
    };
    Ok((verdict, link.record.render()))
}

/// The pairs of the SETTINGS frame that must come first. RFC 9113 6.5.
fn settings(octets: &[u8]) -> Option<Vec<(u16, u32)>> {
    let len = usize::from(*octets.get(2)?) | usize::from(*octets.get(1)?) << 8;
    if octets.first() != Some(&0) || octets.get(3) != Some(&4) || len % 6 != 0 {
        return None;
    }
    let pair = |p: &[u8]| Some((u16::from_be_bytes([*p.first()?, *p.get(1)?]), u32::from_be_bytes(p.get(2..6)?.try_into().ok()?)));
    octets.get(9..9 + len)?.chunks_exact(6).map(pair).collect()
}

/// T.3: there is no QUIC in this binary.
pub(super) fn http3() -> (Verdict, Vec<String>) {
    (Verdict::skipped("this tester speaks TCP and TLS, not QUIC"), Vec::new())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_are_read_and_nothing_else_is() {
        let frame = [0, 0, 6, 4, 0, 0, 0, 0, 0, 0, 8, 0, 0, 0, 1];
        assert_eq!(settings(&frame), Some(vec![(8, 1)]));
        assert_eq!(settings(b"HTTP/1.1 400 Bad Request"), None);
        assert_eq!(settings(&frame[..12]), None);
    }
}
