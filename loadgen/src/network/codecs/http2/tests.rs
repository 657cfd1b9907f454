//! Sessions against an `h2` server in memory, and against frames made by hand.

mod frames;
pub(in crate::network::codecs) mod loopback;
mod options;
mod server;

use h2::Reason;
use http::{HeaderMap, HeaderValue, Response};
use proptest::prelude::*;

use self::frames::{DATA, GO_AWAY, HEADERS, RST_STREAM, SETTINGS, frame};
use self::server::Server;
use super::*;
use crate::network::target::{NetworkTarget, Transport};

fn target() -> NetworkTarget {
    NetworkTarget {
        transport: Transport::Http2,
        tls: false,
        host: "shop.example".to_owned(),
        port: 8080,
        path: "/orders?x=1".to_owned(),
    }
}

fn session(request: &RequestOptions) -> Http2 {
    Http2Maker::new(&target(), request).unwrap().make()
}

fn with_body(bytes: usize) -> RequestOptions {
    RequestOptions {
        body: Some(vec![b'x'; bytes]),
        ..RequestOptions::default()
    }
}

/// A session that has its server's settings.
fn connected(request: &RequestOptions, server: &mut Server) -> Http2 {
    let mut session = session(request);
    let mut out = Vec::new();
    session.open(&mut out);
    assert_eq!(talk(&mut session, server, out).unwrap(), []);
    assert!(session.ready());
    session
}

/// Carries bytes to and fro until both sides are silent.
fn talk(
    session: &mut Http2,
    server: &mut Server,
    out: Vec<u8>,
) -> Result<Vec<Event>, SessionError> {
    let mut events = Vec::new();
    let mut to_server = out;
    loop {
        let to_client = server.turn(&to_server);
        to_server.clear();
        if to_client.is_empty() {
            return Ok(events);
        }
        let used = session.receive(&to_client, &mut to_server, &mut events)?;
        assert_eq!(used, to_client.len());
    }
}

fn send(session: &mut Http2, out: &mut Vec<u8>) {
    assert!(session.ready());
    session.send(0, out);
    session.seal(out);
}

fn status(code: u16) -> Response<()> {
    Response::builder().status(code).body(()).unwrap()
}

fn ok(ticket: Ticket) -> Event {
    Event::Reply(ticket, Answer::Ok)
}

fn failed(ticket: Ticket, kind: &'static str) -> Event {
    Event::Reply(ticket, Answer::Failed(kind.into()))
}

/// A session in the middle of `requests` requests, connected to frames made by hand.
fn under_way(requests: usize) -> Http2 {
    let mut session = session(&RequestOptions::default());
    let (mut out, mut events) = (Vec::new(), Vec::new());
    session.open(&mut out);
    session
        .receive(&frame(SETTINGS, 0, 0, &[]), &mut out, &mut events)
        .unwrap();
    for _ in 0..requests {
        send(&mut session, &mut out);
    }
    assert_eq!(events, []);
    session
}

fn receive(session: &mut Http2, input: &[u8]) -> Result<Vec<Event>, SessionError> {
    let mut events = Vec::new();
    session.receive(input, &mut Vec::new(), &mut events)?;
    Ok(events)
}

#[test]
fn answers_come_in_any_order_and_say_whose_they_are() {
    let mut server = Server::new(|builder| builder);
    let mut session = connected(&RequestOptions::default(), &mut server);
    let mut out = Vec::new();
    for _ in 0..3 {
        send(&mut session, &mut out);
    }
    assert_eq!(talk(&mut session, &mut server, out).unwrap(), []);
    assert_eq!(server.requests.len(), 3);
    for expected in [2, 0, 1] {
        server.answer(expected, status(200), true);
        let events = talk(&mut session, &mut server, Vec::new()).unwrap();
        assert_eq!(events, [ok(expected as Ticket)]);
    }
}

