//! Which forms of the service are measured, in which order, and how it is told.

use std::path::Path;

use anyhow::{Context, Result, ensure};
use tailcut_loadgen::Rate;
use tailcut_report::recording::Allocations;

use super::incident::{GoForm, GoRun, GoService, HIGHEST_RATE, PROCESSORS};
use super::order::{Measured, Order, Task, Variant};
use super::progress::Progress;
use super::traced::Tracing;
use super::{WARMUP_SECONDS, incident, turn, variant_run};
use crate::allocator::Allocator;
use crate::cli::{AllocatorChoice, DemoArguments};
use crate::interrupt::Interrupt;

const SECOND: u64 = 1_000_000_000;
/// Runs of every variant unless somebody says otherwise. The tail that a collector makes differs more from run to run.
const RUNS: u32 = 2;
const RUNS_OF_THE_INCIDENT: u32 = 4;
/// Live orders of the demo, and of the incident, unless somebody says otherwise.
const WINDOW: u64 = 120_000;
const WINDOW_OF_THE_INCIDENT: u64 = 100_000;

/// How the measuring came to its end.
pub enum Ended {
    AllRuns,
    NoopMissed { achieved: f64 },
}

/// A form of the service that is measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Contender {
    Rust(Variant),
    Go(GoForm),
}

/// What is to be run, decided and checked before anything starts.
pub struct Session {
    contenders: Vec<Contender>,
    /// Every run in Rust is this one, but for its variant and task.
    template: Order,
    /// Runs of each contender.
    repetitions: u32,
    tracing: Tracing,
    /// The service in Go, if it is to be measured and has been built.
    go: Option<GoService>,
    /// Whether the rate was found by search, because the Go heap form cannot hold the usual one: then a run at that one shows
    /// it.
    lowered: bool,
}

impl Session {
    pub fn new(arguments: &DemoArguments) -> Session {
        // The handoff form takes its cores in pairs.
        let default_workers = match (arguments.handoff, tailcut_loadgen::default_workers()) {
            (false, workers) => workers,
            (true, workers) => workers.next_multiple_of(2),
        };
        let with_go = arguments.incident.is_some();
        let heaps = heaps(arguments.allocator, with_go);
        let heaps = heaps.into_iter().map(Variant::Heap).map(Contender::Rust);
        let go: &[GoForm] = if with_go { &GoForm::ALL } else { &[] };
        let contenders = [Contender::Rust(Variant::Noop)]
            .into_iter()
            .chain(go.iter().copied().map(Contender::Go))
            .chain(heaps)
            .chain([Contender::Rust(Variant::Pool)])
            .collect();
        let window = if with_go {
            WINDOW_OF_THE_INCIDENT
        } else {
            WINDOW
        };
        let template = Order {
            variant: Variant::Noop,
            task: Task::Count,
            rate: arguments
                .rate
                .map_or_else(|| HIGHEST_RATE.to_owned(), |rate| rate.to_string()),
            duration_ns: arguments.duration.0,
            window: arguments.window.unwrap_or(window),
            workers: arguments.workers.unwrap_or(default_workers),
            handoff: arguments.handoff,
            command: std::iter::once("tailcut".to_owned())
                .chain(std::env::args().skip(1))
                .collect(),
        };
        let usual_runs = if with_go { RUNS_OF_THE_INCIDENT } else { RUNS };
        Session {
            contenders,
            template,
            repetitions: arguments.runs.unwrap_or(usual_runs),
            tracing: Tracing::decide(arguments),
            go: None,
            lowered: false,
        }
    }

    /// Refuses, before anything starts, what could not be run.
    pub fn check(&self) -> Result<()> {
        for contender in &self.contenders {
            match contender {
                Contender::Rust(variant) => variant_run::plan(&self.of(*variant), Path::new(""))?
                    .check()
                    .with_context(|| format!("cannot run {}", variant.key()))?,
                Contender::Go(_) => ensure!(
                    self.rate().per_million_seconds().is_multiple_of(1_000_000),
                    "the service in Go takes a whole number of requests per second; {} is none",
                    self.template.rate
                ),
            }
        }
        Ok(())
    }

