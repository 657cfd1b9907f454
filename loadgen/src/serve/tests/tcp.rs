//! Orders over TCP.

use super::*;
use crate::order::wire::MAX_ORDER;

#[test]
fn every_form_answers_each_order_with_its_id_and_in_order() {
    let corpus = Corpus::generate(3);
    for service in [
        Service::Noop,
        Service::Heap,
        Service::HeapPreshaped,
        Service::Pool,
    ] {
        let server = Server::start(service, |_| {});
        let mut client = server.tcp();
        for id in [7, u64::MAX, 0, 7] {
            client.write_all(&order(&corpus, id)).unwrap();
            assert_eq!(
                read_answer(&mut client),
                (id, Fate::Accepted),
                "{service:?}"
            );
        }
        assert_eq!(server.stop().counts.orders, 4);
    }
}

#[test]
fn a_pipelined_burst_larger_than_any_buffer_is_answered_completely_and_in_order() {
    const ORDERS: u64 = 60_000;
    let corpus = Corpus::generate(3);
    let server = Server::start(Service::Pool, |options| options.window = 7_000);
    let mut client = server.tcp();
    let mut writer = client.try_clone().unwrap();
    let sending = std::thread::spawn(move || {
        let burst: Vec<u8> = (0..ORDERS).flat_map(|id| order(&corpus, id)).collect();
        writer.write_all(&burst).unwrap();
        writer.shutdown(std::net::Shutdown::Write).unwrap();
        burst.len()
    });
    let mut refused = 0;
    for expected in 0..ORDERS {
        let (id, fate) = read_answer(&mut client);
        assert_eq!(id, expected);
        assert_ne!(fate, Fate::Malformed);
        refused += u64::from(fate == Fate::Refused);
    }
    assert_eq!(
        client.read(&mut [0]).unwrap(),
        0,
        "closed after the last answer"
    );
    let outcome = server.stop();
    assert_eq!(outcome.counts.bytes_in, sending.join().unwrap() as u64);
    assert_eq!(outcome.counts.orders, ORDERS);
    assert_eq!(outcome.counts.refused, refused);
    assert!((7..=8).contains(&outcome.settled_windows), "{outcome:?}");
}

#[test]
fn the_same_orders_are_accepted_and_refused_by_every_form() {
    let corpus = Corpus::generate(5);
    let fates = |service| {
        let server = Server::start(service, |_| {});
        let mut client = server.tcp();
        let mut fates = Vec::new();
        // One account orders until its limit is reached.
        for _ in 0..200 {
            client.write_all(&order(&corpus, 5)).unwrap();
            fates.push(read_answer(&mut client).1);
        }
        fates
    };
    let expected = fates(Service::Heap);
    assert!(expected.contains(&Fate::Accepted) && expected.contains(&Fate::Refused));
    assert_eq!(fates(Service::Pool), expected);
    assert_eq!(fates(Service::HeapPreshaped), expected);
}

#[test]
fn an_order_that_comes_byte_by_byte_is_answered_like_any_other() {
    let corpus = Corpus::generate(3);
    let server = Server::start(Service::Pool, |_| {});
    let mut client = server.tcp();
    for byte in order(&corpus, 11) {
        client.write_all(&[byte]).unwrap();
        std::thread::yield_now();
    }
    assert_eq!(read_answer(&mut client), (11, Fate::Accepted));
}

#[test]
fn a_bad_order_between_good_ones_is_answered_as_malformed_and_the_rest_goes_on() {
    let corpus = Corpus::generate(3);
    let server = Server::start(Service::Pool, |_| {});
    let mut client = server.tcp();
    let mut no_items = order(&corpus, 21);
    no_items[3] = 0;
    let mut endless = order(&corpus, 22);
    endless.resize(60_000, 0xee);
    endless[..2].copy_from_slice(&60_000_u16.to_le_bytes());
    assert!(endless.len() > MAX_ORDER);
    let mut bytes = order(&corpus, 20);
    bytes.extend(no_items);
    bytes.extend(endless);
    bytes.extend(order(&corpus, 23));
    // Cut at an awkward place, in the middle of what is skipped.
    let (first, second) = bytes.split_at(40_000);
    client.write_all(first).unwrap();
    let answers: Vec<_> = (0..3).map(|_| read_answer(&mut client)).collect();
    assert_eq!(
        answers,
        [
            (20, Fate::Accepted),
            (21, Fate::Malformed),
            (22, Fate::Malformed)
        ]
    );
    client.write_all(second).unwrap();
    assert_eq!(read_answer(&mut client), (23, Fate::Accepted));
    let counts = server.stop().counts;
    assert_eq!((counts.orders, counts.malformed, counts.garbled), (4, 2, 0));
}

#[test]
fn another_protocol_is_hung_up_on_after_the_orders_before_it_are_answered() {
    let corpus = Corpus::generate(3);
    let server = Server::start(Service::Pool, |_| {});
    for garbage in [
        &b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"[..],
        &[0; 64],
        &[0xff; 3],
    ] {
        let mut client = server.tcp();
        let mut bytes = order(&corpus, 1);
        bytes.extend(garbage);
        client.write_all(&bytes).unwrap();
        assert_eq!(read_answer(&mut client), (1, Fate::Accepted));
        assert_eq!(client.read(&mut [0]).unwrap(), 0, "{garbage:?}");
    }
    assert_eq!(server.stop().counts.garbled, 3);
}

