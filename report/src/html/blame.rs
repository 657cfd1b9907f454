//! The page's part on blame: shares as bars, causes as tables, the longest requests as stories.
//!
//! Everything stands in text, too; bars and timelines are drawn by the style sheet and by static
//! SVG, so they need no script and print as they are.

use super::pause_data::{colour, kinds};
use super::pauses::{Group, Row};
use super::slot;
use crate::blame::tables::{ROW_HEADER, blamed, portion, row_cells, sentence, shares, shown};
use crate::blame::{BlameMode, BlameSummary, KindBlame, Spike, SpikePause};
use crate::format;
use crate::report::Report;
use crate::table::Table;
use crate::variant::Variant;

/// Threads whose bars are shown of a variant.
const THREADS: usize = 8;
/// The width of a timeline in its own units.
const WIDTH: f64 = 1_000.0;

/// What the template shows of blame.
pub(super) struct Section {
    pub(super) several: bool,
    /// What kind of claim this is, and why.
    pub(super) mode: &'static str,
    pub(super) sentences: Vec<String>,
    pub(super) keys: Vec<Key>,
    pub(super) bars: Vec<Bar>,
    /// Empty where each variant has one thread.
    pub(super) thread_bars: Vec<Bar>,
    pub(super) shares: Option<Table>,
    pub(super) rows_header: &'static [&'static str],
    pub(super) rows: Vec<Group>,
    pub(super) spikes: Vec<SpikeGroup>,
    /// What was not listed, not judged, not kept.
    pub(super) limits: Vec<String>,
}

/// A colour and what it stands for.
pub(super) struct Key {
    pub(super) slot: String,
    pub(super) label: String,
}

/// Shares that add up to all.
pub(super) struct Bar {
    pub(super) label: String,
    /// Of the variant.
    pub(super) slot: String,
    pub(super) parts: Vec<Part>,
    /// The parts in words.
    pub(super) text: String,
}

pub(super) struct Part {
    pub(super) slot: String,
    pub(super) percent: String,
}

/// The longest requests of a variant.
pub(super) struct SpikeGroup {
    pub(super) label: String,
    pub(super) slot: String,
    pub(super) open: bool,
    pub(super) spikes: Vec<Story>,
}

pub(super) struct Story {
    pub(super) title: String,
    /// Where pauses lie on the timeline.
    pub(super) pauses: Vec<Block>,
    /// Waiting, then service.
    pub(super) waiting: Block,
    pub(super) service: Block,
    /// The backlog as the points of a polygon; empty where it is not known.
    pub(super) backlog: String,
    pub(super) begin: String,
    pub(super) end: String,
    pub(super) events: Vec<Event>,
}

pub(super) struct Block {
    pub(super) slot: String,
    pub(super) x: String,
    pub(super) width: String,
}

pub(super) struct Event {
    pub(super) at: String,
    pub(super) text: String,
    /// The stack, where a pointer rests.
    pub(super) help: String,
}

