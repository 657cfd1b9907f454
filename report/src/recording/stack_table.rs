//! `stacks.json`: the call stacks that pauses point to, symbolised.

use serde::{Deserialize, Serialize};

/// All stacks of a recording, each once.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct StackTable {
    /// In any order.
    pub stacks: Vec<Stack>,
}

impl StackTable {
    /// The stack of that number. Looks at each: index them first to look up many.
    pub fn get(&self, id: u32) -> Option<&Stack> {
        self.stacks.iter().find(|stack| stack.id == id)
    }
}

/// One call stack.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Stack {
    /// What [`Pause::stack`](super::Pause::stack) calls it.
    pub id: u32,
    /// The innermost first: each frame is called by the next.
    pub frames: Vec<Frame>,
}

/// One function of a stack.
///
/// Names come from the traced process's files, which may hold anything.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Frame {
    /// The function, demangled; an address in hexadecimal when it has no name.
    pub name: String,
    /// The file that the code is from: `libc.so.6`, `[kernel]`, `[anon]`.
    pub module: String,
    /// The source file.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub file: Option<String>,
    /// The line in it, from 1.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub line: Option<u32>,
    /// Whether the compiler put its code into that of the next frame.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub inlined: bool,
}
