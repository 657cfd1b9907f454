//! Loads on a server of our own, from outside: faults on purpose are done, seen in the figures and marked;
//! the parts of a load add up.
//!
//! Nothing is asserted that a machine short of CPU would break: what a fault adds is compared with what the
//! very same run had without it.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use tailcut_report::recording::{RESPONSE, Recording, SERVICE};
use tailcut_report::{Outcome, Report};

/// One load at a time: others would take the processors.
fn alone() -> MutexGuard<'static, ()> {
    static ONE: Mutex<()> = Mutex::new(());
    ONE.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The order service, ended with the test.
struct Server {
    child: Child,
    url: String,
}

impl Server {
    fn start() -> Server {
        let mut child = tailcut(&["load", "serve", "--tcp"])
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap())
            .read_line(&mut line)
            .unwrap();
        let url = line.trim().to_owned();
        assert!(url.starts_with("tcp://127.0.0.1:"), "{url:?}");
        Server { child, url }
    }

    /// The letter of its state; `T` is stopped.
    fn state(&self) -> Option<char> {
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", self.child.id())).ok()?;
        stat.rsplit_once(") ")?.1.chars().next()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn tailcut(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_tailcut"));
    command.args(arguments);
    command
}

/// The arguments of a small load on a server.
fn load<'a>(server: &'a Server, out: &'a Path, more: &[&'a str]) -> Command {
    let mut command = tailcut(&["load", "run", "--target", &server.url]);
    command.args(["--rate", "500", "--warmup", "500ms", "--workers", "1"]);
    command.args(["--connections", "4", "--out"]).arg(out);
    command.args(more).stdin(Stdio::null());
    command
}

fn recorded(output: &Output, dir: &Path) -> Recording {
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}");
    Recording::read(dir).unwrap()
}

#[test]
fn a_frozen_server_is_in_the_figures_for_all_who_should_have_been_served() {
    let _alone = alone();
    let server = Server::start();
    let dir = tempfile::tempdir().unwrap();
    let out = dir.path().join("frozen");
    let faults = ["--duration", "3s", "--fault", "freeze@1s+1200ms"];
    let output = load(&server, &out, &faults).output().unwrap();
    let recording = recorded(&output, &out);
    assert_eq!(server.state(), Some('S'), "it goes on");

    let freezes: Vec<_> = recording
        .marks
        .iter()
        .filter(|mark| mark.kind == "freeze")
        .collect();
    let [freeze] = freezes.as_slice() else {
        panic!("one freeze: {:?}", recording.marks);
    };
    assert!(freeze.detail.contains(&server.child.id().to_string()));
    let frozen = freeze.end_ns - freeze.start_ns;
    assert!(frozen >= 1_200_000_000, "{frozen}");

    // 40% of the requests were due while it stood still, each of them waits for the rest of that time: so
    // a fifth of all waits for more than half of it. In a closed loop it would be one per connection.
    let response = recording.whole(RESPONSE);
    assert!(response.value_at_quantile(0.8) > 500_000_000);
    assert!(response.max() > 1_150_000_000);
    assert_eq!(response.len(), 1_500);

    // Its use of resources was sampled, and while it stood still it used none.
    let samples = &recording.resources;
    assert!(samples.len() >= 8, "{}", samples.len());
    assert!(
        samples
            .iter()
            .all(|sample| sample.process == server.child.id())
    );
    let within = |at: u64| (freeze.start_ns..=freeze.end_ns).contains(&at);
    let mut still = samples.iter().filter(|sample| within(sample.at_ns));
    let (first, last) = (still.next().unwrap(), still.next_back().unwrap());
    assert!(
        last.cpu_ns - first.cpu_ns < 20_000_000,
        "{first:?} {last:?}"
    );

    let report = Report::read_tree(&out).unwrap();
    assert_eq!(report.verdict().outcome, Outcome::Measured);
    let page = report.html();
    assert!(page.contains("stopped by SIGSTOP") && page.contains(&server.url));
}

