//! One run of one form of the service in Go, as a process of its own.

use std::fs::File;
use std::io::{BufReader, Read};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::atomic::Ordering;

use anyhow::{Context, Result, bail};
use tailcut_loadgen::external::{self, About, ExternalError};
use tailcut_loadgen::{Labels, LiveSecond, Nanos, Rate, RunOutcome};

use super::super::WARMUP_SECONDS;
use super::super::order::Order;
use super::GoService;
use crate::interrupt::Interrupt;

/// What requests are made from: the seed of all runs of the demo.
const SEED: u64 = 1;
/// How many goroutines of a Go program can run at one time, in its environment.
pub const PROCESSORS: &str = "GOMAXPROCS";
/// Of what the service says on standard error, so much is shown.
const SHOWN_BYTES: u64 = 2_000;

/// A form of the service in Go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum GoForm {
    /// As an engineer writes it first: new objects for each request.
    Heap,
    /// Objects from a `sync.Pool`: what cured the incident.
    SyncPool,
    /// Objects that were made beforehand, and a list of the free ones.
    FreeList,
}

impl GoForm {
    /// All of them, in the order in which tables show them.
    pub const ALL: [GoForm; 3] = [GoForm::Heap, GoForm::SyncPool, GoForm::FreeList];

    /// The key in JSON and in recordings.
    pub fn key(self) -> &'static str {
        match self {
            GoForm::Heap => "go_heap",
            GoForm::SyncPool => "go_sync_pool",
            GoForm::FreeList => "go_free_list",
        }
    }

    /// What the service calls it.
    fn argument(self) -> &'static str {
        match self {
            GoForm::Heap => "heap",
            GoForm::SyncPool => "sync-pool",
            GoForm::FreeList => "free-list",
        }
    }
}

/// One run.
#[derive(Debug, Clone)]
pub struct GoRun {
    form: GoForm,
    variant: String,
    rate: Rate,
    duration: Nanos,
    warmup: Nanos,
    window: u64,
    workers: u32,
    dir: PathBuf,
    run: u32,
    sequence: u32,
    command: Vec<String>,
}

impl GoRun {
    /// One that is loaded as the runs in Rust are.
    pub fn new(form: GoForm, variant: &str, template: &Order, rate: Rate) -> GoRun {
        GoRun {
            form,
            variant: variant.to_owned(),
            rate,
            duration: Nanos(template.duration_ns),
            warmup: Nanos(WARMUP_SECONDS * Nanos::SECOND.0),
            window: template.window,
            workers: template.workers,
            dir: PathBuf::new(),
            run: 1,
            sequence: 0,
            command: template.command.clone(),
        }
    }

    /// The same at another rate.
    pub fn at(self, rate: Rate) -> GoRun {
        GoRun { rate, ..self }
    }

    /// The same of another length.
    pub fn lasting(self, duration: Nanos, warmup: Nanos) -> GoRun {
        GoRun {
            duration,
            warmup,
            ..self
        }
    }

    /// The same as repetition `run`, recorded in `dir`.
    pub fn turn(self, dir: PathBuf, run: u32, sequence: u32) -> GoRun {
        GoRun {
            dir,
            run,
            sequence,
            ..self
        }
    }

    /// What its recording calls it.
    pub fn variant(&self) -> &str {
        &self.variant
    }

    /// Where it is recorded.
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// Runs it by the way: neither traced nor kept.
    ///
    /// # Errors
    /// As [`GoRun::carry_out`].
    pub fn trial(&self, service: &GoService, interrupt: &Interrupt) -> Result<RunOutcome> {
        self.trial_with(service, interrupt, Ok)
    }

    /// The same; `look` is given the outcome while its recording is still there.
    ///
    /// # Errors
    /// As [`GoRun::carry_out`].
    pub fn trial_with<T>(
        &self,
        service: &GoService,
        interrupt: &Interrupt,
        look: impl FnOnce(RunOutcome) -> Result<T>,
    ) -> Result<T> {
        let folder = tempfile::tempdir_in(service.folder())
            .context("cannot make a folder for a trial run")?;
        let run = self.clone().turn(folder.path().join("trial"), 1, 0);
        look(run.carry_out(service, interrupt, |_| {}, &mut |_| {})?)
    }

