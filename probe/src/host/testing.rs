//! What tests that need the kernel share.

use std::io::Write;

/// Says aloud that a test could not run here, or fails if `TAILCUT_REQUIRE_BPF=1`.
///
/// # Panics
/// If `TAILCUT_REQUIRE_BPF` is 1.
pub fn skip(reason: &str) {
    assert!(
        std::env::var("TAILCUT_REQUIRE_BPF").as_deref() != Ok("1"),
        "TAILCUT_REQUIRE_BPF is set, but {reason}"
    );
    // Not by `eprintln!`, which the test harness keeps to itself when a test passes.
    let message = format!("SKIPPED: {reason}\n");
    std::io::stderr().write_all(message.as_bytes()).unwrap();
}