    /// Requests per second.
    pub fn rate(&self) -> Rate {
        self.template
            .rate
            .parse()
            .expect("it was written by a rate")
    }

    /// The run of the service in Rust that all forms in Go must agree with.
    pub fn reference(&self) -> Order {
        self.of(Variant::Pool)
    }

    /// A run of the service in Go, in a folder that is still to be named.
    pub fn go_run(&self, form: GoForm, variant: &str) -> GoRun {
        GoRun::new(form, variant, &self.template, self.rate())
    }

    /// From now on the service in Go is there; `searched` is the rate found for it, if it was searched.
    pub fn with_go(&mut self, service: GoService, searched: Option<Rate>) {
        self.go = Some(service);
        if let Some(rate) = searched {
            self.lowered = rate < self.rate();
            self.template.rate = rate.to_string();
        }
    }

    fn of(&self, variant: Variant) -> Order {
        Order {
            variant,
            ..self.template.clone()
        }
    }

    fn runs(&self) -> usize {
        self.repetitions as usize * self.contenders.len() + usize::from(self.lowered)
    }

    pub fn announcement(&self, out: &Path) -> String {
        let Order {
            rate,
            window,
            workers,
            duration_ns,
            ..
        } = &self.template;
        let cores = if *workers >= tailcut_loadgen::available_cpus() {
            "The workers take every core, so whatever else runs on this machine will stall them.\n"
        } else {
            ""
        };
        let root = match self.tracing.refusal() {
            None => {
                "The kernel's pauses are traced along, by eBPF (tailcut record's default series)."
            }
            Some(reason) => reason,
        };
        let processors = match (&self.go, std::env::var(PROCESSORS)) {
            (None, _) => String::new(),
            (Some(_), Ok(set)) if !set.is_empty() => {
                format!("The service in Go has {PROCESSORS}={set}, as it was set here.\n")
            }
            (Some(_), _) => format!(
                "The service in Go has as many processors as workers ({PROCESSORS}={workers}), as the one of the incident, whose \
                 cores all served; set {PROCESSORS} for another number.\n"
            ),
        };
        format!(
            "{rate} orders/s, settled {window} at a time, {workers} worker{}; {} runs of {} s, A B B A, recorded in {}\n{processors}{cores}{root}",
            if *workers == 1 { "" } else { "s" },
            self.runs(),
            duration_ns / SECOND,
            out.display()
        )
    }

    /// Measures everything.
    pub fn measure(&self, out: &Path, interrupt: &Interrupt) -> Result<Ended> {
        let seconds = self.template.duration_ns.div_ceil(SECOND) + WARMUP_SECONDS;
        let mut progress = Progress::new(self.runs(), self.runs() as u64 * seconds);
        let ended = self.measure_all(out, interrupt, &mut progress);
        progress.finish();
        ended
    }

    fn measure_all(
        &self,
        out: &Path,
        interrupt: &Interrupt,
        progress: &mut Progress,
    ) -> Result<Ended> {
        let Some(allocations) = self.count(interrupt, progress)? else {
            return Ok(Ended::AllRuns);
        };
        let turns = there_and_back(self.contenders.len(), self.repetitions);
        for (sequence, (run, index)) in turns.enumerate() {
            let turn = Turn {
                out,
                run,
                sequence: sequence as u32,
            };
            let measured = match self.contenders[index] {
                Contender::Rust(variant) => {
                    let allocations = allocations[index].clone();
                    self.measure_rust(variant, allocations, &turn, interrupt, progress)?
                }
                Contender::Go(form) => {
                    let run = self.go_run(form, form.key());
                    self.measure_go(run, &turn, interrupt, progress)?
                }
            };
            match measured {
                None => return Ok(Ended::AllRuns),
                Some(measured) if sequence == 0 && !measured.schedule_kept => {
                    return Ok(Ended::NoopMissed {
                        achieved: measured.rate_achieved,
                    });
                }
                Some(_) => {}
            }
        }
        if self.lowered {
            let turn = Turn {
                out,
                run: 1,
                sequence: self.repetitions * self.contenders.len() as u32,
            };
            self.measure_go(incident::saturated(self), &turn, interrupt, progress)?;
        }
        Ok(Ended::AllRuns)
    }

