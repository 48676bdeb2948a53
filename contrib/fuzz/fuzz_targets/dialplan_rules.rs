#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| cdrelay_fuzz::dialplan_rules(data));