#[test]
fn no_request_is_sent_before_the_server_has_said_how_many_it_takes() {
    let mut session = session(&RequestOptions::default());
    assert!(!session.ready());
    let mut out = Vec::new();
    session.open(&mut out);
    assert!(out.starts_with(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"));
    assert!(!session.ready());
    receive(&mut session, &frame(SETTINGS, 0, 0, &[])).unwrap();
    assert!(session.ready());
}

#[test]
fn no_more_requests_are_under_way_than_the_server_allows() {
    let mut server = Server::new(|builder| builder.max_concurrent_streams(2));
    let mut session = connected(&RequestOptions::default(), &mut server);
    let mut out = Vec::new();
    send(&mut session, &mut out);
    send(&mut session, &mut out);
    assert!(!session.ready());
    talk(&mut session, &mut server, out).unwrap();
    assert!(!session.ready());
    server.answer(1, status(200), true);
    let events = talk(&mut session, &mut server, Vec::new()).unwrap();
    assert_eq!(events, [ok(1)]);
    assert!(session.ready());
    let mut out = Vec::new();
    send(&mut session, &mut out);
    assert!(!session.ready());
    talk(&mut session, &mut server, out).unwrap();
    assert_eq!(server.requests.len(), 3);
}

#[test]
fn a_large_body_waits_for_the_servers_windows() {
    let length = 1 << 20;
    let mut server = Server::new(|builder| builder);
    let mut session = connected(&with_body(length), &mut server);
    let mut out = Vec::new();
    send(&mut session, &mut out);
    assert!(out.len() < 70_000, "{} bytes at once", out.len());
    assert_eq!(talk(&mut session, &mut server, out).unwrap(), []);
    assert_eq!(server.requests[0].received, length);
    assert!(server.requests[0].whole);
    server.answer(0, status(200), true);
    let events = talk(&mut session, &mut server, Vec::new()).unwrap();
    assert_eq!(events, [ok(0)]);
}

#[test]
fn a_large_answer_is_thrown_away_as_it_comes() {
    let mut server = Server::new(|builder| builder);
    let mut session = connected(&RequestOptions::default(), &mut server);
    let mut out = Vec::new();
    send(&mut session, &mut out);
    talk(&mut session, &mut server, out).unwrap();
    server.answer(0, status(200), false);
    // Larger than the window of a stream, so it needs our updates.
    server.data(0, vec![0; 9 << 20], true);
    let events = talk(&mut session, &mut server, Vec::new()).unwrap();
    assert_eq!(events, [Event::FirstByte(0), ok(0)]);
}

#[test]
fn the_first_byte_of_an_answer_is_told_when_the_rest_is_late() {
    let mut server = Server::new(|builder| builder);
    let mut session = connected(&RequestOptions::default(), &mut server);
    let mut out = Vec::new();
    send(&mut session, &mut out);
    talk(&mut session, &mut server, out).unwrap();
    server.answer(0, status(200), false);
    let events = talk(&mut session, &mut server, Vec::new()).unwrap();
    assert_eq!(events, [Event::FirstByte(0)]);
    server.data(0, vec![1, 2, 3], false);
    assert_eq!(talk(&mut session, &mut server, Vec::new()).unwrap(), []);
    server.trailers(
        0,
        HeaderMap::from_iter([("checksum".parse().unwrap(), HeaderValue::from_static("7"))]),
    );
    let events = talk(&mut session, &mut server, Vec::new()).unwrap();
    assert_eq!(events, [ok(0)]);
}

#[test]
fn a_status_of_400_or_more_is_a_failure_named_by_it() {
    let mut server = Server::new(|builder| builder);
    let mut session = connected(&RequestOptions::default(), &mut server);
    let expected = [
        (503, failed(0, "status 503")),
        (418, failed(1, "status 418")),
        (302, ok(2)),
    ];
    for (ticket, (code, event)) in expected.into_iter().enumerate() {
        let mut out = Vec::new();
        send(&mut session, &mut out);
        talk(&mut session, &mut server, out).unwrap();
        server.answer(ticket, status(code), true);
        let events = talk(&mut session, &mut server, Vec::new()).unwrap();
        assert_eq!(events, [event]);
    }
}

#[test]
fn a_stream_that_is_reset_fails_alone() {
    let mut server = Server::new(|builder| builder);
    let mut session = connected(&RequestOptions::default(), &mut server);
    let mut out = Vec::new();
    send(&mut session, &mut out);
    send(&mut session, &mut out);
    talk(&mut session, &mut server, out).unwrap();
    server.reset(0, Reason::REFUSED_STREAM);
    server.answer(1, status(200), true);
    let mut events = talk(&mut session, &mut server, Vec::new()).unwrap();
    events.sort_by_key(|event| *event == ok(1));
    assert_eq!(events, [failed(0, "stream reset REFUSED_STREAM"), ok(1)]);
    assert!(session.ready());
}

#[test]
fn an_answer_before_the_request_was_read_counts_and_ends_the_request() {
    let mut server = Server::new(|builder| builder);
    server.reads = false;
    let mut session = connected(&with_body(1 << 20), &mut server);
    let mut out = Vec::new();
    send(&mut session, &mut out);
    talk(&mut session, &mut server, out).unwrap();
    server.answer(0, status(413), true);
    let mut answer = server.turn(&[]);
    server.reset(0, Reason::NO_ERROR);
    answer.extend(server.turn(&[]));
    let events = receive(&mut session, &answer).unwrap();
    assert_eq!(events, [failed(0, "status 413")]);
    let mut out = Vec::new();
    send(&mut session, &mut out);
    talk(&mut session, &mut server, out).unwrap();
    assert_eq!(server.requests.len(), 2);
}

#[test]
fn a_request_given_up_is_cancelled_and_its_late_answer_ignored() {
    let mut server = Server::new(|builder| builder.max_concurrent_streams(1));
    let mut session = connected(&RequestOptions::default(), &mut server);
    let mut out = Vec::new();
    send(&mut session, &mut out);
    talk(&mut session, &mut server, out).unwrap();
    server.answer(0, status(200), true);
    let late = server.turn(&[]);
    let mut out = Vec::new();
    assert!(session.abandon(0, &mut out));
    assert_eq!(out, frame(RST_STREAM, 0, 1, &[0, 0, 0, 8]));
    send(&mut session, &mut out);
    assert_eq!(receive(&mut session, &late).unwrap(), []);
    talk(&mut session, &mut server, out).unwrap();
    server.answer(1, status(200), true);
    let events = talk(&mut session, &mut server, Vec::new()).unwrap();
    assert_eq!(events, [ok(1)]);
}

#[test]
fn after_a_go_away_what_was_begun_is_answered_and_the_rest_fails() {
    let mut session = under_way(3);
    // The second request (stream 3) is the last that the server has begun with.
    let mut input = frame(GO_AWAY, 0, 0, &[0, 0, 0, 3, 0, 0, 0, 0]);
    let events = receive(&mut session, &input).unwrap();
    assert_eq!(events, [failed(2, "go away"), Event::Closing]);
    assert!(!session.ready());
    input = frame(HEADERS, 5, 3, &[0x88]);
    assert_eq!(receive(&mut session, &input).unwrap(), [ok(1)]);
    input = frame(HEADERS, 5, 1, &[0x88]);
    assert_eq!(receive(&mut session, &input).unwrap(), [ok(0)]);
    assert_eq!(session.end(&[], &mut Vec::new()), Ok(()));
}

#[test]
fn a_go_away_while_nothing_is_under_way_only_closes() {
    let mut session = under_way(0);
    let input = frame(GO_AWAY, 0, 0, &[0, 0, 0, 0, 0, 0, 0, 11]);
    assert_eq!(receive(&mut session, &input).unwrap(), [Event::Closing]);
    assert!(!session.ready());
    // A request all the same is not lost without a word.
    session.send(0, &mut Vec::new());
    let mut events = Vec::new();
    assert_eq!(session.end(&[], &mut events), Ok(()));
    assert_eq!(events, [failed(0, "not sent")]);
}

#[test]
fn a_connection_closed_in_the_middle_is_an_error_and_one_closed_between_requests_is_none() {
    let mut session = under_way(2);
    let input = frame(HEADERS, 5, 1, &[0x88]);
    assert_eq!(receive(&mut session, &input).unwrap(), [ok(0)]);
    let mut events = Vec::new();
    let error = session.end(&[], &mut events).unwrap_err();
    assert_eq!((error.kind, events.as_slice()), ("closed early", &[][..]));
    assert!(error.detail.contains("1 request"), "{error}");

    let mut session = under_way(1);
    receive(&mut session, &input).unwrap();
    assert_eq!(session.end(&[], &mut Vec::new()), Ok(()));
}

#[test]
fn other_protocols_are_told_by_name() {
    let cases: [(&[u8], &str); 3] = [
        (b"HTTP/1.1 400 Bad Request\r\n\r\n", "HTTP/1.1"),
        (&[0x15, 3, 1, 0, 2, 2, 22], "TLS"),
        (b"* OK IMAP4rev1 server ready\r\n", "not HTTP/2"),
    ];
    for (input, name) in cases {
        let mut session = session(&RequestOptions::default());
        session.open(&mut Vec::new());
        let mut result = Ok(Vec::new());
        for byte in input {
            result = result.and_then(|_| receive(&mut session, &[*byte]));
        }
        let error = result.unwrap_err();
        assert_eq!(error.kind, "bad reply");
        assert!(error.detail.contains(name), "{error}");
    }
}

#[test]
fn a_malformed_answer_fails_alone() {
    let mut session = under_way(2);
    // Headers without a status.
    let mut input = frame(HEADERS, 5, 1, &[]);
    assert_eq!(
        receive(&mut session, &input).unwrap(),
        [failed(0, "bad reply")]
    );
    input = frame(HEADERS, 5, 3, &[0x88]);
    assert_eq!(receive(&mut session, &input).unwrap(), [ok(1)]);
}

#[test]
fn a_flood_of_continued_headers_is_refused() {
    let mut session = under_way(1);
    receive(&mut session, &frame(HEADERS, 0, 1, &[0x88])).unwrap();
    // A header whose name is a static one, and whose value is 100 bytes long.
    let mut header = vec![0x0f, 0x00, 100];
    header.extend([b'a'; 100]);
    let continuation = frame(frames::CONTINUATION, 0, 1, &header);
    let refused = (0..100_000).find_map(|_| receive(&mut session, &continuation).err());
    assert_eq!(refused.unwrap().kind, "bad reply");
}

proptest! {
    #[test]
    fn how_bytes_are_split_changes_nothing(cuts in prop::collection::vec(1_usize..40, 1..200)) {
        let mut input = Vec::new();
        input.extend(frame(HEADERS, 4, 3, &[0x88]));
        input.extend(frame(HEADERS, 5, 1, &[0x8d]));
        input.extend(frame(DATA, 0, 3, &[7; 300]));
        input.extend(frame(RST_STREAM, 0, 5, &[0, 0, 0, 8]));
        input.extend(frame(DATA, 1, 3, b"end"));
        input.extend(frame(GO_AWAY, 0, 0, &[0, 0, 0, 7, 0, 0, 0, 0]));
        input.extend(frame(HEADERS, 5, 7, &[0x88]));
        let mut session = under_way(5);
        let mut events = Vec::new();
        let mut rest = input.as_slice();
        for cut in cuts.iter().cycle() {
            let (now, later) = rest.split_at((*cut).min(rest.len()));
            events.extend(receive(&mut session, now).unwrap());
            rest = later;
            if rest.is_empty() {
                break;
            }
        }
        prop_assert!(events.contains(&Event::Closing));
        events.retain(|event| matches!(event, Event::Reply(..)));
        // What comes at the same time has no order.
        events.sort_by_key(|event| replies(std::slice::from_ref(event)));
        prop_assert_eq!(events, [
            failed(0, "status 404"),
            ok(1),
            failed(2, "stream reset CANCEL"),
            ok(3),
            failed(4, "go away"),
        ]);
    }

    #[test]
    fn whatever_comes_nothing_panics_grows_or_is_answered_twice(
        pieces in prop::collection::vec(frames::any(), 1..60),
        cut in 1_usize..5000,
        body in prop::option::of(0_usize..200_000),
        abandon in prop::option::of(0_u64..4),
    ) {
        let request = body.map_or_else(RequestOptions::default, with_body);
        let mut session = session(&request);
        let (mut out, mut events) = (Vec::new(), Vec::new());
        session.open(&mut out);
        let mut given = frame(SETTINGS, 0, 0, &[]);
        let _ = session.receive(&given, &mut out, &mut events);
        let mut sent = 0;
        'all: for piece in &pieces {
            for chunk in piece.chunks(cut) {
                while session.ready() && sent < 4 + replies(&events).len() as u64 {
                    session.send(sent, &mut out);
                    sent += 1;
                }
                session.seal(&mut out);
                given.extend_from_slice(chunk);
                if session.receive(chunk, &mut out, &mut events).is_err() {
                    break 'all;
                }
            }
            if let Some(ticket) = abandon
                && !replies(&events).contains(&ticket)
            {
                prop_assert!(session.abandon(ticket, &mut out));
                events.push(ok(ticket));
            }
        }
        let _ = session.end(&[], &mut events);
        let mut answered = replies(&events);
        let count = answered.len();
        answered.sort_unstable();
        answered.dedup();
        prop_assert_eq!(answered.len(), count, "answered twice: {:?}", events);
        prop_assert!(answered.iter().all(|ticket| *ticket < sent || Some(*ticket) == abandon));
        prop_assert!(events.iter().filter(|event| **event == Event::Closing).count() <= 1);
        // A frame of 9 bytes is answered by no more than 17; beside that there are only our own requests.
        let requests = usize::try_from(sent).unwrap() * (200 + 2 * body.unwrap_or(0));
        prop_assert!(
            out.len() <= 1000 + 2 * given.len() + requests,
            "{} bytes out for {} in and {} requests", out.len(), given.len(), sent
        );
    }
}

fn replies(events: &[Event]) -> Vec<Ticket> {
    let replies = events.iter().filter_map(|event| match event {
        Event::Reply(ticket, _) => Some(*ticket),
        _ => None,
    });
    replies.collect()
}
