//! The sections of a configuration file, with the default, the range and the meaning of every key.

use super::{
    section::{Absent, List, Many, Maybe, One, section},
    text::{Digits, FilePath, Framing, Keepalive, LogFormat, Name, Printable, ResponseCode},
    value::{Address, Count, Factor, Span, StoreUrl, TimeOfDay, Zone},
};
use crate::config::reserved::Reserved;
use Absent::{Computed, Default, Nothing, Required};

section! {
    /// A whole configuration file.
    pub(crate) struct Settings {
        /// This process.
        node: One<Node> = Nothing;
        /// The business day.
        day: One<BusinessDay> = Nothing;
        /// The database.
        store: One<Store> = Nothing;
        /// Card data at rest.
        card_data: One<CardData> = Nothing;
        /// HTTP.
        admin: One<Admin> = Nothing;
        /// Log lines.
        log: One<Log> = Nothing;
        /// What terminals fetch.
        parameters: One<Parameters> = Nothing;
        /// The institution on whose behalf messages are forwarded.
        acquirer: One<Acquirer> = Nothing;
        /// Where terminals connect.
        listener: Many<Listener> = Nothing;
        /// Where requests go.
        issuer: Many<Issuer> = Nothing;
        /// Which card goes where.
        route: Many<Route> = Nothing;
        /// Who may ask; where none is listed, anyone.
        merchant: Many<Merchant> = Nothing;
    }
}

section! {
    /// `[node]`: this process.
    pub(crate) struct Node {
        /// Its name in the database; one process a name.
        id: Name = Computed(host_name, "the host name");
        /// How long what is in flight may take at shutdown before it is timed out.
        drain_timeout: Span = Default("\"20s\"");
        /// Threads that carry transactions; 0 takes half the processors, 1 at least and 8 at most.
        threads: Count<0, 64> = Default("0");
    }
}

section! {
    /// `[day]`: the business day, the same on all nodes of a database.
    pub(crate) struct BusinessDay {
        /// The zone of `cutover`, and of 12 and 13 in answers.
        zone: Zone = Default("\"Asia/Shanghai\"");
        /// When the day ends.
        cutover: TimeOfDay = Default("\"23:00\"");
        /// How long identities of the former day still hold.
        overlap: Span = Default("\"2h\"");
        /// Within it an equal copy gets the stored answer, later 94.
        repeat_window: Span = Default("\"10m\"");
    }
}

section! {
    /// `[store]`: the database.
    pub(crate) struct Store {
        /// Its address; the path of `sqlite://` is relative to this file.
        url: StoreUrl = Default("\"sqlite://interlock.db\"");
        /// Connections for reading, beside the two writers.
        connections: Count<1, 256> = Default("4");
        /// Whether `serve` brings the database to this version.
        migrate: bool = Default("true");
    }
}

section! {
    /// `[card_data]`: the protection of card numbers at rest.
    pub(crate) struct CardData {
        /// The key, made by `interlock keys init`; relative to this file.
        key_file: FilePath = Default("\"card-data.key\"");
    }
}

section! {
    /// `[admin]`: metrics, health, readiness, API and console.
    pub(crate) struct Admin {
        /// Where HTTP is served. Off loopback only `/metrics`, `/healthz` and `/readyz` are.
        listen: Address = Default("\"127.0.0.1:8580\"");
    }
}

section! {
    /// `[log]`: log lines on standard error.
    pub(crate) struct Log {
        /// How they are written.
        format: LogFormat = Default("\"text\"");
        /// What is logged, as directives of tracing-subscriber; `INTERLOCK_LOG` overrides it.
        filter: Printable<500> = Default("\"info\"");
    }
}

section! {
    /// `[parameters]`: what terminals fetch.
    pub(crate) struct Parameters {
        /// The directory with `parameters.toml` and the files that it lists; relative to this file. Read again at SIGHUP.
        dir: Maybe<FilePath> = Nothing;
    }
}

section! {
    /// `[acquirer]`: on whose behalf messages are forwarded.
    pub(crate) struct Acquirer {
        /// Acquiring institution, 32 and 90.
        institution: Digits<1, 11> = Default("\"00000000\"");
        /// Forwarding institution, 33 and 90.
        forwarding: Digits<1, 11> = Default("\"00000000\"");
    }
}

section! {
    /// `[[listener]]`: where terminals connect.
    pub(crate) struct Listener {
        /// Its name in logs, metrics and rows.
        name: Name = Required;
        /// Where it listens; port 0 takes a free one.
        listen: Address = Required;
        /// The dialect of its terminals.
        dialect: Name = Required;
        /// How frames are delimited, if not as the dialect says.
        framing: Maybe<Framing> = Nothing;
        /// Listeners of one domain share identities.
        domain: Name = Default("\"default\"");
        /// The longest that a terminal waits for an answer; above every issuer's `timeout`, below 60s.
        response_deadline: Span = Default("\"50s\"");
        /// How long an undelivered approval waits for its terminal to come back before it is reversed.
        undelivered_grace: Span = Default("\"60s\"");
        /// A connection without a frame for so long is closed.
        idle_timeout: Span = Default("\"180s\"");
        /// Most connections at once.
        max_connections: Count<1, 1_000_000> = Default("100000");
        /// Longest frame in bytes.
        max_frame: Count<64, 65_535> = Default("4096");
        /// Whether each connection begins with a PROXY protocol v2 header.
        proxy_protocol: bool = Default("false");
        /// Whether zero-length frames are only counted, or answered alike.
        keepalive: Keepalive = Default("\"count\"");
        /// Needed to listen off loopback, where there is no TLS.
        allow_plaintext: bool = Default("false");
        /// Reserved for terminal keys.
        keys: Reserved = Nothing;
        /// Reserved for TLS.
        tls: Reserved = Nothing;
    }
}

