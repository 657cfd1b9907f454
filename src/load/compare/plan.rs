//! What is to be compared, decided and checked before anything starts.

use std::net::ToSocketAddrs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use clap::Parser;
use tailcut_loadgen::compare::server::Endpoint;
use tailcut_loadgen::network::target::Transport;
use tailcut_loadgen::scenario::notation::Notation as _;
use tailcut_loadgen::scenario::{Pacing, Scenario, Settings, Target, WarmUp};
use tailcut_report::compare::Side;

use super::CompareArguments;
use crate::load::ScenarioArguments;
use crate::output;

/// A comparison that can be made.
pub struct Plan {
    /// Runs of each side.
    pub runs: u32,
    /// Waited between two runs.
    pub pause: Duration,
    /// How long a server may take to start.
    pub start_within: Duration,
    sides: [SidePlan; 2],
}

/// One side of it.
pub struct SidePlan {
    /// What its runs run, but for the seed.
    pub scenario: Scenario,
    /// The server that is started for each run.
    pub server: Option<ServerPlan>,
    /// Which version its recordings are of.
    pub label: Option<String>,
}

/// A server to be started.
pub struct ServerPlan {
    /// By a shell.
    pub command: String,
    /// Where it will be.
    pub endpoint: Endpoint,
}

/// Flags of one side, as a command line of its own.
#[derive(Debug, Parser)]
#[command(no_binary_name = true, disable_help_flag = true)]
struct SideFlags {
    #[command(flatten)]
    scenario: ScenarioArguments,
}

impl Plan {
    /// Reads both scenarios, and refuses what could not be compared.
    pub fn of(arguments: &CompareArguments) -> Result<Plan> {
        let file = |index: usize| arguments.sides.get(index).or(arguments.sides.first());
        let [a, b] = [
            (Side::A, file(0), &arguments.a, &arguments.start_a),
            (Side::B, file(1), &arguments.b, &arguments.start_b),
        ]
        .map(|(side, file, flags, start)| {
            SidePlan::of(
                &arguments.scenario,
                file,
                flags.as_deref(),
                start.as_deref(),
            )
            .with_context(|| format!("side {side}"))
        });
        let mut sides = [a?, b?];
        sides[0].label.clone_from(&arguments.label_a);
        sides[1].label.clone_from(&arguments.label_b);
        check_alike(&sides[0].scenario, &sides[1].scenario)?;
        Ok(Plan {
            runs: arguments.runs,
            pause: Duration::from_nanos(arguments.pause.0),
            start_within: Duration::from_nanos(arguments.start_within.0),
            sides,
        })
    }

    /// What is run on a side.
    pub fn side(&self, side: Side) -> &SidePlan {
        &self.sides[usize::from(side == Side::B)]
    }

    /// Where the scenario of a side is written to.
    pub fn scenario_file(out: &Path, side: Side) -> PathBuf {
        out.join(format!("{}.toml", side.letter()))
    }

    /// Both runs of a pair have the same schedule, and every pair has another one.
    pub fn seed(&self, side: Side, repetition: u32) -> u64 {
        let first = self.side(side).scenario.seed;
        first.wrapping_add(u64::from(repetition - 1)) & i64::MAX.unsigned_abs()
    }

    /// Writes what will run beside the recordings.
    pub fn write_scenarios(&self, out: &Path) -> Result<()> {
        for side in Side::BOTH {
            let text = self.side(side).scenario.to_toml()?;
            output::write_whole(&Plan::scenario_file(out, side), &text)?;
        }
        Ok(())
    }

    /// The whole in a few lines.
    pub fn announcement(&self, out: &Path) -> String {
        let mut lines = Vec::new();
        for side in Side::BOTH {
            let SidePlan { scenario, server } = self.side(side);
            let load = match &scenario.pacing {
                Pacing::Open { rate, .. } => tailcut_report::format::rate(rate.as_f64()),
                Pacing::Closed => "a closed loop".to_owned(),
            };
            let started = server.as_ref().map_or_else(String::new, |server| {
                format!(", started by `{}`", server.command)
            });
            lines.push(format!(
                "{side}: {}: {load} on {} for {}{started}",
                scenario.name,
                scenario.target.text(),
                scenario.duration.write()
            ));
        }
        let (a, b) = (&self.sides[0], &self.sides[1]);
        let same_server = |one: &Option<ServerPlan>, other: &Option<ServerPlan>| {
            one.as_ref().map(|server| &server.command)
                == other.as_ref().map(|server| &server.command)
        };
        if a.scenario == b.scenario && same_server(&a.server, &b.server) {
            lines.push("A and B are the same: whatever differs is noise".to_owned());
        }
        lines.push(format!(
            "{} + {} runs, A B B A ..., about {} min; recorded in {}",
            self.runs,
            self.runs,
            self.about_seconds().div_ceil(60),
            out.display()
        ));
        lines.join("\n")
    }

