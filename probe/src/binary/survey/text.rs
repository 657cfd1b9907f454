//! A survey as lines of text.

mod go;

use super::{FunctionPlans, Survey, SurveyedAllocator};
use crate::binary::allocators::{Function, Kind, Role, Tier};
use crate::binary::sites::{HitCost, Plan, Returns, microseconds};
use std::collections::BTreeMap;

/// More ways out of a function are only counted.
const MOST_EXITS_SHOWN: usize = 4;

/// How much is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Detail {
    /// One line a function, slow paths counted, allocators that nobody calls named.
    Brief,
    /// Every function, with the reason for its site and what else was weighed.
    Full,
}

impl Survey {
    /// The survey for a reader: one line a fact, indented below what it belongs to. No line holds
    /// control characters.
    #[must_use]
    pub fn lines(&self, detail: Detail) -> Vec<String> {
        let mut lines = Vec::new();
        self.process_lines(&mut lines);
        for allocator in &self.allocators {
            allocator_lines(allocator, detail, &mut lines);
        }
        if let Some(go) = &self.go {
            lines.extend(go::lines(go, &self.modules[go.module].path, detail));
        } else if self.allocators.is_empty() {
            lines.push("no allocator was recognised".to_owned());
        }
        for sign in &self.unrecognised {
            lines.push(format!("not traceable: {}", sign.explanation));
        }
        self.probe_lines(&mut lines);
        lines.extend(self.remarks.iter().map(|remark| format!("note: {remark}")));
        lines
    }

    fn process_lines(&self, lines: &mut Vec<String>) {
        let process = &self.process;
        lines.push(format!(
            "process {}: {}, {} threads, {}",
            process.pid, process.name, process.threads, self.architecture
        ));
        lines.push(format!("  command: {}", process.command_line));
        if process.other_mount_namespace == Some(true) {
            let pids: Vec<String> = process.namespace_pids.iter().map(u32::to_string).collect();
            lines.push(format!(
                "  in a container: another file tree, process numbers {}",
                pids.join(" > ")
            ));
        }
        for module in self.modules.iter().filter(|module| module.deleted) {
            lines.push(format!(
                "  {} was deleted or replaced since: opened through {}",
                module.path,
                module.openable.display()
            ));
        }
        if self.anonymous_code_bytes > 0 {
            lines.push(format!(
                "  {} KiB of code made at run time, which cannot be probed",
                self.anonymous_code_bytes / 1024
            ));
        }
    }

    fn probe_lines(&self, lines: &mut Vec<String>) {
        for (provider, probes) in &self.probes {
            let mut names: BTreeMap<&str, usize> = BTreeMap::new();
            for probe in probes {
                *names.entry(&probe.probe.name).or_default() += 1;
            }
            let names: Vec<String> = names
                .into_iter()
                .map(|(name, places)| match places {
                    1 => name.to_owned(),
                    _ => format!("{name} ({places} places)"),
                })
                .collect();
            lines.push(format!("static probes of {provider}: {}", names.join(", ")));
        }
    }
}

fn allocator_lines(surveyed: &SurveyedAllocator, detail: Detail, lines: &mut Vec<String>) {
    let allocator = &surveyed.allocator;
    let version = allocator.version.as_deref().unwrap_or("version unknown");
    let role = match &allocator.role {
        Role::Default => "calls of malloc reach it".to_owned(),
        Role::WithinExecutable => "the executable's own calls of malloc reach it".to_owned(),
        Role::ByOwnNames => "called by names of its own".to_owned(),
        Role::Shadowed { by } => format!("hidden behind malloc of {by}"),
    };
    lines.push(format!(
        "{} ({version}) in {}: {role}",
        allocator.family, allocator.path
    ));
    let brief = detail == Detail::Brief;
    if brief && matches!(allocator.role, Role::Shadowed { .. }) {
        return; // nobody asks for the plans of what is not called
    }
    for evidence in &allocator.evidence {
        lines.push(format!("  by {evidence}"));
    }
    for (function, plans) in surveyed.calls() {
        lines.extend(function_lines(function, plans, detail));
    }
    match detail {
        Detail::Brief => lines.extend(slow_path_summary(surveyed)),
        Detail::Full => {
            for (function, plans) in surveyed.slow_paths() {
                lines.extend(function_lines(function, plans, detail));
            }
        }
    }
    for missing in &allocator.missing {
        lines.push(format!("  missing: {missing}"));
    }
}

fn tier_name(tier: Tier) -> &'static str {
    match tier {
        Tier::Refill => "refill",
        Tier::Arena => "arena",
        Tier::OperatingSystem => "operating system",
    }
}

/// `slow paths: 4 refill, 14 arena, 1 operating system`.
fn slow_path_summary(surveyed: &SurveyedAllocator) -> Option<String> {
    let mut counts: BTreeMap<Tier, usize> = BTreeMap::new();
    for (function, _) in surveyed.slow_paths() {
        if let Kind::SlowPath(tier) = function.signature.kind {
            *counts.entry(tier).or_default() += 1;
        }
    }
    let counts: Vec<String> = counts
        .into_iter()
        .map(|(tier, count)| format!("{count} {}", tier_name(tier)))
        .collect();
    (!counts.is_empty()).then(|| format!("  slow paths: {}", counts.join(", ")))
}

fn function_lines(function: &Function, plans: &FunctionPlans, detail: Detail) -> Vec<String> {
    let kind = match function.signature.kind {
        Kind::SlowPath(tier) => format!(" [slow: {}]", tier_name(tier)),
        _ => String::new(),
    };
    // The symbols of Rust's global allocator are mangled.
    let name = match rustc_demangle::try_demangle(&function.name) {
        Ok(rust) => format!("{rust:#}"),
        Err(_) => function.name.clone(),
    };
    let plan = match &plans.latency {
        Ok(plan) => plan,
        Err(reason) => return vec![format!("  {name}{kind}: {reason}")],
    };
    let mut lines = vec![format!("  {name}{kind}: {}", plan_line(plan))];
    if detail == Detail::Full {
        lines.push(format!("      {}", plan.reason));
        for alternative in &plan.alternatives {
            lines.push(format!("      or: {alternative}"));
        }
    }
    lines
}

fn plan_line(plan: &Plan) -> String {
    let returns = match &plan.returns {
        Returns::NotSeen => String::new(),
        Returns::ReturnProbe => " and a return probe".to_owned(),
        Returns::Sites(exits) if exits.len() > MOST_EXITS_SHOWN => {
            let dear = exits.iter().filter(|exit| exit.cost > HitCost::Emulated);
            let dear = dear.count();
            format!(
                " and at {} ways out, {dear} of them single-stepped",
                exits.len()
            )
        }
        Returns::Sites(exits) => {
            let places: Vec<String> = exits
                .iter()
                .map(|exit| format!("`{}` ({})", exit.instruction, exit.cost))
                .collect();
            format!(" and {}", places.join(", "))
        }
    };
    format!(
        "{} a call, at +{} `{}` ({}){returns}",
        microseconds(plan.predicted_nanoseconds),
        plan.entry.from_entry,
        plan.entry.instruction,
        plan.entry.cost,
    )
}
