//! Which hooks belong to which group, and attaching them.
//!
//! A hook that the kernel lacks is left out, with the reason; the rest of its group still counts.

use aya::programs::perf_event::SoftwareEvent;

use crate::catalogue::{Group, Selection};
use crate::programs::{Link, Programs, ProgramsError};

/// Hooks of the kernel, those that several groups share first.
struct Hooks {
    /// Any of these groups needs them.
    groups: &'static [Group],
    /// Program and tracepoint.
    tracepoints: &'static [(&'static str, &'static str)],
    /// Program and software event.
    events: &'static [(&'static str, SoftwareEvent)],
}

/// Threads and processes of the target that come and go; always attached.
const LIVES: Hooks = Hooks {
    groups: &Group::ALL,
    tracepoints: &[
        ("process_fork", "sched_process_fork"),
        ("process_exec", "sched_process_exec"),
        ("process_exit", "sched_process_exit"),
    ],
    events: &[],
};

const HOOKS: [Hooks; 6] = [
    LIVES,
    Hooks {
        groups: &[Group::Sched, Group::Futex],
        tracepoints: &[
            ("sched_switch", "sched_switch"),
            ("sched_wakeup", "sched_wakeup"),
            ("sched_wakeup_new", "sched_wakeup_new"),
        ],
        events: &[],
    },
    Hooks {
        groups: &[Group::Syscalls],
        tracepoints: &[("sys_enter", "sys_enter"), ("sys_exit", "sys_exit")],
        events: &[],
    },
    Hooks {
        groups: &[Group::Faults],
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
        tracepoints: &[("tlb_flush", "tlb_flush")],
        events: &[],
    },
];

/// Hooks of the kernel that are attached; detached when dropped.
pub(crate) struct Attached {
    links: Vec<Link>,
    /// What could not be attached, and why.
    pub left_out: Vec<String>,
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
            links: Vec::new(),
            left_out: Vec::new(),
        };
        let mut first_error = None;
        let wanted = HOOKS
            .iter()
            .filter(|hooks| hooks.groups.iter().any(|group| selection.has(*group)));
        for hooks in wanted {
            for (program, tracepoint) in hooks.tracepoints {
                match programs.attach_tracepoint(program, tracepoint) {
                    Ok(link) => attached.links.push(link),
                    Err(error) => attached.leave_out(tracepoint, error, &mut first_error),
                }
            }
            for (program, event) in hooks.events {
                match programs.attach_software_event(program, *event) {
                    Ok(links) => attached.links.extend(links),
                    Err(error) => {
                        attached.leave_out(&format!("{event:?}"), error, &mut first_error);
                    }
                }
            }
        }
        match first_error {
            Some(error) if attached.links.is_empty() => Err(error),
            _ => Ok(attached),
        }
    }

    fn leave_out(
        &mut self,
        hook: &str,
        error: ProgramsError,
        first_error: &mut Option<ProgramsError>,
    ) {
        self.left_out.push(format!("{hook}: {error}"));
        first_error.get_or_insert(error);
    }
}
