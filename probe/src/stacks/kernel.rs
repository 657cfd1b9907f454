//! Names of kernel addresses, where the kernel tells them (`/proc/kallsyms`: root, and
//! `kernel.kptr_restrict` below 2).
//!
//! Costs a reading of 100,000 to 250,000 symbols: 50 ms, and about 20 MB while it lasts, which are
//! given back after each batch.

use blazesym::MaybeDefault;
use blazesym::symbolize::source::{Kernel, Source};
use blazesym::symbolize::{Input, Symbolized, Symbolizer};

/// The name of each address, in order; `None` where it is not told.
pub(super) fn names(addresses: &[u64]) -> Vec<Option<String>> {
    let kernel = Kernel {
        vmlinux: MaybeDefault::None,
        debug_syms: false,
        ..Kernel::default()
    };
    let symbolizer = Symbolizer::builder().enable_code_info(false).build();
    let Ok(symbols) = symbolizer.symbolize(&Source::Kernel(kernel), Input::AbsAddr(addresses))
    else {
        return vec![None; addresses.len()];
    };
    let name = |symbol: Symbolized<'_>| symbol.into_sym().map(|symbol| symbol.name.into_owned());
    symbols.into_iter().map(name).collect()
}
