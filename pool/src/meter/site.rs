//! The place in the code where something was allocated.
//!
//! Addresses are collected at the allocation, without a lock and without the heap; they become
//! names afterwards, which takes both, and the crate `backtrace`: the feature `call-sites`.

use std::fmt::{self, Display, Formatter};

/// A place in the code: the function that allocated, by way of the standard library or directly.
///
/// Known as far as the feature `call-sites` is on (Unix only), and the executable has symbols
/// (the function) and debug information (file and line).
///
/// ```
/// use std::alloc::System;
/// use tailcut_pool::meter::{self, Denied, Metered};
///
/// #[global_allocator]
/// static ALLOCATOR: Metered<System> = Metered::new(System);
///
/// let broken = meter::no_alloc(|| Box::new(std::hint::black_box(7)));
/// let Err(Denied::Allocated(allocated)) = broken else { panic!("a box allocates") };
/// let site = allocated.first;
/// if let (Some(function), Some(line)) = (&site.function, site.line) {
///     println!("{function}, line {line}");
/// }
/// println!("{site}"); // in `orders::insert` at src/orders.rs:12
/// ```
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Site {
    /// The function's path, for instance `orders::Book::insert`.
    pub function: Option<String>,
    /// The source file, as the compiler was given it.
    pub file: Option<String>,
    /// The line in the file, from 1.
    pub line: Option<u32>,
}

impl Display for Site {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match &self.function {
            Some(function) => write!(f, "in `{function}`")?,
            None if cfg!(feature = "call-sites") => write!(f, "in a function without a symbol")?,
            None => write!(f, "unnamed, for want of the feature `call-sites`")?,
        }
        if let Some(file) = &self.file {
            write!(f, " at {file}")?;
            if let Some(line) = self.line {
                write!(f, ":{line}")?;
            }
        }
        Ok(())
    }
}

#[cfg(all(feature = "call-sites", unix))]
pub(super) use named::Trace;
#[cfg(not(all(feature = "call-sites", unix)))]
pub(super) use unnamed::Trace;

#[cfg(not(all(feature = "call-sites", unix)))]
mod unnamed {
    /// A call stack that was not kept.
    #[derive(Debug, Clone, Copy)]
    pub(in crate::meter) struct Trace;

    impl Trace {
        pub(in crate::meter) fn capture() -> Trace {
            Trace
        }

        pub(in crate::meter) fn site(&self) -> super::Site {
            super::Site::default()
        }
    }
}

#[cfg(all(feature = "call-sites", unix))]
mod named {
    use super::Site;
    use std::ffi::c_void;
    use std::ptr;

    /// Enough to get out of the standard library, unoptimised, from the deepest of its callers.
    const DEPTH: usize = 48;

    /// The innermost return addresses of a call stack.
    #[derive(Debug, Clone, Copy)]
    pub(in crate::meter) struct Trace {
        frames: [*mut c_void; DEPTH],
        depth: usize,
    }

    impl Trace {
        pub(in crate::meter) fn capture() -> Trace {
            let mut trace = Trace {
                frames: [ptr::null_mut(); DEPTH],
                depth: 0,
            };
            // SAFETY: on Unix this walks the stack by the platform's unwinder, which may be used
            // from any number of threads; what is not synchronised is for Windows.
            unsafe {
                backtrace::trace_unsynchronized(|frame| {
                    trace.frames[trace.depth] = frame.ip();
                    trace.depth += 1;
                    trace.depth < DEPTH
                });
            }
            trace
        }

        /// The innermost function that is neither the meter's nor the standard library's.
        pub(in crate::meter) fn site(&self) -> Site {
            let mut out_of_capture = false;
            let mut site = None;
            for &address in &self.frames[..self.depth] {
                // Once for each function that the compiler inlined there, the innermost first.
                backtrace::resolve(address, |symbol| {
                    let candidate = Site {
                        function: symbol.name().map(|name| format!("{name:#}")),
                        file: symbol.filename().map(|file| file.display().to_string()),
                        line: symbol.lineno(),
                    };
                    let is_ours = is_of_the_meter(&candidate);
                    out_of_capture |= is_ours;
                    if site.is_none()
                        && out_of_capture
                        && !is_ours
                        && !is_of_the_standard_library(&candidate)
                    {
                        site = Some(candidate);
                    }
                });
                if site.is_some() {
                    break;
                }
            }
            site.unwrap_or_default()
        }
    }

