//! Orders in datagrams.

use super::*;
use std::net::UdpSocket;

fn client(server: &Server) -> UdpSocket {
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    socket.connect(server.addresses.udp.unwrap()).unwrap();
    socket
        .set_read_timeout(Some(Duration::from_secs(20)))
        .unwrap();
    socket
}

fn answers(socket: &UdpSocket) -> Vec<(u64, Fate)> {
    let mut bytes = [0; 2048];
    let length = socket.recv(&mut bytes).unwrap();
    let (answers, rest) = bytes[..length].as_chunks::<REPLY>();
    assert!(rest.is_empty());
    answers
        .iter()
        .map(|answer| reply::decode(answer).unwrap())
        .collect()
}

#[test]
fn all_orders_of_a_datagram_are_answered_in_one_datagram() {
    let corpus = Corpus::generate(3);
    let server = Server::start(Service::Pool, |options| options.workers = 2);
    for _ in 0..4 {
        let client = client(&server);
        let datagram: Vec<u8> = (40..52).flat_map(|id| order(&corpus, id)).collect();
        client.send(&datagram).unwrap();
        // Which worker gets a datagram is the kernel's choice, and the same order again may exceed a limit.
        let (ids, fates): (Vec<u64>, Vec<Fate>) = answers(&client).into_iter().unzip();
        assert_eq!(ids, (40..52).collect::<Vec<_>>());
        assert!(!fates.contains(&Fate::Malformed), "{fates:?}");
    }
    let counts = server.stop().counts;
    assert_eq!((counts.datagrams, counts.orders), (4, 48));
}

#[test]
fn what_is_no_order_in_a_datagram_is_malformed_and_the_next_datagram_is_served() {
    let corpus = Corpus::generate(3);
    let server = Server::start(Service::Pool, |_| {});
    let client = client(&server);
    let mut cut_short = order(&corpus, 1);
    cut_short.extend(&order(&corpus, 2)[..19]);
    client.send(&cut_short).unwrap();
    assert_eq!(
        answers(&client),
        [(1, Fate::Accepted), (2, Fate::Malformed)]
    );
    client.send(b"hello").unwrap();
    assert_eq!(answers(&client), [(0, Fate::Malformed)]);
    client.send(b"").unwrap();
    client.send(&order(&corpus, 3)).unwrap();
    assert_eq!(answers(&client), [(3, Fate::Accepted)]);
}

#[test]
fn a_client_that_is_gone_before_its_answer_harms_nobody_else() {
    let corpus = Corpus::generate(3);
    let server = Server::start(Service::Pool, |_| {});
    let stays = client(&server);
    for id in 0..50 {
        client(&server).send(&order(&corpus, id)).unwrap();
        stays.send(&order(&corpus, id)).unwrap();
        assert_eq!(answers(&stays), [(id, Fate::Accepted)]);
    }
}
