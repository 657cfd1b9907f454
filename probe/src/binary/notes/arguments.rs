//! Where a static probe's arguments are: `8@%rdi -4@-12(%rbp) 4@$7`.
//!
//! Each is `SIZE@OPERAND`: the size in bytes, negative if signed, with an `f` if a floating-point
//! number; the operand as the compiler wrote it into the assembler's text, in its syntax: AT&T on
//! x86-64, `x0`, `[sp, 16]` and `7` on aarch64 (whose operands contain spaces).

use crate::binary::printable;
use crate::binary::register::{Architecture, Register};
use serde::Serialize;

/// SystemTap's probes have at most 12.
const MOST_ARGUMENTS: usize = 32;

/// One argument of a probe.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Argument {
    /// Its size in bytes: 1, 2, 4 or 8.
    pub bytes: u8,
    /// Whether it is a signed number.
    pub signed: bool,
    /// Whether it is a floating-point number.
    pub floating_point: bool,
    /// Where it is.
    pub operand: Operand,
}

/// Where an argument is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Operand {
    /// In a register, or the low part of one.
    Register(Register),
    /// Nowhere: it is always this number.
    Constant(i64),
    /// In memory, at base + index x scale + displacement.
    Memory {
        /// What the address counts from; none for an absolute one.
        base: Option<Register>,
        /// A register that is added, times 1, 2, 4 or 8.
        index: Option<(Register, u8)>,
        /// A number of bytes that is added.
        displacement: i64,
    },
    /// In a form that we do not know, fit to be shown: vector registers, the second byte of a
    /// register, a place relative to a symbol.
    Unrecognised(String),
}

/// All arguments of a probe, in order.
pub(super) fn parse(architecture: Architecture, text: &str) -> Vec<Argument> {
    let mut arguments: Vec<(Size, String)> = Vec::new();
    for word in text.split_ascii_whitespace() {
        if let Some((size, operand)) = split_size(word) {
            if arguments.len() == MOST_ARGUMENTS {
                break;
            }
            arguments.push((size, operand.to_owned()));
        } else if let Some((_, operand)) = arguments.last_mut() {
            operand.push_str(word); // the rest of `[sp, 16]`
        }
    }
    arguments
        .into_iter()
        .map(|((bytes, signed, floating_point), operand)| Argument {
            bytes,
            signed,
            floating_point,
            operand: parse_operand(architecture, &operand)
                .unwrap_or_else(|| Operand::Unrecognised(printable(operand.as_bytes()))),
        })
        .collect()
}

/// Bytes, signed, floating-point.
type Size = (u8, bool, bool);

fn split_size(word: &str) -> Option<(Size, &str)> {
    let (size, operand) = word.split_once('@')?;
    let (number, floating_point) = match size.strip_suffix('f') {
        Some(number) => (number, true),
        None => (size, false),
    };
    let number: i8 = number.parse().ok()?;
    let bytes = number.unsigned_abs();
    matches!(bytes, 1 | 2 | 4 | 8).then_some(((bytes, number < 0, floating_point), operand))
}

fn parse_operand(architecture: Architecture, text: &str) -> Option<Operand> {
    match architecture {
        Architecture::X86_64 => parse_x86_64(text),
        Architecture::Aarch64 => parse_aarch64(text),
    }
}

fn parse_x86_64(text: &str) -> Option<Operand> {
    let register = |text: &str| Register::named(Architecture::X86_64, text.strip_prefix('%')?);
    if let Some(number) = text.strip_prefix('$') {
        return Some(Operand::Constant(parse_number(number)?));
    }
    if text.starts_with('%') {
        return Some(Operand::Register(register(text)?));
    }
    let Some((displacement, inside)) = text.split_once('(') else {
        return Some(Operand::Memory {
            base: None,
            index: None,
            displacement: parse_number(text)?,
        });
    };
    let displacement = match displacement {
        "" => 0,
        number => parse_number(number)?,
    };
    let mut parts = inside.strip_suffix(')')?.split(',').map(str::trim);
    let base = match parts.next()? {
        "" => None,
        name => Some(register(name)?),
    };
    let index = match parts.next() {
        None => None,
        Some(name) => {
            let scale = parts.next().map_or(Some(1), |scale| scale.parse().ok())?;
            Some((register(name)?, scale)).filter(|_| matches!(scale, 1 | 2 | 4 | 8))
        }
    };
    Some(Operand::Memory {
        base,
        index,
        displacement,
    })
}