/// `None` where no traced run kept slow requests.
pub(super) fn section(report: &Report) -> Option<Section> {
    let all: Vec<_> = blamed(report).collect();
    all.first()?;
    let coincides = |mode| all.iter().any(|(_, blame)| blame.mode == mode);
    let palette = Palette {
        kinds: kinds(report),
    };
    let place = |name: &str| {
        report
            .all_variants()
            .position(|variant| variant.name == name)
            .unwrap_or(0)
    };
    let mut bars = Vec::new();
    let mut thread_bars = Vec::new();
    let mut rows = Vec::new();
    let mut spikes = Vec::new();
    for (variant, blame) in &all {
        let variant_slot = slot(variant, place(&variant.name));
        if blame.requests == 0 {
            continue;
        }
        bars.push(palette.bar(
            variant.label().to_owned(),
            &variant_slot,
            blame.time_ns,
            &blame.kinds,
            (blame.own_service_ns, blame.unexplained_ns),
        ));
        if blame.threads.len() > 1 {
            let threads = blame.threads.iter().take(THREADS).map(|thread| {
                palette.bar(
                    format!(
                        "{}, run {}, thread {}",
                        variant.label(),
                        thread.run,
                        thread.thread
                    ),
                    &variant_slot,
                    thread.time_ns,
                    &thread.kinds,
                    (thread.own_service_ns, thread.unexplained_ns),
                )
            });
            thread_bars.extend(threads);
        }
        let of_variant: Vec<Row> = shown(blame)
            .map(|row| Row {
                name: row.kind.clone(),
                help: row.stack.join(" ← "),
                cells: row_cells(blame, row),
            })
            .collect();
        if !of_variant.is_empty() {
            rows.push(Group {
                label: variant.label().to_owned(),
                slot: variant_slot.clone(),
                rows: of_variant,
            });
        }
        spikes.push((
            blame.spikes.first().map_or(0, |spike| spike.response_ns),
            SpikeGroup {
                label: variant.label().to_owned(),
                slot: variant_slot,
                open: false,
                spikes: blame
                    .spikes
                    .iter()
                    .map(|spike| palette.story(spike, blame))
                    .collect(),
            },
        ));
    }
    // The worst is told at once, the others on demand.
    if let Some((_, worst)) = spikes.iter_mut().max_by_key(|(longest, _)| *longest) {
        worst.open = true;
    }
    Some(Section {
        several: all.len() > 1,
        mode: mode_text(
            coincides(BlameMode::OwnThread),
            coincides(BlameMode::Coincides),
        ),
        sentences: all
            .iter()
            .map(|(variant, blame)| sentence(variant, blame))
            .collect(),
        keys: palette.keys(&all),
        bars,
        thread_bars,
        shares: shares(report),
        rows_header: &ROW_HEADER,
        rows,
        spikes: spikes
            .into_iter()
            .map(|(_, group)| group)
            .filter(|group| !group.spikes.is_empty())
            .collect(),
        limits: limits(&all),
    })
}

fn mode_text(own_thread: bool, coincides: bool) -> &'static str {
    match (own_thread, coincides) {
        (_, false) => {
            "Each slow request's time, from when it was due until it was done, is given to the pauses of the thread that served it: those within its service, those it stood behind, and the backlog that they left. Where pauses lie within each other, the innermost has the time. A collector's stop of the world is a pause of all threads; of a thread that it stops, or that works for it, waits are the collector's. Nothing of another thread's alone is ever blamed."
        }
        (false, true) => {
            "The requests were timed by the load generator, the pauses in the server, and nothing says which of its threads served which request. So this is the weaker claim: a slow request's time coincides with a pause of any of the server's threads. It is a cause where one thread does all the work, and a hint where many do. Waiting for another thread (futex) is left out, since threads without work wait like that; the backlog after a pause is not followed; a kind that slow requests meet no more than any other moment does is left out as chance."
        }
        (true, true) => {
            "Within the process a slow request's time is given to the pauses of the thread that served it, and to the backlog that they left: a cause. Over a network it only coincides with pauses of any of the server's threads: a hint, and a cause where one thread does all the work; waiting for another thread (futex), and kinds met by chance, are left out there, and the backlog is not followed."
        }
    }
}

/// The colours of causes.
struct Palette<'a> {
    kinds: Vec<&'a str>,
}

