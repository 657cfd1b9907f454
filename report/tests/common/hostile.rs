//! Recordings whose every text tries to become markup, to steer a terminal or to turn a line around.

use tailcut_report::recording::{Pauses, Recording, SeriesMeta, State};

use super::{Profile, SECOND, recording};

pub const HOSTILE: &str = "</script><script>alert(1)</script><img src=x onerror=alert(2)>\"'&{{7*7}}|`*_[x](javascript:0)\u{202e}\n\u{2028}\u{1b}[2J";

/// A run whose texts are all hostile.
pub fn hostile(profile: &Profile, run: u32, sequence: u32) -> Recording {
    let mut recording = recording(profile, run, sequence, 1);
    let meta = &mut recording.meta;
    let text = || HOSTILE.to_owned();
    meta.tool = text();
    meta.state_reason = Some(text());
    meta.state = State::Partial;
    meta.variant = format!("{}{HOSTILE}", meta.variant);
    meta.command = vec![text(), text()];
    meta.host.os = text();
    meta.host.kernel = text();
    meta.host.arch = text();
    meta.host.cpu_model = text();
    meta.host.libc = text();
    meta.host.allocator = text();
    meta.host.transparent_huge_pages = text();
    meta.load.form = text();
    meta.load.pacing = text();
    meta.load.clock_source = text();
    meta.load.pool_path = Some(text());
    if let Some(result) = &mut meta.result {
        result.checksum = text();
    }
    recording
}

/// Puts hostile text wherever a trace has text.
pub fn poison(pauses: &mut Pauses) {
    let text = || HOSTILE.to_owned();
    let meta = &mut pauses.meta;
    meta.tool = text();
    meta.state = State::Partial;
    meta.state_reason = Some(text());
    meta.command = vec![text()];
    meta.target.name = text();
    meta.target.executable = text();
    meta.target.command = vec![text()];
    meta.target.allocators = vec![text()];
    meta.notes = vec![text()];
    meta.left_out = vec![text()];
    for series in &mut meta.series {
        series.what = text();
        series.hooks = vec![text()];
        series.detail = Some(text());
    }
    // A name that no writer takes, but a file may hold.
    meta.series.push(SeriesMeta {
        name: text(),
        pause: true,
        ..SeriesMeta::default()
    });
    for window in &mut meta.windows {
        window.series = text();
        window.why_ended = text();
    }
    meta.floor[0].site = text();
    meta.dropped[0].what = text();
    let mut listed = pauses.pauses[0].clone();
    listed.kind = text();
    listed.end_ns += SECOND;
    pauses.pauses.push(listed);
    for pause in &mut pauses.pauses {
        pause.by = Some(text());
    }
    for frame in pauses
        .stacks
        .stacks
        .iter_mut()
        .flat_map(|stack| &mut stack.frames)
    {
        frame.name = text();
        frame.module = text();
    }
}
