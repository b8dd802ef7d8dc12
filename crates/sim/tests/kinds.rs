//! Every kind of transaction at an issuer, told as stories: what is answered, and what the account holds after it.

use std::collections::HashMap;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use iso8583::{Code, Dialect, Kind, Message, SHIPPED};
use sim::issuer::{Issuer, IssuerOptions, Script};
use tempfile::TempDir;

/// What each account of these stories holds at first.
const SCRIPT: &str = "balance = 10000\nhold_expires = \"30d\"\n";

/// A request as it was sent, and what its answer said.
struct Sent {
    kind: Kind,
    message: Message,
    approval: String,
}

/// A switch that speaks to one issuer: every request has its own STAN and RRN.
struct Switch {
    dialect: Arc<Dialect>,
    stream: TcpStream,
    number: u32,
    sent: HashMap<String, Sent>,
}

impl Switch {
    fn connect(dialect: &Arc<Dialect>, issuer: &Issuer) -> Self {
        let stream = TcpStream::connect(issuer.local_addr()).expect("connected");
        Self { dialect: Arc::clone(dialect), stream, number: 0, sent: HashMap::new() }
    }

    fn exchange(&mut self, message: &Message) -> Message {
        let framing = self.dialect.framing();
        let (mut body, mut frame) = (BytesMut::new(), BytesMut::new());
        message.encode(&self.dialect, &mut body).expect("encoded");
        framing.write(body.len(), &mut frame).expect("short");
        frame.extend_from_slice(&body);
        self.stream.write_all(&frame).expect("written");
        let mut head = vec![0; framing.header_length()];
        self.stream.read_exact(&mut head).expect("an answer");
        let length = framing.read(&head).expect("a length").expect("a length");
        let mut body = vec![0; length];
        self.stream.read_exact(&mut body).expect("an answer");
        let answer = Message::decode(&self.dialect, Bytes::from(body)).expect("sound");
        assert_eq!(answer.mti(), message.mti().response());
        assert_eq!(answer.text(11), message.text(11));
        answer
    }

    fn request(&mut self, kind: Kind, amount: u64, card: &str, of: Option<&str>) -> Message {
        self.number += 1;
        let row = self.dialect.row(kind).expect("a kind of the dialect");
        let mut message = Message::new(row.mti);
        message.set_text(2, card);
        if let Some(code) = &row.processing_code {
            message.set_text(3, code);
        }
        if kind.moves_money() {
            message.set_text(4, &format!("{amount:012}"));
        }
        message.set_text(11, &format!("{:06}", self.number));
        if let Some(condition) = &row.condition {
            message.set_text(25, condition);
        }
        message.set_text(37, &format!("6{:011}", self.number));
        message.set_text(41, "T0000001");
        message.set_text(42, "M00000000000001");
        message.set_text(49, "156");
        let elements = self.dialect.elements();
        match &row.type_code {
            Some(code) => message.set_text(60, &format!("{code}00000700060")),
            None if elements.batch.is_some() => message.set_text(60, "00000007951"),
            None => message.set_text(7, &format!("11230915{:02}", self.number % 60)),
        }
        if self.dialect.version() == 1 {
            message.set_text(12, &format!("2611230915{:02}", self.number % 60));
            message.set_text(24, row.network_codes.first().map_or("200", String::as_str));
        }
        let Some(original) = of.and_then(|name| self.sent.get(name)) else { return message };
        if elements.original_stan.is_some() {
            let stan = original.message.text(11).expect("a STAN");
            message.set_text(61, &format!("000007{stan}1123"));
        }
        self.name_by_elements(&mut message, &original.message);
        message.set_text(38, &original.approval);
        message
    }

    /// Names an original by its data elements, where the dialect has them: 90, or 56 of the 1993 version.
    fn name_by_elements(&self, message: &mut Message, original: &Message) {
        let Some(at) = self.dialect.elements().original_elements else { return };
        let (mti, stan) = (original.mti(), original.text(11).expect("a STAN"));
        let text = if self.dialect.version() == 1 {
            format!("{mti}{stan}{}0812345678", original.text(12).expect("a time"))
        } else {
            format!("{mti}{stan}{}{:022}", original.text(7).expect("a time"), 0)
        };
        message.set_text(at.field, &text);
    }

