//! Keeps secrets out of everything that is printed or written: user and query of URLs (a proxy's and those of HTTP requests too),
//! the values of header fields, tokens offered as subprotocols, keys, and variables that any of these are made of. What was hidden
//! is known afterwards, for a server may say it again.

use std::collections::BTreeSet;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use crate::base::{redact_url_but, secrets_of_url};
use crate::report::Report;
use crate::scenario::Scenario;
use crate::scenario::model::{Address, Auth, Compute, Connection, Proxy, ScriptStep, Target, Template, Via};

/// Header fields whose values are no credentials. All others are hidden: which field a service takes its token from is its own
/// choice, and no list of those would ever be whole.
const HARMLESS: [&str; 21] = [
    "accept",
    "accept-charset",
    "accept-encoding",
    "accept-language",
    "cache-control",
    "connection",
    "content-encoding",
    "content-length",
    "content-type",
    "date",
    "dnt",
    "expect",
    "host",
    "origin",
    "pragma",
    "sec-websocket-extensions",
    "sec-websocket-version",
    "te",
    "upgrade",
    "user-agent",
    "via",
];

/// Words of a subprotocol that a token follows: browsers can send no header, so tokens travel as `bearer.TOKEN`.
const HERALDS: [&str; 9] = ["bearer", "token", "auth", "authorization", "access", "apikey", "jwt", "secret", "ticket"];

/// The scenario as it may be shown.
pub(super) fn redacted(scenario: &Scenario) -> Scenario {
    Hiding::of(scenario).0
}

/// What must not be shown and may come back in a server's words.
#[derive(Debug, Default)]
pub(super) struct Secrets(BTreeSet<String>);

/// Shorter values would be found in words that have nothing to do with them.
const SHORTEST: usize = 6;

impl Secrets {
    /// Of a scenario: what [`redacted`] hides, and what the environment gives for it.
    pub(super) fn of(scenario: &Scenario) -> Self {
        Hiding::of(scenario).1.found
    }

    /// Of a URL and header fields given on the command line.
    pub(super) fn given<'a>(url: &str, headers: impl IntoIterator<Item = (&'a str, &'a str)>) -> Self {
        let mut found = Self::default();
        found.note_url(url);
        headers.into_iter().filter(|(name, _)| !is_harmless(name)).for_each(|(_, value)| found.note(value));
        found
    }

    /// A text from the network without them.
    pub(super) fn hide(&self, text: &mut String) {
        // The longest first: one may be part of another.
        let mut all: Vec<&String> = self.0.iter().filter(|secret| text.contains(secret.as_str())).collect();
        all.sort_by_key(|secret| std::cmp::Reverse(secret.len()));
        for secret in all {
            *text = text.replace(secret.as_str(), "***");
        }
    }

    /// A report without them where it quotes the server, and where it names the subprotocols offered.
    pub(super) fn hide_in(&self, report: &mut Report) {
        for finding in &mut report.findings {
            self.hide(&mut finding.note);
            if finding.check == "subprotocol" {
                self.hide(&mut finding.expected);
            }
            finding.witnesses.iter_mut().for_each(|witness| self.hide(&mut witness.what));
        }
        report.summary.connections.greeting_sample.iter_mut().for_each(|sample| self.hide(sample));
    }

    fn note_url(&mut self, url: &str) {
        let secrets = secrets_of_url(url);
        secrets.iter().for_each(|secret| self.note(secret));
        if let Some(user) = secrets.first() {
            self.note(&STANDARD.encode(user));
        }
    }

    /// Notes a value: whole where it has no variables, else its pieces and what the environment has for its variables.
    fn note(&mut self, value: &str) {
        let mut add = |piece: &str| {
            if piece.chars().count() >= SHORTEST && !["Bearer", "Digest"].contains(&piece) {
                self.0.insert(piece.to_owned());
            }
        };
        let (texts, names) = pieces(value);
        for text in texts {
            add(text.trim());
            text.split_whitespace().for_each(&mut add);
        }
        for name in names.into_iter().filter_map(|name| name.strip_prefix("env.")) {
            std::env::var(name).iter().for_each(|value| add(value));
        }
    }
}