impl Palette<'_> {
    fn kind(&self, kind: &str) -> String {
        let place = self.kinds.iter().position(|known| *known == kind);
        colour(&self.kinds, place.unwrap_or(self.kinds.len()))
    }

    fn keys(&self, all: &[(&Variant, &BlameSummary)]) -> Vec<Key> {
        let mut keys: Vec<Key> = Vec::new();
        for kind in all.iter().flat_map(|(_, blame)| &blame.kinds) {
            if !keys.iter().any(|key| key.label == kind.kind) {
                keys.push(Key {
                    slot: self.kind(&kind.kind),
                    label: kind.kind.clone(),
                });
            }
        }
        let rest = [("own", "own service"), ("unexplained", "unexplained")];
        keys.extend(rest.map(|(slot, label)| Key {
            slot: slot.to_owned(),
            label: label.to_owned(),
        }));
        keys
    }

    fn bar(
        &self,
        label: String,
        slot: &str,
        time_ns: u64,
        kinds: &[KindBlame],
        (own, unexplained): (u64, u64),
    ) -> Bar {
        let share = |part: u64| part as f64 / time_ns.max(1) as f64;
        let mut parts: Vec<(String, &str, u64)> = kinds
            .iter()
            .map(|kind| (self.kind(&kind.kind), kind.kind.as_str(), kind.time_ns))
            .collect();
        parts.push(("own".to_owned(), "own service", own));
        parts.push(("unexplained".to_owned(), "unexplained", unexplained));
        parts.retain(|(.., time)| *time > 0);
        Bar {
            label,
            slot: slot.to_owned(),
            text: parts
                .iter()
                .map(|(_, name, time)| format!("{name} {}", portion(share(*time))))
                .collect::<Vec<_>>()
                .join(", "),
            parts: parts
                .into_iter()
                .map(|(slot, _, time)| Part {
                    slot,
                    percent: format!("{:.2}", share(time) * 100.0),
                })
                .collect(),
        }
    }

    fn story(&self, spike: &Spike, blame: &BlameSummary) -> Story {
        let pause_end = |pause: &SpikePause| pause.start_s + pause.length_ns as f64 / 1e9;
        let begin = spike
            .pauses
            .iter()
            .map(|pause| pause.start_s)
            .fold(spike.due_s, f64::min);
        let end = spike
            .pauses
            .iter()
            .map(pause_end)
            .fold(spike.end_s, f64::max);
        let drained = spike.drained_s.filter(|drained| {
            // Further on than the story itself is long it would make all else a hair.
            drained - spike.end_s < 3.0 * (spike.end_s - begin)
        });
        let end = drained.map_or(end, |drained| drained.max(end));
        let scale = WIDTH / (end - begin).max(1e-9);
        let x = |second: f64| (second - begin) * scale;
        let block = |slot: String, from: f64, to: f64| Block {
            slot,
            x: format!("{:.1}", x(from)),
            // Visible however short.
            width: format!("{:.1}", (x(to) - x(from)).max(1.5)),
        };
        Story {
            title: format!(
                "{}, due at {:.4} s of run {}, thread {}",
                format::nanos(spike.response_ns),
                spike.due_s,
                spike.run,
                spike.thread
            ),
            pauses: spike
                .pauses
                .iter()
                .map(|pause| block(self.kind(&pause.kind), pause.start_s, pause_end(pause)))
                .collect(),
            waiting: block("waiting".to_owned(), spike.due_s, spike.start_s),
            service: block("own".to_owned(), spike.start_s, spike.end_s),
            backlog: match spike.backlog {
                Some(_) => {
                    // Highest when the request was taken up: all that came meanwhile stands there.
                    let last = spike.drained_s.unwrap_or(f64::INFINITY);
                    let left = (last - end) / (last - spike.start_s).max(1e-9);
                    let left = if left.is_finite() { left.max(0.0) } else { 1.0 };
                    format!(
                        "{:.1},20 {:.1},2 {:.1},{:.1} {:.1},20",
                        x(spike.due_s),
                        x(spike.start_s),
                        x(end.min(last)),
                        20.0 - 18.0 * left,
                        x(end.min(last)),
                    )
                }
                None => String::new(),
            },
            begin: offset(begin - spike.due_s),
            end: offset(end - spike.due_s),
            events: events(spike, blame),
        }
    }
}

