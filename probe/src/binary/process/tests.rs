//! On this very process, and on children that we start.

use super::{Process, ProcessError, Stat, load_order};
use std::process::Command;

fn ours() -> Process {
    Process::open(std::process::id()).unwrap()
}

#[test]
fn a_process_is_described() {
    let process = ours();
    assert_eq!(process.executable, std::env::current_exe().ok());
    assert_eq!(process.namespace_pids.first(), Some(&std::process::id()));
    assert_eq!(process.other_mount_namespace, Some(false));
    assert!(process.threads >= 1);
    assert!(process.is_still_there());
}

#[test]
fn a_number_that_nobody_has_is_named_in_the_error() {
    // Above the largest number that Linux gives (2^22).
    let error = Process::open(1 << 23).unwrap_err();
    assert!(matches!(error, ProcessError::NoSuchProcess { pid } if pid == 1 << 23));
}

#[test]
fn a_thread_is_told_from_its_process() {
    let tid = std::thread::spawn(|| {
        let link = std::fs::read_link("/proc/thread-self").unwrap();
        let tid: u32 = link.file_name().unwrap().to_str().unwrap().parse().unwrap();
        (tid, Process::open(tid).unwrap_err())
    });
    let (thread, error) = tid.join().unwrap();
    assert!(
        matches!(error, ProcessError::IsThread { tid, pid } if tid == thread && pid == std::process::id()),
        "{error}"
    );
}

#[test]
fn a_process_that_ended_is_a_zombie_first_and_then_unknown() {
    let mut child = Command::new("true").spawn().unwrap();
    let error = loop {
        match Process::open(child.id()) {
            Ok(_) => std::thread::yield_now(),
            Err(error) => break error,
        }
    };
    // Between its two reads it may also be gone half way: still no picture of a live process.
    assert!(
        matches!(
            error,
            ProcessError::Zombie { .. } | ProcessError::KernelThread { .. }
        ),
        "{error}"
    );
    child.wait().unwrap();
    assert!(matches!(
        Process::open(child.id()),
        Err(ProcessError::NoSuchProcess { .. })
    ));
}

#[test]
fn modules_open_as_the_files_that_are_mapped() {
    use std::os::unix::fs::MetadataExt;
    let modules = ours().modules().unwrap();
    let executable = std::env::current_exe().unwrap();
    let own = modules
        .files
        .iter()
        .find(|module| module.path == executable)
        .unwrap();
    assert!(!own.deleted);
    let metadata = std::fs::metadata(&own.openable).unwrap();
    assert_eq!(
        metadata.ino(),
        std::fs::metadata(&executable).unwrap().ino()
    );
    // A function of ours is where the module says that its byte of the file is.
    let function = modules_open_as_the_files_that_are_mapped as *const () as u64;
    let mapping = own
        .mappings
        .iter()
        .find(|m| (m.start..m.end).contains(&function))
        .unwrap();
    let offset = function - mapping.start + mapping.file_offset;
    assert_eq!(own.address_of(offset), Some(function));
    assert!(!modules.kernel.is_empty(), "no [vdso]");
}

#[test]
fn a_deleted_executable_is_marked_and_opened_through_its_mapping() {
    let folder = std::env::temp_dir().join(format!("tailcut-deleted-{}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    let copy = folder.join("sleep");
    std::fs::copy("/bin/sleep", &copy).unwrap();
    let mut child = Command::new(&copy).arg("60").spawn().unwrap();
    // Replaced, not only deleted: another file of this name is there now.
    std::fs::remove_file(&copy).unwrap();
    std::fs::write(&copy, b"something else").unwrap();
    // A child that is just being executed has no mappings for a moment.
    let module = loop {
        let modules = Process::open(child.id()).unwrap().modules().unwrap();
        match modules.files.into_iter().find(|m| m.path == copy) {
            Some(module) => break module,
            None => std::thread::yield_now(),
        }
    };
    child.kill().unwrap();
    child.wait().unwrap();
    std::fs::remove_dir_all(&folder).unwrap();
    assert!(module.deleted);
    assert!(
        module
            .openable
            .starts_with(format!("/proc/{}/map_files", child.id()))
    );
}

#[test]
fn the_executable_comes_first_in_load_order_and_libc_is_in_it() {
    let modules = ours().modules().unwrap().files;
    let order = load_order::load_order(std::process::id(), &modules).unwrap();
    assert_eq!(
        Some(&modules[order[0]].path),
        std::env::current_exe().ok().as_ref()
    );
    assert!(
        order
            .iter()
            .any(|index| modules[*index].file_name().starts_with("libc.so"))
    );
}

#[test]
fn a_name_with_brackets_does_not_shift_the_fields() {
    let mut line = b"7 (a) R 1) S".to_vec();
    for field in 4..=52 {
        line.extend_from_slice(format!(" {field}").as_bytes());
    }
    let stat = Stat::parse(&line).unwrap();
    assert_eq!(
        (stat.name.as_str(), stat.state, stat.start_ticks),
        ("a) R 1", b'S', 22)
    );
    assert!(Stat::parse(b"7 (a").is_none());
    assert!(Stat::parse(b")7 (").is_none());
}
