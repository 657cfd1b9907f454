use std::fs;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;
use std::time::{Duration, Instant};

use super::*;
use crate::live::SyntheticTarget;

/// A process that does nothing, to be chosen.
struct Running(Child);

impl Running {
    fn new() -> Running {
        let mut command = Command::new("sleep");
        Running(command.arg("60").stdout(Stdio::null()).spawn().unwrap())
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn options(choice: TargetChoice) -> ServeOptions {
    ServeOptions {
        listen: "127.0.0.1:0".parse().unwrap(),
        ..ServeOptions::new(choice, Stop::new())
    }
}

/// Runs the exporter on synthetic targets in real time while `act` talks to it.
fn while_serving(act: impl FnOnce(SocketAddr)) {
    let target = Running::new();
    let options = options(TargetChoice::Pid(target.0.id()));
    let stop = options.stop.clone();
    let (sender, receiver) = mpsc::channel();
    thread::scope(|scope| {
        let server = scope.spawn(move || {
            let attach = |_: &Process| Ok(SyntheticTarget::new().in_real_time());
            serve(&options, attach, |event| {
                if let ServeEvent::Listening { address } = event {
                    sender.send(*address).unwrap();
                }
            })
        });
        let _stop = SetOnDrop(&stop);
        let address = receiver.recv_timeout(Duration::from_secs(20)).unwrap();
        act(address);
        stop.set();
        server.join().unwrap().unwrap();
    });
    drop(target);
}

/// The answer's head and body.
fn request(address: SocketAddr, request: &str) -> (String, Vec<u8>) {
    let mut stream = TcpStream::connect(address).unwrap();
    stream
        .set_read_timeout(Some(Duration::from_secs(20)))
        .unwrap();
    // Who refuses early may close before all is written.
    let _ = stream.write_all(request.as_bytes());
    let mut answer = Vec::new();
    let _ = stream.read_to_end(&mut answer);
    let end = answer.windows(4).position(|four| four == b"\r\n\r\n");
    let body = answer.split_off(end.map_or(answer.len(), |end| end + 4));
    (String::from_utf8(answer).unwrap(), body)
}

fn get(address: SocketAddr, path: &str, accept: &str) -> (String, Vec<u8>) {
    let text = format!("GET {path} HTTP/1.1\r\nHost: x\r\nAccept: {accept}\r\n\r\n");
    request(address, &text)
}

/// Scrapes until the text contains `word`.
fn scrape_until(address: SocketAddr, word: &str) -> String {
    let end = Instant::now() + Duration::from_secs(20);
    loop {
        let (_, body) = get(address, "/metrics", "text/plain");
        let text = String::from_utf8(body).unwrap();
        if text.contains(word) {
            return text;
        }
        assert!(Instant::now() < end, "no {word} in {text}");
        thread::sleep(Duration::from_millis(50));
    }
}

fn value_of(text: &str, sample: &str) -> f64 {
    let line = text.lines().find(|line| line.starts_with(sample));
    let line = line.unwrap_or_else(|| panic!("no {sample} in {text}"));
    line.rsplit(' ').next().unwrap().parse().unwrap()
}

#[test]
fn a_scrape_over_tcp_has_histograms_counters_and_the_cost() {
    while_serving(|address| {
        let text = scrape_until(address, "page_fault");
        let labels = r#"{process="redis-server",group="faults",series="page_fault""#;
        let count = value_of(&text, &format!("tailcut_series_seconds_count{labels}"));
        assert!(count >= 5_200.0, "{count}");
        let all = value_of(
            &text,
            &format!("tailcut_series_seconds_bucket{labels},le=\"+Inf\"}}"),
        );
        assert_eq!(all, count);
        assert_eq!(value_of(&text, "tailcut_target_up"), 1.0);
        // What was never lost is there, or its first loss would be no rise.
        let lost = "tailcut_lost_total{process=\"redis-server\",what=\"threads\"}";
        assert_eq!(value_of(&text, lost), 0.0);
        assert!(value_of(&text, "tailcut_probe_cpu_ratio{") > 0.0);
        assert!(text.contains("tailcut_target_info{process=\"redis-server\",pid=\"4242\""));
        // Command lines hold passwords.
        assert!(!text.contains("127.0.0.1:6379"));
    });
}

#[test]
fn each_format_is_served_to_who_asks_for_it() {
    while_serving(|address| {
        scrape_until(address, "page_fault");
        let (head, body) = get(
            address,
            "/metrics",
            "application/openmetrics-text;version=1.0.0",
        );
        assert!(
            head.to_ascii_lowercase()
                .contains("content-type: application/openmetrics-text")
        );
        assert!(body.ends_with(b"# EOF\n"));
        let (head, body) = get(
            address,
            "/metrics",
            "application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;encoding=delimited",
        );
        assert!(
            head.to_ascii_lowercase()
                .contains("application/vnd.google.protobuf")
        );
        let name = b"tailcut_series_seconds";
        assert!(body.windows(name.len()).any(|part| part == name));
    });
}

#[test]
fn other_pages_methods_and_oversized_requests_get_an_answer_and_harm_nothing() {
    while_serving(|address| {
        assert_eq!(get(address, "/healthz", "*/*").1, b"ok\n");
        assert!(
            get(address, "/", "*/*")
                .1
                .starts_with(b"tailcut serve: /metrics")
        );
        assert!(get(address, "/other", "*/*").0.starts_with("HTTP/1.1 404"));
        let post = "POST /metrics HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\nhello";
        assert!(request(address, post).0.starts_with("HTTP/1.1 405"));
        let long = format!("GET / HTTP/1.1\r\nX: {}\r\n\r\n", "x".repeat(1 << 20));
        assert!(!request(address, &long).0.starts_with("HTTP/1.1 200"));
        assert!(
            !request(address, "\0\x16\x03nonsense\r\n\r\n")
                .0
                .starts_with("HTTP/1.1 200")
        );
        // Connections that say nothing take places, but not all.
        let silent: Vec<TcpStream> = (0..8)
            .map(|_| TcpStream::connect(address).unwrap())
            .collect();
        assert_eq!(get(address, "/healthz", "*/*").1, b"ok\n");
        drop(silent);
    });
}

#[test]
fn an_address_that_others_can_reach_must_be_spelled_out() {
    let target = Running::new();
    for address in ["0.0.0.0:0", "[::]:0", "192.0.2.1:9184"] {
        let options = ServeOptions {
            listen: address.parse().unwrap(),
            ..options(TargetChoice::Pid(target.0.id()))
        };
        let attach = |_: &Process| Ok(SyntheticTarget::new());
        let error = serve(&options, attach, |_| {}).unwrap_err();
        assert!(error.to_string().contains("--allow-remote"), "{error}");
    }
}

#[test]
fn an_address_in_use_is_named_in_the_error() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap();
    let options = ServeOptions {
        listen: address,
        ..options(TargetChoice::Pid(1))
    };
    let attach = |_: &Process| Ok(SyntheticTarget::new());
    let error = serve(&options, attach, |_| {}).unwrap_err().to_string();
    assert!(
        error.contains(&address.to_string()) && error.contains("--listen"),
        "{error}"
    );
}

/// A folder like `/proc` with one process that was started then.
fn write_process(proc: &Path, pid: u32, started: u32) {
    let folder = proc.join(pid.to_string());
    fs::create_dir_all(&folder).unwrap();
    let zeros = "0 ".repeat(12);
    let stat = format!("{pid} (server) S 1 1 1 0 -1 0 {zeros}{started} 0 0\n");
    fs::write(folder.join("stat"), stat).unwrap();
    fs::write(folder.join("status"), format!("Tgid:\t{pid}\n")).unwrap();
}

#[test]
fn after_the_targets_end_the_next_that_matches_is_observed_and_counters_go_on() {
    let folder = tempfile::tempdir().unwrap();
    write_process(folder.path(), 100, 1);
    let options = ServeOptions {
        processes: ProcessTable::at(folder.path()),
        ..options(TargetChoice::Name("server".parse().unwrap()))
    };
    let stop = options.stop.clone();
    let (addresses, address) = mpsc::channel();
    let mut seen: Vec<String> = Vec::new();
    thread::scope(|scope| {
        let proc = folder.path();
        let asking = scope.spawn(move || {
            // Also when an assertion fails, or the exporter would go on for ever.
            let _stop = SetOnDrop(&stop);
            let address: SocketAddr = address.recv().unwrap();
            scrape_until(address, "tailcut_target_attached_total 1");
            let up = scrape_until(address, "tailcut_target_up 0");
            let count =
                r#"tailcut_series_seconds_count{process="redis-server",group="faults",series="page_fault"}"#;
            let before = value_of(&up, count);
            // Without a target its state is not told, its sums are.
            assert!(!up.contains("tailcut_target_threads"), "{up}");
            fs::remove_dir_all(proc.join("100")).unwrap();
            write_process(proc, 101, 2);
            let again = scrape_until(address, "tailcut_target_attached_total 2");
            assert!(value_of(&again, count) >= before);
        });
        // The first ends after two intervals.
        let mut lives = [2, 1000].into_iter();
        let attach = |_: &Process| {
            let intervals = lives.next().unwrap();
            let target = SyntheticTarget::new().ending_after(intervals);
            Ok(match intervals {
                2 => target,
                _ => target.in_real_time(),
            })
        };
        serve(&options, attach, |event| {
            if let ServeEvent::Listening { address } = event {
                addresses.send(*address).unwrap();
            }
            seen.push(event.to_string());
        })
        .unwrap();
        asking.join().unwrap();
    });
    let told = |text: &str| seen.iter().any(|event| event.contains(text));
    assert!(
        told("observing 100") && told("process 100 has ended") && told("observing 101"),
        "{seen:?}"
    );
}

#[test]
fn a_first_session_that_cannot_begin_ends_it_with_the_reason() {
    struct Never;
    impl Source for Never {
        type Error = io::Error;
        fn next(&mut self, _: Duration) -> io::Result<Option<crate::tick::Tick>> {
            Ok(None)
        }
        fn describe(&self) -> crate::live::TargetDescription {
            crate::live::TargetDescription::default()
        }
    }
    let target = Running::new();
    let options = options(TargetChoice::Pid(target.0.id()));
    let attach = |_: &Process| Err::<Never, _>(io::Error::other("no privileges"));
    let error = serve(&options, attach, |_| {}).unwrap_err();
    assert_eq!(error.to_string(), "no privileges");
}
