//! What the machine itself can do: no server is faster than this.

use std::{
    fs,
    io::{Read, Write},
    net::{TcpListener, TcpStream},
    thread,
    time::{Duration, Instant},
};

/// Round trips of 200 bytes over loopback between two threads.
pub fn round_trips(count: usize) -> Vec<Duration> {
    let listener = TcpListener::bind(("127.0.0.1", 0)).expect("a port");
    let port = listener.local_addr().expect("bound").port();
    let echo = thread::spawn(move || {
        let (mut peer, _) = listener.accept().expect("a peer");
        peer.set_nodelay(true).expect("an option");
        let mut buffer = [0; 200];
        while peer.read_exact(&mut buffer).is_ok() && peer.write_all(&buffer).is_ok() {}
    });
    let mut stream = TcpStream::connect(("127.0.0.1", port)).expect("a connection");
    stream.set_nodelay(true).expect("an option");
    let mut buffer = [7; 200];
    let times = (0..count)
        .map(|_| {
            let began = Instant::now();
            stream.write_all(&buffer).expect("written");
            stream.read_exact(&mut buffer).expect("read");
            began.elapsed()
        })
        .collect();
    drop(stream);
    echo.join().expect("the echo ends with its peer");
    times
}

/// Appends of 1 KB made durable one by one, where the stores of the benchmark lie.
pub fn syncs(count: usize) -> Vec<Duration> {
    let mut file = tempfile::tempfile_in("/tmp").expect("a file");
    (0..count)
        .map(|_| {
            let began = Instant::now();
            file.write_all(&[7; 1024]).expect("written");
            file.sync_data().expect("synced");
            began.elapsed()
        })
        .collect()
}

/// The machine in one line.
pub fn machine() -> String {
    let read = |path: &str| fs::read_to_string(path).unwrap_or_default();
    let cpu = read("/proc/cpuinfo").lines().find_map(|line| {
        Some(
            line.strip_prefix("model name")?
                .split(':')
                .nth(1)?
                .trim()
                .to_owned(),
        )
    });
    let cores = thread::available_parallelism().map_or(0, usize::from);
    format!(
        "Machine: {} ({cores} cores), Linux {}.",
        cpu.as_deref().unwrap_or(std::env::consts::ARCH),
        read("/proc/sys/kernel/osrelease").trim()
    )
}
