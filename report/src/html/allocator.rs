//! The page's part on the allocator: tables with the names of their columns, and the boxes of the flame graph in pixels.
//!
//! A flame graph is at most 200 KB, of which half are names that a pointer shows.

use super::slot;
use crate::allocator::tables::{
    self, SITE_HEADER, SLOW_HEADER, TIER_HEADER, seen, site_cells, slow_cells, tier_cells,
};
use crate::allocator::{AllocatorSummary, Flame, FlameBox, NotTraced, Place};
use crate::format;
use crate::report::Report;
use crate::table::Table;
use crate::variant::Variant;

/// Flame graphs on a page at most, of those with most time.
const FLAMES: usize = 3;
/// Call sites shown of each variant.
const SITES: usize = 10;
/// The picture's width and the height of a row, in its own units.
const WIDTH: f64 = 1_100.0;
const ROW: usize = 18;
/// What a letter takes of the width.
const LETTER: f64 = 6.7;

/// What the template shows.
pub(super) struct Section {
    /// Whether rows must say of which variant they are.
    pub(super) several: bool,
    pub(super) tier_header: &'static [&'static str],
    pub(super) tiers: Vec<Group>,
    pub(super) site_header: &'static [&'static str],
    pub(super) sites: Vec<Group>,
    pub(super) slow_header: &'static [&'static str],
    pub(super) slow: Vec<Group>,
    pub(super) of: Vec<OfVariant>,
    /// Pictures that there is no room for; empty for none.
    pub(super) flames_left_out: String,
    /// What was not traced; variants that lack the same stand together.
    pub(super) lacks: Vec<Lack>,
}

/// What some variants lack.
pub(super) struct Lack {
    /// Whose; empty where it is all of them.
    pub(super) labels: String,
    pub(super) all: Vec<NotTraced>,
    pub(super) command: String,
}

/// The rows of one variant.
pub(super) struct Group {
    pub(super) label: String,
    pub(super) slot: String,
    pub(super) rows: Vec<Row>,
}

pub(super) struct Row {
    pub(super) name: String,
    pub(super) help: String,
    pub(super) cells: Vec<String>,
}

/// What each variant has for itself.
pub(super) struct OfVariant {
    pub(super) label: String,
    /// Unique on the page.
    pub(super) number: usize,
    pub(super) sizes: Option<Table>,
    pub(super) lifetimes: Option<Table>,
    pub(super) lifetimes_text: String,
    pub(super) flame: Option<Picture>,
    pub(super) depth: String,
}

/// A flame graph as it is drawn.
pub(super) struct Picture {
    pub(super) text: String,
    pub(super) width: f64,
    pub(super) height: usize,
    pub(super) boxes: Vec<Drawn>,
}

/// A box in the picture's units.
pub(super) struct Drawn {
    pub(super) class: &'static str,
    pub(super) title: String,
    pub(super) left: String,
    pub(super) top: usize,
    pub(super) width: String,
    /// As much of the name as fits; may be empty.
    pub(super) text: String,
    pub(super) text_left: String,
    pub(super) text_top: usize,
}

/// `None` when nothing of an allocator was seen.
pub(super) fn section(report: &Report) -> Option<Section> {
    let summaries = seen(report);
    if summaries.is_empty() {
        return None;
    }
    // Those with most time have a picture.
    let mut times: Vec<u64> = summaries
        .iter()
        .filter_map(|(_, summary)| Some(summary.flame.as_ref()?.total_ns))
        .collect();
    times.sort_unstable_by_key(|ns| std::cmp::Reverse(*ns));
    let least = times.get(FLAMES - 1).copied().unwrap_or(0);
    Some(Section {
        several: summaries.len() > 1,
        tier_header: &TIER_HEADER,
        tiers: groups(report, |summary| {
            let tiers = summary.tiers.iter();
            tiers
                .map(|tier| row(&tier.name, &tier.what, tier_cells(tier)))
                .collect()
        }),
        site_header: &SITE_HEADER,
        sites: groups(report, |summary| {
            let sites = summary.call_sites.iter().take(SITES);
            sites
                .map(|site| row(&site.place, "", site_cells(site)))
                .collect()
        }),
        slow_header: &SLOW_HEADER,
        slow: groups(report, |summary| {
            let sites = summary.slow_sites.iter().take(SITES);
            sites
                .map(|site| row(&site.place, "", slow_cells(site)))
                .collect()
        }),
        of: summaries
            .iter()
            .enumerate()
            .map(|(number, (variant, summary))| of_variant(number, variant.label(), summary, least))
            .collect(),
        flames_left_out: match times.len().saturating_sub(FLAMES) {
            0 => String::new(),
            more => format!("{more} further flame graphs, of less time, are not drawn."),
        },
        lacks: lacks(&summaries),
    })
}

