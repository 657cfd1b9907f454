//! Project tasks, run as `cargo xtask TASK`.

mod bench;
mod cargo;
mod demo_check;
mod machine_code;

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
  cargo xtask stress           a long conservation stress of the pool (about 10^8 operations)";

#[derive(Subcommand)]
enum Task {
    /// All tests: unit, integration and documentation tests, the loom models, the machine code.
    Test,
    /// The loom models of the pool alone.
    Loom,
    /// A long conservation stress of the pool, release build, both paths.
    Stress,
    /// Shows the machine code of the pool's get and put, and fails on a call or a lock prefix.
    MachineCode,
    /// Runs a short demo and checks its JSON and its report (never its absolute times).
    CheckDemo,
    /// Formats (check only), lints and documents with warnings denied.
    Lint,
    /// Lint, test and check-demo, in this order.
    Ci,
    /// Benchmarks; further arguments go to the benchmark program.
    Bench {
        /// Which benchmark: `pool`.
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
}

fn main() -> Result<()> {
    match Cli::parse().task {
        Task::Test => test(),
        Task::Loom => loom(),
        Task::Stress => stress(),
        Task::MachineCode => machine_code::check(),
        Task::CheckDemo => demo_check::check(),
        Task::Lint => lint(),
        Task::Ci => {
            lint()?;
            test()?;
            demo_check::check()
        }
        Task::Bench {
            what: Benchmark::Pool,
            arguments,
        } => bench::pool(&arguments),
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
    loom()?;
    machine_code::check()
}

fn loom() -> Result<()> {
    let mut command = cargo::command(&[
        "test",
        "--release",
        "--package",
        "tailcut-pool",
        "--lib",
        "--target-dir",
        "target/loom",
    ]);
    command.env("RUSTFLAGS", "--cfg loom");
    cargo::run(command)
}

fn stress() -> Result<()> {
    let mut command = cargo::command(&[
        "test",
        "--release",
        "--package",
        "tailcut-pool",
        "--test",
        "tokens",
    ]);
    command.env("TAILCUT_STRESS", "60");
    cargo::run(command)
}

fn lint() -> Result<()> {
    cargo::run(cargo::command(&["fmt", "--all", "--check"]))?;
    cargo::run(cargo::command(&[
        "clippy",
        "--workspace",
        "--all-targets",
        "--",
        "-D",
        "warnings",
    ]))?;
    let mut doc = cargo::command(&["doc", "--workspace", "--no-deps"]);
    doc.env("RUSTDOCFLAGS", "-D warnings");
    cargo::run(doc)?;
    ensure!(
        std::path::Path::new("README.md").exists(),
        "README.md is missing"
    );
    Ok(())
}
