//! The names of calls, and what is behind each. Those of slow paths are in `slow_paths`.

use super::{Family, Kind, Known, ResultAt, Signature, SizeAt, slow_paths};
use Kind::{Aligned, Calloc, Malloc};
use SizeAt::{Argument, Product};
use std::collections::HashMap;

const POSIX_MEMALIGN: Signature = Signature {
    kind: Aligned,
    size: Some(Argument(2)),
    freed: None,
    result: Some(ResultAt::PointedTo(0)),
};

/// C11, POSIX, and what C libraries add.
const C: [(&str, Signature); 13] = [
    ("malloc", Signature::allocates(Malloc, Argument(0))),
    ("calloc", Signature::allocates(Calloc, Product(0, 1))),
    ("realloc", Signature::reallocates(0, Argument(1))),
    ("reallocarray", Signature::reallocates(0, Product(1, 2))),
    ("free", Signature::frees(0)),
    ("cfree", Signature::frees(0)),
    ("free_sized", Signature::frees_sized(0, 1)),
    ("free_aligned_sized", Signature::frees_sized(0, 2)),
    ("aligned_alloc", Signature::allocates(Aligned, Argument(1))),
    ("memalign", Signature::allocates(Aligned, Argument(1))),
    ("posix_memalign", POSIX_MEMALIGN),
    ("valloc", Signature::allocates(Aligned, Argument(0))),
    ("pvalloc", Signature::allocates(Aligned, Argument(0))),
];

/// `operator new` and `operator delete`: `w` one, `a` an array; `m` a size, `t` an alignment.
const CPP: [(&str, Signature); 20] = [
    ("_Znwm", Signature::allocates(Malloc, Argument(0))),
    ("_Znam", Signature::allocates(Malloc, Argument(0))),
    (
        "_ZnwmRKSt9nothrow_t",
        Signature::allocates(Malloc, Argument(0)),
    ),
    (
        "_ZnamRKSt9nothrow_t",
        Signature::allocates(Malloc, Argument(0)),
    ),
    (
        "_ZnwmSt11align_val_t",
        Signature::allocates(Aligned, Argument(0)),
    ),
    (
        "_ZnamSt11align_val_t",
        Signature::allocates(Aligned, Argument(0)),
    ),
    (
        "_ZnwmSt11align_val_tRKSt9nothrow_t",
        Signature::allocates(Aligned, Argument(0)),
    ),
    (
        "_ZnamSt11align_val_tRKSt9nothrow_t",
        Signature::allocates(Aligned, Argument(0)),
    ),
    ("_ZdlPv", Signature::frees(0)),
    ("_ZdaPv", Signature::frees(0)),
    ("_ZdlPvRKSt9nothrow_t", Signature::frees(0)),
    ("_ZdaPvRKSt9nothrow_t", Signature::frees(0)),
    ("_ZdlPvSt11align_val_t", Signature::frees(0)),
    ("_ZdaPvSt11align_val_t", Signature::frees(0)),
    ("_ZdlPvSt11align_val_tRKSt9nothrow_t", Signature::frees(0)),
    ("_ZdaPvSt11align_val_tRKSt9nothrow_t", Signature::frees(0)),
    ("_ZdlPvm", Signature::frees_sized(0, 1)),
    ("_ZdaPvm", Signature::frees_sized(0, 1)),
    ("_ZdlPvmSt11align_val_t", Signature::frees_sized(0, 1)),
    ("_ZdaPvmSt11align_val_t", Signature::frees_sized(0, 1)),
];

/// jemalloc's own interface, beside C's.
const JEMALLOC: [(&str, Signature); 4] = [
    ("mallocx", Signature::allocates(Malloc, Argument(0))),
    ("rallocx", Signature::reallocates(0, Argument(1))),
    ("dallocx", Signature::frees(0)),
    ("sdallocx", Signature::frees_sized(0, 1)),
];

