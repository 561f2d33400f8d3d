//! `cargo +nightly fuzz run scenario fuzz/corpus/scenario fuzz/seeds/scenario`
#![no_main]

#[path = "../targets.rs"]
#[expect(dead_code, reason = "each program is one of the targets")]
mod targets;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| targets::scenario(bytes));
