//! What goes on while a fault is committed: a scenario, and the server that an honest one must be to pass it.

use std::time::Duration;

use reference_server::{Fanout, ServerConfig};

/// Under what load a fault is proved.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Load {
    /// The clients publish, and the server relays.
    Relay,
    /// The same, but nobody gets what it sent itself.
    Others,
    /// The same, and each client offers a subprotocol that the server speaks.
    Subprotocol,
    /// The same while clients leave and come back.
    Churn,
    /// The same while one client hardly reads.
    SlowReader,
    /// The same while two clients no longer answer.
    HalfOpen,
    /// Nobody publishes: the server broadcasts by itself.
    Feed,
}

impl Load {
    /// A word for it; none for the usual one.
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Relay => "",
            Self::Others => "others",
            Self::Subprotocol => "subprotocol",
            Self::Churn => "churn",
            Self::SlowReader => "slow reader",
            Self::HalfOpen => "half-open",
            Self::Feed => "feed",
        }
    }

    /// The scenario.
    pub(super) fn scenario(self) -> String {
        match self {
            Self::Relay => RELAY.to_owned(),
            Self::Others => RELAY.replace("[publish]", "[publish]\naudience = \"others\""),
            Self::Subprotocol => RELAY.replace("[clients]", "[clients]\nsubprotocols = [\"chat\"]"),
            Self::Churn => format!("{RELAY}{CHURN}"),
            Self::SlowReader => SLOW_READER.to_owned(),
            Self::HalfOpen => HALF_OPEN.to_owned(),
            Self::Feed => FEED.to_owned(),
        }
    }

    /// The server.
    pub(super) fn server(self) -> ServerConfig {
        ServerConfig {
            fanout: if self == Self::Others { Fanout::Others } else { Fanout::All },
            subprotocols: if self == Self::Subprotocol { vec!["chat".to_owned()] } else { Vec::new() },
            heartbeat: Some(Duration::from_secs(1)),
            protocol_ping: (self == Self::HalfOpen).then_some(Duration::from_millis(500)),
            ..ServerConfig::on_free_port()
        }
    }
}

/// The clients publish, and the server relays: small, with every check asked for, and with limits that a busy machine can keep.
const RELAY: &str = r#"
name = "prove"
[clients]
count = 8
connect_rate = "200/s"
greeting = "something"
[publish]
publishers = 1
pace = { rate = "40/s" }
size = "256B"
[phases]
warm_up = "0s"
steady = "5s"
drain = "4s"
[checks.connect]
min_share = "100%"
within = "1s"
[checks.delivery]
within = "1200ms"
[checks.latency]
p99 = "1200ms"
[checks.pong]
send = "ping"
expect = { json = { type = 0, message = "pong" } }
protocol = true
every = "1s"
within = "900ms"
[checks.heartbeat]
expect = { json = { type = 1, message = "ping" } }
every = "1s"
tolerance = "450ms"
[checks.instrument]
late_send = "1s"
max_loop_lag = "1s"
"#;

/// Two clients a second leave with a closing handshake, and come back a third of a second later; nothing is to be replayed to them.
const CHURN: &str = r#"
[checks.recovery]
within = "1s"
[checks]
resume = "nothing"
[[disrupt]]
verb = "churn"
at = "500ms"
rate = "2/s"
for = "300ms"
"#;

/// One client takes a kilobyte a second of six hundred, for the last two seconds: enough to fill what the kernel keeps for it, too
/// little to fill its outbox. What waits then may take seconds to get going again (TCP probes a closed window ever more seldom).
const SLOW_READER: &str = r#"
name = "prove-slow-reader"
[clients]
count = 8
connect_rate = "200/s"
greeting = "something"
[publish]
publishers = 1
pace = { rate = "40/s" }
size = "16KiB"
[phases]
warm_up = "0s"
steady = "5s"
drain = "9s"
[checks.connect]
min_share = "100%"
within = "1s"
[checks.delivery]
within = "8s"
[checks.isolation]
slower = "400ms"
[checks.instrument]
late_send = "1s"
max_loop_lag = "1s"
[[disrupt]]
verb = "slow_reader"
at = "2900ms"
for = "2s"
per_second = "1KiB"
"#;

/// Two clients fall silent for longer than any server may take that pings twice a second.
const HALF_OPEN: &str = r#"
name = "prove-half-open"
[clients]
count = 8
connect_rate = "200/s"
greeting = "something"
[publish]
publishers = 1
pace = { rate = "40/s" }
size = "256B"
[phases]
warm_up = "0s"
steady = "6s"
drain = "4s"
[checks.connect]
min_share = "100%"
within = "1s"
[checks.delivery]
within = "1200ms"
[checks.isolation]
slower = "400ms"
[checks.dead_peer]
within = "2500ms"
code = 1011
[checks.instrument]
late_send = "1s"
max_loop_lag = "1s"
[[disrupt]]
verb = "half_open"
at = "500ms"
for = "5s"
count = 2
"#;

/// Nobody publishes: the server broadcasts by itself.
const FEED: &str = r#"
name = "prove-feed"
[target]
feed = "300ms"
[clients]
count = 8
connect_rate = "200/s"
greeting = "something"
[publish]
via = "server"
match = { json = { type = "tick" } }
id = "/seq"
[phases]
warm_up = "0s"
steady = "7s"
drain = "4s"
[checks.connect]
min_share = "100%"
within = "1s"
[checks.delivery]
within = "1200ms"
[checks.latency.spread]
max = "1200ms"
[checks.feed]
every = "300ms"
tolerance = "95ms"
[checks.instrument]
max_loop_lag = "1s"
"#;
