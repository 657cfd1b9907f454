//! Pools as text, for Markdown and for the page: a row per figure, a column per pool.

use super::advice::whole;
use super::summary::PoolSummary;
use crate::format;
use crate::recording::PoolSizing;
use crate::report::Report;
use crate::table::Table;
use crate::variant::Variant;

/// What a row is called, and what stands in it.
type Row<'a> = (&'a str, &'a dyn Fn(&PoolSummary) -> String);

/// All pools, with the variant that they are of.
pub(crate) fn pools(report: &Report) -> Vec<(&Variant, &PoolSummary)> {
    report
        .all_variants()
        .flat_map(|variant| {
            variant
                .summary
                .pools
                .iter()
                .map(move |pool| (variant, pool))
        })
        .collect()
}

/// What a pool is called where there may be several.
pub(crate) fn label(variant: &Variant, pool: &PoolSummary) -> String {
    match pool.name.as_str() {
        "" => variant.label().to_owned(),
        name => format!("{}: {name}", variant.label()),
    }
}

/// What the pools held and did; `None` without any.
pub(crate) fn usage(report: &Report) -> Option<Table> {
    let per_second = |of: fn(&PoolSummary) -> f64| {
        move |pool: &PoolSummary| match of(pool) {
            0.0 => "none".to_owned(),
            rate => format::rate(rate),
        }
    };
    let count = |of: fn(&PoolSummary) -> u64| {
        move |pool: &PoolSummary| match of(pool) {
            0 => "none".to_owned(),
            count => whole(count),
        }
    };
    let high_water = |pool: &PoolSummary| {
        let share = pool.high_water as f64 / pool.capacity.max(1) as f64;
        format!("{} ({})", whole(pool.high_water), format::share(share))
    };
    let rows: [Row<'_>; 15] = [
        ("Capacity", &|pool| whole(pool.capacity)),
        ("In use, mean", &|pool| {
            whole(pool.in_use_mean.round() as u64)
        }),
        ("In use, most seen", &|pool| whole(pool.in_use_max)),
        ("High-water mark (of the capacity)", &high_water),
        ("Objects taken", &per_second(|pool| pool.gets_per_second)),
        (
            "Given back one by one",
            &per_second(|pool| pool.puts_per_second),
        ),
        (
            "Batches: refills from the depot",
            &per_second(|pool| pool.refills_per_second),
        ),
        (
            "Batches: spills to the depot",
            &per_second(|pool| pool.spills_per_second),
        ),
        (
            "Batches: steals from other cores",
            &per_second(|pool| pool.steals_per_second),
        ),
        ("Found nothing (misses)", &count(|pool| pool.misses)),
        ("Had to wait", &count(|pool| pool.waits)),
        ("Longest queue seen", &count(|pool| pool.waiting_max)),
        ("Objects made later", &count(|pool| pool.grown)),
        ("Objects dropped", &count(|pool| pool.shrunk)),
        ("Objects discarded", &count(|pool| pool.discarded)),
    ];
    table(report, &rows)
}

/// What capacity is recommended, and from what; `None` where nothing was.
pub(crate) fn sizing(report: &Report) -> Option<Table> {
    let of = |cell: fn(&PoolSizing) -> String| {
        move |pool: &PoolSummary| {
            let sizing = pool.sizing.as_ref();
            sizing.map_or_else(|| format::MISSING.to_owned(), cell)
        }
    };
    if pools(report).iter().all(|(_, pool)| pool.sizing.is_none()) {
        return None;
    }
    table(
        report,
        &[
            ("Objects taken", &of(|sizing| format::rate(sizing.rate))),
            (
                "Held for, on average",
                &of(|sizing| format::nanos(sizing.held_ns)),
            ),
            (
                "In use by Little's law",
                &of(|sizing| whole(sizing.in_use.round() as u64)),
            ),
            ("Recommended capacity", &of(|sizing| whole(sizing.capacity))),
            (
                "Back-pressure from",
                &of(|sizing| whole(sizing.back_pressure_at)),
            ),
            (
                "Recommended from the peak",
                &of(|sizing| match sizing.capacity_for_peak {
                    0 => format::MISSING.to_owned(),
                    capacity => whole(capacity),
                }),
            ),
            ("Configured", &|pool: &PoolSummary| whole(pool.capacity)),
        ],
    )
}

fn table(report: &Report, rows: &[Row<'_>]) -> Option<Table> {
    let pools = pools(report);
    if pools.is_empty() {
        return None;
    }
    let names = pools.iter().map(|(variant, pool)| label(variant, pool));
    Some(Table {
        header: std::iter::once(String::new()).chain(names).collect(),
        rows: rows
            .iter()
            .map(|(name, cell)| {
                let cells = pools.iter().map(|(_, pool)| cell(pool));
                std::iter::once((*name).to_owned()).chain(cells).collect()
            })
            // What no pool ever did needs no row of its own.
            .filter(|row: &Vec<String>| row[1..].iter().any(|cell| cell != "none"))
            .collect(),
    })
}
