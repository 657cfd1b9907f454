//! Implements [`Recycle`](crate::Recycle) for a struct, field by field.
//!
//! Why a macro: with four methods that each visit every field, hand-written code forgets one
//! sooner or later, and nobody notices: a forgotten field shows one user's data to the next, and
//! a forgotten `retained_bytes` makes a limit blind. The expansion takes the struct apart by a
//! pattern, so that a field which is added later and not listed does not compile. Why not a
//! derive: it would be a crate of its own, with a parser, for what these lines do.

/// Implements [`Recycle`](crate::Recycle) for a struct, field by field.
///
/// List **all** fields: a missing one is an error of the compiler, unless the list ends in `..`.
///
/// | written | when recycled |
/// |---|---|
/// | `field` | reset by its own `Recycle` |
/// | `field = value` | set to `value`, which is evaluated each time |
/// | `..` | fields that are not listed stay as their last user left them |
///
/// The object is reusable if all fields written as `field` are; what it retains is their sum, and
/// shrinking it cuts the largest first.
///
/// ```
/// use tailcut_pool::{Pool, Within, recycle_fields};
///
/// struct Order { account: u64, quantity: u32, items: Vec<u64>, notes: String }
///
/// recycle_fields! { Order { account, quantity = 1, items, notes } }
///
/// let orders = Pool::builder(|| Order {
///         account: 0,
///         quantity: 1,
///         items: Vec::with_capacity(8),
///         notes: String::with_capacity(80),
///     })
///     .recycler(Within::bytes(16 << 10))
///     .capacity(1)
///     .build()?;
/// orders.try_get()?.quantity = 9;
/// assert_eq!(orders.try_get()?.quantity, 1);
/// # Ok::<_, Box<dyn std::error::Error>>(())
/// ```
///
/// A field that was forgotten:
///
/// ```compile_fail,E0027
/// # use tailcut_pool::recycle_fields;
/// struct Order { account: u64, items: Vec<u64> }
/// recycle_fields! { Order { items } }
/// ```
///
/// For structs with named fields. A generic type needs an implementation written by hand.
#[macro_export]
macro_rules! recycle_fields {
    (@reset $object:ident $field:ident) => {
        $crate::Recycle::reset(&mut $object.$field)
    };
    (@reset $object:ident $field:ident $value:expr) => {
        $object.$field = $value
    };
    (@is_reusable $object:ident $field:ident) => {
        $crate::Recycle::is_reusable(&$object.$field)
    };
    (@is_reusable $object:ident $field:ident $value:expr) => {
        true
    };
    (@retained_bytes $object:ident $field:ident) => {
        $crate::Recycle::retained_bytes(&$object.$field)
    };
    (@retained_bytes $object:ident $field:ident $value:expr) => {
        0
    };
    (@part $object:ident $field:ident) => {
        &mut $object.$field
    };
    (@part $object:ident $field:ident $value:expr) => {
        &mut ()
    };
    (@impl $type:ty { $($field:ident $(= $value:expr)?,)* } $($rest:tt)*) => {
        impl $crate::Recycle for $type {
            #[inline]
            fn reset(&mut self) {
                // Takes nothing: it is there for the compiler to say which field is missing.
                let Self { $($field: _,)* $($rest)* } = self;
                $($crate::recycle_fields!(@reset self $field $($value)?);)*
            }

            #[inline]
            fn is_reusable(&self) -> bool {
                true $(&& $crate::recycle_fields!(@is_reusable self $field $($value)?))*
            }

            #[inline]
            fn retained_bytes(&self) -> usize {
                0_usize$(.saturating_add(
                    $crate::recycle_fields!(@retained_bytes self $field $($value)?)
                ))*
            }

            fn shrink_to_bytes(&mut self, bytes: usize) {
                let parts: &mut [&mut dyn $crate::Recycle] =
                    &mut [$($crate::recycle_fields!(@part self $field $($value)?)),*];
                $crate::Recycle::shrink_to_bytes(parts, bytes);
            }
        }
    };
    ($type:ty { $($field:ident $(= $value:expr)?,)* .. }) => {
        $crate::recycle_fields! { @impl $type { $($field $(= $value)?,)* } .. }
    };
    ($type:ty { $($field:ident $(= $value:expr)?),* $(,)? }) => {
        $crate::recycle_fields! { @impl $type { $($field $(= $value)?,)* } }
    };
}

#[cfg(test)]
mod tests {
    use crate::Recycle;
    use std::cell::RefCell;

    #[derive(Debug, PartialEq)]
    struct Order {
        id: u64,
        quantity: u32,
        notes: String,
        items: Vec<u64>,
    }

    recycle_fields! {
        Order { notes, quantity = 1 + 1, items, .. }
    }

    fn order() -> Order {
        Order {
            id: 7,
            quantity: 7,
            notes: "note".repeat(100),
            items: vec![7; 10],
        }
    }

    #[test]
    fn each_field_is_reset_set_or_left_as_the_list_says() {
        let mut order = order();
        order.reset();
        let expected = Order {
            id: 7,
            quantity: 2,
            notes: String::new(),
            items: Vec::new(),
        };
        assert_eq!(order, expected);
    }

    #[test]
    fn a_limit_reaches_every_field_and_cuts_the_largest_first() {
        let mut order = order();
        order.reset();
        assert_eq!(order.retained_bytes(), 400 + 80);
        order.shrink_to_bytes(200);
        assert_eq!((order.notes.capacity(), order.items.capacity()), (120, 10));
    }

    #[test]
    fn a_field_that_is_not_reusable_spoils_the_object_unless_it_is_set_anew() {
        struct Checked {
            cell: RefCell<u32>,
        }
        recycle_fields! { Checked { cell } }
        struct SetAnew {
            cell: RefCell<u32>,
        }
        recycle_fields! { SetAnew { cell = RefCell::new(0), } }

        let cell = || {
            let cell = RefCell::new(7);
            std::mem::forget(cell.borrow_mut());
            cell
        };
        assert!(!Checked { cell: cell() }.is_reusable());
        let mut set_anew = SetAnew { cell: cell() };
        assert!(set_anew.is_reusable());
        set_anew.reset();
        assert_eq!(*set_anew.cell.borrow(), 0);
    }

    #[test]
    fn a_struct_without_fields_has_nothing_to_recycle() {
        struct Nothing {}
        recycle_fields! { Nothing {} }
        Nothing {}.reset();
        assert!(Nothing {}.is_reusable());
    }
}
