//! Small services, each in a heap and a pooled form. They are cargo examples:
//!
//! - `cargo run --release -p tailcut-examples --example quotes`: a quote server on loopback.
//! - `cargo run --release -p tailcut-examples --example pitfalls`: the ways in which a pool
//!   disappoints, reproduced, with their cures.
