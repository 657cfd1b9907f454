//! What a hit at a probe site in user space means, and where its arguments lie there.
//!
//! Few programs serve all sites: the attach cookie is the number of a [`Site`] in a map, which
//! says which series a hit belongs to and in which register or memory each argument is. A site may
//! stand behind instructions that moved the arguments or grew the stack.

/// Sites that can be attached at one time.
pub const MAX_SITES: u32 = 1024;

/// Arguments that a site can report.
pub const PLACES: usize = 3;

/// One probe site.
#[repr(C)]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Site {
    /// Series that its hits belong to.
    pub series: u32,
    /// What a hit does: [`ENTER`], ...
    pub action: u32,
    /// Bytes between the stack pointer at the site and the return address, or [`UNKNOWN_DEPTH`].
    pub stack_depth: u64,
    /// Its arguments.
    pub places: [Place; PLACES],
}

/// At a way out of a function whose stack pointer is not known there.
pub const UNKNOWN_DEPTH: u64 = u64::MAX;

/// A call begins. Places: size, factor of the size, pointer that is given back.
pub const ENTER: u32 = 0;
/// The call is about to return, or has returned. Place: the pointer returned.
pub const LEAVE: u32 = 1;
/// The first place holds a length of time in nanoseconds, the second bytes, the third a detail.
pub const TIMED: u32 = 2;
/// The first place holds a number of things or bytes, the second a detail.
pub const COUNTED: u32 = 3;

/// An object was allocated. Places: its address, its bytes, bytes that it stands for.
pub const BORN: u32 = 4;
/// An object was freed. Place: its address.
pub const DIED: u32 = 5;

/// Go's runtime begins to stop all threads of the process. Place: the reason, as the runtime numbers it.
pub const WORLD_STOP: u32 = 6;
/// The stop that is going on is that of a collection's beginning: sweep termination.
pub const WORLD_SWEEP_TERMINATION: u32 = 7;
/// The stop that is going on is that of a collection's end: mark termination.
pub const WORLD_MARK_TERMINATION: u32 = 8;
/// All threads are about to be started again.
pub const WORLD_START: u32 = 9;
/// They have been.
pub const WORLD_STARTED: u32 = 10;

/// Number of the register that holds the goroutine in Go code (`R14`, since Go 1.17), as in [`Place::register`].
pub const GOROUTINE_REGISTER: u32 = 14;

/// Where an argument is.
#[repr(C)]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Place {
    /// [`NOWHERE`], [`REGISTER`], [`MEMORY`] or [`CONSTANT`].
    pub kind: u32,
    /// Number of the register, in the order of x86-64 instructions: rax, rcx, rdx, rbx, rsp, rbp,
    /// rsi, rdi, r8 to r15.
    pub register: u32,
    /// Width in bytes; negative if it is to be extended with its sign.
    pub size: i64,
    /// Added to the register to give an address, or the constant itself.
    pub offset: i64,
}

/// There is no such argument.
pub const NOWHERE: u32 = 0;
/// It is the register's value.
pub const REGISTER: u32 = 1;
/// It is in memory at the register's value plus the offset.
pub const MEMORY: u32 = 2;
/// It is the offset itself.
pub const CONSTANT: u32 = 3;

impl Place {
    /// No argument.
    pub const NOWHERE: Place = Place {
        kind: NOWHERE,
        register: 0,
        size: 0,
        offset: 0,
    };

    /// The whole of a register.
    pub const fn register(number: u32) -> Place {
        Place {
            kind: REGISTER,
            register: number,
            size: 8,
            offset: 0,
        }
    }
}
