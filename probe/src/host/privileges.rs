//! Which capabilities this process has, which ones tracing takes, and giving them up.
//!
//! Root is not needed. What each capability is for, found out by running as an unprivileged user
//! with some of them left out (that file reading needs the last was not shown):
//!
//! | capability | without it |
//! |---|---|
//! | `CAP_BPF` | no program and no map can be loaded |
//! | `CAP_PERFMON` | no program of a tracing type can be loaded, no user probe be opened |
//! | `CAP_SYS_PTRACE` | executables, libraries and namespaces of other users' processes cannot be opened (`/proc/PID/exe`, `root`, `ns`), on older kernels nor can `maps` be read |
//! | `CAP_DAC_READ_SEARCH` | executables and libraries that not everybody may read cannot be opened |
//! | `CAP_SYS_ADMIN` | nothing but `BPF_ENABLE_STATS`, for which `sysctl kernel.bpf_stats_enabled=1` stands in |
//!
//! so that the least that traces every process is
//!
//! ```text
//! setcap cap_bpf,cap_perfmon,cap_sys_ptrace,cap_dac_read_search=ep tailcut
//! ```
//!
//! Capabilities belong to threads: giving them up ([`keep_only`]) changes the calling thread and
//! those it starts later, so it comes before any other thread is started, or in each.

use caps::{CapSet, Capability, CapsHashSet};

use super::checks::Need;

/// All that tracing takes, for processes of any user.
pub const FOR_TRACING: &[Capability] = &[
    Capability::CAP_BPF,
    Capability::CAP_PERFMON,
    Capability::CAP_SYS_PTRACE,
    Capability::CAP_DAC_READ_SEARCH,
];

/// What a session makes use of while it runs, with the privileges of root: beside [`FOR_TRACING`], its own
/// cost is measured by `BPF_ENABLE_STATS` (`CAP_SYS_ADMIN`), a window is watched by a thread that nothing
/// delays (`CAP_SYS_NICE`), and addresses of the kernel get names (`CAP_SYSLOG`).
pub const FOR_A_SESSION: &[Capability] = &[
    Capability::CAP_BPF,
    Capability::CAP_PERFMON,
    Capability::CAP_SYS_PTRACE,
    Capability::CAP_DAC_READ_SEARCH,
    Capability::CAP_SYS_ADMIN,
    Capability::CAP_SYS_NICE,
    Capability::CAP_SYSLOG,
];

/// Once the programs are loaded, to look into a target for libraries that it loads later.
pub const FOR_NEW_LIBRARIES: &[Capability] =
    &[Capability::CAP_SYS_PTRACE, Capability::CAP_DAC_READ_SEARCH];

/// Once the programs are loaded, to open user probes later as perf events. Links do without: a
/// loaded program may be attached, again and again, to places in files held open, by the path
/// `/proc/self/fd/N`.
pub const FOR_NEW_PERF_EVENTS: &[Capability] = &[Capability::CAP_PERFMON];

/// Enough, from Linux 5.19 on, to read maps, to detach, and to attach by link. Before, every call
/// of `bpf(2)` takes [`FOR_OLD_KERNELS`].
pub const NOTHING: &[Capability] = &[];

/// What reading a map takes before Linux 5.19, where `unprivileged_bpf_disabled` is set.
pub const FOR_OLD_KERNELS: &[Capability] = &[Capability::CAP_BPF];

/// The effective capabilities of a thread.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Privileges {
    effective: CapsHashSet,
    /// Whether they are those of the host: BPF and perf events ask for these, not for those that
    /// root has inside a user namespace of its own.
    of_the_host: bool,
}

/// A capability that tracing takes and this process lacks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Missing {
    /// `CAP_BPF`.
    Bpf,
    /// `CAP_PERFMON`.
    Perfmon,
    /// `CAP_SYS_PTRACE`.
    SysPtrace,
    /// `CAP_DAC_READ_SEARCH`.
    DacReadSearch,
}

/// Capabilities could not be given up.
#[derive(Debug, thiserror::Error)]
#[error("cannot give up capabilities: {0}")]
pub struct PrivilegesError(String);

