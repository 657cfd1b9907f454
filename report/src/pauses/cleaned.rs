//! A probe's metadata made fit to be shown, once for all forms of the report.

use crate::recording::ProbeMeta;
use crate::text;

/// Places in the code that are kept at most: more than a probe lists.
const MOST_CALL_SITES: usize = 200;

/// The metadata fit to be shown: texts clean, shares within their bounds. Exhaustive, so that a
/// new field is not forgotten here.
pub(super) fn cleaned(meta: &ProbeMeta) -> ProbeMeta {
    let names = |texts: &[String]| texts.iter().map(|text| text::name(text)).collect();
    let sentences = |texts: &[String]| texts.iter().map(|text| text::clean(text)).collect();
    let ProbeMeta {
        schema,
        tool,
        state,
        state_reason,
        command,
        host,
        clock,
        start_ns,
        end_ns,
        target,
        series,
        windows,
        cost,
        floor,
        dropped,
        notes,
        left_out,
        call_sites,
    } = meta;
    let mut clean = ProbeMeta {
        schema: *schema,
        tool: text::name(tool),
        state: *state,
        state_reason: state_reason.as_deref().map(text::clean),
        command: sentences(command),
        host: host.clone(),
        clock: *clock,
        start_ns: *start_ns,
        end_ns: *end_ns,
        target: target.clone(),
        series: series.clone(),
        windows: windows.clone(),
        cost: cost.clone(),
        floor: floor.clone(),
        dropped: dropped.clone(),
        notes: sentences(notes),
        left_out: sentences(left_out),
        call_sites: call_sites.iter().take(MOST_CALL_SITES).cloned().collect(),
    };
    let target = &mut clean.target;
    target.name = text::name(&target.name);
    target.executable = text::name(&target.executable);
    target.command = names(&target.command);
    target.allocators = names(&target.allocators);
    for series in &mut clean.series {
        series.name = text::name(&series.name);
        series.what = text::name(&series.what);
        series.hooks = names(&series.hooks);
        series.detail = series.detail.as_deref().map(text::name);
        // Classes of powers of two: there are no more.
        series.sizes.truncate(64);
        // Whatever else stands there cannot be a share; what was seen is then all that is known.
        if !(series.sampling > 0.0 && series.sampling <= 1.0) {
            series.sampling = 1.0;
        }
    }
    for window in &mut clean.windows {
        window.series = text::name(&window.series);
        window.why_ended = text::name(&window.why_ended);
    }
    for entry in &mut clean.floor {
        entry.site = text::name(&entry.site);
    }
    for site in &mut clean.call_sites {
        site.series = text::name(&site.series);
        site.place = text::name(&site.place);
    }
    for dropped in &mut clean.dropped {
        dropped.what = text::name(&dropped.what);
    }
    clean
}
