//! Opening handshakes edited into the case's form, and their answers judged. RFC 6455 4, RFC 9112.

use std::time::Duration;

use tokio::time::Instant;

use super::bench::{Bench, Closed};
use super::catalogue::model::{Answer, Edit, Handshake};
use super::verdict::{Outcome, Verdict};
use super::wire::assemble::Incoming;
use super::wire::frame::Frame;
use super::wire::http::{Request, Response};
use super::wire::link::{Delivery, Heard, Link};

/// What came back.
enum Came {
    Response(Response),
    Dropped(String),
    Nothing,
}

/// Asks one handshake; gives the verdict and the dialogue.
pub async fn ask(bench: &Bench, id: &str, case: &Handshake) -> (Verdict, Vec<String>) {
    let (mut link, mut request) = match bench.link(id).await {
        Ok(opened) => opened,
        Err(closed) => return (closed.verdict(), Vec::new()),
    };
    apply(&case.edits, &mut request, &bench.options.target.authority(), bench.options.target.tls);
    let until = Instant::now() + bench.span(case.seconds as f64);
    send(&mut link, &request, &case.edits, bench).await;
    let came = match link.response(until).await {
        Ok(response) => Came::Response(response),
        Err(why) if link.ended().is_some() => Came::Dropped(why),
        Err(_) if link.inbox.is_empty() => Came::Nothing,
        Err(why) => Came::Dropped(why),
    };
    let mut verdict = judge(case, &request, &came);
    if case.echo && verdict.outcome == Outcome::Pass {
        verdict = echoed(&mut link, until).await;
    }
    if matches!(&came, Came::Response(r) if r.status == 101) {
        link.say(0x88, &1000_u16.to_be_bytes());
        link.flush(bench.until(0.5)).await;
    }
    (verdict, link.record.render())
}

/// Applies the edits that change the request's text.
fn apply(edits: &[Edit], request: &mut Request, authority: &str, tls: bool) {
    for edit in edits {
        match edit {
            Edit::Set(name, value) => request.set(name, value),
            Edit::SetRaw(name, tail) => request.set_raw(name, tail.clone()),
            Edit::Add(name, value) => request.add(name, value),
            Edit::Drop(name) => request.remove(name),
            Edit::Spaced(name) => rename(request, |n| if n.eq_ignore_ascii_case(name) { format!("{n} ") } else { n.to_owned() }),
            Edit::Lower => rename(request, str::to_ascii_lowercase),
            Edit::Upper => rename(request, str::to_ascii_uppercase),
            Edit::Method(method) => request.method.clone_from(method),
            Edit::Version(version) => request.version.clone_from(version),
            Edit::Absolute => request.target = format!("http{}://{authority}{}", if tls { "s" } else { "" }, request.target),
            Edit::Query(query) => {
                let join = if request.target.contains('?') { '&' } else { '?' };
                request.target = format!("{}{join}{query}", request.target);
            }
            Edit::Lead(octets) => request.lead.clone_from(octets),
            Edit::BareLf => request.eol = "\n",
            Edit::Line(line) => {
                let mut words = line.splitn(3, ' ').map(str::to_owned);
                request.method = words.next().unwrap_or_default();
                request.target = words.next().unwrap_or_default();
                request.version = words.next().unwrap_or_default();
            }
            Edit::Flood(count) => (0..*count).for_each(|n| request.add(&format!("X-Field-{n}"), "v")),
            Edit::Behind(octets) => request.body.extend_from_slice(octets),
            Edit::Twice => {
                let mut second = request.clone();
                second.set("Sec-WebSocket-Version", "13");
                request.body = second.octets();
            }
            Edit::Frame(_) | Edit::Dribble | Edit::Split | Edit::Half => {}
        }
    }
}

fn rename(request: &mut Request, new: impl Fn(&str) -> String) {
    for (name, _) in &mut request.fields {
        *name = new(name);
    }
}

