//! An `h2` server in memory, driven by hand as the session is; the test says what it answers, and when.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, Waker};

use bytes::Bytes;
use h2::server::{Builder, Connection, SendResponse};
use h2::{Reason, RecvStream, SendStream};
use http::{HeaderMap, Request, Response};

use super::super::pipe::Pipe;

type Handshake = Pin<Box<dyn Future<Output = Result<Connection<Pipe, Bytes>, h2::Error>>>>;

pub(super) struct Server {
    pipe: Pipe,
    handshake: Option<Handshake>,
    connection: Option<Connection<Pipe, Bytes>>,
    /// Whether it takes in requests' bodies.
    pub(super) reads: bool,
    pub(super) requests: Vec<Received>,
}

/// A request that has come.
pub(super) struct Received {
    pub(super) head: http::request::Parts,
    body: RecvStream,
    pub(super) received: usize,
    pub(super) whole: bool,
    response: SendResponse<Bytes>,
    stream: Option<SendStream<Bytes>>,
}

impl Server {
    pub(super) fn new(configure: impl Fn(&mut Builder) -> &mut Builder) -> Self {
        let pipe = Pipe::default();
        let mut builder = Builder::new();
        configure(&mut builder);
        let handshake = Box::pin(builder.handshake(pipe.clone()));
        Self {
            pipe,
            handshake: Some(handshake),
            connection: None,
            reads: true,
            requests: Vec::new(),
        }
    }

    /// Takes in bytes; returns what is to be sent.
    pub(super) fn turn(&mut self, input: &[u8]) -> Vec<u8> {
        let mut context = Context::from_waker(Waker::noop());
        let mut out = Vec::new();
        self.pipe.feed(input);
        self.pipe.exchange_output(&mut out);
        if let Some(handshake) = &mut self.handshake
            && let Poll::Ready(connection) = handshake.as_mut().poll(&mut context)
        {
            self.connection = Some(connection.unwrap());
            self.handshake = None;
        }
        // Twice: what reading bodies released is sent by the second.
        for _ in 0..2 {
            let Some(connection) = &mut self.connection else {
                continue;
            };
            while let Poll::Ready(Some(Ok((request, response)))) =
                connection.poll_accept(&mut context)
            {
                self.requests.push(Received::new(request, response));
            }
            if self.reads {
                for request in &mut self.requests {
                    request.read(&mut context);
                }
            }
        }
        self.pipe.exchange_output(&mut out);
        self.pipe.tidy();
        out
    }

    pub(super) fn answer(&mut self, request: usize, response: Response<()>, whole: bool) {
        let request = &mut self.requests[request];
        request.stream = Some(request.response.send_response(response, whole).unwrap());
    }

    pub(super) fn data(&mut self, request: usize, data: Vec<u8>, whole: bool) {
        let stream = self.requests[request].stream.as_mut().unwrap();
        stream.send_data(data.into(), whole).unwrap();
    }

    pub(super) fn trailers(&mut self, request: usize, trailers: HeaderMap) {
        let stream = self.requests[request].stream.as_mut().unwrap();
        stream.send_trailers(trailers).unwrap();
    }

    pub(super) fn reset(&mut self, request: usize, reason: Reason) {
        self.requests[request].response.send_reset(reason);
    }
}

impl Received {
    fn new(request: Request<RecvStream>, response: SendResponse<Bytes>) -> Self {
        let (head, body) = request.into_parts();
        Self {
            head,
            body,
            received: 0,
            whole: false,
            response,
            stream: None,
        }
    }

    fn read(&mut self, context: &mut Context<'_>) {
        while !self.whole {
            match self.body.poll_data(context) {
                Poll::Ready(Some(Ok(data))) => {
                    self.received += data.len();
                    self.body
                        .flow_control()
                        .release_capacity(data.len())
                        .unwrap();
                }
                Poll::Ready(_) => self.whole = true,
                Poll::Pending => return,
            }
        }
    }
}
