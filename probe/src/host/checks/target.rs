//! One process: whether it can be traced by this user, as far as that shows from outside.
//!
//! What is inside it (allocators, static probes, places for probes) is another module's; this one
//! says why looking inside would fail.

use std::fs::{self, File};
use std::io::{self, Read};
use std::path::Path;

use super::super::privileges::Privileges;
use super::{Area, Check, Need};

/// The checks of one process. If there is none of that number, that is the only check.
///
/// Takes a few reads of `/proc/PID`; needs no privileges, but without them processes of other
/// users stay closed, which is what the checks then say.
pub fn checks_of_process(process: u32) -> Vec<Check> {
    let folder = format!("/proc/{process}");
    let folder = Path::new(&folder);
    let exists = Check::new(Area::Process, "process", Need::Required);
    let status = match fs::read(folder.join("status")) {
        Ok(bytes) => Status(String::from_utf8_lossy(&bytes).into_owned()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            let found = format!("there is no process {process}");
            let cure = "pgrep -a NAME";
            return vec![exists.no(found, "nothing to trace").cure(cure)];
        }
        Err(error) => return vec![exists.no(error.to_string(), "nothing to trace")],
    };
    let exists = alive(exists, process, &status);
    let goes_on = !exists.is_missing();
    let mut checks = vec![exists];
    if goes_on {
        checks.extend([
            readable(folder),
            instruction_set(folder),
            namespace(folder, &status),
        ]);
    }
    checks
}

fn alive(check: Check, process: u32, status: &Status) -> Check {
    let name = printable(status.value("Name").unwrap_or("?"));
    let group = status.value("Tgid").and_then(|text| text.parse().ok());
    if let Some(group) = group.filter(|&group: &u32| group != process) {
        return check
            .no(
                format!("{process} is a thread ({name}) of process {group}"),
                "processes are traced whole",
            )
            .cure(format!("tailcut doctor -p {group}"));
    }
    if status
        .value("State")
        .is_some_and(|state| state.starts_with('Z'))
    {
        return check.no(format!("{name} has ended (zombie)"), "nothing to trace");
    }
    // All threads of the kernel descend from number 2.
    if process == 2 || status.value("PPid") == Some("2") {
        return check.no(
            format!("{name} is a thread of the kernel"),
            "it has no code of its own to trace",
        );
    }
    if status.value("VmSize").is_none() {
        return check.no(format!("{name} is just ending"), "nothing to trace");
    }
    match status.value("Threads") {
        Some("1") => check.yes(format!("{name}, 1 thread")),
        threads => check.yes(format!("{name}, {} threads", threads.unwrap_or("?"))),
    }
}

fn readable(folder: &Path) -> Check {
    let check = Check::new(Area::Process, "its memory map", Need::Required);
    let mut first = [0; 1];
    match File::open(folder.join("maps")).and_then(|mut maps| maps.read(&mut first)) {
        Ok(_) => check.yes("readable"),
        Err(error) => {
            let privileges = Privileges::of_this_thread();
            let consequence = "its libraries and allocators cannot be found";
            if privileges.may_trace_others() {
                let reason = "a sandbox or a security module shields it";
                check.no(format!("{error}; {reason}"), consequence)
            } else {
                let reason = "it belongs to another user, or does not let itself be looked into";
                check
                    .no(format!("{error}; {reason}"), consequence)
                    .cure(privileges.cure())
            }
        }
    }
}

/// The class and machine of its executable, from the first bytes of the ELF header.
fn instruction_set(folder: &Path) -> Check {
    const CLASS_64: u8 = 2;
    const X86_64: u16 = 62;
    const AARCH64: u16 = 183;
    let own = if cfg!(target_arch = "aarch64") {
        AARCH64
    } else {
        X86_64
    };
    let check = Check::new(Area::Process, "its instructions", Need::Required);
    let mut header = [0; 20];
    let read = File::open(folder.join("exe")).and_then(|mut file| file.read_exact(&mut header));
    if let Err(error) = read {
        return check.unknown(
            format!("its executable cannot be read: {error}"),
            "whether its instructions are understood is not known",
        );
    }
    let machine = u16::from_le_bytes([header[18], header[19]]);
    let consequence = "tailcut decodes 64-bit code of this machine's kind only";
    if !header.starts_with(b"\x7fELF") {
        check.no("its executable is not ELF", consequence)
    } else if header[4] != CLASS_64 {
        check.no("a 32-bit program", consequence)
    } else if machine != own {
        check.no(
            format!("a program for machine {machine}, emulated"),
            consequence,
        )
    } else {
        check.yes("64-bit, of this machine")
    }
}

