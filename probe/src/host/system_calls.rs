//! The few system calls by which the host is asked what it allows: `bpf(2)` and
//! `perf_event_open(2)`, as bare as they are.
//!
//! The recorder loads its programs with aya. This file is for questions ("does a program of this
//! type load at all?") whose answer is the error number, which a loader would wrap in its own
//! words, and for programs of two instructions, which need no object file. Every structure is the
//! leading part of the kernel's (`include/uapi/linux/bpf.h`, `perf_event.h`); the kernel takes the
//! rest as zero.

use std::ffi::{CStr, CString, c_int, c_ulong};
use std::io;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd, RawFd};

use super::own_code::Place;
use super::uprobe_pmu::UprobePmu;

/// A type of BPF program, by the kernel's number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u32)]
pub(super) enum ProgramType {
    /// For kprobes and uprobes alike.
    Kprobe = 2,
    PerfEvent = 7,
    RawTracepoint = 17,
    Tracing = 26,
}

/// A type of BPF map, by the kernel's number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u32)]
pub(super) enum MapType {
    Hash = 1,
    PerCpuArray = 6,
    StackTrace = 7,
    LruHash = 9,
    RingBuffer = 27,
}

/// What a program is to be attached to, where its type does not say it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[repr(u32)]
pub(super) enum AttachType {
    #[default]
    Unsaid = 0,
    FunctionEntry = 24,
    PerfEvent = 41,
    UprobeMulti = 48,
    /// Entry and return of one call by one program, which may keep a value from one to the other.
    UprobeSession = 57,
}

/// `r0 = 0; exit`: the shortest program that there is.
pub(super) const EMPTY_PROGRAM: [u64; 2] = [
    u64::from_ne_bytes([0xb7, 0, 0, 0, 0, 0, 0, 0]),
    u64::from_ne_bytes([0x95, 0, 0, 0, 0, 0, 0, 0]),
];

const PROGRAM_LOAD: c_int = 5;
const MAP_CREATE: c_int = 0;
const OBJECT_INFO: c_int = 15;
const RAW_TRACEPOINT_OPEN: c_int = 17;
const LINK_CREATE: c_int = 28;
const ENABLE_STATISTICS: c_int = 32;

/// Loads a program of these instructions. `function` is the number in the kernel's BTF of what a
/// [`ProgramType::Tracing`] program attaches to, else 0.
pub(super) fn load_program(
    program: ProgramType,
    attach: AttachType,
    function: u32,
    instructions: &[u64],
) -> io::Result<OwnedFd> {
    #[repr(C)]
    #[derive(Default)]
    struct Attributes {
        program_type: u32,
        instruction_count: u32,
        instructions: u64,
        license: u64,
        log: [u32; 4],
        kernel_version: u32,
        flags: u32,
        name: [u8; 16],
        interface: u32,
        attach_type: u32,
        types: [u32; 9],
        attach_function: u32,
        attach_program: u32,
        padding: u32,
    }
    let attributes = Attributes {
        program_type: program as u32,
        instruction_count: instructions.len() as u32,
        instructions: instructions.as_ptr() as u64,
        license: c"Dual MIT/GPL".as_ptr() as u64,
        name: *b"tailcut_doctor\0\0",
        attach_type: attach as u32,
        attach_function: function,
        ..Attributes::default()
    };
    bpf(PROGRAM_LOAD, &attributes)
}

/// Makes a map; the kernel frees it when the descriptor is closed.
pub(super) fn create_map(
    map: MapType,
    key_bytes: u32,
    value_bytes: u32,
    entries: u32,
) -> io::Result<OwnedFd> {
    bpf(MAP_CREATE, &[map as u32, key_bytes, value_bytes, entries])
}

/// Attaches a program to a raw tracepoint until the descriptor is closed.
pub(super) fn open_raw_tracepoint(name: &CStr, program: &OwnedFd) -> io::Result<OwnedFd> {
    #[repr(C)]
    struct Attributes {
        name: u64,
        program: u32,
        padding: u32,
    }
    let attributes = Attributes {
        name: name.as_ptr() as u64,
        program: program.as_raw_fd() as u32,
        padding: 0,
    };
    bpf(RAW_TRACEPOINT_OPEN, &attributes)
}

