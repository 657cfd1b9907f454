//! The one home of how figures look: three significant digits, a unit that a person reads at once.
//!
//! Everything that shows a figure (terminal, Markdown, HTML) takes it from here; the script in the
//! page has a counterpart for its axes, `assets/charts.js`.

/// A duration of nanoseconds: `84 µs`, `1.2 ms`, `31.2 ms`.
pub fn duration(ns: f64) -> String {
    scaled(ns, 1000.0, &["ns", "µs", "ms", "s"])
}

/// A duration of whole nanoseconds, as [`duration`].
pub fn nanos(ns: u64) -> String {
    duration(ns as f64)
}

/// A duration of milliseconds, as [`duration`].
pub fn millis(ms: f64) -> String {
    duration(ms * 1e6)
}

/// A rate per second: `2.4M/s`.
pub fn rate(per_second: f64) -> String {
    format!("{}/s", count(per_second))
}

/// A plain number: `12`, `1.2k`, `2.4M`.
pub fn count(number: f64) -> String {
    scaled(number, 1000.0, &["", "k", "M", "G", "T"]).replace(' ', "")
}

/// A number of bytes in decimal units, as allocation rates are usually given: `4.2 GB`.
pub fn bytes(bytes: f64) -> String {
    scaled(bytes, 1000.0, &["B", "kB", "MB", "GB", "TB"])
}

/// A rate of bytes: `4.2 GB/s`.
pub fn bytes_rate(bytes_per_second: f64) -> String {
    format!("{}/s", bytes(bytes_per_second))
}

/// A size of memory in binary units: `95.8 GiB`.
pub fn memory(bytes: u64) -> String {
    scaled(bytes as f64, 1024.0, &["B", "KiB", "MiB", "GiB", "TiB"])
}

/// The thread of a pause in a table: its number, or `all threads` for 0.
pub fn thread(thread: u32) -> String {
    match thread {
        0 => "all threads".to_owned(),
        thread => thread.to_string(),
    }
}

/// The thread of a pause in a sentence: `thread 4811`, or `all threads` for 0.
pub fn on_thread(number: u32) -> String {
    match number {
        0 => thread(0),
        number => format!("thread {number}"),
    }
}

/// A share of 0 to 1: `92%`, `0.4%`.
pub fn share(share: f64) -> String {
    if !share.is_finite() {
        return MISSING.to_owned();
    }
    format!("{}%", significant(share * 100.0))
}

/// How many times one is the other: `371×`, `7.2×`, `20,500×`.
pub fn ratio(ratio: f64) -> String {
    if !ratio.is_finite() {
        return MISSING.to_owned();
    }
    if ratio < 10_000.0 {
        return format!("{}×", significant(ratio));
    }
    let unit = 10f64.powi(ratio.log10().floor() as i32 - 2);
    let digits = format!("{:.0}", (ratio / unit).round() * unit);
    let mut grouped = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            grouped.push(',');
        }
        grouped.push(digit);
    }
    format!("{grouped}×")
}

/// From one figure to another, with the unit once where both have the same: `29.8 to 33 ms`, `290 to 440×`.
pub fn range(low: f64, high: f64, show: fn(f64) -> String) -> String {
    let (low, high) = (show(low), show(high));
    let unit = |text: &str| {
        text.trim_start_matches(|c: char| c.is_ascii_digit() || ".,".contains(c))
            .to_owned()
    };
    match unit(&high) {
        _ if low == high => high,
        same if !same.is_empty() && same == unit(&low) => {
            format!("{} to {high}", low.trim_end_matches(&same))
        }
        _ => format!("{low} to {high}"),
    }
}

/// The change from one to the other: `−86%`, `+12%`, `±0%`.
///
/// A fall never rounds to 100% while something is left of it: `−99.7%`, `−99.998%`.
pub fn change(before: f64, after: f64) -> String {
    if before == after {
        return "±0%".to_owned();
    }
    let change = (after - before) / before * 100.0;
    if !change.is_finite() {
        return MISSING.to_owned();
    }
    let sign = if change < 0.0 { "−" } else { "+" };
    let size = change.abs();
    let left = 100.0 - size;
    let decimals = match left {
        _ if change > 0.0 || size < 99.0 => return format!("{sign}{}%", significant(size.round())),
        0.0 => 0,
        // As many nines as it takes to reach a digit that is none.
        _ => (-left.log10()).ceil().clamp(1.0, 6.0) as usize,
    };
    format!("{sign}{size:.decimals$}%")
}

