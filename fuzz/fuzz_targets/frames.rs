//! `cargo +nightly fuzz run frames fuzz/corpus/frames fuzz/seeds/frames`
#![no_main]

#[path = "../targets.rs"]
#[expect(dead_code, reason = "each program is one of the targets")]
mod targets;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| targets::frames(bytes));
