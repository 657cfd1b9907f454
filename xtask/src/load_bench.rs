//! `cargo xtask bench load`: the load generator's targets, each with its figure.
//!
//! Server on one core, generator on the other, both on this machine; what is compared runs interleaved, in
//! rounds, and a figure is the median of its rounds. wrk, oha and nginx take part where they are installed; what
//! is not is said.

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use serde_json::Value;
use tempfile::TempDir;

use crate::cargo;

/// Seconds of each run.
const SECONDS: u32 = 5;
/// Rounds of what is compared.
const ROUNDS: usize = 3;
const SERVER_CPU: &str = "0";
const GENERATOR_CPU: &str = "1";

/// Builds, measures, prints a table.
pub fn run() -> Result<()> {
    let program = cargo::build_executable(&["--package", "tailcut", "--bin", "tailcut"])?;
    let folder = tempfile::tempdir()?;
    let bench = Bench {
        program,
        folder,
        runs: std::cell::Cell::new(0),
    };
    println!("| what | figure |\n|---|---|");
    bench.in_process()?;
    bench.orders()?;
    bench.http()?;
    bench.connections()?;
    bench.ceilings()
}

/// Something that measures a rate, if it is installed.
type Measures<'m> = dyn Fn() -> Result<Option<f64>> + 'm;

struct Bench {
    program: PathBuf,
    folder: TempDir,
    runs: std::cell::Cell<u32>,
}

/// A process that is ended with its bench.
struct Server {
    child: Child,
    url: String,
}

