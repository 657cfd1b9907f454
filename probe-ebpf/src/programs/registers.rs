//! A hit of a probe site in user space: which site it is, and its arguments.

use aya_ebpf::bindings::pt_regs;
use aya_ebpf::helpers::{bpf_get_attach_cookie, bpf_probe_read_user};
use tailcut_probe_ebpf::sites::{CONSTANT, GOROUTINE_REGISTER, MEMORY, Place, REGISTER, Site};

use super::maps::{HITS, SITES};
use super::recording::{NOBODY, Span, add, forget, record, send_stack};

/// The site that was hit; its hits are counted.
#[inline(always)]
pub fn site_of(context: *mut core::ffi::c_void) -> Option<&'static Site> {
    // SAFETY: the context is the program's own.
    let number = unsafe { bpf_get_attach_cookie(context) } as u32;
    if let Some(hits) = HITS.get_ptr_mut(number) {
        add(hits, 1);
    }
    SITES.get(number)
}

/// Counts a span, and sends it with its stack if it was slow.
#[inline(always)]
pub fn send_if_slow(span: &Span, registers: &Registers) {
    let id = record(span, 0, &NOBODY);
    if id != 0 {
        send_stack(&span.who, id, registers.ip, registers.sp(), registers.bp());
    }
}

/// The registers at a site, by their number in instructions, so that a site can name them.
pub struct Registers {
    pub ip: u64,
    general: [u64; 16],
}

impl Registers {
    #[inline(always)]
    pub fn read(registers: *const pt_regs) -> Registers {
        // SAFETY: the context of a probe is the thread's registers.
        let r = unsafe { &*registers };
        Registers {
            ip: r.rip,
            general: [
                r.rax, r.rcx, r.rdx, r.rbx, r.rsp, r.rbp, r.rsi, r.rdi, r.r8, r.r9, r.r10, r.r11,
                r.r12, r.r13, r.r14, r.r15,
            ],
        }
    }

    #[inline(always)]
    pub fn sp(&self) -> u64 {
        self.general[4]
    }

    #[inline(always)]
    pub fn bp(&self) -> u64 {
        self.general[5]
    }

    /// The goroutine that runs, in Go code of the register ABI.
    #[inline(always)]
    pub fn goroutine(&self) -> u64 {
        self.general[GOROUTINE_REGISTER as usize]
    }

    #[inline(always)]
    pub fn value(&self, place: &Place) -> u64 {
        let register = self.general[forget(u64::from(place.register)) as usize & 15];
        let raw = match place.kind {
            REGISTER => register,
            CONSTANT => return place.offset as u64,
            MEMORY => {
                let address = register.wrapping_add(place.offset as u64);
                // SAFETY: the helper checks the address.
                unsafe { bpf_probe_read_user(address as *const u64) }.unwrap_or(0)
            }
            _ => return 0,
        };
        match place.size {
            8 | -8 => raw,
            4 => raw & 0xffff_ffff,
            -4 => raw as i32 as i64 as u64,
            2 => raw & 0xffff,
            -2 => raw as i16 as i64 as u64,
            1 => raw & 0xff,
            -1 => raw as i8 as i64 as u64,
            _ => raw,
        }
    }
}
