//! The functions of the allocators that we know, by name.
//!
//! **Calls** are public interfaces: C11 and POSIX, C++'s `operator new` and `delete` as the Itanium
//! ABI mangles them, jemalloc(3), mimalloc.h, gperftools' tcmalloc.h, and the symbols that `rustc`
//! makes for a global allocator.
//!
//! **Slow paths** are internal functions whose names differ between versions and exist only where
//! the file kept its symbols: as known of jemalloc (not checked against each version's source) 4.0 to 5.3, mimalloc 1.6 to 2.2,
//! gperftools 2.7 to 2.16 and glibc 2.26 to 2.42. One that is not found is not missed.
//!
//! Cost: a name takes one look-up in a hash table, and most of them none (by their first bytes).

use serde::Serialize;
use std::collections::HashMap;
use std::fmt;
use std::sync::LazyLock;

mod names;
mod slow_paths;

/// Which allocator.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Family {
    /// The GNU C library's.
    Glibc,
    /// musl's.
    Musl,
    /// jemalloc.
    Jemalloc,
    /// mimalloc.
    Mimalloc,
    /// tcmalloc, of gperftools or of Google.
    Tcmalloc,
    /// Whatever stands behind Rust's `__rust_alloc`.
    RustGlobal,
    /// One that defines `malloc` and that we do not know.
    Other,
}

impl fmt::Display for Family {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Family::Glibc => "glibc",
            Family::Musl => "musl",
            Family::Jemalloc => "jemalloc",
            Family::Mimalloc => "mimalloc",
            Family::Tcmalloc => "tcmalloc",
            Family::RustGlobal => "Rust's global allocator",
            Family::Other => "unknown allocator",
        })
    }
}

/// What a function does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// Allocates.
    Malloc,
    /// Allocates an array of zeros.
    Calloc,
    /// Changes the size of an allocation.
    Realloc,
    /// Allocates at a multiple of some number of bytes.
    Aligned,
    /// Frees.
    Free,
    /// Frees, and is told the size.
    SizedFree,
    /// Is called by the others when what they hold ready does not do.
    SlowPath(Tier),
}

/// How slow a slow path is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Tier {
    /// Fills or empties a thread's own store.
    Refill,
    /// Works on what threads share: locks, searches, splits and joins.
    Arena,
    /// Calls the operating system, or is about to.
    OperatingSystem,
}

/// Where a call says how many bytes it wants. Arguments count from 0.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum SizeAt {
    /// In this argument.
    Argument(u8),
    /// The product of these two.
    Product(u8, u8),
}

/// Where a call leaves the address of what it allocated.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum ResultAt {
    /// It returns it.
    Returned,
    /// Where this argument points to, if it returned 0 (`posix_memalign`).
    PointedTo(u8),
}

/// What a function does and where its arguments are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Signature {
    /// What it does.
    pub kind: Kind,
    /// Where the size is; none if it has none.
    pub size: Option<SizeAt>,
    /// Which argument is the address that is freed or moved.
    pub freed: Option<u8>,
    /// Where the new address will be; none if there is none.
    pub result: Option<ResultAt>,
}

impl Signature {
    /// The arguments that a probe at the function's entry must see, sorted.
    #[must_use]
    pub fn wanted_arguments(&self) -> Vec<u8> {
        let mut wanted: Vec<u8> = self.freed.into_iter().collect();
        match self.size {
            Some(SizeAt::Argument(size)) => wanted.push(size),
            Some(SizeAt::Product(count, size)) => wanted.extend([count, size]),
            None => {}
        }
        if let Some(ResultAt::PointedTo(pointer)) = self.result {
            wanted.push(pointer);
        }
        wanted.sort_unstable();
        wanted.dedup();
        wanted
    }

    const fn allocates(kind: Kind, size: SizeAt) -> Self {
        Signature {
            kind,
            size: Some(size),
            freed: None,
            result: Some(ResultAt::Returned),
        }
    }

    const fn reallocates(freed: u8, size: SizeAt) -> Self {
        Signature {
            kind: Kind::Realloc,
            size: Some(size),
            freed: Some(freed),
            result: Some(ResultAt::Returned),
        }
    }

    const fn frees(freed: u8) -> Self {
        Signature {
            kind: Kind::Free,
            size: None,
            freed: Some(freed),
            result: None,
        }
    }

    const fn frees_sized(freed: u8, size: u8) -> Self {
        Signature {
            kind: Kind::SizedFree,
            size: Some(SizeAt::Argument(size)),
            freed: Some(freed),
            result: None,
        }
    }

    const fn slow(tier: Tier) -> Self {
        Signature {
            kind: Kind::SlowPath(tier),
            size: None,
            freed: None,
            result: None,
        }
    }
}

/// What a name tells.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Known {
    /// Whose it is; none for names that every allocator may define.
    pub family: Option<Family>,
    /// What stands in front of jemalloc's names in this build; empty for all others.
    pub prefix: &'static str,
    /// The function behind the name; none if the name only shows who is there.
    pub signature: Option<Signature>,
    /// Which of several names of one function is shown: the lowest.
    pub rank: u8,
}

/// What stands in front of jemalloc's names: nothing, Rust's crate, its own default on macOS and
/// for users who ask, Android's. The private ones have `je_` behind that.
pub(super) const JEMALLOC_PREFIXES: [&str; 4] = ["", "_rjem_", "je_", "jemalloc_"];

static EXACT: LazyLock<HashMap<&'static str, Known>> = LazyLock::new(names::exact);
static JEMALLOC_CALLS: LazyLock<HashMap<&'static str, Signature>> =
    LazyLock::new(names::jemalloc_calls);
static JEMALLOC_SLOW: LazyLock<HashMap<&'static str, Signature>> =
    LazyLock::new(slow_paths::jemalloc);

