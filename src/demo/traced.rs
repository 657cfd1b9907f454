//! The probe beside a run: pauses go into the folder that the run itself writes its latencies to.
//!
//! The two never talk: the probe looks at the run's process from outside, as it would at anybody's.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use tailcut_probe::record::{About, Recorder};
use tailcut_probe::{Options, Session};

use crate::cli::DemoArguments;
use crate::tracing::about;

/// How long a run may take until it has begun its recording.
const PATIENCE: Duration = Duration::from_secs(20);

/// Whether runs are traced, decided before the first of them.
pub struct Tracing {
    /// Why they are not, if they are not.
    untraced: Option<String>,
}

impl Tracing {
    /// As the command line and the user's rights have it. Without the rights nothing is wrong, but the report should say
    /// so.
    pub fn decide(arguments: &DemoArguments) -> Tracing {
        let untraced = if arguments.no_trace {
            Some("pauses were not traced: --no-trace".to_owned())
        } else if !nix::unistd::geteuid().is_root() {
            Some(
                "pauses were not traced: that needs root (sudo tailcut demo). All other figures come from inside the \
                 process and are complete"
                    .to_owned(),
            )
        } else {
            None
        };
        Tracing { untraced }
    }

    /// Why runs are not traced, if they are not.
    pub fn refusal(&self) -> Option<&str> {
        self.untraced.as_deref()
    }

    /// Begins to trace process `pid`, which will write its recording, or have it written, into `dir`.
    pub fn start(&self, pid: u32, dir: &Path) -> Option<Traced> {
        match self.untraced {
            Some(_) => None,
            None => Traced::start(pid, dir).ok(),
        }
    }

    /// Ends it. A run without pauses is still a run: what went wrong with the probe is told, and recorded.
    pub fn end(&self, traced: Option<Traced>, dir: &Path) {
        let reason = match (traced.map(Traced::end), &self.untraced) {
            (Some(Ok(())), _) => return,
            (Some(Err(error)), _) => format!("pauses were not traced: {error:#}"),
            (None, Some(reason)) => reason.clone(),
            (None, None) => "pauses were not traced: the probe could not be started".to_owned(),
        };
        if self.untraced.is_none() {
            eprintln!("{reason}");
        }
        // If the folder cannot be written, the run has said so already.
        let _ = leave_out(dir, &reason);
    }
}

/// A probe on a thread of its own.
pub struct Traced {
    stop: Arc<AtomicBool>,
    thread: JoinHandle<Result<()>>,
}

impl Traced {
    /// Traces process `pid`, whose recording will be in `dir`.
    fn start(pid: u32, dir: &Path) -> Result<Traced> {
        let stop = Arc::new(AtomicBool::new(false));
        let (flag, dir) = (Arc::clone(&stop), dir.to_path_buf());
        let thread = std::thread::Builder::new()
            .name("probe".to_owned())
            .spawn(move || trace(pid, &dir, &flag))
            .context("cannot start a thread for the probe")?;
        Ok(Traced { stop, thread })
    }

    /// Ends the tracing, if the process has not ended it.
    fn end(self) -> Result<()> {
        self.stop.store(true, Ordering::Relaxed);
        match self.thread.join() {
            Ok(result) => result,
            Err(_) => bail!("the probe's thread panicked"),
        }
    }
}

/// Says in the recording in `dir` why there are no pauses in it.
fn leave_out(dir: &Path, reason: &str) -> Result<()> {
    let about = About {
        left_out: vec![reason.to_owned()],
        ..About::default()
    };
    let recorder = Recorder::create(dir, false, about, 0, tailcut_probe::now_ns())?;
    recorder.finish(None, &Default::default())?;
    Ok(())
}

fn trace(pid: u32, dir: &Path, stop: &AtomicBool) -> Result<()> {
    let options = Options::default();
    let threshold_ns = options.threshold.as_nanos() as u64;
    let mut session = Session::attach(pid, options)?;
    // Its folder belongs to the run, which expects to find it empty.
    let since = Instant::now();
    while !dir.join("meta.json").exists() {
        if stop.load(Ordering::Relaxed) {
            return Ok(());
        }
        if since.elapsed() > PATIENCE {
            bail!("the run began no recording in {}", dir.display());
        }
        // Windows end in time, and events are taken, only while somebody waits for the session.
        let soon = Instant::now() + Duration::from_millis(20);
        if session.next_before(stop, Some(soon))?.is_none() {
            bail!("the run ended before it began a recording");
        }
    }
    let mut recorder = Recorder::create(
        dir,
        false,
        about(&session),
        threshold_ns,
        session.interval_start_ns(),
    )?;
    while let Some(tick) = session.next(stop)? {
        recorder.tick(&tick)?;
        if tick.ended || stop.load(Ordering::Relaxed) {
            break;
        }
    }
    let stacks = session.take_stacks();
    recorder.now_about(session.about());
    recorder.finish(None, &stacks)?;
    Ok(())
}
