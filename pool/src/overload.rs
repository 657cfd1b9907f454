//! What a get does when every object is in use: a type, chosen at build.

/// [`Pool::get`](crate::Pool::get) refuses with [`Exhausted`](crate::Exhausted): the default.
#[derive(Debug, Clone, Copy, Default)]
pub struct Refuse;

/// [`Pool::get`](crate::Pool::get) waits until an object is given back.
#[derive(Debug, Clone, Copy, Default)]
pub struct Wait;

/// [`Pool::get`](crate::Pool::get) makes more objects, up to a limit, then refuses. Making them
/// takes a lock and whatever the maker takes: the price of a burst beyond the capacity.
#[derive(Debug, Clone, Copy, Default)]
pub struct Grow;
