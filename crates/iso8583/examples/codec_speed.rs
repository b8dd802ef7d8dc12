//! How fast the codec is on one thread: `codec_speed [WHAT] [ROUNDS]` prints millions a second.
//!
//! With one `WHAT` and a small number of rounds it is what `valgrind --tool=callgrind` counts.
#![expect(clippy::print_stdout, reason = "a program that prints figures")]

use std::error::Error;
use std::hint::black_box;
use std::time::Instant;

use bytes::{Bytes, BytesMut};
use iso8583::{Cause, Code, Dialect, Kind, Message, Mti};

type Done = Result<usize, Box<dyn Error>>;
type Step = fn(&Bench) -> Done;

/// What is measured, by name.
const STEPS: [(&str, Step); 9] = [
    ("decode-cup", decode_cup),
    ("decode-iso87", decode_iso87),
    ("edit-cup", edit_cup),
    ("read-cup", read_cup),
    ("judge-cup", judge_cup),
    ("forward", forward),
    ("answer", answer),
    ("respond", respond),
    ("purchase", purchase),
];

/// Dialects and frames of one purchase.
struct Bench {
    cup: Dialect,
    iso87: Dialect,
    /// The terminal's request.
    request: Bytes,
    /// The same, as it goes to the issuer.
    forwarded: Bytes,
    /// The issuer's answer.
    answered: Bytes,
    terminal: Message,
}

impl Bench {
    fn new() -> Result<Self, Box<dyn Error>> {
        let cup = Dialect::shipped("cup-pos").ok_or("no cup-pos")?;
        let iso87 = Dialect::shipped("iso87-ascii").ok_or("no iso87-ascii")?;
        let mut buffer = BytesMut::new();
        sale()?.encode(&cup, &mut buffer)?;
        let request = buffer.split().freeze();
        let terminal = Message::decode(&cup, request.clone())?;
        let mut bench =
            Self { cup, iso87, request, forwarded: Bytes::new(), answered: Bytes::new(), terminal };
        let issuers = bench.for_issuer(&bench.terminal)?;
        issuers.encode(&bench.iso87, &mut buffer)?;
        bench.forwarded = buffer.split().freeze();
        let mut answer = Message::new(issuers.mti().response());
        for number in [3, 4, 7, 11, 12, 13, 32, 37, 41, 42, 49] {
            answer.copy(number, &issuers);
        }
        answer.set_text(38, "A12345");
        answer.set_text(39, "00");
        answer.set_binary(55, &[0x91, 0x0A, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 0x8A, 2, 0x30, 0x30]);
        answer.encode(&bench.iso87, &mut buffer)?;
        bench.answered = buffer.split().freeze();
        Ok(bench)
    }

    /// The issuer's request, made as the switch makes it.
    fn for_issuer(&self, terminal: &Message) -> Result<Message, Box<dyn Error>> {
        let mut message = Message::new(self.iso87.row(Kind::Purchase).ok_or("no kind")?.mti);
        for number in [4, 14, 26, 35, 36, 41, 42, 49, 52, 53] {
            if self.iso87.field(number).is_some() && terminal.has(number) {
                message.copy(number, terminal);
            }
        }
        let pan = terminal.pan().ok_or("no card")?;
        message.set_text(2, pan.expose());
        for (number, text) in [
            (3, "000000"),
            (7, "1125224516"),
            (12, "224516"),
            (13, "1125"),
            (22, "051"),
            (23, "001"),
            (25, "00"),
            (32, "48031000"),
            (33, "48031000"),
            (18, "5411"),
            (43, "A SHOP IN TOWN"),
        ] {
            message.set_text(number, text);
        }
        message.set_number(11, 234_567, 6);
        message.set_number(37, 1_234_567, 12);
        message.copy(55, terminal);
        Ok(message)
    }
}

/// A purchase with a chip card and a PIN: twenty fields, about 250 bytes as a terminal writes it.
fn sale() -> Result<Message, Box<dyn Error>> {
    let mut message = Message::new(Mti::parse("0200")?);
    for (number, text) in [
        (2, "6212345678901232"),
        (3, "000000"),
        (4, "000000012345"),
        (11, "000042"),
        (12, "224516"),
        (13, "1125"),
        (14, "3012"),
        (22, "051"),
        (23, "001"),
        (25, "00"),
        (26, "12"),
        (35, "6212345678901232=30122010000012300000"),
        (41, "12345678"),
        (42, "123456789012345"),
        (49, "156"),
        (52, "0102030405060708"),
        (53, "2600000000000000"),
        (
            55,
            "9F2608112233445566778895050080048000\
             9F2701809F101307010103A0A002010A010000000000ABCDEF01\
             9F3704112233449F36020047820278009C01009F1A0201569A032611259F02060000000123455F2A020156\
             9F03060000000000009F3303E0E1C89F34030203009F3501228408A0000003330101019F090200209F4104\
             00000042",
        ),
        (60, "22000007000500"),
        (64, "A1B2C3D4E5F60718"),
    ] {
        message.set_text(number, text);
    }
    Ok(message)
}

fn decode_cup(bench: &Bench) -> Done {
    let message = Message::decode(&bench.cup, bench.request.clone())?;
    Ok(usize::from(black_box(&message).has(55)))
}

fn decode_iso87(bench: &Bench) -> Done {
    let message = Message::decode(&bench.iso87, bench.forwarded.clone())?;
    Ok(usize::from(black_box(&message).has(55)))
}

