//! Servers and allocators as people run them, beside bpftrace: redis-server (jemalloc), memcached, a
//! Rust program with jemalloc linked in, and the static probes of `tailcut-pool`.
//!
//! A server is stopped while tracers come and go, so that both see the same calls. This executable is
//! also the Rust program: it has jemalloc, a pool, and a `main` of its own.

#![cfg(all(target_os = "linux", target_arch = "x86_64"))]

mod common;

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::process::{Child, Command, ExitCode, Stdio};
use std::sync::atomic::AtomicBool;
use std::time::{Duration, Instant};

use common::bpftrace::{self, Bpftrace, Opinion};
use common::{Seen, Talker};
use libtest_mimic::{Arguments, Trial};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use object::{Object, ObjectSymbol};
use tailcut_pool::Pool;
use tailcut_probe::{Options, Session};

#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().collect();
    if let [_, word, work] = arguments.as_slice()
        && word == "target"
    {
        target(work);
        return ExitCode::SUCCESS;
    }
    let mut arguments = Arguments::from_args();
    arguments.test_threads = Some(1);
    let test = |name: &str, check: fn()| {
        Trial::test(name, move || {
            if !common::is_skipped() && !bpftrace::is_skipped() {
                common::within_five_attempts(check);
            }
            Ok(())
        })
    };
    let tests = vec![
        test("redis_server", redis_server),
        test("memcached", memcached),
        test(
            "jemalloc_within_a_rust_program",
            jemalloc_within_a_rust_program,
        ),
        test("probes_of_a_pool", probes_of_a_pool),
    ];
    libtest_mimic::run(&arguments, tests).exit_code()
}

const C_LIBRARY: &str = "/lib/x86_64-linux-gnu/libc.so.6";

/// Calls of the target that allocate.
const CALLS: u64 = 3_000;

unsafe extern "C" {
    fn _rjem_malloc(size: usize) -> *mut u8;
    fn _rjem_sdallocx(pointer: *mut u8, size: usize, flags: i32);
}

/// What this executable does as the Rust program that is traced. Nothing but the work allocates.
fn target(work: &str) {
    let addresses = [
        _rjem_malloc as *const () as u64,
        _rjem_sdallocx as *const () as u64,
    ];
    let pool = Pool::builder(|| 0_u64).capacity(256).build().unwrap();
    let waiting = Pool::builder(|| 0_u64).capacity(1).wait().build().unwrap();
    let mut held = Vec::with_capacity(300);
    print(&format!("{} {}\n", addresses[0], addresses[1]));
    wait_for_line();
    match work {
        "jemalloc" => {
            for size in 0..CALLS {
                drop(std::hint::black_box(Vec::<u8>::with_capacity(
                    1 + size as usize,
                )));
            }
        }
        _ => {
            for _ in 0..20 {
                for _ in 0..260 {
                    held.extend(pool.try_get());
                }
                held.clear();
            }
            std::thread::scope(|scope| {
                for _ in 0..10 {
                    let only = waiting.get();
                    let late = scope.spawn(|| drop(waiting.get()));
                    std::thread::sleep(Duration::from_millis(20));
                    drop(only);
                    late.join().unwrap();
                }
            });
        }
    }
    let (one, other) = (pool.statistics().total(), waiting.statistics().total());
    print(&format!(
        "{} {} {} {}\n",
        one.refills + other.refills,
        one.spills + other.spills,
        one.misses + other.misses,
        other.waits
    ));
    wait_for_line();
}

fn print(line: &str) {
    nix::unistd::write(std::io::stdout(), line.as_bytes()).unwrap();
}

fn wait_for_line() {
    let mut byte = [0];
    while nix::unistd::read(std::io::stdin(), &mut byte) == Ok(1) && byte != *b"\n" {}
}

fn jemalloc_within_a_rust_program() {
    let this = std::env::current_exe().unwrap();
    let mut target = Talker::start(Command::new(&this).args(["target", "jemalloc"]));
    let addresses = numbers(&target.line().unwrap());
    let program =
        "uprobe:EXE:_rjem_malloc /pid == PID/ { @malloc = count(); @bytes = sum(arg0); } \
         uprobe:EXE:_rjem_sdallocx /pid == PID/ { @free = count(); }"
            .replace("EXE", this.to_str().unwrap());
    target.wait_until_idle();
    let (seen, opinion, _) = both(target.pid(), "malloc,free", &program, &addresses, || {
        target.send("go");
        target.line();
        target.wait_until_idle();
    });
    let malloc = seen.of("malloc");
    // Printing its account takes some allocations more.
    assert_eq!(malloc, (opinion.of("malloc"), opinion.of("bytes")));
    assert!((CALLS..CALLS + 10).contains(&malloc.0), "{malloc:?}");
    assert_eq!(seen.of("free").0, opinion.of("free"));
}

