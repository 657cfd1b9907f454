//! One process, read from `/proc`.
//!
//! Names in these texts are the process's own choice: a command name may hold brackets and line ends.
//! So fields are counted from behind the last `)`, reads are bounded, and what cannot be parsed is
//! missing rather than wrong.

use std::collections::HashMap;
use std::fs::{self, File};
use std::io::{self, Read};
use std::path::Path;

use nix::time::ClockId;
use nix::unistd::Pid;

/// The most that is read of one of the kernel's files; they have some kilobytes.
const MOST_BYTES: u64 = 64 << 10;
/// Threads looked at in one sample; of more, those with the lowest numbers stand for all.
const MOST_THREADS: usize = 512;
/// Descriptors counted one by one, where the kernel does not say how many there are.
const MOST_DESCRIPTORS: usize = 65_536;

/// What `/proc/PID/stat` says.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Stat {
    /// One letter: `R`, `S`, `Z`, ...
    pub(super) state: u8,
    pub(super) minor_faults: u64,
    pub(super) major_faults: u64,
    pub(super) threads: u32,
    /// When it began, in ticks since the machine did: with its number, who it is.
    pub(super) began: u64,
    pub(super) rss_pages: u64,
}

impl Stat {
    /// Whether it has ended and only waits for its parent to take notice.
    pub(super) fn ended(&self) -> bool {
        matches!(self.state, b'Z' | b'X' | b'x')
    }
}

/// What one thread used.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct ThreadUse {
    pub(super) cpu_ns: u64,
    pub(super) wait_ns: u64,
    pub(super) voluntary: u64,
    pub(super) involuntary: u64,
}

/// Whether process `process` exists and has not ended.
#[must_use]
pub fn is_alive(process: u32) -> bool {
    stat(process).is_ok_and(|stat| !stat.ended())
}

/// Reads `/proc/PID/stat`.
pub(super) fn stat(process: u32) -> io::Result<Stat> {
    let text = read(Path::new(&format!("/proc/{process}/stat")))?;
    parse_stat(&text).ok_or_else(|| io::Error::from(io::ErrorKind::InvalidData))
}

/// CPU time of all threads, also of those that have ended, to the nanosecond: the kernel's own clock
/// of the process. `stat` has it in hundredths of a second only.
pub(super) fn cpu_ns(process: u32) -> Option<u64> {
    let pid = Pid::from_raw(i32::try_from(process).ok()?);
    let time = ClockId::pid_cpu_clock_id(pid).ok()?.now().ok()?;
    let seconds = u64::try_from(time.tv_sec()).ok()?;
    let nanos = u64::try_from(time.tv_nsec()).ok()?;
    Some(seconds * 1_000_000_000 + nanos)
}

/// What the threads that are there now have used, by number.
pub(super) fn threads(process: u32) -> io::Result<HashMap<u32, ThreadUse>> {
    let mut found = HashMap::new();
    for entry in fs::read_dir(format!("/proc/{process}/task"))?.take(MOST_THREADS) {
        let path = entry?.path();
        let number = path
            .file_name()
            .and_then(|name| name.to_str()?.parse().ok());
        // A thread that ends between the two reads is none any more.
        if let (Some(number), Ok(schedstat), Ok(status)) = (
            number,
            read(&path.join("schedstat")),
            read(&path.join("status")),
        ) {
            found.insert(number, parse_thread(&schedstat, &status));
        }
    }
    Ok(found)
}

/// CPU time of all threads but these, also of those that have ended, in nanoseconds.
pub(crate) fn cpu_beside(process: u32, workers: &[u32]) -> Option<u64> {
    let all = cpu_ns(process)?;
    let of_workers = workers.iter().map(|thread| {
        let path = format!("/proc/{process}/task/{thread}/schedstat");
        let schedstat = read(Path::new(&path)).ok()?;
        Some(parse_thread(&schedstat, &[]).cpu_ns)
    });
    let of_workers: u64 = of_workers.sum::<Option<u64>>()?;
    Some(all.saturating_sub(of_workers))
}

/// The largest resident set that the process has had, in bytes.
pub(crate) fn peak_resident_bytes(process: u32) -> Option<u64> {
    let status = read(Path::new(&format!("/proc/{process}/status"))).ok()?;
    let kibibytes = field(&status, b"VmHWM:")?.strip_suffix(b"kB")?;
    number(kibibytes)?.checked_mul(1024)
}

/// Open descriptors; 0 where they may not be counted.
pub(super) fn descriptors(process: u32) -> u32 {
    let path = format!("/proc/{process}/fd");
    // Since Linux 6.2 the folder's size is their number.
    let said = fs::metadata(&path).map_or(0, |folder| folder.len());
    let counted = match said {
        0 => fs::read_dir(&path).map_or(0, |entries| entries.take(MOST_DESCRIPTORS).count() as u64),
        said => said,
    };
    u32::try_from(counted).unwrap_or(u32::MAX)
}

