//! The tables of [`catalogue`](super): names, and what is behind each.

use super::{Family, Kind, Known, ResultAt, Signature, SizeAt, Tier};
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

const GLIBC_SLOW: [(Tier, &[&str]); 3] = [
    (
        Tier::Refill,
        &["_int_malloc", "_int_free", "_int_free_chunk", "tcache_init"],
    ),
    (
        Tier::Arena,
        &[
            "malloc_consolidate",
            "_int_free_merge_chunk",
            "_int_free_maybe_consolidate",
            "_int_memalign",
            "_int_realloc",
            "arena_get2",
            "arena_get_retry",
        ],
    ),
    (
        Tier::OperatingSystem,
        &[
            "sysmalloc",
            "sysmalloc_mmap",
            "sysmalloc_mmap_fallback",
            "systrim",
            "heap_trim",
            "new_heap",
            "alloc_new_heap",
            "grow_heap",
            "shrink_heap",
            "munmap_chunk",
            "mremap_chunk",
        ],
    ),
];

const MUSL_SLOW: [(Tier, &[&str]); 2] = [
    (
        Tier::Arena,
        &[
            "__malloc_alloc_meta",
            "alloc_slot",
            "alloc_group",
            "nontrivial_free",
        ],
    ),
    (Tier::OperatingSystem, &["__expand_heap"]),
];

const MIMALLOC_SLOW: [(Tier, &[&str]); 3] = [
    (
        Tier::Refill,
        &[
            "_mi_malloc_generic",
            "_mi_free_generic",
            "_mi_free_block_mt",
            "_mi_page_free_collect",
            "_mi_heap_delayed_free",
            "_mi_heap_delayed_free_partial",
        ],
    ),
    (
        Tier::Arena,
        &[
            "_mi_page_retire",
            "_mi_page_free",
            "_mi_page_unfull",
            "_mi_page_reclaim",
            "_mi_page_abandon",
            "mi_page_fresh",
            "mi_page_fresh_alloc",
            "mi_page_extend_free",
            "mi_page_queue_find_free_ex",
            "mi_large_huge_page_alloc",
            "mi_large_page_alloc",
            "mi_huge_page_alloc",
            "_mi_segment_page_alloc",
            "_mi_segment_page_free",
            "_mi_segment_huge_page_alloc",
            "mi_segment_alloc",
            "mi_segment_free",
            "mi_segment_reclaim_or_alloc",
            "mi_segment_try_reclaim",
            "mi_segments_page_alloc",
            "_mi_arena_alloc",
            "_mi_arena_alloc_aligned",
            "_mi_arena_free",
            "_mi_abandoned_await_readers",
        ],
    ),
    (
        Tier::OperatingSystem,
        &[
            "_mi_os_alloc",
            "_mi_os_alloc_aligned",
            "_mi_os_alloc_aligned_offset",
            "_mi_os_free",
            "_mi_os_free_ex",
            "_mi_os_commit",
            "_mi_os_decommit",
            "_mi_os_purge",
            "_mi_os_purge_ex",
            "_mi_os_reset",
            "_mi_os_unreset",
            "mi_os_mem_alloc",
            "mi_os_mem_free",
            "mi_segment_delayed_decommit",
            "mi_segment_purge",
            "_mi_prim_alloc",
            "_mi_prim_free",
            "_mi_prim_commit",
            "_mi_prim_decommit",
            "_mi_prim_reset",
            "unix_mmap",
        ],
    ),
];

