//! HTTP/2 without TLS, by prior knowledge: an executor of its own on each worker's thread, and the `h2` crate
//! below it, which is also hyper's.
//!
//! hyper itself would want every request as a task that lives as long as the program; here a request borrows its
//! worker's order service, as everywhere else. A request without a body, or whose body came with its head, is
//! answered before the next one is looked at.
//!
//! What it costs: some allocations a request, an executor, a state machine for each stream, and compressed
//! heads: a target for HTTP/2 clients, not a record. Of bytes only those of bodies are counted.

use std::cell::RefCell;
use std::io;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use bytes::Bytes;
use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use h2::RecvStream;
use h2::server::{Builder, SendResponse};
use http::request::Parts;
use http::{HeaderValue, Method, Response, StatusCode, header};
use tokio::net::TcpStream;
use tokio::sync::mpsc::UnboundedReceiver;
use tokio::sync::watch;
use tokio::time::timeout;

use super::connection::LINGER;
use super::counts::Counts;
use super::handler::Handler;
use super::http::{Content, MOST_BODY, Reply, Route, TOO_LARGE};

/// Requests of one connection under way at the same time.
const MOST_STREAMS: u32 = 1_000;
/// The head of a request, uncompressed.
const MOST_HEAD: u32 = 8 << 10;
/// How long a client may take for its first words.
const GREETING: Duration = Duration::from_secs(10);

/// What all connections of a worker share.
struct Desk<H> {
    handler: H,
    counts: Counts,
}

/// Serves the connections that come until no more can, then lets those there are come to their end.
pub(super) fn run<H: Handler>(
    mut inbox: UnboundedReceiver<std::net::TcpStream>,
    handler: H,
    live: &AtomicU32,
) -> io::Result<(Counts, u64)> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_io()
        .enable_time()
        .build()?;
    let desk = RefCell::new(Desk {
        handler,
        counts: Counts::default(),
    });
    let (end, ends) = watch::channel(());
    runtime.block_on(async {
        let mut connections = FuturesUnordered::new();
        loop {
            tokio::select! {
                stream = inbox.recv() => {
                    let Some(stream) = stream else { break };
                    connections.push(attend(stream, &desk, ends.clone(), live));
                }
                Some(()) = connections.next() => {}
            }
        }
        // Everybody is told, and has a moment.
        drop(end);
        let all = async { while connections.next().await.is_some() {} };
        let _ = timeout(LINGER, all).await;
    });
    let Desk { handler, counts } = desk.into_inner();
    Ok((counts, handler.settled_windows()))
}

/// One connection from its beginning to its end.
async fn attend<H: Handler>(
    stream: std::net::TcpStream,
    desk: &RefCell<Desk<H>>,
    ends: watch::Receiver<()>,
    live: &AtomicU32,
) {
    desk.borrow_mut().counts.connections += 1;
    let end = match TcpStream::from_std(stream) {
        Ok(stream) => converse(stream, desk, ends).await,
        Err(_) => End::Lost,
    };
    let counts = &mut desk.borrow_mut().counts;
    match end {
        End::Closed => {}
        End::Lost => counts.lost += 1,
        End::Garbled => counts.garbled += 1,
    }
    live.fetch_sub(1, Ordering::Relaxed);
}

/// How a connection ended.
enum End {
    Closed,
    Lost,
    /// By bytes that are no HTTP/2.
    Garbled,
}

impl From<h2::Error> for End {
    fn from(error: h2::Error) -> End {
        if error.is_io() {
            End::Lost
        } else {
            End::Garbled
        }
    }
}

async fn converse<H: Handler>(
    stream: TcpStream,
    desk: &RefCell<Desk<H>>,
    mut ends: watch::Receiver<()>,
) -> End {
    let greeting = Builder::new()
        .max_concurrent_streams(MOST_STREAMS)
        .max_header_list_size(MOST_HEAD)
        .initial_connection_window_size(1 << 20)
        .handshake::<_, Bytes>(stream);
    let mut connection = match timeout(GREETING, greeting).await {
        Ok(Ok(connection)) => connection,
        Ok(Err(error)) => return error.into(),
        Err(_) => return End::Garbled,
    };
    let mut bodies = FuturesUnordered::new();
    let mut ending = false;
    loop {
        // Accepting drives everything else on the connection, too.
        tokio::select! {
            accepted = connection.accept() => {
                let (request, responder) = match accepted {
                    Some(Ok(accepted)) => accepted,
                    Some(Err(error)) => return error.into(),
                    None => return End::Closed,
                };
                let (head, body) = request.into_parts();
                if body.is_end_stream() {
                    answer(&head, &[], desk, responder);
                } else {
                    bodies.push(read_and_answer(head, body, desk, responder));
                }
            }
            Some(()) = bodies.next() => {}
            _ = ends.changed(), if !ending => {
                ending = true;
                connection.graceful_shutdown();
            }
        }
    }
}

/// Waits for a body, and answers. A stream that the client gives up is not answered.
async fn read_and_answer<H: Handler>(
    head: Parts,
    mut body: RecvStream,
    desk: &RefCell<Desk<H>>,
    responder: SendResponse<Bytes>,
) {
    let mut order = Vec::new();
    while let Some(chunk) = body.data().await {
        let Ok(chunk) = chunk else { return };
        let _ = body.flow_control().release_capacity(chunk.len());
        if order.len() + chunk.len() > MOST_BODY {
            desk.borrow_mut().counts.http_requests += 1;
            // The rest of the body is refused by a reset, as soon as `body` is dropped.
            return respond(&TOO_LARGE, false, desk, responder);
        }
        order.extend_from_slice(&chunk);
    }
    answer(&head, &order, desk, responder);
}

fn answer<H: Handler>(
    head: &Parts,
    body: &[u8],
    desk: &RefCell<Desk<H>>,
    responder: SendResponse<Bytes>,
) {
    let route = Route::find(head.method.as_str(), head.uri.path());
    let reply = {
        let Desk { handler, counts } = &mut *desk.borrow_mut();
        counts.bytes_in += body.len() as u64;
        Reply::to(route, body, handler, counts)
    };
    respond(&reply, head.method == Method::HEAD, desk, responder);
}

/// Sends an answer. A stream or connection that is no more is not told.
fn respond<H>(
    reply: &Reply,
    head_only: bool,
    desk: &RefCell<Desk<H>>,
    mut responder: SendResponse<Bytes>,
) {
    let bytes = match reply.content {
        Content::Answer(answer) => Bytes::copy_from_slice(&answer),
        Content::Text(text) => Bytes::from_static(text.as_bytes()),
    };
    let mut response = Response::new(());
    *response.status_mut() =
        StatusCode::from_u16(reply.status.0).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let headers = response.headers_mut();
    let media_type = HeaderValue::from_static(reply.content.media_type());
    headers.insert(header::CONTENT_TYPE, media_type);
    headers.insert(header::CONTENT_LENGTH, bytes.len().into());
    if let Some(allow) = reply.allow {
        headers.insert(header::ALLOW, HeaderValue::from_static(allow));
    }
    if let Ok(mut stream) = responder.send_response(response, head_only)
        && !head_only
    {
        desk.borrow_mut().counts.bytes_out += bytes.len() as u64;
        let _ = stream.send_data(bytes, true);
    }
}
