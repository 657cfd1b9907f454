//! The few places where call frame information is a small program instead of a rule: entries of the
//! procedure linkage table, signal frames, functions that realign their stack.
//!
//! The programs come from the target's files, so their steps are bounded, and memory means the copy
//! of the stack only.

use super::memory::{StackMemory, Unreadable};
use super::unwind::Registers;
use gimli::{
    Encoding, EndianSlice, Evaluation, EvaluationResult, Format, LittleEndian, Location,
    UnwindExpression, Value, X86_64,
};

/// Operations of one expression; those of compilers have at most twenty.
const MAX_STEPS: u32 = 256;

/// Words of the stack that one expression may read.
const MAX_READS: u32 = 16;

const ENCODING: Encoding = Encoding {
    address_size: 8,
    format: Format::Dwarf32,
    version: 4,
};

/// The result of an expression over the registers of a frame. `pushed` is what lies on its stack at
/// the start: the canonical frame address, when a register's place is asked for.
pub(super) fn evaluate(
    expression: UnwindExpression<usize>,
    section: &[u8],
    registers: Registers,
    pushed: Option<u64>,
    memory: StackMemory<'_>,
) -> Result<u64, Unreadable> {
    let program = expression
        .offset
        .checked_add(expression.length)
        .and_then(|end| section.get(expression.offset..end))
        .ok_or(Unreadable::Elsewhere)?;
    let mut evaluation = Evaluation::new(EndianSlice::new(program, LittleEndian), ENCODING);
    evaluation.set_max_iterations(MAX_STEPS);
    if let Some(value) = pushed {
        evaluation.set_initial_value(value);
    }
    let mut reads = 0;
    let mut result = evaluation.evaluate();
    loop {
        result = match result.map_err(|_| Unreadable::Elsewhere)? {
            EvaluationResult::Complete => break,
            EvaluationResult::RequiresRegister { register, .. } => {
                let value = match register {
                    X86_64::RSP => registers.sp,
                    X86_64::RBP => registers.bp,
                    X86_64::RA => registers.ip,
                    _ => return Err(Unreadable::Elsewhere),
                };
                evaluation.resume_with_register(Value::Generic(value))
            }
            EvaluationResult::RequiresMemory {
                address, size: 8, ..
            } if reads < MAX_READS => {
                reads += 1;
                evaluation.resume_with_memory(Value::Generic(memory.word(address)?))
            }
            _ => return Err(Unreadable::Elsewhere),
        };
    }
    match evaluation.as_result().last().map(|piece| &piece.location) {
        Some(Location::Address { address }) => Ok(*address),
        _ => Err(Unreadable::Elsewhere),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const REGISTERS: Registers = Registers {
        ip: 0x40_1016,
        sp: 0x1000,
        bp: 0x1020,
    };

    fn run(program: &[u8], pushed: Option<u64>) -> Result<u64, Unreadable> {
        let stack: Vec<u8> = (0..8u64)
            .flat_map(|word| (word * 0x111).to_le_bytes())
            .collect();
        let whole = UnwindExpression {
            offset: 0,
            length: program.len(),
        };
        evaluate(
            whole,
            program,
            REGISTERS,
            pushed,
            StackMemory::new(0x1000, &stack),
        )
    }

    #[test]
    fn an_entry_of_the_procedure_linkage_table_has_its_usual_expression() {
        // rsp + 8 + ((rip & 15) >= 11) * 8, as every linker writes it.
        let program = [0x77, 8, 0x80, 0, 0x3f, 0x1a, 0x3b, 0x2a, 0x33, 0x24, 0x22];
        assert_eq!(run(&program, None), Ok(0x1008));
    }

    #[test]
    fn the_stack_can_be_read_and_nothing_else() {
        let deref_bp_minus_8 = [0x76, 0x78, 0x06];
        assert_eq!(run(&deref_bp_minus_8, None), Ok(0x333));
        let deref_constant = [0x0a, 0x10, 0x00, 0x06];
        assert_eq!(run(&deref_constant, None), Err(Unreadable::Elsewhere));
        let unknown_register = [0x73, 0]; // rbx
        assert_eq!(run(&unknown_register, None), Err(Unreadable::Elsewhere));
    }

    #[test]
    fn a_program_that_jumps_back_for_ever_is_stopped() {
        let skip_back = [0x2f, 0xfd, 0xff];
        assert_eq!(run(&skip_back, None), Err(Unreadable::Elsewhere));
        let dup_and_skip_back = [0x12, 0x2f, 0xfc, 0xff];
        assert_eq!(run(&dup_and_skip_back, Some(1)), Err(Unreadable::Elsewhere));
    }

    #[test]
    fn an_expression_outside_its_section_is_refused() {
        let outside = UnwindExpression {
            offset: 2,
            length: usize::MAX,
        };
        let memory = StackMemory::new(0, &[]);
        assert_eq!(
            evaluate(outside, &[0; 8], REGISTERS, None, memory),
            Err(Unreadable::Elsewhere)
        );
    }
}
