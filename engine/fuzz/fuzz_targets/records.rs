#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| syncline_engine::fuzzing::run("records", input));