section! {
    /// `[[issuer]]`: where requests go.
    pub(crate) struct Issuer {
        /// Its name in routes, logs, metrics and rows.
        name: Name = Required;
        /// The dialect of its host.
        dialect: Name = Required;
        /// Whether its cards count as foreign in the totals of a settlement.
        foreign: bool = Default("false");
        /// How frames are delimited, if not as the dialect says.
        framing: Maybe<Framing> = Nothing;
        /// Addresses of its host.
        endpoints: List<Address> = Required;
        /// Connections to each endpoint.
        connections: Count<1, 64> = Default("2");
        /// How long an answer may take, from the write; then the request is reversed.
        timeout: Span = Default("\"15s\"");
        /// Most requests in flight.
        max_in_flight: Count<1, 1_000_000> = Default("2000");
        /// Whether a connection begins with a sign-on.
        sign_on: bool = Default("true");
        /// How often an idle connection is tested.
        echo_interval: Span = Default("\"30s\"");
        /// The waits between attempts to connect.
        reconnect: One<Reconnect> = Nothing;
        /// Codes that count as silence.
        unknown_codes: List<ResponseCode> = Default("[\"68\", \"98\"]");
        /// Most messages a second, 0 for no limit.
        max_per_second: Count<0, 1_000_000> = Default("0");
        /// How reversals are repeated.
        reversal: One<Reversal> = Nothing;
        /// Whether a repeated advice or refund (0221) counts as the same there; if not, it gets one copy, then a case opens.
        idempotent_advices: bool = Default("false");
        /// Reserved for issuer keys.
        keys: Reserved = Nothing;
        /// Reserved for TLS.
        tls: Reserved = Nothing;
    }
}

section! {
    /// `reconnect`: the waits between attempts to connect.
    pub(crate) struct Reconnect {
        /// The first; taken again once a line was signed on and up for ten seconds.
        first: Span = Default("\"200ms\"");
        /// Each further wait is so many times longer.
        factor: Factor = Default("2.0");
        /// No wait is longer.
        longest: Span = Default("\"10s\"");
    }
}

section! {
    /// `reversal`: how reversals are repeated.
    pub(crate) struct Reversal {
        /// The wait before the second attempt; the first goes at once.
        first: Span = Default("\"2s\"");
        /// Each further wait is so many times longer.
        factor: Factor = Default("2.0");
        /// No wait is longer.
        longest: Span = Default("\"5m\"");
        /// After so many a case opens, and attempts go on at `longest`.
        attempts: Count<1, 1_000_000> = Default("50");
        /// Most reversals in flight; beside sales they start at a twentieth of the sales' rate and 250 a second.
        max_in_flight: Count<1, 100_000> = Default("100");
        /// Codes that end it.
        final_codes: List<ResponseCode> = Default("[\"00\", \"25\"]");
    }
}

section! {
    /// `[[route]]`: which card goes where; the longest prefix wins, then the order.
    pub(crate) struct Route {
        /// First digits of card numbers.
        prefixes: List<Digits<1, 19>> = Required;
        /// The issuer that they go to.
        issuer: Name = Required;
    }
}

section! {
    /// `[[merchant]]`: who may ask; where any is listed, an unknown one gets 03.
    pub(crate) struct Merchant {
        /// Its number, 42.
        id: Printable<15> = Required;
        /// Its name and place, 43.
        name: Maybe<Printable<40>> = Nothing;
        /// Its category, 18.
        mcc: Maybe<Digits<4, 4>> = Nothing;
        /// Its terminals, 41; where none is listed, any.
        terminals: List<Printable<8>> = Nothing;
        /// Its own limits on refunds, completions and tips.
        limits: One<MerchantLimits> = Nothing;
    }
}

section! {
    /// `limits`: what a merchant's requests may take of their original, where it is not what the dialect says.
    pub(crate) struct MerchantLimits {
        /// How many business days old the original of a refund may be.
        refund_days: Maybe<Count<1, 366>> = Nothing;
        /// How many business days old the pre-authorisation of a completion or void may be.
        completion_days: Maybe<Count<1, 366>> = Nothing;
        /// For how many percent of what was pre-authorised a completion may be.
        completion_percent: Maybe<Count<100, 1_000>> = Nothing;
        /// How many percent of what it was a sale with its tip may be.
        tip_percent: Maybe<Count<100, 1_000>> = Nothing;
    }
}

/// The host's name, with other characters replaced, so that it is always a name.
fn host_name() -> String {
    let text = std::fs::read_to_string("/proc/sys/kernel/hostname")
        .or_else(|_| std::fs::read_to_string("/etc/hostname"))
        .unwrap_or_default();
    let name: String = text
        .trim()
        .chars()
        .take(64)
        .map(|c| if c.is_ascii_alphanumeric() || "-_.".contains(c) { c } else { '-' })
        .collect();
    if name.is_empty() { "interlock".to_owned() } else { name }
}
