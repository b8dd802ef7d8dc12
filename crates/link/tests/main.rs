//! Connections over loopback sockets: bounds, ends, and what is said of each frame.

use std::{
    io,
    sync::mpsc,
    time::{Duration, Instant},
};

use bytes::Bytes;
use iso8583::Framing;
use link::{
    Acceptor, Connection, Ended, Incoming, Limits, NeverSent, Outgoing, Reading, Receipt, Slip,
    Tuning, connect, listen,
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

/// Long enough that only a fault reaches it.
const PATIENCE: Duration = Duration::from_secs(20);

struct Tell(u32, mpsc::Sender<(u32, Option<NeverSent>)>);

impl Receipt for Tell {
    fn written(self) {
        let _ = self.1.send((self.0, None));
    }
    fn never_sent(self, why: NeverSent) {
        let _ = self.1.send((self.0, Some(why)));
    }
}

async fn pair(limits: Limits, tuning: Tuning) -> (TcpStream, Connection<Tell>) {
    let listener = listen("127.0.0.1:0".parse().expect("address")).expect("bound");
    let acceptor = Acceptor::new(listener, 10, tuning);
    let address = acceptor.local_addr().expect("bound").to_string();
    let (peer, accepted) =
        tokio::join!(connect(&address, PATIENCE, Tuning::default()), acceptor.accept());
    let connection = Connection::new(accepted.stream, Framing::Len2, limits).expect("connected");
    (peer.expect("connected"), connection)
}

/// Reads until the connection ends; gives what came and why it ended.
async fn until_end(connection: &mut Connection<Tell>) -> (Vec<Incoming>, Ended) {
    let mut came = Vec::new();
    let reading = async {
        loop {
            let ready = connection.ready(Reading::Taken).await;
            loop {
                match connection.take() {
                    Ok(Some(incoming)) => came.push(incoming),
                    Ok(None) => break,
                    Err(ended) => return ended,
                }
            }
            if let Err(ended) = ready {
                return ended;
            }
        }
    };
    let ended = tokio::time::timeout(PATIENCE, reading).await.expect("an end");
    (came, ended)
}

fn quick() -> Limits {
    Limits {
        idle: Some(Duration::from_millis(200)),
        frame: Duration::from_millis(100),
        ..Limits::default()
    }
}

#[tokio::test]
async fn what_a_peer_sends_ends_as_the_table_says() {
    let cases: &[(&str, &[u8], bool, &str)] = &[
        ("nothing", b"", true, "idle for too long"),
        ("one byte of a length", b"\0", true, "a frame was not finished in time"),
        ("a length that never completes", b"\x01\0abc", true, "a frame was not finished in time"),
        ("length 1", b"\0\x01a", true, "broken framing"),
        ("length 65535", b"\xff\xff", true, "broken framing"),
        ("over max_frame", b"\x10\x01", true, "broken framing"),
        ("ten keep-alives", &[0; 20], false, "end of stream"),
        ("eleven keep-alives", &[0; 22], true, "too many keep-alives"),
        ("a frame, then the end", b"\0\x04abcd", false, "end of stream"),
    ];
    for (name, bytes, stays, expected) in cases {
        let (mut peer, mut connection) = pair(quick(), Tuning::default()).await;
        peer.write_all(bytes).await.expect("written");
        if !stays {
            peer.shutdown().await.expect("shut down");
        }
        let (came, ended) = until_end(&mut connection).await;
        assert_eq!(ended.to_string(), *expected, "{name}");
        if name.starts_with("a frame,") {
            assert_eq!(came, [Incoming::Frame(Bytes::from_static(b"abcd"))]);
        }
    }
}

#[tokio::test]
async fn a_slow_sender_is_cut_off_by_the_frame_clock_and_not_the_idle_clock() {
    let (mut peer, mut connection) = pair(quick(), Tuning::default()).await;
    let begun = Instant::now();
    let sender = tokio::spawn(async move {
        for _ in 0..100 {
            if peer.write_all(b"\x01").await.is_err() {
                break;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    });
    let (_, ended) = until_end(&mut connection).await;
    assert!(matches!(ended, Ended::Unfinished), "{ended}");
    assert!(begun.elapsed() >= Duration::from_millis(100));
    drop(connection);
    sender.await.expect("no panic");
}

#[tokio::test]
async fn a_peer_that_never_reads_is_cut_off_and_every_frame_told_of() {
    let tuning = Tuning { send_buffer: Some(8 * 1024), ..Tuning::default() };
    let (_peer, mut connection) = pair(Limits::default(), tuning).await;
    let (told, heard) = mpsc::channel();
    let mut queued = 0;
    let ended = loop {
        let slip = Slip::new(Tell(queued, told.clone()));
        let bytes = Bytes::from(vec![0; 1_000]);
        connection.queue(Outgoing { bytes, slip, not_after: None });
        queued += 1;
        if let Err(ended) = connection.flush() {
            break ended;
        }
        assert!(queued < 100_000, "nothing bounds the queue");
    };
    assert!(matches!(ended, Ended::Overfull), "{ended}");
    assert!(connection.stuck_since().is_some());
    assert!(connection.outbox().bytes() <= 64 * 1024 + 1_000);
    connection.abandon();
    let mut fates: Vec<_> = heard.try_iter().collect();
    fates.sort_by_key(|(number, _)| *number);
    assert_eq!(fates.len(), usize::try_from(queued).expect("small"));
    let written = fates.iter().take_while(|(_, fate)| fate.is_none()).count();
    assert!(written > 0);
    assert!(fates.iter().skip(written).all(|(_, fate)| *fate == Some(NeverSent::Gone)));
}

#[tokio::test]
async fn frames_too_late_are_never_sent_though_the_socket_is_stuck() {
    let tuning = Tuning { send_buffer: Some(8 * 1024), ..Tuning::default() };
    let limits = Limits { outbound: usize::MAX, ..Limits::default() };
    let (_peer, mut connection) = pair(limits, tuning).await;
    let (told, heard) = mpsc::channel();
    // More than the kernel takes while the peer does not read.
    let mass = Bytes::from(vec![0; 1_000_000]);
    for _ in 0..64 {
        let slip = Slip::new(Tell(0, told.clone()));
        connection.queue(Outgoing { bytes: mass.clone(), slip, not_after: None });
    }
    let not_after = Some(Instant::now() + Duration::from_millis(50));
    let slip = Slip::new(Tell(1, told));
    connection.queue(Outgoing { bytes: Bytes::from_static(b"late"), slip, not_after });
    let waiting = async {
        loop {
            tokio::select! {
                ready = connection.ready(Reading::Taken) => ready.expect("open"),
                () = tokio::time::sleep(Duration::from_millis(5)) => {}
            }
            if let Some(fate) = heard.try_iter().find(|(number, _)| *number == 1) {
                break fate;
            }
        }
    };
    let fate = tokio::time::timeout(PATIENCE, waiting).await.expect("told in time");
    assert_eq!(fate, (1, Some(NeverSent::TooLate)));
}

#[tokio::test]
async fn many_frames_come_of_few_reads_and_a_reset_is_seen() {
    let (mut peer, mut connection) = pair(Limits::default(), Tuning::default()).await;
    let sender = tokio::spawn(async move {
        peer.write_all(&b"\0\x04abcd".repeat(10_000)).await.expect("written");
        let mut byte = [0];
        assert_eq!(peer.read(&mut byte).await.expect("one byte"), 1);
        link::reset(&peer);
    });
    let mut frames = 0;
    let reading = async {
        while frames < 10_000 {
            connection.ready(Reading::Taken).await.expect("open");
            while connection.take().expect("sound").is_some() {
                frames += 1;
            }
        }
        let (told, _heard) = mpsc::channel();
        let slip = Slip::new(Tell(0, told));
        connection.queue(Outgoing { bytes: Bytes::from_static(b"x"), slip, not_after: None });
        until_end(&mut connection).await
    };
    let (_, ended) = tokio::time::timeout(PATIENCE, reading).await.expect("an end");
    assert!(
        matches!(&ended, Ended::Broken(error) if error.kind() == io::ErrorKind::ConnectionReset),
        "{ended}"
    );
    sender.await.expect("no panic");
}

#[tokio::test]
async fn no_more_connections_than_the_cap_are_accepted() {
    let listener = listen("127.0.0.1:0".parse().expect("address")).expect("bound");
    let acceptor = Acceptor::new(listener, 1, Tuning::default());
    let address = acceptor.local_addr().expect("bound").to_string();
    let _first = connect(&address, PATIENCE, Tuning::default()).await.expect("connected");
    let _second = connect(&address, PATIENCE, Tuning::default()).await.expect("in the backlog");
    let held = acceptor.accept().await;
    let mut next = Box::pin(acceptor.accept());
    let none = tokio::time::timeout(Duration::from_millis(50), &mut next).await;
    assert!(none.is_err(), "the cap was passed");
    drop(held);
    tokio::time::timeout(PATIENCE, next).await.expect("room again");
}

#[tokio::test]
async fn the_address_in_a_proxy_header_counts() {
    let (mut peer, connection) = pair(quick(), Tuning::default()).await;
    let mut connection = connection.behind_proxy();
    let header = b"\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x0c\x0a\0\0\x01\x0a\0\0\x02\x1f\x90\x21\x87";
    peer.write_all(header).await.expect("written");
    peer.write_all(b"\0\x04abcd").await.expect("written");
    peer.shutdown().await.expect("shut down");
    let (came, _) = until_end(&mut connection).await;
    assert_eq!(came, [Incoming::Frame(Bytes::from_static(b"abcd"))]);
    assert_eq!(connection.peer().to_string(), "10.0.0.1:8080");

    let (mut peer, connection) = pair(quick(), Tuning::default()).await;
    let mut connection = connection.behind_proxy();
    peer.write_all(b"\0\x04abcd").await.expect("written");
    let (_, ended) = until_end(&mut connection).await;
    assert!(matches!(ended, Ended::Proxy(_)), "{ended}");
}
