//! The proxy over loopback.

use super::*;
use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, TcpListener as Listener, TcpStream};
use std::time::{Duration, Instant};

/// Takes one connection and does `serve` with it.
fn target<R: Send + 'static>(
    serve: impl FnOnce(TcpStream) -> R + Send + 'static,
) -> (SocketAddr, JoinHandle<R>) {
    let listener = Listener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let thread = std::thread::spawn(move || serve(guarded(listener.accept().unwrap().0)));
    (address, thread)
}

/// A test that would wait for ever fails instead.
fn guarded(stream: TcpStream) -> TcpStream {
    stream.set_nodelay(true).unwrap();
    stream
        .set_read_timeout(Some(Duration::from_secs(20)))
        .unwrap();
    stream
}

fn connect(proxy: &DelayProxy) -> TcpStream {
    guarded(TcpStream::connect(proxy.address()).unwrap())
}

/// Gives back every byte until the other side ends.
fn echo(mut stream: TcpStream) {
    let mut bytes = vec![0; 1 << 16];
    while let Ok(read) = stream.read(&mut bytes)
        && read > 0
        && stream.write_all(&bytes[..read]).is_ok()
    {}
}

/// What the proxy did, when it has noted `delayed` chunks: it does so after it has passed them on.
fn statistics(proxy: &DelayProxy, delayed: u64) -> ProxyStatistics {
    let noted = (0..2_000).find_map(|_| {
        let statistics = proxy.statistics();
        std::thread::sleep(Duration::from_millis(5));
        (statistics.delayed >= delayed).then_some(statistics)
    });
    noted.expect("fewer chunks were delayed")
}

fn exchange(stream: &mut TcpStream, byte: u8) -> Nanos {
    let began = Instant::now();
    stream.write_all(&[byte]).unwrap();
    let mut answer = [0];
    stream.read_exact(&mut answer).unwrap();
    assert_eq!(answer, [byte]);
    Nanos(u64::try_from(began.elapsed().as_nanos()).unwrap())
}

/// The best of several: what the machine adds is left out.
fn best_exchange(stream: &mut TcpStream) -> Nanos {
    (0..20).map(|byte| exchange(stream, byte)).min().unwrap()
}

#[test]
fn an_exchange_takes_the_delay_of_both_directions_longer_and_no_longer_when_it_is_taken_away() {
    let (address, server) = target(echo);
    let proxy = DelayProxy::start(address).unwrap();
    let mut client = connect(&proxy);
    let plain = best_exchange(&mut client);
    let by = Nanos::from_millis(5);
    proxy.set_delay(by, Nanos(0), 0);
    // The floor is exact: nothing is passed on early. The ceiling depends on the machine.
    let delayed = best_exchange(&mut client);
    assert!(delayed >= by + by, "{delayed}");
    assert!(
        delayed < by + by + plain + Nanos::from_millis(3),
        "{delayed}"
    );
    proxy.set_delay(Nanos(0), Nanos(0), 0);
    assert!(best_exchange(&mut client) < by);
    drop(client);
    server.join().unwrap();
    let statistics = statistics(&proxy, 40);
    assert_eq!((statistics.connections, statistics.delayed), (1, 40));
    assert!((119..=120).contains(&statistics.bytes), "{statistics:?}");
}

#[test]
fn the_proxys_own_part_is_small_and_measured() {
    let (address, _server) = target(echo);
    let proxy = DelayProxy::start(address).unwrap();
    let mut client = connect(&proxy);
    proxy.set_delay(Nanos::from_millis(1), Nanos::from_millis(1), 4);
    for byte in 0..100 {
        let took = exchange(&mut client, byte);
        assert!(took >= Nanos::from_millis(2), "{took}");
    }
    let ProxyStatistics {
        delayed,
        late,
        most_late,
        ..
    } = statistics(&proxy, 200);
    assert_eq!(delayed, 200);
    // On a machine of one's own it is some microseconds; a busy one may stall anybody.
    assert!(late.0 / delayed < 1_000_000, "{late} in all");
    assert!(most_late.0 * delayed >= late.0);
}

#[test]
fn bytes_arrive_complete_and_in_order_whatever_the_delay_does_meanwhile() {
    const BYTES: usize = 20 << 20;
    let (address, server) = target(echo);
    let proxy = DelayProxy::start(address).unwrap();
    let mut client = connect(&proxy);
    let mut writer = client.try_clone().unwrap();
    let sent = |place: usize| u8::try_from(place * 7919 % 251).unwrap();
    let writing = std::thread::spawn(move || {
        let bytes: Vec<u8> = (0..BYTES).map(sent).collect();
        writer.write_all(&bytes).unwrap();
        writer.shutdown(Shutdown::Write).unwrap();
    });
    let mut received = Vec::with_capacity(BYTES);
    let mut part = vec![0; 1 << 16];
    loop {
        // From no delay to some and back, with jitter.
        let step = received.len() as u64 >> 20;
        proxy.set_delay(Nanos(step % 3 * 500_000), Nanos(step % 2 * 1_000_000), step);
        match client.read(&mut part).unwrap() {
            0 => break,
            read => received.extend_from_slice(&part[..read]),
        }
    }
    writing.join().unwrap();
    server.join().unwrap();
    assert_eq!(received.len(), BYTES);
    assert!(
        received
            .iter()
            .enumerate()
            .all(|(place, &byte)| byte == sent(place))
    );
}

