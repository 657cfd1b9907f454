//! Probe sites in user space: attaching programs to instructions of a process.
//!
//! There are two ways. By one link for many sites (`BPF_TRACE_UPROBE_MULTI`, Linux 6.6): all sites of
//! a file are attached by one call, and detached together, 30 to 50 ms later. By one perf event a
//! site: each is detached by itself, under a lock, 90 ms each on the machine where this was written;
//! a window of tracing on ten sites would take a second to close. So the first is used where it can
//! be; before Linux 6.12 it told the threads of a process apart from their process, and hit only
//! the first of them, so there the second is used.
//!
//! aya attaches neither many sites at once nor semaphores of static probes; so the programs' code is
//! taken from the object by aya's own reader, and loaded and attached here.

use std::ffi::{CString, c_int, c_ulong};
use std::io;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd, RawFd};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use aya_obj::Object;
use aya_obj::generated::bpf_insn;

/// A program that serves probe sites.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum UserProgram {
    /// A call begins.
    CallEnter,
    /// A call is about to return.
    CallLeave,
    /// A call has returned: attached to the function's first instruction.
    CallReturn,
    /// A static probe with a length of time.
    ProbeTimed,
    /// A static probe with a number of things.
    ProbeCounted,
    /// A call of a Go function begins.
    GoEnter,
    /// A call of a Go function is about to return.
    GoLeave,
    /// Go's runtime stops all threads, or starts them again.
    GoWorld,
}

impl UserProgram {
    /// In the order in which they are to be attached: ends before beginnings, so that a call that begins
    /// meanwhile has its end seen.
    pub const ALL: [UserProgram; 8] = [
        UserProgram::CallReturn,
        UserProgram::CallLeave,
        UserProgram::GoLeave,
        UserProgram::ProbeTimed,
        UserProgram::ProbeCounted,
        UserProgram::GoWorld,
        UserProgram::GoEnter,
        UserProgram::CallEnter,
    ];

    /// Whether it is hit where calls begin whose length is measured.
    pub fn begins_calls(self) -> bool {
        matches!(self, UserProgram::CallEnter | UserProgram::GoEnter)
    }

    fn name(self) -> &'static str {
        match self {
            UserProgram::CallEnter => "call_enter",
            UserProgram::CallLeave => "call_leave",
            UserProgram::CallReturn => "call_return",
            UserProgram::ProbeTimed => "probe_timed",
            UserProgram::ProbeCounted => "probe_counted",
            UserProgram::GoEnter => "go_enter",
            UserProgram::GoLeave => "go_leave",
            UserProgram::GoWorld => "go_world",
        }
    }
}

/// One instruction of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct SiteAt {
    /// Offset in the file.
    pub offset: u64,
    /// Offset in the file of the counter that is raised while somebody is attached; 0 for none.
    pub semaphore: u64,
    /// What the program reads as its attach cookie.
    pub cookie: u64,
}

/// How sites are attached on this kernel.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Way {
    Together,
    /// The type of perf event, and how far left in its `config` a semaphore's offset goes.
    OneByOne {
        event_type: u32,
    },
}

/// The programs, loaded and ready to attach.
pub(crate) struct UserPrograms {
    way: Way,
    loaded: Vec<(UserProgram, OwnedFd)>,
}

/// What could not be done.
#[derive(Debug, thiserror::Error)]
pub enum UserProbesError {
    /// The object could not be read or linked.
    #[error("cannot read the embedded eBPF object: {0}")]
    Object(String),
    /// The kernel refused a program.
    #[error("the kernel does not take the program {program}: {source}{log}")]
    Load {
        /// The program.
        program: &'static str,
        /// Why.
        source: io::Error,
        /// The last lines of what the verifier says.
        log: String,
    },
    /// The kernel refused to attach one.
    #[error("cannot attach to {path} of process {pid}: {source}")]
    Attach {
        /// The file.
        path: String,
        /// The process.
        pid: u32,
        /// Why.
        source: io::Error,
    },
    /// The kernel has no user probes.
    #[error(
        "this kernel has no user probes: cannot read {0}; one built with CONFIG_UPROBE_EVENTS=y has them"
    )]
    NoUserProbes(String),
}

impl UserPrograms {
    /// Loads the programs. `map` gives the descriptor of a map by its name.
    pub fn load(
        object: &[u8],
        map: impl Fn(&str) -> Option<RawFd>,
    ) -> Result<UserPrograms, UserProbesError> {
        let object = linked(object, map)?;
        let way = Way::of_kernel()?;
        let mut loaded = Vec::with_capacity(UserProgram::ALL.len());
        for program in UserProgram::ALL {
            let parsed = object
                .programs
                .get(program.name())
                .and_then(|parsed| object.functions.get(&parsed.function_key()))
                .ok_or_else(|| UserProbesError::Object(format!("no {}", program.name())))?;
            let descriptor = load(program, &parsed.instructions, way)?;
            loaded.push((program, descriptor));
        }
        Ok(UserPrograms { way, loaded })
    }