    /// What a request allocates on each contender in Rust, in their places; a Go program tells it after its run. `None` if
    /// somebody interrupted.
    fn count(
        &self,
        interrupt: &Interrupt,
        progress: &Progress,
    ) -> Result<Option<Vec<Option<Allocations>>>> {
        let mut all = Vec::new();
        for contender in &self.contenders {
            all.push(match contender {
                Contender::Rust(variant) => {
                    match turn::count(&self.of(*variant), interrupt, progress)? {
                        Some(counted) => Some(counted),
                        None => return Ok(None),
                    }
                }
                Contender::Go(_) => None,
            });
        }
        Ok(Some(all))
    }

    fn measure_rust(
        &self,
        variant: Variant,
        allocations: Option<Allocations>,
        turn: &Turn<'_>,
        interrupt: &Interrupt,
        progress: &mut Progress,
    ) -> Result<Option<Measured>> {
        let dir = turn.dir(variant.key());
        let order = Order {
            variant,
            task: Task::Measure {
                dir: dir.clone(),
                run: turn.run,
                sequence: turn.sequence,
                allocations,
            },
            ..self.template.clone()
        };
        turn::measure(&order, &dir, &self.tracing, interrupt, progress)
    }

    fn measure_go(
        &self,
        run: GoRun,
        turn: &Turn<'_>,
        interrupt: &Interrupt,
        progress: &mut Progress,
    ) -> Result<Option<Measured>> {
        let service = self
            .go
            .as_ref()
            .context("the service in Go was not built")?;
        let dir = turn.dir(run.variant());
        let run = run.turn(dir, turn.run, turn.sequence);
        incident::measure(service, &run, &self.tracing, interrupt, progress)
    }
}

/// Where in the session a run stands.
struct Turn<'a> {
    out: &'a Path,
    /// Which repetition, from 1.
    run: u32,
    sequence: u32,
}

impl Turn<'_> {
    fn dir(&self, variant: &str) -> std::path::PathBuf {
        self.out
            .join(format!("{:02}-{variant}-{}", self.sequence, self.run))
    }
}

/// The heap allocators that are compared. Beside the forms in Go the system's is left out unless asked for: it cannot hold
/// a rate that they can, and their runs take their time.
fn heaps(choice: Option<AllocatorChoice>, with_go: bool) -> Vec<Allocator> {
    let one = |wanted: Allocator| vec![wanted];
    match choice {
        None if with_go => vec![Allocator::Jemalloc, Allocator::Mimalloc],
        None | Some(AllocatorChoice::All) => Allocator::ALL.to_vec(),
        Some(AllocatorChoice::System) => one(Allocator::System),
        Some(AllocatorChoice::Jemalloc) => one(Allocator::Jemalloc),
        Some(AllocatorChoice::Mimalloc) => one(Allocator::Mimalloc),
    }
}

/// The order A B B A, so that drift of the machine falls on all alike: which repetition, from 1, and of which.
fn there_and_back(contenders: usize, repetitions: u32) -> impl Iterator<Item = (u32, usize)> {
    (1..=repetitions).flat_map(move |run| {
        (0..contenders).map(move |place| match run % 2 {
            1 => (run, place),
            _ => (run, contenders - 1 - place),
        })
    })
}

#[cfg(test)]
mod tests {
    use super::there_and_back;

    #[test]
    fn who_ran_last_runs_first_in_the_next_repetition() {
        let turns: Vec<(u32, usize)> = there_and_back(2, 3).collect();
        assert_eq!(turns, [(1, 0), (1, 1), (2, 1), (2, 0), (3, 0), (3, 1)]);
    }
}
