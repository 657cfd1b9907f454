//! How many processors (`GOMAXPROCS`) a Go program has: so many goroutines can run at one time.

use std::fs::File;
use std::os::unix::fs::FileExt;

use crate::binary::go::GoProgram;

/// More than any machine has: a greater number is none.
const MOST: i32 = 1 << 16;

/// As the program has it now. `None` in a program without symbols, or whose memory cannot be read.
pub(super) fn of(pid: u32, program: &GoProgram) -> Option<u32> {
    let address = program.runtime_variable("runtime.gomaxprocs")?;
    let memory = File::open(format!("/proc/{pid}/mem")).ok()?;
    let mut bytes = [0; 4];
    memory.read_exact_at(&mut bytes, address).ok()?;
    let number = i32::from_ne_bytes(bytes);
    // A program that is just starting has not set it yet.
    (1..=MOST).contains(&number).then(|| number.unsigned_abs())
}