/// What the name of a function tells, if anything. `.part.0`, `.isra.0` and the like, which
/// compilers append, do not matter; a part that was moved away (`.cold`) is nothing.
#[must_use]
pub fn look_up(name: &[u8]) -> Option<Known> {
    let first = *name.first()?;
    if !matches!(first, b'_' | b'a'..=b'z' | b'T') || name.starts_with(b"_ZN4core") {
        return None;
    }
    let name = std::str::from_utf8(name).ok()?;
    let (plain, appended) = match name.get(1..).and_then(|rest| rest.find('.')) {
        Some(dot) => name.split_at(dot + 1),
        None => (name, ""),
    };
    if appended.contains(".cold") {
        return None;
    }
    if let Some(known) = EXACT.get(plain) {
        return Some(*known);
    }
    if plain.starts_with("_Z") {
        return slow_paths::of_tcmalloc(plain);
    }
    if plain.starts_with("_R") {
        return names::of_rust(plain);
    }
    of_jemalloc(plain)
}

fn of_jemalloc(name: &str) -> Option<Known> {
    JEMALLOC_PREFIXES.iter().find_map(|prefix| {
        let rest = name.strip_prefix(prefix)?;
        // Without a prefix these are `malloc` and `free`, which everybody has: found before.
        let call = JEMALLOC_CALLS.get(rest).map(|signature| (*signature, 0));
        let slow = || {
            let private = rest.strip_prefix("je_").unwrap_or(rest);
            JEMALLOC_SLOW.get(private).map(|signature| (*signature, 1))
        };
        // `je_` alone in front of a private name is of a build without a public prefix.
        let (signature, rank) = call.or_else(slow)?;
        let prefix = if *prefix == "je_" && rank == 1 {
            ""
        } else {
            *prefix
        };
        Some(Known {
            family: Some(Family::Jemalloc),
            prefix,
            signature: Some(signature),
            rank: 1 + rank,
        })
    })
}

#[cfg(test)]
mod tests {
    use super::{Family, Kind, ResultAt, SizeAt, Tier, look_up};

    #[test]
    fn names_that_everybody_may_define_belong_to_nobody() {
        for name in [
            "malloc",
            "free",
            "__libc_free",
            "posix_memalign",
            "_Znwm",
            "_ZdlPvm",
        ] {
            let known = look_up(name.as_bytes()).unwrap();
            assert_eq!(known.family, None, "{name}");
            assert!(known.signature.is_some(), "{name}");
        }
    }

    #[test]
    fn names_of_one_allocator_tell_which() {
        for (name, family, prefix) in [
            ("_rjem_malloc", Family::Jemalloc, "_rjem_"),
            ("je_malloc", Family::Jemalloc, "je_"),
            ("mallocx", Family::Jemalloc, ""),
            ("sdallocx", Family::Jemalloc, ""),
            ("mi_malloc_aligned", Family::Mimalloc, ""),
            ("tc_free_sized", Family::Tcmalloc, ""),
        ] {
            let known = look_up(name.as_bytes()).unwrap();
            assert_eq!(
                (known.family, known.prefix),
                (Some(family), prefix),
                "{name}"
            );
        }
    }

    #[test]
    fn slow_paths_have_a_tier() {
        for (name, family, tier) in [
            ("je_tcache_alloc_small_hard", Family::Jemalloc, Tier::Refill),
            (
                "_rjem_je_tcache_bin_flush_small",
                Family::Jemalloc,
                Tier::Refill,
            ),
            (
                "_rjem_je_extent_alloc_wrapper",
                Family::Jemalloc,
                Tier::OperatingSystem,
            ),
            ("_mi_malloc_generic", Family::Mimalloc, Tier::Refill),
            (
                "mi_segment_alloc.constprop.0",
                Family::Mimalloc,
                Tier::Arena,
            ),
            ("sysmalloc", Family::Glibc, Tier::OperatingSystem),
            ("malloc_consolidate", Family::Glibc, Tier::Arena),
            (
                "_ZN8tcmalloc15CentralFreeList11RemoveRangeEiPPvS2_",
                Family::Tcmalloc,
                Tier::Arena,
            ),
        ] {
            let known = look_up(name.as_bytes()).unwrap_or_else(|| panic!("{name}"));
            assert_eq!(known.family, Some(family), "{name}");
            assert_eq!(
                known.signature.unwrap().kind,
                Kind::SlowPath(tier),
                "{name}"
            );
        }
    }

    #[test]
    fn arguments_are_where_the_interfaces_have_them() {
        let of = |name: &str| look_up(name.as_bytes()).unwrap().signature.unwrap();
        let aligned = of("posix_memalign");
        assert_eq!(aligned.size, Some(SizeAt::Argument(2)));
        assert_eq!(aligned.result, Some(ResultAt::PointedTo(0)));
        assert_eq!(aligned.wanted_arguments(), [0, 2]);
        assert_eq!(of("calloc").wanted_arguments(), [0, 1]);
        assert_eq!(of("reallocarray").size, Some(SizeAt::Product(1, 2)));
        assert_eq!(of("_rjem_sdallocx").kind, Kind::SizedFree);
        let rust = of("_RNvCsab12_7___rustc14___rust_realloc");
        assert_eq!(
            (rust.freed, rust.size),
            (Some(0), Some(SizeAt::Argument(3)))
        );
    }

    #[test]
    fn other_names_tell_nothing() {
        for name in [
            "",
            "main",
            "xmalloc",
            "malloc.cold",
            "_int_malloc.cold",
            "je_",
            "mi_",
            "_",
            ".",
        ] {
            assert_eq!(look_up(name.as_bytes()), None, "{name}");
        }
    }
}
