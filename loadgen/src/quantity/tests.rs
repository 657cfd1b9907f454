use super::*;
use proptest::prelude::*;

fn rate(text: &str) -> Result<f64, QuantityError> {
    text.parse::<Rate>().map(Rate::as_f64)
}

#[test]
#[allow(clippy::float_cmp)] // exact by construction
fn rates_are_read_as_people_write_them() {
    for (text, value) in [
        ("2.4M", 2_400_000.0),
        ("2400000", 2_400_000.0),
        ("2_400_000", 2_400_000.0),
        ("500k", 500_000.0),
        (" 1 k ", 1000.0),
        ("0.5", 0.5),
        ("1G", 1e9),
        ("2.4M/s", 2_400_000.0),
    ] {
        assert_eq!(rate(text), Ok(value), "{text}");
    }
}

#[test]
fn absurd_rates_are_refused_with_what_was_wrong_and_what_is_accepted() {
    for (text, word) in [
        ("0", "zero"),
        ("0.0k", "zero"),
        ("-5", "negative"),
        ("NaN", "not a rate"),
        ("inf", "not a rate"),
        ("", "not a rate"),
        ("M", "not a rate"),
        (".", "not a rate"),
        ("1e6", "not a rate"),
        ("1.2.3", "not a rate"),
        ("2.4Q", "not a rate"),
        ("1.1G", "out of range"),
        (
            "99999999999999999999999999999999999999999999999",
            "out of range",
        ),
        ("0.0000001", "out of range"),
    ] {
        let message = rate(text).unwrap_err().to_string();
        assert!(message.contains(word), "{text}: {message}");
        assert!(
            message.contains("write") || message.contains("accepted"),
            "{text}: {message}"
        );
    }
}

#[test]
fn durations_need_their_unit() {
    for (text, nanos) in [
        ("7s", 7_000_000_000),
        ("500ms", 500_000_000),
        ("250us", 250_000),
        ("10 ns", 10),
        ("1.5m", 90_000_000_000),
        ("0s", 0),
        ("1h", 3_600_000_000_000),
    ] {
        assert_eq!(parse_duration(text), Ok(Nanos(nanos)), "{text}");
    }
    for text in ["7", "", "s", "-1s", "1.5 parsecs", "0.1ns", "721h"] {
        assert!(parse_duration(text).is_err(), "{text}");
    }
}

#[test]
fn counts_are_whole_and_above_zero() {
    assert_eq!(parse_count("120k"), Ok(120_000));
    assert_eq!(parse_count("1.5M"), Ok(1_500_000));
    for text in ["0", "1.5", "-3", "many", "1.0001k", "2000000M"] {
        assert!(parse_count(text).is_err(), "{text}");
    }
}

proptest! {
    #[test]
    fn a_rate_reads_back_from_what_it_prints(micro in 1_u64..=1_000_000_000_000_000) {
        let rate = Rate { micro };
        prop_assert_eq!(rate.to_string().parse::<Rate>(), Ok(rate));
    }

    #[test]
    fn no_text_makes_a_parser_panic(text in "\\PC*") {
        let _ = text.parse::<Rate>();
        let _ = parse_duration(&text);
        let _ = parse_count(&text);
    }
}
