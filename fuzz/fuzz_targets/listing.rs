//! Whatever the pages of a listing say, what is sent is selected, each message once and never more than `count`.
#![no_main]

#[path = "../../tests/cap/listing_model.rs"]
mod listing_model;

use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    listing_model::hold(bytes);
});
