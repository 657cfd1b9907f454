//! Says aloud that a pool is slower than it could be.

use crate::percpu::Fallback;

/// One line to the `log` facade, at the first pool of the process that takes the portable path for
/// a reason that somebody could mend; nothing if that path was asked for.
pub(crate) fn tell(why: Fallback) {
    use std::sync::Once;
    static TOLD: Once = Once::new();
    if why != Fallback::Requested {
        TOLD.call_once(|| {
            log_line!(
                warn,
                "tailcut-pool uses its portable path, some three times slower: {why}"
            );
        });
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
