use super::*;
use crate::scenario::Settings;
use std::path::Path;

const HTTP: &str = "pacing.rate = '10k'\ntarget.url = 'http://127.0.0.1:8080/'\n";
const POOL: &str = "pacing.rate = '10k'\ntarget = { in_process = 'pool', window = 1000 }\n";

fn scenario(text: &str) -> Scenario {
    let settings = Settings::from_toml(text, Path::new("test.toml")).unwrap();
    settings.resolve().unwrap()
}

fn with(url: &str, more: &str) -> String {
    format!("{more}\npacing.rate = '10k'\ntarget.url = '{url}'\n")
}

#[test]
fn what_engineers_ask_for_passes() {
    for text in [
        HTTP.to_owned(),
        POOL.to_owned(),
        with(
            "grpcs://a:1",
            "request.grpc_method = 'a.B/C'\ntls.ca = 'ca.pem'",
        ),
        with(
            "redis://a:1",
            "request.command = ['GET', 'key:{n}']\npipeline = 32",
        ),
        with(
            "wss://a:1",
            "request.body = 'hello'\nrequest.headers = ['A: b']",
        ),
        with(
            "tcp://a:1",
            "fault = [{ kind = 'freeze', at = '1s', lasts = '1s' }]",
        ),
        with(
            "http://a:1",
            "shard = '1/2'\nstart_at = 1900000000\nwarmup = '2s'",
        ),
        with("http://a:1", "slo.objectives = 'rate>9900,p99<1ms'"),
        "target.url = 'udp://a:1'\npacing.closed = true".to_owned(),
    ] {
        scenario(&text).check().unwrap();
    }
}

