//! `cargo +nightly fuzz run journal fuzz/corpus/journal fuzz/seeds/journal`
#![no_main]

#[path = "../targets.rs"]
#[expect(dead_code, reason = "each program is one of the targets")]
mod targets;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| targets::journal(bytes));
