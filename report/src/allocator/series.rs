//! Which of a probe's series are the allocator's, by their names: what stands after `@` is the allocator.

/// What a series is to an allocator.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Role {
    /// A function that programs call.
    Function,
    /// The same, timed one in N within the process.
    Sampled,
    /// A slow path inside the allocator.
    SlowPath,
    /// What it asks of the kernel, and what touching the memory costs.
    System,
    /// Lifetimes of sampled objects.
    Lifetime,
}

impl Role {
    /// `None` for a series that is not the allocator's.
    pub(crate) fn of(series: &str) -> Option<Role> {
        Some(match base(series) {
            "malloc" | "calloc" | "realloc" | "aligned_alloc" | "free" | "go_alloc" => {
                Role::Function
            }
            "sampled_malloc" | "sampled_free" => Role::Sampled,
            "malloc_refill" | "malloc_arena" | "malloc_os" | "go_alloc_refill"
            | "go_alloc_span" | "go_alloc_os" => Role::SlowPath,
            "mmap" | "munmap" | "mremap" | "madvise" | "brk" | "page_fault" | "major_fault"
            | "go_heap_grow" => Role::System,
            "lifetime" => Role::Lifetime,
            _ => return None,
        })
    }
}

/// The name without the allocator's: `malloc` of `malloc@jemalloc`.
pub(super) fn base(series: &str) -> &str {
    series.split('@').next().unwrap_or(series)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_series_is_the_allocators_by_its_name_whichever_allocator_it_is() {
        assert_eq!(Role::of("malloc"), Some(Role::Function));
        assert_eq!(Role::of("free@jemalloc"), Some(Role::Function));
        assert_eq!(Role::of("malloc_os@mimalloc"), Some(Role::SlowPath));
        assert_eq!(Role::of("go_alloc"), Some(Role::Function));
        assert_eq!(Role::of("go_alloc_span"), Some(Role::SlowPath));
        assert_eq!(Role::of("gc_assist"), None);
        assert_eq!(Role::of("munmap"), Some(Role::System));
        assert_eq!(Role::of("off_cpu"), None);
        assert_eq!(Role::of(""), None);
    }
}
