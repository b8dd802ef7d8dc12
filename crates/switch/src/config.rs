//! The settings that the runtime needs, as types: whoever makes them has parsed and checked them.

use std::{path::PathBuf, sync::Arc, time::Duration};

use iso8583::{Code, Dialect, Framing};
use jiff::{civil::Time, tz::TimeZone};
use switch_core::Name;

/// All settings of a node. Made from the configuration file; every default stands there.
#[derive(Debug, Clone)]
pub struct Settings {
    /// `[node]`.
    pub node: NodeSettings,
    /// `[day]`.
    pub day: DaySettings,
    /// `[store]`.
    pub store: StoreSettings,
    /// `[card_data]`.
    pub card_data: CardDataSettings,
    /// `[acquirer]`.
    pub acquirer: AcquirerSettings,
    /// `[[listener]]`.
    pub listeners: Vec<ListenerSettings>,
    /// `[[issuer]]`.
    pub issuers: Vec<IssuerSettings>,
    /// `[[route]]`, in the order of the file.
    pub routes: Vec<RouteSettings>,
    /// `[[merchant]]`; where none is listed, every merchant is known.
    pub merchants: Vec<MerchantSettings>,
    /// `[parameters] dir`: what terminals fetch; none where nothing is kept for them.
    pub parameters: Option<PathBuf>,
    /// Bounds that no configuration file sets.
    pub bounds: Bounds,
}

/// This node.
#[derive(Debug, Clone)]
pub struct NodeSettings {
    /// Its name: one process at a time has it.
    pub id: String,
    /// How long what is in flight may take to finish when the node stops.
    pub drain_timeout: Duration,
    /// Threads that carry transactions; 0 takes what suits the machine.
    pub threads: u32,
}

/// The business day.
#[derive(Debug, Clone)]
pub struct DaySettings {
    /// The zone's name, as it is kept in the database.
    pub zone_name: String,
    /// The zone.
    pub zone: TimeZone,
    /// When the day changes.
    pub cutover: Time,
    /// How long after it identities of the former day hold.
    pub overlap: Duration,
    /// Within it an equal copy gets the stored answer (M6).
    pub repeat_window: Duration,
}

/// Where transactions are kept.
#[derive(Debug, Clone)]
pub struct StoreSettings {
    /// `sqlite://PATH`, the path absolute, or `postgres://...`.
    pub url: String,
    /// Connections for reading, beside those of the writers.
    pub connections: u32,
    /// Whether to bring the database to this version at start.
    pub migrate: bool,
}

/// The protection of card data at rest.
#[derive(Debug, Clone)]
pub struct CardDataSettings {
    /// The file of its key.
    pub key_file: PathBuf,
}

/// Who we are towards issuers.
#[derive(Debug, Clone)]
pub struct AcquirerSettings {
    /// Acquiring institution (32), up to eleven digits.
    pub institution: String,
    /// Forwarding institution (33), up to eleven digits.
    pub forwarding: String,
}

/// A port for terminals.
#[derive(Debug, Clone)]
pub struct ListenerSettings {
    /// Its name in metrics and rows.
    pub name: Name,
    /// `host:port`; port 0 takes a free one.
    pub listen: String,
    /// How its terminals write.
    pub dialect: Arc<Dialect>,
    /// How their messages are framed.
    pub framing: Framing,
    /// Listeners of one domain share identities.
    pub domain: String,
    /// The switch's own answer to the terminal must be given within it.
    pub response_deadline: Duration,
    /// An approval certainly not delivered is reversed after it (M10).
    pub undelivered_grace: Duration,
    /// A connection on which nothing comes for so long is closed.
    pub idle_timeout: Duration,
    /// Most connections at a time.
    pub max_connections: usize,
    /// Longest message, in bytes.
    pub max_frame: usize,
    /// Whether connections begin with a PROXY header of version 2.
    pub proxy_protocol: bool,
    /// What a zero-length frame is answered with.
    pub keepalive: Keepalive,
}

/// What becomes of a zero-length frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Keepalive {
    /// It is counted.
    Count,
    /// It is counted and sent back.
    Echo,
}

/// An issuer's host.
#[derive(Debug, Clone)]
pub struct IssuerSettings {
    /// Its name.
    pub name: Name,
    /// How it writes.
    pub dialect: Arc<Dialect>,
    /// Whether its cards count as foreign in a settlement's totals.
    pub foreign: bool,
    /// How its messages are framed.
    pub framing: Framing,
    /// Where it listens, each `host:port`.
    pub endpoints: Vec<String>,
    /// Connections to each endpoint.
    pub connections: usize,
    /// How long an answer may take (M3).
    pub timeout: Duration,
    /// Most requests in flight (M16).
    pub max_in_flight: usize,
    /// Whether a link is signed on before requests are sent.
    pub sign_on: bool,
    /// An idle link is tested so often.
    pub echo_interval: Duration,
    /// When a lost link is connected again.
    pub reconnect: ReconnectSettings,
    /// Codes that count as silence (M3).
    pub unknown_codes: Vec<Code>,
    /// Most messages a second, over all links; 0 sets no limit.
    pub max_per_second: u32,
    /// Its reversals (M4).
    pub reversal: ReversalSettings,
    /// Whether it takes a repeated advice or refund for the same (M12); if not, it gets one copy.
    pub idempotent_advices: bool,
}