    /// How long all runs will take, about. An automatic warm-up is taken for five seconds.
    pub fn about_seconds(&self) -> u64 {
        let of_side = |side: &SidePlan| {
            let warmup = match side.scenario.warmup {
                WarmUp::Fixed(length) => length.0 / 1_000_000_000,
                WarmUp::Auto { .. } => 5,
            };
            let between = u64::from(side.server.is_some()) + self.pause.as_secs() + 1;
            side.scenario.duration.0 / 1_000_000_000 + warmup + between
        };
        u64::from(self.runs) * self.sides.iter().map(of_side).sum::<u64>()
    }
}

impl SidePlan {
    fn of(
        common: &ScenarioArguments,
        file: Option<&PathBuf>,
        flags: Option<&str>,
        start: Option<&str>,
    ) -> Result<SidePlan> {
        let base =
            file.map_or_else(|| Ok(Settings::default()), |file| Settings::read_file(file))?;
        let mut settings = common.settings().over(base);
        if let Some(flags) = flags {
            let words = shlex::split(flags).with_context(|| {
                format!("'{flags}' cannot be split into flags: a quote or a backslash has no end")
            })?;
            let parsed = SideFlags::try_parse_from(words).map_err(|error| {
                // Without the usage of a command line that nobody sees.
                let text = error.to_string();
                let text = text.split("\n\nUsage").next().unwrap_or_default();
                let text = text.strip_prefix("error: ").unwrap_or(text);
                anyhow::anyhow!("in '{flags}': {}", text.replace("\n\n  tip: ", "; "))
            })?;
            settings = parsed.scenario.settings().over(settings);
        }
        let scenario = settings.resolve()?;
        ensure!(
            scenario.shard.is_none() && scenario.start_at_unix_ns.is_none(),
            "a comparison makes whole runs, one after the other: --shard and --start-at have no place in it"
        );
        scenario.check()?;
        let server = start
            .map(|command| ServerPlan::of(command, &scenario))
            .transpose()?;
        Ok(SidePlan {
            scenario,
            server,
            label: None,
        })
    }
}

impl ServerPlan {
    fn of(command: &str, scenario: &Scenario) -> Result<ServerPlan> {
        ensure!(
            !command.trim().is_empty(),
            "an empty command starts no server"
        );
        let Target::Network(target) = &scenario.target else {
            bail!(
                "{} is no server that could be started",
                scenario.target.text()
            )
        };
        let addresses: Vec<_> = (target.host.as_str(), target.port)
            .to_socket_addrs()
            .with_context(|| format!("cannot find the host {:?}", target.host))?
            .collect();
        ensure!(
            !addresses.is_empty(),
            "the host {:?} has no address",
            target.host
        );
        Ok(ServerPlan {
            command: command.to_owned(),
            endpoint: Endpoint {
                addresses,
                datagrams: target.transport == Transport::Udp,
            },
        })
    }
}

/// What the recordings would be refused for, found before they are made.
fn check_alike(a: &Scenario, b: &Scenario) -> Result<()> {
    let transport = |scenario: &Scenario| match &scenario.target {
        Target::InProcess { .. } => "in process".to_owned(),
        target => target
            .text()
            .split(':')
            .next()
            .unwrap_or_default()
            .to_owned(),
    };
    let pacing = |scenario: &Scenario| match &scenario.pacing {
        Pacing::Closed => "a closed loop".to_owned(),
        Pacing::Open { rate, .. } => format!("{rate}/s"),
    };
    let mut differences = Vec::new();
    let mut differ = |what: &str, of_a: String, of_b: String| {
        if of_a != of_b {
            differences.push(format!("{what} ({of_a} against {of_b})"));
        }
    };
    differ("rate", pacing(a), pacing(b));
    differ("duration", a.duration.write(), b.duration.write());
    differ("transport", transport(a), transport(b));
    if let (Pacing::Open { arrivals: of_a, .. }, Pacing::Open { arrivals: of_b, .. }) =
        (&a.pacing, &b.pacing)
        && of_a != of_b
    {
        differences.push("arrivals".to_owned());
    }
    ensure!(
        differences.is_empty(),
        "A and B cannot be compared, since latency depends on how they are loaded, and they are not loaded alike: {}",
        differences.join("; ")
    );
    Ok(())
}