fn lacks(summaries: &[(&Variant, &AllocatorSummary)]) -> Vec<Lack> {
    let mut by_lack: Vec<(Vec<&str>, &AllocatorSummary)> = Vec::new();
    for (variant, summary) in summaries {
        let known = by_lack
            .iter_mut()
            .find(|(_, known)| known.not_traced == summary.not_traced);
        match known {
            Some((labels, _)) => labels.push(variant.label()),
            None => by_lack.push((vec![variant.label()], summary)),
        }
    }
    let one = by_lack.len() == 1;
    by_lack
        .into_iter()
        .filter(|(_, summary)| !summary.not_traced.is_empty())
        .map(|(labels, summary)| Lack {
            labels: match one {
                true => String::new(),
                false => labels.join(", "),
            },
            all: summary.not_traced.clone(),
            command: summary.command.clone().unwrap_or_default(),
        })
        .collect()
}

fn groups(report: &Report, rows: impl Fn(&AllocatorSummary) -> Vec<Row>) -> Vec<Group> {
    let all = report.all_variants().enumerate();
    all.filter_map(|(index, variant)| {
        let rows = rows(variant.summary.allocator.as_ref()?);
        (!rows.is_empty()).then(|| Group {
            label: variant.label().to_owned(),
            slot: slot(variant, index),
            rows,
        })
    })
    .collect()
}

fn row(name: &str, help: &str, cells: Vec<String>) -> Row {
    Row {
        name: name.to_owned(),
        help: help.to_owned(),
        cells,
    }
}

fn of_variant(number: usize, label: &str, summary: &AllocatorSummary, least: u64) -> OfVariant {
    let lifetimes = summary.lifetimes.as_ref();
    let flame = summary.flame.as_ref();
    OfVariant {
        label: label.to_owned(),
        number,
        sizes: tables::sizes(summary),
        lifetimes: lifetimes.map(tables::lifetimes),
        lifetimes_text: lifetimes.map_or_else(String::new, |found| {
            let p99 = found.p99_ns.map_or_else(String::new, |p99| {
                format!(", 99% at most {}", format::nanos(p99))
            });
            let what = match found.what.as_str() {
                "" => "sampled objects",
                what => what,
            };
            format!(
                "{} objects: half lived at most {}{p99}, the longest {}. Measured: {what}; what lives longer than that is \
                 not among them.",
                format::count(found.objects as f64),
                format::nanos(found.p50_ns),
                format::nanos(found.max_ns)
            )
        }),
        flame: flame
            .filter(|flame| flame.total_ns >= least)
            .map(|flame| picture(label, flame)),
        depth: depth(summary),
    }
}

fn depth(summary: &AllocatorSummary) -> String {
    let Some(depth) = &summary.stack_depth else {
        return String::new();
    };
    let deep = match depth.deep {
        0 => "none is deeper than 15".to_owned(),
        deep => format!(
            "{} of them ({}) are deeper than 15, which makes every look at the stack dear",
            format::count(deep as f64),
            format::share(deep as f64 / depth.stacks.max(1) as f64)
        ),
    };
    let cut = match depth.cut {
        0 => String::new(),
        cut => format!(
            "; {} do not reach their root and are deeper than that",
            format::count(cut as f64)
        ),
    };
    let left_out = match summary.stacks_left_out {
        0 => String::new(),
        count => format!(
            " {} slow calls are not in it: their stacks were not kept.",
            format::count(count as f64)
        ),
    };
    format!(
        "{} slow calls and pauses of at least {} have a stack, of {} frames in the median and {} at most; {deep}{cut}.{left_out}",
        format::count(depth.stacks as f64),
        format::nanos(summary.stack_threshold_ns),
        depth.median,
        depth.max
    )
}

fn picture(label: &str, flame: &Flame) -> Picture {
    let widest = flame.boxes.iter().filter(|one| one.place.is_some()).take(3);
    let widest: Vec<String> = widest
        .map(|one| format!("{} {}", one.name, share(flame, one)))
        .collect();
    Picture {
        text: format!(
            "Flame graph of slow calls in {label}, callers above, {} in all: {}; the table of dearest call sites holds the \
             figures",
            format::nanos(flame.total_ns),
            widest.join(", ")
        ),
        width: WIDTH,
        height: flame.rows * ROW,
        boxes: flame.boxes.iter().map(|one| drawn(flame, one)).collect(),
    }
}

fn drawn(flame: &Flame, one: &FlameBox) -> Drawn {
    let width = one.width * WIDTH;
    let letters = ((width - 6.0) / LETTER) as usize;
    let text = match one.name.chars().count() {
        all if all <= letters => one.name.clone(),
        _ if letters < 4 => String::new(),
        _ => one.name.chars().take(letters - 1).chain(['…']).collect(),
    };
    Drawn {
        class: match one.place {
            None => "f-all",
            Some(Place::Program) => "f-program",
            Some(Place::Library) => "f-library",
            Some(Place::Allocator) => "f-allocator",
            Some(Place::Kernel) => "f-kernel",
        },
        title: format!(
            "{}: {} in {} slow calls, {}",
            one.name,
            format::nanos(one.ns),
            format::count(one.count as f64),
            share(flame, one)
        ),
        left: format!("{:.1}", one.left * WIDTH),
        top: one.row * ROW,
        width: format!("{:.1}", (width - 0.6).max(0.4)),
        text,
        text_left: format!("{:.1}", one.left * WIDTH + 3.0),
        text_top: one.row * ROW + 13,
    }
}

fn share(flame: &Flame, one: &FlameBox) -> String {
    format::share(one.ns as f64 / flame.total_ns.max(1) as f64)
}
