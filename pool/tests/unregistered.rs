//! A thread that the kernel does not know for restartable sequences is served all the same.
//!
//! Such are threads that the C library did not start (a bare `clone`). Here a thread signs itself
//! off, which leaves it in the same state: `cpu_id` is no CPU's.
#![cfg(all(
    target_os = "linux",
    target_arch = "x86_64",
    target_env = "gnu",
    not(any(loom, shuttle))
))]

use tailcut_pool::{Path, Pool};

/// Takes the calling thread out of the kernel's care; whether that worked.
fn sign_off() -> bool {
    const SIZE: u32 = 32;
    const UNREGISTER: i32 = 1;
    const SIGNATURE: u32 = 0x5305_3053;
    // SAFETY: glibc's symbol (<sys/rseq.h>), read if it is there.
    let offset = unsafe {
        let symbol = libc::dlsym(libc::RTLD_DEFAULT, c"__rseq_offset".as_ptr()).cast::<isize>();
        if symbol.is_null() {
            return false;
        }
        *symbol
    };
    let thread_pointer: usize;
    // SAFETY: on x86-64 the first word at `fs` is its own address; reading it changes nothing.
    unsafe {
        core::arch::asm!("mov {}, fs:0", out(reg) thread_pointer, options(nostack, readonly));
    };
    let area = thread_pointer.wrapping_add_signed(offset);
    // SAFETY: names this thread's own area, as glibc registered it.
    unsafe { libc::syscall(libc::SYS_rseq, area, SIZE, UNREGISTER, SIGNATURE) == 0 }
}

#[test]
fn a_thread_without_sequences_takes_and_gives_by_the_slow_path() {
    let pool = Pool::builder(|| 0_u64)
        .keep_as_is()
        .capacity(300)
        .build()
        .unwrap();
    if pool.path() != Path::Rseq {
        eprintln!("SKIPPED: no restartable sequences here: {}", pool.path());
        return;
    }
    std::thread::scope(|scope| {
        scope.spawn(|| {
            if !sign_off() {
                eprintln!("SKIPPED: this C library registered the thread in another way");
                return;
            }
            for _ in 0..20 {
                let all: Vec<_> = (0..300).map(|_| pool.try_get().unwrap()).collect();
                assert!(pool.try_get().is_err());
                drop(all);
                let mut window = pool.window();
                (0..100).for_each(|_| window.push(pool.try_get().unwrap()));
            }
        });
    });
    let all: Vec<_> = (0..300).map(|_| pool.try_get().unwrap()).collect();
    assert!(
        pool.try_get().is_err(),
        "nothing was lost or doubled on the way"
    );
    drop(all);
}