/// What tracing takes and the calling thread lacks; empty as root.
pub fn missing_for_tracing() -> Vec<Missing> {
    missing_from(&Privileges::of_this_thread())
}

/// Gives up every capability but these, for the calling thread and those it starts later, and for
/// every program they execute. What is not held is not gained.
///
/// # Errors
/// If the kernel refuses, which it has no reason to.
pub fn keep_only(kept: &[Capability]) -> Result<(), PrivilegesError> {
    let refused = |error: caps::errors::CapsError| PrivilegesError(error.to_string());
    // Without this, a program executed as user 0 would get all of them back.
    nix::sys::prctl::set_no_new_privs().map_err(|error| PrivilegesError(error.to_string()))?;
    let wanted: CapsHashSet = kept.iter().copied().collect();
    // The effective set must stay within the permitted one at every step.
    for set in [
        CapSet::Ambient,
        CapSet::Inheritable,
        CapSet::Effective,
        CapSet::Permitted,
    ] {
        let held = caps::read(None, set).map_err(refused)?;
        let rest: CapsHashSet = held.intersection(&wanted).copied().collect();
        if rest != held {
            caps::set(None, set, &rest).map_err(refused)?;
        }
    }
    Ok(())
}

impl Privileges {
    /// Those of the calling thread; none if the kernel does not say.
    pub fn of_this_thread() -> Self {
        Self {
            effective: caps::read(None, CapSet::Effective).unwrap_or_default(),
            of_the_host: super::is_first_namespace("user") != Some(false),
        }
    }

    /// Whether the capability itself is held, not one that includes it.
    pub fn holds(&self, capability: Capability) -> bool {
        self.effective.contains(&capability)
    }

    /// Programs and maps may be loaded.
    pub fn may_load_programs(&self) -> bool {
        self.holds_or_administers(Capability::CAP_BPF)
    }

    /// Perf events of the kernel, user probes among them, may be opened.
    pub fn may_open_events(&self) -> bool {
        self.holds_or_administers(Capability::CAP_PERFMON)
    }

    /// Processes of other users may be looked into.
    pub fn may_trace_others(&self) -> bool {
        self.holds(Capability::CAP_SYS_PTRACE)
    }

    /// Addresses of the kernel are shown where `kptr_restrict` is 1.
    pub fn may_read_kernel_addresses(&self) -> bool {
        self.holds(Capability::CAP_SYSLOG)
    }

    /// The command that grants what is missing.
    pub fn cure(&self) -> String {
        if !self.of_the_host {
            return "run tailcut outside of the rootless container".into();
        }
        if nix::unistd::geteuid().is_root() {
            // Root without its capabilities: a container.
            return "docker run --privileged --pid=host ..., or at least --cap-add=BPF \
                    --cap-add=PERFMON --cap-add=SYS_PTRACE --cap-add=DAC_READ_SEARCH"
                .into();
        }
        let executable = std::env::current_exe()
            .map_or_else(|_| "tailcut".into(), |path| path.display().to_string());
        format!(
            "sudo setcap cap_bpf,cap_perfmon,cap_sys_ptrace,cap_dac_read_search=ep {executable}"
        )
    }

    /// Up to Linux 5.7, `CAP_SYS_ADMIN` was what the finer capabilities are since; it still counts.
    fn holds_or_administers(&self, capability: Capability) -> bool {
        self.of_the_host && (self.holds(capability) || self.holds(Capability::CAP_SYS_ADMIN))
    }
}

impl Missing {
    /// All there are, with the names of the capabilities.
    pub const ALL: [(&'static str, Self); 4] = [
        ("CAP_BPF", Self::Bpf),
        ("CAP_PERFMON", Self::Perfmon),
        ("CAP_SYS_PTRACE", Self::SysPtrace),
        ("CAP_DAC_READ_SEARCH", Self::DacReadSearch),
    ];

    /// The capability itself.
    pub fn capability(self) -> Capability {
        match self {
            Self::Bpf => Capability::CAP_BPF,
            Self::Perfmon => Capability::CAP_PERFMON,
            Self::SysPtrace => Capability::CAP_SYS_PTRACE,
            Self::DacReadSearch => Capability::CAP_DAC_READ_SEARCH,
        }
    }

    /// What is not possible without it.
    pub fn consequence(self) -> &'static str {
        match self {
            Self::Bpf => "no program and no map can be loaded: nothing can be traced",
            Self::Perfmon => "no program of a tracing type can be loaded: nothing can be traced",
            Self::SysPtrace => "only processes of this user can be looked into",
            Self::DacReadSearch => {
                "executables and libraries that this user may not read stay closed"
            }
        }
    }

