//! The part of the language that fits any server, as typed: connection, script, answers, dialect, rooms, feeder.

use serde_json::{Value, json};

use super::super::node::{Kind, Node};
use super::super::typed::{Any, Keys, Named, Reader, Spot, Typed, table};
use super::{Match, Word, Words};
use crate::base::Span;

/// Declares a table that also has all the keys of a connection, and a view of them that is the same for every such table.
macro_rules! connected {
    ($(#[doc = $about:literal])* $name:ident { $($(#[doc = $doc:literal])* $field:ident : $ty:ty,)* }) => {
        table! {
            $(#[doc = $about])*
            $name {
                $($(#[doc = $doc])* $field: $ty,)*
                /// Limit for TCP, TLS and WebSocket handshake together. Default: 10s.
                connect_timeout: Span,
                /// The path used when the URL has none; may have variables.
                path: String,
                /// Appended to the URL's query; may have variables.
                query: Named<String>,
                /// Headers added to the handshake; may have variables.
                headers: Named<String>,
                /// Cookies sent with the handshake; may have variables.
                cookies: Named<String>,
                /// The Origin header; may have variables.
                origin: String,
                /// Credentials: { basic = ["user", "password"] } or { bearer = "{token}" }; may have variables.
                auth: session::AuthTable,
                /// The Host header, when it is not the URL's.
                host: String,
                /// The name asked for and verified in TLS, when it is not the URL's.
                sni: String,
                /// Accept any TLS certificate.
                insecure: bool,
                /// A file of PEM certificates to trust instead of the system's.
                tls_roots: String,
                /// A file with the client's certificate chain in PEM; with tls_key.
                tls_cert: String,
                /// A file with the client's key in PEM; with tls_cert.
                tls_key: String,
                /// Subprotocols offered, in order of preference.
                subprotocols: Vec<Spot<String>>,
                /// Offer permessage-deflate. Default: false.
                deflate: bool,
                /// "env" to go through the proxy of the environment, or a proxy's http:// URL. Default: straight.
                proxy: String,
            }
        }

        impl $name {
            /// The keys of the connection.
            pub(in crate::scenario) fn connection(&self) -> session::ConnectionKeys<'_> {
                session::ConnectionKeys {
                    connect_timeout: self.connect_timeout.as_ref(),
                    path: self.path.as_ref(),
                    query: self.query.as_ref(),
                    headers: self.headers.as_ref(),
                    cookies: self.cookies.as_ref(),
                    origin: self.origin.as_ref(),
                    auth: self.auth.as_ref(),
                    host: self.host.as_ref(),
                    sni: self.sni.as_ref(),
                    insecure: self.insecure.as_ref(),
                    tls_roots: self.tls_roots.as_ref(),
                    tls_cert: self.tls_cert.as_ref(),
                    tls_key: self.tls_key.as_ref(),
                    subprotocols: self.subprotocols.as_ref(),
                    deflate: self.deflate.as_ref(),
                    proxy: self.proxy.as_ref(),
                }
            }
        }
    };
}
pub(super) use connected;

/// The keys of a connection as one table has them.
#[derive(Debug, Clone, Copy, Default)]
pub(in crate::scenario) struct ConnectionKeys<'a> {
    pub(in crate::scenario) connect_timeout: Option<&'a Spot<Span>>,
    pub(in crate::scenario) path: Option<&'a Spot<String>>,
    pub(in crate::scenario) query: Option<&'a Spot<Named<String>>>,
    pub(in crate::scenario) headers: Option<&'a Spot<Named<String>>>,
    pub(in crate::scenario) cookies: Option<&'a Spot<Named<String>>>,
    pub(in crate::scenario) origin: Option<&'a Spot<String>>,
    pub(in crate::scenario) auth: Option<&'a Spot<AuthTable>>,
    pub(in crate::scenario) host: Option<&'a Spot<String>>,
    pub(in crate::scenario) sni: Option<&'a Spot<String>>,
    pub(in crate::scenario) insecure: Option<&'a Spot<bool>>,
    pub(in crate::scenario) tls_roots: Option<&'a Spot<String>>,
    pub(in crate::scenario) tls_cert: Option<&'a Spot<String>>,
    pub(in crate::scenario) tls_key: Option<&'a Spot<String>>,
    pub(in crate::scenario) subprotocols: Option<&'a Spot<Vec<Spot<String>>>>,
    pub(in crate::scenario) deflate: Option<&'a Spot<bool>>,
    pub(in crate::scenario) proxy: Option<&'a Spot<String>>,
}

table! {
    /// Credentials in the Authorization header.
    AuthTable {
        /// User and password.
        basic: Vec<Spot<String>>,
        /// A token.
        bearer: String,
    }
}

table! {
    /// How the server speaks.
    DialectTable {
        /// The message that carries a publication, with {stamp} where the payload goes. Default: the payload itself.
        publish: SendTyped,
        /// Only messages that match carry copies.
        r#match: Match,
        /// A message that matches is the sender's acknowledgement, and no copy even when it repeats the payload.
        ack: Match,
        /// What separates several messages in one frame, such as "\n".
        split: String,
        /// How the payload is written in received messages. Default: as in `publish`.
        carrier: Word<Carriers>,
        /// The opcode copies must have. Default: as sent; any when publishing over http.
        receive: Word<Receives>,
    }
}

table! {
    /// Rows of values for the clients, usable as {column}.
    FeederTable {
        /// A CSV file with a header line, or a JSON Lines file (.jsonl), relative to the scenario.
        file: String,
        /// Which client gets which row. Default: circular.
        order: Word<Orders>,
    }
}

table! {
    /// How clients are divided over rooms.
    RoomsTable {
        /// How many rooms.
        count: u32,
        /// Which client is where: evenly, or few large rooms and many small ones. Default: round-robin.
        by: Word<RoomsBys>,
        /// With zipf: how uneven. Default: 1.
        skew: Number,
        /// The feeder's column that names the room.
        column: String,
    }
}

table! {
    /// One step of a script: exactly one of send, expect, wait, http.
    StepTable {
        /// Send a message.
        send: SendTyped,
        /// Wait for a message.
        expect: Match,
        /// With expect and http: the longest wait. Default: 5s.
        within: Span,
        /// With expect and http: values to take out of the answer, as variables.
        capture: Named<ExtractTyped>,
        /// Let time pass.
        wait: Span,
        /// Ask over HTTP.
        http: HttpTable,
    }
}

table! {
    /// An HTTP request of a script.
    HttpTable {
        /// The method. Default: GET, or POST with a body.
        method: String,
        /// An http:// or https:// URL; may have variables.
        url: String,
        /// Headers; may have variables.
        headers: Named<String>,
        /// The body: a text, or { json = … }; may have variables.
        body: TextBody,
    }
}

table! {
    /// What a client sends by itself: in answer to a message, or by the clock.
    ReplyTable {
        /// The message that is answered.
        when: Match,
        /// Or: how often it is sent.
        every: Span,
        /// What is sent.
        send: SendTyped,
        /// With when: values to take out of the message, as variables.
        capture: Named<ExtractTyped>,
    }
}

table! {
    /// How an application ping looks.
    PingTable {
        /// The message sent.
        send: SendTyped,
        /// What answers it.
        expect: Match,
    }
}

table! {
    /// A message to be sent: exactly one of text, json, hex, base64, binary.
    SendTable {
        /// A text message; may have variables.
        text: String,
        /// A text message of this JSON; strings in it may have variables.
        json: Any,
        /// A binary message of these bytes, such as "c0 00".
        hex: String,
        /// A binary message put together from parts: texts, { hex }, and { u8 | u16 | u32 | varint = [parts] }, which writes
        /// the number of the parts' bytes in front of them.
        binary: Vec<Spot<PieceTyped>>,
    }
}

table! {
    /// Where a value stands: exactly one of json, regex, bytes.
    ExtractTable {
        /// A JSON pointer.
        json: String,
        /// A regular expression; its first group is the value.
        regex: String,
        /// First byte, and one past the last.
        bytes: Vec<Spot<u32>>,
    }
}

table! {
    /// A computed variable: exactly one of text, md5, sha256, hmac_sha256 with key. Results are in hexadecimal.
    VarTable {
        /// A text; may have variables.
        text: String,
        /// The MD5 sum of this text.
        md5: String,
        /// The SHA-256 sum of this text.
        sha256: String,
        /// The HMAC-SHA-256 of this text.
        hmac_sha256: String,
        /// The key of the HMAC.
        key: String,
    }
}

table! {
    /// A body with JSON in it.
    JsonBody {
        /// This JSON; strings in it may have variables.
        json: Any,
    }
}

/// Declares a type that is either a text or a table.
macro_rules! text_or {
    ($(#[doc = $doc:literal])* $name:ident, $table:ident, $wanted:literal) => {
        $(#[doc = $doc])*
        #[derive(Debug, Clone)]
        pub(in crate::scenario) enum $name {
            /// A text.
            Text(String),
            /// A table.
            Table(Box<$table>),
        }

        impl Typed for $name {
            fn read(node: &Node, r: &mut Reader) -> Option<Self> {
                match &node.kind {
                    Kind::Text(text) => Some(Self::Text(text.clone())),
                    Kind::Table(_) => $table::read(node, r).map(|t| Self::Table(Box::new(t))),
                    _ => {
                        r.wrong(node, $wanted);
                        None
                    }
                }
            }
            fn schema() -> Value {
                json!({ "anyOf": [{ "type": "string" }, $table::schema()] })
            }
        }
    };
}

text_or!(
    /// A message to be sent.
    SendTyped, SendTable, "a text, or a table such as { json = … } or { hex = … }"
);
text_or!(
    /// Where a value stands: a JSON pointer, or a table.
    ExtractTyped, ExtractTable, "a JSON pointer such as \"/id\", or a table such as { regex = … }"
);
text_or!(
    /// A variable's definition.
    VarTyped, VarTable, "a text, or a table such as { sha256 = … }"
);
text_or!(
    /// A body of text.
    TextBody, JsonBody, "a text, or { json = … }"
);

/// A part of a binary message.
#[derive(Debug, Clone)]
pub(in crate::scenario) enum PieceTyped {
    /// A template.
    Text(String),
    /// Bytes in hexadecimal.
    Hex(String),
    /// Parts with their count in front.
    Counted(crate::scenario::body::Count, Vec<Spot<PieceTyped>>),
}

impl Typed for PieceTyped {
    fn read(node: &Node, r: &mut Reader) -> Option<Self> {
        if let Kind::Text(text) = &node.kind {
            return Some(Self::Text(text.clone()));
        }
        let mut keys = Keys::of(node, "a text, { hex = … } or { u8 | u16 | u32 | varint = […] }", r)?;
        let text = keys.take::<String>("text", r).map(|s| Self::Text(s.value));
        let hex = keys.take::<String>("hex", r).map(|s| Self::Hex(s.value));
        let mut found: Vec<Self> = text.into_iter().chain(hex).collect();
        for (key, count) in crate::scenario::body::Count::ALL {
            found.extend(keys.take::<Vec<Spot<Self>>>(key, r).map(|list| Self::Counted(count, list.value)));
        }
        let unknown = keys.finish(r);
        if unknown {
            return None;
        }
        if found.len() != 1 {
            r.fail(&node.at, "a part is of one kind", "exactly one of: text, hex, u8, u16, u32, varint");
            return None;
        }
        found.pop()
    }
    fn schema() -> Value {
        let parts = json!({ "type": "array", "description": "Parts, with the number of their bytes in front." });
        let keys = json!({ "text": { "type": "string", "description": "A text; may have variables." }, "hex": { "type": "string", "description": "These bytes." },
            "u8": parts, "u16": parts, "u32": parts, "varint": parts });
        json!({ "anyOf": [{ "type": "string" }, { "type": "object", "properties": keys, "additionalProperties": false }] })
    }
}

/// An ignore rule: a matcher, or `{ when = matcher }`.
#[derive(Debug, Clone)]
pub(in crate::scenario) struct IgnoreRule(pub(in crate::scenario) Match);

impl Typed for IgnoreRule {
    fn read(node: &Node, r: &mut Reader) -> Option<Self> {
        if let Kind::Table(entries) = &node.kind
            && entries.iter().any(|e| e.key == "when")
        {
            let mut keys = Keys::of(node, "a matcher", r)?;
            let when = keys.take::<Match>("when", r);
            keys.finish(r);
            return when.map(|w| Self(w.value));
        }
        Match::read(node, r).map(Self)
    }
    fn schema() -> Value {
        let when = json!({ "type": "object", "properties": { "when": super::super::typed::described(Match::schema(), "The message that is ignored.") }, "additionalProperties": false });
        json!({ "anyOf": [Match::schema(), when] })
    }
}

/// `rooms = 50`, or a table.
#[derive(Debug, Clone)]
pub(in crate::scenario) enum RoomsTyped {
    /// So many.
    Count(u32),
    /// In some way.
    Table(Box<RoomsTable>),
}

impl Typed for RoomsTyped {
    fn read(node: &Node, r: &mut Reader) -> Option<Self> {
        match &node.kind {
            Kind::Table(_) => RoomsTable::read(node, r).map(|t| Self::Table(Box::new(t))),
            Kind::Integer(_) => u32::read(node, r).map(Self::Count),
            _ => {
                r.wrong(node, "a number of rooms, or a table such as { count = 50, by = \"zipf\" }");
                None
            }
        }
    }
    fn schema() -> Value {
        json!({ "anyOf": [u32::schema(), RoomsTable::schema()] })
    }
}

/// A number that need not be whole.
#[derive(Debug, Clone, Copy)]
pub(in crate::scenario) struct Number(pub(in crate::scenario) f64);

impl Typed for Number {
    fn read(node: &Node, r: &mut Reader) -> Option<Self> {
        match &node.kind {
            #[expect(clippy::cast_precision_loss, reason = "skews are small")]
            Kind::Integer(i) => Some(Self(*i as f64)),
            Kind::Float(x) if x.is_finite() => Some(Self(*x)),
            _ => {
                r.wrong(node, "a number");
                None
            }
        }
    }
    fn schema() -> Value {
        json!({ "type": "number" })
    }
}

/// Declares a closed set of words.
macro_rules! words {
    ($($(#[doc = $doc:literal])* $name:ident: $words:expr;)*) => {
        $(
            $(#[doc = $doc])*
            #[derive(Debug, Clone)]
            pub(in crate::scenario) struct $name;
            impl Words for $name {
                const WORDS: &'static [&'static str] = &$words;
            }
        )*
    };
}

words! {
    /// `publish.via`.
    Vias: ["socket", "http", "server"];
    /// `dialect.carrier`.
    Carriers: ["plain", "base64", "hex"];
    /// `dialect.receive`.
    Receives: ["text", "binary", "any"];
    /// `feeder.order`.
    Orders: ["sequential", "circular", "random"];
    /// `heartbeat.first`.
    FirstBeats: ["period", "any"];
    /// `rooms.by`.
    RoomsBys: ["round-robin", "zipf"];
}
