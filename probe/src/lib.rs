//! Allocator and pause latency of a live process: where the tracing commands will be built