/// Makes the kernel account the run time of all programs until the descriptor is closed.
pub(super) fn enable_statistics() -> io::Result<OwnedFd> {
    bpf(ENABLE_STATISTICS, &[0_u32])
}

/// What a program has run since it was loaded, while statistics were enabled.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct RunStatistics {
    pub nanoseconds: u64,
    pub count: u64,
}

/// Reads what the kernel has accounted for a program.
pub(super) fn run_statistics(program: &OwnedFd) -> io::Result<RunStatistics> {
    #[repr(C)]
    struct Attributes {
        program: u32,
        length: u32,
        information: u64,
    }
    // `struct bpf_prog_info`, up to `run_time_ns` at byte 192 and `run_cnt` at 200.
    let mut information = [0_u64; 26];
    let attributes = Attributes {
        program: program.as_raw_fd() as u32,
        length: size_of_val(&information) as u32,
        information: information.as_mut_ptr() as u64,
    };
    bpf_call(OBJECT_INFO, &attributes)?;
    Ok(RunStatistics {
        nanoseconds: information[24],
        count: information[25],
    })
}

/// Attaches a program to a perf event until the descriptor is closed.
pub(super) fn link_to_event(program: &OwnedFd, event: &OwnedFd) -> io::Result<OwnedFd> {
    let attributes = [
        program.as_raw_fd() as u32,
        event.as_raw_fd() as u32,
        AttachType::PerfEvent as u32,
        0,
    ];
    bpf(LINK_CREATE, &attributes)
}

/// Attaches a program to a place in this process, by the link that takes many places at once.
pub(super) fn link_uprobe(
    program: &OwnedFd,
    place: &Place,
    on_return: bool,
) -> io::Result<OwnedFd> {
    let path = c_text(place.path.as_bytes());
    bpf(
        LINK_CREATE,
        &UprobeLink {
            program: program.as_raw_fd() as u32,
            attach_type: AttachType::UprobeMulti as u32,
            path: path.as_ptr() as u64,
            offsets: (&raw const place.offset) as u64,
            count: 1,
            uprobe_flags: u32::from(on_return),
            process: std::process::id(),
            ..UprobeLink::default()
        },
    )
}

/// Whether the kernel has links of that type which keep to one process.
///
/// Asks for two that cannot be had: to a place in a folder, which a kernel that knows such links
/// refuses as `EBADF`; and for process -1, which it refuses as `EINVAL` since it takes the number
/// for that of a process. Before (Linux 6.6 to 6.9) it took it for a thread's, and the probe saw
/// nothing of the others.
///
/// # Errors
/// If this process may not load the program to ask with.
pub(super) fn has_uprobe_links(attach: AttachType) -> io::Result<bool> {
    let program = load_program(ProgramType::Kprobe, attach, 0, &EMPTY_PROGRAM);
    let program = match program {
        Err(error) if error.raw_os_error() == Some(libc::EINVAL) => return Ok(false),
        program => program?,
    };
    let offset = 1_u64;
    let refusal = |process| {
        let link = UprobeLink {
            program: program.as_raw_fd() as u32,
            attach_type: attach as u32,
            path: c"/".as_ptr() as u64,
            offsets: (&raw const offset) as u64,
            count: 1,
            process,
            ..UprobeLink::default()
        };
        bpf(LINK_CREATE, &link).err()?.raw_os_error()
    };
    Ok(refusal(0) == Some(libc::EBADF) && refusal(u32::MAX) == Some(libc::EINVAL))
}

#[repr(C)]
#[derive(Default)]
struct UprobeLink {
    program: u32,
    target: u32,
    attach_type: u32,
    flags: u32,
    path: u64,
    offsets: u64,
    semaphores: u64,
    cookies: u64,
    count: u32,
    uprobe_flags: u32,
    process: u32,
    padding: u32,
}

