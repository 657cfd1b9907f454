//! Where calls of a function begin and end, seen from who calls it: cheaper than its own entry and ways out.
//!
//! A `ret` is single-stepped, 12 us a hit, and in Go's runtime there is seldom a jump before it. Behind the
//! call, though, in the caller, there often is one: the compiler moves what happens seldom out of the
//! way, and jumps back. So of a function that is called in few places, the end is probed behind each
//! call, if at every one of them a cheap instruction comes before the next call, and before any place that
//! other ways lead to (whose hits would be no ends). The call itself is emulated, and so a cheap beginning.
//!
//! Cost: package runtime's code is searched for calls once, about 1 MB.

use std::fs::File;
use std::os::unix::fs::FileExt;

use iced_x86::{Decoder, DecoderOptions, FlowControl, Instruction};

use super::sites::Known;
use crate::binary::go::GoFunction;
use crate::binary::sites::HitCost;

/// Calls that are looked behind, at most.
const MOST_CALLS: usize = 16;
/// The longest function that is decoded, in bytes.
const LONGEST: u64 = 256 << 10;
/// Instructions from a call to its site, at most.
const FAR: usize = 32;

/// A place in the file, and what a hit costs there.
type Hit = (u64, HitCost);

/// The calls of a function, and sites behind each of them.
#[derive(Default)]
pub(super) struct Calls {
    pub begins: Vec<Hit>,
    pub ends: Vec<Hit>,
}

/// The calls of `function` in package runtime. `None` if there is none, or one without a cheap site.
pub(super) fn calls_of(known: &Known<'_>, function: &GoFunction) -> Option<Calls> {
    let file = File::open(known.path).ok()?;
    let mut calls = Calls::default();
    for caller in known.program.functions_with_prefix("runtime.") {
        let length = caller.end.checked_sub(caller.address)?;
        if length > LONGEST {
            return None;
        }
        let mut bytes = vec![0; length as usize];
        file.read_exact_at(&mut bytes, caller.file_offset).ok()?;
        if may_call(&bytes, caller.address, function.address) {
            add_calls(known, &caller, &bytes, function.address, &mut calls)?;
        }
        if calls.ends.len() > MOST_CALLS {
            return None;
        }
    }
    (!calls.ends.is_empty()).then_some(calls)
}

/// The calls of `target` within `function`: place in the file, and what a hit costs there. A call is emulated,
/// and so as cheap as a site can be.
pub(super) fn calls_within(
    known: &Known<'_>,
    function: &GoFunction,
    target: &GoFunction,
) -> Vec<Hit> {
    let length = function.end.saturating_sub(function.address).min(LONGEST);
    let mut bytes = vec![0; length as usize];
    let read = File::open(known.path)
        .and_then(|file| file.read_exact_at(&mut bytes, function.file_offset));
    if read.is_err() {
        return Vec::new();
    }
    let code = Decoder::with_ip(64, &bytes, function.address, DecoderOptions::NONE);
    code.into_iter()
        .filter(|one| one.flow_control() == FlowControl::Call)
        .filter(|one| one.near_branch_target() == target.address)
        .filter_map(|one| {
            let at = usize::try_from(one.ip() - function.address).ok()?;
            let cost = known
                .rules
                .cost_of(bytes.get(at..at + one.len())?, one.ip());
            Some((function.file_offset + at as u64, cost))
        })
        .filter(|(_, cost)| *cost != HitCost::Refused)
        .collect()
}

/// Whether any bytes look like a call of `target`.
fn may_call(bytes: &[u8], start: u64, target: u64) -> bool {
    const CALL: u8 = 0xe8;
    bytes.windows(5).enumerate().any(|(at, bytes)| {
        let [opcode, distance @ ..] = bytes else {
            return false;
        };
        let Ok(distance) = distance.try_into().map(i32::from_le_bytes) else {
            return false;
        };
        let next = start.wrapping_add(at as u64 + 5);
        *opcode == CALL && next.wrapping_add_signed(i64::from(distance)) == target
    })
}

/// Adds all calls of `target` in one function, and the sites behind them.
fn add_calls(
    known: &Known<'_>,
    caller: &GoFunction,
    bytes: &[u8],
    target: u64,
    calls: &mut Calls,
) -> Option<()> {
    let code: Vec<Instruction> = Decoder::with_ip(64, bytes, caller.address, DecoderOptions::NONE)
        .into_iter()
        .collect();
    let is_branch = |one: &Instruction| {
        matches!(
            one.flow_control(),
            FlowControl::UnconditionalBranch | FlowControl::ConditionalBranch
        )
    };
    let mut joins: Vec<u64> = code
        .iter()
        .filter(|one| is_branch(one))
        .map(Instruction::near_branch_target)
        .collect();
    joins.sort_unstable();
    let hit = |one: &Instruction| {
        let at = usize::try_from(one.ip() - caller.address).ok()?;
        let cost = known
            .rules
            .cost_of(bytes.get(at..at + one.len())?, one.ip());
        Some((caller.file_offset + at as u64, cost))
    };
    for (place, call) in code.iter().enumerate() {
        if call.flow_control() != FlowControl::Call || call.near_branch_target() != target {
            continue;
        }
        let mut found = None;
        for one in code.iter().skip(place + 1).take(FAR) {
            if joins.binary_search(&one.ip()).is_ok() {
                break;
            }
            let (offset, cost) = hit(one)?;
            // Only what is done in the instruction's place; and a `nop` that is replaced by a call would
            // need proof that nothing is kept below the stack pointer.
            if cost == HitCost::Emulated && one.flow_control() != FlowControl::Call {
                found = Some((offset, cost));
                break;
            }
            if one.flow_control() != FlowControl::Next {
                break;
            }
        }
        calls
            .begins
            .push(hit(call).filter(|(_, cost)| *cost == HitCost::Emulated)?);
        calls.ends.push(found?);
    }
    Some(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_call_is_known_by_where_it_leads() {
        // nop; call +0x10
        let bytes = [0x90, 0xe8, 0x10, 0, 0, 0];
        assert!(may_call(&bytes, 0x1000, 0x1016));
        assert!(!may_call(&bytes, 0x1000, 0x1017));
        assert!(!may_call(&[], 0, 0));
    }
}
