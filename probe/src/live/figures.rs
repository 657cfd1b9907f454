//! A series' values as a person reads them: by their unit, and never below the floor.
//!
//! How figures look has its home in `tailcut_report::format`; here stands what is special to a
//! probe: that a value under the floor is only known to be under it.

use tailcut_report::format;

use crate::catalogue::Unit;

/// What stands where nothing was seen.
pub(crate) const NOTHING: &str = "-";

/// A value of a series, where `floor` is the least that the probe can tell from its own cost.
pub(crate) fn value(value: u64, unit: Unit, floor: u64) -> String {
    match unit {
        Unit::Nanoseconds if value < floor => format!("<{}", format::nanos(floor)),
        Unit::Nanoseconds => format::nanos(value),
        Unit::Bytes => format::memory(value),
        Unit::Things => format::count(value as f64),
    }
}

/// A rate of events, `-` if it is not known.
pub(crate) fn rate(per_second: Option<f64>) -> String {
    per_second.map_or_else(|| NOTHING.to_owned(), format::count)
}

/// The sum of a series' values in each second: a share of time, of which several threads can have
/// more than one second, or bytes.
pub(crate) fn sum_per_second(sum: f64, unit: Unit) -> String {
    match unit {
        Unit::Nanoseconds => format::duration(sum),
        Unit::Bytes => format::bytes(sum),
        Unit::Things => format::count(sum),
    }
}

/// The share of time in which a series was attached.
pub(crate) fn seen(share: f64) -> String {
    match share {
        share if share >= 0.9995 => "all".to_owned(),
        share if share > 0.0 && share < 0.001 => "<0.1%".to_owned(),
        // One decimal: the column is narrow, and more says nothing.
        share if share < 0.1 => format::share((share * 1000.0).round() / 1000.0),
        share => format::share((share * 100.0).round() / 100.0),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_under_the_floor_is_not_told_as_a_time() {
        assert_eq!(value(30, Unit::Nanoseconds, 900), "<900 ns");
        assert_eq!(value(900, Unit::Nanoseconds, 900), "900 ns");
        assert_eq!(value(0, Unit::Nanoseconds, 0), "0 ns");
        // A floor is a time; it says nothing of bytes or objects.
        assert_eq!(value(3, Unit::Things, 900), "3");
        assert_eq!(value(2048, Unit::Bytes, 900), "2 KiB");
    }

    #[test]
    fn fractions_keep_the_digits_that_matter() {
        assert_eq!(seen(1.0), "all");
        assert_eq!(seen(0.9), "90%");
        assert_eq!(seen(0.0123), "1.2%");
        assert_eq!(seen(0.00001), "<0.1%");
        assert_eq!(seen(0.0), "0%");
    }
}
