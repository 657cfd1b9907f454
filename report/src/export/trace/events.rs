//! Trace events, written one at a time.

use std::collections::{HashMap, HashSet};
use std::io::{self, Write};

use serde::Serialize;
use serde_json::{Map, Value, json};

/// Threads that get a name; those beyond keep their number.
const MOST_NAMED: usize = 100_000;
/// The first number of processes whose own is unknown, or is another recording's: beyond any of
/// Linux.
const INVENTED: u32 = 1_000_000_000;

/// Process and thread.
pub(super) type Thread = (u32, u32);
/// What is said of an event.
pub(super) type Arguments = Map<String, Value>;

/// A stream of events.
pub(super) struct Events<'w> {
    out: &'w mut dyn Write,
    first: bool,
    /// Identifies asynchronous events that belong together.
    next_id: u64,
    named: HashSet<Thread>,
}

/// The order of fields is that of the format's own examples.
#[derive(Serialize)]
struct Event<'a> {
    ph: &'static str,
    name: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    cat: Option<&'a str>,
    pid: u32,
    tid: u32,
    /// Microseconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    ts: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    dur: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    id: Option<String>,
    /// How far an instant is drawn: `p` for its process.
    #[serde(skip_serializing_if = "Option::is_none")]
    s: Option<&'static str>,
    #[serde(skip_serializing_if = "Map::is_empty")]
    args: Arguments,
}

fn microseconds(ns: i128) -> f64 {
    // Before zero lies only what no clock pair explains.
    ns.max(0) as f64 / 1e3
}

