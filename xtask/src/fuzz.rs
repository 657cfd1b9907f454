//! Coverage-guided fuzzing of whatever reads what others wrote: `fuzz/`, by cargo-fuzz.
//!
//! The property tests do the same with every `cargo test`, for some hundred inputs; this goes on for as
//! long as one lets it, and follows the branches that an input takes. libFuzzer needs the compiler's
//! coverage and sanitizer flags, which a stable toolchain accepts when `RUSTC_BOOTSTRAP` is set.

use anyhow::{Result, ensure};

use crate::cargo;

/// The targets, with where their first inputs come from: files of this repository that are sound.
const TARGETS: [(&str, &[&str]); 6] = [
    ("recording", &["fuzz/seeds/recording"]),
    ("scenario", &["fuzz/seeds/scenario", "examples/scenarios"]),
    ("answers", &["fuzz/seeds/answers"]),
    ("orders", &[]),
    ("program", &["fuzz/seeds/program"]),
    ("kernel_types", &["fuzz/seeds/kernel_types"]),
];

/// Fuzzes `only`, or each target in turn, for so many seconds each. What is found stays in
/// `fuzz/artifacts/`, and fails.
pub fn run(only: Option<&str>, seconds: u64) -> Result<()> {
    ensure!(
        cargo::is_on_path("cargo-fuzz"),
        "cargo-fuzz is not installed: cargo install --locked cargo-fuzz"
    );
    let names = TARGETS.map(|(name, _)| name);
    ensure!(
        only.is_none_or(|only| names.contains(&only)),
        "no target is called {:?}: choose from {}",
        only.unwrap_or_default(),
        names.join(", ")
    );
    for (name, seeds) in TARGETS {
        if only.is_some_and(|only| only != name) {
            continue;
        }
        let corpus = format!("fuzz/corpus/{name}");
        std::fs::create_dir_all(cargo::root().join(&corpus))?;
        let mut command = cargo::command(&["fuzz", "run", name, &corpus]);
        command
            .args(
                seeds
                    .iter()
                    .filter(|seeds| cargo::root().join(seeds).exists()),
            )
            .arg("--")
            .args([
                format!("-max_total_time={seconds}"),
                "-timeout=20".to_owned(),
            ])
            .args(["-rss_limit_mb=4096", "-print_final_stats=1"])
            .env("RUSTC_BOOTSTRAP", "1");
        cargo::run(command)?;
    }
    Ok(())
}
