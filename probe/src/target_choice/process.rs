//! What `/proc` says of a process.

use std::fs::{self, File};
use std::io::Read;
use std::path::{Path, PathBuf};

use super::ChoiceError;

/// No file of `/proc` is read further than this: a command line can have megabytes.
const LONGEST: u64 = 16 * 1024;
/// `PF_KTHREAD` of the kernel's `sched.h`.
const KERNEL_THREAD: u64 = 0x0020_0000;

/// A process, as it was when it was looked at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Process {
    /// Its number.
    pub pid: u32,
    /// Number of its parent.
    pub parent: u32,
    /// Its thread group: its own number, unless it is a thread.
    pub group: u32,
    /// Short name; hostile text, as is all that follows.
    pub name: String,
    /// Path of its executable, if we may know it.
    pub executable: Option<String>,
    /// Command line, words joined by blanks; at most 16 KiB of it.
    pub command: String,
    /// When it was started, in clock ticks since the machine was. Together with the number it names
    /// a process for ever: numbers are used again.
    pub started: u64,
    /// A thread of the kernel.
    pub is_kernel_thread: bool,
    /// A zombie.
    pub has_ended: bool,
}

impl Process {
    /// Whether this very process still runs, not another that got its number.
    pub fn still_runs(&self, table: &ProcessTable) -> bool {
        let now = table.read(self.pid);
        now.is_some_and(|now| now.started == self.started && !now.has_ended)
    }
}

/// The processes of a machine, in a folder such as `/proc`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProcessTable(PathBuf);

impl ProcessTable {
    /// Those of this machine, or of this container.
    pub fn here() -> ProcessTable {
        ProcessTable::at("/proc")
    }

    /// Those in another folder: a `proc` mounted elsewhere, or a test's.
    pub fn at(folder: impl Into<PathBuf>) -> ProcessTable {
        ProcessTable(folder.into())
    }

    /// What is known of one process; `None` if there is none, or it ended meanwhile.
    pub fn read(&self, pid: u32) -> Option<Process> {
        let folder = self.0.join(pid.to_string());
        let stat = read(&folder.join("stat"))?;
        let status = read(&folder.join("status"))?;
        // The name may contain blanks and brackets; the last bracket ends it.
        let (before, after) = stat.rsplit_once(')')?;
        let name = before.split_once('(')?.1.to_owned();
        let fields: Vec<&str> = after.split_ascii_whitespace().collect();
        let number = |field: usize| fields.get(field)?.parse::<u64>().ok();
        let command = read(&folder.join("cmdline")).unwrap_or_default();
        let executable = fs::read_link(folder.join("exe")).ok();
        Some(Process {
            pid,
            name,
            // Counted from the state, which is field 3 of proc_pid_stat(5).
            has_ended: matches!(*fields.first()?, "Z" | "X"),
            parent: u32::try_from(number(1)?).ok()?,
            is_kernel_thread: number(6)? & KERNEL_THREAD != 0,
            started: number(19)?,
            group: status
                .lines()
                .find_map(|line| line.strip_prefix("Tgid:"))?
                .trim()
                .parse()
                .ok()?,
            command: command.trim_end_matches('\0').replace('\0', " "),
            executable: executable.map(|path| path.to_string_lossy().into_owned()),
        })
    }

    /// All that can be read; those that end meanwhile are left out.
    ///
    /// # Errors
    ///
    /// The folder cannot be listed.
    pub fn all(&self) -> Result<Vec<Process>, ChoiceError> {
        let entries = fs::read_dir(&self.0).map_err(|source| ChoiceError::Unreadable {
            path: self.0.display().to_string(),
            source,
        })?;
        Ok(entries
            .filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok())
            .filter_map(|pid| self.read(pid))
            .collect())
    }

    /// Whether a process belongs to a control group of this name, or one below it.
    pub(super) fn is_in_group(&self, pid: u32, group: &str) -> bool {
        let text = read(&self.0.join(pid.to_string()).join("cgroup")).unwrap_or_default();
        text.lines()
            // `hierarchy:controllers:path`, see cgroups(7).
            .filter_map(|line| line.splitn(3, ':').nth(2))
            .any(|path| path.split('/').any(|name| name == group))
    }
}

/// The beginning of a file; what is not UTF-8 in it becomes a replacement character.
fn read(path: &Path) -> Option<String> {
    let mut bytes = Vec::new();
    let file = File::open(path).ok()?;
    file.take(LONGEST).read_to_end(&mut bytes).ok()?;
    Some(String::from_utf8_lossy(&bytes).into_owned())
}
