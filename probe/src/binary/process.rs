//! A process and the files that are mapped in it.
//!
//! [`Process::open`] reads who it is, [`Process::modules`] what code it runs. Both are a picture
//! of one moment: libraries come (`dlopen`) and go, and a process may end between two reads. Every
//! read says so ([`ProcessError::Gone`]); [`Process::is_still_there`] also notices that the number
//! was given to another process since.
//!
//! **Files are opened as the process sees them**, through `/proc/PID/root`, so a container's files
//! are found. A file that was deleted or replaced since (a library after an upgrade) is opened
//! through `/proc/PID/map_files`, which needs CAP_SYS_ADMIN or CAP_CHECKPOINT_RESTORE.
//!
//! Own reading of `/proc` rather than crate `procfs`: it takes names for UTF-8, which they need not be.
//!
//! Cost: some ten reads of `/proc`, each a system call or three, and one `stat` a module.

pub mod load_order;
pub mod maps;

use super::printable;
use maps::{Backing, Mapping};
use serde::Serialize;
use std::collections::HashMap;
use std::ffi::OsStr;
use std::fs::File;
use std::io::{self, Read};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

/// The most that is read of a file in `/proc`. A process with 65,530 mappings (the kernel's
/// default limit) needs about 6 MB of `maps`.
const LONGEST_FILE: u64 = 64 << 20;

/// Why a process cannot be looked at.
#[derive(Debug, thiserror::Error)]
pub enum ProcessError {
    /// No process or thread has this number.
    #[error("there is no process {pid}: check the number with `ps -e`, in this PID namespace")]
    NoSuchProcess {
        /// The number asked for.
        pid: u32,
    },
    /// The number is of a thread.
    #[error("{tid} is a thread of process {pid}: give {pid}")]
    IsThread {
        /// The number asked for.
        tid: u32,
        /// The process that it belongs to.
        pid: u32,
    },
    /// A thread of the kernel: it runs no program.
    #[error("process {pid} ({name}) is a kernel thread: it has no memory of its own to trace")]
    KernelThread {
        /// The number asked for.
        pid: u32,
        /// Its name, fit to be shown.
        name: String,
    },
    /// It ended, but its parent has not asked for its exit status yet.
    #[error("process {pid} ({name}) has ended already (a zombie): there is nothing left to trace")]
    Zombie {
        /// The number asked for.
        pid: u32,
        /// Its name, fit to be shown.
        name: String,
    },
    /// It ended while we looked.
    #[error("process {pid} ended while it was looked at")]
    Gone {
        /// The number asked for.
        pid: u32,
    },
    /// The kernel does not let us look.
    #[error(
        "not permitted to read {path}: run as the owner of process {pid}, or as root (CAP_SYS_PTRACE)"
    )]
    NotPermitted {
        /// The number asked for.
        pid: u32,
        /// The file that could not be read.
        path: String,
    },
    /// `/proc` gave what it should not.
    #[error("cannot read {path}: {reason}; is /proc mounted, and a proc file system?")]
    Unreadable {
        /// The file.
        path: String,
        /// What went wrong.
        reason: String,
    },
}

/// Who a process is, read once.
#[derive(Debug, Clone, Serialize)]
pub struct Process {
    /// Its number in our PID namespace.
    pub pid: u32,
    /// Its numbers in its own and the enclosing PID namespaces, from outermost (ours) to innermost.
    pub namespace_pids: Vec<u32>,
    /// Its name (`comm`), fit to be shown.
    pub name: String,
    /// The file that it executes, as it sees it; none where not permitted to know.
    pub executable: Option<PathBuf>,
    /// Its command line, fit to be shown: arguments separated by spaces, at most 4,096 bytes read.
    pub command_line: String,
    /// When it started, in clock ticks since boot. Together with `pid` this names it for good.
    pub start_ticks: u64,
    /// How many threads it has.
    pub threads: u32,
    /// Whether it sees another file tree than we do (another mount namespace); none where not
    /// permitted to know.
    pub other_mount_namespace: Option<bool>,
}

/// A file that a process has mapped with permission to execute.
#[derive(Debug, Clone, Serialize)]
pub struct Module {
    /// The path as the process sees it, without ` (deleted)`.
    pub path: PathBuf,
    /// A path that opens exactly this file from here.
    pub openable: PathBuf,
    /// Device and inode, as `/proc/PID/maps` gives them: major, minor, inode.
    pub identity: (u32, u32, u64),
    /// Whether the path no longer leads to it: deleted or replaced.
    pub deleted: bool,
    /// All its mappings, also those without permission to execute, by address.
    pub mappings: Vec<Mapping>,
}

