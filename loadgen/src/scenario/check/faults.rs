//! Whether faults on purpose can be done, and would be seen.

use super::{Checked, refuse};
use crate::clock::Nanos;
use crate::network::target::Transport;
use crate::scenario::fault::{Fault, FaultKind};
use crate::scenario::notation::Notation as _;
use crate::scenario::{Scenario, Target, Watched};

/// Each fault must lie in the recorded part, be something, and have somebody to befall.
pub fn check(scenario: &Scenario) -> Checked {
    for fault in &scenario.faults {
        check_time(fault, scenario.duration)?;
        check_kind(fault, scenario)?;
    }
    for (index, fault) in scenario.faults.iter().enumerate() {
        let overlapping = scenario.faults[..index].iter().find(|earlier| {
            let same = std::mem::discriminant(&earlier.kind) == std::mem::discriminant(&fault.kind);
            same && earlier.at < end(fault) && fault.at < end(earlier)
        });
        if let Some(earlier) = overlapping {
            return refuse(format!(
                "the faults {earlier} and {fault} overlap: one of a kind at a time"
            ));
        }
    }
    Ok(())
}

fn end(fault: &Fault) -> Nanos {
    Nanos(fault.at.0.saturating_add(fault.lasts.0))
}

fn check_time(fault: &Fault, duration: Nanos) -> Checked {
    if fault.lasts.0 == 0 {
        return refuse(format!("the fault {fault} lasts no time: give it some"));
    }
    if end(fault) > duration {
        return refuse(format!(
            "the fault {fault} ends after the recorded part, which is {} long: begin it earlier, or run longer",
            duration.write()
        ));
    }
    Ok(())
}

fn check_kind(fault: &Fault, scenario: &Scenario) -> Checked {
    let server = match &scenario.target {
        Target::Network(server) => Some(server),
        Target::InProcess { .. } => None,
    };
    match (&fault.kind, server) {
        (FaultKind::Freeze, None) => refuse(format!(
            "the fault {fault} would stop this process, which is the target: it needs a server"
        )),
        (FaultKind::Freeze, Some(_)) if scenario.watched == Watched::Nobody => refuse(format!(
            "the fault {fault} needs to know which process to stop: watch the listener or a process id"
        )),
        (FaultKind::Delay { .. }, None) => refuse(format!(
            "the fault {fault} delays a network, which a service within this process does not have"
        )),
        (FaultKind::Delay { .. }, Some(server)) if server.transport == Transport::Udp => refuse(
            format!("the fault {fault} is made by a proxy for TCP, which does not carry udp"),
        ),
        (FaultKind::Delay { by, jitter }, _) if by.0 == 0 && jitter.0 == 0 => refuse(format!(
            "the fault {fault} delays by nothing: give it a time"
        )),
        (FaultKind::HogCpu { threads }, _) if !(1..=1024).contains(threads) => {
            refuse(format!("the fault {fault}: give 1 to 1024 threads"))
        }
        (FaultKind::HogMemory { bytes: 0 }, _) => refuse(format!(
            "the fault {fault} takes nothing: give it some bytes"
        )),
        _ => Ok(()),
    }
}