const MIMALLOC: [(&str, Signature); 42] = [
    ("mi_malloc", Signature::allocates(Malloc, Argument(0))),
    ("mi_malloc_small", Signature::allocates(Malloc, Argument(0))),
    ("mi_zalloc", Signature::allocates(Malloc, Argument(0))),
    ("mi_zalloc_small", Signature::allocates(Malloc, Argument(0))),
    ("mi_mallocn", Signature::allocates(Calloc, Product(0, 1))),
    ("mi_calloc", Signature::allocates(Calloc, Product(0, 1))),
    ("mi_realloc", Signature::reallocates(0, Argument(1))),
    ("mi_reallocf", Signature::reallocates(0, Argument(1))),
    ("mi_rezalloc", Signature::reallocates(0, Argument(1))),
    ("mi_reallocn", Signature::reallocates(0, Product(1, 2))),
    ("mi_recalloc", Signature::reallocates(0, Product(1, 2))),
    ("mi_reallocarray", Signature::reallocates(0, Product(1, 2))),
    (
        "mi_malloc_aligned",
        Signature::allocates(Aligned, Argument(0)),
    ),
    (
        "mi_malloc_aligned_at",
        Signature::allocates(Aligned, Argument(0)),
    ),
    (
        "mi_zalloc_aligned",
        Signature::allocates(Aligned, Argument(0)),
    ),
    (
        "mi_zalloc_aligned_at",
        Signature::allocates(Aligned, Argument(0)),
    ),
    (
        "mi_calloc_aligned",
        Signature::allocates(Aligned, Product(0, 1)),
    ),
    ("mi_realloc_aligned", Signature::reallocates(0, Argument(1))),
    (
        "mi_realloc_aligned_at",
        Signature::reallocates(0, Argument(1)),
    ),
    (
        "mi_rezalloc_aligned",
        Signature::reallocates(0, Argument(1)),
    ),
    ("mi_free", Signature::frees(0)),
    ("mi_cfree", Signature::frees(0)),
    ("mi_free_aligned", Signature::frees(0)),
    ("mi_free_size", Signature::frees_sized(0, 1)),
    ("mi_free_size_aligned", Signature::frees_sized(0, 1)),
    ("mi_posix_memalign", POSIX_MEMALIGN),
    ("mi_memalign", Signature::allocates(Aligned, Argument(1))),
    (
        "mi_aligned_alloc",
        Signature::allocates(Aligned, Argument(1)),
    ),
    ("mi_valloc", Signature::allocates(Aligned, Argument(0))),
    ("mi_pvalloc", Signature::allocates(Aligned, Argument(0))),
    ("mi_new", Signature::allocates(Malloc, Argument(0))),
    ("mi_new_nothrow", Signature::allocates(Malloc, Argument(0))),
    ("mi_new_n", Signature::allocates(Calloc, Product(0, 1))),
    ("mi_new_aligned", Signature::allocates(Aligned, Argument(0))),
    (
        "mi_new_aligned_nothrow",
        Signature::allocates(Aligned, Argument(0)),
    ),
    ("mi_new_realloc", Signature::reallocates(0, Argument(1))),
    ("mi_heap_malloc", Signature::allocates(Malloc, Argument(1))),
    (
        "mi_heap_malloc_small",
        Signature::allocates(Malloc, Argument(1)),
    ),
    ("mi_heap_zalloc", Signature::allocates(Malloc, Argument(1))),
    (
        "mi_heap_calloc",
        Signature::allocates(Calloc, Product(1, 2)),
    ),
    (
        "mi_heap_malloc_aligned",
        Signature::allocates(Aligned, Argument(1)),
    ),
    ("mi_heap_realloc", Signature::reallocates(1, Argument(2))),
];

/// gperftools. Google's own has the second kind of names.
const TCMALLOC: [(&str, Signature); 24] = [
    ("tc_malloc", Signature::allocates(Malloc, Argument(0))),
    (
        "tc_malloc_skip_new_handler",
        Signature::allocates(Malloc, Argument(0)),
    ),
    ("tc_calloc", Signature::allocates(Calloc, Product(0, 1))),
    ("tc_realloc", Signature::reallocates(0, Argument(1))),
    ("tc_free", Signature::frees(0)),
    ("tc_cfree", Signature::frees(0)),
    ("tc_free_sized", Signature::frees_sized(0, 1)),
    ("tc_memalign", Signature::allocates(Aligned, Argument(1))),
    ("tc_posix_memalign", POSIX_MEMALIGN),
    ("tc_valloc", Signature::allocates(Aligned, Argument(0))),
    ("tc_pvalloc", Signature::allocates(Aligned, Argument(0))),
    ("tc_new", Signature::allocates(Malloc, Argument(0))),
    ("tc_new_nothrow", Signature::allocates(Malloc, Argument(0))),
    ("tc_newarray", Signature::allocates(Malloc, Argument(0))),
    (
        "tc_newarray_nothrow",
        Signature::allocates(Malloc, Argument(0)),
    ),
    ("tc_new_aligned", Signature::allocates(Aligned, Argument(0))),
    ("tc_delete", Signature::frees(0)),
    ("tc_delete_sized", Signature::frees_sized(0, 1)),
    ("tc_deletearray", Signature::frees(0)),
    ("tc_deletearray_sized", Signature::frees_sized(0, 1)),
    (
        "TCMallocInternalMalloc",
        Signature::allocates(Malloc, Argument(0)),
    ),
    (
        "TCMallocInternalCalloc",
        Signature::allocates(Calloc, Product(0, 1)),
    ),
    (
        "TCMallocInternalRealloc",
        Signature::reallocates(0, Argument(1)),
    ),
    ("TCMallocInternalFree", Signature::frees(0)),
];

