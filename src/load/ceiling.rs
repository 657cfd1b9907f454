//! `tailcut load ceiling`: how much the generator itself can do on this machine, transport by transport.
//!
//! A figure near the generator's own ceiling says nothing about the target. So the ceiling is measured the way a
//! target is: by [`search`](tailcut_loadgen::search), against a server of ours that looks at nothing and answers
//! at once (`tailcut load serve --form null --busy-poll`), in a process and on a core of its own. What is found
//! is the ceiling of generator, loopback and null server together: the generator's own is no lower.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, ExitCode, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use clap::{Args, ValueEnum};
use comfy_table::{CellAlignment, Table, presets};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde::Serialize;
use tailcut_loadgen::scenario::notation::{TargetNotation, read};
use tailcut_loadgen::scenario::{Pacing, Scenario, WarmUp};
use tailcut_loadgen::search::{Limit, ProbeOrder, SearchPlan, SearchResult, search};
use tailcut_loadgen::{Nanos, Rate, parse_duration};
use tailcut_report::format;

use super::series::Series;
use super::{ScenarioArguments, refused};
use crate::interrupt::Interrupt;
use crate::output;

const EXAMPLES: &str = "\
Examples:
  tailcut load ceiling                                  every transport, about a minute each
  tailcut load ceiling --transport tcp --transport udp --probe 2s
  tailcut load ceiling --json > ceiling.json

Each rate is the highest whose schedule is kept against a server that answers at once, on a core of its
own where there is one: what lies near it is the generator's doing, not the target's.

Exit status: 0 done; 1 failed; 2 bad arguments; 130 interrupted (what was recorded is kept).";

/// How close to the ceiling the search comes.
const PRECISION: f64 = 0.05;
/// The service that does nothing.
const NOTHING: &str = "in-process:noop";
const WARM_UP: Nanos = Nanos(500_000_000);
const REST: Duration = Duration::from_millis(200);
/// How long the null server may take to end.
const PATIENCE: Duration = Duration::from_secs(3);

/// `tailcut load ceiling`.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub struct CeilingArguments {
    /// Which transport; can be given several times [default: all].
    #[arg(long, value_enum)]
    pub transport: Vec<Transport>,
    /// Length of each run's recorded part; the run that confirms a ceiling is twice as long.
    #[arg(long, value_name = "TIME", default_value = "1s", value_parser = parse_duration)]
    pub probe: Nanos,
    /// Where recordings and result go; must not exist, or be empty [default: tailcut-ceiling/TIME].
    #[arg(short, long, value_name = "DIR")]
    pub out: Option<std::path::PathBuf>,
    /// Prints one JSON object, and only that, on standard output.
    #[arg(long)]
    pub json: bool,
}

/// A way to reach a service.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Transport {
    /// No network: a service of the same process that does nothing.
    InProcess,
    /// Orders over TCP, 8 connections of 1,024 requests each.
    Tcp,
    /// Orders in datagrams, 8 sockets of 64 requests each.
    Udp,
    /// HTTP/1.1, 64 connections.
    Http,
    /// HTTP/2, 8 connections of 64 streams each.
    H2,
}

impl Transport {
    fn name(self) -> &'static str {
        match self {
            Transport::InProcess => "in-process",
            Transport::Tcp => "tcp",
            Transport::Udp => "udp",
            Transport::Http => "http",
            Transport::H2 => "h2",
        }
    }

    /// Connections, and requests under way on each.
    fn shape(self) -> (Option<u32>, Option<u32>) {
        match self {
            Transport::InProcess => (None, None),
            Transport::Tcp => (Some(8), Some(1024)),
            Transport::Udp => (Some(8), Some(64)),
            Transport::Http => (Some(64), None),
            Transport::H2 => (Some(8), Some(64)),
        }
    }

    /// The rate at which its search begins: low enough to hold anywhere.
    fn first_rate(self) -> Result<Rate> {
        Ok(Rate::per_second(match self {
            Transport::InProcess => 1_000_000,
            Transport::Tcp | Transport::Udp => 50_000,
            Transport::Http | Transport::H2 => 10_000,
        })?)
    }
}

/// What one transport came to.
#[derive(Debug, Serialize)]
struct Ceiling {
    transport: Transport,
    /// Requests per second; absent when no rate could be confirmed.
    rate: Option<f64>,
    /// Response time at that rate, in nanoseconds.
    p50_ns: Option<u64>,
    p999_ns: Option<u64>,
    limit: Limit,
}

/// Measures.
pub fn run(arguments: &CeilingArguments) -> Result<ExitCode> {
    // What is wrong with the arguments is wrong with every transport.
    let prepared = scenario(Transport::InProcess, NOTHING, arguments.probe)
        .and_then(|_| output::create_folder(arguments.out.as_deref(), "tailcut-ceiling"));
    let dir = match prepared {
        Ok(dir) => dir,
        Err(error) => return Ok(refused(&error)),
    };
    let interrupt = Interrupt::install()?;
    let transports = match arguments.transport.as_slice() {
        [] => Transport::value_variants(),
        some => some,
    };
    let mut ceilings = Vec::new();
    for &transport in transports {
        let found = measure(transport, arguments.probe, &dir, &interrupt)
            .with_context(|| format!("transport {}", transport.name()))?;
        let stopped = found.limit == Limit::Stopped;
        ceilings.push(found);
        if stopped {
            break;
        }
    }
    let json = serde_json::to_string_pretty(&serde_json::json!({
        "schema": 1,
        "out": dir,
        "ceilings": ceilings,
    }))?;
    output::write_whole(&dir.join("ceiling.json"), &json)?;
    if arguments.json {
        println!("{json}");
    } else {
        println!("{}", table(&ceilings));
        println!("results: {}", dir.join("ceiling.json").display());
    }
    Ok(if interrupt.requested() {
        ExitCode::from(super::EXIT_INTERRUPTED)
    } else {
        ExitCode::SUCCESS
    })
}

