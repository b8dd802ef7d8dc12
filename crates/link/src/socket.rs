//! Sockets as this switch wants them: prompt, and quick to notice that a peer vanished.

use std::{io, net::SocketAddr, time::Duration};

use socket2::{Domain, Protocol, SockRef, Socket, TcpKeepalive, Type};
use tokio::net::{TcpListener, TcpStream, lookup_host};

/// How a connection notices that its peer vanished.
#[derive(Debug, Clone, Copy)]
pub struct Tuning {
    /// Idle time before the kernel probes the peer.
    pub keepalive_idle: Duration,
    /// Time between probes.
    pub keepalive_interval: Duration,
    /// Probes without an answer before the connection is broken.
    pub keepalive_probes: u32,
    /// How long written bytes may stay unacknowledged before the connection is broken.
    pub user_timeout: Duration,
    /// Bytes that the kernel buffers for sending; none leaves it to the kernel.
    pub send_buffer: Option<usize>,
}

impl Default for Tuning {
    fn default() -> Self {
        Self {
            keepalive_idle: Duration::from_secs(60),
            keepalive_interval: Duration::from_secs(10),
            keepalive_probes: 3,
            user_timeout: Duration::from_secs(30),
            send_buffer: None,
        }
    }
}

/// Sets a connection up: no delay, keep-alive, a limit on unacknowledged bytes.
///
/// # Errors
/// What the operating system says.
pub fn tune(stream: &TcpStream, tuning: Tuning) -> io::Result<()> {
    stream.set_nodelay(true)?;
    let socket = SockRef::from(stream);
    let keepalive = TcpKeepalive::new()
        .with_time(tuning.keepalive_idle)
        .with_interval(tuning.keepalive_interval)
        .with_retries(tuning.keepalive_probes);
    socket.set_tcp_keepalive(&keepalive)?;
    if let Some(bytes) = tuning.send_buffer {
        socket.set_send_buffer_size(bytes)?;
    }
    socket.set_tcp_user_timeout(Some(tuning.user_timeout))
}

/// Sets a connection up so that, when it is closed, bytes which the peer does not have yet are thrown away and it gets a
/// reset (`SO_LINGER` 0).
pub fn reset(stream: &TcpStream) {
    if let Err(error) = SockRef::from(stream).set_linger(Some(Duration::ZERO)) {
        tracing::debug!(%error, "connection could not be set to reset");
    }
}

/// Connects to `host:port`, trying each of its addresses.
///
/// # Errors
/// The name has no address, or none could be connected to within `patience` each.
pub async fn connect(address: &str, patience: Duration, tuning: Tuning) -> io::Result<TcpStream> {
    let mut last = io::Error::new(io::ErrorKind::NotFound, "the name has no address");
    for address in lookup_host(address).await? {
        match tokio::time::timeout(patience, TcpStream::connect(address)).await {
            Ok(Ok(stream)) => {
                tune(&stream, tuning)?;
                return Ok(stream);
            }
            Ok(Err(error)) => last = error,
            Err(_elapsed) => last = io::ErrorKind::TimedOut.into(),
        }
    }
    Err(last)
}

/// Binds a listening socket.
///
/// # Errors
/// What the operating system says, for instance that the address is in use.
pub fn listen(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    socket.set_reuse_address(true)?;
    socket.set_nonblocking(true)?;
    socket.bind(&address.into())?;
    socket.listen(BACKLOG)?;
    TcpListener::from_std(socket.into())
}

/// Connections that may wait for being accepted; the kernel lowers it to its own limit.
const BACKLOG: i32 = 4096;