    /// Attaches `program` to sites of one file, as process `pid` executes them. The sites are
    /// detached when the descriptors are closed.
    pub fn attach(
        &self,
        program: UserProgram,
        path: &Path,
        sites: &[SiteAt],
        pid: u32,
    ) -> Result<Vec<OwnedFd>, UserProbesError> {
        let failed = |source| UserProbesError::Attach {
            path: path.display().to_string(),
            pid,
            source,
        };
        if sites.is_empty() {
            return Ok(Vec::new());
        }
        let file = CString::new(path.as_os_str().as_bytes())
            .map_err(|_| failed(io::ErrorKind::InvalidFilename.into()))?;
        let descriptor = self
            .loaded
            .iter()
            .find(|(loaded, _)| *loaded == program)
            .map(|(_, descriptor)| descriptor.as_raw_fd())
            .expect("all programs are loaded together");
        let on_return = program == UserProgram::CallReturn;
        match self.way {
            Way::Together => attach_together(descriptor, &file, sites, pid, on_return)
                .map(|link| vec![link])
                .map_err(failed),
            Way::OneByOne { event_type } => {
                let mut links = Vec::with_capacity(2 * sites.len());
                for site in sites {
                    let event =
                        open_event(event_type, &file, site, pid, on_return).map_err(failed)?;
                    links.push(link_event(descriptor, &event, site.cookie).map_err(failed)?);
                    links.push(event);
                }
                Ok(links)
            }
        }
    }
}

impl Way {
    fn of_kernel() -> Result<Way, UserProbesError> {
        if kernel_is_at_least(6, 12) {
            return Ok(Way::Together);
        }
        let path = "/sys/bus/event_source/devices/uprobe/type";
        std::fs::read_to_string(path)
            .ok()
            .and_then(|text| text.trim().parse().ok())
            .map(|event_type| Way::OneByOne { event_type })
            .ok_or_else(|| UserProbesError::NoUserProbes(path.to_owned()))
    }
}

fn kernel_is_at_least(major: u32, minor: u32) -> bool {
    let Ok(name) = nix::sys::utsname::uname() else {
        return false;
    };
    let release = name.release().to_string_lossy().into_owned();
    let mut numbers = release
        .split(|c: char| !c.is_ascii_digit())
        .map(|number| number.parse::<u32>().unwrap_or(0));
    let found = (numbers.next().unwrap_or(0), numbers.next().unwrap_or(0));
    found >= (major, minor)
}

/// The object with its maps and functions put in place.
fn linked(bytes: &[u8], map: impl Fn(&str) -> Option<RawFd>) -> Result<Object, UserProbesError> {
    let wrong = |error: &dyn std::fmt::Display| UserProbesError::Object(error.to_string());
    let mut object = Object::parse(bytes).map_err(|error| wrong(&error))?;
    let text_sections = object
        .functions
        .keys()
        .map(|(section, _)| *section)
        .collect();
    let maps = object.maps.clone();
    let mut found = Vec::with_capacity(maps.len());
    for (name, one) in &maps {
        let descriptor =
            map(name).ok_or_else(|| UserProbesError::Object(format!("no map {name}")))?;
        found.push((name.as_str(), descriptor, one));
    }
    object
        .relocate_maps(found.into_iter(), &text_sections)
        .map_err(|error| wrong(&error))?;
    object
        .relocate_calls(&text_sections)
        .map_err(|error| wrong(&error))?;
    Ok(object)
}

const PROGRAM_LOAD: c_int = 5;
const LINK_CREATE: c_int = 28;
const ATTACH_PERF_EVENT: u32 = 41;
const ATTACH_UPROBE_MULTI: u32 = 48;
/// For kprobes and uprobes alike.
const PROGRAM_TYPE_KPROBE: u32 = 2;

fn load(
    program: UserProgram,
    instructions: &[bpf_insn],
    way: Way,
) -> Result<OwnedFd, UserProbesError> {
    /// The leading part of the kernel's `union bpf_attr` for this command.
    #[repr(C)]
    #[derive(Default)]
    struct Attributes {
        program_type: u32,
        instruction_count: u32,
        instructions: u64,
        license: u64,
        log_level: u32,
        log_size: u32,
        log: u64,
        kernel_version: u32,
        flags: u32,
        name: [u8; 16],
        interface: u32,
        attach_type: u32,
    }
    let mut name = [0; 16];
    for (to, from) in name.iter_mut().zip(program.name().bytes().take(15)) {
        *to = from;
    }
    let mut attributes = Attributes {
        program_type: PROGRAM_TYPE_KPROBE,
        instruction_count: instructions.len() as u32,
        instructions: instructions.as_ptr() as u64,
        license: c"Dual MIT/GPL".as_ptr() as u64,
        name,
        attach_type: match way {
            Way::Together => ATTACH_UPROBE_MULTI,
            Way::OneByOne { .. } => 0,
        },
        ..Attributes::default()
    };
    let source = match bpf(PROGRAM_LOAD, &attributes) {
        Ok(descriptor) => return Ok(descriptor),
        Err(source) => source,
    };
    // Once more, to hear why.
    let mut log = vec![0_u8; 1 << 20];
    attributes.log_level = 1;
    attributes.log_size = log.len() as u32;
    attributes.log = log.as_mut_ptr() as u64;
    let _ = bpf(PROGRAM_LOAD, &attributes);
    let said = String::from_utf8_lossy(&log);
    let lines: Vec<&str> = said.trim_end_matches('\0').lines().rev().take(5).collect();
    let log = lines.iter().rev().fold(String::new(), |mut text, line| {
        text.push('\n');
        text.push_str(line);
        text
    });
    Err(UserProbesError::Load {
        program: program.name(),
        source,
        log,
    })
}

