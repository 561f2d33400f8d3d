//! `cargo +nightly fuzz run payload fuzz/corpus/payload fuzz/seeds/payload`
#![no_main]

#[path = "../targets.rs"]
#[expect(dead_code, reason = "each program is one of the targets")]
mod targets;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| targets::payload(bytes));
