use super::*;
use std::thread::JoinHandle;

fn free_address() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    listener.local_addr().expect("it has an address")
}

/// Stands in for a server that listens after a while; the command need not be able to.
fn listens_after(address: SocketAddr, wait: Duration) -> JoinHandle<()> {
    std::thread::spawn(move || {
        std::thread::sleep(wait);
        let listener = TcpListener::bind(address).expect("nobody else took it");
        let _ = listener.accept();
    })
}

fn tcp(address: SocketAddr) -> Endpoint {
    Endpoint {
        addresses: vec![address],
        datagrams: false,
    }
}

fn udp(address: SocketAddr) -> Endpoint {
    Endpoint {
        addresses: vec![address],
        datagrams: true,
    }
}

fn start(command: &str, address: SocketAddr, log: &Path) -> Result<Server, ServerError> {
    let patience = Duration::from_secs(5);
    let stop = AtomicBool::new(false);
    Server::start(command, &tcp(address), log, patience, &stop)
}

fn is_running(process: &str) -> bool {
    // A zombie has ended; whoever adopted it has not looked yet.
    let status = fs::read_to_string(format!("/proc/{process}/stat")).unwrap_or_default();
    let state = status.rsplit(") ").next().unwrap_or_default();
    !status.is_empty() && !state.starts_with('Z')
}

#[test]
fn a_server_is_ready_when_it_accepts_connections_and_gone_with_all_its_children_when_stopped() {
    let dir = tempfile::tempdir().expect("a temporary folder");
    let log = dir.path().join("a/server.log");
    let address = free_address();
    let listening = listens_after(address, Duration::from_millis(200));
    let begin = Instant::now();
    let server = start("sleep 1000 & echo $!; wait", address, &log).expect("it listens");
    assert!(begin.elapsed() >= Duration::from_millis(200));
    listening.join().expect("it accepted");
    let child = fs::read_to_string(&log).expect("its output is kept");
    assert!(is_running(child.trim()) && is_running(&server.id().to_string()));
    server.stop().expect("it lived until now");
    assert!(!is_running(child.trim()), "{child}");
}

#[test]
fn a_server_that_does_not_listen_to_sigterm_is_killed() {
    let dir = tempfile::tempdir().expect("a temporary folder");
    let address = free_address();
    let listening = listens_after(address, Duration::from_millis(200));
    let log = dir.path().join("log");
    let command = "trap '' TERM; echo ready; while :; do sleep 1; done";
    let server = start(command, address, &log).expect("it listens");
    while fs::read(&log).expect("there").is_empty() {
        std::thread::sleep(LOOK);
    }
    let id = server.id().to_string();
    let begin = Instant::now();
    drop(server);
    assert!(!is_running(&id) && begin.elapsed() >= PATIENCE);
    listening.join().expect("it accepted");
}

#[test]
fn a_server_that_dies_early_says_so_with_its_last_words() {
    let dir = tempfile::tempdir().expect("a temporary folder");
    let log = dir.path().join("log");
    let command = "echo starting; echo 'cannot read \u{1b}[31mservice.toml' >&2; exit 3";
    let error = start(command, free_address(), &log).expect_err("it ends at once");
    let text = error.to_string();
    assert!(
        text.contains("exit status: 3") && text.contains("cannot read  [31mservice.toml"),
        "{text}"
    );
}

#[test]
fn a_server_that_dies_during_the_run_is_no_server_to_have_measured() {
    let dir = tempfile::tempdir().expect("a temporary folder");
    let address = free_address();
    let listening = listens_after(address, Duration::from_millis(200));
    let mut server =
        start("sleep 1; exit 7", address, &dir.path().join("log")).expect("it listens");
    while server.has_ended().is_none() {
        std::thread::sleep(LOOK);
    }
    let text = server.stop().expect_err("it had ended").to_string();
    assert!(
        text.contains("during the run (exit status: 7); it printed nothing"),
        "{text}"
    );
    listening.join().expect("it accepted");
}

#[test]
fn somebody_else_at_the_address_is_not_measured_by_mistake() {
    let dir = tempfile::tempdir().expect("a temporary folder");
    let other = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let address = other.local_addr().expect("it has an address");
    let log = dir.path().join("log");
    let text = start("sleep 9", address, &log)
        .expect_err("it is taken")
        .to_string();
    assert!(
        text.contains(&address.to_string()) && text.contains("listens"),
        "{text}"
    );
    assert!(!log.exists(), "nothing was started");
    let other = UdpSocket::bind("127.0.0.1:0").expect("a free port");
    let endpoint = udp(other.local_addr().expect("it has an address"));
    let stop = AtomicBool::new(false);
    let refused = Server::start("sleep 9", &endpoint, &log, PATIENCE, &stop);
    assert!(matches!(refused, Err(ServerError::AddressTaken { .. })));
}

#[test]
fn waiting_ends_with_patience_or_with_an_interruption_and_leaves_nothing_running() {
    let dir = tempfile::tempdir().expect("a temporary folder");
    let endpoint = tcp(free_address());
    for (log, stop) in [("late", false), ("stopped", true)] {
        let log = dir.path().join(log);
        let command = "echo $$; exec sleep 1000";
        let patience = Duration::from_millis(300);
        let stop = AtomicBool::new(stop);
        let error = Server::start(command, &endpoint, &log, patience, &stop);
        match error.expect_err("nobody listens") {
            ServerError::NotReady { last_lines, .. } => {
                assert!(!stop.load(Ordering::SeqCst));
                assert!(!is_running(last_lines.trim()), "{last_lines}");
            }
            ServerError::Interrupted { .. } => assert!(stop.load(Ordering::SeqCst)),
            other => panic!("{other}"),
        }
    }
}

#[test]
fn datagrams_cannot_be_waited_for_so_a_server_of_them_must_live_for_a_moment() {
    let dir = tempfile::tempdir().expect("a temporary folder");
    let endpoint = udp("127.0.0.1:9".parse().expect("an address"));
    let stop = AtomicBool::new(false);
    let start = |command: &str, log: &str| {
        Server::start(command, &endpoint, &dir.path().join(log), PATIENCE, &stop)
    };
    assert!(
        start("exec sleep 1000", "lives")
            .expect("it lives")
            .stop()
            .is_ok()
    );
    assert!(matches!(
        start("exit 1", "dies"),
        Err(ServerError::Ended { .. })
    ));
}

#[test]
fn an_earlier_log_is_not_overwritten() {
    let dir = tempfile::tempdir().expect("a temporary folder");
    let log = dir.path().join("log");
    fs::write(&log, "precious").expect("writable");
    let refused = start("sleep 9", free_address(), &log);
    assert!(matches!(refused, Err(ServerError::Start { .. })));
    assert_eq!(fs::read_to_string(&log).expect("there"), "precious");
}
