//! The counting run, with a counting allocator as a program would have it.

use std::alloc::System;
use tailcut_loadgen::{RunPlan, Service, count_requests};
use tailcut_pool::meter::{self, Metered};

#[global_allocator]
static ALLOCATOR: Metered<System> = Metered::new(System);

fn count(service: Service) -> tailcut_report::recording::Allocations {
    let plan = RunPlan {
        window: 5_000,
        workers: 1,
        ..RunPlan::new(service, "unused")
    };
    count_requests(&plan, 20_000, &|| meter::counts().into()).unwrap()
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
