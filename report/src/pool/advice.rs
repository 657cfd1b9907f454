//! Whether a pool is large enough, in words: the recommended capacity against the one that there is.

use super::summary::PoolSummary;
use crate::format;

/// A sentence each; none where nothing was recommended and nothing was short.
pub(super) fn advice(pool: &PoolSummary) -> Vec<String> {
    let mut sentences = Vec::new();
    if let Some(sizing) = &pool.sizing {
        sentences.push(format!(
            "{} objects a second, each held for {} on average, are {} in use (Little's law). Half as much again, up to \
             a power of two, is a capacity of {}, with back-pressure from {} on.",
            format::count(sizing.rate),
            format::nanos(sizing.held_ns),
            whole(sizing.in_use.round() as u64),
            whole(sizing.capacity),
            whole(sizing.back_pressure_at),
        ));
    }
    if pool.capacity > 0 {
        sentences.push(against_capacity(pool));
    }
    if let Some(sizing) = &pool.sizing
        && pool.high_water >= sizing.back_pressure_at
        && sizing.in_use >= 1.0
    {
        let peak = match sizing.capacity_for_peak {
            0 => String::new(),
            capacity => format!(
                " By the same rule from the peak, it is {}.",
                whole(capacity)
            ),
        };
        sentences.push(format!(
            "The peak is {} the mean, as where objects come back all at once or after a pause: size by the peak, not by \
             the mean.{peak}",
            format::ratio(pool.high_water as f64 / sizing.in_use),
        ));
    }
    if pool.misses > 0 {
        sentences.push(format!(
            "{} times no object was to be had: refusals, growth or waits.",
            whole(pool.misses)
        ));
    }
    sentences
}

fn against_capacity(pool: &PoolSummary) -> String {
    let share = pool.high_water as f64 / pool.capacity as f64;
    let used = format!(
        "Its capacity is {}, and at most {} were in use: {}",
        whole(pool.capacity),
        whole(pool.high_water),
        format::share(share)
    );
    let Some(sizing) = &pool.sizing else {
        return format!("{used}.");
    };
    // The threshold of the rule, for the capacity that there is.
    let threshold = sizing.back_pressure_at as f64 / sizing.capacity.max(1) as f64;
    let place = if share >= threshold { "over" } else { "under" };
    format!(
        "{used}, {place} the back-pressure threshold of {} ({}).",
        format::share(threshold),
        whole((pool.capacity as f64 * threshold).ceil() as u64)
    )
}

/// A number of objects, which nobody wants rounded: `131,072`.
pub(super) fn whole(number: u64) -> String {
    let digits = number.to_string();
    let mut grouped = String::with_capacity(digits.len() + digits.len() / 3);
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            grouped.push(',');
        }
        grouped.push(digit);
    }
    grouped
}
