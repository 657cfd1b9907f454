use super::*;
use crate::clock::Nanos;
use crate::plan::{Form, Service};
use crate::quantity::Rate;
use crate::scenario::fault::{Fault, FaultKind};
use crate::scenario::{Shard, TlsOptions, WarmUp, Watched};
use proptest::option;
use proptest::prelude::*;

fn refusal(text: &str) -> String {
    Settings::from_toml(text, Path::new("run.toml"))
        .unwrap_err()
        .to_string()
}

fn nanos() -> impl Strategy<Value = Nanos> {
    (1_u64..100_000_000_000).prop_map(Nanos)
}

fn target() -> impl Strategy<Value = Target> {
    let url = |text: String| Target::Network(text.parse().unwrap());
    prop_oneof![
        ("(tcp|https|h2|grpcs|wss|redis)", 1_u16..)
            .prop_map(move |(scheme, port)| url(format!("{scheme}://127.0.0.1:{port}"))),
        (any::<bool>(), 1_u64..1_000_000).prop_map(|(pairs, window)| Target::InProcess {
            service: if pairs {
                Service::Pool
            } else {
                Service::HeapPreshaped
            },
            form: if pairs { Form::Handoff } else { Form::Inline },
            window,
        }),
    ]
}

fn pacing() -> impl Strategy<Value = Pacing> {
    let arrivals = prop_oneof![
        Just(Arrivals::Constant),
        Just(Arrivals::Poisson),
        (1_u32..).prop_map(|size| Arrivals::Burst { size }),
        prop::collection::vec(0_u64..1 << 62, 1..20)
            .prop_map(|offsets| Arrivals::Trace(offsets.into_iter().map(Nanos).collect())),
    ];
    let open = (1_u64..1_000_000_000, arrivals).prop_map(|(rate, arrivals)| Pacing::Open {
        rate: Rate::per_second(rate).unwrap(),
        arrivals,
    });
    prop_oneof![open, Just(Pacing::Closed)]
}

fn fault() -> impl Strategy<Value = Fault> {
    let kind = prop_oneof![
        Just(FaultKind::Freeze),
        (1_u32..1_000).prop_map(|threads| FaultKind::HogCpu { threads }),
        (1_u64..1 << 40).prop_map(|bytes| FaultKind::HogMemory { bytes }),
        (nanos(), nanos()).prop_map(|(by, jitter)| FaultKind::Delay { by, jitter }),
    ];
    (nanos(), nanos(), kind).prop_map(|(at, lasts, kind)| Fault { at, lasts, kind })
}

fn request() -> impl Strategy<Value = RequestOptions> {
    let headers = prop::collection::vec(("[A-Za-z-]{1,9}", "[!-~]{1,9}"), 0..3);
    let body = prop_oneof![
        option::of("\\PC{0,30}".prop_map(String::into_bytes)),
        option::of(prop::collection::vec(any::<u8>(), 0..30)),
    ];
    let command = prop::collection::vec("\\PC{0,9}", 0..3);
    (
        option::of("[A-Z]{3,6}"),
        headers,
        body,
        option::of("\\PC{0,9}"),
        any::<bool>(),
        command,
    )
        .prop_map(
            |(method, headers, body, grpc_method, set, command)| RequestOptions {
                method,
                headers,
                body,
                grpc_method,
                descriptor_set: set.then(|| "/a/b.pb".into()),
                command,
            },
        )
}

fn scenario() -> impl Strategy<Value = Scenario> {
    let ends = (
        target(),
        pacing(),
        request(),
        prop::collection::vec(fault(), 0..3),
    );
    let times = (
        nanos(),
        nanos(),
        nanos(),
        any::<bool>(),
        option::of(0_u64..1 << 61),
    );
    let sizes = (1_u32.., 1_u32.., 1_u32.., 0_u64..1 << 63);
    let rest = (
        option::of(Just("p99.9<1ms,errors<0.05%")),
        option::of(0_u32..9),
        prop_oneof![
            Just(Watched::Listener),
            Just(Watched::Nobody),
            (1_u32..1 << 30).prop_map(Watched::Process)
        ],
        any::<bool>(),
    );
    (ends, times, sizes, rest).prop_map(|(ends, times, sizes, rest)| {
        let (target, pacing, request, faults) = ends;
        let (duration, warmup, timeout, auto, start_at_unix_ns) = times;
        let (workers, connections, pipeline, seed) = sizes;
        let (slo, shard, watched, insecure) = rest;
        // Within the process there are no connections: these are the ones that would be filled in.
        let network = matches!(target, Target::Network(_));
        Scenario {
            name: "any-name".to_owned(),
            target,
            pacing,
            duration,
            warmup: if auto {
                WarmUp::Auto { at_most: warmup }
            } else {
                WarmUp::Fixed(warmup)
            },
            workers,
            pin: true,
            connections: if network { connections } else { 16 },
            pipeline: if network { pipeline } else { 1 },
            timeout: if network {
                timeout
            } else {
                Nanos(5 * Nanos::SECOND.0)
            },
            seed,
            request,
            tls: TlsOptions {
                certificate_authority: (!insecure).then(|| "/ca.pem".into()),
                insecure,
                server_name: insecure.then(|| "a name".to_owned()),
            },
            slo: slo.map(|text| text.parse().unwrap()),
            faults,
            watched,
            start_at_unix_ns,
            shard: shard.map(|index| Shard { index, of: 9 }),
        }
    })
}

