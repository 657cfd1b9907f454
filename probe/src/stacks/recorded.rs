//! Stacks as a recording keeps them (`stacks.json`).

use super::folded::marker;
use super::symbols::{Frame, StackTable};
use tailcut_report::recording;

impl StackTable {
    /// The table for a recording. A stack that does not reach its root gets an outermost frame that
    /// says why.
    pub fn recorded(&self) -> recording::StackTable {
        let stacks = self.stacks.iter().map(|stack| recording::Stack {
            id: stack.id,
            frames: stack
                .frames
                .iter()
                .map(|frame| recorded(frame))
                .chain(marker(stack.end).map(|name| recording::Frame {
                    name: name.to_string(),
                    ..recording::Frame::default()
                }))
                .collect(),
        });
        recording::StackTable {
            stacks: stacks.collect(),
        }
    }
}

/// The recording names a file without its folders.
fn recorded(frame: &Frame) -> recording::Frame {
    let Frame {
        name,
        module,
        file,
        line,
        inlined,
    } = frame;
    recording::Frame {
        name: name.to_string(),
        module: module.rsplit('/').next().unwrap_or_default().to_string(),
        file: file.as_deref().map(str::to_string),
        line: *line,
        inlined: *inlined,
    }
}

#[cfg(test)]
mod tests {
    use super::super::End;
    use super::super::folded::tests::example;

    #[test]
    fn a_recorded_stack_has_its_frames_and_says_where_it_was_cut() {
        let (_, table) = example(&[(&["malloc", "main"], End::Root), (&["free"], End::StackCut)]);
        let recorded = table.recorded();
        let names = |id| -> Vec<_> {
            let stack = recorded.get(id).unwrap();
            stack
                .frames
                .iter()
                .map(|frame| frame.name.as_str())
                .collect()
        };
        assert_eq!(names(0), ["malloc", "main"]);
        assert_eq!(names(1), ["free", "[stack cut]"]);
        assert_eq!(recorded.stacks[0].frames[0].module, "app");
    }
}