/// When a lost link is connected again.
#[derive(Debug, Clone)]
pub struct ReconnectSettings {
    /// The first wait.
    pub first: Duration,
    /// Each further wait is so many times longer.
    pub factor: f64,
    /// No wait is longer.
    pub longest: Duration,
}

/// When a reversal is repeated, and when it is done (M4).
#[derive(Debug, Clone)]
pub struct ReversalSettings {
    /// The wait before the second attempt.
    pub first: Duration,
    /// Each further wait is so many times longer.
    pub factor: f64,
    /// No wait is longer.
    pub longest: Duration,
    /// After so many a case opens.
    pub attempts: u32,
    /// Most in flight.
    pub max_in_flight: usize,
    /// Codes that end it.
    pub final_codes: Vec<Code>,
}

/// Which cards belong to which issuer.
#[derive(Debug, Clone)]
pub struct RouteSettings {
    /// First digits of card numbers.
    pub prefixes: Vec<String>,
    /// The issuer's name.
    pub issuer: Name,
}

/// A merchant that is known.
#[derive(Debug, Clone, Default)]
pub struct MerchantSettings {
    /// Merchant (42), without padding.
    pub id: String,
    /// Name and place (43).
    pub name: Option<String>,
    /// Merchant category (18).
    pub mcc: Option<String>,
    /// Its terminals (41); where none is listed, all are known.
    pub terminals: Vec<String>,
    /// What it may take of an original, where that differs from the dialect's (M11).
    pub limits: OriginalLimits,
}

/// A merchant's own limits on requests about an original (M11); none: the dialect's.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct OriginalLimits {
    /// A refund's original may be so many business days old.
    pub refund_days: Option<u16>,
    /// A completion's pre-authorisation may be so many business days old.
    pub completion_days: Option<u16>,
    /// A completion may be for so many percent of what was pre-authorised.
    pub completion_percent: Option<u16>,
    /// A sale with its tip may be so many percent of what it was.
    pub tip_percent: Option<u16>,
}

/// Bounds that are part of the design rather than of a site. Tests set them low.
#[derive(Debug, Clone)]
pub struct Bounds {
    /// A frame must be complete so long after its first byte.
    pub frame: Duration,
    /// Most zero-length frames a second on one terminal connection.
    pub keepalives: u32,
    /// Most bytes that wait to be written to one terminal connection.
    pub outbound: usize,
    /// Most messages of one terminal connection that wait for an answer; then its socket is not read.
    pub asks_per_connection: usize,
    /// Most messages of all terminals that wait for an answer; then no socket is read.
    pub asks: usize,
    /// Most unreadable frames a minute on one terminal connection; at so many it is closed.
    pub unreadable: u32,
    /// Most frames that wait on one link to an issuer.
    pub link_queue: usize,
    /// Longest message of an issuer, in bytes.
    pub link_frame: usize,
    /// Kernel memory for what an issuer has not taken, in bytes, on one link: what lies there cannot be called back.
    pub link_send_buffer: usize,
    /// Most answers of one link that wait for the engine; then its socket is not read.
    pub link_answers: usize,
    /// A link that takes no byte for so long while bytes wait is stalled: it is reset before a reversal goes round it.
    pub stalled: Duration,
    /// How long connecting, a sign-on or an echo may take.
    pub network_patience: Duration,
    /// A link on which nothing is heard for so long while an answer is awaited is tested with an echo.
    pub link_silence: Duration,
    /// A link on which nothing is heard for so long after an echo is mute: others go before it.
    pub link_probe: Duration,
}

impl Default for Bounds {
    fn default() -> Self {
        Self {
            frame: Duration::from_secs(5),
            keepalives: 10,
            outbound: 64 * 1024,
            asks_per_connection: 100,
            asks: 50_000,
            unreadable: 10,
            link_queue: 2_000,
            link_frame: 9_999,
            link_send_buffer: 256 * 1024,
            link_answers: 2_000,
            stalled: Duration::from_secs(2),
            network_patience: Duration::from_secs(5),
            link_silence: Duration::from_secs(3),
            link_probe: Duration::from_secs(2),
        }
    }
}