/// The C libraries' names for the same functions. Allocators that stand in for them define these too.
const C_LIBRARY: [(&str, Signature); 7] = [
    ("__libc_malloc", Signature::allocates(Malloc, Argument(0))),
    ("__libc_calloc", Signature::allocates(Calloc, Product(0, 1))),
    ("__libc_realloc", Signature::reallocates(0, Argument(1))),
    (
        "__libc_memalign",
        Signature::allocates(Aligned, Argument(1)),
    ),
    ("__libc_valloc", Signature::allocates(Aligned, Argument(0))),
    ("__libc_pvalloc", Signature::allocates(Aligned, Argument(0))),
    ("__libc_free", Signature::frees(0)),
];

/// Rust's symbols for the global allocator: (size, align), (pointer, size, align),
/// (pointer, old size, align, new size), (size, align).
const RUST: [(&str, Signature); 4] = [
    ("__rust_alloc", Signature::allocates(Malloc, Argument(0))),
    ("__rust_dealloc", Signature::frees_sized(0, 1)),
    ("__rust_realloc", Signature::reallocates(0, Argument(3))),
    (
        "__rust_alloc_zeroed",
        Signature::allocates(Calloc, Argument(0)),
    ),
];

/// Names, and what is behind each.
type Calls = &'static [(&'static str, Signature)];

pub(super) fn exact() -> HashMap<&'static str, Known> {
    let mut all = HashMap::new();
    let mut add = |family, rank, name, signature| {
        let known = Known {
            family,
            prefix: "",
            signature,
            rank,
        };
        let earlier = all.insert(name, known);
        debug_assert!(earlier.is_none(), "{name} twice");
    };
    let calls: [(Option<Family>, u8, Calls); 7] = [
        (None, 0, &C),
        (None, 3, &CPP),
        (Some(Family::Jemalloc), 1, &JEMALLOC),
        (Some(Family::Mimalloc), 1, &MIMALLOC),
        (Some(Family::Tcmalloc), 1, &TCMALLOC),
        (None, 2, &C_LIBRARY),
        (Some(Family::RustGlobal), 1, &RUST),
    ];
    for (family, rank, names) in calls {
        for (name, signature) in names {
            add(family, rank, *name, Some(*signature));
        }
    }
    for (family, tier, names) in slow_paths::exact() {
        for name in names {
            add(Some(family), 2, name, Some(Signature::slow(tier)));
        }
    }
    add(Some(Family::Jemalloc), 9, "mallctl", None);
    add(Some(Family::Mimalloc), 9, "mi_version", None);
    add(Some(Family::Tcmalloc), 9, "tc_version", None);
    all
}

/// Behind one of jemalloc's prefixes: its own interface and C's.
pub(super) fn jemalloc_calls() -> HashMap<&'static str, Signature> {
    C.into_iter().chain(JEMALLOC).collect()
}

/// `_RNvCs<hash>_7___rustc12___rust_alloc`: crate `__rustc`, from Rust 1.87 on.
pub(super) fn of_rust(name: &str) -> Option<Known> {
    let (_, item) = name.split_once("_7___rustc")?;
    let item = item.trim_start_matches(|c: char| c.is_ascii_digit());
    let (_, signature) = RUST
        .iter()
        .find(|(known, _)| item.strip_prefix('_') == Some(known))?;
    Some(Known {
        family: Some(Family::RustGlobal),
        prefix: "",
        signature: Some(*signature),
        rank: 1,
    })
}
