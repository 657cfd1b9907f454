//! Runs one plan and prints its figures; with `1G` as rate, what the engine itself can do.
//!
//! ```text
//! cargo run --release -p tailcut-loadgen --example drive -- pool 2.4M 5s
//! cargo run --release -p tailcut-loadgen --example drive -- noop 1G 2s      # the loop's own cost
//! cargo run --release -p tailcut-loadgen --example drive -- heap 500k 5s handoff 2
//! cargo run --release -p tailcut-loadgen --example drive -- pool 1M 5s inline 1 120000 poisson
//! ```

use std::process::ExitCode;
use std::sync::atomic::AtomicBool;
use tailcut_loadgen::scenario::{Arrivals, WarmUp};
use tailcut_loadgen::{
    Form, LiveSecond, Nanos, RunOutcome, RunPlan, Service, parse_count, parse_duration, run,
};

fn main() -> ExitCode {
    match drive() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("drive: {error}");
            ExitCode::FAILURE
        }
    }
}

fn drive() -> Result<(), Box<dyn std::error::Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [service, rate, duration, rest @ ..] = arguments.as_slice() else {
        return Err(
            "usage: drive noop|heap|preshaped|pool RATE DURATION [inline|handoff [WORKERS [WINDOW [constant|poisson [AUTO]]]]]"
            .into(),
        );
    };
    let service = match service.as_str() {
        "noop" => Service::Noop,
        "heap" => Service::Heap,
        "preshaped" => Service::HeapPreshaped,
        "pool" => Service::Pool,
        other => return Err(format!("no service '{other}': noop, heap, preshaped or pool").into()),
    };
    let dir = std::env::temp_dir().join(format!("tailcut-drive-{}", std::process::id()));
    let mut plan = RunPlan::new(service, &dir);
    plan.rate = rate.parse()?;
    plan.duration = parse_duration(duration)?;
    if rest.first().is_some_and(|form| form == "handoff") {
        plan.form = Form::Handoff;
        plan.workers = 2;
    }
    if let Some(workers) = rest.get(1) {
        plan.workers = workers.parse()?;
    }
    if let Some(window) = rest.get(2) {
        plan.window = parse_count(window)?;
    }
    if rest.get(3).is_some_and(|arrivals| arrivals == "poisson") {
        plan.arrivals = Arrivals::Poisson;
    }
    if let Some(at_most) = rest.get(4) {
        let at_most = parse_duration(at_most)?;
        plan.warmup = WarmUp::Auto { at_most };
    }
    let outcome = run(&plan, &AtomicBool::new(false), &mut print_second)?;
    print_outcome(&outcome);
    std::fs::remove_dir_all(&dir)?;
    Ok(())
}

fn print_second(second: &LiveSecond) {
    let response = second.response.map_or_else(String::new, |response| {
        format!(
            "P50 {}, P99.9 {}, max {}",
            response.p50, response.p999, response.max
        )
    });
    let backlog = second.due.saturating_sub(second.completed);
    println!(
        "{:>8} {:.0}/s, {backlog} behind {response}",
        second.elapsed.to_string(),
        second.rate
    );
}

fn print_outcome(outcome: &RunOutcome) {
    let Some(result) = &outcome.meta.result else {
        return;
    };
    let at = |quantile| Nanos(outcome.response.value_at_quantile(quantile));
    let service = |quantile| Nanos(outcome.service.value_at_quantile(quantile));
    println!(
        "{} of {} due; warm-up {}",
        result.completed, result.offered, outcome.meta.load.warmup_rule
    );
    println!(
        "{:.0}/s, {:.1} ns each; schedule kept: {}; unserved {}, rejected {}",
        result.rate_achieved,
        1e9 / result.rate_achieved,
        result.schedule_kept,
        result.unserved,
        result.rejected,
    );
    println!(
        "response P50 {} P99 {} P99.9 {} P99.99 {} max {}",
        at(0.5),
        at(0.99),
        at(0.999),
        at(0.9999),
        Nanos(outcome.response.max())
    );
    println!(
        "service P50 {} P99.9 {} max {}; busy {:.2}; windows {}; checksum {}",
        service(0.5),
        service(0.999),
        Nanos(outcome.service.max()),
        result.cpu_busy,
        result.settled_windows,
        result.checksum
    );
    println!(
        "{:?}; swaps missed {}; resident {} MiB",
        result.stalls,
        outcome.swaps_missed,
        result.max_rss_bytes >> 20
    );
    println!(
        "clock {} at {:.1} ns, {:?}",
        outcome.meta.load.clock_source, outcome.meta.load.clock_cost_ns, outcome.drift
    );
}
