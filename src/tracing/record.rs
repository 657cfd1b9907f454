//! `tailcut record`: a live process into a recording.

use std::path::Path;
use std::process::{Child, ExitCode};
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use tailcut_probe::record::{About, Recorder};
use tailcut_probe::stacks::WeightKind;
use tailcut_probe::{Options, Session};

use super::launch::Waiting;
use super::show::Totals;
use super::target;
use crate::cli::{FlameGraphBy, RecordArguments, TraceArguments};
use crate::interrupt::Interrupt;
use crate::output;

const EXIT_INTERRUPTED: u8 = 130;
/// As for a bad flag.
const EXIT_REFUSED: u8 = 2;

/// Records until the time is over, the target ends, or somebody interrupts.
pub fn record(arguments: &RecordArguments) -> Result<ExitCode> {
    let out = match output::create_folder(arguments.out.as_deref(), "tailcut-recording") {
        Ok(out) => out,
        Err(error) => {
            eprintln!("error: {error:#}");
            return Ok(ExitCode::from(EXIT_REFUSED));
        }
    };
    let recorded = record_into(arguments, &out);
    if recorded.is_err() {
        // Goes only if it is empty: what was recorded before an error stays.
        let _ = std::fs::remove_dir(&out);
    }
    recorded
}

fn record_into(arguments: &RecordArguments, out: &Path) -> Result<ExitCode> {
    let waiting = match arguments.program.as_slice() {
        [] => None,
        program => Some(Waiting::start(program)?),
    };
    // Root may write into anybody's folder, but not without the capability for it.
    if is_own(out)? {
        super::give_up_privileges()?;
    }
    let interrupt = Interrupt::install()?;
    let pid = match &waiting {
        Some(waiting) => waiting.pid(),
        None => target::find(&arguments.target, arguments.newest)?,
    };
    let mut session = super::attach(pid, options(&arguments.trace))?;
    let about = about(&session);
    let name = match arguments.program.first() {
        Some(program) => program.clone(),
        None => about.target.name.clone(),
    };
    let mut recorder = Recorder::create(
        out,
        true,
        about,
        arguments.trace.threshold.0,
        session.interval_start_ns(),
    )?;
    let child = waiting.map(Waiting::go).transpose()?;
    eprintln!(
        "recording process {pid} ({name}) into {}; {}Ctrl-C ends it",
        out.display(),
        if arguments.duration.is_some() {
            ""
        } else {
            "until it ends, or "
        }
    );
    let told = session.left_out().to_vec();
    for reason in &told {
        eprintln!("left out: {reason}");
    }
    let mut totals = Totals::default();
    let ended = run(
        arguments,
        &mut session,
        &mut recorder,
        &mut totals,
        &interrupt,
    );
    for reason in session.left_out() {
        if !told.contains(reason) {
            eprintln!("left out: {reason}");
        }
    }
    let stacks = session.take_stacks();
    recorder.now_about(session.about());
    totals.sizes = session.sizes().unwrap_or_default();
    let drawn = draw(arguments, &mut session, out);
    drop(session);
    let (partial, failure) = match ended {
        Ok(()) => (None, None),
        Err(error) => (Some(format!("{error:#}")), Some(error)),
    };
    let meta = recorder
        .finish(partial, &stacks)
        .context("the recording could not be ended in order, and is read as partial");
    end(child);
    drawn?;
    if let Some(failure) = failure {
        return Err(failure);
    }
    let meta = meta?;
    if arguments.json {
        println!("{}", serde_json::to_string_pretty(&totals.json(&meta))?);
    } else {
        print!("{}", totals.text(&meta));
    }
    eprintln!("see it: tailcut report {}", out.display());
    Ok(if totals.is_empty() && interrupt.requested() {
        ExitCode::from(EXIT_INTERRUPTED)
    } else {
        ExitCode::SUCCESS
    })
}