/// A scenario on its way to be shown.
#[derive(Default)]
struct Hiding {
    found: Secrets,
    /// Variables that what is hidden is made of.
    names: BTreeSet<String>,
}

impl Hiding {
    fn of(scenario: &Scenario) -> (Scenario, Self) {
        let (mut shown, mut hiding) = (scenario.clone(), Self::default());
        if let Target::Url(url) = &mut shown.target {
            *url = Address::literal(&hiding.url(url.as_str()));
        }
        for group in &mut shown.groups {
            hiding.connection(&mut group.connection);
            hiding.subprotocols(&mut group.subprotocols);
            for step in &mut group.behaviour.script {
                if let ScriptStep::Http(request) = step {
                    hiding.template_url(&mut request.url);
                    hiding.headers(&mut request.headers);
                }
            }
        }
        if let Some(Via::Http(request)) = shown.publish.as_mut().map(|publish| &mut publish.via) {
            hiding.template_url(&mut request.url);
            hiding.headers(&mut request.headers);
        }
        hiding.vars(&mut shown);
        (shown, hiding)
    }

    fn connection(&mut self, connection: &mut Connection) {
        self.headers(&mut connection.headers);
        connection.url.iter_mut().for_each(|url| self.template_url(url));
        if let Proxy::Url(url) = &mut connection.proxy {
            *url = self.url(url);
        }
        connection.cookies.iter_mut().chain(&mut connection.query).for_each(|(_, value)| self.value(value));
        match &mut connection.auth {
            Some(Auth::Bearer(secret)) => self.value(secret),
            Some(Auth::Basic { user, password }) => {
                self.found.note(&STANDARD.encode(format!("{}:{}", user.as_str(), password.as_str())));
                self.value(password);
            }
            None => {}
        }
    }

    fn headers(&mut self, headers: &mut [(String, Template)]) {
        headers.iter_mut().filter(|(name, _)| !is_harmless(name)).for_each(|(_, value)| self.value(value));
    }

    fn template_url(&mut self, url: &mut Template) {
        let shown = self.url(url.as_str());
        if shown != url.as_str() {
            *url = Template::literal(&shown);
        }
    }

    fn url(&mut self, url: &str) -> String {
        self.found.note_url(url);
        secrets_of_url(url).into_iter().for_each(|secret| self.names_in(secret));
        without_secrets(url)
    }

    /// A value that is made of variables alone (`{env.TOKEN}`, `{token}`) tells no secret and stays.
    fn value(&mut self, value: &mut Template) {
        self.found.note(value.as_str());
        self.names_in(value.as_str());
        if !tells_nothing(value.as_str()) {
            *value = Template::literal("***");
        }
    }

    fn names_in(&mut self, text: &str) {
        self.names.extend(pieces(text).1.into_iter().map(str::to_owned));
    }

    /// Those offered stay apart from one another, since none may be offered twice.
    fn subprotocols(&mut self, offered: &mut [String]) {
        let mut heralded = false;
        for i in 0..offered.len() {
            let secret = if heralded { Some(0) } else { token_in(&offered[i]) };
            heralded = HERALDS.contains(&offered[i].split(['_', '-', '.']).next_back().unwrap_or_default().to_ascii_lowercase().as_str());
            let Some(begins) = secret else { continue };
            self.found.note(&offered[i][begins..]);
            let shown = format!("{}***", &offered[i][..begins]);
            let taken = |name: &String| offered.iter().enumerate().any(|(j, other)| j != i && other == name);
            let name = (1..).map(|n| if n == 1 { shown.clone() } else { format!("{shown}{n}") }).find(|name| !taken(name));
            offered[i] = name.unwrap_or(shown);
        }
    }

    /// Keys, and the texts of variables that are called like a secret or are part of one. Later ones are made of earlier ones.
    fn vars(&mut self, shown: &mut Scenario) {
        for variable in shown.vars.iter_mut().rev() {
            if let Some(Compute::HmacSha256(key)) = &mut variable.compute {
                self.value(key);
            }
            if self.names.contains(&variable.name) || sounds_secret(&variable.name) {
                self.value(&mut variable.of);
            }
        }
    }
}

