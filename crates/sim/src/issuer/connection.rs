//! One connection to an issuer: frames in, answers out, and what a script makes of it.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use bytes::{Buf, BytesMut};
use iso8583::Message;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep, sleep_until};

use super::action::{Action, Posting, Reply};
use super::answer::Writer;
use super::desk::Decision;
use super::incoming::Incoming;
use super::server::Shared;
use super::telling::Verdict;

/// No message is longer.
const MAX_FRAME: usize = 8192;

/// What comes due for a connection later.
enum Due {
    Bytes(BytesMut),
    HangUp,
}

/// What became of a batch of messages.
#[derive(Default)]
struct Batch {
    out: BytesMut,
    hang_up: bool,
    pause: Option<Duration>,
}

type Later = mpsc::UnboundedSender<Due>;

/// Serves a connection until it ends.
pub(super) async fn serve(shared: Arc<Shared>, mut stream: TcpStream) -> io::Result<()> {
    stream.set_nodelay(true)?;
    let (later, mut due) = mpsc::unbounded_channel();
    let mut input = BytesMut::with_capacity(64 * 1024);
    let mut paused: Option<Instant> = None;
    loop {
        let until = paused.unwrap_or_else(Instant::now);
        tokio::select! {
            read = stream.read_buf(&mut input), if paused.is_none() => {
                if read? == 0 {
                    return Ok(());
                }
                let batch = deal_with(&shared, &mut input, &later)?;
                stream.write_all(&batch.out).await?;
                if batch.hang_up {
                    return Ok(());
                }
                paused = batch.pause.map(|pause| Instant::now() + pause);
            }
            Some(due) = due.recv() => match due {
                Due::Bytes(bytes) => stream.write_all(&bytes).await?,
                Due::HangUp => return Ok(()),
            },
            () = sleep_until(until), if paused.is_some() => paused = None,
        }
    }
}

/// Deals with all whole messages that have come. The ledger has what was posted before the first answer is written.
fn deal_with(shared: &Arc<Shared>, input: &mut BytesMut, later: &Later) -> io::Result<Batch> {
    let mut requests = Vec::new();
    while let Some(message) = next(shared, input)? {
        let Writer { dialect, direct, .. } = &shared.writer;
        let incoming = Incoming::read(dialect, &message, *direct);
        requests.push((incoming, message));
    }
    let mut batch = Batch::default();
    if requests.is_empty() {
        return Ok(batch);
    }
    let decisions: Vec<Decision> = {
        let mut desk = shared.desk();
        let decisions = requests.iter().map(|(incoming, _)| desk.decide(incoming)).collect();
        desk.flush().map_err(io::Error::other)?;
        decisions
    };
    for ((incoming, message), decision) in requests.into_iter().zip(decisions) {
        let Decision { action, verdict } = decision;
        let at_once = action.after.is_zero() && action.posting != Posting::Then;
        match (at_once, verdict) {
            (true, Some(verdict)) => {
                show(shared, (&message, &incoming), (&action, &verdict), &mut batch, later);
            }
            (_, verdict) => {
                let (shared, later) = (Arc::clone(shared), later.clone());
                tokio::spawn(answer_later(shared, later, (message, incoming), action, verdict));
            }
        }
    }
    Ok(batch)
}

/// The next whole message. One that cannot be read is passed over, as are frames without content.
fn next(shared: &Shared, input: &mut BytesMut) -> io::Result<Option<Message>> {
    let framing = shared.writer.framing;
    while let Some(length) = framing.read(input).map_err(io::Error::other)? {
        if length > MAX_FRAME {
            return Err(io::Error::other("a frame is too long"));
        }
        if input.len() < framing.header_length() + length {
            break;
        }
        input.advance(framing.header_length());
        let frame = input.split_to(length).freeze();
        if length == 0 {
            continue;
        }
        match Message::decode(&shared.writer.dialect, frame) {
            Ok(message) if message.mti().is_request() => return Ok(Some(message)),
            Ok(message) => tracing::warn!(mti = %message.mti(), "an answer that nobody asked for"),
            Err(error) => tracing::warn!(%error, "a message that cannot be read"),
        }
    }
    Ok(None)
}

/// Writes what the other side gets to see.
fn show(
    shared: &Arc<Shared>,
    (message, incoming): (&Message, &Incoming),
    (action, verdict): (&Action, &Verdict),
    batch: &mut Batch,
    later: &Later,
) {
    let write = |to: &mut BytesMut| {
        shared.writer.write(message, incoming, (verdict, action.reply), to);
    };
    match action.reply {
        Reply::Plain | Reply::Altered(_) | Reply::Malformed => write(&mut batch.out),
        Reply::Nothing => {}
        Reply::Twice(gap) if gap.is_zero() => {
            write(&mut batch.out);
            write(&mut batch.out);
        }
        Reply::Twice(gap) => {
            write(&mut batch.out);
            let mut second = BytesMut::new();
            write(&mut second);
            let later = later.clone();
            tokio::spawn(async move {
                sleep(gap).await;
                // A connection that is gone takes no second copy.
                let _gone = later.send(Due::Bytes(second));
            });
        }
        Reply::HangUp => batch.hang_up = true,
        Reply::StopReading(pause) => {
            write(&mut batch.out);
            batch.pause = Some(pause);
        }
        Reply::Refuse(pause) => shared.refuse(pause),
    }
}

/// Answers when it is time, and posts then what is to be posted then: also if the connection has gone.
async fn answer_later(
    shared: Arc<Shared>,
    later: Later,
    (message, incoming): (Message, Incoming),
    action: Action,
    verdict: Option<Verdict>,
) {
    sleep(action.after).await;
    let verdict = match verdict {
        Some(verdict) => verdict,
        None => {
            let mut desk = shared.desk();
            let verdict = desk.post(&incoming, &action, true);
            if let Err(error) = desk.flush() {
                tracing::error!(%error, "an answer is not given");
                return;
            }
            verdict
        }
    };
    let mut batch = Batch::default();
    show(&shared, (&message, &incoming), (&action, &verdict), &mut batch, &later);
    let due = if batch.hang_up { Due::HangUp } else { Due::Bytes(batch.out) };
    // A connection that is gone takes no answer.
    let _gone = later.send(due);
}
