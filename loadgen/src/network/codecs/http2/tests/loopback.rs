//! Sessions over sockets, against hyper's server.

use std::convert::Infallible;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpListener;

use super::*;

/// A runtime with a server of the test; both end with it.
pub(in crate::network::codecs) struct Loopback {
    pub(in crate::network::codecs) address: SocketAddr,
    _runtime: tokio::runtime::Runtime,
}

impl Loopback {
    /// Gives every connection that is made to `serve`.
    pub(in crate::network::codecs) fn new<F, S>(serve: S) -> Self
    where
        S: Fn(tokio::net::TcpStream) -> F + Send + 'static,
        F: Future<Output = ()> + Send + 'static,
    {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .unwrap();
        let listener = runtime
            .block_on(TcpListener::bind(("127.0.0.1", 0)))
            .unwrap();
        let address = listener.local_addr().unwrap();
        runtime.spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(serve(stream));
            }
        });
        Self {
            address,
            _runtime: runtime,
        }
    }
}

/// Sends `requests` and returns their answers by ticket.
pub(in crate::network::codecs) fn answers(
    address: SocketAddr,
    session: &mut Http2,
    requests: u64,
) -> Vec<Answer> {
    let mut stream = TcpStream::connect(address).unwrap();
    stream
        .set_read_timeout(Some(Duration::from_secs(20)))
        .unwrap();
    let (mut out, mut events) = (Vec::new(), Vec::new());
    let mut answers = vec![None; usize::try_from(requests).unwrap()];
    let (mut sent, mut answered) = (0, 0);
    session.open(&mut out);
    let mut chunk = [0; 10_000];
    while answered < requests {
        while sent < requests && sent - answered < 50 && session.ready() {
            session.send(sent, &mut out);
            sent += 1;
        }
        session.seal(&mut out);
        stream.write_all(&out).unwrap();
        out.clear();
        let length = stream.read(&mut chunk).unwrap();
        assert!(length > 0, "closed after {answered} answers");
        session
            .receive(&chunk[..length], &mut out, &mut events)
            .unwrap();
        for event in events.drain(..) {
            if let Event::Reply(ticket, answer) = event {
                let place = &mut answers[usize::try_from(ticket).unwrap()];
                assert_eq!(place.replace(answer), None, "answered twice");
                answered += 1;
            }
        }
    }
    answers.into_iter().flatten().collect()
}

/// Echoes bodies; `/missing` is missing.
async fn echo(request: http::Request<Incoming>) -> Result<Response<Full<Bytes>>, Infallible> {
    let missing = request.uri().path() == "/missing";
    let body = request.into_body().collect().await;
    let mut response = Response::new(Full::new(body.unwrap().to_bytes()));
    if missing {
        *response.status_mut() = http::StatusCode::NOT_FOUND;
    }
    Ok(response)
}

pub(in crate::network::codecs) async fn serve_echo(stream: impl AsyncRead + AsyncWrite + Unpin) {
    let _ = hyper::server::conn::http2::Builder::new(TokioExecutor::new())
        .max_concurrent_streams(20)
        .serve_connection(TokioIo::new(stream), service_fn(echo))
        .await;
}

#[test]
fn a_real_server_answers_thousands_of_requests_on_one_connection() {
    let server = Loopback::new(serve_echo);
    let mut session = session(&RequestOptions::default());
    let answers = answers(server.address, &mut session, 3000);
    assert_eq!(answers, vec![Answer::Ok; 3000]);
}

#[test]
fn a_real_server_echoes_bodies_larger_than_its_windows() {
    let server = Loopback::new(serve_echo);
    let mut session = session(&with_body(3 << 20));
    let answers = answers(server.address, &mut session, 5);
    assert_eq!(answers, vec![Answer::Ok; 5]);
}

#[test]
fn a_page_that_a_real_server_does_not_have_is_a_failure() {
    let server = Loopback::new(serve_echo);
    let mut target = target();
    target.path = "/missing".to_owned();
    let maker = Http2Maker::new(&target, &RequestOptions::default()).unwrap();
    let answers = answers(server.address, &mut maker.make(), 3);
    assert_eq!(answers, vec![Answer::Failed("status 404".into()); 3]);
}
