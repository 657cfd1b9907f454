//! Builds the probe's eBPF programs, and checks that the committed object is of these sources.
//!
//! A user needs no eBPF toolchain, since the built object is part of the repository
//! (`probe/programs/`), with a digest of its sources beside it. Whoever changes the programs needs
//! `core` for a target that no toolchain ships, so it is built along (`-Z build-std=core`), by either
//! of two toolchains:
//!
//! - rustup's nightly with the component `rust-src`;
//! - a stable rustc whose library source is installed, with `RUSTC_BOOTSTRAP=1`: Debian's packages
//!   `rustc-web`, `cargo-web`, `rust-web-src`.
//!
//! Both need `bpf-linker`, built against the LLVM of that rustc; `cargo xtask ebpf --install-linker`
//! does so with Debian's `llvm-22-dev`.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail, ensure};
use sha2::{Digest, Sha256};

use crate::cargo::run;

const COMMITTED: &str = "probe/programs/tailcut-probe.bpf.o";
const DIGEST: &str = "probe/programs/sources.sha256";
const BUILT: &str = "target/ebpf/bpfel-unknown-none/release/tailcut-probe-programs";
/// Where a freshly built object goes that is to be tested, not committed.
const FRESH: &str = "target/ebpf/tailcut-probe.bpf.o";
const LINKER_ROOT: &str = "target/tools";
const LLVM: &str = "/usr/lib/llvm-22";

/// Builds the programs and replaces the committed object.
pub fn build() -> Result<()> {
    compile(Path::new(COMMITTED))?;
    fs::write(DIGEST, format!("{}\n", digest()?))
        .with_context(|| format!("cannot write {DIGEST}"))?;
    println!("{COMMITTED} is built; commit it with {DIGEST}");
    Ok(())
}

/// Fails if the committed object is of other sources than those that are here.
pub fn check() -> Result<()> {
    let committed = fs::read_to_string(DIGEST).with_context(|| format!("cannot read {DIGEST}"))?;
    ensure!(
        committed.trim() == digest()?,
        "{COMMITTED} was built from other sources than those in probe-ebpf/: run `cargo xtask ebpf` and commit what it \
         writes"
    );
    println!("{COMMITTED} is of the sources in probe-ebpf/");
    Ok(())
}

/// Builds the programs anew and runs the probe's tests with them, unless the build is the committed
/// object to the byte: that is what `cargo xtask test` has run them with.
pub fn test_fresh() -> Result<()> {
    compile(Path::new(FRESH))?;
    if fs::read(FRESH)? == fs::read(COMMITTED)? {
        println!(
            "built anew, {COMMITTED} is the same to the byte: its tests are the probe's usual ones"
        );
        return Ok(());
    }
    let fresh = fs::canonicalize(FRESH)?;
    let mut tests = crate::cargo::command(&["test", "--package", "tailcut-probe"]);
    tests.env("TAILCUT_PROBE_OBJECT", fresh);
    run(tests)
}

/// Installs `bpf-linker` below `target/`.
pub fn install_linker() -> Result<()> {
    if linker().is_ok() {
        return Ok(());
    }
    ensure!(
        Path::new(LLVM).exists(),
        "{LLVM} is missing: apt-get install llvm-22-dev, or install bpf-linker yourself"
    );
    let mut install = Command::new("cargo");
    install
        .args(["install", "bpf-linker", "--version", "0.13.0", "--locked"])
        .args(["--no-default-features", "--features", "llvm-22"])
        .args(["--root", LINKER_ROOT])
        .env("LLVM_PREFIX", LLVM)
        .env("LIBRARY_PATH", format!("{LLVM}/lib"));
    run(install)
}

fn compile(object: &Path) -> Result<()> {
    let linker = linker()?;
    let mut build = toolchain()?;
    let path = std::env::var("PATH").unwrap_or_default();
    let linker_folder = linker.parent().context("bpf-linker has no folder")?;
    build
        .args(["build", "--package", "tailcut-probe-ebpf"])
        .args(["--bin", "tailcut-probe-programs", "--features", "programs"])
        .args(["--release", "--target", "bpfel-unknown-none"])
        .args(["-Z", "build-std=core", "--target-dir", "target/ebpf"])
        .env("PATH", format!("{}:{path}", linker_folder.display()))
        .env("CARGO_ENCODED_RUSTFLAGS", flags()?);
    run(build)?;
    if let Some(folder) = object.parent() {
        fs::create_dir_all(folder)?;
    }
    // What describes the types to the kernel stays; what describes the source to a debugger goes.
    let mut strip = Command::new(strip_tool()?);
    strip.args(["--strip-debug", "-o"]).arg(object).arg(BUILT);
    run(strip)
}

