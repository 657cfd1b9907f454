//! `cargo xtask check-monitoring`: whether the rules and dashboards in `examples/monitoring` say something.
//!
//! A rule that no series answers is silent for ever and looks healthy, and so does a panel. So they are tried
//! on what they are for: a service that allocates, pauses and holds four fifths of a pool
//! (`examples/services/monitored.rs`), `tailcut serve` beside it, and two Prometheus servers that scrape both
//! each second, one that takes native histograms and one that takes classic buckets. Every recording rule,
//! panel and variable must have data in both; the alarms that this service deserves must be raised, and none
//! that wakes somebody. promtool checks the rules, runs their tests, and reviews the names of the metrics.
//!
//! It takes about half a minute once everything is built, root (tracing), and Debian's package `prometheus`.
//! Everything listens on loopback, on free ports, and ends with the check.

mod dashboards;
mod server;

use std::io::{BufRead, BufReader, Read};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::mpsc;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};

use self::dashboards::Dashboard;
use self::server::Prometheus;
use crate::cargo;
use crate::running::Running;

const FOLDER: &str = "examples/monitoring";
const RULES: [&str; 4] = [
    "pauses.rules.yml",
    "pauses.alerts.yml",
    "pools.rules.yml",
    "pools.alerts.yml",
];
const RULE_TESTS: [&str; 2] = ["pauses.test.yml", "pools.test.yml"];
const DASHBOARDS: [&str; 2] = ["pauses.dashboard.json", "pools.dashboard.json"];
/// How long to wait until a program tells its address.
const STARTS_WITHIN: Duration = Duration::from_secs(20);
/// How long to wait for the last expression to have data. Rates need two scrapes, allocator calls a window.
const DATA_WITHIN: Duration = Duration::from_secs(40);

/// Runs all checks with `program`, or with the tailcut that cargo builds.
pub fn check(program: Option<PathBuf>) -> Result<()> {
    if let Some(missing) = what_is_missing() {
        let required = std::env::var("TAILCUT_REQUIRE_MONITORING").as_deref() == Ok("1");
        ensure!(
            !required,
            "TAILCUT_REQUIRE_MONITORING is set, but {missing}"
        );
        eprintln!("SKIPPED: the rules and dashboards are not checked: {missing}");
        return Ok(());
    }
    let program = match program {
        Some(program) => program,
        None => cargo::build_debug_executable(&["--package", "tailcut", "--bin", "tailcut"])?,
    };
    let service = cargo::build_debug_executable(&[
        "--package",
        "tailcut-examples",
        "--example",
        "monitored",
    ])?;
    let begin = Instant::now();
    let dashboards = read_dashboards()?;
    let run = Run::start(&program, &service)?;
    // Meanwhile data gathers.
    check_rules()?;
    run.check(&dashboards)?;
    println!(
        "monitoring: checked in {:.0} s",
        begin.elapsed().as_secs_f64()
    );
    Ok(())
}

fn what_is_missing() -> Option<String> {
    for tool in ["prometheus", "promtool"] {
        if !cargo::is_on_path(tool) {
            return Some(format!(
                "{tool} is not installed (apt-get install prometheus)"
            ));
        }
    }
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let user = status.lines().find_map(|line| line.strip_prefix("Uid:"));
    let is_root = user.and_then(|user| user.split_whitespace().nth(1)) == Some("0");
    (!is_root).then(|| "tracing takes root".to_owned())
}

fn folder() -> PathBuf {
    cargo::root().join(FOLDER)
}

fn read_dashboards() -> Result<Vec<Dashboard>> {
    let read = |name: &&str| Dashboard::read(&folder().join(name));
    DASHBOARDS.iter().map(read).collect()
}

/// What promtool says of the files alone.
fn check_rules() -> Result<()> {
    let promtool = |arguments: &[&str]| {
        let mut command = Command::new("promtool");
        command.args(arguments).current_dir(folder());
        cargo::run(command)
    };
    promtool(&["check", "config", "prometheus.yml"])?;
    promtool(&[&["test", "rules"], &RULE_TESTS[..]].concat())
}

/// The service, its observer, and two servers that scrape both. Ends in the order of the fields.
struct Run {
    native: Prometheus,
    classic: Prometheus,
    observer: Target,
    service: Target,
    _folder: tempfile::TempDir,
}

/// A program that serves metrics.
struct Target {
    process: Running,
    address: SocketAddr,
}

