//! What the server has done, in numbers: shared counters, the totals read from them, and their Prometheus text.
//!
//! Must never know why anybody counts.

use std::fmt::Write as _;
use std::sync::atomic::{AtomicU64, Ordering};

use serde::{Deserialize, Serialize};

macro_rules! counters {
    ($($name:ident: $kind:literal, $metric:literal, $help:literal;)*) => {
        /// Counters shared by all threads of a server; each only grows, but for `open`.
        #[derive(Debug, Default)]
        pub struct Counters {
            $(#[doc = $help] pub $name: AtomicU64,)*
        }

        /// A reading of every counter.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
        pub struct Totals {
            $(#[doc = $help] pub $name: u64,)*
        }

        impl Counters {
            /// All counters as they are now.
            #[must_use]
            pub fn read(&self) -> Totals {
                Totals { $($name: self.$name.load(Ordering::Relaxed),)* }
            }
        }

        impl Totals {
            /// The Prometheus text exposition format, version 0.0.4.
            #[must_use]
            pub fn prometheus(&self) -> String {
                let mut text = String::with_capacity(4096);
                $(
                    // Writing to a String cannot fail.
                    let _ = writeln!(text, "# HELP {0} {1}.\n# TYPE {0} {2}\n{0} {3}", $metric, $help, $kind, self.$name);
                )*
                text
            }
        }
    };
}

counters! {
    connections: "counter", "wsbench_server_connections_total", "WebSocket connections opened";
    open: "gauge", "wsbench_server_connections_open", "WebSocket connections held now, those still closing included";
    accepted: "counter", "wsbench_server_sockets_accepted_total", "TCP connections accepted";
    refused: "counter", "wsbench_server_handshakes_refused_total", "Requests answered without an upgrade, health and metrics pages not counted";
    http: "counter", "wsbench_server_http_pages_total", "Health and metrics pages served";
    messages_in: "counter", "wsbench_server_messages_received_total", "Text and binary messages received";
    bytes_in: "counter", "wsbench_server_message_bytes_received_total", "Payload bytes of the messages received";
    copies_out: "counter", "wsbench_server_copies_sent_total", "Copies of messages handed to clients' sockets or outboxes";
    copies_dropped: "counter", "wsbench_server_copies_dropped_total", "Copies dropped because an outbox was full, or its client was closed for it";
    closed_slow: "counter", "wsbench_server_closed_slow_total", "Clients closed because their outbox was full";
    closed_dead: "counter", "wsbench_server_closed_dead_total", "Clients given up because they did not answer a protocol ping or took nothing for the write timeout";
    closed_violation: "counter", "wsbench_server_closed_violation_total", "Clients closed for breaking the protocol or a limit (1002, 1007, 1009)";
    heartbeats: "counter", "wsbench_server_heartbeats_total", "Heartbeats sent";
    pongs: "counter", "wsbench_server_application_pongs_total", "Answers to the text `ping`";
    protocol_pings: "counter", "wsbench_server_protocol_pings_total", "Protocol pings sent";
}

/// Adds one.
pub fn count(counter: &AtomicU64) {
    add(counter, 1);
}

/// Adds several.
pub fn add(counter: &AtomicU64, n: u64) {
    counter.fetch_add(n, Ordering::Relaxed);
}

impl std::fmt::Display for Totals {
    /// The one line a server ends with.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(
            f,
            "connections {}, messages in {}, copies out {}, dropped {}, closed slow {}",
            self.connections, self.messages_in, self.copies_out, self.copies_dropped, self.closed_slow
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_counter_has_help_type_and_value() {
        let counters = Counters::default();
        add(&counters.copies_out, 7);
        let text = counters.read().prometheus();
        assert!(text.contains("# TYPE wsbench_server_copies_sent_total counter\nwsbench_server_copies_sent_total 7\n"), "{text}");
        assert_eq!(text.matches("# HELP").count(), text.matches("# TYPE").count());
        assert_eq!(text.lines().count(), 3 * text.matches("# TYPE").count());
    }
}
