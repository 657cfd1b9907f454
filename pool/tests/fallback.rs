//! Where the system withholds what restartable sequences need, the pool says so once and works:
//! children of this process, since a C library is configured and a sandbox entered for good.
//!
//! A sandbox that forbids `rseq` itself, later, has no test: glibc ends the process then, when it
//! next starts a thread ("rseq registration failed"). For a thread that is not registered all the
//! same see `unregistered.rs`.
#![cfg(all(
    target_os = "linux",
    target_arch = "x86_64",
    target_env = "gnu",
    not(any(loom, shuttle))
))]

mod common;

use std::process::Command;

use common::bind;
use tailcut_pool::{AsIs, Pool};

/// Runs one of the ignored tests below in a process of its own, and returns what it printed.
fn child(test: &str, environment: &[(&str, &str)]) -> String {
    let output = Command::new(std::env::current_exe().unwrap())
        .args([
            "--exact",
            test,
            "--ignored",
            "--nocapture",
            "--test-threads=1",
        ])
        .envs(environment.iter().copied())
        .output()
        .unwrap();
    let told = String::from_utf8_lossy(&output.stdout).into_owned();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{told}\n{errors}");
    assert!(told.contains("1 passed"), "no test of this name: {told}");
    told
}

fn lines<'t>(text: &'t str, prefix: &'t str) -> Vec<&'t str> {
    let cut = |line: &'t str| line.split_once(prefix).map(|(_, rest)| rest);
    text.lines().filter_map(cut).collect()
}

#[test]
fn a_c_library_that_registers_no_thread_is_told_of_in_one_line() {
    let told = child(
        "tells_its_path",
        &[("GLIBC_TUNABLES", "glibc.pthread.rseq=0")],
    );
    let why = "the C library registers no thread for rseq";
    let path = format!("portable ({why})");
    assert_eq!(lines(&told, "path: "), [&path, &path]);
    let logged = lines(&told, "log: ");
    assert_eq!(logged.len(), usize::from(cfg!(feature = "log")));
    for line in logged {
        assert!(line.starts_with("WARN ") && line.ends_with(why), "{line}");
    }
}

#[test]
fn a_sandbox_without_membarrier_is_told_of_in_one_line() {
    if !sequences_work() {
        return;
    }
    let told = child("tells_its_path_without_membarrier", &[]);
    let path = "portable (no membarrier for rseq)";
    assert_eq!(lines(&told, "path: "), [path, path]);
    assert_eq!(
        lines(&told, "log: ").len(),
        usize::from(cfg!(feature = "log"))
    );
}

#[test]
fn a_sandbox_that_comes_later_costs_no_object_and_no_sleep() {
    if !sequences_work() {
        return;
    }
    child("loses_membarrier_under_a_pool", &[]);
}

/// Whether there is anything to be withheld; says so if not.
fn sequences_work() -> bool {
    let path = pool(1).path();
    let work = path == tailcut_pool::Path::Rseq;
    if !work {
        eprintln!("SKIPPED: no restartable sequences here: {path}");
    }
    work
}

fn pool(capacity: usize) -> Pool<u64, AsIs> {
    Pool::builder(|| 0_u64)
        .keep_as_is()
        .capacity(capacity)
        .build()
        .unwrap()
}

/// Every object is there, once, for a thread that uses all forms of get and put.
fn all_are_there(pool: &Pool<u64, AsIs>) {
    for _ in 0..3 {
        let owned = pool.try_get_owned().unwrap();
        let array = pool.try_get_array::<4>().unwrap();
        let mut window = pool.window();
        (5..pool.capacity()).for_each(|_| window.push(pool.try_get().unwrap()));
        assert!(pool.try_get().is_err());
        pool.put_all(array);
        drop((window, owned));
    }
}

#[cfg(feature = "log")]
fn print_log() {
    struct Printer;
    impl log::Log for Printer {
        fn enabled(&self, _: &log::Metadata<'_>) -> bool {
            true
        }
        fn log(&self, record: &log::Record<'_>) {
            println!("log: {} {}", record.level(), record.args());
        }
        fn flush(&self) {}
    }
    log::set_logger(&Printer).unwrap();
    log::set_max_level(log::LevelFilter::Trace);
}

#[cfg(not(feature = "log"))]
fn print_log() {}

#[test]
#[ignore = "run in a child process"]
fn tells_its_path() {
    print_log();
    println!();
    for _ in 0..2 {
        let pool = pool(100);
        println!("path: {}", pool.path());
        all_are_there(&pool);
    }
}

#[test]
#[ignore = "run in a child process"]
fn tells_its_path_without_membarrier() {
    forbid(libc::SYS_membarrier);
    tells_its_path();
}

#[test]
#[ignore = "run in a child process"]
fn loses_membarrier_under_a_pool() {
    let pool = pool(100);
    let waited = Pool::builder(|| 0_u64)
        .keep_as_is()
        .capacity(1)
        .wait()
        .build()
        .unwrap();
    // Some objects lie with each of two CPUs.
    for cpu in 0..2 {
        bind(cpu);
        let held: Vec<_> = (0..100).map(|_| pool.try_get().unwrap()).collect();
        drop(held);
    }
    forbid(libc::SYS_membarrier);
    // What lies with another CPU is out of reach: it may be refused, but is neither handed out
    // twice nor waited for, and a thread that is there finds it.
    let mut held = Vec::new();
    for cpu in [1, 0, 1] {
        bind(cpu);
        while let Ok(guard) = pool.try_get() {
            held.push(guard);
        }
    }
    assert_eq!(held.len(), 100);
    drop(held);
    // Who waits is found by the next put.
    let object = waited.get();
    std::thread::scope(|scope| {
        scope.spawn(|| drop(waited.get()));
        while waited.statistics().waiting == 0 {
            std::thread::yield_now();
        }
        drop(object);
    });
    let owned = pool.try_get_owned().unwrap();
    drop(pool);
    drop(owned);
}

/// Forbids a system call to the calling thread and to those it starts (seccomp): it fails with
/// EPERM from now on.
fn forbid(call: libc::c_long) {
    const NUMBER: u32 = 0; // offset of `nr` in `struct seccomp_data`
    let statement = |code: u32, k: u32| libc::sock_filter {
        code: code as u16,
        jt: 0,
        jf: 0,
        k,
    };
    let mut filter = [
        statement(libc::BPF_LD | libc::BPF_W | libc::BPF_ABS, NUMBER),
        libc::sock_filter {
            jf: 1,
            ..statement(libc::BPF_JMP | libc::BPF_JEQ | libc::BPF_K, call as u32)
        },
        statement(
            libc::BPF_RET | libc::BPF_K,
            libc::SECCOMP_RET_ERRNO | libc::EPERM as u32,
        ),
        statement(libc::BPF_RET | libc::BPF_K, libc::SECCOMP_RET_ALLOW),
    ];
    let program = libc::sock_fprog {
        len: filter.len() as u16,
        filter: filter.as_mut_ptr(),
    };
    // SAFETY: the program is valid, and the kernel copies it.
    let done = unsafe {
        libc::prctl(libc::PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0
            && libc::prctl(
                libc::PR_SET_SECCOMP,
                libc::SECCOMP_MODE_FILTER,
                &raw const program,
            ) == 0
    };
    assert!(done, "{}", std::io::Error::last_os_error());
}
