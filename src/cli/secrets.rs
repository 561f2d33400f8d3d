//! Keeps secrets out of everything that is printed or written: user and query of URLs, and the values of header fields that
//! carry credentials.

use crate::report::redact_url;
use crate::scenario::Scenario;
use crate::scenario::model::{Auth, Connection, Target, Template};

/// Header fields whose values are credentials.
const SECRET: [&str; 6] = ["authorization", "proxy-authorization", "cookie", "x-api-key", "x-auth-token", "api-key"];

/// The scenario as it may be shown.
pub(super) fn redacted(scenario: &Scenario) -> Scenario {
    let mut shown = scenario.clone();
    if let Target::Url(url) = &mut shown.target {
        *url = redact_url(url);
    }
    for group in &mut shown.groups {
        redact(&mut group.connection);
    }
    shown
}

fn redact(connection: &mut Connection) {
    for (name, value) in &mut connection.headers {
        if SECRET.contains(&name.to_ascii_lowercase().as_str()) {
            hide(value);
        }
    }
    connection.cookies.iter_mut().chain(&mut connection.query).for_each(|(_, value)| hide(value));
    match &mut connection.auth {
        Some(Auth::Bearer(secret) | Auth::Basic { password: secret, .. }) => hide(secret),
        None => {}
    }
}

/// A value that is one variable (`{env.TOKEN}`, `{token}`) tells no secret and stays.
fn hide(value: &mut Template) {
    let text = value.as_str();
    if !(text.starts_with('{') && text.ends_with('}')) {
        *value = Template::literal("***");
    }
}