/// What the compiler is told. The object names its sources for the verifier's messages; where they
/// lie on this machine is nobody's business.
fn flags() -> Result<String> {
    let here = std::env::current_dir()?;
    let cargo_home = match std::env::var_os("CARGO_HOME") {
        Some(home) => PathBuf::from(home),
        None => PathBuf::from(std::env::var_os("HOME").unwrap_or_default()).join(".cargo"),
    };
    let mut flags = vec![
        "--cfg=bpf_target_arch=\"x86_64\"".to_owned(),
        "-Cdebuginfo=2".to_owned(),
        "-Clink-arg=--btf".to_owned(),
        format!("--remap-path-prefix={}=tailcut", here.display()),
        "--remap-path-prefix=/usr/lib/rustlib/src/rust=rust".to_owned(),
    ];
    // One folder for each place that packages come from.
    for registry in fs::read_dir(cargo_home.join("registry/src"))
        .into_iter()
        .flatten()
    {
        flags.push(format!(
            "--remap-path-prefix={}=cargo",
            registry?.path().display()
        ));
    }
    Ok(flags.join("\u{1f}"))
}

/// A cargo that can build `core`, with what it needs in its environment.
fn toolchain() -> Result<Command> {
    let nightly = Command::new("rustup")
        .args(["run", "nightly", "rustc", "--print", "sysroot"])
        .output();
    if let Ok(output) = nightly
        && output.status.success()
    {
        let sysroot = String::from_utf8_lossy(&output.stdout).trim().to_owned();
        if Path::new(&sysroot)
            .join("lib/rustlib/src/rust/library")
            .exists()
        {
            let mut cargo = Command::new("rustup");
            cargo.args(["run", "nightly", "cargo"]);
            // Set by the cargo that runs this very task, of another toolchain.
            cargo.env_remove("RUSTC").env_remove("RUSTUP_TOOLCHAIN");
            return Ok(cargo);
        }
    }
    let (rustc, cargo) = ("/usr/bin/rustc", "/usr/bin/cargo");
    if Path::new(rustc).exists() && Path::new(cargo).exists() {
        let mut command = Command::new(cargo);
        command.env("RUSTC", rustc).env("RUSTC_BOOTSTRAP", "1");
        return Ok(command);
    }
    bail!(
        "no toolchain here can build the eBPF programs. Either `rustup toolchain install nightly --component rust-src`, \
         or Debian's `apt-get install rustc-web cargo-web rust-web-src`"
    )
}

fn linker() -> Result<PathBuf> {
    let installed = Path::new(LINKER_ROOT).join("bin/bpf-linker");
    if installed.exists() {
        return Ok(fs::canonicalize(installed)?);
    }
    find("bpf-linker").context(
        "bpf-linker is not installed: `cargo xtask ebpf --install-linker`, or `cargo install bpf-linker`",
    )
}

fn strip_tool() -> Result<PathBuf> {
    let beside = Path::new(LLVM).join("bin/llvm-strip");
    if beside.exists() {
        return Ok(beside);
    }
    find("llvm-strip").context("llvm-strip is not installed: apt-get install llvm")
}

fn find(program: &str) -> Result<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path)
        .map(|folder| folder.join(program))
        .find(|file| file.exists())
        .with_context(|| format!("{program} is not on PATH"))
}

/// Of everything that the object is made of: the sources, and the version of the library below.
fn digest() -> Result<String> {
    let mut files = vec![PathBuf::from("probe-ebpf/Cargo.toml")];
    collect(Path::new("probe-ebpf/src"), &mut files)?;
    files.sort();
    let mut digest = Sha256::new();
    for file in files {
        let content = fs::read(&file).with_context(|| format!("cannot read {}", file.display()))?;
        digest.update(file.to_string_lossy().as_bytes());
        digest.update((content.len() as u64).to_le_bytes());
        digest.update(&content);
    }
    let lock = fs::read_to_string("Cargo.lock")?;
    let version = lock
        .split("[[package]]")
        .find(|package| package.contains("name = \"aya-ebpf\"\n"))
        .context("Cargo.lock does not name aya-ebpf")?;
    digest.update(version.trim().as_bytes());
    Ok(digest
        .finalize()
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect())
}

fn collect(folder: &Path, files: &mut Vec<PathBuf>) -> Result<()> {
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if path.is_dir() {
            collect(&path, files)?;
        } else {
            files.push(path);
        }
    }
    Ok(())
}