#[test]
fn what_cannot_run_is_refused_with_what_would() {
    let fault = |kind: &str| format!("fault = [{{ {kind}, lasts = '1s' }}]");
    let cases = [
        (format!("name = '../x'\n{HTTP}"), "cannot be a folder's"),
        (format!("name = ''\n{HTTP}"), "cannot be a folder's"),
        (format!("name = '.x'\n{HTTP}"), "no dot first"),
        (format!("duration = '999ms'\n{HTTP}"), "give 1s or more"),
        (format!("warmup = 'auto:1s'\n{HTTP}"), "auto:2s"),
        (format!("workers = 0\n{HTTP}"), "0 workers"),
        (format!("workers = 100000\n{HTTP}"), "cores"),
        (format!("connections = 0\n{HTTP}"), "1 to 1000000"),
        (format!("connections = 2000000\n{HTTP}"), "1 to 1000000"),
        (format!("pipeline = 0\n{HTTP}"), "1 to 65536"),
        (format!("timeout = '0s'\n{HTTP}"), "at most 100s"),
        (format!("timeout = '101s'\n{HTTP}"), "at most 100s"),
        (with("ws://a:1", "pipeline = 2"), "do not say which one they answer"),
        (
            "target.url = 'http://a:1/'\npacing.rate = 0.01".to_owned(),
            "none is due in 10s",
        ),
        (
            "target.url = 'http://a:1/'\npacing = { rate = 5, arrivals = 'burst:100' }".to_owned(),
            "once in 20 s",
        ),
        (
            "target.url = 'http://a:1/'\npacing = { rate = 5, trace_ns = [] }".to_owned(),
            "the trace is empty",
        ),
        (
            "target.url = 'http://a:1/'\npacing = { rate = 5, trace_ns = [0, 0] }".to_owned(),
            "at its start",
        ),
        (
            "target.url = 'http://a:1/'\npacing = { rate = 5, trace_ns = [3, 1, 9] }".to_owned(),
            "arrival 2 of the trace, at 1 ns",
        ),
        (
            "target.in_process = 'pool'\npacing.closed = true".to_owned(),
            "closed loop within the process",
        ),
        (format!("request.method = 'GET'\n{POOL}"), "leave [request] and [tls] out"),
        (format!("watch = 5\n{POOL}"), "no process of its own to watch"),
        (
            "pacing.rate = 5\ntarget = { in_process = 'pool', window = '900000M' }".to_owned(),
            "smaller window",
        ),
        (
            "workers = 1\npacing.rate = 5\ntarget = { in_process = 'pool', form = 'handoff' }".to_owned(),
            "cores",
        ),
        (with("tcp://a:1", "request.method = 'GET'"), "method means nothing for tcp"),
        (with("udp://a:1", "request.body = 'x'"), "made from the seed"),
        (with("redis://a:1", "request.headers = ['A: b']"), "redis takes command"),
        (with("http://a:1", "request.command = ['GET']"), "http takes method, headers, body"),
        (with("h2://a:1", "request.grpc_method = 'a.B/C'"), "means nothing for h2"),
        (with("ws://a:1", "request.method = 'GET'"), "ws takes headers, body"),
        (with("http://a:1", "request.method = 'GE T'"), "no HTTP method"),
        (with("grpc://a:1", ""), "what to call"),
        (with("grpc://a:1", "request.grpc_method = 'Place'"), "PACKAGE.SERVICE/METHOD"),
        (
            with("grpc://a:1", "request = { grpc_method = 'a.B/C', body_hex = 'ff' }"),
            "no text",
        ),
        (with("http://a:1", "tls.insecure = true"), "write https://"),
        (with("ws://a:1", "tls.insecure = true"), "write wss://"),
        (with("udp://a:1", "tls.insecure = true"), "not spoken over TLS"),
        (with("https://a:1", "tls = { insecure = true, ca = 'x' }"), "leave one of them out"),
        (with("http://a:1", "slo.objectives = 'rate>10k'"), "cannot hold at 10000"),
        (with("http://a:1", &fault("kind = 'freeze', at = '9500ms'")), "ends after the recorded part"),
        (
            with("http://a:1", "fault = [{ kind = 'freeze', at = '1s', lasts = '0s' }]"),
            "lasts no time",
        ),
        (
            with("http://a:1", &format!("watch = 'none'\n{}", fault("kind = 'freeze', at = '1s'"))),
            "which process to stop",
        ),
        (format!("{}\n{POOL}", fault("kind = 'freeze', at = '1s'")), "it needs a server"),
        (
            format!("{}\n{POOL}", fault("kind = 'delay', amount = '5ms', at = '1s'")),
            "does not have",
        ),
        (with("udp://a:1", &fault("kind = 'delay', amount = '5ms', at = '1s'")), "does not carry udp"),
        (
            with(
                "http://a:1",
                "fault = [{ kind = 'freeze', at = '1s', lasts = '2s' }, { kind = 'freeze', at = '2s', lasts = '2s' }]",
            ),
            "overlap",
        ),
        (with("http://a:1", "shard = '0/2'\nwarmup = '2s'"), "--start-at"),
        (with("http://a:1", "shard = '0/2'\nstart_at = 1900000000"), "fixed one"),
        (
            "shard = '0/2'\nwarmup = '2s'\nstart_at = 1900000000\npacing.closed = true\ntarget.url = 'http://a:1/'"
                .to_owned(),
            "no schedule that could be divided",
        ),
    ];
    for (text, expected) in cases {
        let message = scenario(&text).check().unwrap_err().to_string();
        assert!(message.contains(expected), "{text}: {message}");
    }
}

#[test]
fn what_no_file_could_say_is_refused_too() {
    let mut made = scenario(HTTP);
    made.shard = Some(Shard { index: 3, of: 3 });
    assert!(
        made.check()
            .unwrap_err()
            .to_string()
            .contains("the last is 2")
    );
    let mut made = scenario(HTTP);
    made.slo = Some(crate::scenario::Slo {
        objectives: Vec::new(),
    });
    assert!(
        made.check()
            .unwrap_err()
            .to_string()
            .contains("without objectives")
    );
    let mut made = scenario(HTTP);
    made.request.headers = vec![("A".to_owned(), "b\r\nC: d".to_owned())];
    assert!(made.check().unwrap_err().to_string().contains("control"));
}
