//! A service that Prometheus watches: its pools at `/metrics`; one allocator call in a thousand is
//! timed, and allocations are sampled by bytes, for a tracer.
//!
//! An order desk. Clerks take orders, each with a session, of which there is one less than there are
//! clerks, so that they wait; an order is kept until others have come, so that four fifths of them are
//! always in use, more than the three quarters where back-pressure should begin; a reply is written.
//! Each second a ledger of 64 MiB is made on the heap and dropped, which gives its pages back to the
//! system: a pause of some milliseconds. So the rules and dashboards in `examples/monitoring` have
//! something to show.
//!
//! ```text
//! cargo run --release -p tailcut-examples --example monitored              # 127.0.0.1:9185
//! sudo tailcut serve -n monitored --series default,malloc,slow-paths      # 127.0.0.1:9184
//! ```

use std::alloc::System;
use std::collections::VecDeque;
use std::io::{self, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::Result;
use tailcut_pool::export::{PROMETHEUS_CONTENT_TYPE, Snapshot, prometheus_text};
use tailcut_pool::meter::{ByteSampled, DEFAULT_MEAN_BYTES, DEFAULT_ONE_IN, Metered, Timed};
use tailcut_pool::{AsIs, ByTrait, Grow, Pool, Wait};

#[global_allocator]
static ALLOCATOR: Metered<Timed<System>, ByteSampled> =
    Metered::sampling(Timed::new(System, DEFAULT_ONE_IN), DEFAULT_MEAN_BYTES);

const CLERKS: usize = 4;
const ORDERS: usize = 100;
/// Orders that a clerk keeps: all clerks together four fifths of the pool.
const KEPT: usize = ORDERS * 4 / 5 / CLERKS;
const ORDER_TAKES: Duration = Duration::from_millis(1);
const LEDGER_EVERY: Duration = Duration::from_secs(1);
const LEDGER_BYTES: usize = 64 << 20;
const REPLIES_AT_ONCE: usize = 300;
const REQUEST_BYTES: usize = 8 * 1024;
const PATIENCE: Duration = Duration::from_secs(5);

/// The pools, each with another policy for the time when all is in use.
struct Desk {
    sessions: Pool<[u8; 1024], AsIs, Wait>,
    orders: Pool<Vec<u32>>,
    replies: Pool<String, ByTrait, Grow>,
}

impl Desk {
    fn new() -> Result<Self> {
        let sessions = Pool::builder(|| [0; 1024]).keep_as_is();
        let orders = Pool::builder(|| Vec::with_capacity(8)).capacity(ORDERS);
        let replies = Pool::builder(|| String::with_capacity(64)).capacity(100);
        Ok(Desk {
            sessions: sessions.capacity(CLERKS - 1).wait().build()?,
            orders: orders.sample_lifetimes(1).build()?,
            replies: replies.grow_to(2 * REPLIES_AT_ONCE).build()?,
        })
    }

    /// Takes orders until `over`.
    fn clerk(&self, over: &AtomicBool) {
        let mut kept = VecDeque::with_capacity(KEPT);
        while !over.load(Relaxed) {
            let _session = self.sessions.get();
            if let Ok(mut order) = self.orders.get() {
                order.extend(0..8);
                kept.push_back(order);
            }
            if kept.len() > KEPT {
                kept.pop_front();
            }
            if let Ok(mut reply) = self.replies.get() {
                // What a service does before it is cured: a string of its own for each reply.
                reply.push_str(&format!("{} orders are open", kept.len()));
            }
            thread::sleep(ORDER_TAKES);
        }
    }

    /// Makes a ledger each second, and answers all at once.
    fn settle(&self, over: &AtomicBool) {
        let mut due = Instant::now();
        while !over.load(Relaxed) {
            let replies = (0..REPLIES_AT_ONCE).map_while(|_| self.replies.get().ok());
            let replies: Vec<_> = replies.collect();
            let ledger = vec![1_u8; LEDGER_BYTES];
            std::hint::black_box(&ledger);
            drop((replies, ledger));
            due += LEDGER_EVERY;
            thread::sleep(due.saturating_duration_since(Instant::now()));
        }
    }

    /// All pools' figures.
    fn metrics(&self) -> String {
        let pools = [
            Snapshot::of("sessions", &self.sessions),
            Snapshot::of("orders", &self.orders),
            Snapshot::of("replies", &self.replies),
        ];
        let mut text = String::new();
        prometheus_text(&pools, &mut text).expect("a string takes everything");
        text
    }

    /// Answers one connection, whatever it asks for, once its request has ended.
    fn answer(&self, mut stream: TcpStream) -> io::Result<()> {
        stream.set_read_timeout(Some(PATIENCE))?;
        stream.set_write_timeout(Some(PATIENCE))?;
        let mut request = [0; REQUEST_BYTES];
        let mut length = 0;
        while !request[..length].ends_with(b"\r\n\r\n") {
            match stream.read(&mut request[length..])? {
                0 => return Ok(()),
                more => length += more,
            }
        }
        let (status, kind, body) = if request.starts_with(b"GET /metrics ") {
            ("200 OK", PROMETHEUS_CONTENT_TYPE, self.metrics())
        } else {
            let help = "the figures are at /metrics\n".to_owned();
            ("404 Not Found", "text/plain", help)
        };
        let length = body.len();
        write!(
            stream,
            "HTTP/1.1 {status}\r\nContent-Type: {kind}\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n{body}"
        )
    }
}

/// Works and answers until `over`, which is looked at after each connection.
fn run(listener: &TcpListener, over: &AtomicBool) -> Result<()> {
    let desk = Desk::new()?;
    thread::scope(|scope| {
        for _ in 0..CLERKS {
            scope.spawn(|| desk.clerk(over));
        }
        scope.spawn(|| desk.settle(over));
        for stream in listener.incoming() {
            if over.load(Relaxed) {
                break;
            }
            if let Err(error) = stream.and_then(|stream| desk.answer(stream)) {
                eprintln!("a scrape failed: {error}");
            }
        }
    });
    Ok(())
}

fn main() -> Result<()> {
    let address = std::env::args().nth(1);
    let listener = TcpListener::bind(address.as_deref().unwrap_or("127.0.0.1:9185"))?;
    println!("metrics at http://{}/metrics", listener.local_addr()?);
    run(&listener, &AtomicBool::new(false))
}

#[cfg(test)]
mod tests {
    use std::net::SocketAddr;

    use super::*;

    /// Ends the service, also when an assertion fails.
    struct End<'a>(&'a AtomicBool, SocketAddr);

    impl Drop for End<'_> {
        fn drop(&mut self) {
            self.0.store(true, Relaxed);
            // It looks after each connection.
            drop(TcpStream::connect(self.1));
        }
    }

    fn in_use(scrape: &str) -> Option<usize> {
        let series = "tailcut_pool_in_use{pool=\"orders\"} ";
        let value = scrape.lines().find_map(|line| line.strip_prefix(series));
        value?.parse().ok()
    }

    fn get(address: SocketAddr, path: &str) -> String {
        let mut stream = TcpStream::connect(address).unwrap();
        write!(stream, "GET {path} HTTP/1.1\r\nHost: desk\r\n\r\n").unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        answer
    }

    #[test]
    fn a_scrape_tells_that_four_fifths_of_the_orders_are_in_use() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let over = AtomicBool::new(false);
        let scrape = thread::scope(|scope| {
            scope.spawn(|| run(&listener, &over).unwrap());
            let _end = End(&over, address);
            let begin = Instant::now();
            loop {
                let text = get(address, "/metrics");
                if in_use(&text) >= Some(KEPT * CLERKS) || begin.elapsed() > 4 * PATIENCE {
                    break text;
                }
                thread::sleep(Duration::from_millis(10));
            }
        });
        assert!(in_use(&scrape) >= Some(KEPT * CLERKS), "{scrape}");
        assert!(scrape.contains("tailcut_pool_lifetime_seconds_bucket{pool=\"orders\""));
    }
}