impl Module {
    /// The file's name without folders, fit to be shown.
    #[must_use]
    pub fn file_name(&self) -> String {
        let name = self.path.file_name().unwrap_or(self.path.as_os_str());
        printable(name.as_bytes())
    }

    /// The path fit to be shown.
    #[must_use]
    pub fn shown_path(&self) -> String {
        printable(self.path.as_os_str().as_bytes())
    }

    /// Where in the process's memory the byte at `file_offset` of the file is executed; none if
    /// it is not mapped with permission to execute.
    #[must_use]
    pub fn address_of(&self, file_offset: u64) -> Option<u64> {
        self.mappings
            .iter()
            .filter(|mapping| mapping.executable)
            .find_map(|mapping| mapping.address_of(file_offset))
    }
}

/// What code a process runs.
#[derive(Debug, Clone, Default, Serialize)]
pub struct Modules {
    /// Files, in the order of their lowest address.
    pub files: Vec<Module>,
    /// Executable memory without a file: written by compilers at run time.
    pub anonymous: Vec<Mapping>,
    /// The kernel's own pages: `[vdso]`, `[vsyscall]`, `[uprobes]`.
    pub kernel: Vec<Mapping>,
}

impl Process {
    /// Looks up the process with this number.
    ///
    /// # Errors
    ///
    /// None exists, it is a thread, it has ended, it belongs to the kernel, or we may not look.
    pub fn open(pid: u32) -> Result<Self, ProcessError> {
        let status = match read(pid, "status") {
            Err(ProcessError::Gone { .. }) => return Err(ProcessError::NoSuchProcess { pid }),
            other => other?,
        };
        let unreadable = |reason: &str| unreadable(pid, "status", reason);
        let tgid = number(field(&status, "Tgid")).ok_or_else(|| unreadable("no line Tgid"))?;
        if tgid != u64::from(pid) {
            return Err(ProcessError::IsThread {
                tid: pid,
                pid: tgid as u32,
            });
        }
        let stat = Stat::parse(&read(pid, "stat")?)
            .ok_or_else(|| super::process::unreadable(pid, "stat", "unknown format"))?;
        let name = stat.name;
        if matches!(stat.state, b'Z' | b'X') {
            return Err(ProcessError::Zombie { pid, name });
        }
        // Kernel threads have no memory: their status lacks every Vm line.
        if field(&status, "VmSize").is_none() {
            return Err(ProcessError::KernelThread { pid, name });
        }
        let command_line = read_at_most(pid, "cmdline", 4096)?;
        let command_line: Vec<u8> = command_line
            .strip_suffix(b"\0")
            .unwrap_or(&command_line)
            .iter()
            .map(|byte| if *byte == 0 { b' ' } else { *byte })
            .collect();
        Ok(Process {
            pid,
            namespace_pids: field(&status, "NSpid")
                .map(|pids| {
                    let pids = String::from_utf8_lossy(pids);
                    pids.split_whitespace()
                        .filter_map(|pid| pid.parse().ok())
                        .collect()
                })
                .unwrap_or_default(),
            name,
            executable: std::fs::read_link(proc_path(pid, "exe")).ok(),
            command_line: printable(&command_line),
            start_ticks: stat.start_ticks,
            threads: number(field(&status, "Threads")).unwrap_or(1) as u32,
            other_mount_namespace: other_namespace(pid, "ns/mnt"),
        })
    }

    /// Whether the process that was opened still runs. False also when another one has its number now.
    #[must_use]
    pub fn is_still_there(&self) -> bool {
        read(self.pid, "stat")
            .ok()
            .and_then(|stat| Stat::parse(&stat))
            .is_some_and(|stat| {
                stat.start_ticks == self.start_ticks && !matches!(stat.state, b'Z' | b'X')
            })
    }

    /// The code that it runs at this moment.
    ///
    /// # Errors
    ///
    /// It ended, or we may not look.
    pub fn modules(&self) -> Result<Modules, ProcessError> {
        let maps = read(self.pid, "maps")?;
        if maps.is_empty() && !self.is_still_there() {
            return Err(ProcessError::Gone { pid: self.pid });
        }
        let mut found = Modules::default();
        let mut files: Vec<Module> = Vec::new();
        let mut places: HashMap<(u32, u32, u64), usize> = HashMap::new();
        for entry in maps::parse(&maps) {
            match entry.backing {
                Backing::File {
                    identity,
                    path,
                    deleted,
                } => {
                    let place = *places.entry(identity).or_insert_with(|| {
                        files.push(Module {
                            path: PathBuf::from(OsStr::from_bytes(&path)),
                            openable: PathBuf::new(),
                            identity,
                            deleted,
                            mappings: Vec::new(),
                        });
                        files.len() - 1
                    });
                    files[place].mappings.push(entry.mapping);
                }
                Backing::Kernel if entry.mapping.executable => found.kernel.push(entry.mapping),
                Backing::Anonymous if entry.mapping.executable => {
                    found.anonymous.push(entry.mapping);
                }
                Backing::Kernel | Backing::Anonymous => {}
            }
        }
        files.retain(|module| module.mappings.iter().any(|mapping| mapping.executable));
        for module in &mut files {
            self.locate(module);
        }
        found.files = files;
        Ok(found)
    }

