use super::*;
use crate::scenario::{Arrivals, Pacing, Scenario, ScenarioError, Target};

fn settings(text: &str) -> Settings {
    Settings::from_toml(text, Path::new("test.toml")).unwrap()
}

fn resolved(text: &str) -> Scenario {
    settings(text).resolve().unwrap()
}

fn refusal(text: &str) -> String {
    settings(text).resolve().unwrap_err().to_string()
}

const HTTP: &str = "target.url = 'http://127.0.0.1:8080/'\npacing.rate = '10k'\n";

#[test]
fn what_is_left_open_is_what_the_documentation_says() {
    let scenario = resolved(HTTP);
    assert_eq!(scenario.name, "http-127.0.0.1-8080");
    assert_eq!(scenario.duration, Nanos::from_millis(10_000));
    assert_eq!(
        scenario.warmup,
        WarmUp::Auto {
            at_most: Nanos::from_millis(30_000)
        }
    );
    assert_eq!(
        (scenario.connections, scenario.pipeline, scenario.workers),
        (16, 1, 1)
    );
    assert_eq!(scenario.timeout, Nanos::from_millis(5_000));
    assert_eq!((scenario.seed, scenario.watched), (1, Watched::Listener));
    assert_eq!(scenario.slo, None);
    assert!(matches!(
        scenario.pacing,
        Pacing::Open {
            arrivals: Arrivals::Constant,
            ..
        }
    ));
}

#[test]
fn protocols_made_for_it_carry_many_requests_at_a_time() {
    let pipeline =
        |url: &str| resolved(&format!("target.url = '{url}'\npacing.rate = 1000\n")).pipeline;
    assert_eq!(pipeline("tcp://127.0.0.1:7000"), 64);
    assert_eq!(pipeline("h2://127.0.0.1:7000"), 32);
    assert_eq!(pipeline("redis://127.0.0.1:7000"), 1);
}

#[test]
fn workers_are_as_many_as_the_rate_needs_and_the_machine_has() {
    let most = default_workers_here();
    let workers =
        |pacing: &str| resolved(&format!("target.url = 'http://127.0.0.1:80/'\n{pacing}")).workers;
    assert_eq!(workers("pacing.rate = 1"), 1);
    assert_eq!(workers("pacing.rate = '1000M'"), most.min(16));
    assert_eq!(workers("pacing.closed = true"), most.min(16));
    assert_eq!(workers("connections = 1\npacing.closed = true"), 1);
}

fn default_workers_here() -> u32 {
    crate::default_workers()
}

#[test]
fn a_service_within_the_process_has_its_form_and_window() {
    let scenario = resolved("target.in_process = 'heap'\npacing.rate = '1M'");
    assert_eq!(scenario.name, "in-process-heap");
    assert_eq!(scenario.watched, Watched::Nobody);
    assert_eq!(
        scenario.target,
        Target::InProcess {
            service: Service::Heap,
            form: Form::Inline,
            window: 120_000
        }
    );
}

#[test]
fn what_excludes_each_other_is_refused() {
    for (text, expected) in [
        ("", "no target is given"),
        ("pacing.rate = 5", "no target is given"),
        ("target.url = 'http://a:1/'", "no rate is given"),
        (
            "target.url = 'http://a:1/'\npacing.closed = false",
            "no rate is given",
        ),
        (
            "target = { url = 'http://a:1/', in_process = 'pool' }",
            "two targets",
        ),
        (
            "target = { url = 'http://a:1/', window = 5 }\npacing.rate = 5",
            "when it is started",
        ),
        (
            "target.url = 'http://a:1/'\npacing = { rate = 5, closed = true }",
            "has no rate",
        ),
        (
            "target.url = 'http://a:1/'\npacing = { arrivals = 'poisson', closed = true }",
            "has no arrivals",
        ),
        (
            "target.url = 'http://a:1/'\npacing = { rate = 5, arrivals = 'poisson', trace_ns = [1] }",
            "arrivals are given twice",
        ),
        (
            "target.url = 'http://a:1/'\npacing.rate = 5\nrequest = { body = 'x', body_hex = '00' }",
            "more than one of body",
        ),
        (
            "connections = 5\ntarget.in_process = 'pool'\npacing.rate = 5",
            "connections means nothing",
        ),
        (
            "timeout = '5s'\ntarget.in_process = 'pool'\npacing.rate = 5",
            "timeout means nothing",
        ),
        (
            "target.url = 'http://a:1/'\npacing.rate = 5\nrequest.body_file = '/nowhere/body'",
            "/nowhere/body",
        ),
    ] {
        let message = refusal(text);
        assert!(message.contains(expected), "{text}: {message}");
    }
}

#[test]
fn flags_go_over_a_file_key_by_key() {
    let file = settings("duration = '30s'\nseed = 7\ntarget.url = 'http://a:1/'\npacing.rate = 5");
    let flags = Settings {
        duration: Some(Nanos::SECOND),
        ..Settings::default()
    };
    let both = flags.over(file).resolve().unwrap();
    assert_eq!((both.duration, both.seed), (Nanos::SECOND, 7));
}

#[test]
fn a_flag_takes_the_place_of_what_it_excludes_in_a_file() {
    let base = || {
        settings(
            "target = { in_process = 'pool', form = 'inline', window = 5 }\n\
             pacing = { rate = 5, arrivals = 'poisson' }\nrequest.body = 'x'\ntls.ca = 'ca.pem'",
        )
    };
    let over = |text: &str| settings(text).over(base());

    let target = over("target.url = 'http://a:1/'").target;
    assert_eq!(
        (target.in_process, target.form, target.window),
        (None, None, None)
    );
    let target = over("target.in_process = 'heap'").target;
    assert_eq!(
        (target.in_process, target.window),
        (Some(Service::Heap), Some(5))
    );

    let pacing = over("pacing.closed = true").pacing;
    assert_eq!((pacing.rate, pacing.arrivals), (None, None));
    let pacing = over("pacing.trace_ns = [5]").pacing;
    assert_eq!(pacing.arrivals, None);
    let closed = settings("pacing.closed = true");
    assert_eq!(base().over(closed).pacing.closed, None);

    let request = over("request.body_hex = '00'").request;
    assert_eq!(
        (request.body, request.body_hex),
        (None, Some(HexBytes(vec![0])))
    );
    assert_eq!(over("tls.insecure = true").tls.ca, None);
}

#[test]
fn a_body_can_be_a_file_of_any_bytes_but_not_of_any_size() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("body");
    std::fs::write(&file, [0_u8, 159, 146, 150]).unwrap();
    let with_body = || {
        let mut settings = settings(HTTP);
        settings.request.body_file = Some(file.clone());
        settings.resolve()
    };
    assert_eq!(
        with_body().unwrap().request.body.unwrap(),
        [0, 159, 146, 150]
    );
    let long = std::fs::File::create(&file).unwrap();
    long.set_len((16 << 20) + 1).unwrap();
    assert!(
        matches!(with_body(), Err(ScenarioError::Read { reason, .. }) if reason.contains("16 MiB"))
    );
}
