//! A process that lives as long as its row: this very program, started again, measures whenever it
//! is asked.
//!
//! For a row that something outside is attached to, which takes longer than a round: a tracer.
//! (Where each round may have a fresh process, see [`alone`](crate::alone).) Requests are
//! repetitions, one a line on its standard input; answers are nanoseconds, one a line on its
//! standard output. It ends with its input, so that it outlives nobody, even one who is killed.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use crate::alone::undisturbed;

/// A running companion; killed when dropped.
pub struct Companion {
    process: Kept,
    requests: ChildStdin,
    answers: BufReader<ChildStdout>,
}

impl Companion {
    /// Starts it, on the cores of the calling thread.
    ///
    /// # Errors
    /// Why it does not start.
    pub fn start() -> Result<Companion, String> {
        // This program, even if another one was built in its place meanwhile.
        let mut program = Command::new("/proc/self/exe");
        program.arg("--answer");
        Companion::of(program)
    }

    fn of(mut program: Command) -> Result<Companion, String> {
        program.stdin(Stdio::piped());
        let mut process = Kept::start(program)?;
        let requests = process.0.stdin.take().expect("it is piped");
        Ok(Companion {
            answers: process.output(),
            process,
            requests,
        })
    }

    /// The process's number.
    #[must_use]
    pub fn id(&self) -> u32 {
        self.process.0.id()
    }

    /// Nanoseconds of so many repetitions.
    ///
    /// # Errors
    /// Why it cannot measure, or how it ended.
    pub fn ask(&mut self, repetitions: u64) -> Result<f64, String> {
        let mut answer = String::new();
        let asked = writeln!(self.requests, "{repetitions}");
        // If it cannot be asked it has ended, and so have its answers.
        let _ = asked.and_then(|()| self.answers.read_line(&mut answer));
        answer.trim().parse().map_err(|_| {
            let last_words = self.process.last_words();
            format!("the measuring process ended: {last_words}")
        })
    }
}

/// The companion's side: answers until there are no more requests.
///
/// # Errors
/// A request that is no number; a broken pipe.
pub fn answer(
    requests: impl BufRead,
    mut answers: impl Write,
    mut measure: impl FnMut(u64) -> f64,
) -> io::Result<()> {
    for request in requests.lines() {
        let repetitions = request?.parse().map_err(io::Error::other)?;
        let nanoseconds = undisturbed(|| Ok(measure(repetitions))).map_err(io::Error::other)?;
        writeln!(answers, "{nanoseconds}")?;
        answers.flush()?;
    }
    Ok(())
}

/// A process whose output is read here, killed when dropped.
pub(crate) struct Kept(pub(crate) Child);

impl Kept {
    pub(crate) fn start(mut program: Command) -> Result<Kept, String> {
        let name = program.get_program().to_string_lossy().into_owned();
        program.stdout(Stdio::piped()).stderr(Stdio::piped());
        let process = program.spawn();
        process
            .map(Kept)
            .map_err(|error| format!("{name}: {error}"))
    }

    /// What it prints; to be asked for once.
    pub(crate) fn output(&mut self) -> BufReader<ChildStdout> {
        BufReader::new(self.0.stdout.take().expect("piped, and not taken before"))
    }

    /// Ends the process, and returns the first line of what it complained of.
    pub(crate) fn last_words(&mut self) -> String {
        self.end();
        let mut said = String::new();
        if let Some(mut complaints) = self.0.stderr.take() {
            let _ = complaints.read_to_string(&mut said);
        }
        let first = said.lines().next().unwrap_or("it said nothing");
        first.trim_start_matches("Error: ").to_owned()
    }

    fn end(&mut self) {
        // Neither fails but where it has ended already.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

impl Drop for Kept {
    fn drop(&mut self) {
        self.end();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shell(script: &str) -> Companion {
        let mut program = Command::new("sh");
        program.args(["-c", script]);
        Companion::of(program).unwrap()
    }

    #[test]
    fn each_request_is_answered_with_its_own_measurement() {
        let mut answers = vec![];
        answer(&b"2\n5\n"[..], &mut answers, |repetitions| {
            repetitions as f64 * 1.5
        })
        .unwrap();
        assert_eq!(String::from_utf8(answers).unwrap(), "3\n7.5\n");
        let refused = answer(&b"two\n"[..], io::sink(), |_| 0.0);
        assert!(refused.is_err());
    }

    #[test]
    fn a_companion_that_ends_is_quoted() {
        let mut companion = shell("read _; echo 7; echo 'Error: it broke' >&2; exit 1");
        assert_eq!(companion.ask(1), Ok(7.0));
        let ended = companion.ask(1).unwrap_err();
        assert!(ended.ends_with(": it broke"), "{ended}");
    }

    #[test]
    fn a_companion_that_is_dropped_is_gone() {
        // `exec`: the shell itself becomes the process that would go on.
        let companion = shell("exec sleep 1000");
        let entry = format!("/proc/{}", companion.id());
        assert!(std::fs::exists(&entry).unwrap());
        drop(companion);
        assert!(!std::fs::exists(&entry).unwrap());
    }
}
