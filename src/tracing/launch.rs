//! Starting the program that is to be traced from its first instruction on.
//!
//! The child waits, before it becomes the program, until the probe is attached to it.

use std::io::{Read, Write};
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, Command};

use anyhow::{Context, Result, ensure};

/// A child that waits to become the program.
pub struct Waiting {
    child: Child,
    go: std::io::PipeWriter,
}

impl Waiting {
    /// Starts the child. Errors of the program itself come when it is [let go](Waiting::go).
    pub fn start(program: &[String]) -> Result<Waiting> {
        let (name, arguments) = program.split_first().context("no program to start")?;
        // Found out before anything is recorded.
        ensure!(
            can_be_found(name),
            "cannot execute {name}: there is no such program"
        );
        let (waits, go) = std::io::pipe().context("cannot make a pipe")?;
        let mut command = Command::new("/proc/self/exe");
        command
            .arg("run-traced")
            .arg(waits.as_raw_fd().to_string())
            .arg(name)
            .args(arguments);
        let inherited = OwnedFd::from(waits);
        keep_open(&mut command, inherited.as_raw_fd());
        let child = command
            .spawn()
            .with_context(|| format!("cannot start a process for {name}"))?;
        Ok(Waiting { child, go })
    }

    /// Its process number, which the program will have, too.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Lets it become the program.
    pub fn go(mut self) -> Result<Child> {
        self.go
            .write_all(b"g")
            .context("the process that waits to become the program has ended")?;
        Ok(self.child)
    }
}

/// The child's side: waits for the word, then becomes the program.
pub fn run_traced(descriptor: i32, program: &[String]) -> Result<std::process::ExitCode> {
    let (name, arguments) = program.split_first().context("no program to start")?;
    ensure!(descriptor > 2, "this is for tailcut record only");
    // SAFETY: the tracer gave this descriptor to this process alone; nothing else here knows it. It
    // is closed before the program begins.
    let mut waits = std::fs::File::from(unsafe { OwnedFd::from_raw_fd(descriptor) });
    let mut word = [0];
    waits
        .read_exact(&mut word)
        .context("the tracer ended before the program began")?;
    drop(waits);
    let error = Command::new(name).args(arguments).exec();
    Err(error).with_context(|| format!("cannot execute {name}"))
}

fn can_be_found(name: &str) -> bool {
    if name.contains('/') {
        return Path::new(name).is_file();
    }
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path).any(|folder| folder.join(name).is_file())
}

fn keep_open(command: &mut Command, descriptor: i32) {
    // SAFETY: between fork and exec only `fcntl` is called, which is safe there.
    unsafe {
        command.pre_exec(move || {
            if libc::fcntl(descriptor, libc::F_SETFD, 0) < 0 {
                return Err(std::io::Error::last_os_error());
            }
            Ok(())
        });
    }
}