fn edit_cup(bench: &Bench) -> Done {
    let mut message = Message::decode(&bench.cup, bench.request.clone())?;
    message.set_text(11, "654321");
    let mut frame = BytesMut::with_capacity(512);
    message.encode(&bench.cup, &mut frame)?;
    Ok(black_box(&frame).len())
}

/// What the acquirer reads of a request.
fn read_message(bench: &Bench, message: &Message) -> Done {
    let elements = bench.cup.elements();
    let mut room = [0; 64];
    let mut element =
        |element| bench.cup.element_bytes(message, element, &mut room).map_or(0, |text| text.len());
    let ends = element(elements.terminal) + element(elements.merchant);
    let number = |element| bench.cup.element_number(message, element);
    black_box((number(elements.stan), elements.batch.map(number)));
    let mut text = |number| message.text_bytes(number, &mut room).map_or(0, |text| text.len());
    let mut texts = 0;
    for number in [3, 4, 14, 22, 23, 25, 25, 37, 49, 49] {
        texts += text(number);
    }
    let [cryptogram, counter] = message.tags55([0x9F26, 0x9F36]);
    let pan = message.pan().ok_or("no card")?;
    let stan = message.stan().ok_or("no trace number")?;
    let amount = message.number(4).ok_or("no amount")?;
    black_box((stan, amount));
    Ok(ends + texts + cryptogram.len() + counter.len() + pan.expose().len())
}

fn read_cup(bench: &Bench) -> Done {
    read_message(bench, &bench.terminal)
}

fn judge(bench: &Bench, message: &Message) -> Done {
    let row = bench.cup.kind_of(message).ok_or("no kind")?;
    bench.cup.check_request(row, message)?;
    let meaning = bench.cup.meaning(Code::APPROVED).ok_or("no meaning")?;
    Ok(row.echoed.len() + meaning.en.len() + bench.cup.code_for(Cause::Format).as_str().len())
}

fn judge_cup(bench: &Bench) -> Done {
    judge(bench, &bench.terminal)
}

fn forward_message(bench: &Bench, terminal: &Message) -> Done {
    let frame = bench.for_issuer(terminal)?.to_frame(&bench.iso87, bench.iso87.framing())?;
    Ok(black_box(&frame).len())
}

fn forward(bench: &Bench) -> Done {
    forward_message(bench, &bench.terminal)
}

/// What is read of an issuer's answer.
fn answer(bench: &Bench) -> Done {
    let message = Message::decode(&bench.iso87, bench.answered.clone())?;
    let code = message.code().ok_or("no code")?;
    let class = bench.iso87.meaning(code).map(|meaning| meaning.class);
    let mut room = [0; 64];
    let mut texts = 0;
    for number in [37, 41, 42, 49, 15, 32, 38, 44, 54, 63] {
        texts += message.text_bytes(number, &mut room).map_or(0, |text| text.len());
    }
    let amount = message.number(4).ok_or("no amount")?;
    let stan = message.stan().ok_or("no trace number")?;
    let chip = message.chip().ok_or("no chip data")?;
    black_box((class, amount, stan));
    Ok(texts + chip.len())
}

fn respond_to(bench: &Bench, request: &Message) -> Done {
    let mut response = Message::new(request.mti().response());
    if let Some(header) = request.header() {
        response.set_header(header.answer());
    }
    for &number in &bench.cup.kind_of(request).ok_or("no kind")?.echoed {
        if request.has(number) {
            response.copy(number, request);
        }
    }
    response.set_number(37, 1_234_567, 12);
    for (number, text) in
        [(39, "00"), (12, "224516"), (13, "1125"), (32, "48031000"), (38, "A12345")]
    {
        response.set_text(number, text);
    }
    response.set_binary(55, &[0x91, 0x0A, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 0x8A, 2, 0x30, 0x30]);
    let frame = response.to_frame(&bench.cup, bench.cup.framing())?;
    Ok(black_box(&frame).len())
}

fn respond(bench: &Bench) -> Done {
    respond_to(bench, &bench.terminal)
}

/// All of one purchase.
fn purchase(bench: &Bench) -> Done {
    let terminal = Message::decode(&bench.cup, bench.request.clone())?;
    Ok(judge(bench, &terminal)?
        + read_message(bench, &terminal)?
        + forward_message(bench, &terminal)?
        + answer(bench)?
        + respond_to(bench, &terminal)?)
}

fn main() -> Result<(), Box<dyn Error>> {
    let bench = Bench::new()?;
    let mut arguments = std::env::args().skip(1);
    let wanted = arguments.next().unwrap_or_default();
    let rounds: u32 = arguments.next().map_or(Ok(1_000_000), |text| text.parse())?;
    println!(
        "request {} bytes, {} fields; forwarded {} bytes; answer {} bytes",
        bench.request.len(),
        bench.terminal.fields().count(),
        bench.forwarded.len(),
        bench.answered.len()
    );
    for (name, step) in STEPS.into_iter().filter(|step| wanted.is_empty() || step.0 == wanted) {
        let mut best = f64::MAX;
        for _ in 0..if wanted.is_empty() { 5 } else { 1 } {
            let start = Instant::now();
            for _ in 0..rounds {
                black_box(step(black_box(&bench))?);
            }
            best = best.min(start.elapsed().as_secs_f64());
        }
        let rate = f64::from(rounds) / best / 1e6;
        println!("{name:14} {rate:7.3} M/s  {:7.1} ns", 1e3 / rate);
    }
    Ok(())
}
