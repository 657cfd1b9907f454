//! What people write: scenario files, and the notations of rates, times, targets, objectives and faults.
#![no_main]

use std::path::Path;

use libfuzzer_sys::fuzz_target;
use tailcut_loadgen::network::target::NetworkTarget;
use tailcut_loadgen::scenario::{Fault, Settings, Slo};
use tailcut_loadgen::{Rate, parse_bytes, parse_count, parse_duration};

fuzz_target!(|text: &str| {
    if let Ok(settings) = Settings::from_toml(text, Path::new("fuzzed.toml")) {
        // What was understood can be written, and is then understood alike.
        let written = settings.to_toml().expect("what was read can be written");
        let again = Settings::from_toml(&written, Path::new("written.toml")).expect("our own words");
        assert_eq!(written, again.to_toml().expect("as before"));
    }
    let _ = text.parse::<NetworkTarget>();
    let _ = text.parse::<Rate>();
    let _ = (parse_bytes(text), parse_count(text), parse_duration(text));
    if let Ok(slo) = text.parse::<Slo>() {
        assert_eq!(slo.to_string().parse::<Slo>().expect("our own words"), slo);
    }
    if let Ok(fault) = text.parse::<Fault>() {
        assert_eq!(fault.to_string().parse::<Fault>().expect("our own words"), fault);
    }
});
