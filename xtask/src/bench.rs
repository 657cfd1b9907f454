//! Building and starting the benchmark programs.

use anyhow::Result;

use crate::cargo;

const PROGRAM: [&str; 5] = [
    "--release",
    "--package",
    "tailcut-benches",
    "--bin",
    "pool-table",
];

/// The pool beside allocators and other pools; snmalloc is among them where it can be built.
pub fn pool(arguments: &[String]) -> Result<()> {
    let mut command = cargo::command(&["run"]);
    command.args(PROGRAM).args(snmalloc());
    command.arg("--").args(arguments);
    cargo::run(command)
}

/// What tracing costs, beside bpftrace: the program is an example of the probe's crate, which starts
/// `tailcut record`.
pub fn probe(arguments: &[String]) -> Result<()> {
    cargo::run(cargo::command(&["build", "--release", "--bin", "tailcut"]))?;
    let mut command = cargo::command(&["run", "--release", "--package", "tailcut-probe"]);
    command
        .args(["--example", "probe_table", "--"])
        .args(arguments);
    cargo::run(command)
}

/// The feature's arguments, if there is a C++ compiler and it understands snmalloc: an old one
/// costs its row, which then says so, and not the whole table.
fn snmalloc() -> &'static [&'static str] {
    const FEATURE: &[&str] = &["--features", "snmalloc"];
    let compilers = ["c++", "g++", "clang++"];
    if std::env::var_os("CXX").is_none() && !compilers.into_iter().any(cargo::is_on_path) {
        return &[];
    }
    let mut command = cargo::command(&["build"]);
    command.args(PROGRAM).args(FEATURE);
    match cargo::run(command) {
        Ok(()) => FEATURE,
        Err(error) => {
            eprintln!("without snmalloc: {error}");
            &[]
        }
    }
}
