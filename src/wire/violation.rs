//! How a server can break the protocol, and the code to close with when it does. Must never know how a frame is read.

use super::close;

/// How the server broke the protocol.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Violation {
    /// Section 5.2: RSV bits without an extension that gives them a meaning.
    #[error("a reserved bit is set though no extension was negotiated (RFC 6455 5.2)")]
    ReservedBit,
    /// Section 5.2: opcode 3–7 or 11–15.
    #[error("reserved opcode {0} (RFC 6455 5.2)")]
    ReservedOpcode(u8),
    /// Section 5.1: servers do not mask.
    #[error("a masked frame from a server (RFC 6455 5.1)")]
    Masked,
    /// Section 5.2: the shortest form must be used, and the top bit is never set.
    #[error("a length that is not in its shortest form, or beyond 2^63 (RFC 6455 5.2)")]
    Length,
    /// Section 5.5: control frames are whole and at most 125 bytes long.
    #[error("a fragmented or oversized control frame (RFC 6455 5.5)")]
    Control,
    /// Section 5.4: a continuation of nothing, or a new message inside another.
    #[error("fragments out of order (RFC 6455 5.4)")]
    Fragments,
    /// Section 8.1.
    #[error("text that is not UTF-8 (RFC 6455 8.1)")]
    NotUtf8,
    /// Sections 5.5.1, 7.4: a Close payload of one byte, or a code that may not be sent.
    #[error("a malformed Close frame (RFC 6455 5.5.1, 7.4)")]
    Close,
    /// RFC 7692 7.2.2: a compressed message that cannot be inflated.
    #[error("a compressed message that does not inflate within the window agreed (RFC 7692 7.2.2)")]
    Deflate,
    /// Beyond the limit given (section 10.4).
    #[error("a frame or message larger than the limit of {0} bytes (RFC 6455 10.4)")]
    TooBig(u64),
}

impl Violation {
    /// The code to close with (section 7.4.1).
    #[must_use]
    pub const fn code(self) -> u16 {
        match self {
            Self::NotUtf8 | Self::Deflate => close::NOT_UTF8,
            Self::TooBig(_) => close::TOO_BIG,
            _ => close::PROTOCOL,
        }
    }
}

/// Whether `bytes` are UTF-8, as a text message must be (section 8.1).
///
/// # Errors
/// [`Violation::NotUtf8`] when they are not.
pub fn check_text(bytes: &[u8]) -> Result<(), Violation> {
    simdutf8::basic::from_utf8(bytes).map(drop).map_err(|_| Violation::NotUtf8)
}
