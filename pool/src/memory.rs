//! The memory under a slab: one range of addresses, taken at build and kept till the end.
//!
//! On Linux it is mapped directly. The range has room for as many objects as the pool may ever
//! hold, so that growing moves nothing; what is not used yet is reserved only (no access, no
//! charge), and pages whose objects were dropped go back to the system. A range of 2 MiB or more
//! is aligned for huge pages and asks the kernel for them: at 120,000 live orders, 4 KiB pages
//! miss the TLB on each object. Elsewhere the global allocator gives the whole range.
//!
//! **Cost**: system calls at build, on growing and on giving back; none on get and put.

#[cfg(target_os = "linux")]
#[path = "memory/mapped.rs"]
mod range;
#[cfg(not(target_os = "linux"))]
#[path = "memory/allocated.rs"]
mod range;

pub(crate) use self::range::Memory;

/// Which pages a pool's objects are to lie on.
///
/// ```
/// # use tailcut_pool::{HugePages, Pages, Pool};
/// let large = Pool::builder(|| [0_u8; 4096]).keep_as_is().capacity(1024); // 4 MiB
/// let pool = large.huge_pages(HugePages::Prefer).build()?;
/// if pool.pages() != Pages::Huge {
///     println!("no huge pages in reserve: the kernel will do what it can");
/// }
/// # Ok::<_, tailcut_pool::BuildError>(())
/// ```
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum HugePages {
    /// Asks the kernel for transparent huge pages (`madvise(MADV_HUGEPAGE)`) if the objects take
    /// 2 MiB or more. Advice only: it may be off, and pages may come later or never.
    #[default]
    Advise,
    /// Reserved huge pages (`mmap(MAP_HUGETLB)`), or as [`Advise`](Self::Advise) if the system has
    /// too few.
    Prefer,
    /// Reserved huge pages, or no pool.
    Require,
    /// The system's base pages.
    Never,
}

/// On which NUMA node a pool's objects are to lie.
///
/// ```
/// # use tailcut_pool::{BuildError, Node, Pool};
/// // A pool for the threads that are bound to node 0.
/// let local = Pool::builder(|| [0_u8; 256]).keep_as_is().capacity(1000).node(Node::Number(0));
/// match local.build() {
///     Ok(pool) => assert_eq!(pool.capacity(), 1000),
///     Err(BuildError::NoNode { node, why }) => println!("no node {node} here: {why}"),
///     Err(other) => return Err(other),
/// }
/// # Ok::<_, tailcut_pool::BuildError>(())
/// ```
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Node {
    /// The kernel's policy: mostly the node of the thread that builds the pool, which touches
    /// each object first. Bind that thread to place the pool.
    #[default]
    FirstTouch,
    /// This node only, whoever builds the pool (`mbind(MPOL_BIND)`): for a pool per node. Not
    /// together with reserved huge pages, which are not reserved by node: the process would be
    /// killed at the first page that its node has not.
    Number(u32),
    /// Page by page over all nodes (`mbind(MPOL_INTERLEAVE)`): for objects that all nodes use.
    Interleaved,
}

/// Which pages a pool's objects lie on: see [`Pool::pages`](crate::Pool::pages).
///
/// ```
/// # use tailcut_pool::{Pages, Pool};
/// let pool = Pool::builder(|| 0_u64).capacity(10).build()?;
/// assert_eq!(pool.pages(), Pages::Base); // too small for anything else
/// # Ok::<_, tailcut_pool::BuildError>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Pages {
    /// The system's base pages.
    Base,
    /// The kernel was asked for transparent huge pages and said yes; `AnonHugePages` in
    /// `/proc/self/smaps` tells how many it gave.
    Advised,
    /// Reserved huge pages.
    Huge,
}

/// What memory a pool wants.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Wishes {
    pub(crate) huge: HugePages,
    pub(crate) node: Node,
    pub(crate) locked: bool,
}

/// What cannot be had.
#[derive(Debug)]
pub(crate) enum Refused {
    Memory,
    HugePages,
    Node(u32, std::io::Error),
    Lock(std::io::Error),
}
