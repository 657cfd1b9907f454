//! Types shared between the eBPF programs and user space: where the tracing programs will be built