fn probes_of_a_pool() {
    let this = std::env::current_exe().unwrap();
    let mut target = Talker::start(Command::new(&this).args(["target", "pool"]));
    target.line();
    let program = "usdt:EXE:tailcut_pool:refill { @refill = count(); @refilled = sum(arg2); } \
         usdt:EXE:tailcut_pool:spill { @spill = count(); @spilled = sum(arg2); } \
         usdt:EXE:tailcut_pool:exhausted { @exhausted = count(); } \
         usdt:EXE:tailcut_pool:wait_end { @wait = count(); @waited = sum(arg1); }"
        .replace("EXE", this.to_str().unwrap());
    target.wait_until_idle();
    let (seen, opinion, text) = both(target.pid(), "pool", &program, &[], || {
        target.send("go");
        let text = target.line().unwrap();
        target.wait_until_idle();
        text
    });
    // The pool's own account: batches, not objects.
    let own = numbers(&text);
    for (series, map, own) in [
        ("pool_refill", "refill", own[0]),
        ("pool_spill", "spill", own[1]),
        ("pool_exhausted", "exhausted", own[2]),
        ("pool_wait", "wait", own[3]),
    ] {
        let count = seen.of(series).0;
        assert!(count > 0, "{series}");
        assert_eq!(
            (count, count),
            (opinion.of(map), own),
            "{series}: bpftrace, the pool"
        );
    }
    assert_eq!(seen.seen.sums("pool_wait").total, opinion.of("waited"));
    assert_eq!(seen.seen.sums("pool_refill").total, opinion.of("refilled"));
    assert_eq!(seen.seen.sums("pool_spill").total, opinion.of("spilled"));
}

fn redis_server() {
    let mut command = Command::new("redis-server");
    command.args(["--save", "", "--loglevel", "warning"]);
    let Some(server) = Server::start(command, &["--port"]) else {
        return;
    };
    server.compare("libjemalloc.so.2", |stream| {
        for number in 0..400_usize {
            let value = "v".repeat(1 + number * 7);
            let request = format!(
                "*3\r\n$3\r\nSET\r\n$3\r\nkey\r\n${}\r\n{value}\r\n",
                value.len()
            );
            ask(stream, &request, "+OK");
        }
    });
}

fn memcached() {
    let mut command = Command::new("memcached");
    command.args(["-u", "nobody", "-l", "127.0.0.1", "-U", "0", "-t", "2"]);
    let library = common::OwnLibrary::copy(C_LIBRARY);
    command.env("LD_LIBRARY_PATH", library.folder());
    let Some(server) = Server::start(command, &["-p"]) else {
        return;
    };
    let port = server.port;
    server.compare("libc.so.6", |_| {
        // Connections are what it allocates for; values lie in its own slabs.
        let streams: Vec<TcpStream> = (0..40)
            .map(|number| {
                let mut stream = TcpStream::connect(("127.0.0.1", port)).unwrap();
                ask(
                    &mut stream,
                    &format!("set key{number} 0 0 5\r\nvalue\r\n"),
                    "STORED",
                );
                stream
            })
            .collect();
        drop(streams);
    });
}