impl Run {
    fn start(program: &Path, service: &Path) -> Result<Run> {
        let mut command = Command::new(service);
        let service = Target::start(command.arg("127.0.0.1:0"), Output::Standard)?;
        let mut command = Command::new(program);
        command.args(["serve", "--listen", "127.0.0.1:0", "--series", "all"]);
        // Enough for a window of allocator calls each few seconds, in a build without optimisation.
        command.args(["--budget", "10%", "-p", &service.process.pid().to_string()]);
        let observer = Target::start(&mut command, Output::Error)?;

        let folder = tempfile::tempdir()?;
        let configuration = configuration(&observer, &service)?;
        for name in RULES {
            std::fs::copy(self::folder().join(name), folder.path().join(name))?;
        }
        let file = folder.path().join("prometheus.yml");
        std::fs::write(&file, configuration)?;
        // Since Prometheus 3.9 it is the setting scrape_native_histograms instead.
        let native = ["--enable-feature=native-histograms"];
        Ok(Run {
            native: Prometheus::start(&file, &folder.path().join("native"), &native)?,
            classic: Prometheus::start(&file, &folder.path().join("classic"), &[])?,
            observer,
            service,
            _folder: folder,
        })
    }

    fn check(&self, dashboards: &[Dashboard]) -> Result<()> {
        println!("Prometheus {}", self.native.version()?);
        for (name, server) in [("native", &self.native), ("classic", &self.classic)] {
            let check = || -> Result<()> {
                let panels = wait_for_data(server, dashboards)?;
                let rules = server.rules()?;
                check_alarms(server)?;
                ensure!(
                    server.query("sum(up)")?.first_value() == Some(2.0),
                    "not every target is up"
                );
                println!("{name} histograms: {panels} expressions and {rules} rules have data");
                Ok(())
            };
            check().with_context(|| format!("with {name} histograms"))?;
        }
        self.check_histograms()?;
        for target in [&self.observer, &self.service] {
            review_names(target)?;
        }
        Ok(())
    }

    /// That either server has the histograms that it is there for, and that both tell the same.
    fn check_histograms(&self) -> Result<()> {
        let munmap = "tailcut_series_seconds{series=\"munmap\"}";
        let buckets = "count(tailcut_series_seconds_bucket)";
        ensure!(
            self.native.query(munmap)?.has_histogram(),
            "native histograms are not ingested"
        );
        ensure!(
            self.native.query(buckets)?.is_empty(),
            "classic buckets are ingested beside native ones"
        );
        ensure!(
            self.classic.query(munmap)?.is_empty() && !self.classic.query(buckets)?.is_empty(),
            "without the feature there should be classic buckets alone"
        );
        // The ledger is unmapped each second: 64 MiB in page after page, which no machine does in 100 us,
        // nor in 5 s. Both kinds of buckets hold it.
        let longest = "series:tailcut_series_seconds:longest_1m{series=\"munmap\"}";
        for server in [&self.native, &self.classic] {
            let longest = server.query(longest)?.first_value();
            ensure!(
                longest.is_some_and(|seconds| (1e-4..5.0).contains(&seconds)),
                "the longest munmap took {longest:?} s"
            );
        }
        Ok(())
    }
}

enum Output {
    Standard,
    Error,
}

impl Target {
    /// Starts a program that says "metrics at http://ADDRESS/metrics", and waits until it does.
    fn start(command: &mut Command, output: Output) -> Result<Target> {
        command.stdin(Stdio::null());
        let pipe = |child: &mut Running| -> Option<Box<dyn Read + Send>> {
            Some(match output {
                Output::Standard => Box::new(child.0.stdout.take()?),
                Output::Error => Box::new(child.0.stderr.take()?),
            })
        };
        match output {
            Output::Standard => command.stdout(Stdio::piped()),
            Output::Error => command.stderr(Stdio::piped()),
        };
        let shown = command.get_program().to_string_lossy().into_owned();
        let child = command
            .spawn()
            .with_context(|| format!("cannot start {shown}"))?;
        let mut process = Running(child);
        let lines = BufReader::new(pipe(&mut process).context("it has no output")?).lines();
        let (sender, receiver) = mpsc::channel();
        // Reads to the end, or the program would stand still once the pipe is full.
        std::thread::spawn(move || {
            for line in lines.map_while(Result::ok) {
                if sender.send(line.clone()).is_err() {
                    eprintln!("{line}");
                }
            }
        });
        let begin = Instant::now();
        let mut said = String::new();
        while let Ok(line) = receiver.recv_timeout(STARTS_WITHIN.saturating_sub(begin.elapsed())) {
            if let Some(address) = address(&line) {
                return Ok(Target { process, address });
            }
            said += &line;
            said.push('\n');
        }
        bail!("{shown} tells no address; it said: {said}")
    }
}

