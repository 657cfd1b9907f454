//! `membarrier(2)` for restartable sequences.

use std::io;

const PRIVATE_EXPEDITED_RSEQ: libc::c_int = 1 << 7;
const REGISTER_PRIVATE_EXPEDITED_RSEQ: libc::c_int = 1 << 8;
const FLAG_CPU: libc::c_uint = 1;

fn membarrier(command: libc::c_int, flags: libc::c_uint, cpu: u32) -> io::Result<()> {
    // SAFETY: the call takes three integers and touches no memory of ours.
    match unsafe { libc::syscall(libc::SYS_membarrier, command, flags, cpu as libc::c_int) } {
        0 => Ok(()),
        _ => Err(io::Error::last_os_error()),
    }
}

/// Announces that this process will fence; needed once, allowed again.
pub(super) fn register() -> io::Result<()> {
    membarrier(REGISTER_PRIVATE_EXPEDITED_RSEQ, 0, 0)
}

/// Restarts every sequence that a thread of this process runs now.
pub(super) fn restart_all_sequences() -> io::Result<()> {
    membarrier(PRIVATE_EXPEDITED_RSEQ, 0, 0)
}

/// Restarts the sequence, if any, that a thread of this process runs on `cpu` now.
pub(super) fn restart_sequences_on(cpu: u32) -> io::Result<()> {
    membarrier(PRIVATE_EXPEDITED_RSEQ, FLAG_CPU, cpu)
}
