//! What tests of static probes share: the notes of the running test executable, and bpftrace
//! attached to it.
//!
//! Attaching takes root and bpftrace. Without them a test that needs them says `SKIPPED` and
//! passes, unless `TAILCUT_REQUIRE_BPF=1`, which makes that a failure.

#![allow(dead_code, reason = "no test uses all of it")]

use object::{Object, ObjectSection, SectionKind};
use std::io::Write;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

/// One static probe of the running executable.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Note {
    pub provider: String,
    pub name: String,
    /// As written, for instance `8@%rdi 4@%esi`.
    pub arguments: String,
    /// Virtual address in the file.
    pub location: u64,
    pub semaphore: u64,
    /// The first byte of code at the location, or nothing if that is not in an executable section.
    pub code: Vec<u8>,
}

impl Note {
    /// The widths of the arguments in bytes, negative if signed.
    ///
    /// # Panics
    /// If an argument is not a width, an at sign and a register of x86-64 of that width.
    pub fn widths(&self) -> Vec<i32> {
        self.arguments
            .split(' ')
            .filter(|argument| !argument.is_empty())
            .map(|argument| {
                let (width, register) = argument.split_once("@%").expect(argument);
                let width: i32 = width.parse().expect(argument);
                let wide = ["rax", "rbx", "rcx", "rdx", "rsi", "rdi", "rbp"].contains(&register)
                    || matches!(register, "r8" | "r9" | "r10" | "r11")
                    || matches!(register, "r12" | "r13" | "r14" | "r15");
                let narrow = ["eax", "ebx", "ecx", "edx", "esi", "edi", "ebp"].contains(&register)
                    || register.starts_with('r') && register.ends_with('d');
                assert!(
                    wide && width.abs() == 8 || narrow && width.abs() == 4,
                    "{argument}"
                );
                width
            })
            .collect()
    }
}

/// The probes of the running executable, of all providers.
pub fn notes() -> Vec<Note> {
    let file = std::fs::read(executable()).unwrap();
    let elf = object::File::parse(&*file).unwrap();
    let section = elf.section_by_name(".note.stapsdt");
    let mut rest = section.map_or(&[][..], |section| section.data().unwrap());
    let mut notes = Vec::new();
    while !rest.is_empty() {
        let word = |at: usize| u32::from_le_bytes(rest[at..at + 4].try_into().unwrap()) as usize;
        let (vendor, payload, kind) = (word(0), word(4), word(8));
        assert_eq!((&rest[12..12 + vendor], kind), (&b"stapsdt\0"[..], 3));
        let start = 12 + vendor.next_multiple_of(4);
        let body = &rest[start..start + payload];
        let address = |at: usize| u64::from_le_bytes(body[at..at + 8].try_into().unwrap());
        let mut texts = body[24..]
            .split(|&byte| byte == 0)
            .map(|text| String::from_utf8(text.to_vec()).unwrap());
        let location = address(0);
        notes.push(Note {
            provider: texts.next().unwrap(),
            name: texts.next().unwrap(),
            arguments: texts.next().unwrap(),
            location,
            semaphore: address(16),
            code: elf
                .sections()
                .filter(|section| section.kind() == SectionKind::Text)
                .find_map(|section| section.data_range(location, 1).unwrap())
                .map(<[u8]>::to_vec)
                .unwrap_or_default(),
        });
        rest = &rest[start + payload.next_multiple_of(4)..];
    }
    notes
}

/// Runs a program of bpftrace on this process, and `work` again and again until it ends, which
/// the program does by `exit()`. `EXE` in the program stands for the path of this executable.
/// Returns what it printed, or nothing if it cannot run here.
///
/// # Panics
/// If bpftrace fails, or does not end within a minute; if it cannot run here and
/// `TAILCUT_REQUIRE_BPF` is 1.
pub fn trace(program: &str, mut work: impl FnMut()) -> Option<String> {
    if let Some(reason) = obstacle() {
        assert!(
            std::env::var("TAILCUT_REQUIRE_BPF").as_deref() != Ok("1"),
            "TAILCUT_REQUIRE_BPF is set, but {reason}"
        );
        // Not by `eprintln!`, which the test harness keeps to itself when a test passes.
        let message = format!("SKIPPED: {reason}\n");
        std::io::stderr().write_all(message.as_bytes()).unwrap();
        return None;
    }
    let tracer = Command::new("bpftrace")
        .args(["-p", &std::process::id().to_string(), "-e"])
        .arg(program.replace("EXE", executable().to_str().unwrap()))
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let id = tracer.id();
    let reader = std::thread::spawn(|| tracer.wait_with_output().unwrap());
    let deadline = Instant::now() + Duration::from_secs(60);
    while !reader.is_finished() {
        work();
        std::thread::sleep(Duration::from_millis(1));
        if Instant::now() > deadline {
            // SAFETY: our own child, for which the reader is still waiting.
            unsafe { libc::kill(id as i32, libc::SIGTERM) };
            panic!("bpftrace saw nothing that made it end");
        }
    }
    let output = reader.join().unwrap();
    let complaint = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "bpftrace: {complaint}");
    Some(String::from_utf8(output.stdout).unwrap())
}

/// Why bpftrace cannot attach here, if so.
fn obstacle() -> Option<String> {
    // SAFETY: no preconditions.
    if unsafe { libc::geteuid() } != 0 {
        return Some("attaching a tracer takes root".into());
    }
    match Command::new("bpftrace").arg("--version").output() {
        Ok(_) => None,
        Err(error) => Some(format!("bpftrace does not run: {error}")),
    }
}

fn executable() -> PathBuf {
    std::env::current_exe().unwrap()
}
