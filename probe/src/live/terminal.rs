//! The terminal while it belongs to the view, and how it is given back.
//!
//! Raw mode and the alternate screen must not outlive us. Three ways lead out: [`Terminal`] is
//! dropped (quit, error, signal: signals only raise a flag); a panic, on whatever thread, whose hook
//! gives the terminal back before the message is printed, since it would be lost on the alternate
//! screen; or SIGKILL, against which there is nothing (`reset` helps).

use std::io::{self, IsTerminal, Stdout, stdin, stdout};
use std::os::fd::AsFd;
use std::panic;
use std::sync::Once;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use crossterm::cursor::Show;
use crossterm::execute;
use crossterm::terminal::{
    EnterAlternateScreen, LeaveAlternateScreen, disable_raw_mode, enable_raw_mode,
};
use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use ratatui::Frame;
use ratatui::backend::CrosstermBackend;

/// Whether a terminal is to be given back. Static, because a panic's hook is.
static TAKEN: AtomicBool = AtomicBool::new(false);

/// The terminal on standard output, in raw mode and on its alternate screen.
pub(crate) struct Terminal {
    inner: ratatui::Terminal<CrosstermBackend<Stdout>>,
}

impl Terminal {
    /// Whether standard output is a terminal on which a screen can be drawn.
    pub(crate) fn is_there() -> bool {
        stdout().is_terminal() && std::env::var_os("TERM").is_some_and(|term| term != "dumb")
    }

    /// Takes the terminal.
    pub(crate) fn take() -> io::Result<Terminal> {
        give_back_on_panic();
        TAKEN.store(true, Ordering::SeqCst);
        let taken = enable_raw_mode()
            .and_then(|()| execute!(stdout(), EnterAlternateScreen))
            .and_then(|()| ratatui::Terminal::new(CrosstermBackend::new(stdout())));
        match taken {
            Ok(inner) => Ok(Terminal { inner }),
            Err(error) => {
                give_back();
                Err(error)
            }
        }
    }

    /// Draws a whole screen; only what differs from the last one is sent.
    pub(crate) fn draw(&mut self, draw: impl FnOnce(&mut Frame<'_>)) -> io::Result<()> {
        self.inner.draw(draw).map(|_| ())
    }

    /// Waits until there may be a key or another size, or `timeout` is over.
    ///
    /// crossterm 0.29 must not be left to wait for itself: when the terminal goes away while it
    /// reads, it reads the end of the file for ever, on a whole CPU.
    pub(crate) fn wait(&self, timeout: Duration) -> io::Result<Input> {
        let (stdin, stdout) = (stdin(), stdout());
        // Keys come from standard input if it is a terminal. If not, they come from the controlling
        // one, which is looked at after each wait.
        let (terminal, events) = match stdin.is_terminal() {
            true => (stdin.as_fd(), PollFlags::POLLIN),
            false => (stdout.as_fd(), PollFlags::empty()),
        };
        let mut polled = [PollFd::new(terminal, events)];
        let timeout = PollTimeout::try_from(timeout).unwrap_or(PollTimeout::ZERO);
        match poll(&mut polled, timeout) {
            // A signal: another size, or a request to end.
            Ok(_) | Err(Errno::EINTR) => {}
            Err(error) => return Err(error.into()),
        }
        let gone = PollFlags::POLLHUP | PollFlags::POLLERR | PollFlags::POLLNVAL;
        Ok(match polled[0].revents() {
            Some(found) if found.intersects(gone) => Input::HungUp,
            _ => Input::MayBe,
        })
    }
}

/// What a wait ended with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Input {
    /// Perhaps a key or another size.
    MayBe,
    /// The terminal is gone.
    HungUp,
}

impl Drop for Terminal {
    fn drop(&mut self) {
        give_back();
    }
}

/// Gives the terminal back; once, however often it is called for one [`Terminal`]. Errors have
/// nobody to go to.
pub(crate) fn give_back() {
    if TAKEN.swap(false, Ordering::SeqCst) {
        let _ = execute!(stdout(), LeaveAlternateScreen, Show);
        let _ = disable_raw_mode();
    }
}

fn give_back_on_panic() {
    static HOOK: Once = Once::new();
    HOOK.call_once(|| {
        let previous = panic::take_hook();
        panic::set_hook(Box::new(move |info| {
            give_back();
            previous(info);
        }));
    });
}