fn namespace(folder: &Path, status: &Status) -> Check {
    let check = Check::new(Area::Process, "its pid namespace", Need::Optional);
    let inside = status.value("NSpid").unwrap_or_default();
    let numbers: Vec<&str> = inside.split_whitespace().collect();
    let of = |folder: &Path| fs::read_link(folder.join("ns/pid")).ok();
    match (of(folder), of(Path::new("/proc/self"))) {
        (Some(its), Some(ours)) if its == ours => check.yes("the same as ours"),
        (Some(_), Some(_)) => check.yes(format!(
            "its own (a container), where it is number {}",
            numbers.last().copied().unwrap_or("?")
        )),
        _ => check.unknown("cannot be read", ""),
    }
}

/// The text of `/proc/PID/status`.
struct Status(String);

impl Status {
    fn value(&self, key: &str) -> Option<&str> {
        self.0.lines().find_map(|line| {
            let (name, value) = line.split_once(':')?;
            (name == key).then(|| value.trim())
        })
    }
}

/// A process chooses its own name: nothing of it may reach a terminal as a command.
fn printable(name: &str) -> String {
    name.chars()
        .map(|one| if one.is_control() { '?' } else { one })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::super::Outcome;
    use super::*;
    use std::process::{Child, Command};

    /// A process that is killed at the end of a test.
    struct Sleeper(Child);

    impl Sleeper {
        fn new() -> Self {
            Self(Command::new("sleep").arg("60").spawn().unwrap())
        }
    }

    impl Drop for Sleeper {
        fn drop(&mut self) {
            self.0.kill().unwrap();
            self.0.wait().unwrap();
        }
    }

    fn outcomes(process: u32) -> Vec<(&'static str, Outcome)> {
        let checks = checks_of_process(process);
        checks
            .iter()
            .map(|check| (check.name, check.outcome))
            .collect()
    }

    #[test]
    fn a_child_of_ours_can_be_traced() {
        let sleeper = Sleeper::new();
        let checks = checks_of_process(sleeper.0.id());
        assert_eq!(checks.len(), 4);
        for check in checks {
            assert_eq!(check.outcome, Outcome::Yes, "{check:?}");
        }
    }

    #[test]
    fn a_process_that_does_not_exist_is_one_clear_answer() {
        let checks = checks_of_process(u32::MAX);
        assert_eq!(outcomes(u32::MAX), [("process", Outcome::No)]);
        assert!(checks[0].found.contains("no process 4294967295"));
        assert!(checks[0].is_missing() && checks[0].cure.is_some());
    }

    #[test]
    fn a_thread_is_answered_with_its_process() {
        let (tell, told) = std::sync::mpsc::channel();
        let (end, ended) = std::sync::mpsc::channel::<()>();
        let thread = std::thread::spawn(move || {
            tell.send(nix::unistd::gettid().as_raw() as u32).unwrap();
            ended.recv().ok();
        });
        let checks = checks_of_process(told.recv().unwrap());
        drop(end);
        thread.join().unwrap();
        let cure = format!("tailcut doctor -p {}", std::process::id());
        assert_eq!(checks.len(), 1);
        assert_eq!(checks[0].cure.as_deref(), Some(cure.as_str()));
    }

    #[test]
    fn a_zombie_is_told_apart_from_what_runs() {
        let mut child = Command::new("true").spawn().unwrap();
        let ended = || {
            let checks = checks_of_process(child.id());
            checks[0].found.contains("has ended")
        };
        // Until it is waited for it is a zombie.
        while !ended() {
            std::thread::yield_now();
        }
        child.wait().unwrap();
    }

    #[test]
    fn hostile_names_lose_their_control_characters() {
        assert_eq!(printable("a\x1b[31mb\n"), "a?[31mb?");
    }
}
