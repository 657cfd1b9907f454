//! The view on two threads: the caller's asks the source, one of its own owns the terminal.
//!
//! A session may be busy for a while (symbols of a large program), or slow to detach; keys and
//! resizes should not wait for it. Nor may a terminal that takes no output, at the other end of a
//! dead connection, keep a session from emptying the kernel's buffers: intervals that cannot be
//! handed over are dropped, and counted on the screen. Nor may it keep the process: a screen that
//! does not end in time, once it should, is left behind.

use std::io;
use std::sync::mpsc::{self, Receiver, SyncSender, TryRecvError, TrySendError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use crossterm::event::{self, Event};

use super::screen::Screen;
use super::source::{Source, TargetDescription};
use super::terminal::{Input, Terminal, give_back};
use super::theme::Theme;
use super::view;
use crate::stop::Stop;
use crate::tick::Tick;

/// How long either thread waits at most before it looks whether to end.
const PATIENCE: Duration = Duration::from_millis(100);
/// How long the screen may take to end: it may be writing to a terminal that takes nothing.
const LEAVING_TAKES: Duration = Duration::from_secs(2);
/// Intervals under way to the screen.
const UNDER_WAY: usize = 8;

/// How the view looks and when it ends.
#[derive(Debug, Clone, Default)]
pub struct TopOptions {
    /// Colours, or none.
    pub theme: Theme,
    /// Ends the view; see [`Stop::on_signals`].
    pub stop: Stop,
}

/// Why there is no view, or no further one.
#[derive(Debug, thiserror::Error)]
pub enum TopError<E: std::error::Error + 'static> {
    /// Standard output is a file, a pipe, or a terminal that cannot be drawn on.
    #[error(
        "standard output is no terminal that a screen can be drawn on (TERM unset or `dumb`, a pipe, a file); \
         use --once for one table of text, or --json for one object a second"
    )]
    NotATerminal,
    /// The terminal failed.
    #[error("the terminal failed: {0}")]
    Terminal(#[source] io::Error),
    /// The output failed.
    #[error("cannot write: {0}")]
    Output(#[source] io::Error),
    /// The source ended before its first interval.
    #[error("stopped before the first interval was over")]
    NothingSeen,
    /// The session failed.
    #[error(transparent)]
    Source(E),
}

/// Shows what `source` gives on the terminal until the reader leaves; gives the terminal back
/// whatever happens.
///
/// When the target ends, the last figures stay until then.
///
/// # Errors
///
/// Standard output is no terminal or fails; or the source fails.
///
/// # Panics
///
/// A panic of the drawing thread is handed on.
pub fn run_top<S: Source>(source: &mut S, options: TopOptions) -> Result<(), TopError<S::Error>> {
    if !Terminal::is_there() {
        return Err(TopError::NotATerminal);
    }
    let left = Stop::new();
    let (sender, receiver) = mpsc::sync_channel(UNDER_WAY);
    // The screen also ends when this sender is dropped: by a panic of the source, too.
    let screen = thread::Builder::new()
        .name("tailcut-screen".to_owned())
        .spawn({
            let (left, options) = (left.clone(), options.clone());
            move || {
                let _left = OnDrop(left);
                show(&receiver, &options)
            }
        })
        .map_err(TopError::Terminal)?;
    let stopped = || left.is_set() || options.stop.is_set();
    let fed = feed(source, &sender, stopped);
    if matches!(fed, Ok(Fed::TargetEnded)) {
        // The sender stays; the screen goes on until the reader leaves.
        while !stopped() {
            thread::sleep(PATIENCE);
        }
    }
    drop(sender);
    let shown = ended_in_time(screen);
    fed.map_err(TopError::Source)?;
    shown.map_err(TopError::Terminal)
}

/// Waits for the screen, which should end now; if it cannot, gives the terminal back in its place.
fn ended_in_time(screen: JoinHandle<io::Result<()>>) -> io::Result<()> {
    let latest = Instant::now() + LEAVING_TAKES;
    while !screen.is_finished() {
        if Instant::now() > latest {
            give_back();
            return Ok(());
        }
        thread::sleep(Duration::from_millis(5));
    }
    screen
        .join()
        .unwrap_or_else(|panic| std::panic::resume_unwind(panic))
}

/// An interval on its way to the screen.
struct Message {
    tick: Tick,
    target: TargetDescription,
    /// Intervals that could not be handed over before it.
    skipped: u64,
}

enum Fed {
    Stopped,
    TargetEnded,
}

fn feed<S: Source>(
    source: &mut S,
    screen: &SyncSender<Message>,
    stopped: impl Fn() -> bool,
) -> Result<Fed, S::Error> {
    let mut skipped = 0;
    while !stopped() {
        let Some(tick) = source.next(PATIENCE)? else {
            continue;
        };
        let ended = tick.ended;
        let mut message = Message {
            tick,
            target: source.describe(),
            skipped,
        };
        loop {
            match screen.try_send(message) {
                Ok(()) => skipped = 0,
                // The last interval says that it is the last: it must arrive.
                Err(TrySendError::Full(back)) if ended && !stopped() => {
                    message = back;
                    thread::sleep(PATIENCE);
                    continue;
                }
                Err(TrySendError::Full(_)) => skipped += 1,
                Err(TrySendError::Disconnected(_)) => return Ok(Fed::Stopped),
            }
            break;
        }
        if ended {
            return Ok(Fed::TargetEnded);
        }
    }
    Ok(Fed::Stopped)
}

/// The thread of the screen: keys, resizes and intervals, each of them followed by a drawing.
fn show(ticks: &Receiver<Message>, options: &TopOptions) -> io::Result<()> {
    let mut terminal = Terminal::take()?;
    let mut screen = Screen::new(options.theme);
    let mut changed = true;
    loop {
        if changed {
            let clock = jiff::Zoned::now().strftime("%H:%M:%S").to_string();
            terminal.draw(|frame| view::draw(frame, &screen, &clock))?;
        }
        if screen.quit || options.stop.is_set() {
            return Ok(());
        }
        changed = false;
        if terminal.wait(PATIENCE)? == Input::HungUp {
            return Ok(());
        }
        while event::poll(Duration::ZERO)? {
            match event::read()? {
                Event::Key(key) => screen.press(key),
                Event::Resize(..) => {}
                _ => continue,
            }
            changed = true;
        }
        loop {
            match ticks.try_recv() {
                Ok(message) => {
                    screen.absorb(message.tick, message.target, message.skipped);
                    changed = true;
                }
                Err(TryRecvError::Empty) => break,
                Err(TryRecvError::Disconnected) => return Ok(()),
            }
        }
    }
}

/// Raises a flag when its thread ends, also by a panic.
struct OnDrop(Stop);

impl Drop for OnDrop {
    fn drop(&mut self) {
        self.0.set();
    }
}

#[cfg(test)]
mod tests {
    use super::super::synthetic::SyntheticTarget;
    use super::*;

    #[test]
    fn a_screen_that_takes_nothing_delays_no_interval_and_the_loss_is_counted() {
        let (sender, receiver) = mpsc::sync_channel(2);
        let asked = std::cell::Cell::new(0);
        let stop_after_ten = || {
            asked.set(asked.get() + 1);
            asked.get() > 10
        };
        let mut source = SyntheticTarget::new();
        let Ok(_) = feed(&mut source, &sender, stop_after_ten);
        assert_eq!(receiver.try_iter().count(), 2);

        // The next one that gets through says how many did not.
        let (sender, receiver) = mpsc::sync_channel::<Message>(1);
        let asked = std::cell::Cell::new(0);
        let take_the_third = || {
            asked.set(asked.get() + 1);
            if asked.get() == 4 {
                assert_eq!(receiver.try_recv().unwrap().skipped, 0);
            }
            asked.get() > 4
        };
        let Ok(_) = feed(&mut source, &sender, take_the_third);
        assert_eq!(receiver.try_recv().unwrap().skipped, 2);
    }

    #[test]
    fn the_source_is_asked_no_more_once_the_target_has_ended() {
        let (sender, receiver) = mpsc::sync_channel(16);
        let mut source = SyntheticTarget::new().ending_after(3);
        let fed = feed(&mut source, &sender, || false);
        assert!(matches!(fed, Ok(Fed::TargetEnded)));
        let ticks: Vec<Tick> = receiver.try_iter().map(|message| message.tick).collect();
        assert_eq!(ticks.len(), 3);
        assert!(ticks[2].ended);
    }

    #[test]
    fn without_a_terminal_the_error_says_what_to_use_instead() {
        let error: TopError<std::convert::Infallible> = TopError::NotATerminal;
        let text = error.to_string();
        assert!(text.contains("--once") && text.contains("--json"), "{text}");
    }
}