    // Both by path and by file: of a function that was inlined, debug information of the brief
    // kind (`debug = "line-tables-only"`) gives the file, and of the path the last part only.

    fn is_of_the_meter(site: &Site) -> bool {
        let directory = file!().trim_end_matches("/site.rs");
        path_starts_with(site, &["tailcut_pool::meter::"])
            || site.file.as_ref().is_some_and(|file| {
                let below = file.split_once(directory).map(|(_, rest)| rest);
                below.is_some_and(|rest| rest.starts_with('/') || rest == ".rs")
            })
    }

    fn is_of_the_standard_library(site: &Site) -> bool {
        const PATHS: [&str; 5] = ["alloc::", "core::", "hashbrown::", "std::", "__rust"];
        // Where its sources lay when it was built, or lie with the toolchain.
        const DIRECTORIES: [&str; 3] = ["/rustc/", "/rust/deps/", "/lib/rustlib/src/"];
        path_starts_with(site, &PATHS)
            || site
                .file
                .as_ref()
                .is_some_and(|file| DIRECTORIES.iter().any(|directory| file.contains(directory)))
    }

    fn path_starts_with(site: &Site, prefixes: &[&str]) -> bool {
        site.function.as_ref().is_some_and(|function| {
            // A method of a trait is `<type as trait>::method`, possibly of a reference.
            let path = function.trim_start_matches(['<', '&', '[', '(', '*']);
            let path = path.strip_prefix("mut ").unwrap_or(path);
            prefixes.iter().any(|prefix| path.starts_with(prefix))
        })
    }

    #[cfg(test)]
    mod tests {
        use super::{Site, is_of_the_meter, is_of_the_standard_library};

        fn site(function: &str, file: &str) -> Site {
            Site {
                function: Some(function.into()),
                file: Some(file.into()),
                line: None,
            }
        }

        #[test]
        fn the_standard_library_is_known_by_path_or_by_file() {
            for (function, file) in [
                ("alloc::vec::Vec<T,A>::reserve", ""),
                ("<&mut std::fs::File as std::io::Write>::write", ""),
                ("__rustc::__rust_alloc", ""),
                (
                    "<T as alloc::slice::hack::ConvertVec>::to_vec",
                    "/rustc/ab12/library/alloc/x.rs",
                ),
                ("reserve", "/rust/deps/hashbrown-0.16.0/src/raw.rs"),
            ] {
                assert!(
                    is_of_the_standard_library(&site(function, file)),
                    "{function}"
                );
            }
            for (function, file) in [
                ("orders::main::{{closure}}", "/home/me/orders/src/main.rs"),
                ("<orders::Book as core::fmt::Display>::fmt", ""),
                ("allocations::record", ""),
            ] {
                assert!(
                    !is_of_the_standard_library(&site(function, file)),
                    "{function}"
                );
            }
        }

        #[test]
        fn the_meter_is_known_by_path_or_by_file_and_is_not_the_pool() {
            for (function, file) in [
                (
                    "<tailcut_pool::meter::Metered<A> as core::alloc::GlobalAlloc>::alloc",
                    "",
                ),
                ("alloc", file!()),
                ("alloc", concat!("/build/", file!())),
            ] {
                assert!(is_of_the_meter(&site(function, file)), "{function}");
            }
            for (function, file) in [
                (
                    "tailcut_pool::pool::Pool<T>::try_get",
                    "/build/pool/src/pool.rs",
                ),
                ("count", "/build/pool/src/meters/count.rs"),
            ] {
                assert!(!is_of_the_meter(&site(function, file)), "{function}");
            }
        }
    }
}
