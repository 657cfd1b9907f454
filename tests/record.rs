//! `tailcut record` where something is wrong: one clear message, nothing left attached, and what was
//! written before can be read.
//!
//! Tracing takes root: without it most of these say `SKIPPED` and pass, unless `TAILCUT_REQUIRE_BPF=1`.

#![cfg(target_os = "linux")]

use std::fs::File;
use std::io::{BufRead, BufReader, Write};
use std::os::unix::fs::{FileExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use tempfile::TempDir;

const PATIENCE: Duration = Duration::from_secs(30);

fn skip(reason: &str) {
    assert!(
        std::env::var("TAILCUT_REQUIRE_BPF").as_deref() != Ok("1"),
        "TAILCUT_REQUIRE_BPF is set, but {reason}"
    );
    // Not by `eprintln!`, which the test harness keeps to itself when a test passes.
    let message = format!("SKIPPED: {reason}\n");
    std::io::stderr().write_all(message.as_bytes()).unwrap();
}

fn is_skipped() -> bool {
    let is_root = nix::unistd::geteuid().is_root();
    if !is_root {
        skip("tracing takes root");
    }
    !is_root
}

fn tailcut() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_tailcut"));
    command.env("RUST_BACKTRACE", "0");
    command
}

fn quiet(command: &mut Command) -> &mut Command {
    command.stdout(Stdio::null()).stderr(Stdio::null())
}

fn record(arguments: &[&str], out: &Path) -> Output {
    let mut command = tailcut();
    command.arg("record").arg("-o").arg(out).args(arguments);
    command.stdin(Stdio::null()).output().unwrap()
}

/// It failed, with a message that has all of `words`, is no longer than a few lines, and no panic.
fn assert_refused(output: &Output, words: &[&str]) {
    let message = String::from_utf8_lossy(&output.stderr);
    assert!(!output.status.success(), "{message}");
    for word in words {
        assert!(message.contains(word), "{word:?} is not in: {message}");
    }
    assert!(message.lines().count() <= 6, "{message}");
    assert!(!message.contains("panicked"), "{message}");
}

/// A program of C that waits for a line, answers it, and ends at the end of its input.
struct Target {
    child: Child,
    output: BufReader<std::process::ChildStdout>,
    malloc: u64,
    _folder: TempDir,
}

impl Target {
    fn start() -> Target {
        const SOURCE: &str = r#"
            #include <stdio.h>
            #include <stdlib.h>
            #include <sys/mman.h>
            int main(void) {
                printf("%p\n", (void *)malloc), fflush(stdout);
                for (int byte; (byte = getchar()) != EOF;) {
                    if (byte == 'b')
                        for (;;) { /* as many pauses as it can make */
                            char *map = mmap(0, 1 << 20, 3, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
                            for (int i = 0; i < 1 << 20; i += 4096) map[i] = 1;
                            munmap(map, 1 << 20);
                        }
                    free(malloc((size_t)byte));
                    putchar('\n'), fflush(stdout);
                }
            }"#;
        let folder = tempfile::tempdir().unwrap();
        let program = compile(folder.path(), SOURCE, &["-O1", "-fno-builtin"]).unwrap();
        let mut child = Command::new(program)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut output = BufReader::new(child.stdout.take().unwrap());
        let mut line = String::new();
        output.read_line(&mut line).unwrap();
        Target {
            malloc: u64::from_str_radix(line.trim().trim_start_matches("0x"), 16).unwrap(),
            child,
            output,
            _folder: folder,
        }
    }

    fn pid(&self) -> String {
        self.child.id().to_string()
    }

    fn send(&mut self, text: &str) {
        let input = self.child.stdin.as_mut().unwrap();
        input.write_all(text.as_bytes()).unwrap();
    }

    /// Calls malloc and free, and says so.
    fn answers(&mut self) -> bool {
        self.send("x");
        let mut line = String::new();
        self.output.read_line(&mut line).unwrap() == 1
    }

    fn code(&self) -> [u8; 256] {
        let memory = File::open(format!("/proc/{}/mem", self.child.id())).unwrap();
        let mut code = [0; 256];
        memory.read_exact_at(&mut code, self.malloc).unwrap();
        code
    }
}

impl Drop for Target {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn compile(folder: &Path, source: &str, flags: &[&str]) -> Option<PathBuf> {
    let file = folder.join("target.c");
    let program = folder.join("target");
    std::fs::write(&file, source).unwrap();
    let output = Command::new("cc")
        .args(flags)
        .arg("-o")
        .args([&program, &file])
        .output()
        .expect("these tests take a C compiler");
    output.status.success().then_some(program)
}

fn wait_until(what: &str, mut is_so: impl FnMut() -> bool) {
    let begin = Instant::now();
    while !is_so() {
        assert!(begin.elapsed() < PATIENCE, "{what} does not happen");
        std::thread::sleep(Duration::from_millis(5));
    }
}

fn state(recording: &Path) -> String {
    let text = std::fs::read(recording.join("probe.json")).unwrap();
    let meta: serde_json::Value = serde_json::from_slice(&text).unwrap();
    meta["state"].as_str().unwrap().to_owned()
}

/// A recording that `tailcut report` takes.
fn assert_readable(recording: &Path) {
    let mut command = tailcut();
    let output = command.arg("report").arg(recording).arg("--json");
    let output = output.output().unwrap();
    let message = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{message}");
    serde_json::from_slice::<serde_json::Value>(&output.stdout).unwrap();
}

#[test]
fn a_process_that_is_not_there_is_named_and_no_folder_is_left() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("recording");
    let output = record(&["-p", "4194999", "-d", "1"], &out);
    assert_refused(&output, &["no process", "4194999"]);
    assert!(!out.exists());
}

#[test]
fn a_program_that_is_not_there_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let output = record(
        &["--", "/nowhere/program"],
        &folder.path().join("recording"),
    );
    assert_refused(&output, &["/nowhere/program"]);
}