    /// Runs it. Its process number is told to `on_start`, each second to `on_second`.
    ///
    /// A run that was cut short by an interrupt, or whose process was killed, has a partial recording.
    ///
    /// # Errors
    /// A service that does not start, refuses its arguments or prints what it should not; a recording that cannot be
    /// written.
    pub fn carry_out(
        &self,
        service: &GoService,
        interrupt: &Interrupt,
        on_start: impl FnOnce(u32),
        on_second: &mut dyn FnMut(&LiveSecond),
    ) -> Result<RunOutcome> {
        let messages = service.folder().join("messages");
        let mut child = self.start(service, &messages)?;
        let process = child.id();
        on_start(process);
        interrupt
            .child
            .store(process.cast_signed(), Ordering::SeqCst);
        // Between the last look and this store nobody could have told it to end.
        if interrupt.requested() {
            let _ = child.kill();
        }
        let printed = child.stdout.take().context("it has no standard output")?;
        let recorded = external::record(
            BufReader::new(printed),
            &self.about(service, process),
            on_second,
        );
        if recorded.is_err() {
            // It may go on for long, and nobody listens.
            let _ = child.kill();
        }
        let status = child.wait();
        interrupt.child.store(0, Ordering::SeqCst);
        let status = status.context("cannot wait for the service in Go")?;
        self.judge(recorded, status, &messages)
    }

    fn start(&self, service: &GoService, messages: &Path) -> Result<Child> {
        let seconds = |time: Nanos| time.as_secs_f64().to_string();
        let messages = File::create(messages)
            .with_context(|| format!("cannot write {}", messages.display()))?;
        let mut command = Command::new(service.program());
        command
            .arg("in-process")
            .args(["--form", self.form.argument()])
            .args(["--rate", &self.rate.as_f64().to_string()])
            .args(["--seconds", &seconds(self.duration)])
            .args(["--warmup", &seconds(self.warmup)])
            .args(["--window", &self.window.to_string()])
            .args(["--workers", &self.workers.to_string()])
            .args(["--seed", &SEED.to_string()])
            .envs(self.processors())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(messages);
        let with_the_parent = || {
            // If the demo is killed, its run must not go on spinning unseen. A kernel that refuses leaves us where we were.
            let _ = nix::sys::prctl::set_pdeathsig(nix::sys::signal::Signal::SIGTERM);
            Ok(())
        };
        // SAFETY: between fork and exec only what a signal handler may do is allowed: this is one system call, which
        // allocates nothing and takes no lock.
        unsafe { command.pre_exec(with_the_parent) };
        command.spawn().context("cannot start the service in Go")
    }

    /// As many processors as workers, unless somebody set another number: as in the incident, where every processor
    /// served, the collector then has none of its own.
    fn processors(&self) -> Option<(&'static str, String)> {
        let is_set = std::env::var_os(PROCESSORS).is_some_and(|value| !value.is_empty());
        (!is_set).then(|| (PROCESSORS, self.workers.to_string()))
    }

    fn about(&self, service: &GoService, process: u32) -> About {
        About {
            dir: self.dir.clone(),
            labels: Labels {
                tool: format!("tailcut {}", env!("CARGO_PKG_VERSION")),
                variant: self.variant.clone(),
                label: String::new(),
                run: self.run,
                sequence: self.sequence,
                command: self.command.clone(),
                allocator: format!("the Go runtime's ({})", service.version()),
            },
            process: Some(process),
            rate: self.rate,
            duration: self.duration,
            warmup: self.warmup,
            window: self.window,
            seed: SEED,
        }
    }

    fn judge(
        &self,
        recorded: Result<RunOutcome, ExternalError>,
        status: ExitStatus,
        messages: &Path,
    ) -> Result<RunOutcome> {
        let said = said(messages);
        match recorded {
            Ok(outcome) => Ok(outcome),
            Err(ExternalError::Silent) => bail!(
                "the service in Go ({}) ended before its run began: {status}{said}",
                self.variant
            ),
            Err(error) => {
                let context = format!("the run of {} could not be recorded{said}", self.variant);
                Err(anyhow::Error::new(error).context(context))
            }
        }
    }
}

/// What it said on standard error, behind a colon; empty for nothing.
fn said(messages: &Path) -> String {
    let mut text = Vec::new();
    let read = File::open(messages).and_then(|file| file.take(SHOWN_BYTES).read_to_end(&mut text));
    let text = tailcut_report::printable_text(&String::from_utf8_lossy(&text));
    match (read, text.trim()) {
        (Err(_), _) | (Ok(_), "") => String::new(),
        (Ok(_), text) => format!(": {text}"),
    }
}