/// Writes the request the way the edits want it written.
async fn send(link: &mut Link, request: &Request, edits: &[Edit], bench: &Bench) {
    let mut octets = request.octets();
    let label = format!("{} {}", request.method, request.target.chars().take(60).collect::<String>());
    let soon = || bench.until(5.0);
    if edits.contains(&Edit::Half) {
        octets.truncate(octets.len() / 2);
        link.raw(&label, &octets, Delivery::Alone);
    } else if edits.contains(&Edit::Dribble) {
        link.raw(&label, &octets, Delivery::Chop(1));
    } else if edits.contains(&Edit::Split) {
        let cuts = [0, octets.len() - 3, octets.len() - 1, octets.len()];
        for cut in cuts.windows(2) {
            link.raw(&label, &octets[cut[0]..cut[1]], Delivery::Alone);
            link.flush(soon()).await;
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    } else if let Some(Edit::Frame(first)) = edits.iter().find(|e| matches!(e, Edit::Frame(_))) {
        let mut frame = Vec::new();
        Frame::new(0x81, b"hello").write(link.role, &mut link.rng, &mut frame);
        octets.extend_from_slice(&frame[..*first]);
        link.raw(&label, &octets, Delivery::Alone);
        link.flush(soon()).await;
        if *first < frame.len() {
            tokio::time::sleep(Duration::from_millis(200)).await;
            link.raw("the rest of the frame", &frame[*first..], Delivery::Alone);
        }
    } else {
        link.raw(&label, &octets, Delivery::Alone);
    }
}

fn judge(case: &Handshake, request: &Request, came: &Came) -> Verdict {
    let actual = match came {
        Came::Response(r) => match (r.status, r.check_upgrade(request)) {
            (101, Err(why)) => format!("{} — {why}", r.line),
            _ => r.line.clone(),
        },
        Came::Dropped(why) => format!("dropped without an answer ({why})"),
        Came::Nothing => "no answer, connection left open".to_owned(),
    };
    let outcome = if case.ok.iter().any(|a| matches(a, request, came)) {
        Outcome::Pass
    } else if case.lax.iter().any(|a| matches(a, request, came)) {
        Outcome::NonStrict
    } else {
        Outcome::Fail
    };
    Verdict::plain(outcome, actual)
}

fn matches(answer: &Answer, request: &Request, came: &Came) -> bool {
    let Came::Response(response) = came else {
        return match came {
            Came::Dropped(_) => *answer == Answer::Dropped,
            _ => *answer == Answer::Silent,
        };
    };
    let upgraded = response.check_upgrade(request).is_ok() && !has_body(response);
    match answer {
        Answer::Upgraded => upgraded,
        Answer::Plain => upgraded && response.field("Sec-WebSocket-Extensions").is_none_or(str::is_empty),
        // RFC 9110 15.5.22: a 426 MUST carry an Upgrade field.
        Answer::Status(426) => response.status == 426 && response.field("Upgrade").is_some(),
        Answer::Status(status) => response.status == *status,
        Answer::WithVersion(status) => {
            let upgrade = *status != 426 || response.field("Upgrade").is_some();
            response.status == *status && upgrade && response.lists("Sec-WebSocket-Version", "13")
        }
        Answer::Class(class) => response.status / 100 == *class && response.status != 101,
        Answer::NotUpgraded => response.status >= 200 && (response.status != 426 || response.field("Upgrade").is_some()),
        Answer::Dropped | Answer::Silent => false,
    }
}

/// RFC 9110 8.6, 9112 6.1: no Content-Length or Transfer-Encoding in a 1xx response.
fn has_body(response: &Response) -> bool {
    response.field("Content-Length").is_some_and(|v| v != "0") || response.field("Transfer-Encoding").is_some()
}

async fn echoed(link: &mut Link, until: Instant) -> Verdict {
    match link.hear(until).await {
        Heard::Said(Incoming::Message { binary: false, payload, .. }) if payload == b"hello" => Verdict::plain(Outcome::Pass, "101, echo"),
        Heard::Said(other) => Verdict::plain(Outcome::Fail, format!("101, but instead of the echo: {other:?}")),
        Heard::Ended(how) => Verdict::plain(Outcome::Fail, format!("101, then {how}")),
        Heard::Silence => Verdict::plain(Outcome::Fail, "101, but the frame behind the request was lost"),
    }
}

/// Greets correctly and says whether that works: the first thing to know of a server.
///
/// # Errors
/// [`Closed`].
pub async fn greet(bench: &Bench) -> Result<(), Closed> {
    bench.open("survey", None).await.map(drop)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn response(status: u16, fields: &[(&str, &str)]) -> Came {
        let fields = fields.iter().map(|(n, v)| ((*n).to_owned(), (*v).to_owned())).collect();
        Came::Response(Response { status, fields, line: format!("HTTP/1.1 {status}") })
    }

    #[test]
    fn answers_are_judged_by_status_and_fields() {
        let request = Request::upgrade("h", "/", "dGhlIHNhbXBsZSBub25jZQ==", &[]);
        let case = |ok: Vec<Answer>, lax: Vec<Answer>| Handshake { ok, lax, ..Handshake::default() };
        let version = case(vec![Answer::WithVersion(426)], vec![Answer::Class(4)]);
        for (case, came, outcome) in [
            (&version, response(426, &[("Upgrade", "websocket"), ("Sec-WebSocket-Version", "13, 8")]), Outcome::Pass),
            (&version, response(426, &[("Sec-WebSocket-Version", "13")]), Outcome::NonStrict),
            (&version, response(400, &[]), Outcome::NonStrict),
            (&version, response(101, &[]), Outcome::Fail),
            (&version, Came::Dropped(String::new()), Outcome::Fail),
            (&case(vec![Answer::Dropped], vec![]), Came::Dropped(String::new()), Outcome::Pass),
            (&case(vec![Answer::Dropped], vec![]), Came::Nothing, Outcome::Fail),
            (&case(vec![Answer::Upgraded], vec![]), response(101, &[]), Outcome::Fail),
        ] {
            assert_eq!(judge(case, &request, &came).outcome, outcome);
        }
    }

    #[test]
    fn edits_do_what_they_say() {
        let mut request = Request::upgrade("h", "/p", "k", &[]);
        let edits = [Edit::Lower, Edit::Absolute, Edit::Query("a=1".to_owned()), Edit::Spaced("upgrade".to_owned()), Edit::Flood(2)];
        apply(&edits, &mut request, "h:1", false);
        let text = String::from_utf8_lossy(&request.octets()).into_owned();
        assert!(text.starts_with("GET http://h:1/p?a=1 HTTP/1.1\r\nhost: h\r\n"), "{text}");
        assert!(text.contains("upgrade : WebSocket\r\n") && text.contains("X-Field-1: v\r\n"));
    }
}
