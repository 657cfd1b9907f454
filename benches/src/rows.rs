//! Every row of the tables. **To add one**: implement [`Source`] for it in
//! the fitting file below, and name it in [`all`]; every workload that can measure it does.
//!
//! Where it helps a peer, it gets its best case: allocators hand out raw memory that nobody
//! initialises; pools that move objects by value are there with boxes, too; plain bytes are not reset;
//! statistics are off; capacities suffice.

mod allocators;
mod arena;
mod control;
mod go;
mod orders;
mod per_type;
mod pools;
mod queues;
mod tailcut;

#[cfg(feature = "snmalloc")]
pub use allocators::Snmalloc;
pub use allocators::{Glibc, Jemalloc, Mimalloc};
pub use arena::Bumpalo;
pub use control::Control;
pub use go::{GoBinary, GoWorkload};
pub use orders::{
    Orders, PeerLinear, PeerObjectPool, PeerOpool, PeerShardedSlab, PeerSpin, TailcutOrders,
};
pub use per_type::{HeaplessPool, ThreadLocalVec};
pub use pools::{
    Deadpool, LinearPool, ObjectPool, ObjectPoolBoxed, Opool, OpoolBoxed, OpoolLocal,
    OpoolLocalBoxed, PoolsharkGlobal, PoolsharkLocal, ShardedSlab, SpinLockPool, ZeroPool,
};
pub use queues::{BoxArrayQueue, BoxSegQueue};
pub use tailcut::{Tailcut, TailcutPortable, TailcutRseq};

use crate::source::Source;
use crate::workload::Row;

/// The row that all others are compared with.
pub const REFERENCE: &str = <TailcutRseq<8> as Source>::NAME;

/// Why there is no row of snmalloc.
#[cfg(not(feature = "snmalloc"))]
pub const NO_SNMALLOC: &str = "it was not built: it needs a C++ compiler and `--features snmalloc`";

/// A workload's measured loop, made ready for each source.
pub trait Measurement {
    /// For a source that any number of threads share. `None`: the row makes no sense here.
    fn shared<S>(&self) -> Option<Row>
    where
        S: Source + Sync,
        for<'a> S::Held<'a>: Send;

    /// For a source that serves one thread only.
    fn local<S: Source>(&self) -> Row {
        let why = S::CONFINED.unwrap_or("it is for one thread only");
        Row::absent(S::NAME, S::KIND, why)
    }
}

/// Every row for objects of `N` bytes.
pub fn all<const N: usize>(workload: &impl Measurement) -> Vec<Row>
where
    HeaplessPool<N>: Source + Sync,
    for<'a> <HeaplessPool<N> as Source>::Held<'a>: Send,
    ThreadLocalVec<N>: Source + Sync,
    for<'a> <ThreadLocalVec<N> as Source>::Held<'a>: Send,
{
    let rows = [
        workload.shared::<Control<N>>(),
        workload.shared::<TailcutRseq<N>>(),
        workload.shared::<TailcutPortable<N>>(),
        workload.shared::<Glibc<N>>(),
        workload.shared::<Jemalloc<N>>(),
        workload.shared::<Mimalloc<N>>(),
        #[cfg(feature = "snmalloc")]
        workload.shared::<Snmalloc<N>>(),
        #[cfg(not(feature = "snmalloc"))]
        Some(Row::absent(
            "snmalloc",
            crate::source::Kind::Allocator,
            NO_SNMALLOC,
        )),
        Some(workload.local::<Bumpalo<N>>()),
        workload.shared::<ThreadLocalVec<N>>(),
        workload.shared::<BoxArrayQueue<N>>(),
        workload.shared::<BoxSegQueue<N>>(),
        workload.shared::<Opool<N>>(),
        workload.shared::<OpoolBoxed<N>>(),
        Some(workload.local::<OpoolLocal<N>>()),
        Some(workload.local::<OpoolLocalBoxed<N>>()),
        workload.shared::<ObjectPool<N>>(),
        workload.shared::<ObjectPoolBoxed<N>>(),
        workload.shared::<LinearPool<N>>(),
        workload.shared::<SpinLockPool<N>>(),
        workload.shared::<ShardedSlab<N>>(),
        workload.shared::<PoolsharkGlobal<N>>(),
        workload.shared::<PoolsharkLocal<N>>(),
        workload.shared::<ZeroPool<N>>(),
        workload.shared::<Deadpool<N>>(),
        workload.shared::<HeaplessPool<N>>(),
    ];
    rows.into_iter().flatten().collect()
}
