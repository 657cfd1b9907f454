//! A server that is started for one run, waited for, and stopped after it.
//!
//! Each run gets a process of its own: memory layout, hash seeds and fragmentation are fixed when a process
//! starts, and would otherwise be the same for all runs of a side, a difference that no number of runs averages
//! out (Mytkowicz and others, "Producing wrong data without doing anything obviously wrong!", ASPLOS 2009).
//!
//! The command runs in a shell, in a process group of its own, so that what it starts is stopped with it: by SIGTERM,
//! and by SIGKILL [`PATIENCE`] later. What it prints goes to a file beside the recording. It is stopped when
//! the [`Server`] is dropped, too.
//!
//! Limits: a server that makes itself a daemon leaves the group and is not stopped; give the flag that
//! keeps it in the foreground. UDP has nothing to wait for: a server counts as ready when it has lived for a
//! moment.

use std::fmt;
use std::fs::{self, File};
use std::io::{self, Read, Seek, SeekFrom};
use std::net::{SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;

/// How long a server that was told to end may take before it is killed.
pub const PATIENCE: Duration = Duration::from_secs(5);

/// How often a server is looked at while it is waited for.
const LOOK: Duration = Duration::from_millis(10);

/// How long a server without connections must have lived to count as ready.
const SETTLE: Duration = Duration::from_millis(300);

/// The most of a server's output that an error shows.
const SHOWN_BYTES: u64 = 2_000;
/// The most lines of it.
const SHOWN_LINES: usize = 10;

/// Where a server is to be found, and how it is seen to be there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Endpoint {
    /// All addresses of its name; it may serve any of them. Not empty.
    pub addresses: Vec<SocketAddr>,
    /// Whether it receives datagrams rather than accepts connections.
    pub datagrams: bool,
}

impl Endpoint {
    /// Somebody accepts connections, or receives datagrams.
    fn is_served(&self) -> bool {
        self.addresses.iter().any(|address| {
            let in_use = |bound: io::Result<()>| matches!(bound, Err(cause) if cause.kind() == io::ErrorKind::AddrInUse);
            if self.datagrams {
                in_use(UdpSocket::bind(address).map(drop))
            } else {
                accepts(address) || in_use(TcpListener::bind(address).map(drop))
            }
        })
    }
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let addresses: Vec<String> = self.addresses.iter().map(ToString::to_string).collect();
        f.write_str(&addresses.join(" or "))
    }
}

fn accepts(address: &SocketAddr) -> bool {
    TcpStream::connect_timeout(address, Duration::from_millis(200)).is_ok()
}

/// Why there is no server.
#[derive(Debug, thiserror::Error)]
pub enum ServerError {
    /// Somebody else would have been measured.
    #[error(
        "something listens at {address} already, before `{command}` was started: stop it, or it would be measured instead"
    )]
    AddressTaken {
        /// Where.
        address: String,
        /// The command.
        command: String,
    },
    /// The command or the file for its output.
    #[error("cannot {action} {what}: {cause}")]
    Start {
        /// What was tried.
        action: &'static str,
        /// With what.
        what: String,
        /// The system's reason.
        cause: io::Error,
    },
    /// It ended by itself.
    #[error("`{command}` ended {when} ({status}){}", tail(last_lines, log))]
    Ended {
        /// The command.
        command: String,
        /// `before it accepted connections at ...`, `during the run`.
        when: String,
        /// How it ended.
        status: ExitStatus,
        /// The end of what it printed.
        last_lines: String,
        /// All that it printed.
        log: PathBuf,
    },
    /// It lives, but does not answer.
    #[error(
        "`{command}` did not accept connections at {address} within {} s{}", waited.as_secs(), tail(last_lines, log)
    )]
    NotReady {
        /// The command.
        command: String,
        /// Where.
        address: String,
        /// How long it was waited for.
        waited: Duration,
        /// The end of what it printed.
        last_lines: String,
        /// All that it printed.
        log: PathBuf,
    },
    /// The wait was called off.
    #[error("interrupted while `{command}` was starting")]
    Interrupted {
        /// The command.
        command: String,
    },
}

fn tail(last_lines: &str, log: &Path) -> String {
    if last_lines.is_empty() {
        return "; it printed nothing".to_owned();
    }
    format!("; its last lines, from {}:\n{last_lines}", log.display())
}

/// A process that serves until it is stopped or dropped.
#[derive(Debug)]
pub struct Server {
    command: String,
    child: Child,
    log: PathBuf,
    /// Its process group is gone, or was killed.
    stopped: bool,
}

impl Server {
    /// Starts `command` in a shell and waits, at most `patience`, until `endpoint` is served. What it prints goes
    /// to the file `log`, which must not be there yet.
    ///
    /// Call it on a thread that lives as long as the server is needed: when the thread ends, the kernel takes
    /// that for the death of a parent, and the server is told to end.
    ///
    /// # Errors
    /// Something listens there already; the command cannot be started, ends early, or does not accept
    /// connections in time; `stop` was set. Nothing is left running then.
    pub fn start(
        command: &str,
        endpoint: &Endpoint,
        log: &Path,
        patience: Duration,
        stop: &AtomicBool,
    ) -> Result<Server, ServerError> {
        if endpoint.is_served() {
            return Err(ServerError::AddressTaken {
                address: endpoint.to_string(),
                command: command.to_owned(),
            });
        }
        let mut server = Server {
            command: command.to_owned(),
            child: spawn(command, log)?,
            log: log.to_path_buf(),
            stopped: false,
        };
        server.wait_until_ready(endpoint, patience, stop)?;
        Ok(server)
    }

