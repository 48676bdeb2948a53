#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| cdrelay_fuzz::master_csv(data));