    /// Tells one line of a story: `purchase p 500 = 00`, `void v of p 500 = 00`, `reverse v = 00`, `repeat r = 00`,
    /// `copy r = 00`, `balance = 9500`; `other` at its end is another card.
    fn tell(&mut self, line: &str) {
        let (what, expected) = line.split_once(" = ").expect("what comes of it");
        let words: Vec<&str> = what.split(' ').collect();
        let card = if words.contains(&"other") { "6200000000000013" } else { "6200000000000005" };
        match words[0] {
            "balance" => {
                let message = self.request(Kind::BalanceEnquiry, 0, card, None);
                let answer = self.exchange(&message);
                let balance = answer.text(54).expect("a balance").into_owned();
                let digits: i64 =
                    balance.get(8..).and_then(|digits| digits.parse().ok()).expect("digits");
                assert_eq!(digits.to_string(), expected, "{}: {line}", self.dialect.name());
                return;
            }
            "reverse" => {
                let sent = self.sent.get(words[1]).expect("told before");
                let mut message = sent.message.clone();
                let row = self.dialect.row(Kind::Reversal).expect("a kind of the dialect");
                message.set_mti(row.mti);
                message.remove(61);
                if let Some(function) = row.network_codes.first() {
                    message.set_text(24, function);
                }
                self.name_by_elements(&mut message, &sent.message);
                self.expect(&message, expected, line);
                return;
            }
            "repeat" | "copy" => {
                let mut message = self.sent.get(words[1]).expect("told before").message.clone();
                if words[0] == "repeat" {
                    message.set_mti(message.mti().repeat());
                }
                self.expect(&message, expected, line);
                return;
            }
            _ => {}
        }
        let kind = Kind::from_name(words[0]).expect("a kind");
        let of = words.iter().position(|word| *word == "of").map(|at| words[at + 1]);
        let amount = words.iter().filter_map(|word| word.parse().ok()).next_back().unwrap_or(0);
        let message = self.request(kind, amount, card, of);
        let answer = self.expect(&message, expected, line);
        let approval = answer.text(38).unwrap_or_default().into_owned();
        assert_eq!(approval.is_empty(), expected != "00", "{line}");
        self.sent.insert(words[1].to_owned(), Sent { kind, message, approval });
    }

    /// Exchanges it, and holds the answer's code against what the line says.
    fn expect(&mut self, message: &Message, expected: &str, line: &str) -> Message {
        let answer = self.exchange(message);
        let expected = self.dialect.from_iso87(Code::new(expected).expect("a code"));
        let expected = self.dialect.to_iso87(expected);
        let code = self.dialect.to_iso87(answer.code().expect("a code"));
        assert_eq!(code, expected, "{}: {line}", self.dialect.name());
        answer
    }

    fn forget_approval(&mut self, name: &str) {
        self.sent.get_mut(name).expect("told before").approval.clear();
    }
}

struct Bank {
    dir: TempDir,
    dialect: Arc<Dialect>,
}

impl Bank {
    fn new(dialect: &str) -> Self {
        let dialect = Arc::new(Dialect::shipped(dialect).expect("shipped"));
        Self { dir: tempfile::tempdir().expect("a directory"), dialect }
    }

    async fn open(&self, script: &str) -> Issuer {
        let mut options = IssuerOptions::new(Arc::clone(&self.dialect));
        options.script = Script::from_toml(script).expect("a script");
        options.ledger = Some(self.dir.path().join("issuer"));
        Issuer::start(options).await.expect("started")
    }

    fn events(&self) -> Vec<String> {
        let text = std::fs::read_to_string(self.dir.path().join("issuer")).expect("a ledger");
        let lines = text.lines().map(|line| serde_json::from_str(line).expect("json"));
        lines
            .map(|line: serde_json::Value| line["event"].as_str().expect("a text").into())
            .collect()
    }
}

