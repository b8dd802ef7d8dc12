//! A TCP proxy that knows frames and misbehaves: it resets, stalls, cuts frames in the middle, and loses tails.

use std::{
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::Duration,
};

use anyhow::Context;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
};

use super::dice::Dice;

/// How the bytes that pass are cut into frames.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Cut {
    /// A 2-byte binary length before each frame.
    Len2,
    /// Four ASCII digits before each frame.
    Ascii4,
    /// Whatever one read gives.
    Reads,
}

/// How often each fault happens, per frame, in 1 / 10,000.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Rates {
    /// Both sides are reset before the frame is passed on.
    pub(super) reset: u64,
    /// Half of the frame is passed on, then both sides are reset.
    pub(super) cut: u64,
    /// The frame is swallowed; both sides are reset a little later.
    pub(super) lost: u64,
    /// The frame waits for `stall`.
    pub(super) stall: u64,
    /// How long.
    pub(super) stall_for: Duration,
}

/// How often each fault happened.
#[derive(Debug, Default)]
pub(super) struct Counts {
    /// Resets.
    pub(super) reset: AtomicU64,
    /// Frames cut.
    pub(super) cut: AtomicU64,
    /// Tails lost.
    pub(super) lost: AtomicU64,
    /// Stalls.
    pub(super) stall: AtomicU64,
}

/// A running proxy. Ends with the runtime.
#[derive(Debug)]
pub(super) struct Proxy {
    /// Where it listens.
    pub(super) address: SocketAddr,
    /// What it did.
    pub(super) counts: Arc<Counts>,
    calm: Arc<AtomicBool>,
}

impl Proxy {
    /// Listens on a free port and passes everything on to `target`.
    ///
    /// # Errors
    /// No port is free.
    pub(super) async fn start(
        target: SocketAddr,
        cut: Cut,
        rates: Rates,
        seed: u64,
    ) -> anyhow::Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await.context("proxy")?;
        let address = listener.local_addr()?;
        let counts = Arc::new(Counts::default());
        let calm = Arc::new(AtomicBool::new(false));
        let proxy = Self { address, counts: Arc::clone(&counts), calm: Arc::clone(&calm) };
        tokio::spawn(async move {
            let mut dice = Dice::new(seed);
            while let Ok((client, _)) = listener.accept().await {
                let pipe =
                    Pipe { cut, rates, counts: Arc::clone(&counts), calm: Arc::clone(&calm) };
                tokio::spawn(pair(client, target, pipe, Dice::new(dice.next())));
            }
        });
        Ok(proxy)
    }

    /// From now on no faults, or faults again.
    pub(super) fn calm(&self, calm: bool) {
        self.calm.store(calm, Ordering::Relaxed);
    }
}

#[derive(Clone)]
struct Pipe {
    cut: Cut,
    rates: Rates,
    counts: Arc<Counts>,
    calm: Arc<AtomicBool>,
}

enum Fault {
    None,
    Reset,
    Cut,
    Lost,
    Stall,
}

async fn pair(client: TcpStream, target: SocketAddr, pipe: Pipe, mut dice: Dice) {
    let Ok(server) = TcpStream::connect(target).await else {
        return reset(&client);
    };
    for stream in [&client, &server] {
        let _ = stream.set_nodelay(true);
    }
    let (client_read, client_write) = client.into_split();
    let (server_read, server_write) = server.into_split();
    let up = pass(client_read, server_write, pipe.clone(), Dice::new(dice.next()));
    let down = pass(server_read, client_write, pipe, Dice::new(dice.next()));
    // either side's end ends both, as for a broken path
    let (read, write) = tokio::select! { ends = up => ends, ends = down => ends };
    drop((read, write));
}

type Ends = (tokio::net::tcp::OwnedReadHalf, tokio::net::tcp::OwnedWriteHalf);

async fn pass(
    mut from: tokio::net::tcp::OwnedReadHalf,
    mut to: tokio::net::tcp::OwnedWriteHalf,
    pipe: Pipe,
    mut dice: Dice,
) -> Ends {
    let mut waiting = Vec::new();
    let mut landing = vec![0; 16 * 1024];
    'passing: while let Ok(count @ 1..) = from.read(&mut landing).await {
        waiting.extend_from_slice(landing.get(..count).unwrap_or(&[]));
        while let Some(length) = pipe.frame(&waiting) {
            let frame: Vec<u8> = waiting.drain(..length).collect();
            match pipe.roll(&mut dice) {
                Fault::None => {}
                Fault::Stall => tokio::time::sleep(pipe.rates.stall_for).await,
                Fault::Cut => {
                    let half = frame.get(..frame.len() / 2).unwrap_or(&[]);
                    let _ = to.write_all(half).await;
                    broken(&from, &to);
                    break 'passing;
                }
                Fault::Lost => {
                    tokio::time::sleep(Duration::from_millis(100)).await;
                    broken(&from, &to);
                    break 'passing;
                }
                Fault::Reset => {
                    broken(&from, &to);
                    break 'passing;
                }
            }
            if to.write_all(&frame).await.is_err() {
                break 'passing;
            }
        }
    }
    (from, to)
}

fn broken(from: &tokio::net::tcp::OwnedReadHalf, to: &tokio::net::tcp::OwnedWriteHalf) {
    reset(from.as_ref());
    reset(to.as_ref());
}

/// Closing it will send a reset.
fn reset(stream: &TcpStream) {
    let _ = stream.set_zero_linger();
}

impl Pipe {
    /// The length of the first whole frame, its header included.
    fn frame(&self, bytes: &[u8]) -> Option<usize> {
        let length = match (self.cut, bytes) {
            (Cut::Reads, []) => return None,
            (Cut::Reads, _) => return Some(bytes.len()),
            (Cut::Len2, [high, low, ..]) => usize::from(u16::from_be_bytes([*high, *low])) + 2,
            (Cut::Ascii4, [a, b, c, d, ..]) => {
                let text = [*a, *b, *c, *d];
                let text = std::str::from_utf8(&text).ok()?;
                text.parse::<usize>().ok()? + 4
            }
            (Cut::Len2 | Cut::Ascii4, _) => return None,
        };
        (bytes.len() >= length).then_some(length)
    }

    fn roll(&self, dice: &mut Dice) -> Fault {
        if self.calm.load(Ordering::Relaxed) {
            return Fault::None;
        }
        let drawn = dice.below(10_000);
        let rates = &self.rates;
        let faults = [
            (rates.reset, Fault::Reset, &self.counts.reset),
            (rates.cut, Fault::Cut, &self.counts.cut),
            (rates.lost, Fault::Lost, &self.counts.lost),
            (rates.stall, Fault::Stall, &self.counts.stall),
        ];
        let mut up_to = 0;
        for (rate, fault, count) in faults {
            up_to += rate;
            if drawn < up_to {
                count.fetch_add(1, Ordering::Relaxed);
                return fault;
            }
        }
        Fault::None
    }
}
