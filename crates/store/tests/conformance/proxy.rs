//! A TCP proxy before the server that can lose an answer: what was asked for is done, and nobody is told.

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
    sync::watch,
};

/// Bytes of the answer to a question whether a session lives: nothing was asked for that could be lost.
const SIGN_OF_LIFE: usize = 6;

/// A proxy on a free loopback port; gone with the runtime.
pub(crate) struct Proxy {
    pub(crate) port: u16,
    lose: Arc<AtomicBool>,
    stalled: watch::Sender<bool>,
}

impl Proxy {
    pub(crate) async fn before(server: u16) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.expect("a free port");
        let port = listener.local_addr().expect("bound").port();
        let lose = Arc::new(AtomicBool::new(false));
        let armed = Arc::clone(&lose);
        let (stalled, flowing) = watch::channel(false);
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                if let Ok(server) = TcpStream::connect(("127.0.0.1", server)).await {
                    tokio::spawn(carry(client, server, Arc::clone(&armed), flowing.clone()));
                }
            }
        });
        Self { port, lose, stalled }
    }

    /// The next answer is lost, and its connection with it.
    pub(crate) fn lose_an_answer(&self) {
        self.lose.store(true, Ordering::Relaxed);
    }

    /// From now on nothing comes back, on old connections and new ones, or it does again.
    pub(crate) fn stall(&self, stalled: bool) {
        self.stalled.send_replace(stalled);
    }

    pub(crate) fn has_lost(&self) -> bool {
        !self.lose.load(Ordering::Relaxed)
    }
}

async fn carry(
    client: TcpStream,
    server: TcpStream,
    lose: Arc<AtomicBool>,
    mut flowing: watch::Receiver<bool>,
) {
    let (mut from_client, mut to_client) = client.into_split();
    let (mut from_server, mut to_server) = server.into_split();
    let asking = tokio::spawn(async move {
        let _ = tokio::io::copy(&mut from_client, &mut to_server).await;
    });
    let mut buffer = vec![0; 65_536];
    while let Ok(read @ 1..) = from_server.read(&mut buffer).await {
        let _ = flowing.wait_for(|stalled| !stalled).await;
        if (read > SIGN_OF_LIFE && lose.swap(false, Ordering::Relaxed))
            || to_client.write_all(&buffer[..read]).await.is_err()
        {
            break;
        }
    }
    asking.abort();
}
