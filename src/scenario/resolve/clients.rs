//! `[target]` and `[clients]`.

use super::super::error::{At, Source};
use super::super::model::{
    Address, Auth, Behaviour, ClientGroup, Connection, Greeting, Proxy, Scenario, ScriptStep, Target, Template, unix_socket,
};
use super::super::schema;
use super::super::schema::session::{AuthTable, ConnectionKeys};
use super::super::template::Names;
use super::super::typed::{Named, Reader, Spot};
use super::language::{believed, named, template};
use super::matcher::matcher;
use super::{behaviour, value};
use crate::base::{Rate, Span, redact_url};

/// How long to wait for a greeting that is expected.
const GREETING_WITHIN: Span = Span::from_secs(5);

pub(super) fn resolve(document: &schema::Document, names: &Names, r: &mut Reader) -> Option<(Target, Vec<ClientGroup>)> {
    let target = match document.target.as_ref().and_then(|t| t.url.as_ref()) {
        Some(spot) => address(spot, names, r).map(Target::Url),
        None => Some(Target::BuiltIn),
    };
    let of_all = match &target {
        Some(Target::Url(url)) => Some(url.template()),
        _ => None,
    };
    let Some(clients) = &document.clients else {
        r.fail(&At::default(), "nobody connects: there are no clients", "write `[clients]` and `count = 1000`");
        return None;
    };
    if clients.0.is_empty() {
        r.fail(&clients.at, "nobody connects: the list of clients is empty", "write `[clients]` and `count = 1000`");
        return None;
    }
    let alone = clients.0.len() == 1;
    let groups: Vec<_> = clients.0.iter().enumerate().filter_map(|(i, g)| group(document, g, (i, alone), of_all, names, r)).collect();
    names_differ(&groups, &clients.0, r);
    let total: u64 = groups.iter().map(|g| u64::from(g.count)).sum();
    if total > u64::from(LIMIT) {
        r.fail(&clients.at, format!("{total} clients are more than one run can hold"), format!("at most {LIMIT}"));
        return None;
    }
    let all = groups.len() == clients.0.len();
    target.filter(|_| all).map(|target| (target, groups))
}

/// More connections than any one plan drives; books and ids are dense, so a slip of the keyboard must not ask for terabytes.
const LIMIT: u32 = 10_000_000;

fn names_differ(groups: &[ClientGroup], typed: &[Spot<schema::Clients>], r: &mut Reader) {
    for (i, group) in groups.iter().enumerate() {
        if let (true, Some(spot)) = (groups[..i].iter().any(|g| g.name == group.name), typed.get(i)) {
            let at = spot.name.as_ref().map_or(&spot.at, |n| &n.at);
            r.fail(at, format!("two groups are called `{}`", group.name), "give each group of clients its own name");
        }
    }
}

fn group(
    document: &schema::Document,
    typed: &Spot<schema::Clients>,
    (i, alone): (usize, bool),
    of_all: Option<&Template>,
    names: &Names,
    r: &mut Reader,
) -> Option<ClientGroup> {
    let count = match &typed.count {
        Some(count) if count.value == 0 => {
            r.fail(&count.at, "zero clients: nobody would be there to receive anything", "write how many connect: at least 1");
            None
        }
        Some(count) => Some(count.value),
        None => {
            r.fail(&typed.at, "how many clients?", "write `count = 1000`");
            None
        }
    };
    let keys = Keys { own: typed.connection(), shared: document.target.as_ref().map(|t| t.connection()).unwrap_or_default() };
    let connect_timeout = keys.pick(|k| k.connect_timeout);
    if let Some(timeout) = connect_timeout
        && timeout.is_zero()
    {
        r.fail(&timeout.at, "no handshake takes no time", "write a limit such as \"10s\"");
    }
    let subprotocols = keys.pick(|k| k.subprotocols).map_or(&[][..], |s| &s.value[..]);
    for (n, spot) in subprotocols.iter().enumerate() {
        subprotocol(spot, &subprotocols[..n], r);
    }
    let greeting = match &typed.greeting {
        None => Some(Greeting::Any),
        Some(spot) => greeting(spot, names, r),
    };
    let connection = connection(typed, keys, names, r);
    let behaviour = behaviour::behaviour(document, typed, names, r);
    let (count, connection, behaviour) = (count?, connection?, behaviour?);
    let own = connection.templates().into_iter().map(|template| (template, &typed.at));
    let shared = document.target.as_ref().and_then(|t| t.url.as_ref()).zip(of_all.filter(|_| connection.url.is_none()));
    let templates = own.chain(shared.map(|(spot, url)| (url, &spot.at))).collect();
    handshake_needs(templates, &behaviour, names, r);
    if let (false, Some(spot)) = (behaviour.script.is_empty(), &typed.greeting) {
        r.fail(
            &spot.at,
            "a script and a greeting: which says when the client is ready?",
            "make the greeting the script's first step: { expect = … }",
        );
    }
    Some(ClientGroup {
        name: value(&typed.name).unwrap_or_else(|| if alone { "clients".into() } else { format!("clients-{}", i + 1) }),
        count,
        connect_rate: value(&typed.connect_rate).or(Rate::per_second(500))?,
        connect_timeout: connect_timeout.map_or(Span::from_secs(10), |t| t.value),
        greeting: greeting?,
        connection,
        behaviour,
        receives: value(&typed.receives).unwrap_or(true),
        subprotocols: subprotocols.iter().map(|s| s.value.clone()).collect(),
        insecure: keys.pick(|k| k.insecure).is_some_and(|i| i.value),
    })
}

