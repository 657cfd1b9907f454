use super::*;
use proptest::prelude::*;

fn reads_back<T: Notation + PartialEq + std::fmt::Debug>(value: T) -> Result<(), TestCaseError> {
    prop_assert_eq!(T::read(&value.write()), Ok(value));
    Ok(())
}

fn nanos() -> impl Strategy<Value = Nanos> {
    (
        0_u64..2_000,
        prop::sample::select(vec![1, 1_000, 1_000_000, 1_000_000_000]),
    )
        .prop_map(|(number, scale)| Nanos(number * scale))
}

proptest! {
    #[test]
    fn every_value_reads_back_as_what_was_written(
        span in nanos(),
        odd in 0_u64..2_000_000_000_000_000,
        rate in 1_u64..1_000_000_000,
        count in 1_u64..1_000_000_000_000,
        size in 1_u32..,
        (index, of) in (0_u32..50, 50_u32..60),
        unix in 0_u64..4_000_000_000_000_000_000,
        process in 1_u32..=i32::MAX.cast_unsigned(),
        bytes in prop::collection::vec(any::<u8>(), 0..20),
        value in "[!-~]([ -~]{0,20}[!-~])?",
    ) {
        reads_back(span)?;
        reads_back(Nanos(odd))?;
        reads_back(Rate::per_second(rate).unwrap())?;
        reads_back(count)?;
        reads_back(WarmUp::Fixed(span))?;
        reads_back(WarmUp::Auto { at_most: span })?;
        reads_back(ArrivalsNotation::Burst(size))?;
        reads_back(ArrivalsNotation::Trace(PathBuf::from(format!("a/{size}"))))?;
        reads_back(Shard { index, of })?;
        reads_back(WallInstant(unix))?;
        reads_back(Watched::Process(process))?;
        reads_back(HexBytes(bytes))?;
        reads_back(Header { name: "X-Any".to_owned(), value })?;
    }

    #[test]
    fn no_text_makes_a_reader_panic(text in "\\PC{0,30}") {
        let _ = (Nanos::read(&text), Rate::read(&text), WarmUp::read(&text), Shard::read(&text));
        let _ = (ArrivalsNotation::read(&text), WallInstant::read(&text), Watched::read(&text));
        let _ = (HexBytes::read(&text), Header::read(&text), TargetNotation::read(&text));
    }
}

#[test]
fn named_values_read_back_too() {
    for service in ["noop", "heap", "heap-preshaped", "pool"] {
        assert_eq!(Service::read(service).unwrap().write(), service);
        let target = format!("in-process:{service}");
        assert_eq!(TargetNotation::read(&target).unwrap().write(), target);
    }
    for form in ["inline", "handoff"] {
        assert_eq!(Form::read(form).unwrap().write(), form);
    }
    for watched in ["listener", "none", "4711"] {
        assert_eq!(Watched::read(watched).unwrap().write(), watched);
    }
    for arrivals in ["constant", "poisson", "burst:100", "trace:a/b"] {
        assert_eq!(ArrivalsNotation::read(arrivals).unwrap().write(), arrivals);
    }
}

#[test]
fn durations_are_written_in_the_unit_that_leaves_a_whole_number() {
    for (nanos, text) in [
        (1_400_000_000, "1400ms"),
        (10_000_000_000, "10s"),
        (250_000, "250us"),
        (1_000_000_001, "1000000001ns"),
        (0, "0s"),
    ] {
        assert_eq!(Nanos(nanos).write(), text);
    }
}

#[test]
fn an_instant_can_be_written_as_date_prints_it() {
    let noon = WallInstant::read("2026-01-31T12:00:00Z").unwrap();
    assert_eq!(WallInstant::read("1769860800"), Ok(noon));
    assert_eq!(WallInstant::read("2026-01-31T13:00:00+01:00"), Ok(noon));
}

#[test]
fn what_is_not_accepted_is_told_with_what_would_be() {
    let refusals = [
        (WarmUp::read("soon").unwrap_err(), "auto:30s"),
        (WarmUp::read("auto:soon").unwrap_err(), "'soon'"),
        (WarmUp::read("-1s").unwrap_err(), "'-1s'"),
        (ArrivalsNotation::read("burst").unwrap_err(), "how many"),
        (ArrivalsNotation::read("burst:0").unwrap_err(), "how many"),
        (
            ArrivalsNotation::read("trace:").unwrap_err(),
            "names no file",
        ),
        (
            ArrivalsNotation::read("uniform").unwrap_err(),
            "constant, poisson",
        ),
        (Watched::read("0").unwrap_err(), "process id"),
        (Watched::read("-4").unwrap_err(), "process id"),
        (Watched::read("9999999999").unwrap_err(), "process id"),
        (Shard::read("4/4").unwrap_err(), "counted from 0"),
        (Shard::read("1").unwrap_err(), "INDEX/OF"),
        (Shard::read("0/0").unwrap_err(), "INDEX/OF"),
        (WallInstant::read("noon").unwrap_err(), "date +%s"),
        (WallInstant::read("-1").unwrap_err(), "date +%s"),
        (
            WallInstant::read("2026-01-31").unwrap_err(),
            "2026-01-31T12:00:00Z",
        ),
        (Header::read("Accept").unwrap_err(), "no colon"),
        (Header::read(": x").unwrap_err(), "name"),
        (Header::read("A B: x").unwrap_err(), "name"),
        (Header::read("A: x\r\nB: y").unwrap_err(), "control"),
        (HexBytes::read("0").unwrap_err(), "pairs"),
        (HexBytes::read("+1").unwrap_err(), "pairs"),
        (HexBytes::read("\u{e9}").unwrap_err(), "pairs"),
        (
            TargetNotation::read("in-process:tree").unwrap_err(),
            "'tree'",
        ),
        (TargetNotation::read("localhost:80").unwrap_err(), "scheme"),
        (Form::read("outline").unwrap_err(), "inline"),
    ];
    for (message, expected) in refusals {
        assert!(message.contains(expected), "{message}");
    }
}
