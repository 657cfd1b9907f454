//! The copy of a thread's stack, read by address.

/// As far above the end of the copy as a stack can plausibly go on (the usual limit of a stack).
const PLAUSIBLE_STACK: u64 = 8 << 20;

/// The bytes at and above an address, as they were when the event happened.
#[derive(Clone, Copy, Debug)]
pub(super) struct StackMemory<'a> {
    base: u64,
    bytes: &'a [u8],
}

/// Why a word cannot be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Unreadable {
    /// It lies above the copy, where the stack goes on.
    Above,
    /// It lies elsewhere.
    Elsewhere,
}

impl<'a> StackMemory<'a> {
    pub fn new(base: u64, bytes: &'a [u8]) -> Self {
        Self { base, bytes }
    }

    /// The 8 bytes at an address.
    pub fn word(&self, address: u64) -> Result<u64, Unreadable> {
        let distance = address
            .checked_sub(self.base)
            .ok_or(Unreadable::Elsewhere)?;
        let word = usize::try_from(distance)
            .ok()
            .and_then(|start| self.bytes.get(start..start.checked_add(8)?));
        match word {
            Some(word) => Ok(u64::from_le_bytes(
                word.try_into().expect("eight bytes were taken"),
            )),
            None if distance < self.bytes.len() as u64 + PLAUSIBLE_STACK => Err(Unreadable::Above),
            None => Err(Unreadable::Elsewhere),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_whole_words_of_the_copy_are_read() {
        let memory = StackMemory::new(0x1000, &[1, 0, 0, 0, 0, 0, 0, 0, 2, 0, 0]);
        assert_eq!(memory.word(0x1000), Ok(1));
        assert_eq!(memory.word(0x1003), Ok(0x0002 << 40));
        assert_eq!(memory.word(0x1004), Err(Unreadable::Above));
        assert_eq!(memory.word(0x2000), Err(Unreadable::Above));
        assert_eq!(memory.word(0xff8), Err(Unreadable::Elsewhere));
        assert_eq!(memory.word(u64::MAX), Err(Unreadable::Elsewhere));
        assert_eq!(
            StackMemory::new(u64::MAX - 3, &[0; 16]).word(u64::MAX - 3),
            Ok(0)
        );
    }
}
