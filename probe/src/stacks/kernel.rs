//! Names of kernel addresses, where the kernel tells them (`/proc/kallsyms`: root, and
//! `kernel.kptr_restrict` below 2).
//!
//! Costs, for each batch, a reading of all symbols (122,000 here: 60 ms, and 10 MB while it lasts).

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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_kernel_function_has_its_name_where_the_kernel_tells_it() {
        let symbols = std::fs::read_to_string("/proc/kallsyms").unwrap_or_default();
        let function = symbols.lines().find_map(|line| {
            let mut fields = line.split(' ');
            let address = u64::from_str_radix(fields.next()?, 16).ok()?;
            (fields.next()? == "T" && fields.next()? == "schedule").then_some(address)
        });
        let address = function.unwrap_or(0);
        let found = names(&[address, 1]);
        let told = (address != 0).then(|| "schedule".to_string());
        assert_eq!(found, [told, None]);
    }
}