#[test]
fn an_end_is_passed_on_behind_the_data_before_it_and_the_other_direction_goes_on() {
    let (address, server) = target(|mut stream| {
        let mut all = Vec::new();
        stream.read_to_end(&mut all).unwrap();
        stream.write_all(b"got ").unwrap();
        stream.write_all(&all).unwrap();
    });
    let proxy = DelayProxy::start(address).unwrap();
    proxy.set_delay(Nanos::from_millis(2), Nanos::from_millis(2), 0);
    let mut client = connect(&proxy);
    client.write_all(b"it").unwrap();
    client.shutdown(Shutdown::Write).unwrap();
    let mut answer = String::new();
    client.read_to_string(&mut answer).unwrap();
    assert_eq!(answer, "got it");
    server.join().unwrap();
}

fn is_reset(outcome: io::Result<usize>) -> bool {
    outcome.is_err_and(|error| error.kind() == ErrorKind::ConnectionReset)
}

#[test]
fn a_reset_is_passed_on_as_one_in_both_directions() {
    // Closing with bytes unread is a reset.
    let (address, server) = target(|mut stream| stream.read(&mut [0]).unwrap());
    let proxy = DelayProxy::start(address).unwrap();
    let mut client = connect(&proxy);
    client.write_all(&[1; 1_000]).unwrap();
    assert!(is_reset(client.read(&mut [0])));
    server.join().unwrap();

    let (address, server) = target(|mut stream| {
        stream.write_all(&[1; 1_000]).unwrap();
        stream.read(&mut [0])
    });
    let proxy = DelayProxy::start(address).unwrap();
    let mut client = connect(&proxy);
    client.read_exact(&mut [0]).unwrap();
    // All of it has arrived, and most of it is unread.
    while client.peek(&mut [0; 1_000]).unwrap() < 999 {}
    drop(client);
    assert!(is_reset(server.join().unwrap()));
}

#[test]
fn a_target_that_refuses_connections_and_a_proxy_that_ends_are_resets() {
    let listener = Listener::bind("127.0.0.1:0").unwrap();
    let nobody = listener.local_addr().unwrap();
    drop(listener);
    let proxy = DelayProxy::start(nobody).unwrap();
    assert!(is_reset(connect(&proxy).read(&mut [0])));

    let (address, server) = target(echo);
    let proxy = DelayProxy::start(address).unwrap();
    let mut client = connect(&proxy);
    exchange(&mut client, 1);
    drop(proxy);
    assert!(is_reset(client.read(&mut [0])));
    server.join().unwrap();
}

#[test]
fn a_target_that_does_not_read_makes_the_client_wait_instead_of_filling_memory() {
    let (go, gone) = std::sync::mpsc::channel::<()>();
    let (address, server) = target(move |mut stream| {
        gone.recv().unwrap();
        io::copy(&mut stream, &mut io::sink()).unwrap()
    });
    let proxy = DelayProxy::start(address).unwrap();
    proxy.set_delay(Nanos(1), Nanos(0), 0);
    let mut client = connect(&proxy);
    client.set_nonblocking(true).unwrap();
    let (mut sent, mut refused) = (0_u64, 0);
    while refused < 20 {
        match client.write(&[0; 1 << 16]) {
            Ok(more) => (sent, refused) = (sent + more as u64, 0),
            Err(_) => {
                refused += 1;
                std::thread::sleep(Duration::from_millis(5));
            }
        }
        // What both sockets' buffers hold, and what the proxy may.
        assert!(sent < 64 << 20, "nothing stops it");
    }
    go.send(()).unwrap();
    drop(client);
    assert_eq!(server.join().unwrap(), sent);
}

#[test]
fn many_connections_are_delayed_each_by_itself() {
    let listener = Listener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let stream = guarded(stream.unwrap());
            std::thread::spawn(move || echo(stream));
        }
    });
    let proxy = DelayProxy::start(address).unwrap();
    proxy.set_delay(Nanos::from_millis(3), Nanos::from_millis(3), 9);
    let mut clients: Vec<TcpStream> = (0..50).map(|_| connect(&proxy)).collect();
    let began = Instant::now();
    for turn in 0..5 {
        for client in &mut clients {
            client.write_all(&[turn]).unwrap();
        }
        for client in &mut clients {
            let mut answer = [0];
            client.read_exact(&mut answer).unwrap();
            assert_eq!(answer, [turn]);
        }
    }
    assert!(began.elapsed() >= Duration::from_millis(5 * 6));
    assert_eq!(statistics(&proxy, 500).delayed, 500);
}
