use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use super::*;

struct Made<'a> {
    pid: u32,
    parent: u32,
    name: &'a str,
    executable: &'a str,
    flags: u64,
    state: char,
    started: u64,
    group: &'a str,
}

impl Default for Made<'_> {
    fn default() -> Self {
        Made {
            pid: 100,
            parent: 1,
            name: "server",
            executable: "/usr/bin/server",
            flags: 0x40_0000,
            state: 'S',
            started: 1000,
            group: "/user.slice",
        }
    }
}

/// A folder like `/proc` with these processes.
fn table(processes: &[Made<'_>]) -> (tempfile::TempDir, ProcessTable) {
    let folder = tempfile::tempdir().unwrap();
    for made in processes {
        write(folder.path(), made);
    }
    let table = ProcessTable::at(folder.path());
    (folder, table)
}

fn write(proc: &Path, made: &Made<'_>) {
    let folder = proc.join(made.pid.to_string());
    fs::create_dir(&folder).unwrap();
    let Made {
        pid,
        parent,
        name,
        flags,
        state,
        started,
        ..
    } = made;
    let zeros = "0 ".repeat(12);
    let stat = format!("{pid} ({name}) {state} {parent} 1 1 0 -1 {flags} {zeros}{started} 0 0\n");
    fs::write(folder.join("stat"), stat).unwrap();
    fs::write(folder.join("status"), format!("Name:\tx\nTgid:\t{pid}\n")).unwrap();
    let command = format!("{}\0--port\08080\0", made.executable);
    fs::write(folder.join("cmdline"), command).unwrap();
    fs::write(folder.join("cgroup"), format!("0::{}\n", made.group)).unwrap();
    symlink(made.executable, folder.join("exe")).unwrap();
}

fn named(pattern: &str) -> TargetChoice {
    TargetChoice::Name(pattern.parse().unwrap())
}

struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn sleeping() -> Running {
    let mut command = Command::new("sleep");
    Running(command.arg("60").stdout(Stdio::null()).spawn().unwrap())
}

#[test]
fn a_real_process_is_found_by_its_number_until_it_ends() {
    let mut child = sleeping();
    let table = ProcessTable::here();
    let choice = TargetChoice::Pid(child.0.id());
    let process = choice.find(&table, Several::Refuse).unwrap();
    assert_eq!(process.parent, std::process::id());
    assert!(process.still_runs(&table));

    child.0.kill().unwrap();
    child.0.wait().unwrap();
    assert!(!process.still_runs(&table));
    let error = choice.find(&table, Several::Refuse).unwrap_err();
    assert!(
        matches!(error, ChoiceError::NoSuchProcess { .. }),
        "{error}"
    );
}

#[test]
fn a_number_that_was_used_again_is_not_the_same_process() {
    let (folder, table) = table(&[Made::default()]);
    let process = TargetChoice::Pid(100)
        .find(&table, Several::Refuse)
        .unwrap();
    fs::remove_dir_all(folder.path().join("100")).unwrap();
    write(
        folder.path(),
        &Made {
            started: 2000,
            ..Made::default()
        },
    );
    assert!(!process.still_runs(&table));
}

#[test]
fn names_match_the_short_name_the_file_name_or_the_path() {
    let (_folder, table) = table(&[Made {
        name: "a-very-long-nam",
        executable: "/opt/7/bin/a-very-long-name",
        ..Made::default()
    }]);
    for pattern in [
        "a-very-long-nam",
        "a-very-long-name",
        "a-*",
        "/opt/*/bin/a-very-long-name",
    ] {
        let found = named(pattern).find(&table, Several::Refuse);
        assert!(found.is_ok(), "{pattern}: {found:?}");
    }
    for pattern in ["long", "A-*", "/opt/*/name", "bin"] {
        let found = named(pattern).find(&table, Several::Refuse);
        assert!(
            matches!(found, Err(ChoiceError::NobodyMatches { .. })),
            "{pattern}: {found:?}"
        );
    }
}

#[test]
fn several_matches_are_refused_with_a_list_unless_the_newest_is_wanted() {
    let (_folder, table) = table(&[
        Made::default(),
        Made {
            pid: 102,
            started: 3000,
            ..Made::default()
        },
        Made {
            pid: 101,
            started: 2000,
            ..Made::default()
        },
    ]);
    let error = named("server").find(&table, Several::Refuse).unwrap_err();
    let text = error.to_string();
    assert!(
        text.contains("3 processes") && text.contains("101 server"),
        "{text}"
    );
    assert!(
        text.contains("-p PID") && text.contains("--newest"),
        "{text}"
    );
    let newest = named("server").find(&table, Several::Newest).unwrap();
    assert_eq!(newest.pid, 102);
}

#[test]
fn what_cannot_be_traced_is_refused_with_the_reason() {
    let (folder, table) = table(&[
        Made {
            flags: 0x0020_0000,
            name: "kswapd0",
            ..Made::default()
        },
        Made {
            pid: 200,
            state: 'Z',
            ..Made::default()
        },
    ]);
    let find = |pid| TargetChoice::Pid(pid).find(&table, Several::Refuse);
    assert!(matches!(find(100), Err(ChoiceError::IsKernelThread { .. })));
    assert!(matches!(find(200), Err(ChoiceError::HasEnded { .. })));
    fs::write(folder.path().join("200/status"), "Tgid:\t100\n").unwrap();
    assert!(matches!(
        find(200),
        Err(ChoiceError::IsThread { process: 100, .. })
    ));
    // Nor do patterns find them.
    assert!(named("*").find(&table, Several::Newest).is_err());
}

#[test]
fn a_name_with_brackets_and_control_characters_neither_confuses_nor_reaches_the_terminal() {
    let (_folder, table) = table(&[
        Made {
            name: "a) S 7 (\x1b[2J",
            ..Made::default()
        },
        Made {
            pid: 101,
            name: "x\nb",
            ..Made::default()
        },
    ]);
    let process = TargetChoice::Pid(100)
        .find(&table, Several::Refuse)
        .unwrap();
    assert_eq!((process.parent, process.started), (1, 1000));
    let text = named("*")
        .find(&table, Several::Refuse)
        .unwrap_err()
        .to_string();
    assert!(!text.contains('\x1b'), "{text:?}");
    assert_eq!(text.lines().count(), 3, "{text:?}");
}

#[test]
fn torn_or_empty_files_are_no_process() {
    let (folder, table) = table(&[Made::default()]);
    for stat in ["", "100", "100 (", "100 (x) S", "100 (x) S one 2", ") ("] {
        fs::write(folder.path().join("100/stat"), stat).unwrap();
        assert!(table.read(100).is_none(), "{stat:?}");
    }
}

#[test]
fn without_systemd_the_first_process_of_a_units_control_group_is_its_main_one() {
    let group = "/system.slice/tailcut-test-7f3a.service";
    let (_folder, table) = table(&[
        Made {
            group,
            ..Made::default()
        },
        Made {
            pid: 101,
            parent: 100,
            group,
            ..Made::default()
        },
        Made {
            pid: 102,
            ..Made::default()
        },
    ]);
    let unit = |name: &str| TargetChoice::Unit(name.parse().unwrap());
    let process = unit("tailcut-test-7f3a")
        .find(&table, Several::Refuse)
        .unwrap();
    assert_eq!(process.pid, 100);
    let error = unit("tailcut-test-other.service").find(&table, Several::Refuse);
    assert!(matches!(error, Err(ChoiceError::NobodyMatches { .. })));
}

#[test]
fn names_of_units_and_patterns_are_checked() {
    for name in [
        "",
        "-H root@elsewhere",
        "a b",
        "x;y",
        "../x",
        &"x".repeat(300),
    ] {
        assert!(name.parse::<UnitName>().is_err(), "{name}");
    }
    assert_eq!(
        "nginx".parse::<UnitName>().unwrap().to_string(),
        "nginx.service"
    );
    assert_eq!(
        "a@b.scope".parse::<UnitName>().unwrap().to_string(),
        "a@b.scope"
    );
    assert!("".parse::<NamePattern>().is_err());
    assert!("[".parse::<NamePattern>().is_err());
}
