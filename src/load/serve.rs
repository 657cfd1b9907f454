//! `tailcut load serve`: the order service over the network, so that both ends of a load run can be tried.
//!
//! The process must run on its allocator from its first allocation on (see [`crate::allocator`]): where
//! another one is asked for than it has, it becomes itself again with the right environment, under the same
//! process number.

use std::io::Write;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::os::unix::process::CommandExt;
use std::process::{Command, ExitCode};

use anyhow::{Context, Result, anyhow, ensure};
use clap::{Args, ValueEnum};
use tailcut_loadgen::serve::{Addresses, Counts, ServeOptions, ServeOutcome, serve};
use tailcut_loadgen::{Bytes, Service, parse_count};

use crate::allocator::{ALLOCATOR_VARIABLE, Allocator};
use crate::interrupt::Interrupt;

const EXAMPLES: &str = "\
Examples:
  tailcut load serve                              orders over TCP, on 127.0.0.1:7000
  tailcut load serve --tcp --udp --http --h2      all of them, each on a free port; the URLs are printed
  tailcut load serve --tcp 7000 --form heap --allocator jemalloc --window 500k
  tailcut load serve --tcp 7000 --form null --busy-poll --cpus 0   the ceiling of network and generator
  tailcut load serve --tcp 0.0.0.0:7000 --allow-remote

The URLs are what `tailcut load run --target` takes. Over HTTP an order is the body of POST /orders, in
binary form, and GET / is answered with ok. Ctrl-C or SIGTERM ends it: what was read is answered first.

Exit status: 0 stopped; 1 failed; 2 bad arguments.";

#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub struct ServeArguments {
    /// Orders over TCP: an address, a port of 127.0.0.1, or nothing for a free one.
    #[arg(long, value_name = "ADDRESS", num_args = 0..=1, default_missing_value = "0", value_parser = address)]
    pub tcp: Option<SocketAddr>,
    /// Orders in datagrams.
    #[arg(long, value_name = "ADDRESS", num_args = 0..=1, default_missing_value = "0", value_parser = address)]
    pub udp: Option<SocketAddr>,
    /// HTTP/1.1.
    #[arg(long, value_name = "ADDRESS", num_args = 0..=1, default_missing_value = "0", value_parser = address)]
    pub http: Option<SocketAddr>,
    /// HTTP/2 without TLS.
    #[arg(long, value_name = "ADDRESS", num_args = 0..=1, default_missing_value = "0", value_parser = address)]
    pub h2: Option<SocketAddr>,
    /// How orders are kept.
    #[arg(long, value_enum, default_value_t = FormChoice::Pool)]
    pub form: FormChoice,
    /// Live orders of each worker, which are settled all at once when there are so many.
    #[arg(long, default_value = "120000", value_name = "ORDERS", value_parser = parse_count)]
    pub window: u64,
    /// Event loops, each with a service of its own; as many again for HTTP/2.
    #[arg(long, default_value_t = 1, value_name = "N")]
    pub workers: u32,
    /// Binds the workers to these processors, in turn: 0 or 2,3 [default: binds none].
    #[arg(long, value_name = "LIST", value_delimiter = ',')]
    pub cpus: Vec<u32>,
    /// Workers look for requests without ever sleeping: each burns a core, answers come sooner.
    #[arg(long)]
    pub busy_poll: bool,
    /// The allocator that the process runs on [default: system].
    #[arg(long, value_enum)]
    pub allocator: Option<AllocatorChoice>,
    /// Connections at the same time; more are closed at once.
    #[arg(long, default_value_t = 50_000, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    pub max_connections: u32,
    /// Allows an address that other machines can reach: the service answers everybody.
    #[arg(long)]
    pub allow_remote: bool,
    /// Prints what was served as one JSON object, and only that, on standard output; the URLs go to
    /// standard error.
    #[arg(long)]
    pub json: bool,
}

