//! Says which eBPF object is embedded: the one in the repository, or the one that
//! `TAILCUT_PROBE_OBJECT` names, by which a fresh build of the programs is tested.

use std::path::Path;

fn main() {
    const VARIABLE: &str = "TAILCUT_PROBE_OBJECT";
    let folder = std::env::var("CARGO_MANIFEST_DIR").expect("cargo sets it");
    let committed = Path::new(&folder).join("programs/tailcut-probe.bpf.o");
    let object = std::env::var(VARIABLE).unwrap_or_else(|_| committed.display().to_string());
    println!("cargo:rustc-env={VARIABLE}={object}");
    println!("cargo:rerun-if-env-changed={VARIABLE}");
    println!("cargo:rerun-if-changed={object}");
}
