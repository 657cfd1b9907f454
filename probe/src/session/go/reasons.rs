//! Why Go's runtime stops the world, in words.
//!
//! From Go 1.21 on `stopTheWorldWithSema` is told the reason, a number of `runtime.stwReason`; new ones have been added
//! at the end only (`runtime/proc.go` of Go 1.21 to 1.27). Before, only the collector's own stops are known.

/// What a stop is told when the version tells no reason.
pub(crate) const NOT_TOLD: u64 = 0xff;

/// The reason of a stop, as `runtime/proc.go` puts it.
pub(crate) fn in_words(reason: u64) -> Option<&'static str> {
    const REASONS: [&str; 17] = [
        "unknown",
        "GC mark termination",
        "GC sweep termination",
        "write heap dump",
        "goroutine profile",
        "goroutine profile cleanup",
        "all goroutines stack trace",
        "read mem stats",
        "AllThreadsSyscall",
        "GOMAXPROCS",
        "start trace",
        "stop trace",
        "a test that counts pages in use",
        "a test that reads metrics slowly",
        "a test that reads mem stats slowly",
        "a test that caches pages",
        "a test that resets the debug log",
    ];
    // Zero: an unknown reason is nothing to tell.
    let place = usize::try_from(reason).ok().filter(|place| *place != 0)?;
    REASONS.get(place).copied()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_runtime_does_not_tell_has_no_words() {
        assert_eq!(in_words(7), Some("read mem stats"));
        assert_eq!(in_words(0), None);
        assert_eq!(in_words(NOT_TOLD), None);
        assert_eq!(in_words(u64::MAX), None);
    }
}