#[test]
fn an_interrupted_load_leaves_nothing_frozen() {
    let _alone = alone();
    let server = Server::start();
    let dir = tempfile::tempdir().unwrap();
    for (signal, name) in [("-INT", "interrupted"), ("-KILL", "killed")] {
        let out = dir.path().join(name);
        let faults = ["--duration", "60s", "--fault", "freeze@100ms+50s"];
        let mut running = load(&server, &out, &faults)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut looks = 0..3_000;
        while server.state() != Some('T') {
            looks.next().expect("it is frozen some time");
            assert!(running.try_wait().unwrap().is_none(), "it ended");
            std::thread::sleep(Duration::from_millis(10));
        }
        let kill = Command::new("kill")
            .args([signal, &running.id().to_string()])
            .status();
        assert!(kill.unwrap().success());
        running.wait().unwrap();
        while server.state() == Some('T') {
            looks.next().expect("it goes on some time");
            std::thread::sleep(Duration::from_millis(10));
        }
    }
    // In order, it says what was done until then.
    let recording = Recording::read(&dir.path().join("interrupted")).unwrap();
    assert!(recording.marks.iter().any(|mark| mark.kind == "freeze"));
}

#[test]
fn a_delay_is_seen_while_it_lasts_and_the_target_keeps_its_name() {
    let _alone = alone();
    let server = Server::start();
    let dir = tempfile::tempdir().unwrap();
    let out = dir.path().join("delayed");
    let faults = ["--duration", "3s", "--fault", "delay=150ms@1s+1s"];
    let output = load(&server, &out, &faults).output().unwrap();
    let recording = recorded(&output, &out);
    assert_eq!(recording.meta.load.target, server.url);
    let seconds: Vec<_> = recording.series(SERVICE).collect();
    let at = |second: usize, quantile| seconds[second].histogram.value_at_quantile(quantile);
    // In both directions, but for those whose answers came when it was over.
    assert!(at(1, 0.5) >= 300_000_000, "{}", at(1, 0.5));
    assert!(at(0, 0.1) < 150_000_000, "{}", at(0, 0.1));
    assert!(recording.marks.iter().any(|mark| mark.kind == "delay"));
}

#[test]
fn shards_that_begin_together_add_up_to_the_whole_load() {
    let _alone = alone();
    let server = Server::start();
    let dir = tempfile::tempdir().unwrap();
    let start = SystemTime::now().duration_since(UNIX_EPOCH).unwrap() + Duration::from_secs(5);
    let start = start.as_secs().to_string();
    let parts = [dir.path().join("part-0"), dir.path().join("part-1")];
    let running: Vec<Child> = parts
        .iter()
        .zip(["0/2", "1/2"])
        .map(|(out, shard)| {
            let more = [
                "--duration",
                "2s",
                "--shard",
                shard,
                "--start-at",
                &start,
                "--name",
                "whole",
            ];
            load(&server, out, &more)
                .stdout(Stdio::null())
                .stderr(Stdio::piped())
                .spawn()
                .unwrap()
        })
        .collect();
    for (child, out) in running.into_iter().zip(&parts) {
        let part = recorded(&child.wait_with_output().unwrap(), out);
        let load = &part.meta.load;
        assert_eq!((load.rate_target, load.shard_of), (250.0, Some(2)));
        assert_eq!(part.meta.result.unwrap().offered, 500);
    }
    let whole = dir.path().join("whole");
    let output = tailcut(&["load", "merge"])
        .args(&parts)
        .arg("-o")
        .arg(&whole)
        .output()
        .unwrap();
    let merged = recorded(&output, &whole);
    assert_eq!(merged.meta.load.rate_target, 500.0);
    let result = merged.meta.result.as_ref().unwrap();
    assert_eq!((result.offered, result.completed), (1_000, 1_000));
    assert_eq!(merged.whole(RESPONSE).len(), 1_000);
    assert_eq!(merged.series(RESPONSE).count(), 2, "two seconds");
    // The server is on this machine: both watched it, and it counts once.
    let first = Recording::read(&parts[0]).unwrap();
    assert_eq!(merged.resources.len(), first.resources.len());
}