/// The address in "metrics at http://127.0.0.1:9184/metrics".
fn address(line: &str) -> Option<SocketAddr> {
    let (_, rest) = line.split_once("metrics at http://")?;
    rest.split_once('/')?.0.parse().ok()
}

/// The example's configuration, with these addresses, scraped each second.
fn configuration(observer: &Target, service: &Target) -> Result<String> {
    let mut text = std::fs::read_to_string(folder().join("prometheus.yml"))?;
    for (usual, ours) in [
        ("\"127.0.0.1:9184\"", format!("\"{}\"", observer.address)),
        ("\"127.0.0.1:9185\"", format!("\"{}\"", service.address)),
        ("_interval: 5s", "_interval: 1s".to_owned()),
    ] {
        ensure!(
            text.contains(usual),
            "prometheus.yml has no {usual} any more"
        );
        text = text.replace(usual, &ours);
    }
    Ok(text)
}

/// Asks for every panel and variable until all have data; tells how many there are.
fn wait_for_data(server: &Prometheus, dashboards: &[Dashboard]) -> Result<usize> {
    let mut wanted = Vec::new();
    for dashboard in dashboards {
        wanted.extend(dashboard.questions()?);
    }
    let all = wanted.len();
    let begin = Instant::now();
    loop {
        let mut silent = Vec::new();
        for question in wanted {
            let is_answered = server
                .answers(&question)
                .with_context(|| question.to_string())?;
            if !is_answered {
                silent.push(question);
            }
        }
        if silent.is_empty() {
            return Ok(all);
        }
        if begin.elapsed() > DATA_WITHIN {
            let silent: Vec<String> = silent.iter().map(ToString::to_string).collect();
            bail!("no data for:\n{}", silent.join("\n"));
        }
        wanted = silent;
        std::thread::sleep(Duration::from_millis(500));
    }
}

/// The alarms that this service deserves, and no other that somebody would be woken for.
fn check_alarms(server: &Prometheus) -> Result<()> {
    let alarms = server.alarms()?;
    let raised = |name: &str, label: (&str, &str), states: &[&str]| {
        alarms.iter().any(|alarm| {
            alarm.label("alertname") == Some(name)
                && alarm.label(label.0) == Some(label.1)
                && states.contains(&alarm.state())
        })
    };
    ensure!(
        raised(
            "TailcutPoolNearCapacity",
            ("pool", "orders"),
            &["pending", "firing"]
        ),
        "a pool is four fifths in use, and no alarm is raised: {alarms:?}"
    );
    ensure!(
        raised("TailcutPauseOverLimit", ("severity", "info"), &["firing"]),
        "64 MiB are unmapped each second, and no row is red: {alarms:?}"
    );
    for alarm in &alarms {
        ensure!(
            alarm.label("severity") != Some("page") || alarm.state() != "firing",
            "somebody would be woken within a minute: {alarm:?}"
        );
        ensure!(
            !matches!(
                alarm.label("alertname"),
                Some("TailcutExporterDown" | "TailcutTargetGone" | "TailcutUnknownServiceClass")
            ),
            "an alarm without a cause: {alarm:?}"
        );
    }
    Ok(())
}

/// What promtool says of names, types and help texts.
fn review_names(target: &Target) -> Result<()> {
    let url = format!("http://{}/metrics", target.address);
    let text = ureq::get(&url).call()?.body_mut().read_to_string()?;
    let mut review = Command::new("promtool")
        .args(["check", "metrics"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()?;
    let mut input = review.stdin.take().context("promtool reads nothing")?;
    std::io::Write::write_all(&mut input, text.as_bytes())?;
    drop(input);
    let output = review.wait_with_output()?;
    ensure!(
        output.status.success(),
        "promtool check metrics, of {url}: {}{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_found_in_what_a_program_says() {
        let line = "metrics at http://127.0.0.1:41023/metrics";
        assert_eq!(address(line), Some("127.0.0.1:41023".parse().unwrap()));
        assert_eq!(address("waiting: no process is called x"), None);
    }

    #[test]
    fn the_dashboards_are_what_grafana_reads() {
        for dashboard in read_dashboards().unwrap() {
            assert!(dashboard.questions().unwrap().len() > 10);
        }
    }
}