const JEMALLOC_SLOW: [(Tier, &[&str]); 3] = [
    (
        Tier::Refill,
        &[
            "tcache_alloc_small_hard",
            "tcache_bin_flush_small",
            "tcache_bin_flush_large",
            "tcache_bin_flush_stashed",
            "tcache_event_hard",
            "tcache_gc_event_handler",
            "arena_cache_bin_fill_small",
            "arena_tcache_fill_small",
        ],
    ),
    (
        Tier::Arena,
        &[
            "arena_malloc_hard",
            "arena_bin_malloc_hard",
            "arena_bin_malloc_with_fresh_slab",
            "arena_slab_alloc",
            "arena_slab_alloc_hard",
            "arena_slab_dalloc",
            "arena_palloc",
            "arena_ralloc",
            "arena_dalloc_small",
            "arena_dalloc_bin_slab",
            "arena_extent_alloc_large",
            "arena_extent_dalloc_large_prep",
            "arena_choose_hard",
            "arena_boot",
            "arena_new",
            "large_malloc",
            "large_palloc",
            "large_dalloc",
            "large_ralloc",
            "extents_alloc",
            "extents_dalloc",
            "extents_evict",
            "ecache_alloc",
            "ecache_alloc_grow",
            "ecache_dalloc",
            "ecache_evict",
            "extent_recycle",
            "extent_split_impl",
            "extent_try_coalesce",
            "extent_try_coalesce_impl",
            "pa_alloc",
            "pa_dalloc",
            "pac_alloc_impl",
            "huge_malloc",
            "huge_palloc",
            "huge_dalloc",
        ],
    ),
    (
        Tier::OperatingSystem,
        &[
            "arena_decay",
            "arena_decay_impl",
            "arena_maybe_purge",
            "arena_purge_to_limit",
            "pac_decay_all",
            "pac_decay_stashed",
            "pac_decay_to_limit",
            "pac_maybe_decay_purge",
            "extent_grow_retained",
            "extent_alloc_wrapper",
            "extent_alloc_wrapper_hard",
            "extent_dalloc_wrapper",
            "extent_alloc_mmap",
            "extent_dalloc_mmap",
            "extent_alloc_dss",
            "extent_purge_lazy_wrapper",
            "extent_purge_forced_wrapper",
            "extent_commit_wrapper",
            "extent_decommit_wrapper",
            "ehooks_default_alloc_impl",
            "chunk_alloc_mmap",
            "chunk_dalloc_mmap",
            "chunk_purge_arena",
            "pages_map",
            "pages_unmap",
            "pages_commit",
            "pages_decommit",
            "pages_purge_lazy",
            "pages_purge_forced",
        ],
    ),
];

/// Beginnings of C++ names, up to where the parameters start.
const TCMALLOC_SLOW: [(&str, Tier); 10] = [
    (
        "_ZN8tcmalloc11ThreadCache21FetchFromCentralCache",
        Tier::Refill,
    ),
    (
        "_ZN8tcmalloc11ThreadCache21ReleaseToCentralCache",
        Tier::Refill,
    ),
    ("_ZN8tcmalloc11ThreadCache8Scavenge", Tier::Refill),
    ("_ZN8tcmalloc15CentralFreeList11RemoveRange", Tier::Arena),
    ("_ZN8tcmalloc15CentralFreeList11InsertRange", Tier::Arena),
    ("_ZN8tcmalloc15CentralFreeList8Populate", Tier::Arena),
    ("_ZN8tcmalloc8PageHeap3New", Tier::Arena),
    ("_ZN8tcmalloc8PageHeap8GrowHeap", Tier::OperatingSystem),
    ("_Z20TCMalloc_SystemAlloc", Tier::OperatingSystem),
    ("_Z22TCMalloc_SystemRelease", Tier::OperatingSystem),
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
    let calls: [(Option<Family>, u8, &[(&'static str, Signature)]); 7] = [
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
    let slow: [(Family, &[(Tier, &[&'static str])]); 3] = [
        (Family::Glibc, &GLIBC_SLOW),
        (Family::Musl, &MUSL_SLOW),
        (Family::Mimalloc, &MIMALLOC_SLOW),
    ];
    for (family, tiers) in slow {
        for (tier, names) in tiers {
            for name in *names {
                add(Some(family), 2, name, Some(Signature::slow(*tier)));
            }
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

/// Behind `je_` or one of the prefixes.
pub(super) fn jemalloc_slow() -> HashMap<&'static str, Signature> {
    let of_tier = |(tier, names): &(Tier, &'static [&'static str])| {
        let signature = Signature::slow(*tier);
        names
            .iter()
            .map(move |name| (*name, signature))
            .collect::<Vec<_>>()
    };
    JEMALLOC_SLOW.iter().flat_map(of_tier).collect()
}

pub(super) fn of_tcmalloc_inside(name: &str) -> Option<Known> {
    let (_, tier) = TCMALLOC_SLOW
        .iter()
        .find(|(start, _)| name.starts_with(start))?;
    Some(Known {
        family: Some(Family::Tcmalloc),
        prefix: "",
        signature: Some(Signature::slow(*tier)),
        rank: 2,
    })
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
