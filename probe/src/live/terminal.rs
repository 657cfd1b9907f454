//! The terminal while it belongs to the view, and how it is given back.
//!
//! Raw mode and the alternate screen must not outlive us. Three ways lead out: [`Terminal`] is
//! dropped (quit, error, signal: signals only raise a flag); a panic, on whatever thread, whose hook
//! gives the terminal back before the message is printed, since it would be lost on the alternate
//! screen; or SIGKILL, against which there is nothing (`reset` helps).

use std::io::{self, IsTerminal, Stdout, stdout};
use std::panic;
use std::sync::Once;
use std::sync::atomic::{AtomicBool, Ordering};

use crossterm::cursor::Show;
use crossterm::execute;
use crossterm::terminal::{
    EnterAlternateScreen, LeaveAlternateScreen, disable_raw_mode, enable_raw_mode,
};
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
}

impl Drop for Terminal {
    fn drop(&mut self) {
        give_back();
    }
}

/// Once, however often it is called for one [`Terminal`]. Errors have nobody to go to.
fn give_back() {
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
