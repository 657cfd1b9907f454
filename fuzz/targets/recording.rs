//! A sound recording in which one file is replaced: it may be refused, or shown as damaged, but neither
//! the readers nor the page panic. The first byte says which file.
#![no_main]

use std::cell::OnceCell;
use std::path::PathBuf;

use libfuzzer_sys::fuzz_target;
use tailcut_report::Report;

const FILES: [&str; 10] = [
    "meta.json",
    "latency.hlog",
    "slow.jsonl",
    "marks.jsonl",
    "resources.jsonl",
    "pool.jsonl",
    "probe.json",
    "pauses.hlog",
    "pauses.jsonl",
    "stacks.json",
];

/// The smallest recording that is one.
const META: &str = include_str!("../sound/meta.json");

thread_local! {
    static FOLDER: OnceCell<tempfile::TempDir> = const { OnceCell::new() };
}

fuzz_target!(|data: &[u8]| {
    let Some((&which, bytes)) = data.split_first() else {
        return;
    };
    FOLDER.with(|folder| {
        let folder = folder.get_or_init(|| tempfile::tempdir().expect("a temporary folder"));
        let run: PathBuf = folder.path().join("run");
        let _ = std::fs::remove_dir_all(&run);
        std::fs::create_dir(&run).expect("it was just removed");
        std::fs::write(run.join("meta.json"), META).expect("writable");
        let file = FILES[usize::from(which) % FILES.len()];
        std::fs::write(run.join(file), bytes).expect("writable");
        if let Ok(report) = Report::read_tree(folder.path()) {
            let _ = (report.html(), report.markdown(), report.json());
        }
    });
});