/// How orders are kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum FormChoice {
    /// A flat object from a pool.
    Pool,
    /// A box, a vector, a hash map and strings for each.
    Heap,
    /// The flat object, boxed for each.
    Preshaped,
    /// Not at all: every order is answered without being looked at.
    Null,
}

impl FormChoice {
    fn service(self) -> Service {
        match self {
            FormChoice::Pool => Service::Pool,
            FormChoice::Heap => Service::Heap,
            FormChoice::Preshaped => Service::HeapPreshaped,
            FormChoice::Null => Service::Noop,
        }
    }
}

/// What the process allocates from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum AllocatorChoice {
    /// The C library's own.
    System,
    /// jemalloc, at its default settings.
    Jemalloc,
    /// mimalloc, at its default settings.
    Mimalloc,
}

impl AllocatorChoice {
    fn allocator(self) -> Allocator {
        match self {
            AllocatorChoice::System => Allocator::System,
            AllocatorChoice::Jemalloc => Allocator::Jemalloc,
            AllocatorChoice::Mimalloc => Allocator::Mimalloc,
        }
    }
}

/// Serves until somebody stops it.
pub fn run(arguments: &ServeArguments) -> Result<ExitCode> {
    if let Some(choice) = arguments.allocator {
        run_on(choice.allocator())?;
    }
    let interrupt = Interrupt::install()?;
    let options = options(arguments);
    let mut urls = Vec::new();
    let outcome = serve(
        &options,
        |addresses| {
            urls = addresses.urls();
            announce(arguments, addresses);
        },
        interrupt.flag(),
    )?;
    let report = Report {
        schema: 1,
        urls,
        allocator: Allocator::current(),
        served: &outcome,
    };
    if arguments.json {
        say(&serde_json::to_string_pretty(&report)?);
    } else {
        say(&summary(&outcome));
    }
    Ok(ExitCode::SUCCESS)
}

/// What `--json` prints.
#[derive(serde::Serialize)]
struct Report<'a> {
    schema: u32,
    urls: Vec<String>,
    allocator: Allocator,
    #[serde(flatten)]
    served: &'a ServeOutcome,
}

fn options(arguments: &ServeArguments) -> ServeOptions {
    let &ServeArguments {
        mut tcp,
        udp,
        http,
        h2,
        form,
        window,
        workers,
        ref cpus,
        busy_poll,
        allocator: _,
        max_connections,
        allow_remote,
        json: _,
    } = arguments;
    if tcp.or(udp).or(http).or(h2).is_none() {
        tcp = Some(local(7000));
    }
    ServeOptions {
        tcp,
        udp,
        http,
        h2,
        window,
        workers,
        cpus: cpus.clone(),
        busy_poll,
        allow_remote,
        most_connections: max_connections,
        ..ServeOptions::new(form.service())
    }
}

/// Becomes this program on another allocator, if it runs on another one than it should.
fn run_on(allocator: Allocator) -> Result<()> {
    if Allocator::current() == allocator {
        return Ok(());
    }
    ensure!(
        std::env::var_os(ALLOCATOR_VARIABLE).is_none_or(|name| name != allocator.name()),
        "this process was started with {ALLOCATOR_VARIABLE}={} and still runs on another allocator",
        allocator.name()
    );
    let this = std::env::current_exe().context("cannot find this program's own executable")?;
    let failed = Command::new(this)
        .args(std::env::args_os().skip(1))
        .env(ALLOCATOR_VARIABLE, allocator.name())
        .exec();
    Err(anyhow!(failed)).context("cannot start this program again on another allocator")
}

/// One URL a line: a script that waits for the first line has a server that answers.
fn announce(arguments: &ServeArguments, addresses: &Addresses) {
    let urls = addresses.urls().join("\n");
    if arguments.json {
        eprintln!("{urls}");
    } else {
        say(&urls);
    }
    let form = arguments
        .form
        .to_possible_value()
        .map_or_else(String::new, |form| form.get_name().to_owned());
    eprintln!(
        "Serving orders (form {form}, {} allocator, process {}); Ctrl-C ends it.",
        Allocator::current().name(),
        std::process::id()
    );
}

