//! Whether the process may have as many files as there are connections: known before, not found out
//! in the middle of a run.

use super::NetworkError;
use nix::sys::resource::{Resource, getrlimit, setrlimit};

/// Files that a run needs besides its connections: the recording, event loops, timers.
const BESIDES: u64 = 64;

/// Makes sure that `connections` more files can be open, raising the soft limit as far as the hard one
/// allows.
///
/// # Errors
/// [`NetworkError::Descriptors`] if even the hard limit is too low.
pub(super) fn ensure(connections: u32) -> Result<(), NetworkError> {
    let open = std::fs::read_dir("/proc/self/fd").map_or(0, Iterator::count);
    let needed = u64::from(connections) + open as u64 + BESIDES;
    let Ok((soft, hard)) = getrlimit(Resource::RLIMIT_NOFILE) else {
        return Ok(()); // not known: a connection that cannot be made will say so
    };
    if soft >= needed {
        return Ok(());
    }
    if hard >= needed && setrlimit(Resource::RLIMIT_NOFILE, needed, hard).is_ok() {
        return Ok(());
    }
    Err(NetworkError::Descriptors {
        connections,
        needed,
        limit: hard,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_few_connections_fit_and_four_billion_are_refused_with_the_limit() {
        ensure(8).unwrap();
        let (_, hard) = getrlimit(Resource::RLIMIT_NOFILE).unwrap();
        if hard > u64::from(u32::MAX) {
            return; // such a machine exists in theory
        }
        let message = ensure(u32::MAX).unwrap_err().to_string();
        assert!(message.contains("ulimit -n"), "{message}");
        assert!(message.contains(&hard.to_string()), "{message}");
    }
}
