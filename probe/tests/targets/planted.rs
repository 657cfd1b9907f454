//! The target: a process that makes pauses of known kind, length and time, and says so.
//!
//! One scenario a process. It waits for two lines on standard input, runs, prints one line of JSON for
//! each pause that it has made ([`Line`]), says that it is done, and waits for another line; so whoever
//! traces it knows what lies between, and that nothing else did. (Of the first wait a tracer knows no
//! beginning, since it attaches within it.)
//!
//! Times are what the thread itself read from `CLOCK_MONOTONIC` just before and just after.

use std::io::{BufRead, Write};
use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Barrier, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use memmap2::{Advice, MmapMut, UncheckedAdvice};
use nix::sched::{CpuSet, sched_setaffinity};
use nix::time::{ClockId, clock_gettime};
use nix::unistd::{Pid, gettid};
use serde::{Deserialize, Serialize};

/// One line that the target prints.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Line {
    /// It waits for a line on standard input.
    Ready,
    /// It has had one, and waits for another: what goes before is known of this wait.
    Awake,
    /// It has made a pause.
    Planted(Planted),
    /// A figure that the thread read from the kernel about itself.
    Figure(String, u64),
    /// It has done all, and waits.
    Done,
}

/// A pause that was made.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Planted {
    /// The series that it belongs to.
    pub kind: String,
    pub process: u32,
    pub thread: u32,
    /// `CLOCK_MONOTONIC`, in nanoseconds.
    pub start_ns: u64,
    pub end_ns: u64,
    /// Bytes mapped or unmapped, 0 if it is not about bytes.
    pub bytes: u64,
}

impl Planted {
    pub fn length_ns(&self) -> u64 {
        self.end_ns - self.start_ns
    }
}

/// Runs a scenario.
///
/// # Panics
/// If the scenario is unknown, or the kernel refuses what it needs.
pub fn main(scenario: &str) {
    say(&Line::Ready);
    wait_for_line();
    say(&Line::Awake);
    wait_for_line();
    match scenario {
        "idle" => thread::sleep(Duration::from_millis(1500)),
        "busy" => spin(Duration::from_millis(1500)),
        "munmap" => munmap(&[64, 128, 256]),
        "madvise" => madvise(),
        "mprotect" => mprotect(),
        "touch" => touch(),
        "futex" => futex(),
        "interrupted" => interrupted(),
        "waits" => waits(),
        "stopped" => stopped(),
        "stolen" => stolen(),
        "late" => late(),
        "long" => long(),
        "mmap_lock" => mmap_lock(),
        "children" => children(),
        "threads" => threads(),
        "processes" => processes(),
        "ends" => return,
        unknown => panic!("no scenario {unknown}"),
    }
    say(&Line::Done);
    wait_for_line();
}

fn munmap(sizes: &[u64]) {
    for mebibytes in sizes {
        let map = touched(*mebibytes);
        planted("munmap", bytes(*mebibytes), || drop(map));
    }
}

fn madvise() {
    for mebibytes in [64, 128, 256] {
        let map = touched(mebibytes);
        planted("madvise", bytes(mebibytes), || {
            // SAFETY: nothing refers to the mapping's contents.
            unsafe { map.unchecked_advise(UncheckedAdvice::DontNeed) }.unwrap();
        });
    }
}

fn mprotect() {
    for mebibytes in [256, 512] {
        let map = touched(mebibytes);
        planted("mprotect", bytes(mebibytes), || {
            map.make_read_only().unwrap()
        });
    }
}

fn touch() {
    for mebibytes in [64, 1024] {
        drop(touched(mebibytes));
    }
}

/// A thread waits for a lock that another holds.
fn futex() {
    let lock = Mutex::new(());
    let barrier = Barrier::new(2);
    thread::scope(|scope| {
        scope.spawn(|| {
            for _ in 0..5 {
                barrier.wait();
                planted("futex", 0, || drop(lock.lock()));
                barrier.wait();
            }
        });
        for milliseconds in [5, 20, 50, 100, 200] {
            let held = lock.lock();
            barrier.wait();
            thread::sleep(Duration::from_millis(milliseconds));
            drop(held);
            barrier.wait();
        }
    });
}

/// Waits for another thread with a limit of time, and is stopped meanwhile.
fn interrupted() {
    say(&Line::Figure("waiting".to_owned(), 0));
    planted("futex", 0, || {
        thread::park_timeout(Duration::from_millis(900));
    });
}

/// Waits for work: no pauses.
fn waits() {
    planted("sleep", 0, || thread::sleep(Duration::from_millis(80)));
    let (reader, mut writer) = std::io::pipe().unwrap();
    thread::scope(|scope| {
        scope.spawn(move || {
            planted("sleep", 0, || {
                std::io::BufReader::new(reader)
                    .read_line(&mut String::new())
                    .unwrap();
            });
        });
        thread::sleep(Duration::from_millis(120));
        writer.write_all(b"work\n").unwrap();
    });
}

/// Says when it found that much time had gone while it was reading the clock.
fn stopped() {
    say(&Line::Figure("spinning".to_owned(), 0));
    let mut found = 0;
    let mut last = now();
    while found < 3 {
        let read = now();
        if read - last > 100_000_000 {
            print("stopped", last, read, 0);
            found += 1;
            last = now();
        } else {
            last = read;
        }
    }
}

