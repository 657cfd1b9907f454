//! Go's conventions, on code made by hand.

use super::{CALL, RET, TEST_RDI, code, rules};
use crate::binary::sites::{
    Code, Convention, HitCost, HitCosts, Plan, Purpose, Returns, SiteError,
};

const CMP_STACK_GUARD: &[u8] = &[0x49, 0x3b, 0x66, 0x10]; // cmp rsp, [r14 + 16]
const PUSH_RBP: &[u8] = &[0x55];
const MOV_RBP_RSP: &[u8] = &[0x48, 0x89, 0xe5];
const POP_RBP: &[u8] = &[0x5d];
const MOV_RBX_RAX: &[u8] = &[0x48, 0x89, 0xc3];

fn go(convention: Convention, parts: &[&[u8]]) -> Code {
    let mut code = code(parts);
    code.convention = convention;
    code
}

fn plan(code: &Code, wanted: &[u8], purpose: Purpose) -> Result<Plan, SiteError> {
    code.plan(wanted, purpose, rules(), &HitCosts::default())
}

/// The usual form: check, frame, `body`, and the way to a larger stack at the end.
fn function(body: &[u8]) -> Vec<u8> {
    let mut bytes = [CMP_STACK_GUARD, &[0x76, 0], PUSH_RBP, MOV_RBP_RSP, body].concat();
    bytes[5] = (bytes.len() - 6) as u8;
    bytes.extend(CALL);
    let back = -(bytes.len() as i64 + 2);
    bytes.extend([0xeb, back as u8]);
    bytes
}

#[test]
fn a_call_that_grows_the_stack_first_is_seen_once() {
    let body = [CALL, POP_RBP, RET].concat();
    let code = go(Convention::Go, &[&function(&body)]);
    let plan = plan(&code, &[0, 1], Purpose::Latency).unwrap();
    assert_eq!(
        (plan.entry.from_entry, plan.entry.cost),
        (6, HitCost::Emulated)
    );
    assert_eq!(plan.entry.instruction, "push rbp");
    let places: Vec<String> = plan
        .entry
        .arguments
        .iter()
        .map(|place| place.register.to_string())
        .collect();
    assert_eq!(places, ["rax", "rbx"]);
    let Returns::Sites(exits) = &plan.returns else {
        panic!("{plan:#?}");
    };
    let exits: Vec<&str> = exits.iter().map(|exit| exit.instruction.as_str()).collect();
    assert_eq!(exits, ["ret"]);
}

#[test]
fn a_site_before_the_check_is_refused_even_where_those_behind_it_are_dear() {
    // mov rbx, rax ends what is known of rbx: nothing behind it fits.
    let bytes = [
        CMP_STACK_GUARD,
        &[0x76, 4],
        MOV_RBX_RAX,
        RET,
        CALL,
        &[0xeb, 0xef],
    ]
    .concat();
    let code = go(Convention::Go, &[&bytes]);
    let entry = plan(&code, &[1], Purpose::EntryOnly).unwrap().entry;
    assert_eq!((entry.from_entry, entry.cost), (6, HitCost::SingleStepped));
}

#[test]
fn a_branch_that_leads_elsewhere_is_no_check_of_the_stack() {
    // test rdi; je to a call that does not come back to the entry
    let code = go(
        Convention::Go,
        &[TEST_RDI, &[0x74, 1], RET, CALL, &[0xeb, 0xf9]],
    );
    let entry = plan(&code, &[], Purpose::EntryOnly).unwrap().entry;
    assert_eq!(entry.from_entry, 3);
}

#[test]
fn a_go_function_whose_ways_out_are_not_seen_is_refused_and_not_given_a_return_probe() {
    let endless = [CALL, &[0xeb, 0xf9]].concat();
    let code = go(Convention::Go, &[&function(&endless)]);
    let error = plan(&code, &[], Purpose::Latency).unwrap_err().to_string();
    assert!(error.contains("would crash a Go program"), "{error}");
    assert!(error.contains("no `ret`"), "{error}");
    // The same code of another language gets one.
    let c = go(Convention::SystemV, &[&function(&endless)]);
    let plan = plan(&c, &[], Purpose::Latency).unwrap();
    assert_eq!(plan.returns, Returns::ReturnProbe);
}

#[test]
fn behind_a_table_of_jumps_every_ret_is_probed() {
    // jmp [rax * 8 + 0]; two ways out that no branch leads to
    let table: &[u8] = &[0xff, 0x24, 0xc5, 0, 0, 0, 0];
    let body = [table, POP_RBP, RET, POP_RBP, RET].concat();
    let code = go(Convention::Go, &[&function(&body)]);
    let plan = plan(&code, &[], Purpose::Latency).unwrap();
    let Returns::Sites(exits) = &plan.returns else {
        panic!("{plan:#?}");
    };
    assert_eq!(exits.len(), 2);
    assert!(exits.iter().all(|exit| exit.instruction == "ret"));
}

#[test]
fn more_ways_out_than_elsewhere_are_probed_in_go() {
    // 20 times: je over; pop; ret
    let way: &[u8] = &[0x74, 2, 0x5d, 0xc3];
    let body = [way.repeat(20), [CALL, POP_RBP, RET].concat()].concat();
    let long = function(&body);
    // The check's branch reaches over the body.
    assert!(long[5] < 0x80);
    let code = go(Convention::Go, &[&long]);
    let Returns::Sites(exits) = plan(&code, &[], Purpose::Latency).unwrap().returns else {
        panic!("no sites");
    };
    assert_eq!(exits.len(), 21);
}

#[test]
fn arguments_on_the_stack_cannot_be_wanted() {
    let code = go(
        Convention::GoStack,
        &[&function(&[CALL, POP_RBP, RET].concat())],
    );
    assert!(plan(&code, &[0], Purpose::EntryOnly).is_err());
    assert!(plan(&code, &[], Purpose::Latency).is_ok());
}
