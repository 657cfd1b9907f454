//! Calling cargo, in the workspace's root, with its output shown.

use anyhow::{Context, Result, bail};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// The workspace's root.
pub fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .expect("xtask lies in the workspace")
}

/// A cargo command in the workspace's root.
pub fn command(arguments: &[&str]) -> Command {
    let mut command = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command.args(arguments).current_dir(root());
    command
}

/// Whether a program of this name is on PATH.
pub fn is_on_path(program: &str) -> bool {
    find_on_path(program).is_some()
}

/// Where on PATH a program of this name is.
pub fn find_on_path(program: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path)
        .map(|folder| folder.join(program))
        .find(|file| file.is_file())
}

/// Runs a command, shows what it is, and fails if it does.
pub fn run(mut command: Command) -> Result<()> {
    let shown = shown(&command);
    eprintln!("\x1b[1m==> {shown}\x1b[0m");
    let status = command
        .status()
        .with_context(|| format!("cannot start: {shown}"))?;
    if !status.success() {
        bail!("{shown}: {status}");
    }
    Ok(())
}

/// Builds one release executable and returns where cargo put it.
pub fn build_executable(arguments: &[&str]) -> Result<PathBuf> {
    build(&[&["--release"], arguments].concat())
}

/// Builds one executable without optimisation, which the tests have mostly built already.
pub fn build_debug_executable(arguments: &[&str]) -> Result<PathBuf> {
    build(arguments)
}

fn build(arguments: &[&str]) -> Result<PathBuf> {
    let mut command = command(&["build", "--message-format=json-render-diagnostics"]);
    command.args(arguments).stderr(Stdio::inherit());
    let output = command
        .output()
        .with_context(|| format!("cannot start: {}", shown(&command)))?;
    if !output.status.success() {
        bail!("{}: {}", shown(&command), output.status);
    }
    String::from_utf8_lossy(&output.stdout)
        .lines()
        .filter_map(|line| serde_json::from_str::<serde_json::Value>(line).ok())
        .filter_map(|message| message["executable"].as_str().map(PathBuf::from))
        .next_back()
        .with_context(|| format!("{} built no executable", shown(&command)))
}

fn shown(command: &Command) -> String {
    let words = std::iter::once(
        Path::new(command.get_program())
            .file_name()
            .unwrap_or(command.get_program()),
    )
    .chain(command.get_args())
    .map(|word| word.to_string_lossy().into_owned());
    words.collect::<Vec<_>>().join(" ")
}
