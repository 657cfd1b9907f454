//! `cargo xtask check-load`: whether the load generator tells the truth, on real servers.
//!
//! The self-test that Gil Tene's wrk2 has in its README: the server stands still for 1.4 s within a run of
//! 13 s. Of the requests that were due, one in a hundred then waited longer than 1.4 s - 1% of 13 s = 1.27 s, so
//! that is P99. A closed loop that records what it sees, like ours, sends nothing meanwhile and sees next to
//! nothing of it; wrk, which corrects its figures afterwards, stands beside them. Times are compared with this
//! formula and with each other, never with what a machine ought to do.

use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use serde_json::Value;
use tempfile::TempDir;

use crate::cargo;
use crate::running::Running;

const SECONDS: f64 = 13.0;
const FROZEN: f64 = 1.4;
/// A machine's own stalls are in the figures, too: so many attempts.
const ATTEMPTS: u32 = 3;

/// Runs all checks.
pub fn check() -> Result<()> {
    let program = cargo::build_executable(&["--package", "tailcut", "--bin", "tailcut"])?;
    let check = Check {
        program,
        folder: tempfile::tempdir()?,
        runs: std::cell::Cell::new(0),
    };
    let nginx = check.nginx()?;
    attempts("the frozen server", || check.frozen(&nginx))?;
    attempts("redis", || check.redis())?;
    println!("load: a frozen server is seen for what it is; nginx and redis answer");
    Ok(())
}

fn attempts(what: &str, mut run: impl FnMut() -> Result<()>) -> Result<()> {
    let mut attempt = 1;
    loop {
        match run() {
            Ok(()) => return Ok(()),
            Err(error) if attempt < ATTEMPTS => eprintln!("{what}, attempt {attempt}: {error:#}"),
            Err(error) => return Err(error).with_context(|| what.to_owned()),
        }
        attempt += 1;
    }
}

struct Check {
    program: PathBuf,
    folder: TempDir,
    runs: std::cell::Cell<u32>,
}

/// A server that ends with its check.
struct Server {
    process: Running,
    port: u16,
}

impl Check {
    /// Open loop, closed loop, and wrk, on a server that stands still for a while.
    fn frozen(&self, nginx: &Server) -> Result<()> {
        let url = format!("http://127.0.0.1:{}/", nginx.port);
        let process = nginx.process.pid().to_string();
        let fault = format!("freeze@5s+{}ms", FROZEN * 1000.0);
        let common = [
            "-t", &url, "-d", "13s", "--warmup", "1s", "--watch", &process, "--fault", &fault,
        ];
        let open = self.load(&[&common[..], &["-r", "1k", "-c", "100"]].concat())?;
        let closed = self.load(&[&common[..], &["--closed", "-c", "1"]].concat())?;
        let (open_p99, closed_p99) = (p99(&open)?, p99(&closed)?);
        let expected = FROZEN - 0.01 * SECONDS;
        println!(
            "frozen for {FROZEN} s in {SECONDS} s: P99 {open_p99:.3} s in open loop ({expected:.2} s by the formula), \
             {closed_p99:.6} s in a closed one"
        );
        ensure!(
            (open_p99 / expected - 1.0).abs() < 0.05,
            "open loop: P99 is {open_p99} s, by the formula it is {expected} s"
        );
        ensure!(
            closed_p99 < expected / 20.0,
            "closed loop: P99 is {closed_p99} s, as if it had seen the freeze"
        );
        let wrk_p99 = wrk(&url, &process)?;
        // No claim about it: since its version 4, wrk fills in what it reckons that it left out, from the mean
        // time between its requests. Where that is near the truth, so is its P99.
        println!(
            "wrk on the same server, frozen as long: P99 {wrk_p99:.6} s (a closed loop that corrects itself afterwards)"
        );
        Ok(())
    }

    /// Redis answers every command, and counts as many as were sent.
    fn redis(&self) -> Result<()> {
        let port = free_port()?;
        let folder = self.folder.path().join(format!("redis-{port}"));
        std::fs::create_dir_all(&folder)?;
        let child = Command::new("redis-server")
            .args(["--port", &port.to_string(), "--save", "", "--dir"])
            .arg(&folder)
            .stdout(Stdio::null())
            .spawn()
            .context("redis-server cannot be started")?;
        let process = Running(child);
        let server = Server { process, port };
        listening(&server)?;
        let url = format!("redis://127.0.0.1:{port}");
        let flags = [
            "-t",
            &url,
            "-r",
            "20k",
            "-d",
            "3s",
            "--warmup",
            "1s",
            "--arrivals",
            "poisson",
        ];
        let found = self.load(&[&flags[..], &["--command", "INCR tailcut"]].concat())?;
        let result = &found["result"];
        ensure!(
            result["failed"].as_u64() == Some(0),
            "failed requests: {result}"
        );
        let offered = result["offered"].as_u64().unwrap_or(0);
        // Poisson: the standard deviation of 60,000 is 245.
        ensure!(
            (58_500..61_500).contains(&offered),
            "{offered} requests in 3 s at 20,000/s"
        );
        let output = Command::new("redis-cli")
            .args(["-p", &port.to_string(), "GET", "tailcut"])
            .output()?;
        let counted: u64 = String::from_utf8_lossy(&output.stdout).trim().parse()?;
        // Warm-up is counted by the server alone.
        ensure!(
            counted >= offered && counted < offered + 25_000,
            "redis counted {counted}, the recorded part had {offered}"
        );
        println!("redis counted {counted} commands: {offered} recorded, the others warm-up");
        Ok(())
    }