fn summary(outcome: &ServeOutcome) -> String {
    let ServeOutcome {
        counts:
            Counts {
                orders,
                refused,
                malformed,
                http_requests,
                datagrams,
                datagrams_unsent,
                connections,
                garbled,
                lost,
                bytes_in,
                bytes_out,
            },
        turned_away,
        settled_windows,
    } = *outcome;
    let mut lines = vec![
        format!("{orders} orders answered, {refused} refused, {malformed} malformed"),
        format!(
            "{connections} connections; {} in, {} out; {settled_windows} windows settled",
            Bytes(bytes_in),
            Bytes(bytes_out)
        ),
    ];
    for (count, what) in [
        (http_requests, "HTTP requests"),
        (datagrams, "datagrams"),
        (
            datagrams_unsent,
            "answers to datagrams that the system did not take",
        ),
        (
            garbled,
            "connections closed because of bytes that are no orders, or no HTTP",
        ),
        (lost, "connections lost, mostly reset by the client"),
        (
            turned_away,
            "connections turned away: --max-connections, or no file descriptors left",
        ),
    ] {
        if count > 0 {
            lines.push(format!("{count} {what}"));
        }
    }
    lines.join("\n")
}

/// At once; if nobody listens any more there is nobody to tell.
fn say(text: &str) {
    let mut out = std::io::stdout().lock();
    let _ = writeln!(out, "{text}").and_then(|()| out.flush());
}

/// `127.0.0.1:7000`, `[::1]:7000`, or a port alone.
fn address(text: &str) -> Result<SocketAddr, String> {
    if let Ok(port) = text.parse() {
        return Ok(local(port));
    }
    text.parse().map_err(|_| {
        format!("{text:?} is no address: give 127.0.0.1:7000, [::1]:7000, or a port of 127.0.0.1")
    })
}

fn local(port: u16) -> SocketAddr {
    SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), port)
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::Parser;

    #[derive(Parser)]
    struct Alone {
        #[command(flatten)]
        serve: ServeArguments,
    }

    fn parse(words: &[&str]) -> Result<ServeOptions, clap::Error> {
        let words = ["serve"].iter().chain(words);
        Alone::try_parse_from(words).map(|alone| options(&alone.serve))
    }

    #[test]
    fn an_address_may_be_a_port_or_left_out() {
        let options = parse(&["--tcp", "7001", "--udp", "--h2", "[::1]:9"]).unwrap();
        assert_eq!(options.tcp, Some(local(7001)));
        assert_eq!(options.udp, Some(local(0)));
        assert_eq!(options.http, None);
        assert_eq!(options.h2, Some("[::1]:9".parse().unwrap()));
        assert_eq!(parse(&[]).unwrap().tcp, Some(local(7000)));
        assert_eq!(parse(&["--http"]).unwrap().tcp, None);
    }

    #[test]
    fn what_makes_no_sense_is_refused_before_anything_is_opened() {
        for bad in [
            &["--tcp", "localhost"][..],
            &["--tcp", "70000"],
            &["--form", "slab"],
            &["--window", "0"],
            &["--cpus", "first"],
            &["--max-connections", "0"],
            &["--allocator", "all"],
        ] {
            assert!(parse(bad).is_err(), "{bad:?} was accepted");
        }
    }

    #[test]
    fn the_summary_tells_what_went_wrong_only_where_something_did() {
        let mut outcome = ServeOutcome::default();
        outcome.counts.orders = 12;
        assert_eq!(summary(&outcome).lines().count(), 2);
        outcome.turned_away = 3;
        assert!(summary(&outcome).contains("3 connections turned away"));
    }
}