fn parse_aarch64(text: &str) -> Option<Operand> {
    let register = |text: &str| Register::named(Architecture::Aarch64, text);
    if let Some(inside) = text.strip_prefix('[') {
        let mut parts = inside.strip_suffix(']')?.split(',').map(str::trim);
        let base = register(parts.next()?)?;
        let mut index = None;
        let mut displacement = 0;
        if let Some(part) = parts.next() {
            match parse_number(part.trim_start_matches('#')) {
                Some(number) => displacement = number,
                None => index = Some((register(part)?, 1)),
            }
        }
        if parts.next().is_some() {
            return None; // a shift: no compiler has been seen to write one here
        }
        return Some(Operand::Memory {
            base: Some(base),
            index,
            displacement,
        });
    }
    match parse_number(text.trim_start_matches('#')) {
        Some(number) => Some(Operand::Constant(number)),
        None => Some(Operand::Register(register(text)?)),
    }
}

/// A decimal number, or hexadecimal with `0x`, with a sign; up to the largest unsigned one.
fn parse_number(text: &str) -> Option<i64> {
    let (negative, digits) = match text.strip_prefix('-') {
        Some(digits) => (true, digits),
        None => (false, text),
    };
    let number = match digits.strip_prefix("0x") {
        Some(digits) => u64::from_str_radix(digits, 16).ok()?,
        None => digits.parse::<u64>().ok()?,
    } as i64;
    Some(if negative {
        number.wrapping_neg()
    } else {
        number
    })
}

#[cfg(test)]
mod tests {
    use super::{Argument, Operand, parse};
    use crate::binary::register::{Architecture, Register};
    use proptest::prelude::*;

    fn x86(name: &str) -> Register {
        Register::named(Architecture::X86_64, name).unwrap()
    }

    fn operands(architecture: Architecture, text: &str) -> Vec<Operand> {
        let arguments = parse(architecture, text);
        arguments
            .into_iter()
            .map(|argument| argument.operand)
            .collect()
    }

    fn memory(base: Register, displacement: i64) -> Operand {
        Operand::Memory {
            base: Some(base),
            index: None,
            displacement,
        }
    }

    #[test]
    fn registers_constants_and_memory_of_x86_64() {
        assert_eq!(
            operands(
                Architecture::X86_64,
                "8@%rdi -4@-12(%rbp) 4@$-7 8@(%rax,%rbx,4) 1@%r9b 8@16(,%rcx,8) 8@4660"
            ),
            [
                Operand::Register(x86("rdi")),
                memory(x86("rbp"), -12),
                Operand::Constant(-7),
                Operand::Memory {
                    base: Some(x86("rax")),
                    index: Some((x86("rbx"), 4)),
                    displacement: 0
                },
                Operand::Register(x86("r9")),
                Operand::Memory {
                    base: None,
                    index: Some((x86("rcx"), 8)),
                    displacement: 16
                },
                Operand::Memory {
                    base: None,
                    index: None,
                    displacement: 4660
                },
            ]
        );
    }

    #[test]
    fn sizes_say_width_sign_and_kind() {
        let shapes: Vec<(u8, bool, bool)> = parse(Architecture::X86_64, "-2@%ax 8f@%rax 1@$0")
            .iter()
            .map(|a| (a.bytes, a.signed, a.floating_point))
            .collect();
        assert_eq!(
            shapes,
            [(2, true, false), (8, false, true), (1, false, false)]
        );
    }

    #[test]
    fn operands_of_aarch64_may_contain_spaces() {
        let arm = |name| Register::named(Architecture::Aarch64, name).unwrap();
        assert_eq!(
            operands(
                Architecture::Aarch64,
                "8@[sp, 16] 4@w3 8@[x1] -8@-5 8@[x2, x4]"
            ),
            [
                memory(arm("sp"), 16),
                Operand::Register(arm("x3")),
                memory(arm("x1"), 0),
                Operand::Constant(-5),
                Operand::Memory {
                    base: Some(arm("x2")),
                    index: Some((arm("x4"), 1)),
                    displacement: 0
                },
            ]
        );
    }

    #[test]
    fn an_unknown_form_keeps_the_place_of_the_others() {
        let found = operands(
            Architecture::X86_64,
            "8@%xmm0 4@counter+4(%rip) 4@%ah 8@%rsi",
        );
        assert_eq!(found.len(), 4);
        assert!(
            found[..3]
                .iter()
                .all(|o| matches!(o, Operand::Unrecognised(_)))
        );
        assert_eq!(found[3], Operand::Register(x86("rsi")));
    }

    proptest! {
        #[test]
        fn any_text_is_read_without_panic(text in "[-0-9a-z@%$(),\\[\\] #+]{0,60}") {
            for architecture in [Architecture::X86_64, Architecture::Aarch64] {
                let arguments: Vec<Argument> = parse(architecture, &text);
                prop_assert!(arguments.len() <= 32);
            }
        }
    }
}
