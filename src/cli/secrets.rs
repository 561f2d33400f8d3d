//! Keeps secrets out of everything that is printed or written: user and query of URLs, and the values of header fields that
//! carry credentials.

use crate::report::redact_url;
use crate::scenario::Scenario;
use crate::scenario::model::Target;

/// Header fields whose values are credentials.
const SECRET: [&str; 6] = ["authorization", "proxy-authorization", "cookie", "x-api-key", "x-auth-token", "api-key"];

/// The scenario as it may be shown.
pub(super) fn redacted(scenario: &Scenario) -> Scenario {
    let mut shown = scenario.clone();
    if let Target::Url(url) = &mut shown.target {
        *url = redact_url(url);
    }
    for group in &mut shown.groups {
        for (name, value) in &mut group.headers {
            if SECRET.contains(&name.to_ascii_lowercase().as_str()) {
                "***".clone_into(value);
            }
        }
    }
    shown
}
