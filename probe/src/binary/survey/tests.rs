//! A survey of this very process, and of one that ends.

use super::{SurveyError, survey};
use crate::binary::allocators::Role;
use crate::binary::process::ProcessError;
use crate::binary::sites::{HitCost, Returns};

#[test]
fn a_survey_of_this_process_plans_its_malloc_and_free() {
    let survey = survey(std::process::id()).unwrap();
    let glibc = &survey.allocators[0];
    assert_eq!(glibc.allocator.role, Role::Default);
    for name in ["malloc", "free", "calloc", "realloc"] {
        let (function, plans) = glibc.calls().find(|(f, _)| f.name == name).unwrap();
        let plan = plans.latency.as_ref().unwrap();
        assert!(plan.entry.address >= function.address);
        assert_eq!(plan.entry.stack_offset, 0, "{name}: {plan:#?}");
        assert_eq!(plan.returns, Returns::ReturnProbe);
        assert!(
            plan.entry.cost < HitCost::SingleStepped,
            "{name}: {plan:#?}"
        );
        assert!(plans.entry_only.is_ok());
    }
    assert_eq!(
        survey.modules[glibc.allocator.module].path,
        glibc.allocator.path
    );
}

#[test]
fn a_survey_is_one_line_a_fact_and_a_value_of_json() {
    let survey = survey(std::process::id()).unwrap();
    let lines = survey.lines();
    assert!(lines[0].starts_with(&format!("process {}", std::process::id())));
    assert!(
        lines.iter().any(|line| line.contains("glibc")),
        "{lines:#?}"
    );
    assert!(lines.iter().all(|line| !line.contains(char::is_control)));
    let json = serde_json::to_value(&survey).unwrap();
    assert_eq!(json["process"]["pid"], std::process::id());
    assert_eq!(json["allocators"][0]["allocator"]["family"], "glibc");
}

#[test]
fn a_process_that_is_not_there_is_said_so() {
    assert!(matches!(
        survey(1 << 23),
        Err(SurveyError::Process(ProcessError::NoSuchProcess { .. }))
    ));
}
