//! Each rule on code made by hand, and all of them on the host's C library.

use super::kernel::{HitCost, HitCosts, KernelRules};
use super::{Code, Plan, Purpose, Returns};

const MOV_RAX_RDI: &[u8] = &[0x48, 0x89, 0xf8];
const TEST_RDI: &[u8] = &[0x48, 0x85, 0xff];
const PUSH_RBX: &[u8] = &[0x53];
const POP_RBX: &[u8] = &[0x5b];
const SUB_RSP_24: &[u8] = &[0x48, 0x83, 0xec, 0x18];
const ADD_RSP_24: &[u8] = &[0x48, 0x83, 0xc4, 0x18];
const ENDBR: &[u8] = &[0xf3, 0x0f, 0x1e, 0xfa];
const NOP5: &[u8] = &[0x0f, 0x1f, 0x44, 0, 0];
const CALL: &[u8] = &[0xe8, 0, 0, 1, 0];
const RET: &[u8] = &[0xc3];

fn code(parts: &[&[u8]]) -> Code {
    Code::decode("f", 0x1000, 0x500, parts.concat(), true)
}

fn rules() -> KernelRules {
    KernelRules::of_release(6, 18)
}

fn plan(code: &Code, wanted: &[u8], purpose: Purpose) -> Plan {
    code.plan(wanted, purpose, rules(), &HitCosts::default())
        .unwrap()
}

/// Offset, stack offset and cost of the entry site for the first argument.
fn entry(parts: &[&[u8]]) -> (u64, u64, HitCost) {
    let site = plan(&code(parts), &[0], Purpose::EntryOnly).entry;
    assert_eq!(site.file_offset, 0x500 + site.from_entry);
    (site.from_entry, site.stack_offset, site.cost)
}

#[test]
fn a_cheap_first_instruction_is_taken() {
    assert_eq!(entry(&[PUSH_RBX, POP_RBX, RET]), (0, 0, HitCost::Emulated));
    assert_eq!(
        entry(&[NOP5, PUSH_RBX, POP_RBX, RET]),
        (0, 0, HitCost::Called)
    );
}

#[test]
fn a_dear_first_instruction_is_passed_over() {
    assert_eq!(
        entry(&[ENDBR, PUSH_RBX, POP_RBX, RET]),
        (4, 0, HitCost::Emulated)
    );
    // glibc's `free`: test; je.
    assert_eq!(
        entry(&[TEST_RDI, &[0x74, 1], RET, RET]),
        (3, 0, HitCost::Emulated)
    );
}

#[test]
fn what_is_pushed_before_the_site_is_counted() {
    assert_eq!(
        entry(&[SUB_RSP_24, PUSH_RBX, POP_RBX, ADD_RSP_24, RET]),
        (4, 24, HitCost::Emulated)
    );
    // lea rsp, [rsp - 128]; jmp
    let lea = &[0x48, 0x8d, 0x64, 0x24, 0x80];
    assert_eq!(entry(&[lea, &[0xeb, 0], RET]), (5, 128, HitCost::Emulated));
}

#[test]
fn an_argument_that_is_gone_ends_the_search() {
    // xor edi, edi writes all of rdi.
    assert_eq!(
        entry(&[&[0x31, 0xff], PUSH_RBX, POP_RBX, RET]),
        (0, 0, HitCost::SingleStepped)
    );
    // For nothing wanted it does not matter.
    let site = plan(
        &code(&[&[0x31, 0xff], PUSH_RBX, POP_RBX, RET]),
        &[],
        Purpose::EntryOnly,
    );
    assert_eq!(site.entry.from_entry, 2);
}

#[test]
fn an_argument_is_followed_to_where_it_was_copied() {
    // mov rbx, rdi; xor edi, edi; je
    let moved = code(&[&[0x48, 0x89, 0xfb], &[0x31, 0xff], &[0x74, 0], RET]);
    let site = plan(&moved, &[0], Purpose::EntryOnly).entry;
    assert_eq!((site.from_entry, site.cost), (5, HitCost::Emulated));
    assert_eq!(site.arguments[0].register.to_string(), "rbx");
    // A copy of 32 bits does not hold a size.
    let cut = code(&[&[0x89, 0xfb], &[0x31, 0xff], &[0x74, 0], RET]);
    assert_eq!(plan(&cut, &[0], Purpose::EntryOnly).entry.from_entry, 0);
}

#[test]
fn a_site_that_a_loop_would_hit_again_is_refused() {
    // mov; 1: push rbx; pop rbx; jne 1b; ret
    let looping = [MOV_RAX_RDI, PUSH_RBX, POP_RBX, &[0x75, 0xfc], RET];
    assert_eq!(entry(&looping), (0, 0, HitCost::SingleStepped));
}

#[test]
fn a_site_behind_another_functions_entry_is_refused() {
    let mut code = code(&[MOV_RAX_RDI, PUSH_RBX, POP_RBX, RET]);
    code.second_entries.insert(0x1003);
    assert_eq!(plan(&code, &[0], Purpose::EntryOnly).entry.from_entry, 0);
}

#[test]
fn nothing_behind_a_branch_or_a_stack_that_moves_unseen_is_taken() {
    // and rsp, -32; push rbx
    let and = &[0x48, 0x83, 0xe4, 0xe0];
    assert_eq!(entry(&[and, PUSH_RBX, RET]), (0, 0, HitCost::SingleStepped));
    // jmp rax is always reached, and as dear as what comes first.
    assert_eq!(
        entry(&[MOV_RAX_RDI, &[0xff, 0xe0], PUSH_RBX]),
        (0, 0, HitCost::SingleStepped)
    );
}