/// Another process wants the same CPU.
fn stolen() {
    pin_to_first_cpu();
    say(&Line::Figure("run_delay".to_owned(), run_delay()));
    spin(Duration::from_millis(800));
    say(&Line::Figure("run_delay".to_owned(), run_delay()));
}

/// Wakes up again and again while another thread has the CPU.
fn late() {
    pin_to_first_cpu();
    say(&Line::Figure("run_delay".to_owned(), run_delay()));
    for _ in 0..40 {
        thread::sleep(Duration::from_millis(7));
    }
    say(&Line::Figure("run_delay".to_owned(), run_delay()));
}

/// Runs without a pause, which takes a priority above all ordinary threads.
fn long() {
    real_time();
    for _ in 0..3 {
        planted("long_running", 0, || spin(Duration::from_millis(40)));
        thread::sleep(Duration::from_millis(20));
    }
}

/// One thread unmaps much, which holds the lock of the memory map; another maps, which takes it.
fn mmap_lock() {
    let over = AtomicBool::new(false);
    thread::scope(|scope| {
        scope.spawn(|| {
            while !over.load(Ordering::Relaxed) {
                let start_ns = now();
                let map = MmapMut::map_anon(4096).unwrap();
                let end_ns = now();
                if end_ns - start_ns > 5_000_000 {
                    print("mmap_lock", start_ns, end_ns, 0);
                }
                drop(map);
                thread::sleep(Duration::from_micros(500));
            }
        });
        for _ in 0..3 {
            drop(touched(512));
        }
        over.store(true, Ordering::Relaxed);
    });
}

/// A child makes a pause of its own; another executes a program.
fn children() {
    let this = std::env::current_exe().unwrap();
    let output = Command::new(this)
        .args(["target", "munmap"])
        .stdin(std::process::Stdio::null())
        .output()
        .unwrap();
    for line in output.stdout.split(|byte| *byte == b'\n') {
        if let Ok(Line::Planted(planted)) = serde_json::from_slice(line) {
            say(&Line::Planted(planted));
        }
    }
}

/// Twenty thousand threads that live for a moment, then a pause in one that goes on.
fn threads() {
    for _ in 0..5_000 {
        thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| std::hint::black_box(now()));
            }
        });
    }
    // Longer than the many short ones that the threads have made.
    munmap(&[128, 256]);
}

/// Many processes, then a pause.
fn processes() {
    for _ in 0..1_500 {
        // SAFETY: the child only ends, by a call that is safe after a fork.
        match unsafe { nix::unistd::fork() }.unwrap() {
            nix::unistd::ForkResult::Child => {
                // SAFETY: as above.
                unsafe { libc::_exit(0) }
            }
            nix::unistd::ForkResult::Parent { child } => {
                nix::sys::wait::waitpid(child, None).unwrap();
            }
        }
    }
    children();
}

/// Does `work`, and says how long it took as a pause of `kind`.
fn planted<T>(kind: &str, bytes: u64, work: impl FnOnce() -> T) -> T {
    let start_ns = now();
    let result = work();
    print(kind, start_ns, now(), bytes);
    result
}

fn print(kind: &str, start_ns: u64, end_ns: u64, bytes: u64) {
    say(&Line::Planted(Planted {
        kind: kind.to_owned(),
        process: std::process::id(),
        thread: gettid().as_raw() as u32,
        start_ns,
        end_ns,
        bytes,
    }));
}

fn say(line: &Line) {
    let mut text = serde_json::to_string(line).unwrap();
    text.push('\n');
    let mut out = std::io::stdout().lock();
    out.write_all(text.as_bytes()).unwrap();
    out.flush().unwrap();
}

fn wait_for_line() {
    let _ = std::io::stdin().lock().read_line(&mut String::new());
}

/// A mapping of which each page has been written, in pages of the usual size.
fn touched(mebibytes: u64) -> MmapMut {
    let mut map = MmapMut::map_anon(bytes(mebibytes) as usize).unwrap();
    // A kernel without huge pages refuses, and needs no such advice.
    let _ = map.advise(Advice::NoHugePage);
    for page in map.chunks_mut(4096) {
        page[0] = 1;
    }
    map
}

fn bytes(mebibytes: u64) -> u64 {
    mebibytes << 20
}

fn now() -> u64 {
    let time = clock_gettime(ClockId::CLOCK_MONOTONIC).unwrap();
    time.tv_sec() as u64 * 1_000_000_000 + time.tv_nsec() as u64
}

fn spin(length: Duration) {
    let begin = Instant::now();
    while begin.elapsed() < length {
        std::hint::spin_loop();
    }
}

pub fn pin_to_first_cpu() {
    let mut cpus = CpuSet::new();
    cpus.set(0).unwrap();
    sched_setaffinity(Pid::from_raw(0), &cpus).unwrap();
}

/// The calling thread is preferred to all ordinary ones from here on.
pub fn real_time() {
    let parameter = libc::sched_param { sched_priority: 1 };
    // SAFETY: the call reads the parameter, which outlives it.
    let failed = unsafe { libc::sched_setscheduler(0, libc::SCHED_FIFO, &raw const parameter) };
    assert_eq!(failed, 0, "{}", std::io::Error::last_os_error());
}

/// Nanoseconds that this thread has been runnable without a CPU, as the kernel counts.
fn run_delay() -> u64 {
    let text = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap();
    text.split(' ').nth(1).unwrap().parse().unwrap()
}
