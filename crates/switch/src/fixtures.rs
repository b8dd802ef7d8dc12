//! A terminal's sale and the settings around it, for the table tests of both sides.

use std::{sync::Arc, time::Duration};

use iso8583::{Cause, Dialect, Framing, Kind, Message, Mti};
use jiff::tz::TimeZone;
use keystore::CardKeys;
use switch_core::{
    AskId, Asked, Day, Epoch, Event, Fixed, Instant, NodeNo, Request, Row, RowState, TxnId, Wall,
};

use crate::{
    acquirer::{Inquiry, inquire, translate},
    clock::WireClock,
    config::{
        AcquirerSettings, IssuerSettings, Keepalive, ListenerSettings, MerchantSettings,
        ReconnectSettings, ReversalSettings, RouteSettings,
    },
    desk::{Desk, Directory},
    issuer,
    routes::{Merchants, Routes},
};

/// The number of the sale: its STAN towards the issuer is 234567.
const ID: TxnId = TxnId(1_234_567);
/// When messages are read.
const WALL: Wall = Wall(1_767_199_999_000_000);

pub(crate) struct Fixtures {
    pub(crate) keys: Arc<CardKeys>,
}

impl Fixtures {
    pub(crate) fn new() -> Self {
        let dir = tempfile::tempdir().expect("a directory");
        let path = dir.path().join("key");
        CardKeys::init(&path).expect("made");
        Self { keys: Arc::new(CardKeys::load(&path).expect("read")) }
    }

    pub(crate) fn issuer(dialect: &str) -> IssuerSettings {
        let second = Duration::from_secs(1);
        let dialect = Dialect::shipped(dialect).expect("shipped");
        IssuerSettings {
            name: "bank".into(),
            foreign: false,
            framing: dialect.framing(),
            dialect: Arc::new(dialect),
            endpoints: Vec::new(),
            connections: 1,
            timeout: second,
            max_in_flight: 10,
            sign_on: true,
            echo_interval: second,
            reconnect: ReconnectSettings { first: second, factor: 2.0, longest: second },
            unknown_codes: Vec::new(),
            max_per_second: 0,
            reversal: ReversalSettings {
                first: second,
                factor: 2.0,
                longest: second,
                attempts: 3,
                max_in_flight: 10,
                final_codes: Vec::new(),
            },
            idempotent_advices: true,
        }
    }

    pub(crate) fn directory() -> Directory {
        Self::directory_to(&Self::issuer("iso87-ascii"))
    }

    fn directory_to(issuer: &IssuerSettings) -> Directory {
        let route = RouteSettings { prefixes: vec!["62".to_owned()], issuer: "bank".into() };
        let merchant = MerchantSettings {
            id: "123456789012345".to_owned(),
            name: Some("Example Store".to_owned()),
            mcc: Some("5411".to_owned()),
            terminals: vec!["12345678".to_owned()],
            ..MerchantSettings::default()
        };
        Directory {
            routes: Routes::new(&[route]),
            merchants: Merchants::new(&[merchant]),
            issuers: [("bank".into(), Arc::new(issuer.clone()))].into(),
            acquirer: AcquirerSettings {
                institution: "12345678".to_owned(),
                forwarding: "87654321".to_owned(),
            },
            clock: WireClock::new(TimeZone::get("Asia/Shanghai").expect("bundled")),
            repeat_window: Duration::from_secs(600),
        }
    }

    pub(crate) fn desk(&self, dialect: &str, issuer: &IssuerSettings) -> Desk {
        let dialect = Dialect::shipped(dialect).expect("shipped");
        Desk {
            listener: ListenerSettings {
                name: "pos".into(),
                listen: String::new(),
                framing: Framing::Len2,
                dialect: Arc::new(dialect),
                domain: "default".to_owned(),
                response_deadline: Duration::from_secs(50),
                undelivered_grace: Duration::from_secs(60),
                idle_timeout: Duration::from_secs(180),
                max_connections: 1,
                max_frame: 4_096,
                proxy_protocol: false,
                keepalive: Keepalive::Count,
            },
            directory: Arc::new(Self::directory_to(issuer)),
            keys: Arc::clone(&self.keys),
            batches: Arc::default(),
            parameters: None,
        }
    }

    /// The sale as a terminal of `cup-pos` sends it.
    pub(crate) fn sale() -> Message {
        let mut sale = Message::new(Mti::parse("0200").expect("digits"));
        for (number, text) in [
            (2, "6212345678901232"),
            (3, "000000"),
            (4, "000000012345"),
            (11, "000042"),
            (14, "2912"),
            (22, "051"),
            (25, "00"),
            (41, "12345678"),
            (42, "123456789012345"),
            (49, "156"),
            (60, "22000007000"),
        ] {
            sale.set_text(number, text);
        }
        sale.set_binary(55, &[0x9F, 0x26, 2, 1, 2, 0x9F, 0x36, 1, 9]);
        sale
    }

    /// The sale as a terminal of this dialect sends it, changed and read from the wire.
    pub(crate) fn sale_of(dialect: &str, change: impl FnOnce(&mut Message)) -> Message {
        let dialect = Dialect::shipped(dialect).expect("shipped");
        let mut sale = Self::sale();
        if dialect.elements().type_code.is_none() {
            sale.remove(60);
        }
        if dialect.version() == 1 {
            sale.set_mti(Mti::parse("1200").expect("digits"));
            for (number, text) in
                [(12, "260101005319"), (22, "510101513001"), (24, "200"), (25, "1510")]
            {
                sale.set_text(number, text);
            }
        }
        change(&mut sale);
        let mut bytes = bytes::BytesMut::new();
        sale.encode(&dialect, &mut bytes).expect("its dialect");
        Message::decode(&dialect, bytes.freeze()).expect("sound")
    }

