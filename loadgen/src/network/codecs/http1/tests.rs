use proptest::collection::vec;
use proptest::prelude::*;

use super::*;
use crate::network::codecs::play::{Played, cuts, play};
use crate::network::target::Transport;

fn target(path: &str) -> NetworkTarget {
    NetworkTarget {
        transport: Transport::Http1,
        tls: false,
        host: "server".to_owned(),
        port: 8080,
        path: path.to_owned(),
    }
}

fn session(options: &RequestOptions) -> Http1 {
    Http1Maker::new(&target("/"), options).unwrap().make()
}

fn with_method(method: &str) -> RequestOptions {
    RequestOptions {
        method: Some(method.to_owned()),
        ..RequestOptions::default()
    }
}

/// What `target` and `options` make of request `number`.
fn request(target: &NetworkTarget, options: &RequestOptions, number: u64) -> String {
    let mut out = Vec::new();
    Http1Maker::new(target, options)
        .unwrap()
        .make()
        .send(number, &mut out);
    String::from_utf8(out).unwrap()
}

fn refusal(target: &NetworkTarget, options: &RequestOptions) -> String {
    Http1Maker::new(target, options).unwrap_err().to_string()
}

/// What a session with `requests` under way makes of `stream`, cut at `cuts`.
fn answers_to(method: &str, requests: u64, stream: &[u8], cuts: &[usize]) -> Played {
    let mut session = session(&with_method(method));
    let mut out = Vec::new();
    for number in 0..requests {
        session.send(number, &mut out);
    }
    let played = play(&mut session, stream, cuts);
    played.assert_ordered();
    played
}

fn answers(requests: u64, stream: &str) -> Played {
    answers_to("GET", requests, stream.as_bytes(), &[])
}

fn ok(ticket: Ticket) -> Event {
    Event::Reply(ticket, Answer::Ok)
}

fn failed(ticket: Ticket, kind: &'static str) -> Event {
    Event::Reply(ticket, Answer::Failed(kind.into()))
}

#[test]
fn a_request_names_its_host_and_who_sends_it() {
    assert_eq!(
        request(&target("/items?id=1"), &RequestOptions::default(), 0),
        concat!(
            "GET /items?id=1 HTTP/1.1\r\nHost: server:8080\r\nUser-Agent: tailcut/",
            env!("CARGO_PKG_VERSION"),
            "\r\n\r\n"
        )
    );
}

#[test]
fn the_host_is_without_port_where_it_is_the_usual_one_and_in_brackets_where_it_has_colons() {
    let mut target = target("/");
    (target.host, target.port) = ("::1".to_owned(), 80);
    assert!(request(&target, &RequestOptions::default(), 0).contains("\r\nHost: [::1]\r\n"));
    target.tls = true;
    assert!(request(&target, &RequestOptions::default(), 0).contains("\r\nHost: [::1]:80\r\n"));
    target.port = 443;
    assert!(request(&target, &RequestOptions::default(), 0).contains("\r\nHost: [::1]\r\n"));
}

