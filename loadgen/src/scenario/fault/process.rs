//! A process that can be stopped and never be mistaken for another.
//!
//! A process id may be given anew between looking at it and signalling it; a descriptor of a process
//! (`pidfd`, Linux 5.3) may not. A stopped process costs nothing, and its connections stay as they are.

use std::io;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd, RawFd};

/// A process, held by a descriptor.
#[derive(Debug)]
pub(super) struct Process {
    pub(super) number: u32,
    descriptor: OwnedFd,
}

impl Process {
    /// Takes hold of a process.
    pub(super) fn open(number: u32) -> io::Result<Process> {
        let pid = i32::try_from(number).map_err(|_| io::Error::from_raw_os_error(libc::ESRCH))?;
        // SAFETY: the system call takes two integers and touches no memory of ours.
        let descriptor = unsafe { libc::syscall(libc::SYS_pidfd_open, pid, 0) };
        let descriptor = RawFd::try_from(descriptor)
            .ok()
            .filter(|descriptor| *descriptor >= 0)
            .ok_or_else(io::Error::last_os_error)?;
        Ok(Process {
            number,
            // SAFETY: the kernel has just made this descriptor for us, and nobody else knows of it.
            descriptor: unsafe { OwnedFd::from_raw_fd(descriptor) },
        })
    }

    /// Whether it may be signalled, or why not.
    pub(super) fn may_be_signalled(&self) -> io::Result<()> {
        self.signal(0)
    }

    /// Stops all its threads; they are stopped when this returns, or some microseconds later.
    pub(super) fn stop(&self) -> io::Result<()> {
        self.signal(libc::SIGSTOP)
    }

    /// Lets them go on.
    pub(super) fn go_on(&self) -> io::Result<()> {
        self.signal(libc::SIGCONT)
    }

    fn signal(&self, signal: i32) -> io::Result<()> {
        let no_information = std::ptr::null::<libc::siginfo_t>();
        // SAFETY: the descriptor is open as long as `self` lives; a null pointer for the signal's
        // information asks the kernel to fill in what `kill` would, so no memory of ours is read.
        let done = unsafe {
            libc::syscall(
                libc::SYS_pidfd_send_signal,
                self.descriptor.as_raw_fd(),
                signal,
                no_information,
                0,
            )
        };
        match done {
            0 => Ok(()),
            _ => Err(io::Error::last_os_error()),
        }
    }
}
