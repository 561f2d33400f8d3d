//! A target's URL. What stands in front of its path is the same for every client, since a run is against one server; the path and
//! the query may be each client's own.

use serde::{Serialize, Serializer};

use super::connection::ON_UNIX_SOCKET;
use super::template::{MissingValue, Names, Template, TemplateError, Vars};

/// A `ws://`, `wss://` or `ws+unix:` URL with variables. Equal when the texts are.
#[derive(Debug, Clone)]
pub struct Address {
    whole: Template,
    /// Scheme, user, host and port, or the socket's path: no variables but the environment's.
    head: Template,
    /// Path and query.
    rest: Template,
}

impl Address {
    /// Reads a URL with variables. Whether it is one shows when they have values; see [`sample`](Self::sample).
    pub(super) fn parse(source: &str, names: &Names) -> Result<Self, TemplateError> {
        let (head, rest) = source.split_at(head_of(source));
        Ok(Self { whole: Template::parse(source, names)?, head: Template::parse_shared(head, names)?, rest: Template::parse(rest, names)? })
    }

    /// A URL without variables.
    #[must_use]
    pub fn literal(url: &str) -> Self {
        Self { whole: Template::literal(url), head: Template::literal(url), rest: Template::literal("") }
    }

    /// As written.
    #[must_use]
    pub fn as_str(&self) -> &str {
        self.whole.as_str()
    }

    /// Whether it has variables that each client has values of its own for, or might.
    #[must_use]
    pub fn varies(&self) -> bool {
        self.rest.as_literal().is_none()
    }

    /// One client's URL.
    ///
    /// # Errors
    /// A variable without a value.
    pub fn text(&self, vars: &Vars<'_>) -> Result<String, MissingValue> {
        self.whole.text(vars)
    }

    /// A URL of the same server, for what is done once for all clients: `1` stands for what is each client's own.
    ///
    /// # Errors
    /// A variable of the environment without a value.
    pub fn server(&self, vars: &Vars<'_>) -> Result<String, MissingValue> {
        Ok(self.head.text(vars)? + &self.rest.sample("1"))
    }

    /// For people, who want to know the server, and what each client asks it for as it is written.
    ///
    /// # Errors
    /// A variable of the environment without a value.
    pub fn shown(&self, vars: &Vars<'_>) -> Result<String, MissingValue> {
        Ok(self.head.text(vars)? + self.rest.as_literal().unwrap_or(self.rest.as_str()))
    }

    /// A URL as it may come to be, to see whether it is one; `None` where the environment is to say even the scheme.
    pub(super) fn sample(&self) -> Option<String> {
        // A digit fits wherever a variable may stand: in a name, a port, a path.
        (!self.whole.begins_with_variable()).then(|| self.whole.sample("1"))
    }

    pub(super) const fn template(&self) -> &Template {
        &self.whole
    }
}

/// How long the part of a URL is that stands in front of its path: variables have no slashes in them.
fn head_of(source: &str) -> usize {
    if source.get(..ON_UNIX_SOCKET.len()).is_some_and(|scheme| scheme.eq_ignore_ascii_case(ON_UNIX_SOCKET)) {
        return source[ON_UNIX_SOCKET.len()..].find(':').map_or(source.len(), |colon| ON_UNIX_SOCKET.len() + colon);
    }
    let slash = source.find('/').unwrap_or(source.len());
    let begins = if source[..slash].ends_with(':') && source[slash..].starts_with("//") { slash + 2 } else { 0 };
    source[begins..].find(['/', '?']).map_or(source.len(), |end| begins + end)
}

impl PartialEq for Address {
    fn eq(&self, other: &Self) -> bool {
        self.whole == other.whole
    }
}

impl Serialize for Address {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.whole.serialize(serializer)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeMap;

    #[test]
    fn what_stands_in_front_of_the_path_is_the_same_for_all() {
        let env = BTreeMap::from([("AT".to_owned(), "ws://h:3".to_owned()), ("PORT".to_owned(), "8080".to_owned())]);
        let vars = Vars { env: &env, room: "hall", ..Vars::default() };
        for (source, text, server, shown) in [
            ("ws://h/room/{room}?a={client.id}", "ws://h/room/hall?a=0", "ws://h/room/1?a=1", "ws://h/room/{room}?a={client.id}"),
            ("ws://h:{env.PORT}?{room}", "ws://h:8080?hall", "ws://h:8080?1", "ws://h:8080?{room}"),
            ("{env.AT}/{room}", "ws://h:3/hall", "ws://h:3/1", "ws://h:3/{room}"),
            ("{env.AT}", "ws://h:3", "ws://h:3", "ws://h:3"),
            (
                "ws+unix:///run/{env.PORT}.sock:/{room}",
                "ws+unix:///run/8080.sock:/hall",
                "ws+unix:///run/8080.sock:/1",
                "ws+unix:///run/8080.sock:/{room}",
            ),
            ("ws://h/{{room}}", "ws://h/{room}", "ws://h/{room}", "ws://h/{room}"),
            ("ws://h/{", "ws://h/{", "ws://h/{", "ws://h/{"),
        ] {
            let address = Address::parse(source, &Names::default()).unwrap_or_else(|e| panic!("{source}: {}", e.what));
            let made = (address.text(&vars), address.server(&vars), address.shown(&vars));
            assert_eq!(made, (Ok(text.to_owned()), Ok(server.to_owned()), Ok(shown.to_owned())), "{source}");
        }
    }

    #[test]
    fn what_differs_from_client_to_client_is_refused_in_front_of_the_path() {
        for source in ["ws://{room}.example.com/", "ws://h:1{client.index}/", "ws://{group}@h/", "{room}", "ws+unix:///run/{room}.sock:/"] {
            let error = Address::parse(source, &Names::default()).expect_err(source);
            assert!(error.what.contains("stands in front of the path"), "{source}: {}", error.what);
        }
        let error = Address::parse("ws://h/{rooom}", &Names::default()).expect_err("misspelt");
        assert_eq!((error.piece.as_str(), error.what.as_str()), ("{rooom}", "unknown variable {rooom}"));
        assert!(error.help.contains("write {{rooom}} for the text itself"), "{}", error.help);
    }
}
