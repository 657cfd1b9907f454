//! Small services that use pools. They are cargo examples:
//!
//! - `cargo run --release -p tailcut-examples --example quotes`: a quote server on loopback, in a
//!   heap and a pooled form.
//! - `cargo run --release -p tailcut-examples --example gateway`: a gateway before a model, in tokio.
//! - `cargo run --release -p tailcut-examples --example pitfalls`: the ways in which a pool
//!   disappoints, reproduced, with their cures.
//! - `cargo run --release -p tailcut-examples --example monitored`: an order desk that Prometheus
//!   watches; see `examples/monitoring`.
