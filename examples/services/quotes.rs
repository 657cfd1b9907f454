//! A quote server on loopback: a line in ("QUOTE shoes 3"), a line out ("shoes 3 4500").
//!
//! Each request needs a scratch object: the words of the line and the reply being written. The
//! heap form makes one per request, the pooled form takes one from a pool; everything else is the
//! same code. The pool outlives the connections because it lives outside the scope of their
//! threads; its capacity is the number of requests that can be under way at once.
//!
//! ```text
//! cargo run --release -p tailcut-examples --example quotes           # both forms
//! cargo run --release -p tailcut-examples --example quotes -- pool   # one of them
//! ```

use std::fmt::Write as _;
use std::io::{BufRead, BufReader, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream};

use anyhow::{Context, Result, ensure};
use tailcut_pool::{Pool, Recycle};

const CONNECTIONS: usize = 4;
const REQUESTS: usize = 5_000;

/// What one request needs while it is served.
#[derive(Default)]
struct Scratch {
    words: Vec<String>,
    reply: String,
}

impl Recycle for Scratch {
    /// Keeps the buffers, and the strings in them: clearing `words` would free its strings.
    fn reset(&mut self) {
        self.words.iter_mut().for_each(String::clear);
        self.reply.clear();
    }
}

impl Scratch {
    fn quote(&mut self, line: &str) -> &str {
        let mut words = 0;
        for word in line.split_whitespace() {
            if words == self.words.len() {
                self.words.push(String::new());
            }
            self.words[words].push_str(word);
            words += 1;
        }
        let quantity = self.words.get(2).and_then(|word| word.parse::<u64>().ok());
        // Writing to a string cannot fail.
        let _ = match (words, self.words.first().map(String::as_str), quantity) {
            (3, Some("QUOTE"), Some(quantity)) => {
                let cents = self.words[1].len() as u64 * 300 * quantity;
                writeln!(self.reply, "{} {quantity} {cents}", self.words[1])
            }
            _ => writeln!(self.reply, "? say: QUOTE article quantity"),
        };
        &self.reply
    }
}

/// Where scratch objects come from.
enum Form<'p> {
    Heap,
    Pooled(&'p Pool<Scratch>),
}

impl Form<'_> {
    fn reply(&self, line: &str, out: &mut impl Write) -> Result<()> {
        match self {
            Form::Heap => out.write_all(Scratch::default().quote(line).as_bytes())?,
            Form::Pooled(pool) => match pool.try_get() {
                Ok(mut scratch) => out.write_all(scratch.quote(line).as_bytes())?,
                // As many objects as connections: it cannot happen here. Elsewhere this is the
                // place to shed load, with an answer that says so.
                Err(_exhausted) => out.write_all(b"! busy, try again\n")?,
            },
        }
        Ok(())
    }
}

fn main() -> Result<()> {
    let make = || Scratch {
        words: vec![String::with_capacity(32); 3],
        reply: String::with_capacity(128),
    };
    let pool = Pool::builder(make).capacity(CONNECTIONS).build()?;
    let forms = [("heap", Form::Heap), ("pool", Form::Pooled(&pool))];
    let asked = std::env::args().nth(1);
    if let Some(name) = &asked {
        ensure!(
            forms.iter().any(|(form, _)| form == name),
            "no form '{name}': say heap or pool, or nothing for both"
        );
    }
    for (name, form) in &forms {
        if asked.as_deref().is_none_or(|asked| asked == *name) {
            serve_and_ask(name, form)?;
        }
    }
    Ok(())
}

/// Serves on a free port, and asks from as many clients as it serves.
fn serve_and_ask(name: &str, form: &Form<'_>) -> Result<()> {
    let listener =
        TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).context("cannot listen on loopback")?;
    let address = listener.local_addr()?;
    let begun = std::time::Instant::now();
    std::thread::scope(|scope| -> Result<()> {
        let clients: Vec<_> = (0..CONNECTIONS)
            .map(|_| scope.spawn(move || ask(TcpStream::connect(address)?)))
            .collect();
        let servers = (0..CONNECTIONS)
            .map(|_| {
                listener
                    .accept()
                    .map(|(stream, _)| scope.spawn(move || answer(stream, form)))
            })
            .collect::<Result<Vec<_>, _>>()?;
        for thread in clients.into_iter().chain(servers) {
            thread
                .join()
                .map_err(|_| anyhow::anyhow!("a thread panicked"))??;
        }
        Ok(())
    })?;
    println!(
        "{name}: {} requests answered in {:.0?}",
        CONNECTIONS * REQUESTS,
        begun.elapsed()
    );
    Ok(())
}

fn answer(stream: TcpStream, form: &Form<'_>) -> Result<()> {
    stream.set_nodelay(true)?;
    let mut out = stream.try_clone()?;
    let mut lines = BufReader::new(stream);
    let mut line = String::with_capacity(128);
    while lines.read_line(&mut line)? > 0 {
        form.reply(&line, &mut out)?;
        line.clear();
    }
    Ok(())
}

fn ask(stream: TcpStream) -> Result<()> {
    stream.set_nodelay(true)?;
    let mut out = stream.try_clone()?;
    let mut replies = BufReader::new(&stream);
    let mut reply = String::with_capacity(128);
    for quantity in 1..=REQUESTS {
        out.write_all(format!("QUOTE shoes {quantity}\n").as_bytes())?;
        reply.clear();
        replies.read_line(&mut reply)?;
        ensure!(
            reply == format!("shoes {quantity} {}\n", 5 * 300 * quantity),
            "wrong reply: {reply}"
        );
    }
    out.shutdown(std::net::Shutdown::Write)?;
    Ok(())
}