#[test]
fn the_number_of_a_request_stands_in_path_headers_and_body_whose_length_follows_it() {
    let options = RequestOptions {
        headers: vec![
            ("Host".to_owned(), "example.com".to_owned()),
            ("X-Request-Id".to_owned(), "r{n}".to_owned()),
        ],
        body: Some(br#"{"order": {n}}"#.to_vec()),
        ..RequestOptions::default()
    };
    let text = request(&target("/orders/{n}"), &options, 1234);
    assert!(text.starts_with("POST /orders/1234 HTTP/1.1\r\n"), "{text}");
    assert!(
        text.contains("\r\nHost: example.com\r\n") && !text.contains("server"),
        "{text}"
    );
    assert!(text.contains("\r\nX-Request-Id: r1234\r\n"), "{text}");
    assert!(
        text.ends_with("\r\nContent-Length: 15\r\n\r\n{\"order\": 1234}"),
        "{text}"
    );
    // As a URL holds it, which may have no braces in its path.
    assert!(request(&target("/%7Bn%7D"), &options, 8).starts_with("POST /8 HTTP/1.1\r\n"));
}

#[test]
fn an_empty_post_says_that_it_is_empty() {
    let text = request(&target("/"), &with_method("POST"), 0);
    assert!(text.ends_with("\r\nContent-Length: 0\r\n\r\n"), "{text}");
}

#[test]
fn what_cannot_be_sent_is_refused_with_the_reason() {
    let header = |name: &str, value: &str| RequestOptions {
        headers: vec![(name.to_owned(), value.to_owned())],
        ..RequestOptions::default()
    };
    let at = target("/");
    assert!(refusal(&at, &with_method("GE T")).contains("no HTTP method"));
    assert!(refusal(&at, &with_method("connect")).contains("tunnel"));
    assert!(refusal(&at, &header("X: y\r\nZ", "1")).contains("no name of a header"));
    assert!(refusal(&at, &header("X", "1\r\nContent-Length: 9")).contains("line break"));
    assert!(refusal(&at, &header("content-length", "9")).contains("follows from the body"));
    assert!(refusal(&at, &header("Transfer-Encoding", "chunked")).contains("cannot be given"));
    assert!(refusal(&target("items"), &RequestOptions::default()).contains("begins with /"));
    assert!(refusal(&target("/a b"), &RequestOptions::default()).contains("%XX"));
    let redis = RequestOptions {
        command: vec!["PING".to_owned()],
        ..RequestOptions::default()
    };
    assert!(refusal(&at, &redis).contains("Redis command"));
}

#[test]
fn replies_are_answered_in_order_however_they_end() {
    let stream = "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello\
        HTTP/1.1 204 No Content\r\nContent-Length: 7\r\n\r\n\
        HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, Chunked\r\n\r\n\
        6;name=\"x\"\r\nchunks\r\n00A\r\n0123456789\r\n0\r\nExpires: never\r\n\r\n\
        HTTP/1.1 100 Continue\r\n\r\n\
        HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n\
        HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\n\r\n\
        HTTP/1.1 304 Not Modified\r\nTransfer-Encoding: chunked\r\n\r\n\
        HTTP/1.1 404 Not Found\nContent-Length: 2, 2\nContent-Length: 2\n\n--\
        HTTP/1.1 302 Found\r\nLocation: /\r\n\r\nuntil the end";
    let played = answers(7, stream);
    assert_eq!(played.ended, Ok(()));
    assert_eq!(
        played.essence().0,
        [
            ok(0),
            ok(1),
            ok(2),
            failed(3, "status 503"),
            ok(4),
            failed(5, "status 404"),
            Event::Closing,
            ok(6),
        ]
    );
}

#[test]
fn replies_to_head_have_no_body_whatever_they_announce() {
    let stream = "HTTP/1.1 200 OK\r\nContent-Length: 500\r\n\r\n".repeat(3);
    let played = answers_to("HEAD", 3, stream.as_bytes(), &[]);
    assert_eq!(
        (played.events, played.ended),
        (vec![ok(0), ok(1), ok(2)], Ok(()))
    );
}

#[test]
fn a_connection_that_the_server_will_close_takes_no_more_requests_before_the_reply_is_told() {
    for head in [
        "HTTP/1.1 200 OK\r\nConnection: x, Close\r\nContent-Length: 2\r\n\r\n",
        "HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\n",
        "HTTP/1.0 200 OK\r\nConnection: keep-alive\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    ] {
        let mut session = session(&RequestOptions::default());
        let (mut out, mut events) = (Vec::new(), Vec::new());
        session.send(0, &mut out);
        session.send(1, &mut out);
        assert!(session.ready());
        let stream = format!("{head}okwhat comes behind it is nobody's");
        let used = session.receive(stream.as_bytes(), &mut out, &mut events);
        assert_eq!(used, Ok(stream.len()), "{head}");
        assert_eq!(events, [Event::Closing, ok(0)], "{head}");
        assert!(!session.ready());
        assert_eq!(session.end(b"", &mut events), Ok(()));
    }
    let kept = "HTTP/1.0 200 OK\r\nConnection: keep-alive\r\nContent-Length: 2\r\n\r\nok";
    assert_eq!(answers(1, kept).events, [ok(0)]);
}

#[test]
fn the_first_byte_is_told_when_the_rest_is_late_and_left_out_when_all_comes_at_once() {
    let reply = b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nabc";
    assert_eq!(answers_to("GET", 1, reply, &[]).events, [ok(0)]);
    for cut in 1..reply.len() {
        let twice = [&reply[..], reply].concat();
        let events = answers_to("GET", 2, &twice, &[cut]).events;
        assert_eq!(events, [Event::FirstByte(0), ok(0), ok(1)], "cut at {cut}");
        let events = answers_to("GET", 2, &twice, &[reply.len() + cut]).events;
        assert_eq!(events, [ok(0), Event::FirstByte(1), ok(1)], "cut at {cut}");
    }
}

#[test]
fn a_head_like_the_last_one_but_for_a_byte_means_what_it_says() {
    let stream = "HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nabc\
        HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nabc\
        HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nabcd\
        HTTP/1.1 500 OK\r\nContent-Length: 4\r\n\r\nabcd\
        HTTP/1.1 500 OK\r\nContent-Length: 4\r\n\r\nabcd\
        HTTP/1.1 200 OK\r\nContent-Length: 4\r\nX: y\r\n\r\nabcd";
    let kinds = "status 500";
    assert_eq!(
        answers(6, stream).events,
        [
            ok(0),
            ok(1),
            ok(2),
            failed(3, kinds),
            failed(4, kinds),
            ok(5)
        ]
    );
}

#[test]
fn bytes_that_nobody_asked_for_are_an_error_that_shows_them() {
    let error = answers(0, "HTTP/1.1 408 Request Time-out\r\n\r\n")
        .ended
        .unwrap_err();
    assert_eq!(error.kind, "unasked reply");
    assert!(error.detail.contains("408 Request"), "{error}");
    let reply = "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n";
    let played = answers(1, &reply.repeat(2));
    assert_eq!(played.events, [ok(0)]);
    assert_eq!(played.ended.unwrap_err().kind, "unasked reply");
}

#[test]
fn what_is_no_http_is_refused() {
    let with = |head: &str, body: &str| format!("HTTP/1.1 200 OK\r\n{head}\r\n\r\n{body}");
    let garbage = [
        "SSH-2.0-OpenSSH_9.2\r\n".to_owned(),
        "HTTP/2 200\r\n\r\n".to_owned(),
        "HTTP/1.1 099 Low\r\n\r\n".to_owned(),
        "HTTP/1.1 101 Switching Protocols\r\nUpgrade: h2c\r\n\r\n".to_owned(),
        with("Content-Length: -1", ""),
        with("Content-Length: +1", ""),
        with("Content-Length:", ""),
        with("Content-Length: 1, 2", ""),
        with("Content-Length: 1\r\nContent-Length: 2", ""),
        with("Content-Length: 18446744073709551616", ""),
        with("Content-Length 1", ""),
        with("Transfer-Encoding: chunked", "\r\n"),
        with("Transfer-Encoding: chunked", "g\r\n"),
        with("Transfer-Encoding: chunked", "10000000000000000\r\n"),
        with("Transfer-Encoding: chunked", "1\r\nab\r\n"),
    ];
    for stream in garbage {
        let played = answers(1, &stream);
        assert_eq!(played.ended.unwrap_err().kind, "bad reply", "{stream}");
        assert!(
            played.events.iter().all(|event| *event != ok(0)),
            "{stream}"
        );
    }
}

#[test]
fn a_reply_that_never_ends_is_given_up_before_it_fills_the_memory() {
    let endless = [
        ("HTTP/1.1 200 OK\r\n".to_owned(), "X: y\r\n", 64 * 1024),
        ("HTTP/1.1 200 OK\r\nX: ".to_owned(), "y", 64 * 1024),
        (
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1;".to_owned(),
            "y",
            8 * 1024,
        ),
        (
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\nX: ".to_owned(),
            "y",
            8 * 1024,
        ),
        (
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n".to_owned(),
            "X: y\r\n",
            8 * 1024,
        ),
    ];
    for (begin, again, most) in endless {
        let stream = begin.clone() + &again.repeat(200_000 / again.len());
        let cuts: Vec<usize> = (0..stream.len()).step_by(1000).collect();
        let played = answers_to("GET", 1, stream.as_bytes(), &cuts);
        assert_eq!(played.ended.unwrap_err().kind, "bad reply", "{begin}");
        assert!(played.kept <= most + 1000, "{begin}: {} kept", played.kept);
    }
}

#[test]
fn a_reply_cut_short_is_told_from_a_connection_closed_between_replies() {
    let whole = "HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nabc";
    let chunks = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n";
    for reply in [whole, chunks] {
        assert_eq!(answers(2, reply).ended, Ok(()));
        for length in 1..reply.len() {
            let played = answers(2, &reply[..length]);
            assert_eq!(played.ended.unwrap_err().kind, "closed early", "{length}");
            assert_eq!(played.events, [Event::FirstByte(0)], "{length}");
        }
    }
}

/// A reply as servers write them, what comes of it, and whether the connection goes on behind it.
fn reply() -> impl Strategy<Value = (Vec<u8>, u16, bool)> {
    let status = prop_oneof![Just(200_u16), 200_u16..600];
    let body = vec(any::<u8>(), 0..300);
    let interim = prop_oneof![3 => Just(""), 1 => Just("HTTP/1.1 100 Continue\r\n\r\n")];
    (status, body, interim, 0..5_u8, any::<bool>()).prop_map(
        |(status, body, interim, form, more)| {
            let mut bytes =
                format!("{interim}HTTP/1.1 {status} Reason\r\nServer: test\r\n").into_bytes();
            if matches!(status, 204 | 304) {
                bytes.extend_from_slice(b"Content-Length: 17\r\n\r\n");
                return (bytes, status, true);
            }
            let keeps = match form {
                0..=2 => {
                    if more {
                        bytes.extend_from_slice(b"Date: Thu, 01 Jan 1970 00:00:00 GMT\r\n");
                    }
                    bytes.extend_from_slice(
                        format!("Content-Length: {}\r\n\r\n", body.len()).as_bytes(),
                    );
                    bytes.extend_from_slice(&body);
                    true
                }
                3 => {
                    bytes.extend_from_slice(b"Transfer-Encoding: chunked\r\n\r\n");
                    for chunk in body.chunks(40) {
                        bytes.extend_from_slice(format!("{:x}\r\n", chunk.len()).as_bytes());
                        bytes.extend_from_slice(chunk);
                        bytes.extend_from_slice(b"\r\n");
                    }
                    let trailer = if more { "ETag: x\r\n" } else { "" };
                    bytes.extend_from_slice(format!("0\r\n{trailer}\r\n").as_bytes());
                    true
                }
                _ => {
                    bytes.extend_from_slice(b"\r\n");
                    bytes.extend_from_slice(&body);
                    false
                }
            };
            (bytes, status, keeps)
        },
    )
}

proptest! {
    #[test]
    fn a_valid_stream_gives_its_replies_wherever_it_is_cut(
        replies in vec(reply(), 1..8),
        cuts in cuts(),
    ) {
        let mut stream = Vec::new();
        let mut expected = Vec::new();
        for (ticket, (bytes, status, keeps)) in replies.iter().enumerate() {
            stream.extend_from_slice(bytes);
            if !keeps {
                expected.push(Event::Closing);
            }
            expected.push(Event::Reply(ticket as u64, of_status(*status)));
            if !keeps {
                break;
            }
        }
        let played = answers_to("GET", replies.len() as u64, &stream, &cuts);
        prop_assert_eq!(played.essence(), (expected, false));
    }

    #[test]
    fn changed_bytes_never_panic_and_mean_the_same_wherever_they_are_cut(
        replies in vec(reply(), 1..6),
        changes in vec((any::<prop::sample::Index>(), any::<u8>()), 0..6),
        cuts in cuts(),
    ) {
        let mut stream: Vec<u8> = replies.into_iter().flat_map(|(bytes, ..)| bytes).collect();
        for (at, byte) in changes {
            let at = at.index(stream.len());
            stream[at] = byte;
        }
        let whole = answers_to("GET", 20, &stream, &[]);
        let cut = answers_to("GET", 20, &stream, &cuts);
        prop_assert_eq!(whole.essence(), cut.essence());
    }

    #[test]
    fn arbitrary_bytes_never_panic(bytes in vec(any::<u8>(), 0..400), cuts in cuts()) {
        for begin in ["", "HTTP/1.1 200 OK\r\n", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"] {
            let stream = [begin.as_bytes(), &bytes].concat();
            let whole = answers_to("GET", 3, &stream, &[]);
            prop_assert_eq!(whole.essence(), answers_to("GET", 3, &stream, &cuts).essence());
        }
    }
}
