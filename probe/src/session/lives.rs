//! Threads and processes of the target that begin and end, in words.

use tailcut_probe_ebpf::records::{EXECUTED, EXITED, Event, FORKED};

/// Lines kept of one interval; more are counted.
const LINES: usize = 20;

/// What has happened in the current interval.
#[derive(Debug, Default)]
pub(crate) struct Lives {
    lines: Vec<String>,
    more: u64,
    /// The target now executes another program: its modules have changed.
    pub executed: bool,
}

impl Lives {
    pub fn take(&mut self, target: u32, event: &Event) {
        let line = match event.series {
            FORKED => format!(
                "thread {} began thread or process {}",
                event.thread, event.detail
            ),
            EXITED if event.detail != 0 => format!("process {} ended", event.process),
            EXITED => format!("thread {} ended", event.thread),
            EXECUTED => {
                self.executed |= event.process == target;
                format!("process {} executes another program", event.process)
            }
            _ => return,
        };
        if self.lines.len() < LINES {
            self.lines.push(line);
        } else {
            self.more += 1;
        }
    }

    pub fn take_all(&mut self) -> Vec<String> {
        let mut lines = std::mem::take(&mut self.lines);
        let more = std::mem::take(&mut self.more);
        if more != 0 {
            lines.push(format!("and {more} more threads that began or ended"));
        }
        lines
    }
}