/// A server on a port of its own; ends with this.
struct Server {
    child: Child,
    port: u16,
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Server {
    /// `None`, said aloud, if it is not installed.
    fn start(mut command: Command, port_flag: &[&str]) -> Option<Server> {
        let free = TcpListener::bind(("127.0.0.1", 0)).unwrap();
        let port = free.local_addr().unwrap().port();
        drop(free);
        command.args(port_flag).arg(port.to_string());
        let name = command.get_program().to_string_lossy().into_owned();
        let Ok(child) = command.stdout(Stdio::null()).spawn() else {
            common::skip(&format!("{name} is not installed"));
            return None;
        };
        let server = Server { child, port };
        let begin = Instant::now();
        while TcpStream::connect(("127.0.0.1", port)).is_err() {
            assert!(
                begin.elapsed() < Duration::from_secs(20),
                "{name} does not listen"
            );
            std::thread::sleep(Duration::from_millis(20));
        }
        Some(server)
    }

    /// Lets it serve under both tracers, and compares what they counted of its allocator.
    fn compare(&self, library: &str, work: impl FnOnce(&mut TcpStream) + Send) {
        let pid = self.child.id();
        let (path, malloc) = symbol(pid, library, "malloc");
        let (_, free) = symbol(pid, library, "free");
        let program = "uprobe:LIB:malloc /pid == PID/ { @malloc = count(); @bytes = sum(arg0); } \
             uprobe:LIB:calloc /pid == PID/ { @calloc = count(); } uprobe:LIB:realloc /pid == PID && arg0 >= LEAST/ { @realloc = count(); } \
             uprobe:LIB:free /pid == PID/ { @free = count(); }"
            .replace("LIB", &path)
            // glibc jumps to malloc when there is nothing to resize, which is then a malloc.
            .replace("LEAST", if library.starts_with("libc.") { "1" } else { "0" });
        let mut stream = TcpStream::connect(("127.0.0.1", self.port)).unwrap();
        let signal = |signal| kill(Pid::from_raw(pid.cast_signed()), signal).unwrap();
        signal(Signal::SIGSTOP);
        let (seen, opinion, ()) = both(pid, "malloc,free", &program, &[malloc, free], || {
            signal(Signal::SIGCONT);
            work(&mut stream);
            // Until it has taken notice of connections that ended.
            std::thread::sleep(Duration::from_millis(300));
            signal(Signal::SIGSTOP);
            std::thread::sleep(Duration::from_millis(100));
        });
        signal(Signal::SIGCONT);
        let malloc = seen.of("malloc");
        let all = malloc.0 + seen.of("calloc").0 + seen.of("realloc").0;
        assert!(all >= 20, "{all}");
        assert_eq!(malloc, (opinion.of("malloc"), opinion.of("bytes")));
        for series in ["calloc", "realloc", "free"] {
            assert_eq!(seen.of(series).0, opinion.of(series), "{series}");
        }
    }
}

/// Sends a request and reads one answer, which must begin as expected.
fn ask(stream: &mut TcpStream, request: &str, expected: &str) {
    stream.write_all(request.as_bytes()).unwrap();
    let mut answer = [0; 64];
    let length = stream.read(&mut answer).unwrap();
    assert!(answer[..length].starts_with(expected.as_bytes()));
}

/// What a session saw of series that it saw all the time.
struct Counted {
    seen: Seen,
}

impl Counted {
    /// Counts and bytes of a series, of whichever allocator.
    fn of(&self, series: &str) -> (u64, u64) {
        let ticks = self.seen.ticks.iter().flat_map(|tick| &tick.series);
        ticks
            .filter(|one| one.series.name == series)
            .fold((0, 0), |sum, one| {
                assert_eq!(one.sampled, 1.0, "{series} was not seen all the time");
                (sum.0 + one.histogram.len(), sum.1 + one.bytes)
            })
    }
}

/// Works while bpftrace and a session are attached.
fn both<T: Send>(
    pid: u32,
    series: &str,
    program: &str,
    addresses: &[u64],
    work: impl FnOnce() -> T + Send,
) -> (Counted, Opinion, T) {
    let tracer = Bpftrace::start(pid, program, addresses);
    let options = Options {
        series: series.parse().unwrap(),
        // None is used up.
        budget: 1e6,
        interval: Duration::from_millis(500),
        ..Options::default()
    };
    let mut session = Session::attach(pid, options).unwrap();
    for _ in 0..2 {
        session.next(&AtomicBool::new(false)).unwrap().unwrap();
    }
    let (seen, result) = common::watch(&mut session, work);
    assert_eq!(session.left_out(), &[] as &[String]);
    drop(session);
    (Counted { seen }, tracer.stop(), result)
}

fn numbers(text: &str) -> Vec<u64> {
    text.split(' ').map(|word| word.parse().unwrap()).collect()
}

/// The path of a library in a process, and the address of a symbol of it.
fn symbol(pid: u32, library: &str, name: &str) -> (String, u64) {
    let maps = std::fs::read_to_string(format!("/proc/{pid}/maps")).unwrap();
    let line = maps.lines().find(|line| line.contains(library)).unwrap();
    let path = line.split_ascii_whitespace().last().unwrap();
    let base = u64::from_str_radix(line.split('-').next().unwrap(), 16).unwrap();
    let file = std::fs::read(path).unwrap();
    let elf = object::File::parse(&*file).unwrap();
    let symbol = elf
        .dynamic_symbols()
        .find(|symbol| symbol.name() == Ok(name))
        .unwrap();
    (path.to_owned(), base + symbol.address())
}
