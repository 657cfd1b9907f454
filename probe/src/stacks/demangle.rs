//! Readable names of Rust and C++ symbols.
//!
//! A mangled name can unfold into one exponentially longer: a substitution that holds itself twice,
//! thirty times over. So the output is bounded while it is written, not cut afterwards.

use super::text::{MAX_NAME, push_clean, shorten};
use cpp_demangle::{DemangleOptions, Symbol};
use std::fmt::{self, Write};

/// Longer mangled names are shown as they are.
const MAX_MANGLED: usize = 16 << 10;

/// The name of a symbol for a person, at most [`MAX_NAME`] bytes; one that is longer is cut and
/// ends with `…`.
pub(super) fn demangle(symbol: &str) -> String {
    // glibc's own calls of its functions bear this prefix; one function, one name.
    let symbol = symbol.strip_prefix("__GI_").unwrap_or(symbol);
    if symbol.len() <= MAX_MANGLED {
        if let Ok(name) = rustc_demangle::try_demangle(symbol) {
            let mut bounded = Bounded::default();
            let whole = write!(bounded, "{name:#}").is_ok();
            return bounded.finish(whole);
        }
        // Versions of glibc's symbols (`memcpy@@GLIBC_2.14`) are no part of the C++ name.
        let plain = symbol.split('@').next().unwrap_or(symbol);
        if plain.starts_with("_Z")
            && let Ok(parsed) = Symbol::new(plain.as_bytes())
        {
            let mut bounded = Bounded::default();
            let options = DemangleOptions::new().no_return_type();
            let whole = parsed.structured_demangle(&mut bounded, &options).is_ok();
            if whole || bounded.full {
                return bounded.finish(whole);
            }
        }
    }
    super::text::clean(symbol)
}

/// A string that refuses to grow beyond a name.
#[derive(Default)]
struct Bounded {
    name: String,
    full: bool,
}

impl Bounded {
    fn finish(mut self, whole: bool) -> String {
        if !whole {
            shorten(&mut self.name);
        }
        self.name
    }
}

impl Write for Bounded {
    fn write_str(&mut self, part: &str) -> fmt::Result {
        self.full |= !push_clean(&mut self.name, part);
        if self.full { Err(fmt::Error) } else { Ok(()) }
    }
}

const _: () = assert!(MAX_NAME < MAX_MANGLED);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rust_and_cpp_names_are_read_and_others_left_alone() {
        assert_eq!(
            demangle("_ZN4core3fmt5Write9write_fmt17h0123456789abcdefE"),
            "core::fmt::Write::write_fmt"
        );
        assert_eq!(demangle("_RNvC6_123foo3bar"), "123foo::bar");
        assert_eq!(
            demangle("_ZNSt6vectorIiSaIiEE9push_backERKi"),
            "std::vector<int, std::allocator<int> >::push_back(int const&)"
        );
        assert_eq!(demangle("malloc"), "malloc");
        assert_eq!(demangle("__GI_qsort"), "qsort");
        assert_eq!(demangle("_Z"), "_Z");
        assert_eq!(demangle("ev\u{1b}il"), "ev\u{fffd}il");
    }

    #[test]
    fn a_name_that_unfolds_without_end_is_cut_at_once() {
        // pair<pair<...>> over itself: each level doubles what the last one prints.
        let mut symbol = String::from("_Z1fSt4pairIiiE");
        for level in 0..40 {
            let previous = if level == 0 {
                "S0_".to_string()
            } else {
                format!("S{}_", base36(level))
            };
            symbol.push_str(&format!("St4pairI{previous}{previous}E"));
        }
        let name = demangle(&symbol);
        assert!(name.len() <= MAX_NAME, "{}", name.len());
        let deep = format!("_Z{}", "N".repeat(10_000));
        assert!(demangle(&deep).len() <= MAX_NAME);
        assert!(demangle(&format!("_Z1f{}i", "P".repeat(10_000))).len() <= MAX_NAME);
    }

    fn base36(number: usize) -> String {
        let digit = |value: usize| {
            char::from_digit(value as u32, 36)
                .unwrap()
                .to_ascii_uppercase()
        };
        if number < 36 {
            digit(number).into()
        } else {
            format!("{}{}", digit(number / 36), digit(number % 36))
        }
    }
}
