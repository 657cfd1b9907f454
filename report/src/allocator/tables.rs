//! The allocator's figures as text, for Markdown and for the page.

use super::summary::AllocatorSummary;
use super::tiers::TierSummary;
use super::{CallSiteSummary, LifetimeSummary, SlowSiteSummary};
use crate::format;
use crate::report::Report;
use crate::table::Table;
use crate::variant::Variant;

/// What stands over the tiers, after the name.
pub(crate) const TIER_HEADER: [&str; 6] = [
    "Calls/s",
    "Under the floor",
    "Up to 10 µs (small)",
    "10 to 100 µs (cache refill)",
    "100 µs to 1 ms (central)",
    "Over 1 ms (operating system)",
];

/// What stands over call sites of all calls, after the place.
pub(crate) const SITE_HEADER: [&str; 5] = ["Calls seen", "Bytes", "Time", "Lives for", "Series"];

/// What stands over call sites of slow calls, after the place.
pub(crate) const SLOW_HEADER: [&str; 5] = ["Slow calls", "Time", "Share", "Bytes", "Mostly"];

/// The variants whose allocator was seen.
pub(crate) fn seen(report: &Report) -> Vec<(&Variant, &AllocatorSummary)> {
    report
        .all_variants()
        .filter_map(|variant| Some((variant, variant.summary.allocator.as_ref()?)))
        .collect()
}

/// The cells of a function, under [`TIER_HEADER`].
pub(crate) fn tier_cells(tier: &TierSummary) -> Vec<String> {
    let under = match (tier.under_floor, tier.floor_ns) {
        (0, _) => "none".to_owned(),
        (under, floor) => format!(
            "{} (< {})",
            portion(under as f64 / tier.events as f64),
            format::nanos(floor)
        ),
    };
    let bands = tier.bands.iter().map(|band| match band.events {
        0 => "none".to_owned(),
        _ => format!(
            "{}, {}/s",
            portion(band.share),
            format::duration(band.ns_per_second)
        ),
    });
    [format::count(tier.events_per_second), under]
        .into_iter()
        .chain(bands)
        .collect()
}

/// The cells of a call site, under [`SITE_HEADER`].
pub(crate) fn site_cells(site: &CallSiteSummary) -> Vec<String> {
    let or_missing = |known: bool, text: String| {
        if known {
            text
        } else {
            format::MISSING.to_owned()
        }
    };
    vec![
        format::count(site.calls as f64),
        or_missing(site.bytes > 0, format::bytes(site.bytes as f64)),
        or_missing(site.total_ns > 0, format::nanos(site.total_ns)),
        site.mean_lifetime_ns
            .map_or_else(|| format::MISSING.to_owned(), format::nanos),
        site.series.clone(),
    ]
}

/// The cells of a call site, under [`SLOW_HEADER`].
pub(crate) fn slow_cells(site: &SlowSiteSummary) -> Vec<String> {
    vec![
        format::count(site.count as f64),
        format::nanos(site.total_ns),
        portion(site.share),
        match site.bytes {
            0 => format::MISSING.to_owned(),
            bytes => format::bytes(bytes as f64),
        },
        site.series.clone(),
    ]
}

/// Calls by size: a row per class, a column per function.
pub(crate) fn sizes(summary: &AllocatorSummary) -> Option<Table> {
    let classes = || summary.sizes.iter().flat_map(|sizes| &sizes.classes);
    let (least, most) = (
        classes().map(|class| class.bytes).min()?,
        classes().map(|class| class.bytes).max()?,
    );
    let header = summary
        .sizes
        .iter()
        .map(|sizes| format!("{} ({})", sizes.name, format::count(sizes.calls as f64)));
    let rows = (least.ilog2()..=most.ilog2()).map(|power| {
        let bytes = 1_u64 << power;
        let cells = summary.sizes.iter().map(|sizes| {
            let class = sizes.classes.iter().find(|class| class.bytes == bytes);
            class.map_or_else(|| "none".to_owned(), |class| portion(class.share))
        });
        std::iter::once(size_class(bytes)).chain(cells).collect()
    });
    Some(Table {
        header: std::iter::once(String::new()).chain(header).collect(),
        rows: rows.collect(),
    })
}

/// From so many bytes to just below twice that.
fn size_class(bytes: u64) -> String {
    match bytes {
        1 => "up to 1 B".to_owned(),
        bytes if bytes < 1 << 10 => format!("{bytes} to {} B", 2 * bytes - 1),
        bytes => format!("from {}", format::memory(bytes)),
    }
}

/// Lifetimes: a row per power of ten.
pub(crate) fn lifetimes(lifetimes: &LifetimeSummary) -> Table {
    let rows = lifetimes.bands.iter().map(|band| {
        vec![
            format!("up to {}", format::nanos(band.up_to_ns)),
            format::count(band.objects as f64),
            match band.objects {
                0 => "none".to_owned(),
                _ => portion(band.share),
            },
        ]
    });
    Table {
        header: ["", "Objects", "Share"].map(str::to_owned).to_vec(),
        rows: rows.collect(),
    }
}

/// All tiers, for Markdown; `None` when nothing of an allocator was seen.
pub(crate) fn tiers(report: &Report) -> Option<Table> {
    named(report, &TIER_HEADER, |summary| {
        let tiers = summary.tiers.iter();
        tiers
            .map(|tier| (tier.name.clone(), tier_cells(tier)))
            .collect()
    })
}

/// The dearest call sites, for Markdown.
pub(crate) fn slow_sites(report: &Report) -> Option<Table> {
    named(report, &SLOW_HEADER, |summary| {
        let sites = summary.slow_sites.iter().take(5);
        sites
            .map(|site| (site.place.clone(), slow_cells(site)))
            .collect()
    })
}

fn named(
    report: &Report,
    header: &[&str],
    rows: impl Fn(&AllocatorSummary) -> Vec<(String, Vec<String>)>,
) -> Option<Table> {
    let seen = seen(report);
    let several = seen.len() > 1;
    let rows: Vec<Vec<String>> = seen
        .iter()
        .flat_map(|(variant, summary)| {
            rows(summary).into_iter().map(move |(name, cells)| {
                let name = match several {
                    true => format!("{}: {name}", variant.label()),
                    false => name,
                };
                std::iter::once(name).chain(cells).collect()
            })
        })
        .collect();
    let header = std::iter::once("").chain(header.iter().copied());
    (!rows.is_empty()).then(|| Table {
        header: header.map(str::to_owned).collect(),
        rows,
    })
}

/// A share that does not round up to all, nor down to nothing.
pub(super) fn portion(share: f64) -> String {
    match share {
        share if share >= 1.0 => "100%".to_owned(),
        share if share > 0.999 => ">99.9%".to_owned(),
        share if share > 0.0 && share < 0.000_01 => "<0.001%".to_owned(),
        share => format::share(share),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_share_neither_hides_a_few_nor_rounds_up_to_all() {
        assert_eq!(portion(1.0), "100%");
        assert_eq!(portion(0.999_99), ">99.9%");
        assert_eq!(portion(0.000_000_1), "<0.001%");
        assert_eq!(portion(0.25), "25%");
    }

    #[test]
    fn a_class_of_sizes_says_where_it_begins_and_ends() {
        assert_eq!(size_class(1), "up to 1 B");
        assert_eq!(size_class(16), "16 to 31 B");
        assert_eq!(size_class(1 << 20), "from 1 MiB");
    }
}
