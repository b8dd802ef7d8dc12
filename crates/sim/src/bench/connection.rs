//! One connection of simulated terminals: connects, writes what they send, gives them their answers.

use std::io;
use std::rc::Rc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use bytes::{Buf, BytesMut};
use iso8583::Message;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::{sleep, sleep_until, timeout};

use super::floor::{Floor, Turn};
use super::mix::Keep;
use super::pacer::{Phase, Turnout};
use super::terminal::Terminal;

/// No answer is longer.
const MAX_FRAME: usize = 8192;
/// Without terminals that wait for anything.
const FAR: Duration = Duration::from_secs(3600);

/// Why a connection ended.
enum End {
    /// The terminals closed it, and come back after so long.
    Away(Duration),
    Lost,
}

/// The connection `index` and its terminals.
pub(super) struct Connection {
    pub(super) floor: Rc<Floor>,
    pub(super) index: usize,
    pub(super) target: String,
    pub(super) terminals: Vec<Terminal>,
}

impl Connection {
    /// Connects, and connects again, for ever.
    pub(super) async fn run(mut self) {
        let mut pause = Duration::from_millis(20);
        loop {
            let connecting = TcpStream::connect(&self.target);
            if let Ok(Ok(stream)) = timeout(Duration::from_secs(5), connecting).await {
                self.floor.live.connected.fetch_add(1, Ordering::Relaxed);
                let end = self.serve(stream).await;
                self.floor.live.connected.fetch_sub(1, Ordering::Relaxed);
                self.lost();
                pause = match end {
                    Ok(End::Away(away)) => away,
                    Ok(End::Lost) | Err(_) => {
                        self.floor.stats.borrow_mut().error("connection lost");
                        Duration::from_millis(20)
                    }
                };
            }
            sleep(pause).await;
            pause = (pause * 2).clamp(Duration::from_millis(20), Duration::from_secs(1));
        }
    }

    fn lost(&mut self) {
        let mut out = Vec::new();
        let turn = turn(&self.floor, &mut out);
        for terminal in &mut self.terminals {
            terminal.gone(&turn);
        }
        self.floor.pacer.forget(self.index);
        self.count_unsettled();
    }

    fn count_unsettled(&self) {
        let count = self.terminals.iter().filter(|terminal| !terminal.is_settled()).count();
        if let Some(slot) = self.floor.pacer.slot(self.index) {
            slot.unsettled.set(count);
        }
    }

    async fn serve(&mut self, mut stream: TcpStream) -> io::Result<End> {
        stream.set_nodelay(true)?;
        let floor = Rc::clone(&self.floor);
        let Some(slot) = floor.pacer.slot(self.index) else { return Ok(End::Lost) };
        let mut input = BytesMut::with_capacity(16 * 1024);
        let mut out = Vec::with_capacity(1024);
        let mut armed = Instant::now() + FAR;
        let timer = sleep_until(armed.into());
        tokio::pin!(timer);
        let mut touched: Vec<usize> = (0..self.terminals.len()).collect();
        let mut close = self.all(&mut out, Terminal::back);
        loop {
            if close.is_none() {
                close = self.go_on(&mut touched, &mut out);
            }
            if !out.is_empty() {
                stream.write_all(&out).await?;
                out.clear();
            }
            if let Some(away) = close {
                return Ok(End::Away(away));
            }
            let next = touched.drain(..).filter_map(|place| self.terminals.get(place)?.deadline());
            if let Some(next) = next.min().filter(|next| *next < armed) {
                armed = next;
                timer.as_mut().reset(armed.into());
            }
            input.reserve(4096);
            tokio::select! {
                biased;
                read = stream.read_buf(&mut input) => {
                    if read? == 0 {
                        return Ok(End::Lost);
                    }
                    close = self.answers(&mut input, &mut out, &mut touched)?;
                }
                () = slot.wake.notified() => {
                    close = self.woken(&mut out, &mut touched);
                }
                () = timer.as_mut() => {
                    close = self.all(&mut out, Terminal::time);
                    touched.extend(0..self.terminals.len());
                    armed = Instant::now() + FAR;
                    timer.as_mut().reset(armed.into());
                }
            }
        }
    }

