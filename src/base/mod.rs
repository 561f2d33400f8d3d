//! The ground floor: instants, spans, rates, sizes, ids, seeds. Plain values with meaning and units;
//! must never know a clock, a socket, a file or any other floor.

mod flaws;
mod id;
mod rate;
mod redact;
mod seed;
mod size;
mod stamp;
mod time;
pub(crate) mod varint;

pub use flaws::Flaws;
pub use id::{ConnId, PublisherId, RunId, Seq};
pub use rate::{Rate, RateError};
pub use redact::{redact_url, redact_url_but, secrets_of_url};
pub use seed::{Rng, Seed};
pub use size::{ByteSize, SizeError};
pub use stamp::STAMP_LEN;
pub use time::{Instant, Span, SpanError};
