//! Which hooks of the kernel belong to which group; attaching them, and holding their budget.
//!
//! A hook that the kernel lacks is left out, with the reason; the rest of its group still counts.
//!
//! **Budget.** The hooks of a group cost what their programs' run time is, as far as it is more than
//! that of an empty program. If all together cost more of the target's CPU time than they may, the
//! dearest are attached for a tenth of a second at a time only, with rests in between: their series
//! then say which share of the time was seen. What a detached hook does not see is not recorded, so
//! this is a last resort: of a program with 100,000 page faults a second, say.

use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use aya::programs::perf_event::SoftwareEvent;
use tailcut_probe_ebpf::records::{
    VALID_FAULTS, VALID_KERNEL, VALID_SCHEDULER, VALID_SYSTEM_CALLS,
};

use super::usage;
use crate::catalogue::{Group, Selection};
use crate::programs::{Link, Programs, ProgramsError};

/// Hooks that are attached and detached together.
struct Hooks {
    /// Any of these groups needs them.
    groups: &'static [Group],
    /// Number under which the programs know since when they are attached.
    valid: Option<u32>,
    /// Program and tracepoint.
    tracepoints: &'static [(&'static str, &'static str)],
    /// Program and software event.
    events: &'static [(&'static str, SoftwareEvent)],
}

const HOOKS: [Hooks; 6] = [
    // Threads and processes of the target that come and go; always attached.
    Hooks {
        groups: &Group::ALL,
        valid: None,
        tracepoints: &[
            ("process_fork", "sched_process_fork"),
            ("process_exec", "sched_process_exec"),
            ("process_exit", "sched_process_exit"),
        ],
        events: &[],
    },
    Hooks {
        groups: &[Group::Sched, Group::Futex],
        valid: Some(VALID_SCHEDULER),
        tracepoints: &[
            ("sched_switch", "sched_switch"),
            ("sched_wakeup", "sched_wakeup"),
            ("sched_wakeup_new", "sched_wakeup_new"),
        ],
        events: &[],
    },
    Hooks {
        groups: &[Group::Syscalls],
        valid: Some(VALID_SYSTEM_CALLS),
        tracepoints: &[("sys_enter", "sys_enter"), ("sys_exit", "sys_exit")],
        events: &[],
    },
    Hooks {
        groups: &[Group::Faults],
        valid: Some(VALID_FAULTS),
        tracepoints: &[
            ("page_fault_user", "page_fault_user"),
            ("page_fault_kernel", "page_fault_kernel"),
        ],
        events: &[
            ("minor_fault", SoftwareEvent::PageFaultsMin),
            ("major_fault", SoftwareEvent::PageFaultsMaj),
        ],
    },
    Hooks {
        groups: &[Group::Kernel],
        valid: Some(VALID_KERNEL),
        tracepoints: &[
            ("contention_begin", "contention_begin"),
            ("contention_end", "contention_end"),
            ("compaction_begin", "mm_compaction_begin"),
            ("compaction_end", "mm_compaction_end"),
            ("reclaim_begin", "mm_vmscan_direct_reclaim_begin"),
            ("reclaim_end", "mm_vmscan_direct_reclaim_end"),
        ],
        events: &[],
    },
    Hooks {
        groups: &[Group::Tlb],
        valid: None,
        tracepoints: &[("tlb_flush", "tlb_flush")],
        events: &[],
    },
];

/// How long hooks are attached at a time, if the budget does not let them stay.
const AT_A_TIME: Duration = Duration::from_millis(100);
const LONGEST_REST: Duration = Duration::from_secs(5);
/// The least share of the time in which hooks are attached.
const LEAST_SHARE: f64 = 0.02;

/// Hooks of the kernel that are attached; detached when dropped.
pub(crate) struct Attached {
    parts: Vec<Part>,
    /// What could not be attached, and why.
    pub left_out: Vec<String>,
}

struct Part {
    hooks: &'static Hooks,
    links: Vec<Link>,
    /// Share of the time in which they may be attached.
    share: f64,
    /// When they are to be detached, or attached again.
    change: Option<Instant>,
    closing: Option<JoinHandle<()>>,
    /// They were not attached for all of the current interval.
    rested: bool,
    /// Since when they are attached, as far as it was not yet counted.
    since_ns: u64,
    attached_ns: u64,
    /// Nanoseconds that their programs cost in a second of being attached.
    cost: f64,
}

impl Attached {
    /// Attaches all hooks that the selected groups need.
    ///
    /// # Errors
    /// If nothing at all can be attached: then the reason is not one kernel's lack of one hook.
    pub fn attach(
        programs: &mut Programs,
        selection: &Selection,
    ) -> Result<Attached, ProgramsError> {
        let mut attached = Attached {
            parts: Vec::new(),
            left_out: Vec::new(),
        };
        let mut first_error = None;
        let wanted = HOOKS
            .iter()
            .filter(|hooks| hooks.groups.iter().any(|group| selection.has(*group)));
        for hooks in wanted {
            let mut part = Part::new(hooks);
            part.attach(programs, &mut |hook, error| {
                attached.left_out.push(format!("{hook}: {error}"));
                first_error.get_or_insert(error);
            })?;
            attached.parts.push(part);
        }
        match first_error {
            Some(error) if attached.parts.iter().all(|part| part.links.is_empty()) => Err(error),
            _ => Ok(attached),
        }
    }

    /// Attaches what rests, for so long at least.
    pub fn attach_all(
        &mut self,
        programs: &mut Programs,
        time: Duration,
    ) -> Result<(), ProgramsError> {
        for part in &mut self.parts {
            if part.share < 1.0 {
                if part.links.is_empty() {
                    part.change(programs)?;
                }
                part.change = Some(Instant::now() + time);
            }
        }
        Ok(())
    }