    /// Whether nothing at all can be traced without it.
    pub fn need(self) -> Need {
        match self {
            Self::Bpf | Self::Perfmon => Need::Required,
            Self::SysPtrace | Self::DacReadSearch => Need::Optional,
        }
    }
}

/// What tracing takes and these privileges lack.
pub(super) fn missing_from(privileges: &Privileges) -> Vec<Missing> {
    Missing::ALL
        .into_iter()
        .map(|(_, missing)| missing)
        .filter(|missing| match missing {
            Missing::Bpf => !privileges.may_load_programs(),
            Missing::Perfmon => !privileges.may_open_events(),
            Missing::SysPtrace | Missing::DacReadSearch => !privileges.holds(missing.capability()),
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn holding(capabilities: &[Capability]) -> Privileges {
        Privileges {
            effective: capabilities.iter().copied().collect(),
            of_the_host: true,
        }
    }

    #[test]
    fn the_documented_capabilities_are_all_that_is_asked_for() {
        assert_eq!(missing_from(&holding(FOR_TRACING)), []);
        assert_eq!(missing_from(&holding(&[])).len(), 4);
    }

    #[test]
    fn the_old_capability_of_administrators_stands_in_for_the_finer_ones() {
        let administrator = holding(&[Capability::CAP_SYS_ADMIN]);
        let missing = missing_from(&administrator);
        assert_eq!(missing, [Missing::SysPtrace, Missing::DacReadSearch]);
    }

    #[test]
    fn roots_capabilities_inside_a_user_namespace_do_not_count() {
        let mut inside = holding(FOR_TRACING);
        inside.of_the_host = false;
        assert_eq!(missing_from(&inside), [Missing::Bpf, Missing::Perfmon]);
        assert!(inside.cure().contains("outside"));
    }

    #[test]
    fn a_thread_gives_up_all_but_what_it_keeps_and_other_threads_keep_theirs() {
        let before = Privileges::of_this_thread();
        std::thread::spawn(|| {
            let held = Privileges::of_this_thread();
            keep_only(&[Capability::CAP_SYS_PTRACE]).unwrap();
            let reduced = Privileges::of_this_thread();
            let expected: CapsHashSet = held
                .effective
                .into_iter()
                .filter(|&one| one == Capability::CAP_SYS_PTRACE)
                .collect();
            assert_eq!(reduced.effective, expected);
            // What a program executed from here would have.
            let permitted = caps::read(None, CapSet::Permitted).unwrap();
            assert_eq!(permitted, expected);

            keep_only(NOTHING).unwrap();
            assert!(Privileges::of_this_thread().effective.is_empty());
            keep_only(FOR_TRACING).unwrap();
            assert!(
                Privileges::of_this_thread().effective.is_empty(),
                "regained"
            );
        })
        .join()
        .unwrap();
        assert_eq!(Privileges::of_this_thread(), before);
    }

    #[test]
    fn a_program_executed_afterwards_has_no_capabilities_either() {
        let effective = std::thread::spawn(|| {
            keep_only(NOTHING).unwrap();
            let child = std::process::Command::new("/bin/cat")
                .arg("/proc/self/status")
                .output()
                .unwrap();
            let status = String::from_utf8(child.stdout).unwrap();
            let line = status.lines().find(|line| line.starts_with("CapEff:"));
            line.unwrap().to_owned()
        })
        .join()
        .unwrap();
        let set = effective.trim_start_matches("CapEff:").trim();
        assert!(set.chars().all(|digit| digit == '0'), "{effective}");
    }
}
