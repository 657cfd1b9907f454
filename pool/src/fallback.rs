//! Says aloud that a pool is slower than it could be.

use crate::counter::Counter;
use crate::percpu::Fallback;

/// One line to the `log` facade, at the first pool of the process that takes the portable path for
/// a reason that somebody could mend; nothing if that path was asked for.
pub(crate) fn tell(why: Fallback) {
    // No `Once`: a fork in the middle of it would have the child wait for ever.
    static TOLD: Counter = Counter::starting_at(0);
    if why != Fallback::Requested && TOLD.count() == 0 {
        log_line!(
            warn,
            "tailcut-pool uses its portable path, which is slower: {why}"
        );
    }
}

/// Logs a line if the feature `log` is on; its arguments count as used either way.
macro_rules! log_line {
    ($level:ident, $($message:tt)+) => {{
        #[cfg(feature = "log")]
        log::$level!($($message)+);
        #[cfg(not(feature = "log"))]
        let _ = format_args!($($message)+);
    }};
}
pub(crate) use log_line;
