//! Small services, each in a heap and a pooled form. They are cargo examples:
//!
//! - `cargo run --release -p tailcut-examples --example quotes`: a quote server on loopback.
