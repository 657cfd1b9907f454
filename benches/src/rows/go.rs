//! Go's `sync.Pool`, in a process of its own for each round.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::alone::number_printed_by;

const PROGRAM: &str = include_str!("../../go/main.go");
const MODULE: &str = include_str!("../../go/go.mod");

/// What the Go program can measure.
#[derive(Debug, Clone, Copy)]
pub struct GoWorkload {
    /// Goroutines that get and put at the same time.
    pub goroutines: usize,
    /// Size of an object; the program knows 64, 256, 1024 and 65,536.
    pub object_bytes: usize,
}

/// The compiled Go program.
#[derive(Debug, Clone)]
pub struct GoBinary(PathBuf);

impl GoBinary {
    /// The row's name.
    pub const NAME: &'static str = "Go sync.Pool";

    /// Compiles the program into a folder below `scratch`.
    ///
    /// # Errors
    /// Why it cannot be had: Go is not on PATH, or does not compile it.
    pub fn build(scratch: &Path) -> Result<GoBinary, String> {
        let folder = scratch.join("go");
        let source = fs::create_dir_all(&folder)
            .and_then(|()| fs::write(folder.join("main.go"), PROGRAM))
            .and_then(|()| fs::write(folder.join("go.mod"), MODULE));
        source.map_err(|error| format!("{}: {error}", folder.display()))?;
        let mut compiler = Command::new("go");
        compiler
            .args(["build", "-o", "pool", "."])
            .current_dir(&folder);
        match compiler.output() {
            Ok(output) if output.status.success() => Ok(GoBinary(folder.join("pool"))),
            Ok(output) => Err(format!(
                "`go build` failed: {}",
                String::from_utf8_lossy(&output.stderr).trim()
            )),
            Err(_) => Err("Go is not on PATH".to_owned()),
        }
    }

    /// The version of the compiler, and of the runtime with it.
    #[must_use]
    pub fn version(&self) -> String {
        let output = Command::new("go").arg("version").output();
        let printed =
            output.map(|output| String::from_utf8_lossy(&output.stdout).trim().to_owned());
        printed.unwrap_or_else(|_| "unknown".to_owned())
    }

    /// Runs so many pairs of Get and Put; returns the nanoseconds they took, times the cores that
    /// worked at once.
    ///
    /// # Errors
    /// The program cannot be run, or prints something else than a number.
    pub fn run(&self, workload: GoWorkload, pairs: u64) -> Result<f64, String> {
        let numbers = [
            workload.goroutines as u64,
            workload.object_bytes as u64,
            pairs,
        ];
        let mut program = Command::new(&self.0);
        program.args(numbers.map(|number| number.to_string()));
        number_printed_by(program)
    }
}
