//! Rows that run in a process of their own really run on the allocator that they name.

use std::process::Command;

use tailcut_benches::allocator::{Allocator, VARIABLE};
use tailcut_benches::alone::{Task, number_printed_by};
use tailcut_benches::workloads::order::Form;

fn alone(task: &Task, allocator: Allocator, repetitions: &str) -> Result<f64, String> {
    let mut program = Command::new(env!("CARGO_BIN_EXE_pool-table"));
    program
        .args(["--alone", &task.text(), "--repetitions", repetitions])
        .env(VARIABLE, allocator.name());
    number_printed_by(program)
}

#[test]
fn a_process_allocates_from_the_allocator_that_its_row_names_and_from_no_other() {
    for &allocator in Allocator::ALL {
        let growth = alone(&Task::Growth, allocator, "1").unwrap();
        if allocator == Allocator::Glibc {
            assert!(growth >= 500_000.0, "{growth}");
        } else {
            assert_eq!(growth, 0.0, "{}", allocator.name());
        }
    }
}

#[test]
fn every_form_of_order_can_be_measured_on_every_allocator() {
    for &allocator in Allocator::ALL {
        for form in Form::ALL {
            let nanoseconds = alone(&Task::Order(form), allocator, "100");
            assert!(
                nanoseconds.clone().is_ok_and(|ns| ns > 0.0),
                "{} on {}: {nanoseconds:?}",
                form.name(),
                allocator.name()
            );
        }
    }
}
