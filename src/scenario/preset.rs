//! Shipped presets: how known servers speak, in the same TOML a user could write (scenarios/servers/). A scenario takes one
//! with `use = "name"`; what it says itself goes before what the preset says, and its lists follow the preset's.

use super::node::{Entry, Kind, Node};

/// A shipped preset.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Preset {
    /// Its name, for `use`.
    pub name: &'static str,
    /// Its TOML.
    pub text: &'static str,
}

macro_rules! presets {
    ($($name:literal),* $(,)?) => {
        /// All shipped presets, by name.
        pub const PRESETS: &[Preset] =
            &[$(Preset { name: $name, text: include_str!(concat!("../../scenarios/servers/", $name, ".toml")) }),*];
    };
}

presets!(
    "actioncable",
    "centrifugo",
    "gorilla",
    "graphql-ws",
    "mqtt",
    "nats",
    "nchan",
    "others",
    "phoenix",
    "plain",
    "pusher",
    "pusher-http",
    "signalr",
    "socketio",
    "sockjs",
    "stomp",
    "tomcat-chat",
    "wamp",
    "wsbench",
);

impl Preset {
    /// The preset of this name.
    #[must_use]
    pub fn find(name: &str) -> Option<Self> {
        PRESETS.iter().find(|p| p.name == name).copied()
    }

    /// What it is for: the first line of its comment.
    #[must_use]
    pub fn summary(&self) -> &'static str {
        self.text.lines().find_map(|line| line.strip_prefix("# ")).unwrap_or_default()
    }
}

/// Lists that follow one another instead of replacing one another.
const APPENDED: [&str; 4] = ["script", "on_close", "reply", "ignore"];
/// Tables whose tables are merged as well; below that a value is one thing and is replaced as a whole.
const DEEP: [&str; 2] = ["checks", "target"];

/// `over` on top of `base`.
pub(super) fn merge(base: Node, over: Node) -> Node {
    merge_to(base, over, 0, "")
}

fn merge_to(base: Node, over: Node, depth: usize, key: &str) -> Node {
    match (base.kind, over.kind) {
        (Kind::Table(base), Kind::Table(over_entries)) if depth < 2 || (depth == 2 && DEEP.contains(&key)) => {
            Node { at: over.at, kind: Kind::Table(merge_entries(base, over_entries, depth, key)) }
        }
        (Kind::List(mut base), Kind::List(more)) if depth == 1 && APPENDED.contains(&key) => {
            base.extend(more);
            Node { at: over.at, kind: Kind::List(base) }
        }
        (_, kind) => Node { at: over.at, kind },
    }
}

fn merge_entries(mut base: Vec<Entry>, over: Vec<Entry>, depth: usize, parent: &str) -> Vec<Entry> {
    for entry in over {
        let key = if depth == 0 { entry.key.clone() } else { parent.to_owned() };
        match base.iter().position(|e| e.key == entry.key) {
            Some(i) => {
                let under = base.remove(i);
                let node = merge_to(under.node, entry.node, depth + 1, &key);
                base.push(Entry { key: entry.key, key_at: entry.key_at, node });
            }
            None => base.push(entry),
        }
    }
    base
}
