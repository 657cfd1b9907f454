//! The host: what its kernel, its user and its machine allow a tracer to do.

pub mod btf;
#[cfg(test)]
pub(crate) mod testing;
