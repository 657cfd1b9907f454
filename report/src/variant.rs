//! The variants that a report compares: what they are called, and in which order they stand.

use hdrhistogram::Histogram;

use crate::digest::RunDigest;
use crate::heat::HeatMap;
use crate::recording;
use crate::summary::VariantSummary;

/// The machine's floor: the schedule without a service.
pub const NOOP: &str = "noop";
/// The service with its objects from the pool.
pub const POOL: &str = "pool";
/// What the names of the heap variants begin with.
pub const HEAP_PREFIX: &str = "heap_";

/// What the names of forms in Go begin with.
const GO_PREFIX: &str = "go_";
/// The form in Go as it is usually written.
pub const GO_HEAP: &str = "go_heap";
/// The form in Go with a `sync.Pool`.
pub const GO_SYNC_POOL: &str = "go_sync_pool";
/// The form in Go with a preallocated free list.
const GO_FREE_LIST: &str = "go_free_list";
/// The heap form in Go at a rate of its own: behind it stands which.
const GO_HEAP_AT: &str = "go_heap_at_";

/// The order in which known variants stand; others follow in the order of their first run.
const ORDER: [&str; 8] = [
    NOOP,
    GO_HEAP,
    GO_SYNC_POOL,
    GO_FREE_LIST,
    "heap_system",
    "heap_jemalloc",
    "heap_mimalloc",
    POOL,
];

/// All runs of one variant.
#[derive(Debug, Clone)]
pub(crate) struct Variant {
    pub(crate) name: String,
    pub(crate) summary: VariantSummary,
    /// Response times of all runs.
    pub(crate) response: Histogram<u64>,
    pub(crate) heat: HeatMap,
    /// Its runs, as places in the report's list.
    pub(crate) runs: Vec<usize>,
}

impl Variant {
    /// Groups runs by variant.
    pub(crate) fn group(runs: &[RunDigest]) -> Vec<Variant> {
        let mut names: Vec<&str> = Vec::new();
        for run in runs {
            if !names.contains(&run.meta.variant.as_str()) {
                names.push(&run.meta.variant);
            }
        }
        // Stable, so that unknown ones keep their order.
        names.sort_by_key(|name| {
            ORDER
                .iter()
                .position(|known| known == name)
                .unwrap_or(ORDER.len())
        });
        names
            .into_iter()
            .map(|name| Variant::of(name, runs))
            .collect()
    }

    fn of(name: &str, all: &[RunDigest]) -> Variant {
        let indices: Vec<usize> = (0..all.len())
            .filter(|index| all[*index].meta.variant == name)
            .collect();
        let runs = indices.iter().map(|index| &all[*index]);
        let response = recording::merged(runs.clone().map(|run| &run.response));
        let service = recording::merged(runs.clone().map(|run| &run.service));
        Variant {
            name: name.to_owned(),
            summary: VariantSummary::of(&runs.clone().collect::<Vec<_>>(), &response, &service),
            response,
            heat: HeatMap::of(runs),
            runs: indices,
        }
    }

    pub(crate) fn is_heap(&self) -> bool {
        self.name.starts_with(HEAP_PREFIX)
    }

    pub(crate) fn label(&self) -> &str {
        label(&self.name)
    }

    /// What it is called in a sentence.
    pub(crate) fn spoken(&self) -> &str {
        match self.name.as_str() {
            "heap_system" => "the system allocator",
            POOL => "the pool",
            _ => self.label(),
        }
    }

    /// Whether its percentiles are lower bounds: requests that never ran were still waiting.
    pub(crate) fn lower_bound(&self) -> bool {
        self.summary.missed_runs > 0
    }
}

/// Whether it is a form of the service in Go.
pub(crate) fn is_go(variant: &str) -> bool {
    variant.starts_with(GO_PREFIX)
}

/// What a form is called where forms in Go and in Rust stand side by side.
pub(crate) fn form(variant: &str) -> String {
    match variant {
        POOL => "Rust pool".to_owned(),
        other => match (
            other.strip_prefix(HEAP_PREFIX),
            other.strip_prefix(GO_HEAP_AT),
        ) {
            (Some(allocator), _) if !allocator.is_empty() => format!("Rust heap, {allocator}"),
            (_, Some(rate)) if !rate.is_empty() => format!("Go heap at {rate}/s"),
            _ => label(other).to_owned(),
        },
    }
}

/// What a variant is called in a table or a legend: `no-op`, `jemalloc`, `pool`, `Go sync.Pool`.
pub fn label(variant: &str) -> &str {
    match variant {
        NOOP => "no-op",
        GO_HEAP => "Go heap",
        GO_SYNC_POOL => "Go sync.Pool",
        GO_FREE_LIST => "Go free list",
        "go_heap_at_2.4M" => "Go heap at 2.4M/s",
        "" => "unnamed",
        other => match other.strip_prefix(HEAP_PREFIX) {
            Some(allocator) if !allocator.is_empty() => allocator,
            _ => other,
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_label_says_what_differs() {
        assert_eq!(label("noop"), "no-op");
        assert_eq!(label("heap_jemalloc"), "jemalloc");
        assert_eq!(label("pool"), "pool");
        assert_eq!(label("heap_"), "heap_");
        assert_eq!(label("mine"), "mine");
        assert_eq!(label("go_sync_pool"), "Go sync.Pool");
    }

    #[test]
    fn a_form_says_its_language_too() {
        assert_eq!(form("heap_jemalloc"), "Rust heap, jemalloc");
        assert_eq!(form("pool"), "Rust pool");
        assert_eq!(form("go_heap"), "Go heap");
        assert_eq!(form("go_heap_at_2.4M"), "Go heap at 2.4M/s");
        assert_eq!(form("noop"), "no-op");
    }
}