/// A story comes out alike in every dialect, and whether or not the issuer is started again in the middle of it.
async fn check(script: &str, story: &[&str]) {
    for dialect in SHIPPED {
        for restarted in [false, true] {
            let bank = Bank::new(dialect);
            let mut issuer = bank.open(script).await;
            let mut switch = Switch::connect(&bank.dialect, &issuer);
            for line in story {
                if restarted {
                    issuer.stop().await;
                    issuer = bank.open(script).await;
                    switch.stream = TcpStream::connect(issuer.local_addr()).expect("connected");
                }
                switch.tell(line);
            }
            issuer.stop().await;
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_void_takes_a_sale_back_and_its_reversal_puts_it_back() {
    check(
        SCRIPT,
        &[
            "purchase p 500 = 00",
            "void v1 of p 400 = 64",
            "void v2 of p 500 other = 14",
            "void v of p 500 = 00",
            "balance = 10000",
            "void v3 of p 500 = 22",
            "reverse p = 25",
            "reverse v = 00",
            "balance = 9500",
            "reverse v = 00",
            "void v4 of p 500 = 00",
            "balance = 10000",
            "copy v4 = 00",
            "void v5 of nothing 500 = 25",
            "purchase q 700 = 00",
            "reverse q = 00",
            "void v6 of q 700 = 25",
            "instalment i 300 = 00",
            "void v7 of i 300 = 25",
            "instalment-void iv of i 300 = 00",
            "points o 300 = 00",
            "points-void ov of o 300 = 00",
            "balance = 10000",
        ],
    )
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn refunds_pay_back_at_most_what_is_left() {
    check(
        SCRIPT,
        &[
            "purchase p 500 = 00",
            "refund a of p 200 = 00",
            "repeat a = 00",
            "balance = 9700",
            "refund b of p 301 = 61",
            "void v of p 500 = 22",
            "refund c of p 300 = 00",
            "refund d of p 1 = 22",
            "balance = 10000",
            "offline-refund e 100 = 00",
            "balance = 10100",
            "refund f of nothing 100 = 25",
            "refund g of p 0 = 13",
        ],
    )
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_authorisation_holds_until_it_is_completed_or_released() {
    check(
        SCRIPT,
        &[
            "pre-authorisation h 1000 = 00",
            "balance = 9000",
            "purchase p 9001 = 51",
            "completion c1 of h 1151 = 61",
            "completion c of h 1150 = 00",
            "balance = 8850",
            "completion c2 of h 1000 = 22",
            "pre-authorisation-void v of h 1000 = 22",
            "reverse h = 25",
            "reverse c = 00",
            "balance = 9000",
            "completion-advice d of h 900 = 00",
            "repeat d = 00",
            "balance = 9100",
            "completion-void cv of d 900 = 00",
            "balance = 10000",
            "reverse cv = 00",
            "balance = 9100",
            "refund r of d 100 = 00",
            "balance = 9200",
            "pre-authorisation h2 1000 = 00",
            "pre-authorisation-void v2 of h2 900 = 64",
            "pre-authorisation-void v3 of h2 1000 = 00",
            "balance = 9200",
            "reverse v3 = 00",
            "balance = 8200",
            "reverse h2 = 00",
            "balance = 9200",
            "completion c3 of h2 100 = 25",
        ],
    )
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn adjustments_and_tips_change_what_a_sale_is_worth() {
    check(
        SCRIPT,
        &[
            "offline-sale s 1000 = 00",
            "repeat s = 00",
            "balance = 9000",
            "adjustment a of s 800 = 00",
            "balance = 9200",
            "repeat a = 00",
            "tip t of s 900 = 00",
            "balance = 9100",
            "offline-upload u 100 = 00",
            "balance = 9000",
            "purchase p 1000 = 00",
            "tip pt of p 1200 = 00",
            "void v1 of p 1000 = 64",
            "void v of p 1200 = 00",
            "tip pt2 of p 1300 = 22",
            "balance = 9000",
            "script-result r of p = 00",
            "script-result r2 of nothing2 = 00",
            "balance = 9000",
        ],
    )
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reversal_before_its_original_wins_whatever_the_kind() {
    for dialect in SHIPPED {
        let bank = Bank::new(dialect);
        let issuer = bank.open(SCRIPT).await;
        let mut switch = Switch::connect(&bank.dialect, &issuer);
        switch.tell("purchase p 500 = 00");
        for kind in [Kind::Void, Kind::PreAuthorisation, Kind::Instalment] {
            let of = (kind == Kind::Void).then_some("p");
            let message = switch.request(kind, 500, "6200000000000005", of);
            let name = kind.name().to_owned();
            switch.sent.insert(name, Sent { kind, message, approval: String::new() });
            switch.tell(&format!("reverse {} = 25", kind.name()));
            switch.tell(&format!("copy {} = 12", kind.name()));
        }
        switch.tell("balance = 9500");
        issuer.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hold_ends_by_itself() {
    let bank = Bank::new("iso87-ascii");
    let script = "balance = 10000\nhold_expires = \"200ms\"\ncompletion_percent = 100";
    let issuer = bank.open(script).await;
    let mut switch = Switch::connect(&bank.dialect, &issuer);
    switch.tell("pre-authorisation h 1000 = 00");
    switch.tell("completion c of h 1001 = 61");
    while !bank.events().contains(&"expired".to_owned()) {
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
    for line in ["completion d of h 900 = 22", "reverse h = 00", "balance = 10000"] {
        switch.tell(line);
    }
    issuer.stop().await;
    let issuer = bank.open(script).await;
    switch.stream = TcpStream::connect(issuer.local_addr()).expect("connected");
    switch.tell("balance = 10000");
    issuer.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_original_may_be_named_by_its_authorisation_alone() {
    for dialect in SHIPPED {
        let bank = Bank::new(dialect);
        let issuer = bank.open(SCRIPT).await;
        let mut switch = Switch::connect(&bank.dialect, &issuer);
        switch.tell("pre-authorisation h 1000 = 00");
        for (amount, card, wrong, expected) in [
            (900, "6200000000000013", false, "25"),
            (900, "6200000000000005", true, "25"),
            (900, "6200000000000005", false, "00"),
        ] {
            let mut message = switch.request(Kind::Completion, amount, card, Some("h"));
            for number in [56, 61, 90] {
                message.remove(number);
            }
            if wrong {
                message.set_text(38, "999999");
            }
            switch.expect(&message, expected, "a completion");
        }
        // Number and authorisation must be of the same transaction.
        switch.tell("purchase p 500 = 00");
        let mut message = switch.request(Kind::Void, 500, "6200000000000005", Some("p"));
        message.set_text(38, "999999");
        switch.expect(&message, "25", "a void with another's authorisation");
        switch.forget_approval("p");
        switch.tell("void v of p 500 = 00");
        assert_eq!(switch.sent["v"].kind, Kind::Void);
        issuer.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn scripts_choose_by_kind_and_group_and_a_lost_advice_is_posted_once() {
    let bank = Bank::new("iso87-ascii");
    let script = "balance = 10000\n\
                  [[rule]]\non = \"refund\"\ncopies = 1\ndo = \"decline\"\ncode = \"96\"\n\
                  [[rule]]\non = \"tip\"\ndo = \"decline\"\ncode = \"05\"\n\
                  [[rule]]\non = \"voids\"\nlimit = 1\ndo = \"decline\"\ncode = \"58\"";
    let issuer = bank.open(script).await;
    let mut switch = Switch::connect(&bank.dialect, &issuer);
    for line in [
        "purchase p 500 = 00",
        "void v of p 500 = 58",
        "refund r of p 500 = 96",
        "balance = 9500",
        "repeat r = 00",
        "repeat r = 00",
        "balance = 10000",
        "purchase q 500 = 00",
        "tip t of q 550 = 05",
        "repeat t = 05",
        "void v2 of q 500 = 00",
        "balance = 10000",
    ] {
        switch.tell(line);
    }
    let postings = issuer.counts().postings;
    assert_eq!((postings.duplicates, postings.repeated, postings.credited), (0, 3, 2));
    issuer.stop().await;
}
