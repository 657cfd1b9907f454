use std::collections::VecDeque;
use std::io::{self, Read, Write};

use proptest::collection::vec;
use proptest::prelude::*;
use tungstenite::Message;
use tungstenite::handshake::derive_accept_key;
use tungstenite::protocol::frame::{CloseFrame, Frame};

use super::*;
use crate::network::codecs::play::{Played, cuts, play};
use crate::network::target::Transport;

fn target() -> NetworkTarget {
    NetworkTarget {
        transport: Transport::WebSocket,
        tls: false,
        host: "server".to_owned(),
        port: 80,
        path: "/chat".to_owned(),
    }
}

fn session(body: Option<&[u8]>) -> WebSocket {
    let options = RequestOptions {
        body: body.map(<[u8]>::to_vec),
        ..RequestOptions::default()
    };
    WebSocketMaker::new(&target(), &options).unwrap().make()
}

/// A server's reply to the handshake of `session`, with `more` headers.
fn agreement(session: &WebSocket, more: &str) -> Vec<u8> {
    let accept = derive_accept_key(session.key.as_bytes());
    format!(
        "HTTP/1.1 101 Switching Protocols\r\nupgrade: WebSocket\r\nconnection: keep-alive, upgrade\r\n\
         Sec-WebSocket-Accept: {accept}\r\n{more}\r\n"
    )
    .into_bytes()
}

/// What an open connection with `requests` under way makes of `frames`, which begin in the same read as the
/// end of the handshake if nothing is cut.
fn answers_to(requests: u64, frames: &[u8], cuts: &[usize]) -> Played {
    let mut session = session(None);
    let stream = [agreement(&session, ""), frames.to_vec()].concat();
    session.open(&mut Vec::new());
    for number in 0..requests {
        session.send(number, &mut Vec::new());
    }
    let played = play(&mut session, &stream, cuts);
    played.assert_ordered();
    played
}

fn bytes(frames: impl IntoIterator<Item = Frame>) -> Vec<u8> {
    let mut bytes = Vec::new();
    for frame in frames {
        frame.format(&mut bytes).unwrap();
    }
    bytes
}

fn data(kind: Data, payload: &[u8], is_final: bool) -> Frame {
    Frame::message(payload.to_vec(), OpCode::Data(kind), is_final)
}

fn text(payload: &[u8]) -> Frame {
    data(Data::Text, payload, true)
}

fn ok(ticket: Ticket) -> Event {
    Event::Reply(ticket, Answer::Ok)
}

/// The other end, in memory.
#[derive(Debug, Default)]
struct Wire {
    to_server: VecDeque<u8>,
    from_server: Vec<u8>,
}

impl Read for Wire {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        if self.to_server.is_empty() {
            return Err(io::ErrorKind::WouldBlock.into());
        }
        self.to_server.read(into)
    }
}