impl Drop for Server {
    fn drop(&mut self) {
        // nginx and our server both end their workers on SIGTERM.
        let pid = self.child.id().to_string();
        let _ = Command::new("kill").arg(pid).status();
        let begin = Instant::now();
        while begin.elapsed() < Duration::from_secs(3) {
            if matches!(self.child.try_wait(), Ok(Some(_))) {
                return;
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn row(what: &str, figure: &str) {
    println!("| {what} | {figure} |");
}

impl Bench {
    /// Rates of no-op requests within the process.
    fn in_process(&self) -> Result<()> {
        for rate in ["1k", "100k", "1M", "2.4M", "10M"] {
            let found = self.load(None, &["-t", "in-process:noop", "-r", rate])?;
            row(
                &format!("in-process, no-op, {rate}/s asked"),
                &format!(
                    "{:.0}/s, schedule {}; P50 {}, P99.9 {}, max {}",
                    number(&found, "/result/rate_achieved"),
                    kept(&found),
                    nanos(&found, "p50"),
                    nanos(&found, "p99.9"),
                    nanos(&found, "max"),
                ),
            );
        }
        Ok(())
    }

    /// Orders over TCP, pipelined.
    fn orders(&self) -> Result<()> {
        for (form, rates) in [
            ("null", ["1M", "1.5M", "2M"]),
            ("pool", ["1M", "1.5M", "1.8M"]),
        ] {
            for rate in rates {
                let server = self.serve(&["--tcp", "--form", form, "--busy-poll"])?;
                let flags = [
                    "-t",
                    &server.url,
                    "-r",
                    rate,
                    "-c",
                    "8",
                    "--pipeline",
                    "4096",
                ];
                let found = self.load(Some(GENERATOR_CPU), &flags)?;
                row(
                    &format!("TCP orders, {form} server, {rate}/s asked"),
                    &format!(
                        "{:.0}/s, schedule {}; P50 {}, P99.9 {}; bottleneck: {}",
                        number(&found, "/result/rate_achieved"),
                        kept(&found),
                        nanos(&found, "p50"),
                        nanos(&found, "p99.9"),
                        text(&found, "/result/generator/bottleneck"),
                    ),
                );
            }
        }
        Ok(())
    }

    /// HTTP/1.1 on nginx: ours, wrk and oha in a closed loop, then ours in an open one.
    fn http(&self) -> Result<()> {
        let Some(server) = self.nginx()? else {
            row("HTTP/1.1", "left out: nginx is not installed");
            return Ok(());
        };
        let url = server.url.clone();
        let ours = || -> Result<f64> {
            let flags = ["-t", &url, "--closed", "-c", "64", "--pipeline", "1"];
            Ok(number(
                &self.load(Some(GENERATOR_CPU), &flags)?,
                "/result/rate_achieved",
            ))
        };
        let (mut own, mut wrk, mut oha) = (Vec::new(), Vec::new(), Vec::new());
        for round in 0..ROUNDS {
            // A B C, C B A, ...
            let mut steps: [(&mut Vec<f64>, &Measures<'_>); 3] = [
                (&mut own, &|| ours().map(Some)),
                (&mut wrk, &|| wrk_rate(&url)),
                (&mut oha, &|| oha_rate(&url)),
            ];
            if round % 2 == 1 {
                steps.reverse();
            }
            for (figures, step) in steps {
                figures.extend(step()?);
            }
        }
        let rate = median(&mut own);
        row(
            "HTTP/1.1 closed loop on nginx, 64 connections",
            &format!("{rate:.0}/s"),
        );
        for (name, figures) in [("wrk", &mut wrk), ("oha", &mut oha)] {
            if figures.is_empty() {
                row(name, "left out: it is not installed");
                continue;
            }
            let other = median(figures);
            row(
                &format!("{name}, the same"),
                &format!("{other:.0}/s; ours is {:.2} x that", rate / other),
            );
        }
        let asked = format!("{:.0}", rate * 0.8);
        let mut worst = Vec::new();
        let mut last = Value::Null;
        for _ in 0..ROUNDS {
            let flags = ["-t", &url, "-r", &asked, "-c", "64"];
            last = self.load(Some(GENERATOR_CPU), &flags)?;
            worst.push(number(&last, "/result/generator/lateness_p999_ns"));
        }
        row(
            "HTTP/1.1 open loop at 80% of that: the generator's own lateness, P99.9",
            &format!(
                "{:.1} us; response P99.9 {}, schedule {}",
                median(&mut worst) / 1000.0,
                nanos(&last, "p99.9"),
                kept(&last)
            ),
        );
        Ok(())
    }

    /// Memory with many connections, and over time.
    fn connections(&self) -> Result<()> {
        let server = self.serve(&["--tcp", "--form", "null"])?;
        for seconds in ["5s", "20s"] {
            let flags = [
                "-t",
                &server.url,
                "-r",
                "50k",
                "-c",
                "10000",
                "--pipeline",
                "1",
                "-d",
                seconds,
            ];
            let found = self.load(Some(GENERATOR_CPU), &flags)?;
            row(
                &format!("memory, 10,000 connections, {seconds}"),
                &format!(
                    "{:.1} MB; {:.0}/s, P99.9 {}",
                    number(&found, "/result/max_rss_bytes") / 1e6,
                    number(&found, "/result/rate_achieved"),
                    nanos(&found, "p99.9"),
                ),
            );
        }
        Ok(())
    }

    /// What the tool says of itself, transport by transport.
    fn ceilings(&self) -> Result<()> {
        let output = Command::new(&self.program)
            .args(["load", "ceiling", "--json", "-o"])
            .arg(self.folder.path().join("ceiling"))
            .output()?;
        ensure!(
            output.status.success(),
            "tailcut load ceiling: {}\n{}",
            output.status,
            String::from_utf8_lossy(&output.stderr)
        );
        let found: Value = serde_json::from_slice(&output.stdout)?;
        for ceiling in found["ceilings"].as_array().into_iter().flatten() {
            row(
                &format!("ceiling, {}", text(ceiling, "/transport")),
                &format!(
                    "{:.0}/s; P99.9 there {:.1} us; limited by {}",
                    number(ceiling, "/rate"),
                    number(ceiling, "/p999_ns") / 1e3,
                    text(ceiling, "/limit")
                ),
            );
        }
        Ok(())
    }

    /// `tailcut load run` with these flags: its JSON.
    fn load(&self, cpu: Option<&str>, flags: &[&str]) -> Result<Value> {
        let number = self.runs.get() + 1;
        self.runs.set(number);
        let out = self.folder.path().join(format!("run-{number}"));
        let mut command = on(cpu, &self.program);
        command.args(["load", "run", "--json", "--warmup", "1s"]);
        if !flags.contains(&"-d") {
            command.args(["-d", &format!("{SECONDS}s")]);
        }
        let output = command.args(flags).arg("-o").arg(&out).output()?;
        // 4: the schedule was missed, which the table says.
        ensure!(
            matches!(output.status.code(), Some(0 | 4)),
            "tailcut load run {}: {}\n{}",
            flags.join(" "),
            output.status,
            String::from_utf8_lossy(&output.stderr)
        );
        serde_json::from_slice(&output.stdout).context("its output is no JSON")
    }

    /// Our own server on its core.
    fn serve(&self, flags: &[&str]) -> Result<Server> {
        let mut command = on(Some(SERVER_CPU), &self.program);
        command.args(["load", "serve"]).args(flags);
        let mut child = command
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()?;
        let output = child.stdout.take().context("no standard output")?;
        let mut lines = BufReader::new(output).lines();
        while let Some(line) = lines.next().transpose()? {
            if let Some(url) = line.split_whitespace().find(|word| word.contains("://")) {
                let url = url.to_owned();
                // What it says later must find a reader.
                std::thread::spawn(move || lines.for_each(drop));
                return Ok(Server { child, url });
            }
        }
        bail!("tailcut load serve ended before it said where it listens")
    }

    /// nginx on its core, with a configuration of its own; `None` if it is not installed.
    fn nginx(&self) -> Result<Option<Server>> {
        if !cargo::is_on_path("nginx") {
            return Ok(None);
        }
        let port = std::net::TcpListener::bind("127.0.0.1:0")?
            .local_addr()?
            .port();
        let folder = self.folder.path().join("nginx");
        std::fs::create_dir_all(&folder)?;
        let configuration = format!(
            "daemon off; worker_processes 1; pid {0}/pid; error_log {0}/errors;\n\
             events {{ worker_connections 4096; }}\n\
             http {{ access_log off; keepalive_requests 1000000000; client_body_temp_path {0}/body;\n\
             proxy_temp_path {0}/proxy; fastcgi_temp_path {0}/fastcgi; uwsgi_temp_path {0}/uwsgi;\n\
             scgi_temp_path {0}/scgi;\n\
             server {{ listen 127.0.0.1:{port} backlog=4096; location / {{ return 200 'ok'; }} }} }}\n",
            folder.display()
        );
        let file = folder.join("nginx.conf");
        std::fs::write(&file, configuration)?;
        let mut command = on(Some(SERVER_CPU), Path::new("nginx"));
        command.arg("-p").arg(&folder).arg("-c").arg(&file);
        let child = command
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()?;
        let server = Server {
            child,
            url: format!("http://127.0.0.1:{port}/"),
        };
        let begin = Instant::now();
        while std::net::TcpStream::connect(("127.0.0.1", port)).is_err() {
            ensure!(
                begin.elapsed() < Duration::from_secs(5),
                "nginx does not listen"
            );
            std::thread::sleep(Duration::from_millis(20));
        }
        Ok(Some(server))
    }
}

/// A program bound to a core.
fn on(cpu: Option<&str>, program: &Path) -> Command {
    match cpu {
        None => Command::new(program),
        Some(cpu) => {
            let mut command = Command::new("taskset");
            command.args(["-c", cpu]).arg(program);
            command
        }
    }
}

/// What wrk gets; `None` if it is not installed.
fn wrk_rate(url: &str) -> Result<Option<f64>> {
    if !cargo::is_on_path("wrk") {
        return Ok(None);
    }
    let seconds = format!("{SECONDS}s");
    let output = on(Some(GENERATOR_CPU), Path::new("wrk"))
        .args(["-t", "1", "-c", "64", "-d", &seconds, url])
        .output()?;
    let text = String::from_utf8_lossy(&output.stdout);
    let figure = text
        .lines()
        .find_map(|line| line.trim().strip_prefix("Requests/sec:"));
    let figure = figure.with_context(|| format!("wrk says: {text}"))?;
    Ok(Some(figure.trim().parse()?))
}

/// What oha gets; `None` if it is not installed.
fn oha_rate(url: &str) -> Result<Option<f64>> {
    if !cargo::is_on_path("oha") {
        return Ok(None);
    }
    let seconds = format!("{SECONDS}s");
    let output = on(Some(GENERATOR_CPU), Path::new("oha"))
        .args([
            "--no-tui",
            "--output-format",
            "json",
            "-c",
            "64",
            "-z",
            &seconds,
            url,
        ])
        .output()?;
    let found: Value = serde_json::from_slice(&output.stdout)
        .with_context(|| format!("oha says: {}", String::from_utf8_lossy(&output.stderr)))?;
    Ok(found
        .pointer("/summary/requestsPerSec")
        .and_then(Value::as_f64))
}

fn number(found: &Value, pointer: &str) -> f64 {
    found
        .pointer(pointer)
        .and_then(Value::as_f64)
        .unwrap_or(f64::NAN)
}

fn text(found: &Value, pointer: &str) -> String {
    found
        .pointer(pointer)
        .and_then(Value::as_str)
        .unwrap_or("?")
        .to_owned()
}

/// A percentile of response time, in words.
fn nanos(found: &Value, percentile: &str) -> String {
    let ns = found["latency_ns"]["response"][percentile].as_f64();
    ns.map_or_else(
        || "?".to_owned(),
        |ns| match ns {
            1e6.. => format!("{:.2} ms", ns / 1e6),
            1e3.. => format!("{:.1} us", ns / 1e3),
            _ => format!("{ns} ns"),
        },
    )
}

fn kept(found: &Value) -> &'static str {
    match found["schedule_kept"].as_bool() {
        Some(true) => "kept",
        Some(false) => "MISSED",
        None => "?",
    }
}

fn median(figures: &mut [f64]) -> f64 {
    figures.sort_by(f64::total_cmp);
    figures.get(figures.len() / 2).copied().unwrap_or(f64::NAN)
}
