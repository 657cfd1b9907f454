//! How glibc registered this process's threads, and which CPUs there can be.

use core::arch::asm;

/// Where each thread's `struct rseq` lies from its thread pointer, if glibc registers any.
pub(super) fn rseq_offset() -> Option<isize> {
    // SAFETY: a null-terminated name, and a lookup that touches nothing.
    let (offset, size) = unsafe {
        (
            libc::dlsym(libc::RTLD_DEFAULT, c"__rseq_offset".as_ptr()).cast::<isize>(),
            libc::dlsym(libc::RTLD_DEFAULT, c"__rseq_size".as_ptr()).cast::<u32>(),
        )
    };
    if offset.is_null() || size.is_null() {
        return None;
    }
    // SAFETY: glibc's `extern const ptrdiff_t __rseq_offset` and `unsigned int __rseq_size`
    // (<sys/rseq.h>), written before main. Size 0 says that registration failed.
    unsafe { (*size != 0).then(|| *offset) }
}

/// The CPU this thread runs on, or a huge number if the thread is not registered.
#[inline]
pub(super) fn current_cpu(rseq_offset: isize) -> u32 {
    let cpu: u32;
    // SAFETY: reads one field of this thread's `struct rseq`.
    unsafe {
        asm!("mov {cpu:e}, dword ptr fs:[{rseq} + 4]", cpu = out(reg) cpu, rseq = in(reg) rseq_offset,
            options(nostack, readonly, preserves_flags));
    }
    cpu
}

/// One more than the highest CPU number that can ever run here: the kernel's possible CPUs,
/// not those online or allowed now, so that hotplug and affinity changes need no care.
pub(super) fn possible_cpus() -> u32 {
    let listed = std::fs::read_to_string("/sys/devices/system/cpu/possible").ok();
    let highest = listed.as_deref().and_then(|list| {
        list.trim()
            .split(',')
            .filter_map(|range| range.rsplit('-').next()?.parse::<u32>().ok())
            .max()
    });
    match highest {
        Some(highest) => highest + 1,
        // SAFETY: no memory is involved.
        None => unsafe { libc::sysconf(libc::_SC_NPROCESSORS_CONF) }.clamp(1, 8192) as u32,
    }
}