fn is_harmless(header: &str) -> bool {
    HARMLESS.contains(&header.to_ascii_lowercase().as_str())
}

/// Where the token begins in a subprotocol that has one.
fn token_in(subprotocol: &str) -> Option<usize> {
    if subprotocol.starts_with("eyJ") {
        return Some(0); // A JSON Web Token without a herald.
    }
    let separators = |c: char| !c.is_ascii_alphanumeric();
    let mut begins = 0;
    for word in subprotocol.split_inclusive(separators) {
        begins += word.len();
        if HERALDS.contains(&word.trim_end_matches(separators).to_ascii_lowercase().as_str()) {
            return (begins < subprotocol.len()).then_some(begins);
        }
    }
    None
}

fn sounds_secret(name: &str) -> bool {
    let name = name.to_ascii_lowercase();
    ["token", "secret", "passw", "credential", "auth", "jwt", "apikey", "bearer"].iter().any(|word| name.contains(word))
        || name.split(['_', '-']).any(|word| ["key", "pin", "pw", "pwd", "sid", "session", "cookie"].contains(&word))
}

/// A URL whose user, and whose values in the query, are hidden unless they are made of variables: what a run did stays readable.
pub(super) fn without_secrets(url: &str) -> String {
    redact_url_but(url, tells_nothing)
}

/// Whether it is made of variables alone, with at most punctuation between them.
fn tells_nothing(value: &str) -> bool {
    let (texts, names) = pieces(value);
    !names.is_empty() && texts.iter().all(|text| !text.contains(char::is_alphanumeric))
}