/// What stands where there is no figure.
pub const MISSING: &str = "n/a";

/// Shows `value` in the largest unit that leaves it at 1 or more.
fn scaled(value: f64, step: f64, units: &[&str]) -> String {
    if !value.is_finite() {
        return MISSING.to_owned();
    }
    let mut value = value;
    let mut unit = 0;
    // Half a unit of the third digit below the step would round up to it: 999.6 µs is 1 ms.
    while value.abs() >= step - 0.5 && unit + 1 < units.len() {
        value /= step;
        unit += 1;
    }
    format!("{} {}", significant(value), units[unit])
        .trim_end()
        .to_owned()
}

/// Three significant digits, without trailing zeros; whole numbers are not cut.
fn significant(value: f64) -> String {
    if value == 0.0 {
        return "0".to_owned();
    }
    // Rounding first, so that 9.996 has the decimals of 10.
    let magnitude = |value: f64| value.abs().log10().floor() as i32;
    let unit = 10f64.powi(magnitude(value) - 2);
    let rounded = (value / unit).round() * unit;
    let decimals = (2 - magnitude(rounded)).clamp(0, 9) as usize;
    let text = format!("{rounded:.decimals$}");
    if text.contains('.') {
        text.trim_end_matches('0').trim_end_matches('.').to_owned()
    } else {
        format!("{value:.0}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_take_the_unit_that_a_person_reads_at_once() {
        for (ns, text) in [
            (0.0, "0 ns"),
            (7.0, "7 ns"),
            (2.24, "2.24 ns"),
            (999.0, "999 ns"),
            (999.6, "1 µs"),
            (84_000.0, "84 µs"),
            (84_150.0, "84.2 µs"),
            (999_600.0, "1 ms"),
            (1_200_000.0, "1.2 ms"),
            (31_200_000.0, "31.2 ms"),
            (1_523_000_000.0, "1.52 s"),
            (99_999_999_999.0, "100 s"),
            (3_600e9, "3600 s"),
            (f64::NAN, MISSING),
        ] {
            assert_eq!(duration(ns), text, "{ns}");
        }
    }

    #[test]
    fn rates_and_sizes_keep_three_digits() {
        assert_eq!(rate(2_400_000.0), "2.4M/s");
        assert_eq!(rate(1_999_600.0), "2M/s");
        assert_eq!(rate(12.0), "12/s");
        assert_eq!(count(120_000.0), "120k");
        assert_eq!(bytes_rate(4.2e9), "4.2 GB/s");
        assert_eq!(bytes_rate(0.0), "0 B/s");
        assert_eq!(memory(25_769_803_776), "24 GiB");
        assert_eq!(share(0.925), "92.5%");
        assert_eq!(share(0.004), "0.4%");
        assert_eq!(ratio(7.2258), "7.23×");
        assert_eq!(ratio(371.4), "371×");
        assert_eq!(ratio(18_734.0), "18,700×");
        assert_eq!(ratio(2_345_678.0), "2,350,000×");
    }

    #[test]
    fn a_range_says_its_unit_once_unless_it_has_two() {
        assert_eq!(range(29.8e6, 33e6, duration), "29.8 to 33 ms");
        assert_eq!(range(0.9e6, 1.1e6, duration), "900 µs to 1.1 ms");
        assert_eq!(range(290.0, 20_000.0, ratio), "290 to 20,000×");
        assert_eq!(range(0.4, 0.41, share), "40 to 41%");
        assert_eq!(range(143.1, 143.3, duration), "143 ns");
        assert_eq!(range(4.2e9, 4.3e9, bytes_rate), "4.2 to 4.3 GB/s");
    }

    #[test]
    fn a_fall_never_rounds_to_all_of_it() {
        assert_eq!(change(22.4, 3.1), "−86%");
        assert_eq!(change(92.0, 63.0), "−32%");
        assert_eq!(change(4.0, 5.0), "+25%");
        assert_eq!(change(1.0, 371.0), "+37000%");
        assert_eq!(change(100.0, 0.27), "−99.7%");
        assert_eq!(change(100.0, 0.002), "−99.998%");
        assert_eq!(change(100.0, 0.0), "−100%");
        assert_eq!(change(0.0, 0.0), "±0%");
        assert_eq!(change(0.0, 1.0), MISSING);
    }
}
