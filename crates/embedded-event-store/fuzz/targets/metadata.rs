#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| embedded_event_store::fuzzing::metadata(bytes));
