//! URLs as they may be shown. On the ground floor because every floor above quotes URLs: reports, diagnostics, both clients.

/// A URL fit to be shown: user and password, and the values of the query (where tokens travel), become `***`.
#[must_use]
pub fn redact_url(url: &str) -> String {
    redact_url_but(url, |_| false)
}

/// The same, but for the users and values that `tells_nothing` lets through, such as a scenario's variables.
#[must_use]
pub fn redact_url_but(url: &str, tells_nothing: impl Fn(&str) -> bool) -> String {
    let (user, rest) = after_user(url);
    let scheme = &url[..user.start];
    let user = match &url[user.clone()] {
        "" => String::new(),
        user if tells_nothing(user.trim_end_matches('@')) => user.to_owned(),
        _ => "***@".to_owned(),
    };
    let rest = rest.split_once('#').map_or(rest, |(before, _)| before);
    let rest = rest.split_once('?').map_or_else(
        || rest.to_owned(),
        |(path, query)| {
            let hidden = |pair: &str| match pair.split_once('=') {
                _ if tells_nothing(pair.split_once('=').map_or(pair, |(_, value)| value)) => pair.to_owned(),
                Some((key, _)) => format!("{key}=***"),
                None => "***".to_owned(),
            };
            format!("{path}?{}", query.split('&').map(hidden).collect::<Vec<_>>().join("&"))
        },
    );
    format!("{scheme}{user}{rest}")
}

/// What a URL has that must not be shown, as it stands there: user and password with the password once more by itself, and the
/// values of the query.
#[must_use]
pub fn secrets_of_url(url: &str) -> Vec<&str> {
    let (user, rest) = after_user(url);
    let user = url[user].trim_end_matches('@');
    let mut found = vec![user];
    found.extend(user.split_once(':').map(|(_, password)| password));
    let query = rest.split_once('#').map_or(rest, |(before, _)| before).split_once('?').map_or("", |(_, query)| query);
    found.extend(query.split('&').map(|pair| pair.split_once('=').map_or(pair, |(_, value)| value)));
    found.retain(|secret| !secret.is_empty());
    found
}

/// Where the user stands, its `@` included, and what follows. In what is no URL everything before the last `@` may be a
/// password: a slash in one ends the authority, and a scheme misspelt hides where it begins.
fn after_user(url: &str) -> (std::ops::Range<usize>, &str) {
    let begins = scheme_of(url);
    let rest = &url[begins..];
    if on_socket(url) {
        return (begins..begins, rest);
    }
    let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
    let whole = url[..begins].ends_with("://") && rest[..end].rsplit('@').next().is_some_and(is_host);
    let path_alone = begins == 0 && url.starts_with('/') && !url.starts_with("//");
    let at = match rest[..end].rfind('@') {
        found if whole => found,
        _ if path_alone => None,
        _ => rest.rfind('@'),
    };
    let ends = at.map_or(begins, |at| begins + at + 1);
    (begins..ends, &url[ends..])
}

/// How long the scheme is, with the colon and the slashes that follow it.
fn scheme_of(url: &str) -> usize {
    let Some((scheme, rest)) = url.split_once(':') else { return 0 };
    let named = !scheme.is_empty() && scheme.chars().all(|c| c.is_ascii_alphanumeric() || "+-.".contains(c));
    let slashes = rest.len() - rest.trim_start_matches('/').len();
    if named && slashes > 0 { scheme.len() + 1 + slashes.min(2) } else { 0 }
}

fn on_socket(url: &str) -> bool {
    ["ws+unix:", "wss+unix:"].iter().any(|scheme| url.get(..scheme.len()).is_some_and(|s| s.eq_ignore_ascii_case(scheme)))
}

/// Whether it can be a host with or without its port; a variable can be anything.
fn is_host(authority: &str) -> bool {
    let (host, port) = match authority.strip_prefix('[').and_then(|inner| inner.split_once(']')) {
        Some((host, rest)) => (host, rest.strip_prefix(':').or((!rest.is_empty()).then_some(rest))),
        None => authority.split_once(':').map_or((authority, None), |(host, port)| (host, Some(port))),
    };
    !host.is_empty() && port.is_none_or(|port| port.contains('{') || port.parse::<u16>().is_ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls_lose_their_secrets_and_nothing_else() {
        for (url, shown) in [
            ("ws://127.0.0.1:3000", "ws://127.0.0.1:3000"),
            ("wss://me:pw@chat.example.com/ws/a", "wss://***@chat.example.com/ws/a"),
            ("wss://p@ss@host/ws?token=abc&flag&v=2#frag", "wss://***@host/ws?token=***&***&v=***"),
            ("wss://host?x=a@b", "wss://host?x=***"),
            ("ws://h/p@q", "ws://h/p@q"),
            ("ws://[::1]:80/p@q", "ws://[::1]:80/p@q"),
            ("ws://h:{env.PORT}/@me", "ws://h:{env.PORT}/@me"),
            ("/@me?key=abc", "/@me?key=***"),
            ("ws+unix:///run/a@b.sock:/ws?token=abc", "ws+unix:///run/a@b.sock:/ws?token=***"),
            ("localhost:3000", "localhost:3000"),
        ] {
            assert_eq!(redact_url(url), shown);
        }
    }

    #[test]
    fn what_is_no_url_shows_no_password_either() {
        for (url, shown) in [
            ("u:S3CRET@h/x", "***@h/x"),
            ("ws:/u:S3CRET@h/", "ws:/***@h/"),
            ("ws:u:S3CRET@h/", "***@h/"),
            ("//u:S3CRET@h/", "***@h/"),
            ("ws://u:pa/S3CRET@127.0.0.1:1/", "ws://***@127.0.0.1:1/"),
            ("ws://u:pa#S3CRET@h/?t=S3CRET", "ws://***@h/?t=***"),
            ("ws://u:pa?S3CRET@h/", "ws://***@h/"),
            ("ws://u:S3CRET@h:99999/", "ws://***@h:99999/"),
            ("é://u:S3CRET@h/", "***@h/"),
        ] {
            assert_eq!(redact_url(url), shown, "{url}");
        }
    }

    #[test]
    fn the_secrets_of_a_url_are_known_one_by_one() {
        assert_eq!(secrets_of_url("ws://u:pw@h/p?a=1&b&c=#f=2"), ["u:pw", "pw", "1", "b"]);
        assert!(secrets_of_url("ws://h/p").is_empty());
    }
}
