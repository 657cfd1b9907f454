//! The counting run, with a counting allocator as a program would have it.

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use tailcut_loadgen::{AllocationCounts, RunPlan, Service, count_requests};

struct Counted;

thread_local! {
    static COUNTS: Cell<AllocationCounts> = const { Cell::new(AllocationCounts { allocations: 0, frees: 0, bytes: 0 }) };
}

// SAFETY: every call goes to the system's allocator unchanged; counting touches a thread-local
// without a destructor, which neither allocates nor panics.
unsafe impl GlobalAlloc for Counted {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        let mut counts = COUNTS.get();
        counts.allocations += 1;
        counts.bytes += layout.size() as u64;
        COUNTS.set(counts);
        // SAFETY: the caller's promises are passed on.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        let mut counts = COUNTS.get();
        counts.frees += 1;
        COUNTS.set(counts);
        // SAFETY: the caller's promises are passed on.
        unsafe { System.dealloc(pointer, layout) };
    }
}

#[global_allocator]
static ALLOCATOR: Counted = Counted;

fn count(service: Service) -> tailcut_report::recording::Allocations {
    let plan = RunPlan {
        window: 5_000,
        workers: 1,
        ..RunPlan::new(service, "unused")
    };
    count_requests(&plan, 20_000, &|| COUNTS.get()).unwrap()
}

#[test]
#[allow(clippy::float_cmp)] // counts, divided
fn the_pooled_service_allocates_nothing() {
    let pool = count(Service::Pool);
    assert_eq!(
        (
            pool.allocations_per_request,
            pool.frees_per_request,
            pool.bytes_per_request
        ),
        (0.0, 0.0, 0.0)
    );
    assert_eq!(pool.requests, 20_000);
}

#[test]
#[allow(clippy::float_cmp)] // counts, divided
fn the_plain_service_allocates_a_box_a_vector_a_map_and_its_strings() {
    let heap = count(Service::Heap);
    assert!(
        heap.allocations_per_request > 4.5 && heap.allocations_per_request < 5.5,
        "{heap:?}"
    );
    // What is made is given back, but for orders live at one end and not at the other.
    assert!(
        (heap.allocations_per_request - heap.frees_per_request).abs() < 2.0,
        "{heap:?}"
    );
    assert!(heap.bytes_per_request > 200.0, "{heap:?}");
    assert_eq!(count(Service::HeapPreshaped).allocations_per_request, 1.0);
    assert_eq!(count(Service::Noop).allocations_per_request, 0.0);
}
