//! Close codes (RFC 6455 section 7.4 and the IANA registry).

/// Normal closure.
pub const NORMAL: u16 = 1000;
/// The endpoint is going away.
pub const GOING_AWAY: u16 = 1001;
/// Protocol error.
pub const PROTOCOL: u16 = 1002;
/// A text message that is not UTF-8.
pub const NOT_UTF8: u16 = 1007;
/// A message too big to process.
pub const TOO_BIG: u16 = 1009;

/// Whether `code` may stand in a Close frame: 1000–1003, 1007–1014 and 3000–4999 (section 7.4.1, 7.4.2; 1012–1014 by
/// registration). 1004, 1005, 1006 and 1015 are reserved and never sent.
#[must_use]
pub const fn may_be_sent(code: u16) -> bool {
    matches!(code, 1000..=1003 | 1007..=1014 | 3000..=4999)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_of_codes() {
        for code in [1000, 1001, 1002, 1003, 1007, 1008, 1009, 1010, 1011, 1012, 1013, 1014, 3000, 4999] {
            assert!(may_be_sent(code), "{code}");
        }
        for code in [0, 999, 1004, 1005, 1006, 1015, 1016, 2999, 5000, 65535] {
            assert!(!may_be_sent(code), "{code}");
        }
    }
}
