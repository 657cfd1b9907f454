//! The service in Go: written out from this executable, and built in a folder that goes with it.
//!
//! Nothing is fetched: the service needs Go's standard library only, and Go is told to stay off the network. Takes a second
//! with Go 1.19, whose library comes compiled, and half a minute of one core with newer ones, which compile theirs first; a
//! `GOCACHE` in the environment spares that the next time.

use std::fs::{self, File};
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use tempfile::TempDir;

use super::Toolchain;
use crate::interrupt::Interrupt;

/// A file of the service, by its name.
macro_rules! source {
    ($name:literal) => {
        (
            $name,
            include_str!(concat!("../../../examples/go-orders/", $name)),
        )
    };
}

/// All that is built. Its tests and its README stay where they are.
const SOURCES: &[(&str, &str)] = &[
    source!("arguments.go"),
    source!("clock.go"),
    source!("clock_amd64.go"),
    source!("clock_amd64.s"),
    source!("clock_other.go"),
    source!("collector.go"),
    source!("conduct.go"),
    source!("corpus.go"),
    source!("free_list.go"),
    source!("go.mod"),
    source!("histogram.go"),
    source!("http.go"),
    source!("interval.go"),
    source!("main.go"),
    source!("metadata.go"),
    source!("orders.go"),
    source!("output.go"),
    source!("pooled.go"),
    source!("request.go"),
    source!("rules.go"),
    source!("schedule.go"),
    source!("serve.go"),
    source!("service.go"),
    source!("slow.go"),
    source!("stress.go"),
    source!("wire.go"),
    source!("worker.go"),
];

/// How often the build is looked at.
const LOOK_EVERY: Duration = Duration::from_millis(50);
/// Of what the compiler says, so many lines are shown: the first are those that matter.
const SHOWN_LINES: usize = 20;

/// The service, built.
#[derive(Debug)]
pub struct GoService {
    program: PathBuf,
    version: String,
    /// Removed with this.
    folder: TempDir,
}

impl GoService {
    /// Builds it; `None` if somebody interrupted. `waiting` is told once a second how long it takes.
    ///
    /// # Errors
    /// No folder for it, or a build that fails, with what the compiler says.
    pub fn build(
        toolchain: &Toolchain,
        interrupt: &Interrupt,
        waiting: &dyn Fn(u64),
    ) -> Result<Option<GoService>> {
        let folder = tempfile::Builder::new()
            .prefix("tailcut-go-")
            .tempdir()
            .context("cannot make a folder to build the service in Go in")?;
        let sources = folder.path().join("go-orders");
        fs::create_dir(&sources)
            .with_context(|| format!("cannot make the folder {}", sources.display()))?;
        for (name, text) in SOURCES {
            let path = sources.join(name);
            fs::write(&path, text).with_context(|| format!("cannot write {}", path.display()))?;
        }
        let service = GoService {
            program: folder.path().join("service"),
            version: toolchain.version().to_owned(),
            folder,
        };
        match service.compile(toolchain, &sources, interrupt, waiting)? {
            true => Ok(Some(service)),
            false => Ok(None),
        }
    }

    /// The executable.
    pub fn program(&self) -> &Path {
        &self.program
    }

    /// The Go that it was built with: `go1.19.8`.
    pub fn version(&self) -> &str {
        &self.version
    }

    /// A folder for what only a while is needed.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// False if somebody interrupted.
    fn compile(
        &self,
        toolchain: &Toolchain,
        sources: &Path,
        interrupt: &Interrupt,
        waiting: &dyn Fn(u64),
    ) -> Result<bool> {
        let said = self.folder().join("build.log");
        let log =
            File::create(&said).with_context(|| format!("cannot write {}", said.display()))?;
        let cache = std::env::var_os("GOCACHE")
            .filter(|cache| Path::new(cache).is_absolute())
            .unwrap_or_else(|| self.folder().join("cache").into());
        let mut build = Command::new(toolchain.program());
        build
            .args(["build", "-o"])
            .arg(&self.program)
            .arg(".")
            .current_dir(sources)
            .env("GOCACHE", cache)
            .env("GOPATH", self.folder().join("gopath"))
            .env("GOFLAGS", "-mod=mod")
            .env("GOTOOLCHAIN", "local")
            .env("GOPROXY", "off")
            .env("GOWORK", "off")
            .env("GO111MODULE", "on")
            // It needs no C compiler, which may not be there.
            .env("CGO_ENABLED", "0")
            .env_remove("GOOS")
            .env_remove("GOARCH")
            .stdin(Stdio::null())
            .stdout(log.try_clone().context("cannot share a file with Go")?)
            .stderr(log);
        let mut child = build
            .spawn()
            .with_context(|| format!("{} cannot be run", toolchain.program().display()))?;
        interrupt
            .child
            .store(child.id().cast_signed(), Ordering::SeqCst);
        let began = Instant::now();
        let mut told = 0;
        let status = loop {
            if let Some(status) = child.try_wait().context("cannot wait for Go")? {
                break status;
            }
            let seconds = began.elapsed().as_secs();
            if seconds > told {
                told = seconds;
                waiting(seconds);
            }
            std::thread::sleep(LOOK_EVERY);
        };
        interrupt.child.store(0, Ordering::SeqCst);
        if interrupt.requested() {
            return Ok(false);
        }
        if status.success() {
            return Ok(true);
        }
        let text = fs::read(&said).unwrap_or_default();
        let text = String::from_utf8_lossy(&text);
        let lines: Vec<&str> = text.lines().take(SHOWN_LINES).collect();
        let how = match status.signal() {
            Some(signal) => format!("was ended by signal {signal}"),
            None => "failed".to_owned(),
        };
        bail!(
            "{} build {how}:\n{}",
            toolchain.program().display(),
            lines.join("\n")
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_file_of_the_service_travels_along() {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/go-orders");
        let mut there: Vec<String> = fs::read_dir(folder)
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .filter(|name| {
                let built = [".go", ".s", ".mod"].iter().any(|end| name.ends_with(end));
                built && !name.ends_with("_test.go")
            })
            .collect();
        there.sort();
        let mut along: Vec<&str> = SOURCES.iter().map(|(name, _)| *name).collect();
        along.sort_unstable();
        assert_eq!(along, there);
    }
}