    /// Finds the path that opens the very file that is mapped.
    fn locate(&self, module: &mut Module) {
        let seen = in_root(self.pid, &module.path);
        if !module.deleted {
            match std::fs::metadata(&seen) {
                // The inode alone: overlay and btrfs show one device number in maps, another in stat.
                Ok(metadata) if metadata.ino() == module.identity.2 => {
                    module.openable = seen;
                    return;
                }
                Ok(_) => module.deleted = true, // replaced by another file of that name
                Err(error) if error.kind() == io::ErrorKind::NotFound => module.deleted = true,
                Err(_) => {
                    module.openable = seen; // opening it will say why not
                    return;
                }
            }
        }
        let first = module.mappings[0];
        module.openable = proc_path(
            self.pid,
            &format!("map_files/{:x}-{:x}", first.start, first.end),
        );
    }
}

/// The fields of `/proc/PID/stat` that we need.
struct Stat {
    name: String,
    state: u8,
    start_ticks: u64,
}

impl Stat {
    /// `pid (name) S ...`, where the name may hold anything, also brackets and spaces: it ends at
    /// the last bracket.
    fn parse(bytes: &[u8]) -> Option<Self> {
        let open = bytes.iter().position(|byte| *byte == b'(')?;
        let close = bytes.iter().rposition(|byte| *byte == b')')?;
        let name = printable(bytes.get(open + 1..close)?);
        let rest = std::str::from_utf8(bytes.get(close + 1..)?).ok()?;
        let mut fields = rest.split_ascii_whitespace();
        let state = *fields.next()?.as_bytes().first()?;
        // Field 22 of proc(5); the state is field 3.
        let start_ticks = fields.nth(18)?.parse().ok()?;
        Some(Stat {
            name,
            state,
            start_ticks,
        })
    }
}

/// The value of the line `NAME:` in a file like `/proc/PID/status`.
fn field<'a>(file: &'a [u8], name: &str) -> Option<&'a [u8]> {
    file.split(|byte| *byte == b'\n')
        .find_map(|line| line.strip_prefix(name.as_bytes())?.strip_prefix(b":"))
        .map(<[u8]>::trim_ascii)
}

fn number(field: Option<&[u8]>) -> Option<u64> {
    std::str::from_utf8(field?).ok()?.parse().ok()
}

fn other_namespace(pid: u32, name: &str) -> Option<bool> {
    let theirs = std::fs::read_link(proc_path(pid, name)).ok()?;
    let ours = std::fs::read_link(format!("/proc/self/{name}")).ok()?;
    Some(theirs != ours)
}

fn proc_path(pid: u32, name: &str) -> PathBuf {
    PathBuf::from(format!("/proc/{pid}/{name}"))
}

/// `path` as process `pid` sees it.
fn in_root(pid: u32, path: &Path) -> PathBuf {
    let mut whole = proc_path(pid, "root").into_os_string();
    whole.push("/");
    whole.push(path.strip_prefix("/").unwrap_or(path));
    PathBuf::from(whole)
}

/// All of `/proc/PID/NAME`.
fn read(pid: u32, name: &str) -> Result<Vec<u8>, ProcessError> {
    read_at_most(pid, name, LONGEST_FILE)
}

fn read_at_most(pid: u32, name: &str, most: u64) -> Result<Vec<u8>, ProcessError> {
    let path = proc_path(pid, name);
    let mut bytes = Vec::new();
    File::open(&path)
        .and_then(|file| file.take(most).read_to_end(&mut bytes))
        .map_err(|error| match error.kind() {
            io::ErrorKind::PermissionDenied => ProcessError::NotPermitted {
                pid,
                path: path.display().to_string(),
            },
            // ESRCH: opened while it lived, read when it was gone.
            _ if error.kind() == io::ErrorKind::NotFound || error.raw_os_error() == Some(3) => {
                ProcessError::Gone { pid }
            }
            _ => unreadable(pid, name, &error.to_string()),
        })?;
    Ok(bytes)
}

fn unreadable(pid: u32, name: &str, reason: &str) -> ProcessError {
    ProcessError::Unreadable {
        path: proc_path(pid, name).display().to_string(),
        reason: reason.to_owned(),
    }
}

#[cfg(test)]
mod tests;
