use proptest::collection::vec;
use proptest::prelude::*;

use super::*;
use crate::network::codecs::play::{Played, cuts, play};
use crate::network::session::Answer;

fn maker(command: &[&str]) -> Result<RedisMaker, NetworkError> {
    RedisMaker::new(&RequestOptions {
        command: command.iter().map(|&word| word.to_owned()).collect(),
        ..RequestOptions::default()
    })
}

fn answers_to(requests: u64, stream: &[u8], cuts: &[usize]) -> Played {
    let mut session = maker(&[]).unwrap().make();
    for number in 0..requests {
        session.send(number, &mut Vec::new());
    }
    let played = play(&mut session, stream, cuts);
    played.assert_ordered();
    played
}

fn ok(ticket: Ticket) -> Event {
    Event::Reply(ticket, Answer::Ok)
}

#[test]
fn a_command_is_an_array_of_strings_with_the_number_of_its_request() {
    let sent = |command: &[&str], number| {
        let mut out = Vec::new();
        maker(command).unwrap().make().send(number, &mut out);
        String::from_utf8(out).unwrap()
    };
    assert_eq!(
        sent(&[], 7),
        "*3\r\n$3\r\nSET\r\n$5\r\nkey:7\r\n$3\r\nxxx\r\n"
    );
    assert_eq!(
        sent(&[], 70),
        "*3\r\n$3\r\nSET\r\n$6\r\nkey:70\r\n$3\r\nxxx\r\n"
    );
    assert_eq!(
        sent(&["ECHO", "é\r\n"], 0),
        "*2\r\n$4\r\nECHO\r\n$4\r\né\r\n\r\n"
    );
}

#[test]
fn commands_that_do_not_answer_once_are_refused() {
    for command in [
        &["subscribe", "news"][..],
        &["MONITOR"],
        &["CLIENT", "REPLY", "OFF"],
        &[""],
    ] {
        assert!(maker(command).is_err(), "{command:?}");
    }
    let options = RequestOptions {
        body: Some(b"x".to_vec()),
        ..RequestOptions::default()
    };
    assert!(RedisMaker::new(&options).is_err());
}

#[test]
fn each_type_of_reply_is_one_answer() {
    let replies = [
        "+OK\r\n",
        ":-12\r\n",
        "$5\r\nhe\r\no\r\n",
        "$0\r\n\r\n",
        "$-1\r\n",
        "*-1\r\n",
        "*0\r\n",
        "*2\r\n$1\r\na\r\n*2\r\n:1\r\n-ERR inside\r\n",
        "*2\r\n*0\r\n*1\r\n*0\r\n",
        "_\r\n",
        ",3.25\r\n",
        "#t\r\n",
        "(3492890328409238509324850943850943825024385\r\n",
        "=15\r\ntxt:Some string\r\n",
        "%2\r\n+a\r\n:1\r\n+b\r\n%0\r\n",
        "~1\r\n+x\r\n",
        "|1\r\n+ttl\r\n:3600\r\n*1\r\n|1\r\n+x\r\n+y\r\n:5\r\n",
    ];
    let stream = replies.concat();
    let played = answers_to(replies.len() as u64, stream.as_bytes(), &[]);
    let expected: Vec<_> = (0..replies.len() as u64).map(ok).collect();
    assert_eq!((played.events, played.ended), (expected, Ok(())));
    for reply in replies {
        for length in 1..reply.len() {
            let cut = answers_to(1, &reply.as_bytes()[..length], &[]);
            assert_eq!(
                cut.ended.unwrap_err().kind,
                "closed early",
                "{reply:?} {length}"
            );
        }
    }
}

#[test]
fn errors_are_refusals_by_their_first_word() {
    let stream = "-ERR unknown command\r\n-WRONGTYPE Operation\r\n-LOADING\r\n!21\r\nNOPERM no permission.\r\n\
        -SOMETHING else\r\n-\r\n!3\r\nERR\r\n+OK\r\n";
    let kinds: Vec<_> = answers_to(8, stream.as_bytes(), &[])
        .events
        .into_iter()
        .map(|event| match event {
            Event::Reply(_, Answer::Failed(kind)) => kind,
            other => format!("{other:?}").into(),
        })
        .collect();
    assert_eq!(
        kinds,
        [
            "redis ERR",
            "redis WRONGTYPE",
            "redis LOADING",
            "redis NOPERM",
            "redis other error",
            "redis other error",
            "redis ERR",
            "Reply(7, Ok)",
        ]
    );
}

#[test]
fn push_messages_answer_nothing_even_before_any_request() {
    let push = ">2\r\n+invalidate\r\n*1\r\n|1\r\n+a\r\n+b\r\n$1\r\nk\r\n";
    assert_eq!(answers_to(0, push.as_bytes(), &[]).ended, Ok(()));
    let stream = format!("{push}+OK\r\n>0\r\n{push}:1\r\n");
    assert_eq!(answers_to(2, stream.as_bytes(), &[]).events, [ok(0), ok(1)]);
}

#[test]
fn what_a_full_server_says_to_a_new_connection_is_shown() {
    let error = answers_to(0, b"-ERR max number of clients reached\r\n", &[])
        .ended
        .unwrap_err();
    assert_eq!(error.kind, "unasked reply");
    assert!(error.detail.contains("max number of clients"), "{error}");
}