    fn load(&self, flags: &[&str]) -> Result<Value> {
        let number = self.runs.get() + 1;
        self.runs.set(number);
        let out = self.folder.path().join(format!("run-{number}"));
        let output = Command::new(&self.program)
            .args(["load", "run", "--json"])
            .args(flags)
            .arg("-o")
            .arg(&out)
            .output()?;
        ensure!(
            matches!(output.status.code(), Some(0 | 4)),
            "tailcut load run {}: {}\n{}",
            flags.join(" "),
            output.status,
            String::from_utf8_lossy(&output.stderr)
        );
        serde_json::from_slice(&output.stdout).context("its output is no JSON")
    }

    fn nginx(&self) -> Result<Server> {
        let port = free_port()?;
        let folder = self.folder.path().join("nginx");
        std::fs::create_dir_all(&folder)?;
        // One process, so that freezing it freezes all of it.
        let configuration = format!(
            "daemon off; master_process off; pid {0}/pid; error_log {0}/errors;\n\
             events {{ worker_connections 1024; }}\n\
             http {{ access_log off; keepalive_requests 1000000000; client_body_temp_path {0}/body;\n\
             proxy_temp_path {0}/proxy; fastcgi_temp_path {0}/fastcgi; uwsgi_temp_path {0}/uwsgi;\n\
             scgi_temp_path {0}/scgi;\n\
             server {{ listen 127.0.0.1:{port}; location / {{ return 200 'ok'; }} }} }}\n",
            folder.display()
        );
        let file = folder.join("nginx.conf");
        std::fs::write(&file, configuration)?;
        let child = Command::new("nginx")
            .arg("-p")
            .arg(&folder)
            .arg("-c")
            .arg(&file)
            .stderr(Stdio::null())
            .spawn()
            .context("nginx cannot be started")?;
        let process = Running(child);
        let server = Server { process, port };
        listening(&server)?;
        Ok(server)
    }
}

fn free_port() -> Result<u16> {
    Ok(std::net::TcpListener::bind("127.0.0.1:0")?
        .local_addr()?
        .port())
}

fn listening(server: &Server) -> Result<()> {
    let begin = Instant::now();
    while std::net::TcpStream::connect(("127.0.0.1", server.port)).is_err() {
        if begin.elapsed() > Duration::from_secs(5) {
            bail!("the server does not listen on port {}", server.port);
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    Ok(())
}

/// P99 of response time, in seconds.
fn p99(found: &Value) -> Result<f64> {
    let ns = found["latency_ns"]["response"]["p99"].as_f64();
    Ok(ns.context("there is no P99")? / 1e9)
}

/// wrk's P99 in seconds, on a server that is frozen for as long.
fn wrk(url: &str, process: &str) -> Result<f64> {
    ensure!(
        cargo::is_on_path("wrk"),
        "wrk is not installed (apt-get install wrk)"
    );
    let child = Command::new("wrk")
        .args(["-t", "1", "-c", "1", "-d", "13s", "--latency", url])
        .stdout(Stdio::piped())
        .spawn()?;
    let signal = |name: &str| Command::new("kill").args([name, process]).status();
    std::thread::sleep(Duration::from_secs(5));
    signal("-STOP")?;
    std::thread::sleep(Duration::from_secs_f64(FROZEN));
    signal("-CONT")?;
    let output = child.wait_with_output()?;
    let text = String::from_utf8_lossy(&output.stdout);
    let figure = text
        .lines()
        .find_map(|line| line.trim().strip_prefix("99%"));
    let figure = figure.with_context(|| format!("wrk says: {text}"))?.trim();
    seconds(figure).with_context(|| format!("wrk's P99 is {figure}"))
}

/// `45.00us`, `1.20ms`, `0.95s`.
fn seconds(text: &str) -> Option<f64> {
    for (unit, scale) in [("us", 1e-6), ("ms", 1e-3), ("s", 1.0)] {
        if let Some(number) = text.strip_suffix(unit) {
            return Some(number.parse::<f64>().ok()? * scale);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wrks_times_are_read_in_every_unit() {
        for (text, expected) in [("45.00us", 45e-6), ("1.20ms", 1.2e-3), ("0.95s", 0.95)] {
            let read = seconds(text).unwrap();
            assert!((read / expected - 1.0).abs() < 1e-9, "{text}: {read}");
        }
        assert_eq!(seconds("fast"), None);
    }
}
