//! The bytes of an order, and reading them without copying or allocating.
//!
//! Little-endian, compact, self-delimiting:
//!
//! ```text
//!  0  u16  length of the whole order in bytes
//!  2  u8   version, 1
//!  3  u8   items, 1 to 8
//!  4  u8   metadata entries, 0 to 4
//!  5  u8   reserved, 0
//!  6  u16  reserved, 0
//!  8  u64  the client's order id
//! 16  u32  account
//! 20  items: u32 sku, u32 quantity, u32 price in cents each
//!  .  metadata: u8 key length (1 to 15), u8 value length (0 to 31), key, value each; UTF-8;
//!     no key twice
//! ```
//!
//! Bytes come from outside: [`OrderView::decode`] checks every length before it follows it, and
//! everything that a stored order relies on (text is text, keys are unique) is checked here, once.

use std::str;

/// The most items that an order holds.
pub const MAX_ITEMS: usize = 8;
/// The most metadata entries that an order holds.
pub const MAX_METADATA: usize = 4;
/// The longest key, in bytes.
pub const MAX_KEY: usize = 15;
/// The longest value, in bytes.
pub const MAX_VALUE: usize = 31;

const VERSION: u8 = 1;
const HEADER: usize = 20;
const ITEM: usize = 12;

/// The longest order, in bytes.
pub const MAX_ORDER: usize = HEADER + MAX_ITEMS * ITEM + MAX_METADATA * (2 + MAX_KEY + MAX_VALUE);

/// Where the first order in a stream ends, as its header says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Frame {
    /// An order of so many bytes, if it is one: at least a header, and possibly more than
    /// [`MAX_ORDER`]. All of them need not be there yet.
    Whole(usize),
    /// Too few bytes to tell.
    Unknown,
    /// These are no orders of a version that is known: nobody can say where the next one begins.
    Lost,
}

impl Frame {
    /// Reads the length of the order at the front of `bytes`, and no more.
    #[inline]
    #[must_use]
    pub fn find(bytes: &[u8]) -> Frame {
        let Some(&[l0, l1, version]) = bytes.first_chunk::<3>() else {
            return Frame::Unknown;
        };
        let length = usize::from(u16::from_le_bytes([l0, l1]));
        if version == VERSION && length >= HEADER {
            Frame::Whole(length)
        } else {
            Frame::Lost
        }
    }
}

/// The client's id in bytes that may be no valid order; 0 where they end before it.
#[inline]
#[must_use]
pub fn client_id(bytes: &[u8]) -> u64 {
    let id = bytes
        .split_at_checked(8)
        .and_then(|(_, rest)| rest.first_chunk());
    id.map_or(0, |id| u64::from_le_bytes(*id))
}

/// One line of an order.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Item {
    /// Which product.
    pub sku: u32,
    /// How many.
    pub quantity: u32,
    /// The price of one, in cents.
    pub price_cents: u32,
}

/// Why bytes are not an order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum WireError {
    /// Fewer bytes than the header says, or than a header has.
    #[error("order cut short: {needed} bytes needed, {found} found")]
    Truncated {
        /// Bytes needed to go on.
        needed: usize,
        /// Bytes that were there.
        found: usize,
    },
    /// Bytes left over behind the last entry.
    #[error("{extra} bytes too many behind the order")]
    TrailingBytes {
        /// How many.
        extra: usize,
    },
    /// A version that this decoder does not know.
    #[error("order version {found}; only {VERSION} is known")]
    Version {
        /// The version read.
        found: u8,
    },
    /// Reserved bytes are not zero.
    #[error("reserved bytes are not zero")]
    Reserved,
    /// No item, or too many.
    #[error("{found} items; 1 to {MAX_ITEMS} are allowed")]
    ItemCount {
        /// How many the header says.
        found: u8,
    },
    /// Too many metadata entries.
    #[error("{found} metadata entries; at most {MAX_METADATA} are allowed")]
    MetadataCount {
        /// How many the header says.
        found: u8,
    },
    /// An empty or overlong key.
    #[error("metadata key of {found} bytes; 1 to {MAX_KEY} are allowed")]
    KeyLength {
        /// The length read.
        found: u8,
    },
    /// An overlong value.
    #[error("metadata value of {found} bytes; at most {MAX_VALUE} are allowed")]
    ValueLength {
        /// The length read.
        found: u8,
    },
    /// Key or value is not UTF-8.
    #[error("metadata entry {entry} is not UTF-8")]
    NotText {
        /// Which entry, from 0.
        entry: u8,
    },
    /// A key stands twice: two stores could disagree about what that means.
    #[error("metadata entry {entry} repeats an earlier key")]
    DuplicateKey {
        /// Which entry, from 0.
        entry: u8,
    },
}

/// A key and its value, borrowed from the request.
pub type Entry<'a> = (&'a str, &'a str);

/// A valid order, borrowed from the bytes it came in.
#[derive(Debug, Clone, Copy)]
pub struct OrderView<'a> {
    id: u64,
    account: u32,
    items: &'a [[u8; ITEM]],
    entries: [Entry<'a>; MAX_METADATA],
    entry_count: usize,
}