impl Write for Wire {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.from_server.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// A session and a server of `tungstenite`, agreed.
fn connected(body: Option<&[u8]>) -> (WebSocket, tungstenite::WebSocket<Wire>) {
    let mut session = session(body);
    let mut wire = Wire::default();
    let mut greeting = Vec::new();
    session.open(&mut greeting);
    assert!(!session.ready());
    wire.to_server.extend(greeting);
    let mut server = tungstenite::accept(wire).unwrap();
    let reply = std::mem::take(&mut server.get_mut().from_server);
    let used = session.receive(&reply, &mut Vec::new(), &mut Vec::new());
    assert_eq!(used, Ok(reply.len()));
    assert!(session.ready());
    (session, server)
}

#[test]
fn an_echo_server_of_another_make_reads_each_request_and_answers_it() {
    let (mut session, mut server) = connected(Some(b"order {n}"));
    for number in [0, 7, 12_345] {
        let mut out = Vec::new();
        session.send(number, &mut out);
        server.get_mut().to_server.extend(out);
        let message = server.read().unwrap();
        assert_eq!(message, Message::text(format!("order {number}")));
        server.send(message).unwrap();
    }
    let mut events = Vec::new();
    let replies = std::mem::take(&mut server.get_mut().from_server);
    assert_eq!(
        session.receive(&replies, &mut Vec::new(), &mut events),
        Ok(replies.len())
    );
    assert_eq!(events, [ok(0), ok(1), ok(2)]);
}

#[test]
fn pings_are_answered_by_a_pong_with_their_payload_and_close_by_its_code() {
    let (mut session, mut server) = connected(None);
    server
        .send(Message::Ping(b"are you there".to_vec().into()))
        .unwrap();
    let close = CloseFrame {
        code: 1001.into(),
        reason: "maintenance".into(),
    };
    server.close(Some(close)).unwrap();
    let from_server = std::mem::take(&mut server.get_mut().from_server);
    let (ping, close) = from_server.split_at(2 + 13);
    let (mut out, mut events) = (Vec::new(), Vec::new());
    session.receive(ping, &mut out, &mut events).unwrap();
    session.receive(close, &mut out, &mut events).unwrap();
    assert_eq!(events, [Event::Closing]);
    assert!(!session.ready());
    server.get_mut().to_server.extend(out);
    assert_eq!(
        server.read().unwrap(),
        Message::Pong(b"are you there".to_vec().into())
    );
    let Message::Close(Some(answer)) = server.read().unwrap() else {
        panic!("no close frame");
    };
    assert_eq!(u16::from(answer.code), 1001);
    assert_eq!(
        session.receive(b"\xff behind it", &mut Vec::new(), &mut events),
        Ok(11)
    );
    assert_eq!(session.end(b"", &mut events), Ok(()));
}

#[test]
fn a_message_in_fragments_with_control_frames_between_them_is_one_reply() {
    let frames = [
        data(Data::Binary, b"first", false),
        Frame::ping(b"p".to_vec()),
        data(Data::Continue, b"", false),
        Frame::pong(b"".to_vec()),
        data(Data::Continue, b"last", true),
        text(b""),
    ];
    let played = answers_to(2, &bytes(frames), &[]);
    assert_eq!((played.events, played.ended), (vec![ok(0), ok(1)], Ok(())));
}

#[test]
fn many_pings_at_once_are_answered_once_and_not_at_all_while_the_peer_reads_nothing() {
    let pings: Vec<Frame> = (0..1000).map(|_| Frame::ping(vec![b'x'; 125])).collect();
    let stream = bytes(pings);
    assert!(answers_to(0, &stream, &[]).out.len() < 200);
    let (mut session, _) = connected(None);
    let mut out = vec![0; 1 << 20];
    session.receive(&stream, &mut out, &mut Vec::new()).unwrap();
    assert_eq!(out.len(), 1 << 20);
}

#[test]
fn a_handshake_that_is_refused_or_proves_nothing_ends_the_connection() {
    let refused = |make: &dyn Fn(&WebSocket) -> Vec<u8>| {
        let mut session = session(None);
        let stream = make(&session);
        let error = play(&mut session, &stream, &[]).ended.unwrap_err();
        assert!(!session.ready());
        error
    };
    let error = refused(&|_| b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n".to_vec());
    assert_eq!(error.kind, "handshake refused");
    assert!(error.detail.contains("404"), "{error}");
    let error = refused(&|session| {
        let right = String::from_utf8(agreement(session, "")).unwrap();
        right.replace("Accept: ", "Accept: x").into_bytes()
    });
    assert!(error.detail.contains("prove"), "{error}");
    let error = refused(&|session| {
        let right = String::from_utf8(agreement(session, "")).unwrap();
        right.replace("WebSocket\r\n", "h2c\r\n").into_bytes()
    });
    assert!(error.detail.contains("not WebSocket"), "{error}");
    let deflate = "Sec-WebSocket-Extensions: permessage-deflate\r\n";
    let error = refused(&|session| agreement(session, deflate));
    assert!(error.detail.contains("extension"), "{error}");
    assert_eq!(refused(&|_| b"HTTP/1.1 101".to_vec()).kind, "closed early");
    assert_eq!(refused(&|_| vec![b'x'; 100_000]).kind, "bad reply");
}

#[test]
fn headers_of_the_handshake_cannot_be_given_others_are_sent() {
    let with = |name: &str| RequestOptions {
        headers: vec![(name.to_owned(), "x".to_owned())],
        ..RequestOptions::default()
    };
    for name in [
        "sec-websocket-key",
        "Upgrade",
        "Connection",
        "Sec-WebSocket-Extensions",
    ] {
        assert!(
            WebSocketMaker::new(&target(), &with(name)).is_err(),
            "{name}"
        );
    }
    let mut out = Vec::new();
    WebSocketMaker::new(&target(), &with("Origin"))
        .unwrap()
        .make()
        .open(&mut out);
    let greeting = String::from_utf8(out).unwrap();
    assert!(
        greeting.starts_with("GET /chat HTTP/1.1\r\nHost: server\r\n"),
        "{greeting}"
    );
    assert!(greeting.contains("\r\nOrigin: x\r\n"), "{greeting}");
}

#[test]
fn each_connection_has_a_key_of_its_own() {
    assert_ne!(session(None).key, session(None).key);
}

#[test]
fn frames_that_the_protocol_forbids_are_refused() {
    let changed = |at: usize, with: u8| {
        let mut frame = bytes([text(b"abcdef")]);
        frame[at] |= with;
        frame
    };
    let forbidden = [
        changed(0, 0x40),
        changed(0, 0x02),
        changed(1, 0x80),
        bytes([data(Data::Continue, b"x", true)]),
        bytes([data(Data::Text, b"x", false), text(b"y")]),
        vec![0x09, 0x00],
        vec![0x89, 126, 0, 126],
        vec![0x82, 127, 0x80, 0, 0, 0, 0, 0, 0, 0],
    ];
    for frames in forbidden {
        let played = answers_to(1, &frames, &[]);
        assert_eq!(played.ended.unwrap_err().kind, "bad reply", "{frames:?}");
    }
}

#[test]
fn a_message_that_nobody_asked_for_is_an_error() {
    for frames in [
        vec![text(b"welcome")],
        vec![data(Data::Text, b"wel", false)],
    ] {
        let played = answers_to(0, &bytes(frames), &[]);
        assert_eq!(played.ended.unwrap_err().kind, "unasked reply");
    }
}

#[test]
fn a_message_cut_short_is_told_from_a_connection_closed_between_messages() {
    let frames = bytes([
        data(Data::Text, b"ab", false),
        data(Data::Continue, b"c", true),
    ]);
    assert_eq!(answers_to(2, &frames, &[]).ended, Ok(()));
    for length in 1..frames.len() {
        let error = answers_to(2, &frames[..length], &[]).ended.unwrap_err();
        assert_eq!(error.kind, "closed early", "{length}");
    }
}

/// Frames of whole messages, with control frames between them, and how many messages.
fn frames() -> impl Strategy<Value = (Vec<u8>, u64)> {
    let payload = || vec(any::<u8>(), 0..200);
    let control = prop_oneof![
        2 => Just(Vec::new()),
        1 => vec(any::<u8>(), 0..126).prop_map(|bytes| vec![Frame::ping(bytes)]),
        1 => Just(vec![Frame::pong(Vec::new())]),
    ];
    let message = vec((payload(), control), 1..4).prop_map(|parts| {
        let last = parts.len() - 1;
        let mut frames = Vec::new();
        for (at, (payload, control)) in parts.into_iter().enumerate() {
            let kind = if at == 0 {
                Data::Binary
            } else {
                Data::Continue
            };
            frames.push(data(kind, &payload, at == last));
            frames.extend(control);
        }
        frames
    });
    vec(message, 1..6).prop_map(|messages| {
        let count = messages.len() as u64;
        (bytes(messages.into_iter().flatten()), count)
    })
}

proptest! {
    #[test]
    fn a_server_of_another_make_reads_a_message_of_any_length(
        mut body in prop_oneof![vec(any::<u8>(), 0..300), vec(any::<u8>(), 65_500..65_600)],
        before in 0..9_usize,
    ) {
        // So that no number is put into it.
        body.iter_mut().filter(|byte| **byte == b'{').for_each(|byte| *byte = b'(');
        let (mut session, mut server) = connected(Some(&body));
        let mut out = vec![b'x'; before];
        session.send(0, &mut out);
        prop_assert_eq!(&out[..before], &vec![b'x'; before][..]);
        server.get_mut().to_server.extend(&out[before..]);
        prop_assert_eq!(server.read().unwrap().into_data(), body);
    }

    #[test]
    fn a_valid_stream_gives_its_replies_wherever_it_is_cut((stream, count) in frames(), cuts in cuts()) {
        let expected = (0..count).map(ok).collect();
        let played = answers_to(count, &stream, &cuts);
        prop_assert_eq!(played.essence(), (expected, false));
        prop_assert!(played.kept < 300);
    }

    #[test]
    fn changed_bytes_never_panic_and_mean_the_same_wherever_they_are_cut(
        (stream, _) in frames(),
        changes in vec((any::<prop::sample::Index>(), any::<u8>()), 0..6),
        cuts in cuts(),
    ) {
        let mut stream = stream;
        for (at, byte) in changes {
            let at = at.index(stream.len());
            stream[at] = byte;
        }
        let whole = answers_to(20, &stream, &[]);
        prop_assert_eq!(whole.essence(), answers_to(20, &stream, &cuts).essence());
    }

    #[test]
    fn arbitrary_bytes_never_panic(stream in vec(any::<u8>(), 0..300), cuts in cuts()) {
        let whole = answers_to(3, &stream, &[]);
        prop_assert_eq!(whole.essence(), answers_to(3, &stream, &cuts).essence());
        let mut fresh = session(None);
        play(&mut fresh, &stream, &cuts);
    }
}
