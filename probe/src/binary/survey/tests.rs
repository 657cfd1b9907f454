//! A survey of this very process, and of one that ends.

use super::{Detail, SurveyError, survey};
use crate::binary::allocators::Role;
use crate::binary::process::ProcessError;
use crate::binary::sites::{HitCosts, Returns};

#[test]
fn a_survey_of_this_process_plans_its_malloc_and_free() {
    let survey = survey(std::process::id()).unwrap();
    let glibc = &survey.allocators[0];
    assert_eq!(glibc.allocator.role, Role::Default);
    for name in ["malloc", "free", "calloc", "realloc"] {
        let (function, plans) = glibc.calls().find(|(f, _)| f.name == name).unwrap();
        let plan = plans.latency.as_ref().unwrap();
        assert!(plan.entry.address >= function.address);
        if plan.returns == Returns::ReturnProbe {
            assert_eq!(plan.entry.stack_offset, 0, "{name}: {plan:#?}");
        }
        // Whatever it begins with here, the plan is no dearer than the usual place.
        let costs = HitCosts::default();
        let usual = costs.single_stepped + costs.return_probe;
        assert!(plan.predicted_nanoseconds <= usual, "{name}: {plan:#?}");
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
    let lines = survey.lines(Detail::Full);
    assert!(lines[0].starts_with(&format!("process {}", std::process::id())));
    assert!(
        lines.iter().any(|line| line.contains("glibc")),
        "{lines:#?}"
    );
    assert!(lines.iter().all(|line| !line.contains(char::is_control)));
    assert!(survey.lines(Detail::Brief).len() < lines.len());
    let json = serde_json::to_value(&survey).unwrap();
    assert_eq!(json["process"]["pid"], std::process::id());
    assert_eq!(json["allocators"][0]["allocator"]["family"], "glibc");
}

/// A static probe in this very program: a `nop`, and the note that describes it.
#[cfg(target_arch = "x86_64")]
#[inline(never)]
fn marked_place() {
    // SAFETY: a `nop` that says it changes nothing changes nothing; the rest is a section that
    // is not loaded.
    unsafe {
        std::arch::asm!(
            "7: nop",
            "nop",
            ".pushsection .note.stapsdt, \"\", @note",
            ".balign 4",
            ".long 8, 9f - 8f, 3",
            ".asciz \"stapsdt\"",
            "8: .8byte 7b, 0, 0",
            ".asciz \"tailcut_probe_test\"",
            ".asciz \"place\"",
            ".asciz \"8@%rdi -4@-12(%rbp)\"",
            "9: .balign 4",
            ".popsection",
            options(att_syntax, nomem, preserves_flags)
        );
    }
}

#[test]
#[cfg(target_arch = "x86_64")]
fn a_static_probe_of_this_program_is_found_where_its_nop_is() {
    use crate::binary::elf::Image;
    marked_place();
    let survey = survey(std::process::id()).unwrap();
    let [found] = &survey.probes["tailcut_probe_test"][..] else {
        panic!("{:#?}", survey.probes);
    };
    assert_eq!(found.probe.name, "place");
    assert_eq!(found.probe.arguments.len(), 2);
    assert_eq!(found.probe.semaphore_file_offset, None);
    let image = Image::open(&survey.modules[found.module].openable).unwrap();
    assert_eq!(
        image.bytes_at(found.probe.address, 2).unwrap(),
        [0x90, 0x90]
    );
}

#[test]
fn a_process_that_is_not_there_is_said_so() {
    assert!(matches!(
        survey(1 << 23),
        Err(SurveyError::Process(ProcessError::NoSuchProcess { .. }))
    ));
}