fn measure(
    transport: Transport,
    probe: Nanos,
    dir: &Path,
    interrupt: &Interrupt,
) -> Result<Ceiling> {
    let server = match transport {
        Transport::InProcess => None,
        network => Some(NullServer::start(network)?),
    };
    let url = server
        .as_ref()
        .map_or(NOTHING, |server| server.url.as_str());
    let scenario = scenario(transport, url, probe)?;
    let plan = SearchPlan {
        start: transport.first_rate()?,
        least: Rate::per_second(100)?,
        most: Rate::per_second(100_000_000)?,
        precision: PRECISION,
        probe,
        confirm: Nanos(probe.0.saturating_mul(2)),
    };
    let mut series = Series::new(dir, REST, interrupt);
    let found = search(
        &plan,
        &mut |order| {
            let name = format!("{}-{:02}-{}", transport.name(), order.number, order.rate);
            let title = format!(
                "{} [{}] {} at {}",
                transport.name(),
                order.number,
                order.phase.name(),
                format::rate(order.rate.as_f64())
            );
            series.run(&at(&scenario, order), &name, &title)
        },
        &mut |_| {},
    );
    series.finish();
    Ok(Ceiling::of(transport, &found?))
}

impl Ceiling {
    fn of(transport: Transport, found: &SearchResult) -> Ceiling {
        let confirmed = found.confirmed_by.and_then(|place| found.probes.get(place));
        let response = confirmed.map(|probe| probe.measured.response);
        Ceiling {
            transport,
            rate: found.rate,
            p50_ns: response.map(|response| response.p50),
            p999_ns: response.map(|response| response.p999),
            limit: found.limit,
        }
    }
}

fn scenario(transport: Transport, url: &str, probe: Nanos) -> Result<Scenario> {
    let (connections, pipeline) = transport.shape();
    let flags = ScenarioArguments {
        target: Some(read::<TargetNotation>(url).map_err(anyhow::Error::msg)?),
        rate: Some(transport.first_rate()?),
        duration: Some(probe),
        warmup: Some(WarmUp::Fixed(WARM_UP)),
        connections,
        pipeline,
        name: Some(transport.name().to_owned()),
        ..ScenarioArguments::default()
    };
    Ok(flags.scenario(None)?)
}

fn at(scenario: &Scenario, order: &ProbeOrder) -> Scenario {
    let mut changed = scenario.clone();
    changed.duration = order.duration;
    if let Pacing::Open { rate, .. } = &mut changed.pacing {
        *rate = order.rate;
    }
    changed
}

fn table(ceilings: &[Ceiling]) -> Table {
    let mut table = Table::new();
    table.load_style(presets::NOTHING);
    table.set_header(["transport", "ceiling", "P50 there", "P99.9 there", ""]);
    for ceiling in ceilings {
        let time = |ns: Option<u64>| ns.map_or_else(|| "-".to_owned(), format::nanos);
        table.add_row([
            ceiling.transport.name().to_owned(),
            ceiling.rate.map_or_else(|| "-".to_owned(), format::rate),
            time(ceiling.p50_ns),
            time(ceiling.p999_ns),
            match ceiling.limit {
                Limit::Stopped => "interrupted",
                Limit::NothingHeld => "not even the lowest rate held",
                Limit::Most => "no higher rate was tried",
                _ if ceiling.rate.is_none() => "could not be confirmed: the machine is unsteady",
                Limit::Generator => "limited by the generator",
                Limit::Target => "limited by loopback and null server",
            }
            .to_owned(),
        ]);
    }
    for column in table.column_iter_mut().skip(1).take(3) {
        column.set_cell_alignment(CellAlignment::Right);
    }
    table
}

/// A server that looks at nothing, in a process of its own; it ends with this value.
struct NullServer {
    child: Child,
    url: String,
}

impl NullServer {
    fn start(transport: Transport) -> Result<NullServer> {
        let program =
            std::env::current_exe().context("cannot find this program's own executable")?;
        let mut command = Command::new(program);
        command.args(["load", "serve", "--form", "null"]);
        command.arg(format!("--{}", transport.name()));
        // Spinning on the only core would take it from the generator.
        if tailcut_loadgen::available_cpus() > 1 {
            command.args(["--busy-poll", "--cpus", "0"]);
        }
        let mut child = command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .context("cannot start the null server")?;
        let output = child.stdout.take();
        let mut server = NullServer {
            child,
            url: String::new(),
        };
        let mut lines = BufReader::new(output.context("the null server has no output")?).lines();
        while let Some(line) = lines.next().transpose()? {
            if let Some(url) = line.split_whitespace().find(|word| word.contains("://")) {
                server.url = url.to_owned();
                // What it says later must find a reader.
                std::thread::spawn(move || lines.for_each(drop));
                return Ok(server);
            }
        }
        bail!("the null server ended before it said where it listens")
    }
}

impl Drop for NullServer {
    fn drop(&mut self) {
        let pid = i32::try_from(self.child.id()).unwrap_or(i32::MAX);
        let _ = kill(Pid::from_raw(pid), Signal::SIGTERM);
        let begun = Instant::now();
        while begun.elapsed() < PATIENCE {
            if !matches!(self.child.try_wait(), Ok(None)) {
                return;
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