/// Whether the folder belongs to whoever runs this.
fn is_own(folder: &Path) -> Result<bool> {
    use std::os::unix::fs::MetadataExt;
    let owner = std::fs::metadata(folder)
        .with_context(|| format!("cannot look at {}", folder.display()))?
        .uid();
    Ok(owner == nix::unistd::geteuid().as_raw())
}

/// With stacks comes a flame graph, and what it was drawn from.
fn draw(arguments: &RecordArguments, session: &mut Session, out: &Path) -> Result<()> {
    if !arguments.trace.stacks {
        return Ok(());
    }
    let by = match arguments.flame_graph {
        FlameGraphBy::Time => WeightKind::Time,
        FlameGraphBy::Count => WeightKind::Count,
        FlameGraphBy::Bytes => WeightKind::Bytes,
    };
    match session.flame_graph(by) {
        Ok((folded, picture)) => {
            let mut text = folded.join("\n");
            text.push('\n');
            output::write_whole(&out.join("stacks.folded"), &text)?;
            output::write_whole(
                &out.join("flamegraph.svg"),
                &String::from_utf8_lossy(&picture),
            )?;
            eprintln!("flame graph: {}", out.join("flamegraph.svg").display());
        }
        Err(error) => eprintln!("no flame graph: {error}"),
    }
    Ok(())
}

/// What a recording says about itself.
pub fn about(session: &Session) -> About {
    About {
        tool: format!("tailcut {}", env!("CARGO_PKG_VERSION")),
        command: std::iter::once("tailcut".to_owned())
            .chain(std::env::args().skip(1))
            .collect(),
        host: tailcut_loadgen::describe_host(&session.target().allocators.join(", ")),
        ..session.about()
    }
}

/// What the command line says, as a session wants it.
pub fn options(arguments: &TraceArguments) -> Options {
    Options {
        series: arguments.series.clone(),
        threshold: Duration::from_nanos(arguments.threshold.0),
        stacks: arguments.stacks,
        budget: arguments.budget,
        follow: arguments.follow,
        ..Options::default()
    }
}

fn run(
    arguments: &RecordArguments,
    session: &mut Session,
    recorder: &mut Recorder,
    totals: &mut Totals,
    interrupt: &Interrupt,
) -> Result<()> {
    let until = arguments
        .duration
        .map(|length| Instant::now() + Duration::from_nanos(length.0));
    let progress = progress(arguments);
    while let Some(tick) = session.next_before(interrupt.flag(), until)? {
        recorder.tick(&tick)?;
        totals.add(&tick);
        progress.set_position(recorder.length_ns() / 1_000_000);
        progress.set_message(format!(
            "{} pauses over the threshold, cost {:.2}% of the target's CPU time",
            recorder.pauses(),
            tick.cost.share * 100.0
        ));
        let over = until.is_some_and(|until| Instant::now() >= until);
        if over || tick.ended || interrupt.requested() {
            break;
        }
    }
    progress.finish_and_clear();
    Ok(())
}

fn progress(arguments: &RecordArguments) -> ProgressBar {
    let bar = match arguments.duration {
        Some(length) => ProgressBar::new(length.0 / 1_000_000).with_style(
            ProgressStyle::with_template("{elapsed:>4} [{bar:30}] {msg}").expect("a constant"),
        ),
        None => ProgressBar::new_spinner().with_style(
            ProgressStyle::with_template("{elapsed:>4} {spinner} {msg}").expect("a constant"),
        ),
    };
    // Standard output is for results.
    bar.set_draw_target(ProgressDrawTarget::stderr());
    bar
}

/// The program was started to be recorded: with the recording it ends, too.
fn end(child: Option<Child>) {
    let Some(mut child) = child else { return };
    if matches!(child.try_wait(), Ok(Some(_))) {
        return;
    }
    let pid = nix::unistd::Pid::from_raw(child.id().cast_signed());
    let _ = nix::sys::signal::kill(pid, nix::sys::signal::Signal::SIGTERM);
    let patience = Instant::now() + Duration::from_secs(2);
    while Instant::now() < patience {
        if matches!(child.try_wait(), Ok(Some(_))) {
            return;
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    let _ = child.kill();
    let _ = child.wait();
}