#[test]
fn bytes_of_another_protocol_are_refused() {
    let garbage = [
        "HTTP/1.1 400 Bad Request\r\n",
        "+OK\n",
        "\r\n",
        ":one\r\n",
        ":\r\n",
        "$-2\r\n",
        "$+1\r\n",
        "$18446744073709551615\r\n",
        "$3\r\nabcd\r\n",
        "*x\r\n",
        "%9223372036854775808\r\n",
        "|-1\r\n",
        "#x\r\n",
        "_x\r\n",
        "*1\r\n>1\r\n+x\r\n",
        "$?\r\n",
    ];
    for stream in garbage {
        let played = answers_to(1, stream.as_bytes(), &[]);
        assert_eq!(played.ended.unwrap_err().kind, "bad reply", "{stream:?}");
    }
}

#[test]
fn a_reply_is_nested_to_a_depth_and_no_deeper_and_its_lines_end() {
    let nested = |depth| "*1\r\n".repeat(depth) + "+OK\r\n";
    assert_eq!(answers_to(1, nested(32).as_bytes(), &[]).events, [ok(0)]);
    assert!(answers_to(1, nested(33).as_bytes(), &[]).ended.is_err());
    assert!(
        answers_to(1, nested(1_000_000).as_bytes(), &[])
            .ended
            .is_err()
    );
    let endless = "+".to_owned() + &"x".repeat(200_000);
    let cuts: Vec<usize> = (0..endless.len()).step_by(1000).collect();
    let played = answers_to(1, endless.as_bytes(), &cuts);
    assert_eq!(played.ended.unwrap_err().kind, "bad reply");
    assert!(played.kept < 70_000);
}

#[test]
fn a_large_string_is_not_kept() {
    let stream = [b"$1000000\r\n", &vec![b'\n'; 1_000_000][..], b"\r\n"].concat();
    let cuts: Vec<usize> = (0..stream.len()).step_by(5000).collect();
    let played = answers_to(1, &stream, &cuts);
    assert_eq!(played.events, [Event::FirstByte(0), ok(0)]);
    assert!(played.kept < 10, "{}", played.kept);
}

/// Any value, nested up to three deep.
fn value() -> impl Strategy<Value = Vec<u8>> {
    let string = |kind: &'static str| {
        vec(any::<u8>(), 0..40).prop_map(move |bytes| {
            [
                format!("{kind}{}\r\n", bytes.len()).as_bytes(),
                &bytes,
                b"\r\n",
            ]
            .concat()
        })
    };
    let leaf = prop_oneof![
        4 => Just(b"+OK\r\n".to_vec()),
        2 => any::<i64>().prop_map(|value| format!(":{value}\r\n").into_bytes()),
        1 => "-[A-Z]{1,8} [a-z ]{0,20}\r\n".prop_map(String::into_bytes),
        1 => Just(b"$-1\r\n".to_vec()),
        1 => Just(b"_\r\n".to_vec()),
        3 => string("$"),
        1 => string("!"),
    ];
    leaf.prop_recursive(3, 24, 5, |inner| {
        (vec(inner, 0..5), any::<bool>()).prop_map(|(values, pairs)| {
            let pairs = pairs && values.len() % 2 == 0;
            let (kind, count) = if pairs {
                ('%', values.len() / 2)
            } else {
                ('*', values.len())
            };
            [format!("{kind}{count}\r\n").into_bytes(), values.concat()].concat()
        })
    })
}

proptest! {
    #[test]
    fn a_valid_stream_gives_a_reply_for_each_value_wherever_it_is_cut(
        values in vec(value(), 1..8),
        cuts in cuts(),
    ) {
        let stream = values.concat();
        let requests = values.len() as u64;
        let whole = answers_to(requests, &stream, &[]);
        prop_assert_eq!(&whole.ended, &Ok(()));
        prop_assert_eq!(whole.events.len(), values.len());
        for (event, value) in whole.events.iter().zip(&values) {
            let is_error = matches!(value[0], b'-' | b'!');
            let is_failed = matches!(event, Event::Reply(_, Answer::Failed(_)));
            prop_assert_eq!(is_error, is_failed);
        }
        prop_assert_eq!(whole.essence(), answers_to(requests, &stream, &cuts).essence());
    }

    #[test]
    fn changed_bytes_never_panic_and_mean_the_same_wherever_they_are_cut(
        values in vec(value(), 1..8),
        changes in vec((any::<prop::sample::Index>(), any::<u8>()), 0..6),
        cuts in cuts(),
    ) {
        let mut stream = values.concat();
        for (at, byte) in changes {
            let at = at.index(stream.len());
            stream[at] = byte;
        }
        let whole = answers_to(20, &stream, &[]);
        prop_assert_eq!(whole.essence(), answers_to(20, &stream, &cuts).essence());
    }

    #[test]
    fn arbitrary_bytes_never_panic(
        stream in vec(prop_oneof![any::<u8>(), prop::sample::select(b"*$%|>+-!012\r\n".to_vec())], 0..300),
        cuts in cuts(),
    ) {
        let whole = answers_to(3, &stream, &[]);
        prop_assert_eq!(whole.essence(), answers_to(3, &stream, &cuts).essence());
    }
}