#[test]
fn a_call_in_place_of_a_nop_must_not_overwrite_what_lies_below_the_stack() {
    // mov [rsp - 8], rdi; nop5
    let store = &[0x48, 0x89, 0x7c, 0x24, 0xf8];
    assert_eq!(entry(&[store, NOP5, RET]), (0, 0, HitCost::SingleStepped));
    assert_eq!(entry(&[MOV_RAX_RDI, NOP5, RET]), (3, 0, HitCost::Called));
}

#[test]
fn a_return_probe_stands_where_nothing_is_pushed() {
    let plan = plan(
        &code(&[TEST_RDI, &[0x74, 0], PUSH_RBX, CALL, POP_RBX, RET]),
        &[0],
        Purpose::Latency,
    );
    assert_eq!(
        (plan.entry.from_entry, &plan.returns),
        (3, &Returns::ReturnProbe)
    );
    assert_eq!(plan.predicted_nanoseconds, 1900);
}

#[test]
fn ways_out_are_probed_where_a_return_probe_is_dear() {
    // sub rsp, 24; je 1f; 1: call; jmp 2f; 2: mov rax, rdi; add rsp, 24; ret
    let parts: [&[u8]; 7] = [
        SUB_RSP_24,
        &[0x74, 0],
        CALL,
        &[0xeb, 0],
        MOV_RAX_RDI,
        ADD_RSP_24,
        RET,
    ];
    // The first `je` leads into the call: its other way is not a way out.
    let cheap = plan(&code(&parts), &[0], Purpose::Latency);
    assert_eq!(cheap.entry.from_entry, 4);
    assert_eq!(cheap.entry.stack_offset, 24);
    let Returns::Sites(exits) = &cheap.returns else {
        panic!("{cheap:#?}");
    };
    assert_eq!(exits.len(), 1);
    assert_eq!(exits[0].instruction, "jmp short 0x100d");
    assert_eq!(exits[0].stack_offset, Some(24));
    assert_eq!(exits[0].result.unwrap().to_string(), "rdi");
    assert_eq!(cheap.predicted_nanoseconds, 2000);
}

#[test]
fn a_way_out_without_a_cheap_instruction_is_weighed_at_its_ret() {
    let plan = plan(
        &code(&[SUB_RSP_24, &[0x74, 0], CALL, ADD_RSP_24, RET]),
        &[0],
        Purpose::Latency,
    );
    // 12.3 + 0.9 at the entry against 1.0 + 12.3 with the `ret`.
    assert_eq!(
        (plan.entry.from_entry, &plan.returns),
        (0, &Returns::ReturnProbe)
    );
    assert_eq!(plan.predicted_nanoseconds, 13_200);
    assert!(
        plan.alternatives
            .iter()
            .any(|text| text.contains("without durations"))
    );
}

#[test]
fn a_function_that_ends_in_another_is_not_probed_at_its_ways_out() {
    // sub; add; jmp far away
    let plan = plan(
        &code(&[SUB_RSP_24, ADD_RSP_24, &[0xe9, 0, 0, 1, 0]]),
        &[0],
        Purpose::Latency,
    );
    assert_eq!(plan.returns, Returns::ReturnProbe);
    // The jump itself comes with the stack as at entry.
    assert_eq!(
        (plan.entry.from_entry, plan.entry.cost),
        (8, HitCost::Emulated)
    );
    assert!(
        plan.alternatives
            .iter()
            .any(|text| text.contains("would be missed"))
    );
}

#[test]
fn the_kernel_decides_what_is_cheap() {
    let code = code(&[NOP5, PUSH_RBX, POP_RBX, RET]);
    let old = KernelRules::of_release(6, 1);
    let plan = code
        .plan(&[0], Purpose::EntryOnly, old, &HitCosts::default())
        .unwrap();
    assert_eq!(plan.entry.instruction, "push rbx");
}

#[test]
fn code_that_is_none_gives_an_error_not_a_site() {
    let nothing = code(&[&[0xcc, 0xcc]]);
    assert!(
        nothing
            .plan(&[0], Purpose::Latency, rules(), &HitCosts::default())
            .is_err()
    );
    let empty = code(&[]);
    assert!(
        empty
            .plan(&[], Purpose::EntryOnly, rules(), &HitCosts::default())
            .is_err()
    );
}

mod go;

mod any_code {
    use super::{Code, HitCosts, Purpose, Returns, rules};
    use crate::binary::sites::Convention;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn any_bytes_are_planned_without_panic(
            bytes in prop::collection::vec(any::<u8>(), 0..200),
            start in prop_oneof![Just(0x1000_u64), Just(u64::MAX - 100), any::<u64>()],
            convention in prop_oneof![Just(Convention::SystemV), Just(Convention::Go)],
        ) {
            let length = bytes.len() as u64;
            let Some(end) = start.checked_add(length) else { return Ok(()) };
            let mut code = Code::decode("f", start, 0, bytes, true);
            code.convention = convention;
            for purpose in [Purpose::EntryOnly, Purpose::Latency] {
                if let Ok(plan) = code.plan(&[0, 1], purpose, rules(), &HitCosts::default()) {
                    prop_assert!((start..end).contains(&plan.entry.address));
                    let may = convention.allows_return_probes();
                    prop_assert!(may || plan.returns != Returns::ReturnProbe);
                }
            }
        }
    }
}
