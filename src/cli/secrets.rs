//! Keeps secrets out of everything that is printed or written: user and query of URLs (a proxy's and those of HTTP requests too),
//! and the values of header fields that carry credentials.

use crate::report::redact_url_but;
use crate::scenario::Scenario;
use crate::scenario::model::{Address, Auth, Connection, Proxy, ScriptStep, Target, Template, Via};

/// Header fields whose values are credentials.
const SECRET: [&str; 6] = ["authorization", "proxy-authorization", "cookie", "x-api-key", "x-auth-token", "api-key"];

/// The scenario as it may be shown.
pub(super) fn redacted(scenario: &Scenario) -> Scenario {
    let mut shown = scenario.clone();
    if let Target::Url(url) = &mut shown.target {
        *url = Address::literal(&without_secrets(url.as_str()));
    }
    for group in &mut shown.groups {
        redact(&mut group.connection);
        for step in &mut group.behaviour.script {
            if let ScriptStep::Http(request) = step {
                hide_url(&mut request.url);
                hide_headers(&mut request.headers);
            }
        }
    }
    if let Some(Via::Http(request)) = shown.publish.as_mut().map(|publish| &mut publish.via) {
        hide_url(&mut request.url);
        hide_headers(&mut request.headers);
    }
    shown
}

fn redact(connection: &mut Connection) {
    hide_headers(&mut connection.headers);
    if let Some(url) = &mut connection.url {
        hide_url(url);
    }
    if let Proxy::Url(url) = &mut connection.proxy {
        *url = without_secrets(url);
    }
    connection.cookies.iter_mut().chain(&mut connection.query).for_each(|(_, value)| hide(value));
    match &mut connection.auth {
        Some(Auth::Bearer(secret) | Auth::Basic { password: secret, .. }) => hide(secret),
        None => {}
    }
}

fn hide_headers(headers: &mut [(String, Template)]) {
    for (name, value) in headers {
        if SECRET.contains(&name.to_ascii_lowercase().as_str()) {
            hide(value);
        }
    }
}

fn hide_url(url: &mut Template) {
    let shown = without_secrets(url.as_str());
    if shown != url.as_str() {
        *url = Template::literal(&shown);
    }
}

/// A URL whose user, and whose values in the query, are hidden unless they hold variables: what a run did stays readable.
pub(super) fn without_secrets(url: &str) -> String {
    redact_url_but(url, |text| text.contains('{'))
}

/// A value that is one variable (`{env.TOKEN}`, `{token}`) tells no secret and stays.
fn hide(value: &mut Template) {
    let text = value.as_str();
    if !(text.starts_with('{') && text.ends_with('}')) {
        *value = Template::literal("***");
    }
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
}