    /// A transaction of this kind, as a terminal of this dialect sends it.
    pub(crate) fn of_kind(dialect: &str, kind: Kind) -> Message {
        let of = Dialect::shipped(dialect).expect("shipped");
        let row = of.row(kind).expect("a kind");
        Self::sale_of(dialect, |message| {
            message.set_mti(row.mti);
            let network = of.elements().network_code.filter(|_| of.version() == 1);
            let network = network.map(|element| element.field).zip(row.network_codes.first());
            for (number, text) in [
                row.processing_code.as_ref().map(|code| (3, code)),
                row.condition.as_ref().map(|code| (25, code)),
                network,
            ]
            .into_iter()
            .flatten()
            {
                message.set_text(number, text);
            }
            message.set_text(37, "000000000007");
            message.set_text(38, "A12345");
            let at = if of.version() == 1 { 56 } else { 90 };
            let mti = if of.version() == 1 { "1200" } else { "0200" };
            let width = if of.version() == 1 { 34 } else { 42 };
            if of.elements().type_code.is_some() {
                let code = row.type_code.as_deref().unwrap_or("00");
                message.set_text(60, &format!("{code}000007000"));
                message.set_text(61, "000007000042");
                return;
            }
            message.set_text(at, &format!("{:0<width$}", format!("{mti}000042")));
        })
    }

    /// The message of a terminal of dialect `from`, as it reaches its host, and the row that is kept of it.
    ///
    /// # Errors
    /// It is refused before anything is durable.
    pub(crate) fn passed(
        &self,
        from: &str,
        message: &Message,
        issuer: &IssuerSettings,
    ) -> Result<(Message, Row), Cause> {
        let desk = self.desk(from, issuer);
        let mut request = match Self::ask(&desk, message) {
            Inquiry::Event(Event::Request(request), _)
            | Inquiry::Look(Event::Request(request), _) => *request,
            Inquiry::Refuse(cause) => return Err(cause),
            other => panic!("a request expected, {other:?} found"),
        };
        if let Some(cause) = request.refusal {
            return Err(cause);
        }
        let kind = request.kind;
        if request.original.is_some() {
            let more = translate(&desk, message, WALL, kind, issuer, &[])?;
            request.carried = [request.carried, more].concat().into();
        }
        let carried = &request.carried;
        let sent = issuer::request(issuer, &desk.directory, kind, ID, message, carried);
        let sent = Self::read_by(issuer, &sent.expect("a kind"));
        Ok((sent, Self::row_of(request)))
    }

    /// A message as the host reads it.
    pub(crate) fn read_by(issuer: &IssuerSettings, message: &Message) -> Message {
        let mut bytes = bytes::BytesMut::new();
        message.encode(&issuer.dialect, &mut bytes).expect("its dialect");
        Message::decode(&issuer.dialect, bytes.freeze()).expect("sound")
    }

    pub(crate) fn ask(desk: &Desk, message: &Message) -> Inquiry {
        Self::ask_partly(desk, message, None)
    }

    /// The same of a message of which these elements could not be read.
    pub(crate) fn ask_partly(desk: &Desk, message: &Message, unread: Option<&[u8]>) -> Inquiry {
        let asked = Asked {
            ask: AskId(1),
            listener: "pos".into(),
            deadline: Instant(0),
            grace: Duration::ZERO,
        };
        inquire(desk, message, asked, WALL, unread)
    }

    fn request(&self, issuer: &IssuerSettings) -> Request {
        match Self::ask(&self.desk("cup-pos", issuer), &Self::sale()) {
            Inquiry::Event(Event::Request(request), Some(_)) => *request,
            other => panic!("a request expected, {other:?} found"),
        }
    }

    pub(crate) fn card_hash(&self) -> [u8; 16] {
        self.request(&Self::issuer("iso87-ascii")).card.hash
    }

    /// The sale as it goes to the issuer.
    pub(crate) fn forwarded(&self, issuer: &IssuerSettings) -> Message {
        let request = self.request(issuer);
        let directory = Self::directory_to(issuer);
        issuer::request(issuer, &directory, request.kind, ID, &Self::sale(), &request.carried)
            .expect("a kind")
    }

    /// The row that is kept of the sale.
    pub(crate) fn row(&self, issuer: &IssuerSettings) -> Row {
        Self::row_of(self.request(issuer))
    }

    fn row_of(request: Request) -> Row {
        Row {
            fixed: Arc::new(Fixed {
                key: request.key,
                id: ID,
                kind: request.kind,
                node: NodeNo(1),
                epoch: Epoch(1),
                created: Wall(0),
                listener: "pos".into(),
                merchant: request.merchant,
                terminal: request.terminal,
                stan: request.stan,
                amount: request.amount,
                currency: request.currency,
                digest: request.digest,
                issuer: request.issuer,
                card: request.card,
                carried: request.carried,
            }),
            day: Day(0),
            version: 0,
            change: 0,
            state: RowState::TimedOut,
            cause: Cause::NoAnswer,
            code: None,
            approved: 0,
            answer: bytes::Bytes::new(),
            copies: 0,
            late: 0,
            concluded: None,
            claimed: 0,
            claiming: None,
        }
    }
}
