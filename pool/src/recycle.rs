//! What happens to an object between two uses.
//!
//! Recycling is **lazy**: it runs when the object is next taken, not when it is given back. So
//! giving back costs the same for one object and for a window of 120,000, and an object is
//! touched only when it is about to be used anyway. The price: what an object held (a password,
//! say) stays in memory until then.

/// Makes a used object ready for the next user.
///
/// Implemented by [`ByTrait`], [`AsIs`] and [`With`]; the builder's methods choose among them.
pub trait Recycler<T> {
    /// Readies `object`, which is new or was given back in any state that its user could leave.
    ///
    /// # Panics
    /// May panic: the object then stays as it is and goes back to the pool, to be recycled again
    /// when it is next taken; the panic goes on to the caller of the get.
    fn recycle(&self, object: &mut T);
}

/// An object that knows how to be used again.
///
/// The implementations for collections empty them and keep their capacity: that is the point of
/// pooling them. One huge request therefore leaves a huge buffer behind.
pub trait Recycle {
    /// Forgets the previous use, keeping what is dear to make (capacity, mostly).
    fn reset(&mut self);
}

/// Recycles by the object's own [`Recycle`]: the default.
#[derive(Debug, Clone, Copy, Default)]
pub struct ByTrait;

impl<T: Recycle> Recycler<T> for ByTrait {
    #[inline]
    fn recycle(&self, object: &mut T) {
        object.reset();
    }
}

/// Leaves objects as their last user left them. The next user sees what was there.
#[derive(Debug, Clone, Copy, Default)]
pub struct AsIs;

impl<T> Recycler<T> for AsIs {
    #[inline]
    fn recycle(&self, _object: &mut T) {}
}

/// Recycles by a function.
#[derive(Debug, Clone, Copy)]
pub struct With<F>(pub(crate) F);

impl<T, F: Fn(&mut T)> Recycler<T> for With<F> {
    #[inline]
    fn recycle(&self, object: &mut T) {
        (self.0)(object);
    }
}

macro_rules! recycle_by_clearing {
    ($($(#[$bound:meta])? [$($generics:tt)*] $type:ty),+ $(,)?) => {
        $(impl<$($generics)*> Recycle for $type {
            #[inline]
            fn reset(&mut self) {
                self.clear();
            }
        })+
    };
}

recycle_by_clearing! {
    [T] Vec<T>,
    [] String,
    [T] std::collections::VecDeque<T>,
    [T: Ord] std::collections::BinaryHeap<T>,
    [K, V, S] std::collections::HashMap<K, V, S>,
    [T, S] std::collections::HashSet<T, S>,
}

impl<T: Recycle + ?Sized> Recycle for Box<T> {
    #[inline]
    fn reset(&mut self) {
        (**self).reset();
    }
}
