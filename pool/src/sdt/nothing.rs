//! Where there are no static probes: other systems, Miri, and the model checker. The macros
//! check their arguments' types, and evaluate and emit nothing.

/// See the form for Linux, in `note.rs`.
macro_rules! probe {
    ($provider:ident, $name:ident $(, $value:expr => $kind:ident)* $(; $semaphore:ident)?) => {
        if false {
            $(let _: $kind = $value;)*
            $(let _ = &$semaphore;)?
        }
    };
}
pub(crate) use probe;

/// See the form for Linux, in `note.rs`.
macro_rules! probe_in_argument_registers {
    ($provider:ident, $name:ident $(, $value:expr)*; $semaphore:ident) => {
        if false {
            $(let _: u64 = $value;)*
            let _ = &$semaphore;
        }
    };
}
pub(crate) use probe_in_argument_registers;

/// Declares a semaphore that nobody ever raises.
macro_rules! semaphore {
    ($(#[$attribute:meta])* $name:ident) => {
        $(#[$attribute])*
        static $name: $crate::sdt::Semaphore = $crate::sdt::Semaphore::new();
    };
}
pub(crate) use semaphore;
