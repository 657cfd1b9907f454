//! Redis: one command a request, any reply in RESP2 or RESP3, answered in order.
//!
//! The command is prebuilt as an array of bulk strings; `{n}` in it stands for the request's number. A
//! reply that is an error is a refusal, named by its first word: `redis ERR`, `redis WRONGTYPE`; words that
//! Redis itself does not use are counted together as `redis other error`, as a server could make up any
//! number of them. An array that holds errors (of EXEC) is an answer. Push messages belong to no request and are
//! skipped; commands that only make the server push (SUBSCRIBE, MONITOR) are refused.
//!
//! Cost: 20 ns to send, 8 to 19 for `+OK` (`examples/decode.rs`). Limits: lines of 64 KiB, values nested 32 deep; contents are skipped,
//! never kept.

mod reply;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use crate::network::codecs::answers::{closed_early, unasked};
use crate::network::codecs::options::{RequestOption, refuse_others};
use crate::network::codecs::template::Template;
use crate::network::error::NetworkError;
use crate::network::session::{Event, MakeSession, Session, SessionError, Ticket};
use crate::scenario::RequestOptions;

use reply::{Found, Reader};

/// What is sent where no command is given: each request sets a key of its own.
const DEFAULT: [&str; 3] = ["SET", "key:{n}", "xxx"];

/// Makes the Redis sessions of a run.
#[derive(Debug, Clone)]
pub struct RedisMaker {
    command: Arc<Template>,
}

impl RedisMaker {
    /// Sessions that send the command of `options`; `SET key:{n} xxx` if there is none.
    ///
    /// # Errors
    /// [`NetworkError::Request`]: a command that has no single reply, an option that Redis has no use for.
    pub fn new(options: &RequestOptions) -> Result<RedisMaker, NetworkError> {
        refuse_others("Redis", &[RequestOption::Command], options)?;
        let command = if options.command.is_empty() {
            encode(&DEFAULT)
        } else {
            refuse_endless(&options.command)?;
            encode(&options.command)
        };
        Ok(RedisMaker {
            command: Arc::new(command),
        })
    }
}

impl MakeSession for RedisMaker {
    type Session = Redis;

    fn make(&self) -> Redis {
        Redis {
            command: Arc::clone(&self.command),
            reader: Reader::default(),
            sent: 0,
            answered: 0,
            told: false,
        }
    }
}

fn encode(command: &[impl AsRef<str>]) -> Template {
    let mut template = Template::default();
    template.text(format!("*{}\r\n", command.len()).as_bytes());
    for word in command {
        let word = word.as_ref().as_bytes();
        template
            .text(b"$")
            .length_of(word)
            .text(b"\r\n")
            .numbered(word)
            .text(b"\r\n");
    }
    template
}

/// Refuses commands after which replies and requests no longer go together.
fn refuse_endless(command: &[String]) -> Result<(), NetworkError> {
    const ENDLESS: [&str; 9] = [
        "SUBSCRIBE",
        "PSUBSCRIBE",
        "SSUBSCRIBE",
        "UNSUBSCRIBE",
        "PUNSUBSCRIBE",
        "SUNSUBSCRIBE",
        "MONITOR",
        "SYNC",
        "PSYNC",
    ];
    let is = |at: usize, word: &str| {
        command
            .get(at)
            .is_some_and(|given| given.eq_ignore_ascii_case(word))
    };
    let silent = is(0, "CLIENT") && is(1, "REPLY");
    if silent || ENDLESS.iter().any(|word| is(0, word)) {
        return Err(NetworkError::Request(format!(
            "the Redis command {} has no reply of its own for each request, so nothing can be timed: \
             use one that answers once",
            command.join(" ")
        )));
    }
    if command.iter().all(String::is_empty) {
        return Err(NetworkError::Request(
            "the Redis command is empty".to_owned(),
        ));
    }
    Ok(())
}

/// One connection that speaks Redis' protocol.
#[derive(Debug)]
pub struct Redis {
    command: Arc<Template>,
    reader: Reader,
    sent: Ticket,
    /// The ticket of the next reply.
    answered: Ticket,
    /// [`Event::FirstByte`] was told.
    told: bool,
}

impl Session for Redis {
    fn open(&mut self, _out: &mut Vec<u8>) {}

    #[inline]
    fn send(&mut self, request: u64, out: &mut Vec<u8>) {
        self.sent += 1;
        self.command.append(request, out);
    }

    fn receive(
        &mut self,
        input: &[u8],
        _out: &mut Vec<u8>,
        events: &mut Vec<Event>,
    ) -> Result<usize, SessionError> {
        let mut used = 0;
        while used < input.len() {
            let rest = &input[used..];
            if self.answered == self.sent && self.reader.is_reply(rest) {
                return Err(unasked(rest));
            }
            let (length, found) = self.reader.read(rest)?;
            used += length;
            match found {
                Found::Reply(answer) => {
                    events.push(Event::Reply(self.answered, answer));
                    self.answered += 1;
                    self.told = false;
                }
                Found::Push => {}
                Found::Part => {
                    if !self.told && self.reader.is_reply(&input[used..]) {
                        self.told = true;
                        events.push(Event::FirstByte(self.answered));
                    }
                    break;
                }
            }
        }
        Ok(used)
    }

    fn end(&mut self, rest: &[u8], _events: &mut Vec<Event>) -> Result<(), SessionError> {
        if rest.is_empty() && self.reader.is_between() {
            return Ok(());
        }
        Err(closed_early("within a reply"))
    }
}