/// CPUs that it may run on, by its affinity.
pub(super) fn affinity(process: u32) -> Option<u32> {
    let status = read(Path::new(&format!("/proc/{process}/status"))).ok()?;
    let mask = field(&status, b"Cpus_allowed:")?;
    mask.iter()
        .filter(|byte| **byte != b',')
        .map(|digit| char::from(*digit).to_digit(16).map(u32::count_ones))
        .sum()
}

/// The first [`MOST_BYTES`] of a file.
pub(super) fn read(path: &Path) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    File::open(path)?.take(MOST_BYTES).read_to_end(&mut bytes)?;
    Ok(bytes)
}

fn parse_stat(text: &[u8]) -> Option<Stat> {
    let after_name = text.iter().rposition(|byte| *byte == b')')? + 1;
    let fields: Vec<&[u8]> = text
        .get(after_name..)?
        .split(u8::is_ascii_whitespace)
        .filter(|field| !field.is_empty())
        .collect();
    // The manual counts from 1, and the state is the third field.
    let number = |field: usize| number(fields.get(field - 3)?);
    Some(Stat {
        state: *fields.first()?.first()?,
        minor_faults: number(10)?,
        major_faults: number(12)?,
        threads: u32::try_from(number(20)?).ok()?,
        began: number(22)?,
        rss_pages: number(24)?,
    })
}

fn parse_thread(schedstat: &[u8], status: &[u8]) -> ThreadUse {
    let mut times = schedstat
        .split(u8::is_ascii_whitespace)
        .map(|field| number(field).unwrap_or(0));
    let switches = |name: &[u8]| field(status, name).and_then(number).unwrap_or(0);
    ThreadUse {
        cpu_ns: times.next().unwrap_or(0),
        wait_ns: times.next().unwrap_or(0),
        voluntary: switches(b"voluntary_ctxt_switches:"),
        involuntary: switches(b"nonvoluntary_ctxt_switches:"),
    }
}

/// What stands behind a name at the beginning of a line.
fn field<'t>(text: &'t [u8], name: &[u8]) -> Option<&'t [u8]> {
    text.split(|byte| *byte == b'\n')
        .find_map(|line| line.strip_prefix(name))
        .map(<[u8]>::trim_ascii)
}

pub(super) fn number(text: &[u8]) -> Option<u64> {
    std::str::from_utf8(text).ok()?.trim().parse().ok()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const STAT: &[u8] =
        b"4711 (a (b) c\n) R) S 1 4711 4711 0 -1 4194560 1234 99 7 0 50 20 1 1 20 0 5 0 \
        8812345 12345678 321 18446744073709551615 1 1 0 0 0 0 0 4096 0 0 0 0 17 1 0 0 0 0 0";

    #[test]
    fn a_command_name_with_brackets_and_line_ends_moves_no_field() {
        let stat = parse_stat(STAT).expect("a line of the kernel");
        let expected = Stat {
            state: b'S',
            minor_faults: 1234,
            major_faults: 7,
            threads: 5,
            began: 8_812_345,
            rss_pages: 321,
        };
        assert_eq!(stat, expected);
        assert!(!stat.ended());
    }

    #[test]
    fn what_the_kernel_says_of_this_process_is_what_it_does() {
        let process = std::process::id();
        let before = cpu_ns(process).expect("this process has a clock");
        let mut sum = 0u64;
        while cpu_ns(process).expect("still there") - before < 20_000_000 {
            sum = std::hint::black_box(sum + 1);
        }
        let stat = stat(process).expect("this process runs");
        assert!(stat.threads >= 1 && stat.rss_pages > 0 && !stat.ended());
        let threads = threads(process).expect("its threads are there");
        assert!(threads.values().map(|thread| thread.cpu_ns).sum::<u64>() >= 10_000_000);
        assert!(descriptors(process) >= 3);
        assert!(affinity(process).is_some_and(|cpus| cpus >= 1));
        assert!(is_alive(process));
        assert!(!is_alive(u32::MAX));
    }

    proptest! {
        #[test]
        fn no_text_makes_a_parser_panic(
            name in proptest::collection::vec(any::<u8>(), 0..60),
            cut in 0..200usize,
        ) {
            let _ = (parse_stat(&name), parse_thread(&name, &name), field(&name, b"a:"));
            let mut text = b"1 (".to_vec();
            text.extend_from_slice(&name);
            text.extend_from_slice(&STAT[5..]);
            prop_assert!(parse_stat(&text).is_some());
            text.truncate(cut);
            let _ = parse_stat(&text);
        }
    }
}