fn events(spike: &Spike, blame: &BlameSummary) -> Vec<Event> {
    let mut events: Vec<(f64, Event)> = Vec::new();
    let mut tell = |second: f64, text: String, help: String| {
        let at = offset(second - spike.due_s);
        events.push((second, Event { at, text, help }));
    };
    for pause in &spike.pauses {
        let function = pause.function.as_ref();
        let by = pause.by.as_ref();
        tell(
            pause.start_s,
            format!(
                "{} of {}{}{} on {}; {} of the request's time",
                pause.kind,
                format::nanos(pause.length_ns),
                function.map_or(String::new(), |name| format!(" in {name}")),
                by.map_or(String::new(), |name| format!(" by {name}")),
                format::on_thread(pause.thread),
                format::nanos(pause.time_ns),
            ),
            pause.stack.join(" ← "),
        );
    }
    tell(
        spike.due_s,
        format!("request {} due", spike.request),
        String::new(),
    );
    let waited = ((spike.start_s - spike.due_s) * 1e9).max(0.0);
    if waited >= 1.0 {
        let backlog = spike.backlog.map_or(String::new(), |requests| {
            format!(
                "; about {} more had become due",
                format::count(requests as f64)
            )
        });
        tell(
            spike.start_s,
            format!("taken up after {}{backlog}", format::duration(waited)),
            String::new(),
        );
    }
    let share = |part: u64| portion(part as f64 / spike.response_ns.max(1) as f64);
    let more = match spike.more_pauses {
        0 => String::new(),
        1 => " (one more, short, is not told)".to_owned(),
        more => format!(" ({more} more are not told)"),
    };
    let claim = match blame.mode {
        BlameMode::OwnThread => format!(
            "{} owed to pauses{more}, {} its own service, {} unexplained",
            share(spike.by_pauses_ns),
            share(spike.own_service_ns),
            share(spike.unexplained_ns)
        ),
        BlameMode::Coincides => format!(
            "{} coincides with pauses{more}, {} unexplained",
            share(spike.by_pauses_ns),
            share(spike.unexplained_ns)
        ),
    };
    tell(
        spike.end_s,
        format!("done after {}: {claim}", format::nanos(spike.response_ns)),
        String::new(),
    );
    if let Some(drained) = spike.drained_s {
        let text = "the backlog is worked off, about, unless another pause comes".to_owned();
        tell(drained, text, String::new());
    }
    events.sort_by(|a, b| a.0.total_cmp(&b.0));
    events.into_iter().map(|(_, event)| event).collect()
}

/// Seconds after the request was due: `+14.2 ms`.
fn offset(seconds: f64) -> String {
    let ns = (seconds * 1e9).round();
    match ns {
        0.0 => "0".to_owned(),
        ns if ns < 0.0 => format!("−{}", format::duration(-ns)),
        ns => format!("+{}", format::duration(ns)),
    }
}

/// What blame cannot speak of.
fn limits(all: &[(&Variant, &BlameSummary)]) -> Vec<String> {
    let mut limits = vec![
        "Judged are the slowest requests of each second and thread that the recordings kept, each with its own length; the others are not in these shares.".to_owned(),
    ];
    let threshold = all.iter().map(|(_, blame)| blame.threshold_ns).max();
    if let Some(threshold) = threshold.filter(|threshold| *threshold > 0) {
        limits.push(format!(
            "Pauses shorter than {} were not listed one by one: their time is in own service and unexplained.",
            format::nanos(threshold)
        ));
    }
    let sum = |part: fn(&BlameSummary) -> u64| -> u64 {
        all.iter()
            .map(|(_, blame)| part(blame))
            .fold(0, u64::saturating_add)
    };
    let not_traced = sum(|blame| blame.requests_not_traced);
    if not_traced > 0 {
        limits.push(format!(
            "{} slow requests outside the traced time were not judged.",
            format::count(not_traced as f64)
        ));
    }
    let left_out = sum(|blame| blame.pauses_left_out);
    if left_out > 0 {
        limits.push(format!(
            "{} pauses, the shortest, were more than could be held.",
            format::count(left_out as f64)
        ));
    }
    let mut by_chance: Vec<&str> = Vec::new();
    for kind in all.iter().flat_map(|(_, blame)| &blame.by_chance) {
        if !by_chance.contains(&kind.as_str()) {
            by_chance.push(kind);
        }
    }
    if !by_chance.is_empty() {
        limits.push(format!("Left out as chance: {}.", by_chance.join(", ")));
    }
    limits
}