proptest! {
    #[test]
    fn a_scenario_written_and_read_is_the_same(scenario in scenario()) {
        let text = scenario.to_toml().unwrap();
        let read = Settings::from_toml(&text, Path::new("x")).map_err(|error| format!("{error}\n{text}"));
        prop_assert_eq!(read.unwrap().resolve().unwrap(), scenario, "{}", text);
    }

    #[test]
    fn no_text_makes_the_reader_panic(text in "([a-z_.\\[\\]]{1,9} ?=? ?['\"]?\\PC{0,12}\n?){0,6}") {
        let _ = Settings::from_toml(&text, Path::new("x"));
    }
}

#[test]
fn an_unknown_key_is_told_with_its_place_and_the_nearest_one() {
    for (text, expected) in [
        (
            "duratoin = '5s'",
            "run.toml:1:1: unknown key `duratoin`: did you mean `duration`?",
        ),
        (
            "\n[pacing]\n  raet = 5\n",
            "run.toml:3:3: unknown key `raet` in [pacing]: did you mean `rate`?",
        ),
        (
            "[request]\ngrpc-method = 'x'",
            "did you mean `grpc_method`?",
        ),
        ("[tls]\nCA = 'x'", "did you mean `ca`?"),
        ("rate = 5", "`rate` belongs into [pacing]"),
        ("url = 'x'", "`url` belongs into [target]"),
        (
            "[slo]\nduration = '5s'",
            "`duration` belongs to the top of the file",
        ),
        (
            "[[fault]]\nkind = 'freeze'\nat = '1s'\nlast = '1s'",
            "run.toml:4:1: unknown key `last` in [[fault]]: did you mean `lasts`?",
        ),
        ("[slo]\nxylophone = 1", "what there is: objectives"),
    ] {
        let message = refusal(text);
        assert!(message.contains(expected), "{text}: {message}");
    }
}

#[test]
fn a_value_that_is_not_accepted_is_told_with_its_place() {
    for (text, expected) in [
        ("duration = 10", "run.toml:1:12: '10' is not a duration"),
        (
            "seed = 1\nduration = true",
            "run.toml:2:12: invalid type: boolean `true`, expected a duration",
        ),
        (
            "[pacing]\nrate = 0",
            "run.toml:2:8: a rate in requests per second is zero",
        ),
        ("[pacing]\nrate = -5", "negative"),
        ("[pacing]\nrate = '5000M'", "out of range"),
        ("[pacing]\nrate = nan", "not a rate"),
        ("workers = -1", "run.toml:1:11"),
        ("workers = 'two'", "expected u32"),
        ("target = 'http://a/'", "a section: [target]"),
        ("slo = 'p99<1ms'", "a section: [slo]"),
        ("[slo]\nobjectives = 'p99'", "write MEASURE<LIMIT"),
        ("[target]\nurl = 'localhost:80'", "run.toml:2:7"),
        ("[target]\nin_process = 'tree'", "'tree' is no service"),
        ("[request]\nheaders = ['x']", "no colon"),
        (
            "[[fault]]\nkind = 'freeze'\nat = '1s'",
            "run.toml:1:1: missing field `lasts`",
        ),
        ("[[fault]]\nkind = 'melt'\nat = '1s'\nlasts = '1s'", "melt"),
        ("seed = 1\nseed = 2", "run.toml:2:1: duplicate key"),
        ("seed 1", "run.toml:1:6"),
        ("seed = ", "run.toml:1:"),
    ] {
        let message = refusal(text);
        assert!(message.contains(expected), "{text}: {message}");
    }
}

#[test]
fn the_list_of_keys_is_the_one_that_is_read() {
    for (section, keys) in KEYS {
        let text = match section {
            "" => "[unheard-of]".to_owned(),
            section => format!("{section}\nunheard-of = 1"),
        };
        let error = toml::from_str::<Settings>(&text).unwrap_err();
        let mut named = error.message().split('`').skip(1).step_by(2);
        assert_eq!(named.next(), Some("unheard-of"), "{error}");
        assert!(named.eq(keys.iter().copied()), "{section}: {error}");
    }
}

#[test]
fn files_named_in_a_file_are_found_beside_it_and_its_name_is_the_scenarios() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("orders.toml");
    let text = "target.url = 'grpc://a:1'\n[pacing]\nrate = 5\narrivals = 'trace:starts'\n[request]\nbody_file = \
                'body'\ndescriptor_set = '/abs/set.pb'\n[tls]\nca = 'ca.pem'\n";
    std::fs::write(&file, text).unwrap();
    let settings = Settings::read_file(&file).unwrap();
    assert_eq!(settings.name.as_deref(), Some("orders"));
    assert_eq!(settings.request.body_file, Some(dir.path().join("body")));
    assert_eq!(settings.request.descriptor_set, Some("/abs/set.pb".into()));
    assert_eq!(settings.tls.ca, Some(dir.path().join("ca.pem")));
    let trace = ArrivalsNotation::Trace(dir.path().join("starts"));
    assert_eq!(settings.pacing.arrivals, Some(trace));
}

#[test]
fn a_file_that_cannot_be_read_is_named() {
    let dir = tempfile::tempdir().unwrap();
    let missing = dir.path().join("missing.toml");
    let message = Settings::read_file(&missing).unwrap_err().to_string();
    assert!(
        message.contains("missing.toml") && message.contains("No such file"),
        "{message}"
    );
    let bytes = dir.path().join("bytes.toml");
    std::fs::write(&bytes, [0xff, 0xfe]).unwrap();
    let message = Settings::read_file(&bytes).unwrap_err().to_string();
    assert!(message.contains("UTF-8"), "{message}");
    let message = Settings::read_file(dir.path()).unwrap_err().to_string();
    assert!(message.contains("directory"), "{message}");
}
