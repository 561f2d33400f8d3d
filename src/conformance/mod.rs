//! Wire-level cases against a server. May know only `base` and `wire`.