fn attach_together(
    program: RawFd,
    file: &CString,
    sites: &[SiteAt],
    pid: u32,
    on_return: bool,
) -> io::Result<OwnedFd> {
    #[repr(C)]
    struct Attributes {
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
    let offsets: Vec<u64> = sites.iter().map(|site| site.offset).collect();
    let semaphores: Vec<u64> = sites.iter().map(|site| site.semaphore).collect();
    let cookies: Vec<u64> = sites.iter().map(|site| site.cookie).collect();
    bpf(
        LINK_CREATE,
        &Attributes {
            program: program as u32,
            target: 0,
            attach_type: ATTACH_UPROBE_MULTI,
            flags: 0,
            path: file.as_ptr() as u64,
            offsets: offsets.as_ptr() as u64,
            semaphores: semaphores.as_ptr() as u64,
            cookies: cookies.as_ptr() as u64,
            count: sites.len() as u32,
            uprobe_flags: u32::from(on_return),
            process: pid,
            padding: 0,
        },
    )
}

fn open_event(
    event_type: u32,
    file: &CString,
    site: &SiteAt,
    pid: u32,
    on_return: bool,
) -> io::Result<OwnedFd> {
    /// The leading part of the kernel's `struct perf_event_attr`.
    #[repr(C)]
    #[derive(Default)]
    struct Attributes {
        event_type: u32,
        size: u32,
        config: u64,
        sample_period: u64,
        sample_type: u64,
        read_format: u64,
        flags: u64,
        wakeup: u32,
        breakpoint_type: u32,
        /// Address of the file's path.
        config1: u64,
        /// Offset in the file.
        config2: u64,
    }
    /// Where in `config` the kernel wants the semaphore's offset: `format/ref_ctr_offset`.
    const SEMAPHORE_SHIFT: u32 = 32;
    const CLOSE_ON_EXEC: c_ulong = 8;
    let attributes = Attributes {
        event_type,
        size: size_of::<Attributes>() as u32,
        config: site.semaphore << SEMAPHORE_SHIFT | u64::from(on_return),
        config1: file.as_ptr() as u64,
        config2: site.offset,
        ..Attributes::default()
    };
    // SAFETY: the kernel reads `size` bytes of the attributes and the path in them; both outlive
    // the call.
    let descriptor = unsafe {
        libc::syscall(
            libc::SYS_perf_event_open,
            &raw const attributes,
            pid,
            -1_i32,
            -1_i32,
            CLOSE_ON_EXEC,
        )
    };
    owned(descriptor)
}

fn link_event(program: RawFd, event: &OwnedFd, cookie: u64) -> io::Result<OwnedFd> {
    #[repr(C)]
    struct Attributes {
        program: u32,
        event: u32,
        attach_type: u32,
        flags: u32,
        cookie: u64,
    }
    bpf(
        LINK_CREATE,
        &Attributes {
            program: program as u32,
            event: event.as_raw_fd() as u32,
            attach_type: ATTACH_PERF_EVENT,
            flags: 0,
            cookie,
        },
    )
}

fn bpf<T>(command: c_int, attributes: &T) -> io::Result<OwnedFd> {
    // SAFETY: the kernel reads `size_of::<T>()` bytes, which outlive the call, as do the arrays and
    // texts whose addresses stand in them; `T` is one of this file's structures of integers. What
    // it writes to, a log, is as long as the attributes say.
    let descriptor = unsafe {
        libc::syscall(
            libc::SYS_bpf,
            command,
            std::ptr::from_ref(attributes),
            size_of::<T>(),
        )
    };
    owned(descriptor)
}

fn owned(descriptor: i64) -> io::Result<OwnedFd> {
    match RawFd::try_from(descriptor) {
        // SAFETY: the kernel has just given us this descriptor; nobody else knows it.
        Ok(descriptor) if descriptor >= 0 => Ok(unsafe { OwnedFd::from_raw_fd(descriptor) }),
        _ => Err(io::Error::last_os_error()),
    }
}