#[test]
fn without_privileges_it_says_what_is_missing() {
    if is_skipped() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let open = |path: &Path, mode| {
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).unwrap();
    };
    open(folder.path(), 0o777);
    let program = folder.path().join("tailcut");
    std::fs::copy(env!("CARGO_BIN_EXE_tailcut"), &program).unwrap();
    open(&program, 0o755);
    let as_nobody = || {
        let mut command = Command::new("setpriv");
        command.args(["--reuid=65534", "--regid=65534", "--clear-groups"]);
        command
    };
    let mut target = as_nobody().args(["sleep", "60"]).spawn().unwrap();
    let output = as_nobody()
        .arg(&program)
        .args(["record", "-d", "1", "-p", &target.id().to_string(), "-o"])
        .arg(folder.path().join("recording"))
        .env("RUST_BACKTRACE", "0")
        .output()
        .unwrap();
    target.kill().unwrap();
    target.wait().unwrap();
    assert_refused(&output, &["doctor"]);
}

#[test]
fn a_target_that_ends_completes_its_recording() {
    if is_skipped() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("recording");
    let mut target = Target::start();
    let mut command = tailcut();
    command
        .args(["record", "-p", &target.pid(), "-o"])
        .arg(&out);
    let mut tracer = quiet(&mut command).spawn().unwrap();
    wait_until("recording", || out.join("probe.json").exists());
    assert!(target.answers());
    target.child.stdin.take();
    target.child.wait().unwrap();
    wait_until("its end", || tracer.try_wait().unwrap().is_some());
    assert!(tracer.wait().unwrap().success());
    assert_eq!(state(&out), "complete");
    assert_readable(&out);
}

#[test]
fn a_target_that_is_killed_while_it_is_attached_to_is_no_panic() {
    if is_skipped() {
        return;
    }
    for milliseconds in [0, 20, 60, 120, 200, 300] {
        let folder = tempfile::tempdir().unwrap();
        let mut target = Target::start();
        let mut command = tailcut();
        command.args([
            "record",
            "--series",
            "default,malloc,free",
            "-p",
            &target.pid(),
            "-o",
        ]);
        command.arg(folder.path().join("recording"));
        let tracer = command
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        std::thread::sleep(Duration::from_millis(milliseconds));
        target.child.kill().unwrap();
        target.child.wait().unwrap();
        let output = tracer.wait_with_output().unwrap();
        let message = String::from_utf8_lossy(&output.stderr);
        assert!(!message.contains("panicked"), "{message}");
        assert!(
            output.status.code().is_some(),
            "{:?}: {message}",
            output.status
        );
    }
}

#[test]
fn killed_it_leaves_the_target_as_it_was() {
    if is_skipped() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let mut target = Target::start();
    let before = target.code();
    let mut command = tailcut();
    command.args([
        "record",
        "--series",
        "malloc",
        "--budget",
        "100%",
        "-p",
        &target.pid(),
        "-o",
    ]);
    command.arg(folder.path().join("recording"));
    let mut tracer = quiet(&mut command).spawn().unwrap();
    wait_until("a breakpoint", || target.code() != before);
    let recording = folder.path().join("recording");
    wait_until("a recording", || recording.join("meta.json").exists());
    assert!(target.answers());
    tracer.kill().unwrap();
    tracer.wait().unwrap();
    wait_until("its removal", || target.code() == before);
    assert!(target.answers());
    assert_readable(&folder.path().join("recording"));
}

#[test]
fn a_full_disk_is_said_and_what_was_written_can_be_read() {
    if is_skipped() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let mounted = Command::new("mount")
        .args(["-t", "tmpfs", "-o", "size=64k", "tmpfs"])
        .arg(folder.path())
        .output()
        .unwrap();
    if !mounted.status.success() {
        return skip("a small file system cannot be mounted");
    }
    struct Mounted<'a>(&'a Path);
    impl Drop for Mounted<'_> {
        fn drop(&mut self) {
            let _ = Command::new("umount").arg(self.0).status();
        }
    }
    let _mounted = Mounted(folder.path());
    let mut target = Target::start();
    target.send("b");
    let out = folder.path().join("recording");
    let output = record(
        &["-p", &target.pid(), "--threshold", "1us", "-d", "8"],
        &out,
    );
    assert_refused(&output, &["No space left", "pauses"]);
    assert_readable(&out);
}

#[test]
fn a_32_bit_target_is_refused_by_name() {
    if is_skipped() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    // Without a C library, which a machine may lack for 32 bits; 29 is `pause`.
    const SOURCE: &str =
        r#"void _start(void) { for (;;) __asm__ volatile("int $0x80" : : "a"(29)); }"#;
    let flags = ["-m32", "-nostdlib", "-static", "-ffreestanding"];
    let Some(program) = compile(folder.path(), SOURCE, &flags) else {
        return skip("the C compiler makes no 32-bit programs");
    };
    let Ok(mut target) = Command::new(program).spawn() else {
        return skip("this kernel runs no 32-bit programs");
    };
    let pid = target.id().to_string();
    let output = record(
        &["--series", "default,malloc", "-p", &pid, "-d", "1"],
        &folder.path().join("recording"),
    );
    target.kill().unwrap();
    target.wait().unwrap();
    let message = String::from_utf8_lossy(&output.stderr);
    assert!(message.contains("32-bit"), "{message}");
    assert!(!message.contains("panicked"), "{message}");
}
