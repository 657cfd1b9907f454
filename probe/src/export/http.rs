//! The HTTP server: three pages, few connections, no patience.
//!
//! hyper on one thread. (tiny_http would be smaller, but has neither limits on headers nor on slow
//! clients, and its last release is of 2022; axum adds routing for three paths.) A connection serves
//! one request and lasts at most 10 s; at most 16 are open, further ones wait in the kernel. Headers
//! are limited to 16 KiB; bodies of requests are not read. So memory stays within 16 answers, of
//! about 100 kB each, whatever clients do.

use std::convert::Infallible;
use std::io;
use std::net::TcpListener;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use http_body_util::Full;
use hyper::body::{Bytes, Incoming};
use hyper::header::{ACCEPT, ALLOW, CACHE_CONTROL, CONTENT_TYPE, HeaderValue};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::sync::Semaphore;

use super::families::families;
use super::negotiation::{Format, negotiate};
use super::text::Dialect;
use super::totals::Totals;
use super::{protobuf, text};
use crate::stop::Stop;

const CONNECTIONS: usize = 16;
const CONNECTION_LASTS: Duration = Duration::from_secs(10);
const HEADERS_TAKE: Duration = Duration::from_secs(5);
/// The least that hyper allows is 8 KiB.
const HEADER_BYTES: usize = 16 * 1024;
const HEADERS: usize = 64;
/// How often to look whether to end.
const PATIENCE: Duration = Duration::from_millis(100);

const HELP: &str = "tailcut serve: /metrics (Prometheus text, OpenMetrics, protobuf with native histograms), /healthz\n";

/// Serves until `stop` is set.
pub(crate) fn run(
    listener: TcpListener,
    totals: &Arc<Mutex<Totals>>,
    stop: &Stop,
) -> io::Result<()> {
    listener.set_nonblocking(true)?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_io()
        .enable_time()
        .build()?;
    let result = runtime.block_on(accept(listener, totals, stop));
    // Answers under way are not waited for.
    runtime.shutdown_background();
    result
}

async fn accept(listener: TcpListener, totals: &Arc<Mutex<Totals>>, stop: &Stop) -> io::Result<()> {
    let listener = tokio::net::TcpListener::from_std(listener)?;
    let places = Arc::new(Semaphore::new(CONNECTIONS));
    while !stop.is_set() {
        // A place first: who cannot be served is not accepted.
        let place = Arc::clone(&places).acquire_owned();
        let Ok(Ok(place)) = tokio::time::timeout(PATIENCE, place).await else {
            continue;
        };
        let Ok(accepted) = tokio::time::timeout(PATIENCE, listener.accept()).await else {
            continue;
        };
        let Ok((stream, _)) = accepted else {
            // A client that left again, or no file descriptors: neither is worth more than a pause.
            tokio::time::sleep(PATIENCE).await;
            continue;
        };
        let totals = Arc::clone(totals);
        tokio::spawn(async move {
            let service = service_fn(move |request| {
                let answer = answer(&request, &totals);
                async move { Ok::<_, Infallible>(answer) }
            });
            let connection = http1::Builder::new()
                .timer(TokioTimer::new())
                .header_read_timeout(HEADERS_TAKE)
                .max_buf_size(HEADER_BYTES)
                .max_headers(HEADERS)
                .keep_alive(false)
                .serve_connection(TokioIo::new(stream), service);
            // A client's errors are its own.
            let _ = tokio::time::timeout(CONNECTION_LASTS, connection).await;
            drop(place);
        });
    }
    Ok(())
}

fn answer(request: &Request<Incoming>, totals: &Mutex<Totals>) -> Response<Full<Bytes>> {
    // hyper leaves out the body of an answer to HEAD.
    if !matches!(*request.method(), Method::GET | Method::HEAD) {
        let mut answer = plain(StatusCode::METHOD_NOT_ALLOWED, "only GET is served\n");
        let allowed = HeaderValue::from_static("GET, HEAD");
        answer.headers_mut().insert(ALLOW, allowed);
        return answer;
    }
    match request.uri().path() {
        "/metrics" => {
            let accept = request.headers().get_all(ACCEPT);
            let accept: Vec<&str> = accept
                .iter()
                .filter_map(|value| value.to_str().ok())
                .collect();
            metrics(negotiate(&accept.join(",")), totals)
        }
        "/healthz" => plain(StatusCode::OK, "ok\n"),
        "/" => plain(StatusCode::OK, HELP),
        _ => plain(StatusCode::NOT_FOUND, HELP),
    }
}

fn metrics(format: Format, totals: &Mutex<Totals>) -> Response<Full<Bytes>> {
    // Sums are sums, even if a thread died between two of them.
    let totals = totals.lock().unwrap_or_else(PoisonError::into_inner);
    let process = totals
        .targets
        .last()
        .map_or(String::new(), |target| target.now.process.to_string());
    let families = families(&totals, &process);
    let body = match format {
        Format::Text => text::encode(&families, Dialect::Prometheus).into_bytes(),
        Format::OpenMetrics => text::encode(&families, Dialect::OpenMetrics).into_bytes(),
        Format::Protobuf => protobuf::encode(&families),
    };
    respond(StatusCode::OK, format.content_type(), body.into())
}

fn plain(status: StatusCode, text: &'static str) -> Response<Full<Bytes>> {
    let body = Bytes::from_static(text.as_bytes());
    respond(status, "text/plain; charset=utf-8", body)
}

fn respond(status: StatusCode, kind: &'static str, body: Bytes) -> Response<Full<Bytes>> {
    let mut answer = Response::new(Full::new(body));
    *answer.status_mut() = status;
    let headers = answer.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(kind));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    answer
}
