//! Folded stacks: one line for each, `root;caller;function weight`, as flame graph tools read them.
//!
//! A stack that does not reach its root begins with a frame that says why, so that its parts are
//! not taken for roots of their own.

use super::profile::{Profile, WeightKind};
use super::symbols::{Stack, StackTable};
use super::unwind::End;
use std::collections::BTreeMap;
use std::io::{self, Write};

/// The lines for one kind of events (all, if `None`), sorted; stacks that read alike are one line.
/// Stacks without weight of this kind are left out.
pub fn lines(
    profile: &Profile,
    table: &StackTable,
    kind: Option<&str>,
    by: WeightKind,
) -> Vec<String> {
    let mut sums = BTreeMap::<String, u64>::new();
    for (id, weight) in profile.weights(kind) {
        let Ok(index) = table.stacks.binary_search_by_key(&id, |stack| stack.id) else {
            continue;
        };
        if weight.by(by) > 0 {
            let sum = sums.entry(fold(&table.stacks[index])).or_default();
            *sum = sum.saturating_add(weight.by(by));
        }
    }
    sums.into_iter()
        .map(|(stack, weight)| format!("{stack} {weight}"))
        .collect()
}

/// Writes lines, each ended by a line feed.
///
/// # Errors
/// Those of the writer.
pub fn write(lines: &[String], mut writer: impl Write) -> io::Result<()> {
    lines.iter().try_for_each(|line| writeln!(writer, "{line}"))
}

/// The frames of a stack from the root, without its weight.
pub fn fold(stack: &Stack) -> String {
    let mut text = String::new();
    for name in marker(stack.end)
        .into_iter()
        .chain(stack.frames.iter().rev().map(|frame| &*frame.name))
    {
        if !text.is_empty() {
            text.push(';');
        }
        if name.is_empty() {
            text.push_str("[unknown]");
        }
        text.extend(name.chars().map(|character| match character {
            ';' => ':',
            control if control.is_control() => ' ',
            other => other,
        }));
    }
    text
}

/// What stands above a stack that does not reach its root.
pub(super) fn marker(end: End) -> Option<&'static str> {
    match end {
        End::Root => None,
        End::StackCut => Some("[stack cut]"),
        End::NoUnwindInformation => Some("[no unwind information]"),
        End::TooDeep => Some("[too deep]"),
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::super::location::Location;
    use super::super::profile::Weight;
    use super::super::symbols::Frame;
    use super::super::unwind::Walk;
    use super::*;
    use std::sync::Arc;

    /// A profile of stacks with the given names, innermost first, each with a weight of its own.
    pub fn example(stacks: &[(&[&str], End)]) -> (Profile, StackTable) {
        let (mut profile, mut table) = (Profile::new(), StackTable::default());
        for (number, (names, end)) in stacks.iter().enumerate() {
            let address = number as u64 + 1;
            let walk = Walk {
                addresses: vec![address],
                locations: vec![Location::Kernel { address }],
                end: *end,
                assumed: 0,
            };
            let weight = Weight {
                count: 1,
                bytes: 1000 * address,
                nanos: 0,
            };
            let id = profile.add(&walk, "malloc", weight).unwrap();
            let frame = |name: &&str| {
                let (name, module) = ((*name).into(), "app".into());
                Arc::new(Frame {
                    name,
                    module,
                    file: None,
                    line: None,
                    inlined: false,
                })
            };
            table.stacks.push(Stack {
                id,
                frames: names.iter().map(frame).collect(),
                end: *end,
            });
        }
        (profile, table)
    }

    #[test]
    fn lines_begin_at_the_root_and_stacks_that_read_alike_are_added() {
        let (profile, table) = example(&[
            (&["malloc", "work", "main"], End::Root),
            (&["free", "main"], End::Root),
            (&["malloc", "work", "main"], End::Root),
        ]);
        let by = |by| lines(&profile, &table, Some("malloc"), by);
        assert_eq!(by(WeightKind::Count), ["main;free 1", "main;work;malloc 2"]);
        assert_eq!(
            by(WeightKind::Bytes),
            ["main;free 2000", "main;work;malloc 4000"]
        );
        assert!(by(WeightKind::Time).is_empty(), "no time was recorded");
        assert!(lines(&profile, &table, Some("futex"), WeightKind::Count).is_empty());
    }

    #[test]
    fn a_name_cannot_make_a_frame_or_a_line_of_its_own() {
        let (profile, table) = example(&[(&["a;b\nc 5", ""], End::Root)]);
        assert_eq!(
            lines(&profile, &table, None, WeightKind::Count),
            ["[unknown];a:b c 5 1"]
        );
    }

    #[test]
    fn a_stack_that_does_not_reach_its_root_says_why() {
        let (_, table) = example(&[
            (&["leaf"], End::StackCut),
            (&["leaf"], End::NoUnwindInformation),
            (&["leaf"], End::TooDeep),
        ]);
        let folded: Vec<_> = table.stacks.iter().map(fold).collect();
        assert_eq!(
            folded,
            [
                "[stack cut];leaf",
                "[no unwind information];leaf",
                "[too deep];leaf"
            ]
        );
    }
}