#[test]
fn a_client_that_closes_in_the_middle_of_an_order_or_resets_harms_nobody_else() {
    let corpus = Corpus::generate(3);
    let server = Server::start(Service::Noop, |_| {});
    let mut other = server.tcp();
    for turn in 0..20 {
        let mut client = server.tcp();
        let bytes = order(&corpus, 1);
        client.write_all(&bytes).unwrap();
        client.write_all(&bytes[..turn]).unwrap();
        if turn % 2 == 0 {
            // Closing with answers unread is a reset.
            drop(client);
        } else {
            client.shutdown(std::net::Shutdown::Write).unwrap();
            assert_eq!(read_answer(&mut client), (1, Fate::Accepted));
            assert_eq!(client.read(&mut [0]).unwrap(), 0);
        }
        other.write_all(&order(&corpus, 2)).unwrap();
        assert_eq!(read_answer(&mut other), (2, Fate::Accepted));
    }
    let counts = server.stop().counts;
    assert_eq!((counts.connections, counts.garbled), (21, 0));
}

#[test]
fn a_client_that_does_not_read_is_not_read_from_and_gets_every_answer_later() {
    let corpus = Corpus::generate(3);
    let server = Server::start(Service::Noop, |_| {});
    let mut slow = server.tcp();
    // The shortest orders there are: their answers are nearly as long.
    let burst: Vec<u8> = (0..2_000)
        .map(|id| order(&corpus, id))
        .filter(|bytes| bytes.len() < 40)
        .flatten()
        .collect();
    let mut sent = send_until_nothing_is_taken(&mut slow, &burst);
    // Another client of the same worker does not notice.
    let mut other = server.tcp();
    other.write_all(&order(&corpus, 5)).unwrap();
    assert_eq!(read_answer(&mut other).0, 5);
    // The rest of the last order, then all answers.
    let mut reader = slow.try_clone().unwrap();
    let reading = std::thread::spawn(move || {
        let mut answers = Vec::new();
        reader.read_to_end(&mut answers).unwrap();
        answers.len()
    });
    slow.write_all(&burst[sent % burst.len()..]).unwrap();
    sent += burst.len() - sent % burst.len();
    slow.shutdown(std::net::Shutdown::Write).unwrap();
    let answered = reading.join().unwrap() / REPLY;
    drop((slow, other));
    let counts = server.stop().counts;
    assert_eq!(counts.orders, answered as u64 + 1);
    assert_eq!(counts.bytes_in, (sent + order(&corpus, 5).len()) as u64);
}

#[test]
fn connections_are_dealt_out_evenly_and_each_worker_settles_its_own_window() {
    let corpus = Corpus::generate(3);
    let server = Server::start(Service::Heap, |options| {
        options.workers = 2;
        options.window = 10;
        options.busy_poll = true;
    });
    let mut clients: Vec<TcpStream> = (0..4).map(|_| server.tcp()).collect();
    // Two connections a worker, five orders each: one window in each worker.
    for (client, n) in clients.iter_mut().zip(0..) {
        for id in n * 5..n * 5 + 5 {
            client.write_all(&order(&corpus, id)).unwrap();
            assert_eq!(read_answer(client), (id, Fate::Accepted));
        }
    }
    drop(clients);
    let outcome = server.stop();
    assert_eq!(outcome.counts.orders, 20);
    assert_eq!(outcome.settled_windows, 2);
}

#[test]
fn connections_beyond_the_limit_are_closed_at_once_until_others_go() {
    let corpus = Corpus::generate(3);
    let server = Server::start(Service::Pool, |options| options.most_connections = 2);
    let ask = |client: &mut TcpStream| {
        client.write_all(&order(&corpus, 9)).unwrap();
        read_answer(client)
    };
    let (mut first, mut second) = (server.tcp(), server.tcp());
    assert_eq!((ask(&mut first).0, ask(&mut second).0), (9, 9));
    let mut third = server.tcp();
    assert_eq!(third.read(&mut [0]).unwrap_or(0), 0);
    drop(first);
    // The server needs a moment to see that.
    let taken = (0..500).any(|_| {
        std::thread::sleep(Duration::from_millis(5));
        let mut fourth = server.tcp();
        let sent = fourth.write_all(&order(&corpus, 9));
        sent.is_ok() && fourth.read(&mut [0]).is_ok_and(|read| read == 1)
    });
    assert!(taken);
    assert_eq!(ask(&mut second).0, 9);
    assert!(server.stop().turned_away >= 1);
}

#[test]
fn ten_thousand_clients_are_served_at_the_same_time() {
    const CLIENTS: u64 = 10_000;
    // Both ends are in this process.
    sockets::raise_descriptor_limit();
    let (limit, _) =
        nix::sys::resource::getrlimit(nix::sys::resource::Resource::RLIMIT_NOFILE).unwrap();
    if limit < 2 * CLIENTS + 200 {
        eprintln!("SKIPPED: {limit} file descriptors are too few for {CLIENTS} clients here");
        return;
    }
    let corpus = Corpus::generate(3);
    let server = Server::start(Service::Pool, |_| {});
    let mut clients: Vec<TcpStream> = (0..CLIENTS).map(|_| server.tcp()).collect();
    for (client, id) in clients.iter_mut().zip(0..) {
        client.write_all(&order(&corpus, id)).unwrap();
    }
    for (client, id) in clients.iter_mut().zip(0..) {
        assert_eq!(read_answer(client).0, id);
    }
    drop(clients);
    let outcome = server.stop();
    assert_eq!(outcome.counts.connections, CLIENTS);
    assert_eq!((outcome.counts.orders, outcome.turned_away), (CLIENTS, 0));
}
