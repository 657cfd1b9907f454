//! Tracing probes: placeholders.

#[inline(always)]
pub(crate) fn built(_pool: usize, _capacity: u64, _portable: u32) {}
#[inline(always)]
pub(crate) fn closed(_pool: usize) {}
#[inline(always)]
pub(crate) fn refill(_pool: usize, _cpu: u32, _objects: u32) {}
#[inline(always)]
pub(crate) fn spill(_pool: usize, _cpu: u32, _objects: u32) {}
#[inline(always)]
pub(crate) fn steal(_pool: usize, _cpu: u32, _victim: u32, _objects: u32) {}
#[inline(always)]
pub(crate) fn grow(_pool: usize, _made: u64, _total: u64) {}
#[inline(always)]
pub(crate) fn shrink(_pool: usize, _dropped: u64, _total: u64) {}
#[inline(always)]
pub(crate) fn exhausted(_pool: usize, _capacity: u64) {}
#[inline(always)]
pub(crate) fn wait_begin(_pool: usize) -> u64 {
    0
}
#[inline(always)]
pub(crate) fn wait_end(_pool: usize, _begun: u64, _got: bool) {}
#[inline(always)]
pub(crate) fn discard(_pool: usize, _object: usize) {}
