use super::*;
use clap::Parser;
use tailcut_loadgen::scenario::{Arrivals, Pacing, Target};

#[derive(Debug, Parser)]
struct Line {
    #[command(flatten)]
    scenario: ScenarioArguments,
}

fn parsed(line: &[&str]) -> Result<ScenarioArguments, String> {
    let words = std::iter::once("load").chain(line.iter().copied());
    let line = Line::try_parse_from(words).map_err(|error| error.to_string())?;
    Ok(line.scenario)
}

fn scenario(line: &[&str]) -> Scenario {
    parsed(line).unwrap().scenario(None).unwrap()
}

#[test]
fn every_flag_reaches_its_field() {
    let line = [
        "--target",
        "https://a:1/",
        "--rate",
        "10k",
        "--arrivals",
        "poisson",
        "--duration",
        "20s",
        "--warmup",
        "2s",
        "--workers",
        "1",
        "--connections",
        "4",
        "--pipeline",
        "2",
        "--timeout",
        "1s",
        "--slo",
        "p99<1ms",
        "--seed",
        "7",
        "--name",
        "n",
        "--watch",
        "4711",
        "--fault",
        "freeze@3s+1400ms",
        "--fault",
        "hog-cpu=1@1s+1s",
        "--start-at",
        "1900000000",
        "--shard",
        "1/2",
        "--method",
        "PUT",
        "--header",
        "A: b",
        "--header",
        "C: d",
        "--body",
        "x",
        "--ca",
        "ca.pem",
        "--server-name",
        "s",
    ];
    let made = scenario(&line);
    let Target::Network(target) = &made.target else {
        panic!("{made:?}")
    };
    assert!(target.tls);
    assert!(
        matches!(made.pacing, Pacing::Open { arrivals: Arrivals::Poisson, rate } if rate.as_f64() == 1e4)
    );
    assert_eq!(
        (made.duration, made.warmup),
        (Nanos(20_000_000_000), WarmUp::Fixed(Nanos(2_000_000_000)))
    );
    assert_eq!((made.workers, made.connections, made.pipeline), (1, 4, 2));
    assert_eq!(
        (made.timeout, made.seed, made.name.as_str()),
        (Nanos(1_000_000_000), 7, "n")
    );
    assert_eq!(
        (made.watched, made.faults.len()),
        (Watched::Process(4711), 2)
    );
    assert_eq!(made.start_at_unix_ns, Some(1_900_000_000_000_000_000));
    assert_eq!(made.shard, Some(Shard { index: 1, of: 2 }));
    assert_eq!(made.slo.unwrap().to_string(), "p99<1ms");
    assert_eq!(made.request.method.as_deref(), Some("PUT"));
    assert_eq!(made.request.headers[1], ("C".to_owned(), "d".to_owned()));
    assert_eq!(made.request.body.as_deref(), Some(&b"x"[..]));
    assert_eq!(made.tls.certificate_authority, Some("ca.pem".into()));
    assert_eq!(made.tls.server_name.as_deref(), Some("s"));
}

#[test]
fn flags_of_single_transports_reach_their_fields() {
    let grpc = [
        "-t",
        "grpc://a:1",
        "-r",
        "5",
        "--grpc-method",
        "a.B/C",
        "--descriptor-set",
        "d.pb",
    ];
    let made = scenario(&grpc);
    assert_eq!(made.request.grpc_method.as_deref(), Some("a.B/C"));
    assert_eq!(made.request.descriptor_set, Some("d.pb".into()));
    let made = scenario(&["-t", "redis://a:1", "-r", "5", "--command", "GET  key:{n}"]);
    assert_eq!(made.request.command, ["GET", "key:{n}"]);
    let made = scenario(&["-t", "https://a:1", "--closed", "--insecure"]);
    assert_eq!((made.pacing, made.tls.insecure), (Pacing::Closed, true));
    let made = scenario(&[
        "-t",
        "in-process:heap",
        "-r",
        "5",
        "--window",
        "10k",
        "--workers",
        "1",
    ]);
    assert!(matches!(
        made.target,
        Target::InProcess {
            service: Service::Heap,
            form: Form::Inline,
            window: 10_000
        }
    ));
}

#[test]
fn flags_go_over_a_file() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("orders.toml");
    std::fs::write(
        &file,
        "duration = '20s'\ntarget.url = 'tcp://a:1'\npacing.rate = '10k'\n",
    )
    .unwrap();
    let made = |line: &[&str]| parsed(line).unwrap().scenario(Some(&file)).unwrap();
    assert_eq!(made(&[]).name, "orders");
    assert_eq!(made(&["-d", "5s"]).duration, Nanos(5_000_000_000));
    assert_eq!(made(&["--closed"]).pacing, Pacing::Closed);
    assert_eq!(made(&["-t", "udp://b:2"]).target.text(), "udp://b:2");
}

#[test]
fn bad_flags_are_refused_with_what_would_be_accepted() {
    for (line, expected) in [
        (&["--rate", "0"][..], "is zero"),
        (&["--rate", "fast"], "2.4M"),
        (&["--rate", "5", "--closed"], "cannot be used with"),
        (
            &["--closed", "--arrivals", "poisson"],
            "cannot be used with",
        ),
        (&["--duration", "10"], "not a duration"),
        (&["--warmup", "soon"], "auto:30s"),
        (&["--arrivals", "burst"], "burst:100"),
        (&["--target", "localhost:80"], "scheme"),
        (&["--target", "in-process:tree"], "noop, heap"),
        (&["--slo", "p99"], "MEASURE<LIMIT"),
        (&["--watch", "0"], "process id"),
        (&["--fault", "freeze"], "freeze"),
        (&["--shard", "2/2"], "counted from 0"),
        (&["--start-at", "noon"], "date +%s"),
        (&["--header", "x"], "no colon"),
        (&["--body", "x", "--body-file", "y"], "cannot be used with"),
        (&["--ca", "x", "--insecure"], "cannot be used with"),
        (&["--window", "0"], "is zero"),
        (&["--connections", "many"], "invalid"),
        (&["--raet", "5"], "--rate"),
    ] {
        let message = parsed(line).unwrap_err();
        assert!(message.contains(expected), "{line:?}: {message}");
    }
}
