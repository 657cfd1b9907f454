//! What a reader must know of the machine and the build to judge the figures.

use std::collections::BTreeMap;

use serde::Serialize;
use tailcut_report::recording::Host;

use crate::placement::Placement;
use crate::rows::GoBinary;

const LOCK: &str = include_str!("../../Cargo.lock");

/// The peers' crates, of which the versions are written down.
const PEERS: [&str; 13] = [
    "bumpalo",
    "crossbeam-queue",
    "deadpool",
    "heapless",
    "lockfree-object-pool",
    "mimalloc",
    "object-pool",
    "opool",
    "poolshark",
    "sharded-slab",
    "snmalloc-rs",
    "tikv-jemallocator",
    "zeropool",
];

/// The machine and the build.
#[derive(Debug, Clone, Serialize)]
pub struct Facts {
    /// The machine.
    pub host: Host,
    /// The cores that were used: the first for one thread, the first two for two.
    pub cores: Vec<usize>,
    /// The compiler.
    pub rustc: &'static str,
    /// Go's version, if its row was measured.
    pub go: Option<String>,
    /// Crate and version of each peer.
    pub peers: BTreeMap<&'static str, &'static str>,
    /// The load average of the last minute, when the run began: above 1, others were at work.
    pub load_average: f64,
}

impl Facts {
    /// Gathers them.
    #[must_use]
    pub fn gather(placement: &Placement, go: Result<&GoBinary, &String>) -> Facts {
        let load = std::fs::read_to_string("/proc/loadavg").unwrap_or_default();
        Facts {
            host: tailcut_loadgen::host::describe("by row"),
            cores: placement.cores().to_vec(),
            rustc: env!("TAILCUT_RUSTC"),
            go: go.ok().map(GoBinary::version),
            peers: PEERS
                .iter()
                .filter_map(|peer| Some((*peer, locked_version(peer)?)))
                .collect(),
            load_average: load
                .split(' ')
                .next()
                .and_then(|load| load.parse().ok())
                .unwrap_or(0.0),
        }
    }
}

/// The crate's version in Cargo.lock.
fn locked_version(name: &str) -> Option<&'static str> {
    let entry = format!("name = \"{name}\"\nversion = \"");
    let (_, rest) = LOCK.split_once(&entry)?;
    Some(rest.split_once('"')?.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_version_of_every_peer_is_known() {
        for peer in PEERS {
            assert!(locked_version(peer).is_some(), "{peer}");
        }
    }
}