/// The connection keys of a group, and those of `[target]` for what it leaves out.
#[derive(Clone, Copy)]
struct Keys<'a> {
    own: ConnectionKeys<'a>,
    shared: ConnectionKeys<'a>,
}

impl<'a> Keys<'a> {
    fn pick<T>(&self, key: impl Fn(&ConnectionKeys<'a>) -> Option<&'a T>) -> Option<&'a T> {
        key(&self.own).or(key(&self.shared))
    }

    /// Names with values: the group's own go before those of `[target]` with the same name.
    fn both(
        &self,
        key: impl Fn(&ConnectionKeys<'a>) -> Option<&'a Spot<Named<String>>>,
        names: &Names,
        r: &mut Reader,
    ) -> Vec<(String, Template)> {
        let own = named(key(&self.own), names, r);
        let shared = named(key(&self.shared), names, r);
        let kept = shared.into_iter().filter(|(name, _)| !own.iter().any(|(n, _)| n.eq_ignore_ascii_case(name)));
        kept.chain(own.iter().cloned()).collect()
    }
}

fn connection(typed: &Spot<schema::Clients>, keys: Keys<'_>, names: &Names, r: &mut Reader) -> Option<Connection> {
    for (name, text) in [keys.own.headers, keys.shared.headers].into_iter().flatten().flat_map(|h| &h.0) {
        header(name, text, r);
    }
    let text = |spot: Option<&Spot<String>>, r: &mut Reader| spot.map_or(Some(None), |s| template(s, names, r).map(Some));
    let url = text(typed.url.as_ref(), r)?;
    if let (Some(spot), Some(url)) = (&typed.url, &url)
        && !url.begins_with_variable()
        && !is_url(spot, &url.sample("1"), r)
    {
        return None;
    }
    let tls_client = match (keys.pick(|k| k.tls_cert), keys.pick(|k| k.tls_key)) {
        (Some(cert), Some(key)) => Some((cert.value.clone(), key.value.clone())),
        (None, None) => None,
        (one, other) => {
            let at = one.or(other).map_or_else(At::default, |s| s.at.clone());
            r.fail(&at, "a client certificate needs its key, and a key its certificate", "write both `tls_cert` and `tls_key`");
            return None;
        }
    };
    let proxy = match keys.pick(|k| k.proxy) {
        None => Proxy::None,
        Some(spot) if spot.value == "env" => Proxy::Environment,
        Some(spot) if spot.starts_with("http://") && spot.parse::<http::Uri>().is_ok() => Proxy::Url(spot.value.clone()),
        Some(spot) => {
            r.fail(&spot.at, format!("`{}` is not a proxy", bare(spot)), "write \"env\", or \"http://host:port\"");
            return None;
        }
    };
    let plain = |spot: Option<&Spot<String>>| spot.map(|s| s.value.clone());
    Some(Connection {
        url,
        path: text(keys.pick(|k| k.path), r)?,
        query: keys.both(|k| k.query, names, r),
        headers: keys.both(|k| k.headers, names, r),
        cookies: keys.both(|k| k.cookies, names, r),
        origin: text(keys.pick(|k| k.origin), r)?,
        auth: auth(keys.pick(|k| k.auth), names, r)?,
        host: plain(keys.pick(|k| k.host)),
        sni: plain(keys.pick(|k| k.sni)),
        tls_roots: plain(keys.pick(|k| k.tls_roots)),
        tls_client,
        deflate: keys.pick(|k| k.deflate).is_some_and(|d| d.value),
        proxy,
    })
}

fn auth(spot: Option<&Spot<AuthTable>>, names: &Names, r: &mut Reader) -> Option<Option<Auth>> {
    let Some(spot) = spot else { return Some(None) };
    match (&spot.basic, &spot.bearer) {
        (None, Some(token)) => template(token, names, r).map(|token| Some(Auth::Bearer(token))),
        (Some(pair), None) if pair.len() == 2 => {
            let (user, password) = (template(&pair[0], names, r)?, template(&pair[1], names, r)?);
            Some(Some(Auth::Basic { user, password }))
        }
        _ => {
            r.fail(
                &spot.at,
                "credentials of no kind",
                "write `auth = { basic = [\"user\", \"password\"] }` or `auth = { bearer = \"…\" }`",
            );
            None
        }
    }
}

/// When the handshake is written, only the requests at the head of the script have been answered.
fn handshake_needs(templates: Vec<(&Template, &At)>, behaviour: &Behaviour, names: &Names, r: &mut Reader) {
    let mut known = Vec::new();
    for step in behaviour.script.iter().take(behaviour.prelude()) {
        if let ScriptStep::Http(http) = step {
            known.extend(http.captures.iter().map(|c| c.slot));
        }
    }
    for (template, at) in templates {
        if template.of_publication() {
            let what = format!("`{}` has variables of publications in a handshake", template.as_str());
            r.fail(at, what, "use {client.id}, {room}, {env.NAME}, columns, or what an http step at the head of the script captured");
        }
        behaviour::needs(vec![template], &known, at, names, r);
    }
}

fn greeting(spot: &Spot<schema::Greeting>, names: &Names, r: &mut Reader) -> Option<Greeting> {
    match &spot.value {
        schema::Greeting::Nothing => Some(Greeting::None),
        schema::Greeting::Match(matched) => {
            let within = match matched {
                schema::Match::Table(table) => value(&table.within),
                schema::Match::Text(_) => None,
            };
            let matches = matcher(matched, &spot.at, true, names, r)?;
            behaviour::needs(matches.templates(), &[], &spot.at, names, r);
            Some(Greeting::Expected { matches, within: within.unwrap_or(GREETING_WITHIN) })
        }
    }
}

/// Headers the handshake writes itself (RFC 6455 section 4.1).
const RESERVED: [&str; 7] = [
    "upgrade",
    "connection",
    "sec-websocket-key",
    "sec-websocket-version",
    "sec-websocket-protocol",
    "sec-websocket-extensions",
    "content-length",
];

fn header(name: &str, text: &Spot<String>, r: &mut Reader) {
    if http::HeaderName::from_bytes(name.as_bytes()).is_err() {
        r.fail(&text.at, format!("{name:?} is not the name of a header"), "a name has letters, digits and hyphens");
    } else if RESERVED.contains(&name.to_ascii_lowercase().as_str()) {
        let help = if name.eq_ignore_ascii_case("sec-websocket-protocol") { "write `subprotocols = [\"…\"]`" } else { "leave it out" };
        r.fail(&text.at, format!("the handshake writes `{name}` itself"), help);
    }
    if http::HeaderValue::from_str(text).is_err() {
        r.fail(
            &text.at,
            format!("the value of `{name}` has characters no header may have"),
            "leave out line breaks and control characters",
        );
    }
}

fn subprotocol(spot: &Spot<String>, earlier: &[Spot<String>], r: &mut Reader) {
    // RFC 6455 section 4.1: tokens of RFC 2616, all different.
    if http::HeaderName::from_bytes(spot.as_bytes()).is_err() {
        r.fail(&spot.at, format!("{:?} is not a subprotocol", spot.value), "a token: letters, digits and .-_+, no spaces or commas");
    } else if earlier.iter().any(|e| e.value == spot.value) {
        r.fail(&spot.at, format!("`{}` is offered twice", spot.value), "leave one out (RFC 6455 section 4.1)");
    }
}

/// Reads the target's URL.
fn address(spot: &Spot<String>, names: &Names, r: &mut Reader) -> Option<Address> {
    let address = believed(Address::parse(spot, names), &spot.at, r)?;
    address.sample().is_none_or(|plain| is_url(spot, &plain, r)).then_some(address)
}

/// Whether a URL is one; `plain` is the same with something for its variables.
fn is_url(spot: &Spot<String>, plain: &str, r: &mut Reader) -> bool {
    let Err((what, help)) = target_url(plain, &bare(spot)) else { return true };
    r.fail(&spot.at, what, help);
    false
}

/// A URL without user and query, which may hold secrets.
pub(super) fn bare(url: &str) -> String {
    let shown = redact_url(url);
    let (head, hidden) = shown.split_once('?').map_or((shown.as_str(), ""), |(head, _)| (head, "?…"));
    let fragment = if url.contains('#') { "#…" } else { "" };
    format!("{}{hidden}{fragment}", head.replacen("***@", "…@", 1))
}

/// Puts another target in the place of the scenario's own.
pub(super) fn instead(document: &mut schema::Document, url: &str, r: &mut Reader) {
    let source = r.sources.len();
    let text = if bare(url) == url { url } else { "" };
    r.sources.push(Source { name: "--url".into(), text: text.into() });
    let at = At { source, start: 0, end: text.len(), path: "".into() };
    let target = document.target.get_or_insert_with(|| Spot { value: schema::Target::default(), at: at.clone() });
    target.value.url = Some(Spot { value: url.into(), at });
}

/// Why a text cannot be a target, and what to write instead. RFC 6455 section 3: scheme ws or wss, a host, no fragment.
/// `shown` is the same as it may be shown.
fn target_url(text: &str, shown: &str) -> Result<(), (String, String)> {
    let no = |what: String, help: &str| Err((what, help.to_owned()));
    if text.is_empty() {
        return no("an empty text is no URL".into(), "write `ws://host:port/path`");
    }
    match unix_socket(text) {
        Some(Ok(_)) => return Ok(()),
        Some(Err(reason)) => return no(format!("`{shown}` names no Unix socket: {reason}"), "write `ws+unix:///run/app.sock:/path`"),
        None => {}
    }
    let scheme = text.split_once("://").map_or("", |(scheme, _)| scheme);
    let rest = shown.split_once("://").map_or(shown, |(_, rest)| rest);
    match scheme.to_ascii_lowercase().as_str() {
        "ws" | "wss" => {}
        "http" => return Err((format!("`{shown}` is not a WebSocket URL"), format!("write `ws://{rest}`"))),
        "https" => return Err((format!("`{shown}` is not a WebSocket URL"), format!("write `wss://{rest}`"))),
        "" => return Err((format!("`{shown}` has no scheme"), format!("write `ws://{rest}` or `wss://{rest}`"))),
        "wss+unix" => return no(format!("`{shown}`: there is no TLS on a Unix socket"), "write `ws+unix:///run/app.sock:/path`"),
        other => return Err((format!("`{}` is not ws or wss", bare(other)), format!("write `ws://{rest}` or `wss://{rest}`"))),
    }
    if text.contains('#') {
        return no(format!("`{shown}` has a fragment"), "leave out the `#` and what follows (RFC 6455 section 3)");
    }
    match text.parse::<http::Uri>() {
        Ok(uri) if uri.host().is_none_or(str::is_empty) => no(format!("`{shown}` names no host"), "write `ws://host:port/path`"),
        Ok(uri) if !port_is_one(&uri) => no(format!("`{shown}` has no valid port"), "a port is a number from 1 to 65535"),
        Ok(_) => Ok(()),
        Err(error) => no(format!("`{shown}` is not a URL: {error}"), "write `ws://host:port/path`"),
    }
}

/// Whether what stands behind the host is nothing or a port; `http` itself takes any digits.
fn port_is_one(uri: &http::Uri) -> bool {
    let authority = uri.authority().map_or("", http::uri::Authority::as_str);
    let address = authority.rsplit_once('@').map_or(authority, |(_, address)| address);
    let rest = address.strip_prefix(uri.host().unwrap_or_default()).unwrap_or_default();
    rest.is_empty() || rest.strip_prefix(':').is_some_and(|port| port.parse::<u16>().is_ok_and(|p| p > 0))
}

impl Scenario {
    /// Takes any TLS certificate, as `--insecure` asks.
    pub fn set_insecure(&mut self) {
        for group in &mut self.groups {
            group.insecure = true;
        }
    }
}
