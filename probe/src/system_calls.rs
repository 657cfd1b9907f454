//! The system calls that the programs know: which are timed, and what a thread waits for that
//! blocks in one.

use tailcut_probe_ebpf::records::{SystemCall, WAITS_FOR_FUTEX, WAITS_FOR_INPUT, WAITS_FOR_WORK};
use tailcut_probe_ebpf::series::Fixed;

use Meaning::{Timed, WaitsForFutex, WaitsForInput, WaitsForWork};

/// What one call means to the programs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Meaning {
    /// Timed as a series; the number of the argument that is a length.
    Timed(Fixed, u16),
    WaitsForWork,
    WaitsForInput,
    WaitsForFutex,
}

/// Where the arguments of a system call lie in `pt_regs`: rdi, rsi, rdx, r10, r8, r9.
const ARGUMENTS: [u16; 6] = [14 * 8, 13 * 8, 12 * 8, 7 * 8, 9 * 8, 8 * 8];

const TABLE: [(libc::c_long, Meaning); 38] = [
    (libc::SYS_mmap, Timed(Fixed::Mmap, 1)),
    (libc::SYS_munmap, Timed(Fixed::Munmap, 1)),
    (libc::SYS_mremap, Timed(Fixed::Mremap, 2)),
    (libc::SYS_madvise, Timed(Fixed::Madvise, 1)),
    (libc::SYS_brk, Timed(Fixed::Brk, 0)),
    (libc::SYS_mprotect, Timed(Fixed::Mprotect, 1)),
    (libc::SYS_futex, WaitsForFutex),
    (libc::SYS_futex_waitv, WaitsForFutex),
    // futex_wake and futex_wait, which libc does not name everywhere.
    (454, WaitsForFutex),
    (455, WaitsForFutex),
    (libc::SYS_poll, WaitsForWork),
    (libc::SYS_ppoll, WaitsForWork),
    (libc::SYS_select, WaitsForWork),
    (libc::SYS_pselect6, WaitsForWork),
    (libc::SYS_epoll_wait, WaitsForWork),
    (libc::SYS_epoll_pwait, WaitsForWork),
    (libc::SYS_epoll_pwait2, WaitsForWork),
    (libc::SYS_nanosleep, WaitsForWork),
    (libc::SYS_clock_nanosleep, WaitsForWork),
    (libc::SYS_pause, WaitsForWork),
    (libc::SYS_rt_sigsuspend, WaitsForWork),
    (libc::SYS_rt_sigtimedwait, WaitsForWork),
    (libc::SYS_wait4, WaitsForWork),
    (libc::SYS_waitid, WaitsForWork),
    (libc::SYS_accept, WaitsForWork),
    (libc::SYS_accept4, WaitsForWork),
    (libc::SYS_io_getevents, WaitsForWork),
    (libc::SYS_io_uring_enter, WaitsForWork),
    (libc::SYS_recvfrom, WaitsForInput),
    (libc::SYS_recvmsg, WaitsForInput),
    (libc::SYS_recvmmsg, WaitsForInput),
    (libc::SYS_read, WaitsForInput),
    (libc::SYS_readv, WaitsForInput),
    (libc::SYS_msgrcv, WaitsForInput),
    (libc::SYS_semop, WaitsForFutex),
    (libc::SYS_semtimedop, WaitsForFutex),
    (libc::SYS_restart_syscall, WaitsForWork),
    (libc::SYS_connect, WaitsForInput),
];

/// Number and meaning of each known call, as the programs read it. `time` says whether the calls
/// that change the memory map are timed.
pub(crate) fn table() -> impl Iterator<Item = (u32, SystemCall)> {
    TABLE.into_iter().map(|(number, meaning)| {
        let mut call = SystemCall::default();
        match meaning {
            Timed(series, argument) => {
                call.series_plus_one = series as u32 + 1;
                call.bytes_register = ARGUMENTS[usize::from(argument)];
            }
            WaitsForWork => call.class = WAITS_FOR_WORK,
            WaitsForInput => call.class = WAITS_FOR_INPUT,
            WaitsForFutex => call.class = WAITS_FOR_FUTEX,
        }
        (number as u32, call)
    })
}

/// Name of the call of a number.
pub(crate) fn name(number: u32) -> Option<&'static str> {
    syscalls::Sysno::new(number as usize).map(|call| call.name())
}

#[cfg(test)]
mod tests {
    use super::*;
    use tailcut_probe_ebpf::records::SYSTEM_CALLS;

    #[test]
    fn every_number_fits_the_programs_table_and_is_there_once() {
        let numbers: Vec<u32> = table().map(|(number, _)| number).collect();
        assert!(numbers.iter().all(|number| *number < SYSTEM_CALLS));
        let distinct: std::collections::BTreeSet<_> = numbers.iter().collect();
        assert_eq!(distinct.len(), numbers.len());
    }
}