impl<'a> OrderView<'a> {
    /// Reads an order that takes up exactly `bytes`.
    ///
    /// # Errors
    /// The first thing that is wrong with the bytes, from the front. Never panics,
    /// whatever they are.
    #[inline]
    pub fn decode(bytes: &'a [u8]) -> Result<OrderView<'a>, WireError> {
        let Some((header, body)) = bytes.split_first_chunk::<HEADER>() else {
            return Err(WireError::Truncated {
                needed: HEADER,
                found: bytes.len(),
            });
        };
        let [
            l0,
            l1,
            version,
            item_count,
            entry_count,
            r0,
            r1,
            r2,
            rest @ ..,
        ] = header;
        let [i0, i1, i2, i3, i4, i5, i6, i7, a0, a1, a2, a3] = rest;
        if *version != VERSION {
            return Err(WireError::Version { found: *version });
        }
        if [*r0, *r1, *r2] != [0; 3] {
            return Err(WireError::Reserved);
        }
        let length = usize::from(u16::from_le_bytes([*l0, *l1]));
        if bytes.len() < length {
            return Err(WireError::Truncated {
                needed: length,
                found: bytes.len(),
            });
        }
        if bytes.len() > length {
            return Err(WireError::TrailingBytes {
                extra: bytes.len() - length,
            });
        }
        if *item_count == 0 || usize::from(*item_count) > MAX_ITEMS {
            return Err(WireError::ItemCount { found: *item_count });
        }
        if usize::from(*entry_count) > MAX_METADATA {
            return Err(WireError::MetadataCount {
                found: *entry_count,
            });
        }

        let items_length = usize::from(*item_count) * ITEM;
        let (items, mut tail) = take(body, items_length, bytes.len())?;
        let (items, _) = items.as_chunks::<ITEM>();

        let mut entries = [("", ""); MAX_METADATA];
        for entry in 0..*entry_count {
            let ([key_length, value_length], after) = match tail.split_first_chunk::<2>() {
                Some((lengths, after)) => (*lengths, after),
                None => {
                    let needed = bytes.len() - tail.len() + 2;
                    return Err(WireError::Truncated {
                        needed,
                        found: bytes.len(),
                    });
                }
            };
            if key_length == 0 || usize::from(key_length) > MAX_KEY {
                return Err(WireError::KeyLength { found: key_length });
            }
            if usize::from(value_length) > MAX_VALUE {
                return Err(WireError::ValueLength {
                    found: value_length,
                });
            }
            let (key, after) = take(after, usize::from(key_length), bytes.len())?;
            let (value, after) = take(after, usize::from(value_length), bytes.len())?;
            let (Ok(key), Ok(value)) = (str::from_utf8(key), str::from_utf8(value)) else {
                return Err(WireError::NotText { entry });
            };
            let (earlier, later) = entries.split_at_mut(usize::from(entry));
            if earlier.iter().any(|(other, _)| *other == key) {
                return Err(WireError::DuplicateKey { entry });
            }
            later[0] = (key, value);
            tail = after;
        }
        if !tail.is_empty() {
            return Err(WireError::TrailingBytes { extra: tail.len() });
        }
        Ok(OrderView {
            id: u64::from_le_bytes([*i0, *i1, *i2, *i3, *i4, *i5, *i6, *i7]),
            account: u32::from_le_bytes([*a0, *a1, *a2, *a3]),
            items,
            entries,
            entry_count: usize::from(*entry_count),
        })
    }

    /// The client's id of the order.
    #[inline]
    #[must_use]
    pub fn id(&self) -> u64 {
        self.id
    }

    /// Whose order it is.
    #[inline]
    #[must_use]
    pub fn account(&self) -> u32 {
        self.account
    }

    /// The items, 1 to [`MAX_ITEMS`], read from the bytes as they are asked for.
    #[inline]
    pub fn items(&self) -> impl ExactSizeIterator<Item = Item> + 'a {
        self.items
            .iter()
            .map(|&[s0, s1, s2, s3, q0, q1, q2, q3, p0, p1, p2, p3]| Item {
                sku: u32::from_le_bytes([s0, s1, s2, s3]),
                quantity: u32::from_le_bytes([q0, q1, q2, q3]),
                price_cents: u32::from_le_bytes([p0, p1, p2, p3]),
            })
    }

    /// The metadata, at most [`MAX_METADATA`] entries, no key twice.
    #[inline]
    #[must_use]
    pub fn metadata(&self) -> &[Entry<'a>] {
        &self.entries[..self.entry_count]
    }
}

/// The first `length` bytes of `bytes`, which end an order of `whole` bytes.
#[inline]
fn take(bytes: &[u8], length: usize, whole: usize) -> Result<(&[u8], &[u8]), WireError> {
    bytes.split_at_checked(length).ok_or(WireError::Truncated {
        needed: whole - bytes.len() + length,
        found: whole,
    })
}

/// Appends an order's bytes to `out`.
///
/// # Errors
/// What [`OrderView::decode`] would find wrong with the result; `out` is then as it was.
pub fn encode(
    out: &mut Vec<u8>,
    id: u64,
    account: u32,
    items: &[Item],
    metadata: &[Entry<'_>],
) -> Result<(), WireError> {
    let start = out.len();
    // A count that does not fit its byte is refused by the decoder like one just past the limit.
    let byte = |count: usize| u8::try_from(count).unwrap_or(u8::MAX);
    out.extend_from_slice(&[
        0,
        0,
        VERSION,
        byte(items.len()),
        byte(metadata.len()),
        0,
        0,
        0,
    ]);
    out.extend_from_slice(&id.to_le_bytes());
    out.extend_from_slice(&account.to_le_bytes());
    for item in items {
        for field in [item.sku, item.quantity, item.price_cents] {
            out.extend_from_slice(&field.to_le_bytes());
        }
    }
    for (key, value) in metadata {
        out.extend_from_slice(&[byte(key.len()), byte(value.len())]);
        out.extend_from_slice(key.as_bytes());
        out.extend_from_slice(value.as_bytes());
    }
    let length = u16::try_from(out.len() - start).unwrap_or(u16::MAX);
    out[start..start + 2].copy_from_slice(&length.to_le_bytes());
    let checked = OrderView::decode(&out[start..]).map(|_| ());
    if checked.is_err() {
        out.truncate(start);
    }
    checked
}

#[cfg(test)]
mod tests;
