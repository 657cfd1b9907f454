//! Project tasks, run as `cargo xtask TASK`.

mod bench;
mod cargo;
mod demo_check;
mod ebpf;
mod fuzz;
mod load_bench;
mod load_check;
mod machine_code;
mod monitoring_check;
mod page_check;
mod pool_checks;
mod report_bench;
mod running;

use anyhow::{Result, ensure};
use clap::{Parser, Subcommand};

/// Project tasks of tailcut.
#[derive(Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask", after_help = EXAMPLES)]
struct Cli {
    #[command(subcommand)]
    task: Task,
}

const EXAMPLES: &str = "\
Examples:
  cargo xtask test             everything that a change must pass, but for lints
  cargo xtask ci               what .ci/run does
  cargo xtask bench pool       the pool against allocators and other pools
  cargo xtask bench probe      what tracing costs, against bpftrace (root)
  cargo xtask bench load       the load generator, beside wrk and oha
  cargo xtask bench report     time, memory and size of the report of an hour
  cargo xtask fuzz answers     whatever a server may answer, for a minute (needs cargo-fuzz)
  cargo xtask stress           a long conservation stress of the pool (10^9 operations, some minutes)
  cargo xtask stress 100       the same with 100 million operations";

#[derive(Subcommand)]
enum Task {
    /// All tests: unit, integration and documentation tests, the pool's features and platforms, its
    /// loom models and random schedules, the machine code.
    Test,
    /// The loom models of the pool alone.
    Loom,
    /// Whole pools under random schedules (shuttle).
    Shuttle,
    /// The pool's tests under AddressSanitizer: works with a stable toolchain, see
    /// `xtask/src/pool_checks.rs`.
    Asan,
    /// The pool's tests, in small, under Valgrind's memcheck; skipped aloud if it is not installed.
    Valgrind,
    /// Fuzzes the readers of files, answers and programs (cargo-fuzz), see `fuzz/`.
    Fuzz {
        /// One of its targets [default: each in turn].
        target: Option<String>,
        /// How long each is fuzzed.
        #[arg(long, default_value_t = 60)]
        seconds: u64,
    },
    /// A long conservation stress of the pool, release build, both paths.
    Stress {
        /// How many million operations, at least.
        #[arg(default_value_t = 1000)]
        millions: u64,
    },
    /// The pool without its features, with all and with each alone.
    Features,
    /// Compiles the pool for each other platform whose standard library is installed.
    Platforms,
    /// Whether the pool's public interface still has all that it had at an earlier commit
    /// (cargo-semver-checks); skipped aloud if that is not installed.
    Semver {
        /// The commit to compare with: a release, or where a branch began.
        #[arg(default_value = "HEAD")]
        baseline: String,
    },
    /// Shows the machine code of the pool's get and put, and fails on a call or a lock prefix.
    MachineCode,
    /// Runs a short demo and checks its JSON and its report (never its absolute times).
    CheckDemo,
    /// Checks the load generator on real servers: a frozen nginx beside wrk, redis (both are needed).
    CheckLoad,
    /// Checks the rules and dashboards in examples/monitoring on a real Prometheus that scrapes a real
    /// run (root; needs prometheus and promtool). Skipped aloud if these are missing, unless
    /// TAILCUT_REQUIRE_MONITORING=1.
    CheckMonitoring {
        /// The tailcut to check [default: one that cargo builds, without optimisation].
        #[arg(long, value_name = "FILE")]
        program: Option<std::path::PathBuf>,
    },
    /// Opens sample reports in headless Chromium: charts, zoom, keys, contrast, an hour of data;
    /// skipped aloud without a browser, see `xtask/src/page_check.rs`.
    CheckPage {
        /// First installs what drives the browser below target/.
        #[arg(long)]
        install: bool,
    },
    /// Builds the probe's eBPF programs from probe-ebpf/, and replaces the committed object.
    Ebpf {
        /// Only checks that the committed object is of these sources.
        #[arg(long, conflicts_with_all = ["test_fresh"])]
        check: bool,
        /// Builds them into target/ instead, and runs the probe's tests with that build if it differs from
        /// the committed one.
        #[arg(long)]
        test_fresh: bool,
        /// First installs bpf-linker below target/, if it is missing.
        #[arg(long)]
        install_linker: bool,
    },
    /// Formats (check only), lints and documents with warnings denied.
    Lint,
    /// Lint, test, asan, valgrind, check-demo, check-load, check-page and check-monitoring, in this order.
    Ci,
    /// Benchmarks; further arguments go to the benchmark program.
    Bench {
        /// Which benchmark: `pool`, `probe`, `load`, `report`.
        what: Benchmark,
        /// Passed on, e.g. `--quick`.
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        arguments: Vec<String>,
    },
}

