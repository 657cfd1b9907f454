//! The commands that watch a live process: `doctor`, `record`, `top`, `serve`.

mod launch;
mod record;
mod serve;
mod show;
mod target;
mod top;

use anyhow::{Context, Result};
use tailcut_probe::host::privileges;
use tailcut_probe::{Options, Session};

/// Attaches. Who may not is told where to find out why.
fn attach(pid: u32, options: Options) -> Result<Session> {
    let attached = Session::attach(pid, options);
    if attached.is_err() && !nix::unistd::geteuid().is_root() {
        return attached.context(
            "cannot trace without privileges (run it with sudo; `tailcut doctor` says what exactly is missing)",
        );
    }
    Ok(attached?)
}

/// Gives up what tracing has no use for: writing others' files, the network, modules, mounts, ...
///
/// Capabilities belong to threads, so this comes before any other thread is started; and after a
/// program that is to be traced, which keeps what it was given.
fn give_up_privileges() -> Result<()> {
    Ok(privileges::keep_only(privileges::FOR_A_SESSION)?)
}

pub use self::launch::run_traced;
pub use self::record::{about, record};
pub use self::serve::serve;
pub use self::top::top;
