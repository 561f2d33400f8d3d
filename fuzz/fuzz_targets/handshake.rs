//! `cargo +nightly fuzz run handshake fuzz/corpus/handshake fuzz/seeds/handshake`
#![no_main]

#[path = "../targets.rs"]
#[expect(dead_code, reason = "each program is one of the targets")]
mod targets;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| targets::handshake(bytes));
