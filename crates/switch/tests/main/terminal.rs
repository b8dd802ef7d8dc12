//! A small terminal, as tests want it.

use std::{net::SocketAddr, time::Duration};

use bytes::{Bytes, BytesMut};
use iso8583::{Dialect, Framing, Header, Message, Mti};
use link::{Deframer, Framed};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    time::timeout,
};

/// Long enough that only a fault reaches it.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);

/// A connection that speaks `cup-pos`.
pub(crate) struct Terminal {
    pub(crate) dialect: Dialect,
    pub(crate) stream: TcpStream,
    deframer: Deframer,
}

/// A request of terminal 12345678 with this trace number.
pub(crate) fn request(mti: &str, stan: u32) -> Message {
    let mut message = Message::new(Mti::parse(mti).expect("digits"));
    message.set_header(Header::new([0x60, 0, 3, 0, 7], [0x60, 0x31, 0, 0x31, 7, 0x30]));
    message.set_text(11, &format!("{stan:06}"));
    message.set_text(41, "12345678");
    message.set_text(42, "123456789012345");
    message
}

/// A sale.
pub(crate) fn purchase(stan: u32, amount: u64) -> Message {
    let mut message = request("0200", stan);
    message.set_text(2, "6212345678901232");
    message.set_text(3, "000000");
    message.set_text(4, &format!("{amount:012}"));
    message.set_text(14, "2912");
    message.set_text(22, "021");
    message.set_text(25, "00");
    message.set_text(49, "156");
    message.set_binary(52, &[1, 2, 3, 4, 5, 6, 7, 8]);
    message.set_binary(55, &[0x9F, 0x26, 2, 1, 2, 0x9F, 0x36, 1, 9]);
    message.set_text(60, "22000001000");
    message
}

/// The terminal's reversal of that sale.
pub(crate) fn reversal(stan: u32, amount: u64) -> Message {
    let mut message = purchase(stan, amount);
    message.set_mti(Mti::parse("0400").expect("digits"));
    for number in [52, 55] {
        message.remove(number);
    }
    message.set_text(39, "98");
    message.set_text(61, &format!("000001{stan:06}"));
    message
}

impl Terminal {
    pub(crate) async fn connect(address: SocketAddr) -> Self {
        let stream = TcpStream::connect(address).await.expect("the switch listens");
        Self {
            dialect: Dialect::shipped("cup-pos").expect("shipped"),
            stream,
            deframer: Deframer::new(Framing::Len2, 9_999),
        }
    }

    /// Changes to another shipped dialect.
    pub(crate) fn speak(&mut self, dialect: &str) {
        self.dialect = Dialect::shipped(dialect).expect("shipped");
        self.deframer = Deframer::new(self.dialect.framing(), 9_999);
    }

    pub(crate) fn bytes(&self, message: &Message) -> Bytes {
        let mut bytes = BytesMut::new();
        message.encode_framed(&self.dialect, &mut bytes).expect("encodes");
        bytes.freeze()
    }

    pub(crate) async fn send(&mut self, message: &Message) {
        let bytes = self.bytes(message);
        self.stream.write_all(&bytes).await.expect("written");
    }

    /// The next message, or nothing at the end of the connection.
    pub(crate) async fn receive(&mut self) -> Option<Message> {
        let mut buffer = vec![0; 4_096];
        loop {
            match self.deframer.take().expect("sound frames") {
                Some(Framed::Frame(frame)) => {
                    return Some(Message::decode(&self.dialect, frame).expect("a sound answer"));
                }
                Some(Framed::KeepAlive) => continue,
                None => {}
            }
            match timeout(PATIENCE, self.stream.read(&mut buffer)).await.expect("an answer in time")
            {
                Ok(0) | Err(_) => return None,
                Ok(count) => self.deframer.push(&buffer[..count]),
            }
        }
    }

    /// Writes bytes as they are.
    pub(crate) async fn write(&mut self, bytes: &[u8]) {
        self.stream.write_all(bytes).await.expect("written");
    }

    /// Whether the switch closes the connection, without another message.
    pub(crate) async fn is_closed(&mut self) -> bool {
        self.receive().await.is_none()
    }

    pub(crate) async fn ask(&mut self, message: &Message) -> Message {
        self.send(message).await;
        self.receive().await.expect("an answer")
    }
}

/// The response code.
pub(crate) fn code(message: &Message) -> String {
    message.text(39).expect("a code").into_owned()
}
