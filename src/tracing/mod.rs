//! The commands that watch a live process: `doctor`, `record`, `top`, `serve`.

mod launch;
mod record;
mod serve;
mod show;
mod target;
mod top;

pub use self::launch::run_traced;
pub use self::record::{about, record};
pub use self::serve::serve;
pub use self::top::top;