#[derive(Clone, Copy, clap::ValueEnum)]
enum Benchmark {
    /// tailcut-pool against allocators and other pools.
    Pool,
    /// What tracing costs, against bpftrace: takes root, about five minutes.
    Probe,
    /// The load generator, against wrk and oha: about five minutes.
    Load,
    /// The report of an hour: time, memory, size of the page.
    Report,
}

fn main() -> Result<()> {
    match Cli::parse().task {
        Task::Test => test(),
        Task::Loom => pool_checks::loom(),
        Task::Shuttle => pool_checks::shuttle(),
        Task::Asan => pool_checks::address_sanitizer(),
        Task::Valgrind => pool_checks::valgrind(),
        Task::Fuzz { target, seconds } => fuzz::run(target.as_deref(), seconds),
        Task::Stress { millions } => pool_checks::stress(millions),
        Task::Features => pool_checks::features(),
        Task::Platforms => pool_checks::platforms(),
        Task::Semver { baseline } => pool_checks::semver(&baseline),
        Task::MachineCode => machine_code::check(),
        Task::CheckDemo => demo_check::check(),
        Task::CheckLoad => load_check::check(),
        Task::CheckMonitoring { program } => monitoring_check::check(program),
        Task::CheckPage { install } => page_check::check(install),
        Task::Ebpf {
            check,
            test_fresh,
            install_linker,
        } => {
            if install_linker {
                ebpf::install_linker()?;
            }
            match (check, test_fresh) {
                (true, _) => ebpf::check(),
                (_, true) => ebpf::test_fresh(),
                _ => ebpf::build(),
            }
        }
        Task::Lint => lint(),
        Task::Ci => {
            lint()?;
            test()?;
            pool_checks::address_sanitizer()?;
            pool_checks::valgrind()?;
            demo_check::check()?;
            load_check::check()?;
            page_check::check(false)?;
            monitoring_check::check(None)
        }
        Task::Bench {
            what: Benchmark::Pool,
            arguments,
        } => bench::pool(&arguments),
        Task::Bench {
            what: Benchmark::Probe,
            arguments,
        } => bench::probe(&arguments),
        Task::Bench {
            what: Benchmark::Load,
            arguments,
        } => {
            ensure!(
                arguments.is_empty(),
                "bench load takes no further arguments"
            );
            load_bench::run()
        }
        Task::Bench {
            what: Benchmark::Report,
            arguments,
        } => {
            ensure!(
                arguments.is_empty(),
                "bench report takes no further arguments"
            );
            report_bench::run()
        }
    }
}

fn test() -> Result<()> {
    cargo::run(cargo::command(&[
        "test",
        "--workspace",
        "--all-targets",
        "--exclude",
        "tailcut-benches",
    ]))?;
    cargo::run(cargo::command(&["test", "--workspace", "--doc"]))?;
    pool_checks::features()?;
    pool_checks::platforms()?;
    pool_checks::loom()?;
    pool_checks::shuttle()?;
    machine_code::check()
}

fn lint() -> Result<()> {
    ebpf::check()?;
    cargo::run(cargo::command(&["fmt", "--all", "--check"]))?;
    cargo::run(cargo::command(&[
        "clippy",
        "--workspace",
        "--all-targets",
        "--",
        "-D",
        "warnings",
    ]))?;
    cargo::run(cargo::command(&[
        "clippy",
        "--package",
        "tailcut-pool",
        "--all-features",
        "--all-targets",
        "--",
        "-D",
        "warnings",
    ]))?;
    for documented in [
        &["--workspace"][..],
        &["--package", "tailcut-pool", "--all-features"],
    ] {
        let mut doc = cargo::command(&["doc", "--no-deps"]);
        doc.args(documented).env("RUSTDOCFLAGS", "-D warnings");
        cargo::run(doc)?;
    }
    ensure!(
        std::path::Path::new("README.md").exists(),
        "README.md is missing"
    );
    Ok(())
}
