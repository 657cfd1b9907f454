//! redis-server under `redis-benchmark -t set -P 16`: what it loses while it is traced.

use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::tracers::Tracer;
use crate::{Effort, Failure, Row};

const WHAT: &str = "redis-server, SET -P 16";
const DEFAULT: &str = "tailcut record, default series";

pub fn measure(effort: Effort) -> Result<Vec<Row>, Failure> {
    let Ok(server) = Server::start() else {
        return Ok(vec![Row::missing(
            WHAT,
            "",
            "redis-server is not installed",
        )]);
    };
    let requests = if effort.quick { 200_000 } else { 2_000_000 };
    let (mut untraced, mut traced, mut rss) = (Vec::new(), Vec::new(), 0.0_f64);
    server.throughput(requests / 4)?;
    // A B B A: a machine that slows down steadily slows both alike.
    for _ in 0..effort.rounds {
        for is_traced in [false, true, true, false] {
            eprintln!("{WHAT}: {}", if is_traced { DEFAULT } else { "none" });
            if is_traced {
                let recording = Recording::start(server.child.id())?;
                traced.push(server.throughput(requests)?);
                rss = rss.max(recording.stop()?);
            } else {
                untraced.push(server.throughput(requests)?);
            }
        }
    }
    let mut bpftrace = Vec::new();
    let lacking = Tracer::Bpftrace.lacking();
    if lacking.is_none() {
        eprintln!("{WHAT}: {}", Tracer::Bpftrace.name());
        let attached = Tracer::Bpftrace.attach(server.child.id(), &server.allocator()?)?;
        bpftrace.push(server.throughput(requests / 50)?);
        drop(attached);
    }
    let untraced = Row::new(WHAT, "none", "/s", untraced);
    let traced = Row::new(WHAT, DEFAULT, "/s", traced).beside(&untraced);
    let bpftrace = match lacking {
        Some(why) => Row::missing(WHAT, Tracer::Bpftrace.name(), why),
        None => Row::new(WHAT, Tracer::Bpftrace.name(), "/s", bpftrace).beside(&untraced),
    };
    let memory = Row::new(
        "memory of tailcut record, redis-server",
        DEFAULT,
        "MB",
        vec![rss],
    );
    Ok(vec![untraced, traced, bpftrace, memory])
}

struct Server {
    child: Child,
    port: u16,
}

impl Server {
    fn start() -> Result<Server, Failure> {
        let port = TcpListener::bind(("127.0.0.1", 0))?.local_addr()?.port();
        let child = Command::new("redis-server")
            .args([
                "--save",
                "",
                "--loglevel",
                "warning",
                "--port",
                &port.to_string(),
            ])
            .stdout(Stdio::null())
            .spawn()?;
        let server = Server { child, port };
        let begin = Instant::now();
        while TcpStream::connect(("127.0.0.1", port)).is_err() {
            if begin.elapsed() > Duration::from_secs(20) {
                return Err("redis-server does not listen".into());
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        Ok(server)
    }

    /// Requests a second.
    fn throughput(&self, requests: u32) -> Result<f64, Failure> {
        let output = Command::new("redis-benchmark")
            .args([
                "-p",
                &self.port.to_string(),
                "-t",
                "set",
                "-P",
                "16",
                "--csv",
            ])
            .args(["-n", &requests.to_string()])
            .output()?;
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        let row = text.lines().find(|line| line.starts_with("\"SET\""));
        let rate = row.and_then(|row| row.split(',').nth(1)?.trim_matches('"').parse().ok());
        rate.ok_or_else(|| format!("redis-benchmark says {text:?}").into())
    }

    fn allocator(&self) -> Result<PathBuf, Failure> {
        let maps = std::fs::read_to_string(format!("/proc/{}/maps", self.child.id()))?;
        let path = ["libjemalloc", "libc.so"].into_iter().find_map(|library| {
            let line = maps.lines().find(|line| line.contains(library))?;
            line.split_ascii_whitespace().last()
        });
        Ok(Path::new(path.ok_or("no allocator")?).to_owned())
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// `tailcut record` on a process.
pub struct Recording {
    child: Child,
    folder: tempfile::TempDir,
}

impl Recording {
    pub fn start(pid: u32) -> Result<Recording, Failure> {
        // This program lies in target/release/examples.
        let this = std::env::current_exe()?;
        let built = this.ancestors().nth(2).ok_or("no folder")?.join("tailcut");
        let folder = tempfile::tempdir()?;
        let child = Command::new(&built)
            .args(["record", "-p", &pid.to_string(), "--json", "-o"])
            .arg(folder.path().join("recording"))
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .map_err(|error| format!("cannot start {}: {error}", built.display()))?;
        let recording = Recording { child, folder };
        // Written when it has attached.
        let begin = Instant::now();
        while !recording
            .folder
            .path()
            .join("recording/probe.json")
            .exists()
        {
            if begin.elapsed() > Duration::from_secs(20) {
                return Err("tailcut record does not begin".into());
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        Ok(recording)
    }

    /// Ends it; its largest resident memory in MB.
    pub fn stop(mut self) -> Result<f64, Failure> {
        kill(Pid::from_raw(self.child.id().cast_signed()), Signal::SIGINT)?;
        self.child.wait()?;
        let text = std::fs::read(self.folder.path().join("recording/probe.json"))?;
        let meta: serde_json::Value = serde_json::from_slice(&text)?;
        let bytes = meta["cost"]["tailcut_rss_bytes"].as_f64();
        Ok(bytes.ok_or("the recording does not say how much memory it took")? / 1e6)
    }
}

impl Drop for Recording {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