    /// Attaches and detaches what it is time for.
    pub fn step(&mut self, programs: &mut Programs) -> Result<(), ProgramsError> {
        let now = Instant::now();
        for part in &mut self.parts {
            if part.change.is_some_and(|change| now >= change) {
                part.change(programs)?;
            }
        }
        Ok(())
    }

    /// When [`Attached::step`] should be called next.
    pub fn next_step(&self) -> Option<Instant> {
        self.parts.iter().filter_map(|part| part.change).min()
    }

    /// Takes note of what each program cost in a second, and lets the dearest rest if all together
    /// cost more than `allowed` nanoseconds in one.
    pub fn judge(&mut self, costs: &[(String, f64)], allowed: f64) {
        for part in &mut self.parts {
            let cost = part
                .programs()
                .filter_map(|program| costs.iter().find(|(name, _)| name == program))
                .map(|(_, cost)| cost)
                .sum::<f64>();
            part.cost = cost;
        }
        let all: f64 = self.parts.iter().map(|part| part.cost).sum();
        let mut over = all - allowed;
        let mut by_cost: Vec<&mut Part> = self
            .parts
            .iter_mut()
            .filter(|part| part.hooks.valid.is_some())
            .collect();
        by_cost.sort_by(|a, b| b.cost.total_cmp(&a.cost));
        for part in by_cost {
            let share = if over <= 0.0 || part.cost <= 0.0 {
                1.0
            } else {
                (1.0 - over / part.cost).max(LEAST_SHARE)
            };
            over -= part.cost * (1.0 - share);
            part.set_share(share);
        }
    }

    /// Share of an interval of `length_ns` in which the hooks of `group` were attached. Asked once
    /// for each interval and group.
    pub fn seen(&self, group: Group, length_ns: u64) -> f64 {
        self.parts
            .iter()
            .find(|part| part.hooks.valid.is_some() && part.hooks.groups.contains(&group))
            .map_or(1.0, |part| part.seen(length_ns))
    }

    /// What the programs cost in an interval, in nanoseconds.
    pub fn cost_ns(&self, length_ns: u64) -> f64 {
        let seconds = length_ns as f64 * 1e-9;
        self.parts
            .iter()
            .map(|part| part.cost * seconds * part.seen(length_ns))
            .sum()
    }

    /// The interval is over.
    pub fn begin_interval(&mut self) {
        for part in &mut self.parts {
            part.attached_ns = 0;
            part.rested = part.links.is_empty();
            part.since_ns = usage::now();
        }
    }
}

impl Part {
    fn new(hooks: &'static Hooks) -> Part {
        Part {
            hooks,
            links: Vec::new(),
            share: 1.0,
            change: None,
            closing: None,
            rested: false,
            since_ns: usage::now(),
            attached_ns: 0,
            cost: 0.0,
        }
    }

    fn seen(&self, length_ns: u64) -> f64 {
        if !self.rested {
            return 1.0;
        }
        let open = match self.links.is_empty() {
            true => 0,
            false => usage::now().saturating_sub(self.since_ns),
        };
        ((self.attached_ns + open) as f64 / length_ns.max(1) as f64).min(1.0)
    }

    fn programs(&self) -> impl Iterator<Item = &'static str> {
        let tracepoints = self.hooks.tracepoints.iter().map(|(program, _)| *program);
        tracepoints.chain(self.hooks.events.iter().map(|(program, _)| *program))
    }

    fn attach(
        &mut self,
        programs: &mut Programs,
        leave_out: &mut dyn FnMut(&str, ProgramsError),
    ) -> Result<(), ProgramsError> {
        // Ends before beginnings: a pause that began before is not known to have ended else.
        for (program, event) in self.hooks.events {
            match programs.attach_software_event(program, *event) {
                Ok(links) => self.links.extend(links),
                Err(error) => leave_out(&format!("{event:?}"), error),
            }
        }
        for (program, tracepoint) in self.hooks.tracepoints {
            match programs.attach_tracepoint(program, tracepoint) {
                Ok(link) => self.links.push(link),
                Err(error) => leave_out(tracepoint, error),
            }
        }
        self.since_ns = usage::now();
        match self.hooks.valid {
            Some(number) => programs.set_valid_since(number, self.since_ns),
            None => Ok(()),
        }
    }

    fn change(&mut self, programs: &mut Programs) -> Result<(), ProgramsError> {
        if self.links.is_empty() {
            if let Some(closing) = self.closing.take() {
                let _ = closing.join();
            }
            // Ends are attached before beginnings: until all are, no end has one that counts.
            if let Some(number) = self.hooks.valid {
                programs.set_valid_since(number, u64::MAX)?;
            }
            // What the kernel took once it takes again.
            self.attach(programs, &mut |_, _| {})?;
            self.change = (self.share < 1.0).then(|| Instant::now() + AT_A_TIME);
        } else if self.share < 1.0 {
            let links = std::mem::take(&mut self.links);
            self.rested = true;
            self.closing = std::thread::Builder::new()
                .name("detach".to_owned())
                .spawn(move || drop(links))
                .ok();
            self.attached_ns += usage::now().saturating_sub(self.since_ns);
            let rest = AT_A_TIME.mul_f64(1.0 / self.share - 1.0).min(LONGEST_REST);
            self.change = Some(Instant::now() + rest);
        } else {
            self.change = None;
        }
        Ok(())
    }

    fn set_share(&mut self, share: f64) {
        let changes = (share >= 1.0) != (self.share >= 1.0);
        self.share = share;
        if changes {
            self.change = Some(Instant::now());
        }
    }
}