    /// The process number of the shell, which a single command takes over.
    #[must_use]
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Ends it and all that it started: SIGTERM, and SIGKILL after [`PATIENCE`].
    ///
    /// # Errors
    /// It had ended by itself: whoever was measured, it was not (all the time) this server.
    pub fn stop(mut self) -> Result<(), ServerError> {
        let ended = self.has_ended();
        self.end();
        ended.map_or(Ok(()), |status| {
            Err(self.ended(status, "during the run".to_owned()))
        })
    }

    fn wait_until_ready(
        &mut self,
        endpoint: &Endpoint,
        patience: Duration,
        stop: &AtomicBool,
    ) -> Result<(), ServerError> {
        let begin = Instant::now();
        loop {
            if let Some(status) = self.has_ended() {
                return Err(self.ended(status, format!("before it served {endpoint}")));
            }
            let ready = if endpoint.datagrams {
                begin.elapsed() >= SETTLE
            } else {
                endpoint.addresses.iter().any(accepts)
            };
            if ready {
                return Ok(());
            }
            if stop.load(Ordering::SeqCst) {
                return Err(ServerError::Interrupted {
                    command: self.command.clone(),
                });
            }
            if begin.elapsed() >= patience {
                return Err(ServerError::NotReady {
                    command: self.command.clone(),
                    address: endpoint.to_string(),
                    waited: patience,
                    last_lines: self.last_lines(),
                    log: self.log.clone(),
                });
            }
            std::thread::sleep(LOOK);
        }
    }

    fn has_ended(&mut self) -> Option<ExitStatus> {
        self.child.try_wait().ok().flatten()
    }

    fn ended(&self, status: ExitStatus, when: String) -> ServerError {
        ServerError::Ended {
            command: self.command.clone(),
            when,
            status,
            last_lines: self.last_lines(),
            log: self.log.clone(),
        }
    }

    fn end(&mut self) {
        if self.stopped {
            return;
        }
        self.stopped = true;
        let group = Pid::from_raw(self.child.id().cast_signed());
        let limit = Instant::now() + PATIENCE;
        // The group outlives its first process if that leaves children behind. As long as anybody is in it the
        // kernel gives its number to nobody else.
        if killpg(group, Signal::SIGTERM).is_ok() && !self.is_gone_within(group, limit) {
            let _ = killpg(group, Signal::SIGKILL);
            // So that the next server finds the address free.
            self.is_gone_within(group, Instant::now() + Duration::from_secs(1));
        }
        let _ = self.child.wait();
    }

    /// Waits until nobody of the group can be signalled any more.
    fn is_gone_within(&mut self, group: Pid, limit: Instant) -> bool {
        loop {
            // A child that nobody has waited for can still be signalled.
            let _ = self.has_ended();
            if killpg(group, None) == Err(Errno::ESRCH) {
                return true;
            }
            if Instant::now() >= limit {
                return false;
            }
            std::thread::sleep(LOOK);
        }
    }

    fn last_lines(&self) -> String {
        last_lines(&self.log).unwrap_or_default()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.end();
    }
}

fn spawn(command: &str, log: &Path) -> Result<Child, ServerError> {
    let failed = |action, what: String| {
        move |cause| ServerError::Start {
            action,
            what,
            cause,
        }
    };
    let shown = || log.display().to_string();
    if let Some(folder) = log.parent() {
        fs::create_dir_all(folder).map_err(failed("create", folder.display().to_string()))?;
    }
    let output = File::options()
        .write(true)
        .create_new(true)
        .open(log)
        .map_err(failed("create", shown()))?;
    let errors = output.try_clone().map_err(failed("open", shown()))?;
    let mut shell = Command::new("/bin/sh");
    shell
        .arg("-c")
        .arg(command)
        .stdin(Stdio::null())
        .stdout(output)
        .stderr(errors)
        .process_group(0);
    let parent = nix::unistd::getpid();
    // SAFETY: between fork and exec only `prctl` and `getppid` are called, which are system calls without locks
    // or allocation; the closure captures a number.
    unsafe {
        shell.pre_exec(move || {
            // If we are killed, nobody else stops it.
            nix::sys::prctl::set_pdeathsig(Signal::SIGTERM)?;
            if nix::unistd::getppid() != parent {
                return Err(io::Error::from_raw_os_error(libc::ESRCH));
            }
            Ok(())
        });
    }
    shell
        .spawn()
        .map_err(failed("start a shell for", command.to_owned()))
}

/// The end of a file, as text that is safe to print.
fn last_lines(path: &Path) -> io::Result<String> {
    let mut file = File::open(path)?;
    let length = file.metadata()?.len();
    file.seek(SeekFrom::Start(length.saturating_sub(SHOWN_BYTES)))?;
    let mut bytes = Vec::new();
    file.take(SHOWN_BYTES).read_to_end(&mut bytes)?;
    let text = String::from_utf8_lossy(&bytes);
    let lines: Vec<&str> = text
        .lines()
        .filter(|line| !line.trim().is_empty())
        .collect();
    let last = &lines[lines.len().saturating_sub(SHOWN_LINES)..];
    let shown = last
        .iter()
        .map(|line| format!("  {}", tailcut_report::printable_text(line)));
    Ok(shown.collect::<Vec<_>>().join("\n"))
}

#[cfg(test)]
mod tests;
