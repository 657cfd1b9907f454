//! What can be traced in a Go program, as lines of text.

use super::{Detail, plan_line};
use crate::binary::go::{GoAllocationPlan, GoFunctionPlan, SurveyedGo};
use crate::binary::sites::Plan;

/// One line a fact, indented below the program.
pub(super) fn lines(go: &SurveyedGo, path: &str, detail: Detail) -> Vec<String> {
    let mut lines = vec![format!("Go program ({}) in {path}", go.version)];
    if let Some(module) = go.build.package.as_deref().or(go.build.module.as_deref()) {
        let version = go.build.module_version.as_deref().unwrap_or("no version");
        lines.push(format!("  package {module} ({version})"));
    }
    lines.push(format!("  {}", form(go)));
    for plan in &go.plans {
        function_lines(plan, detail, &mut lines);
    }
    for allocation in shown_allocations(go, detail) {
        let name = format!("{} [allocation]", allocation.entry.function.name);
        plan_lines(&name, &allocation.plan, detail, &mut lines);
    }
    let copies = go.allocations.len().saturating_sub(1);
    if detail == Detail::Brief && copies > 0 {
        let failed = go.allocations[1..].iter().filter(|copy| copy.plan.is_err());
        let failed = match failed.count() {
            0 => String::new(),
            count => format!(", {count} of which cannot be probed"),
        };
        lines.push(format!(
            "  and {copies} copies of mallocgc for small sizes, which compiled code calls directly{failed}"
        ));
    }
    if let Ok(layout) = &go.layout {
        let parts = [
            ("scheduler latency", layout.scheduler_latency.is_ok()),
            ("the collector's pauses", layout.collector_pauses.is_ok()),
        ];
        let known: Vec<&str> = parts
            .iter()
            .filter(|(_, known)| *known)
            .map(|(part, _)| *part)
            .collect();
        if !known.is_empty() {
            lines.push(format!(
                "  read from the runtime's memory: {}",
                known.join(", ")
            ));
        }
    }
    let left_out = go.left_out.iter();
    lines.extend(left_out.map(|left_out| format!("  left out: {left_out}")));
    lines
}

/// `2120 functions in a table of Go 1.20 and newer; stripped of symbols; cgo`.
fn form(go: &SurveyedGo) -> String {
    let mut parts = vec![format!(
        "{} functions in a table {}",
        go.functions, go.table
    )];
    if !go.has_symbol_table {
        parts.push("stripped of symbols".to_owned());
    }
    if go.position_independent {
        parts.push("position-independent".to_owned());
    }
    for (setting, said) in [
        ("CGO_ENABLED", "cgo"),
        ("-race", "race detector"),
        ("-asan", "address sanitizer"),
        ("-msan", "memory sanitizer"),
    ] {
        if matches!(go.build.setting(setting), Some("1" | "true")) {
            parts.push(said.to_owned());
        }
    }
    if let Some(mode) = go.build.setting("-buildmode").filter(|mode| *mode != "exe") {
        parts.push(format!("built as {mode}"));
    }
    parts.join("; ")
}

fn shown_allocations(go: &SurveyedGo, detail: Detail) -> &[GoAllocationPlan] {
    match detail {
        Detail::Brief => &go.allocations[..go.allocations.len().min(1)],
        Detail::Full => &go.allocations,
    }
}

fn function_lines(function: &GoFunctionPlan, detail: Detail, lines: &mut Vec<String>) {
    let name = format!("{} [{}]", function.function, function.shows);
    plan_lines(&name, &function.plan, detail, lines);
}

fn plan_lines(name: &str, plan: &Result<Plan, String>, detail: Detail, lines: &mut Vec<String>) {
    let plan = match plan {
        Ok(plan) => plan,
        Err(reason) => {
            lines.push(format!("  {name}: {reason}"));
            return;
        }
    };
    lines.push(format!("  {name}: {}", plan_line(plan)));
    if detail == Detail::Full {
        lines.push(format!("      {}", plan.reason));
        let alternatives = plan.alternatives.iter();
        lines.extend(alternatives.map(|alternative| format!("      or: {alternative}")));
    }
}
