//! Blame as text, for a terminal, for Markdown and for the page.

use super::summary::{BlameMode, BlameRow, BlameSummary};
use crate::format;
use crate::report::Report;
use crate::table::Table;
use crate::text;
use crate::variant::Variant;

/// What stands over a kind on a thread.
pub(crate) const ROW_HEADER: [&str; 8] = [
    "Run", "Thread", "Time", "Share", "Backlog", "Requests", "Longest", "Where",
];
/// Rows of a variant that are shown; JSON has more.
const SHOWN: usize = 8;

/// The variants with anything to say about blame.
pub(crate) fn blamed(report: &Report) -> impl Iterator<Item = (&Variant, &BlameSummary)> {
    report
        .all_variants()
        .filter_map(|variant| Some((variant, variant.summary.blame.as_ref()?)))
}

/// A share, of which too little to matter is not given digits.
pub(crate) fn portion(share: f64) -> String {
    if share > 0.0 && share < 0.001 {
        "under 0.1%".to_owned()
    } else {
        format::share(share)
    }
}

/// One sentence of a variant.
pub(crate) fn sentence(variant: &Variant, blame: &BlameSummary) -> String {
    let label = variant.label();
    if blame.requests == 0 {
        return format!(
            "{label}: none of the {} slow requests lies in the traced time.",
            format::count(blame.requests_not_traced as f64)
        );
    }
    let of = format!(
        "of the time of the {} slowest requests kept",
        format::count(blame.requests as f64)
    );
    let unexplained = format!(
        "{} stays unexplained",
        portion(blame.share(blame.unexplained_ns))
    );
    let kinds: Vec<String> = blame
        .kinds
        .iter()
        .take(3)
        .map(|kind| format!("{} {}", kind.kind, portion(blame.share(kind.time_ns))))
        .collect();
    let own = match blame.mode {
        BlameMode::OwnThread => format!(
            "{} is their own service, ",
            portion(blame.share(blame.own_service_ns))
        ),
        BlameMode::Coincides => String::new(),
    };
    if kinds.is_empty() {
        let verb = match blame.mode {
            BlameMode::OwnThread => "no pause is to blame",
            BlameMode::Coincides => "nothing coincides beyond chance with pauses of the server",
        };
        return format!("{label}: {verb}; {of}, {own}{unexplained}.");
    }
    let verb = match blame.mode {
        BlameMode::OwnThread => "is owed to pauses",
        BlameMode::Coincides => "coincides with pauses of the server",
    };
    format!(
        "{label}: {} {of} {verb} ({}), {own}{unexplained}.",
        portion(blame.share(blame.by_pauses_ns)),
        kinds.join(", ")
    )
}

/// By kind, a column per variant, with what is left.
pub(crate) fn shares(report: &Report) -> Option<Table> {
    let columns: Vec<_> = blamed(report)
        .filter(|(_, blame)| blame.requests > 0)
        .collect();
    if columns.is_empty() {
        return None;
    }
    let mut kinds: Vec<&str> = Vec::new();
    for kind in columns.iter().flat_map(|(_, blame)| &blame.kinds) {
        if !kinds.contains(&kind.kind.as_str()) {
            kinds.push(&kind.kind);
        }
    }
    let row = |name: &str, cell: &dyn Fn(&BlameSummary) -> String| -> Vec<String> {
        let cells = columns.iter().map(|(_, blame)| cell(blame));
        std::iter::once(name.to_owned()).chain(cells).collect()
    };
    let part = |blame: &BlameSummary, time_ns: u64| match time_ns {
        0 => "none".to_owned(),
        time_ns => format!(
            "{} ({})",
            portion(blame.share(time_ns)),
            format::nanos(time_ns)
        ),
    };
    let mut rows = vec![
        row("Slow requests", &|blame| {
            format::count(blame.requests as f64)
        }),
        row("their time", &|blame| format::nanos(blame.time_ns)),
    ];
    rows.extend(kinds.iter().map(|name| {
        row(name, &|blame| {
            let kind = blame.kinds.iter().find(|kind| kind.kind == *name);
            part(blame, kind.map_or(0, |kind| kind.time_ns))
        })
    }));
    rows.push(row("own service", &|blame| match blame.mode {
        BlameMode::OwnThread => part(blame, blame.own_service_ns),
        BlameMode::Coincides => format::MISSING.to_owned(),
    }));
    rows.push(row("unexplained", &|blame| {
        part(blame, blame.unexplained_ns)
    }));
    let header = columns.iter().map(|(variant, _)| variant.label());
    Some(Table {
        header: std::iter::once("")
            .chain(header)
            .map(str::to_owned)
            .collect(),
        rows,
    })
}

/// The rows of a variant that are shown.
pub(crate) fn shown(blame: &BlameSummary) -> impl Iterator<Item = &BlameRow> {
    blame.rows.iter().take(SHOWN)
}

/// The cells of a kind on a thread, under [`ROW_HEADER`].
pub(crate) fn row_cells(blame: &BlameSummary, row: &BlameRow) -> Vec<String> {
    let by = row.by.as_ref().map(|by| format!("by {by}"));
    let stack: Vec<&str> = row.stack.iter().take(3).map(String::as_str).collect();
    let place: Vec<String> = by
        .into_iter()
        .chain(Some(stack.join(" ← ")).filter(|stack| !stack.is_empty()))
        .collect();
    vec![
        row.run.to_string(),
        format::thread(row.thread),
        format::nanos(row.time_ns),
        portion(blame.share(row.time_ns)),
        match row.backlog_ns {
            0 => "none".to_owned(),
            backlog => format::nanos(backlog),
        },
        format::count(row.requests as f64),
        format::nanos(row.longest_ns),
        if place.is_empty() {
            format::MISSING.to_owned()
        } else {
            text::clean(&place.join(", "))
        },
    ]
}
