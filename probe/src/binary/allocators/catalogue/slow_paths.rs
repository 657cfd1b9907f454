//! The names of slow paths, by tier. They are internal: what is missing in a version is not missed.

use super::{Family, Known, Signature, Tier};
use std::collections::HashMap;

/// Names of one tier.
type Names = (Tier, &'static [&'static str]);

const GLIBC_SLOW: [Names; 3] = [
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

const MUSL_SLOW: [Names; 2] = [
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

const MIMALLOC_SLOW: [Names; 3] = [
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

const JEMALLOC_SLOW: [Names; 3] = [
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

/// All but jemalloc's, which may carry prefixes, and tcmalloc's, of which only beginnings are known.
pub(super) fn exact() -> impl Iterator<Item = (Family, Tier, &'static [&'static str])> {
    let with = |family| move |(tier, names): &Names| (family, *tier, *names);
    let glibc = GLIBC_SLOW.iter().map(with(Family::Glibc));
    let musl = MUSL_SLOW.iter().map(with(Family::Musl));
    let mimalloc = MIMALLOC_SLOW.iter().map(with(Family::Mimalloc));
    glibc.chain(musl).chain(mimalloc)
}

/// Behind `je_` or one of the prefixes.
pub(super) fn jemalloc() -> HashMap<&'static str, Signature> {
    let of_tier = |(tier, names): &Names| {
        let signature = Signature::slow(*tier);
        names.iter().map(move |name| (*name, signature))
    };
    JEMALLOC_SLOW.iter().flat_map(of_tier).collect()
}

/// What a mangled C++ name tells, if it is of tcmalloc.
pub(super) fn of_tcmalloc(name: &str) -> Option<Known> {
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
