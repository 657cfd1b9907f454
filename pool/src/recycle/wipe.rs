//! Objects that hold secrets (feature `zeroize`).
//!
//! Wiping writes zeros over an object and over all the capacity that it owns, in a way that the
//! compiler may not leave out, by the `zeroize` crate. It can be done at two times:
//!
//! - **When the object is next taken** ([`Wiped`]): no secret passes from one user to the next,
//!   and giving back stays as cheap as without. But a secret **stays in memory while the object
//!   waits**, perhaps until the pool is dropped, and is in reach of a core dump all that time.
//! - **When the object is given back** ([`wipe`], as the function to call then): no secret waits.
//!   Giving back then costs the wiping, for each object, those of a window too.
//!
//! **Costs**: a volatile write of every byte of capacity, used or not. Keep secrets in small
//! buffers of their own, and wipe those.
//!
//! **What wiping cannot reach**: a buffer that grows moves, and its old place is freed unwiped. So
//! make buffers large enough at once. What was copied out of the object is as little known. Nor is
//! an object wiped that is **dropped**, with its pool or because it is replaced: for that, its type
//! derives `ZeroizeOnDrop`.

use zeroize::Zeroize;

use crate::recycle::Recycler;

/// Recycles by writing zeros over the object, when it is next taken.
///
/// Collections come out empty with their capacity, numbers zero. Derive [`Zeroize`] for structs
/// of your own; a struct with fields that cannot be wiped (a hash map, say) can skip those and
/// recycle them by [`With`](crate::With).
///
/// ```
/// use tailcut_pool::{Pool, Wiped};
///
/// let keys = Pool::builder(|| Vec::<u8>::with_capacity(64))
///     .recycler(Wiped)
///     .capacity(1)
///     .build()?;
/// keys.try_get()?.extend_from_slice(b"secret"); // stays until the object is next taken
/// let next = keys.try_get()?; // wiped now
/// assert!(next.is_empty() && next.capacity() == 64);
/// # Ok::<_, Box<dyn std::error::Error>>(())
/// ```
///
/// Cost: a volatile write of every byte of the object's capacity, inside the get.
#[derive(Debug, Clone, Copy, Default)]
pub struct Wiped;

impl<T: Zeroize> Recycler<T> for Wiped {
    #[inline]
    fn recycle(&self, object: &mut T) {
        wipe(object);
    }
}

/// Writes zeros over `object` and all the capacity that it owns, and keeps the capacity.
///
/// What [`Wiped`] does when an object is taken; as a function, to be called at other times, such
/// as when it is given back. The compiler does not leave the writes out, even where nothing reads
/// the object any more.
///
/// ```
/// let mut key = String::from("secret");
/// tailcut_pool::wipe(&mut key);
/// assert!(key.is_empty() && key.capacity() >= 6);
/// ```
#[inline]
pub fn wipe<T: Zeroize + ?Sized>(object: &mut T) {
    object.zeroize();
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::KeepVec;

    /// The bytes of the whole capacity, which the caller has written at least once.
    fn whole_capacity(buffer: &mut Vec<u8>) -> &[u8] {
        // SAFETY: the caller wrote all of the capacity, and writing zeros over it later leaves it
        // written.
        unsafe { buffer.set_len(buffer.capacity()) };
        buffer
    }

    fn full(capacity: usize) -> Vec<u8> {
        let mut buffer = Vec::with_capacity(capacity);
        buffer.resize(buffer.capacity(), 0xAA);
        buffer
    }

    #[test]
    fn the_spare_capacity_is_wiped_too_and_kept() {
        let mut secret = full(100);
        secret.truncate(10); // the rest is still there
        wipe(&mut secret);
        assert!(secret.is_empty() && secret.capacity() >= 100);
        assert!(whole_capacity(&mut secret).iter().all(|byte| *byte == 0));
    }

    #[test]
    fn clearing_alone_would_leave_the_secret() {
        let mut secret = full(100);
        secret.clear();
        assert!(whole_capacity(&mut secret).iter().all(|byte| *byte == 0xAA));
    }

    #[test]
    fn numbers_arrays_and_texts_are_wiped() {
        let mut object = (7_u64, [7_u8; 32], String::from("secret"), Some(7_u32));
        Wiped.recycle(&mut object);
        assert_eq!(object, (0, [0; 32], String::new(), None));
        assert!(object.2.capacity() >= 6);
    }

    #[test]
    fn elements_that_wait_to_be_reused_are_wiped_as_well() {
        let mut secrets = KeepVec::preshaped(2, || full(50));
        secrets.push_with(|| unreachable!());
        wipe(&mut secrets);
        assert_eq!((secrets.len(), secrets.kept()), (0, 2));
        for _ in 0..2 {
            let secret = secrets.push_with(|| unreachable!());
            assert!(secret.capacity() >= 50);
            assert!(whole_capacity(secret).iter().all(|byte| *byte == 0));
        }
    }
}