/// The leading part of `struct perf_event_attr`, up to `config2`.
#[repr(C)]
#[derive(Debug, Default)]
struct EventAttributes {
    event_type: u32,
    size: u32,
    config: u64,
    sample_period: u64,
    sample_type: u64,
    read_format: u64,
    flags: u64,
    wakeup: u32,
    breakpoint_type: u32,
    /// Address of a path.
    config1: u64,
    /// Offset in the file.
    config2: u64,
}

/// Opens a perf event for the calling thread, on all CPUs. It is closed on exec.
fn open_event(attributes: &mut EventAttributes) -> io::Result<OwnedFd> {
    const CLOSE_ON_EXEC: c_ulong = 8;
    const THIS_THREAD: c_int = 0;
    const EVERY_PROCESSOR: c_int = -1;
    const NO_GROUP: c_int = -1;
    attributes.size = size_of::<EventAttributes>() as u32;
    // SAFETY: the kernel reads `size` bytes of the attributes, which live until it returns, and
    // the path or name in them, which the caller holds (a wrong address is EFAULT, not undefined).
    let descriptor = unsafe {
        libc::syscall(
            libc::SYS_perf_event_open,
            std::ptr::from_ref(attributes),
            THIS_THREAD,
            EVERY_PROCESSOR,
            NO_GROUP,
            CLOSE_ON_EXEC,
        )
    };
    owned(descriptor)
}

/// Opens the perf event of a user probe at a place in this process, for the calling thread.
pub(super) fn open_uprobe(pmu: UprobePmu, place: &Place, on_return: bool) -> io::Result<OwnedFd> {
    let path = c_text(place.path.as_bytes());
    let mut attributes = EventAttributes {
        event_type: pmu.event_type,
        config: if on_return { pmu.return_bit } else { 0 },
        config1: path.as_ptr() as u64,
        config2: place.offset,
        ..EventAttributes::default()
    };
    open_event(&mut attributes)
}

/// Opens a software event, such as a counter of page faults, of what the calling thread does
/// outside of the kernel.
pub(super) fn open_software_event(config: u64) -> io::Result<OwnedFd> {
    const SOFTWARE: u32 = 1;
    const NOT_KERNEL_NOR_HYPERVISOR: u64 = 0b11 << 5;
    open_event(&mut EventAttributes {
        event_type: SOFTWARE,
        config,
        flags: NOT_KERNEL_NOR_HYPERVISOR,
        ..EventAttributes::default()
    })
}

/// Text for the kernel; whatever follows a zero byte is left out.
fn c_text(text: &[u8]) -> CString {
    let end = text.iter().position(|&byte| byte == 0);
    CString::new(&text[..end.unwrap_or(text.len())]).unwrap_or_default()
}

fn bpf<T>(command: c_int, attributes: &T) -> io::Result<OwnedFd> {
    owned(bpf_call(command, attributes)?)
}

fn bpf_call<T>(command: c_int, attributes: &T) -> io::Result<i64> {
    // SAFETY: the kernel reads `size_of::<T>()` bytes, which live until it returns; `T` is one of
    // this file's structures of plain integers without padding. Addresses in them are of live
    // values of the callers; the only one it writes through is that of `run_statistics`, whose
    // length goes with it.
    let result = unsafe {
        libc::syscall(
            libc::SYS_bpf,
            command,
            std::ptr::from_ref(attributes),
            size_of::<T>(),
        )
    };
    match result {
        -1 => Err(io::Error::last_os_error()),
        result => Ok(result),
    }
}

fn owned(descriptor: i64) -> io::Result<OwnedFd> {
    match RawFd::try_from(descriptor) {
        // SAFETY: the kernel has just given us this descriptor; nobody else knows it.
        Ok(descriptor) if descriptor >= 0 => Ok(unsafe { OwnedFd::from_raw_fd(descriptor) }),
        _ => Err(io::Error::last_os_error()),
    }
}