impl<'w> Events<'w> {
    /// Writes what stands in front of the events.
    pub(super) fn begin(out: &'w mut dyn Write, other_data: &Value) -> io::Result<Events<'w>> {
        write!(
            out,
            "{{\"displayTimeUnit\":\"ms\",\"otherData\":{other_data},\"traceEvents\":["
        )?;
        Ok(Events {
            out,
            first: true,
            next_id: 1,
            named: HashSet::new(),
        })
    }

    /// Writes what stands behind them.
    pub(super) fn end(self) -> io::Result<()> {
        self.out.write_all(b"\n]}\n")?;
        self.out.flush()
    }

    fn write(&mut self, event: &Event<'_>) -> io::Result<()> {
        let separator: &[u8] = if self.first { b"\n" } else { b",\n" };
        self.first = false;
        self.out.write_all(separator)?;
        serde_json::to_writer(&mut *self.out, event).map_err(io::Error::from)
    }

    fn metadata(&mut self, thread: Thread, name: &str, args: Value) -> io::Result<()> {
        self.write(&Event {
            ph: "M",
            name,
            cat: None,
            pid: thread.0,
            tid: thread.1,
            ts: None,
            dur: None,
            id: None,
            s: None,
            args: super::object(args),
        })
    }

    /// Names a process; `place` is where it stands among the others.
    pub(super) fn process(&mut self, pid: u32, place: usize, name: &str) -> io::Result<()> {
        self.metadata((pid, 0), "process_name", json!({ "name": name }))?;
        self.metadata(
            (pid, 0),
            "process_sort_index",
            json!({ "sort_index": place }),
        )
    }

    /// Says something beside a process's name.
    pub(super) fn label(&mut self, pid: u32, label: &str) -> io::Result<()> {
        self.metadata((pid, 0), "process_labels", json!({ "labels": label }))
    }

    /// Names a thread when it is first met.
    pub(super) fn thread(&mut self, pid: u32, tid: u32) -> io::Result<()> {
        if self.named.len() < MOST_NAMED && self.named.insert((pid, tid)) {
            let name = format!("thread {tid}");
            self.metadata((pid, tid), "thread_name", json!({ "name": name }))?;
        }
        Ok(())
    }

    /// A slice of a thread.
    pub(super) fn slice(
        &mut self,
        thread: Thread,
        category: &str,
        name: &str,
        from: i128,
        until: i128,
        args: Arguments,
    ) -> io::Result<()> {
        self.write(&Event {
            dur: Some(microseconds(until - from)),
            ..event("X", thread, category, name, from, args)
        })
    }

    /// An instant of a process.
    pub(super) fn instant(
        &mut self,
        pid: u32,
        category: &str,
        name: &str,
        at: i128,
        args: Arguments,
    ) -> io::Result<()> {
        self.write(&Event {
            s: Some("p"),
            ..event("i", (pid, 0), category, name, at, args)
        })
    }

    /// A figure from an instant on.
    pub(super) fn counter(&mut self, pid: u32, name: &str, at: i128, value: f64) -> io::Result<()> {
        let args = super::object(json!({ "value": value }));
        self.write(&event("C", (pid, 0), "seconds", name, at, args))
    }

    /// Begins an asynchronous event; answers by what it is closed.
    pub(super) fn open(
        &mut self,
        thread: Thread,
        category: &str,
        name: &str,
        at: i128,
        args: Arguments,
    ) -> io::Result<u64> {
        let id = self.next_id;
        self.next_id += 1;
        self.write(&with_id(event("b", thread, category, name, at, args), id))?;
        Ok(id)
    }

    /// Ends it.
    pub(super) fn close(
        &mut self,
        thread: Thread,
        category: &str,
        name: &str,
        id: u64,
        at: i128,
    ) -> io::Result<()> {
        let end = event("e", thread, category, name, at, Map::new());
        self.write(&with_id(end, id))
    }

    /// A part of one that is open.
    pub(super) fn within(
        &mut self,
        thread: Thread,
        category: &str,
        name: &str,
        id: u64,
        from: i128,
        until: i128,
    ) -> io::Result<()> {
        let begin = event("b", thread, category, name, from, Map::new());
        self.write(&with_id(begin, id))?;
        self.close(thread, category, name, id, until)
    }

    /// A whole asynchronous event.
    pub(super) fn asynchronous(
        &mut self,
        thread: Thread,
        category: &str,
        name: &str,
        from: i128,
        until: i128,
        args: Arguments,
    ) -> io::Result<()> {
        let id = self.open(thread, category, name, from, args)?;
        self.close(thread, category, name, id, until.max(from))
    }
}

fn event<'a>(
    ph: &'static str,
    thread: Thread,
    category: &'a str,
    name: &'a str,
    at: i128,
    args: Arguments,
) -> Event<'a> {
    Event {
        ph,
        name,
        cat: Some(category),
        pid: thread.0,
        tid: thread.1,
        ts: Some(microseconds(at)),
        dur: None,
        id: None,
        s: None,
        args,
    }
}

fn with_id(event: Event<'_>, id: u64) -> Event<'_> {
    Event {
        id: Some(format!("0x{id:x}")),
        ..event
    }
}

/// The numbers of processes: their own, as long as no two recordings have the same.
#[derive(Default)]
pub(super) struct Processes {
    numbers: HashMap<(usize, Option<u32>), u32>,
    taken: HashSet<u32>,
    met: HashSet<u32>,
}

impl Processes {
    /// The number of a recording's process; `None` is the one whose own is unknown.
    pub(super) fn number(&mut self, recording: usize, process: Option<u32>) -> u32 {
        let key = (recording, process);
        if let Some(number) = self.numbers.get(&key) {
            return *number;
        }
        let own = process.filter(|own| *own < INVENTED && self.taken.insert(*own));
        let number = own.unwrap_or_else(|| INVENTED.saturating_add(self.numbers.len() as u32));
        self.numbers.insert(key, number);
        number
    }

    /// The same, and whether it is met for the first time.
    pub(super) fn meet(&mut self, recording: usize, process: Option<u32>) -> (u32, bool) {
        let number = self.number(recording, process);
        (number, self.met.insert(number))
    }
}