/// The texts of a template, and the names of the variables between them.
fn pieces(value: &str) -> (Vec<&str>, Vec<&str>) {
    let (mut texts, mut names, mut rest) = (Vec::new(), Vec::new(), value);
    let mut begins = 0;
    while let Some(open) = rest[begins..].find('{').map(|open| begins + open) {
        let inner = rest[open + 1..].split('}').next().unwrap_or_default();
        let variable = rest[open + 1 + inner.len()..].starts_with('}')
            && !inner.is_empty()
            && inner.chars().all(|c| c.is_ascii_alphanumeric() || "._-|".contains(c));
        if variable && !rest[..open].ends_with('{') {
            texts.push(&rest[..open]);
            names.push(inner.split('|').next().unwrap_or(inner));
            rest = &rest[open + inner.len() + 2..];
            begins = 0;
        } else {
            begins = open + 1;
        }
    }
    texts.push(rest);
    texts.retain(|text| !text.is_empty());
    (texts, names)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls_lose_users_and_values_and_keep_variables() {
        for (url, shown) in [
            ("http://user:secret@proxy:3128", "http://***@proxy:3128"),
            ("https://h/login?user=me&key=secret&room={room}", "https://h/login?user=***&key=***&room={room}"),
            ("https://{env.USER}@h/{room}", "https://{env.USER}@h/{room}"),
            ("/path?s3cret", "/path?***"),
            ("/path?{token}", "/path?{token}"),
        ] {
            assert_eq!(without_secrets(url), shown);
        }
    }

    #[test]
    fn nothing_that_is_secret_is_left_in_a_scenario() {
        let text = r#"
name = "secrets"
[target]
url = "wss://user:s3cret@h/ws?token=s3cret"
proxy = "http://user:s3cret@proxy:3128"
headers = { Authorization = "s3cret", X-Api-Key = "s3cret" }
cookies = { sid = "s3cret" }
query = { token = "s3cret" }
[[clients]]
name = "all"
count = 2
script = [{ http = { method = "POST", url = "https://s3cret@h/login?key=s3cret", headers = { Cookie = "s3cret" } } }]
[publish]
via = "http"
url = "https://h/publish?key=s3cret"
headers = { Authorization = "s3cret" }
body = "{stamp}"
pace = "1/s"
[phases]
steady = "1s"
"#;
        let scenario = crate::scenario::parse(text, "secrets.toml").unwrap_or_else(|error| panic!("{error}"));
        let shown = redacted(&scenario).to_toml();
        assert!(!shown.contains("s3cret"), "{shown}");
    }

    #[test]
    fn a_header_that_is_not_known_to_be_harmless_is_hidden() {
        for name in ["X-Access-Token", "X-Secret", "X-CSRF-Token", "X-Vault-Token", "Private-Token", "Ocp-Apim-Subscription-Key", "X-Own"] {
            let shown = shown(&format!("[target]\nurl = \"ws://h/\"\nheaders = {{ {name} = \"s3cret\", User-Agent = \"me/1\" }}\n"));
            assert!(!shown.contains("s3cret") && shown.contains("me/1"), "{shown}");
        }
    }

    #[test]
    fn keys_and_variables_that_secrets_are_made_of_are_hidden() {
        let text = r#"
[target]
url = "ws://h/?t={given}&s={signed}"
headers = { X-Sign = "{made}" }
[vars]
deep = "s3cret-a"
made = "{deep}"
given = "s3cret-b"
api_token = "s3cret-c"
signed = { hmac_sha256 = "{client.id}:{now_ms}", key = "s3cret-d" }
colour = "green"
"#;
        let shown = shown(text);
        assert!(!shown.contains("s3cret"), "{shown}");
        for kept in ["{given}", "{signed}", "{made}", "{deep}", "{client.id}:{now_ms}", "green"] {
            assert!(shown.contains(kept), "{kept} is not in {shown}");
        }
    }

    #[test]
    fn a_token_offered_as_a_subprotocol_is_hidden() {
        for (offered, kept) in [
            (r#"["chat", "bearer.s3cret"]"#, r#"["chat", "bearer.***"]"#),
            (r#"["base64url.bearer.authorization.k8s.io.s3cret"]"#, r#"["base64url.bearer.***"]"#),
            (r#"["access_token", "s3cret"]"#, r#"["access_***", "***"]"#),
            (r#"["auth-s3cret1", "auth-s3cret2"]"#, r#"["auth-***", "auth-***2"]"#),
            (r#"["graphql-transport-ws", "mqtt"]"#, r#"["graphql-transport-ws", "mqtt"]"#),
        ] {
            let shown = shown(&format!("subprotocols = {offered}\n"));
            let list: toml::Table = shown.parse().expect("it is TOML");
            assert_eq!(list["clients"][0]["subprotocols"].to_string(), kept, "{shown}");
        }
    }

    #[test]
    fn text_between_variables_is_no_variable() {
        assert_eq!(without_secrets("/p?a={room}s3cret{room}&b={{s3cret}}&c={a}-{b}"), "/p?a=***&b=***&c={a}-{b}");
    }

    #[test]
    fn a_secret_that_a_server_says_again_is_hidden() {
        let headers = "headers = { Authorization = \"Bearer S3CRET3\" }\nquery = { short = \"abc\" }";
        let text = with_phases(&format!("[target]\nurl = \"ws://u:S3CRET4@h/?t=S3CRET5\"\n{headers}\n"));
        let scenario = crate::scenario::parse(&text, "secrets.toml").unwrap_or_else(|error| panic!("{error}"));
        let mut said = "HTTP 401 no Authorization: Bearer S3CRET3, S3CRET4 S3CRET5 abc".to_owned();
        Secrets::of(&scenario).hide(&mut said);
        assert_eq!(said, "HTTP 401 no Authorization: ***, *** *** abc");
    }

    fn with_phases(text: &str) -> String {
        format!("name = \"secrets\"\n[clients]\ncount = 2\n{text}\n[phases]\nsteady = \"1s\"\n")
    }

    /// A scenario as it is shown; it must be read again, by `judge`.
    fn shown(text: &str) -> String {
        let read = |text: &str| crate::scenario::parse(text, "secrets.toml").unwrap_or_else(|error| panic!("{error}"));
        let shown = redacted(&read(&with_phases(text))).to_toml();
        read(&shown);
        shown
    }
}