    /// Lets terminals that are free begin what is due.
    fn go_on(&mut self, touched: &mut [usize], out: &mut Vec<u8>) -> Option<Duration> {
        let floor = Rc::clone(&self.floor);
        let mut turn = turn(&floor, out);
        for place in touched {
            let Some(terminal) = self.terminals.get_mut(*place) else { continue };
            if !terminal.is_free() || terminal.listed {
                continue;
            }
            match floor.pacer.next_for((self.index, *place), turn.now) {
                Turnout::Begin(due) => {
                    floor.stats.borrow_mut().late(turn.now.saturating_duration_since(due));
                    terminal.begin(due, &mut turn);
                }
                Turnout::Listed => terminal.listed = true,
                Turnout::Nothing => {}
            }
        }
        if floor.pacer.phase() == Phase::Healing {
            self.count_unsettled();
        }
        turn.close
    }

    /// Something was handed out, or another phase begins, or time passes in the last one.
    fn woken(&mut self, out: &mut Vec<u8>, touched: &mut Vec<usize>) -> Option<Duration> {
        let floor = Rc::clone(&self.floor);
        if floor.pacer.phase() == Phase::Healing {
            touched.extend(0..self.terminals.len());
            return self.all(out, Terminal::clear_up);
        }
        let mut turn = turn(&floor, out);
        let given = floor.pacer.take(self.index);
        if given.is_empty() {
            touched.extend(0..self.terminals.len());
        }
        for (place, due) in given {
            touched.push(place);
            if let Some(terminal) = self.terminals.get_mut(place) {
                floor.stats.borrow_mut().own_late(turn.now.saturating_duration_since(due));
                terminal.begin(due, &mut turn);
            }
        }
        turn.close
    }

    fn all(
        &mut self,
        out: &mut Vec<u8>,
        what: fn(&mut Terminal, &mut Turn<'_>),
    ) -> Option<Duration> {
        let floor = Rc::clone(&self.floor);
        let mut turn = turn(&floor, out);
        for terminal in &mut self.terminals {
            what(terminal, &mut turn);
        }
        turn.close
    }

    /// Gives each whole answer to its terminal.
    fn answers(
        &mut self,
        input: &mut BytesMut,
        out: &mut Vec<u8>,
        touched: &mut Vec<usize>,
    ) -> io::Result<Option<Duration>> {
        let floor = Rc::clone(&self.floor);
        let mut turn = turn(&floor, out);
        let framing = floor.framing;
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
            let Ok(message) = Message::decode(&floor.dialect, frame) else {
                floor.stats.borrow_mut().error("unreadable answer");
                continue;
            };
            match self.place_of(&message) {
                Some(place) => {
                    if let Some(terminal) = self.terminals.get_mut(place) {
                        terminal.answer(&message, &mut turn);
                        touched.push(place);
                        if !floor.mix.think.is_zero() {
                            terminal.think(floor.mix.think, turn.now);
                        }
                    }
                }
                None => floor.stats.borrow_mut().error("answer to another terminal"),
            }
        }
        let close = turn.close;
        Ok(close.or_else(|| self.is_over(touched).then_some(Duration::ZERO)))
    }

    /// Whether a connection that carries one transaction has carried it.
    fn is_over(&self, answered: &[usize]) -> bool {
        self.floor.mix.connection == Keep::PerTransaction
            && self.floor.pacer.phase() == Phase::Load
            && !answered.is_empty()
            && self.terminals.iter().all(Terminal::is_free)
    }

    /// Which of the terminals an answer is for, by 41.
    fn place_of(&self, message: &Message) -> Option<usize> {
        let number: u64 = message.text(41)?.trim_end().parse().ok()?;
        let first = u64::from(self.floor.mix.first_terminal);
        let index = usize::try_from(number.checked_sub(first)?).ok()? % self.floor.terminals;
        let place = index / self.floor.connections;
        let ours = index % self.floor.connections == self.index;
        let known = u64::from(self.terminals.get(place)?.number()) == number;
        (ours && known).then_some(place)
    }
}

fn turn<'a>(floor: &'a Floor, out: &'a mut Vec<u8>) -> Turn<'a> {
    Turn { floor, now: Instant::now(), out, close: None }
}
