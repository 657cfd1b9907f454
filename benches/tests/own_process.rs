//! Rows that run in a process of their own: they run on the allocator that they name, and measure
//! as often as they are asked.

use std::io::Write;
use std::process::{Command, Stdio};

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

#[test]
fn a_process_that_is_kept_answers_each_request_and_ends_with_its_input() {
    let mut program = Command::new(env!("CARGO_BIN_EXE_pool-table"));
    program.arg("--answer").stdin(Stdio::piped());
    program.stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut process = program.spawn().unwrap();
    // Taken, so that it is closed after the last request. (A process that has nothing to measure
    // on this machine may be gone already.)
    let _ = process.stdin.take().unwrap().write_all(b"1\n10\n");
    let output = process.wait_with_output().unwrap();
    let complaint = String::from_utf8_lossy(&output.stderr);
    if complaint.contains("takes the path") {
        return; // No restartable sequences here, and so no row.
    }
    assert!(output.status.success(), "{complaint}");
    let printed = String::from_utf8(output.stdout).unwrap();
    let answers: Vec<f64> = printed.lines().map(|line| line.parse().unwrap()).collect();
    assert_eq!(answers.len(), 2);
    assert!(
        answers.iter().all(|&nanoseconds| nanoseconds > 0.0),
        "{answers:?}"
    );
}
