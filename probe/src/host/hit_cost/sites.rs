//! Functions whose first instruction is one that a probe is put on, and where they lie.

use super::super::own_code::{Place, place_of};

/// A function of this process with a known first instruction.
#[derive(Debug)]
pub(crate) struct Site {
    function: extern "C" fn(),
}

/// One of each kind.
#[derive(Debug)]
pub(crate) struct Sites {
    /// The 5-byte nop.
    pub nop5: Site,
    /// `push`, which the kernel emulates.
    pub push: Site,
    /// `test`, which it single-steps.
    pub test: Site,
}

impl Site {
    /// Hits the probe once, if there is one.
    #[inline]
    pub(crate) fn call(&self) {
        (self.function)();
    }

    /// File and offset of the first instruction.
    pub(crate) fn place(&self) -> Option<Place> {
        place_of(self.function as usize as u64)
    }

    /// Whether the first instruction now is a call (patched by the kernel), not a breakpoint.
    pub(crate) fn is_a_call(&self) -> bool {
        const CALL: u8 = 0xe8;
        let code = self.function as usize as *const u8;
        // SAFETY: the first byte of a function of this process, which lives as long as it does;
        // segments of code are mapped readable, or the functions' own `call` would not have been
        // linked. Volatile, because the kernel changes it behind the compiler's back.
        unsafe { code.read_volatile() == CALL }
    }
}

/// The functions, on a machine whose instructions are written down here.
#[cfg(target_arch = "x86_64")]
pub(crate) fn all() -> Option<Sites> {
    Some(Sites {
        nop5: Site { function: nop5 },
        push: Site { function: push },
        test: Site { function: test },
    })
}

/// No function: the machine is not known.
#[cfg(not(target_arch = "x86_64"))]
pub(crate) fn all() -> Option<Sites> {
    None
}

#[cfg(target_arch = "x86_64")]
#[unsafe(naked)]
extern "C" fn nop5() {
    std::arch::naked_asm!(".byte 0x0f, 0x1f, 0x44, 0x00, 0x00", "ret");
}

#[cfg(target_arch = "x86_64")]
#[unsafe(naked)]
extern "C" fn push() {
    std::arch::naked_asm!("push rbp", "pop rbp", "ret");
}

#[cfg(target_arch = "x86_64")]
#[unsafe(naked)]
extern "C" fn test() {
    std::arch::naked_asm!("test edi, edi", "ret");
}

#[cfg(all(test, target_arch = "x86_64"))]
mod tests {
    use super::*;

    #[test]
    fn the_nop_does_not_cross_a_page_and_is_what_stands_in_the_file() {
        let Place { path, offset } = all().unwrap().nop5.place().unwrap();
        assert!(offset % 4096 <= 4096 - 5);
        let file = std::fs::read(path).unwrap();
        let code = &file[offset as usize..][..6];
        assert_eq!(code, [0x0f, 0x1f, 0x44, 0x00, 0x00, 0xc3]);
    }
}
