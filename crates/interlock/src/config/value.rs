//! The plain values of a configuration: each knows how it is written, its range, and how to say what it expected.

use std::{fmt, net::IpAddr, ops::RangeInclusive, time::Duration};

use ::config::{Value, ValueKind};

/// A value that is written as one text, number or truth value.
pub(crate) trait Leaf: Sized {
    /// What is accepted, for messages and the reference.
    const EXPECTED: &'static str;

    /// The same with its range.
    fn expected() -> String {
        Self::EXPECTED.to_owned()
    }

    /// The value written as `text`.
    ///
    /// # Errors
    /// What is wrong with it.
    fn of_text(text: &str) -> Result<Self, String>;

    /// A value to go on with after a fault, so that the other faults are found too.
    fn stand_in() -> Self;

    /// The value of a node of the tree. From the environment (`lenient`) all is text.
    ///
    /// # Errors
    /// What was found.
    fn parse(value: &Value, _lenient: bool) -> Result<Self, String> {
        match &value.kind {
            ValueKind::String(text) => Self::of_text(text),
            other => Err(format!("{} is not a text", shown(other))),
        }
    }

    /// The value of a default, written in TOML.
    fn of_default(text: &str) -> Option<Self> {
        let value = default_value(text)?;
        Self::parse(&value, false).ok()
    }
}

/// What stands in the TOML value `text`.
pub(crate) fn default_value(text: &str) -> Option<Value> {
    let document = format!("value = {text}");
    let tree = ::config::Config::builder()
        .add_source(::config::File::from_str(&document, ::config::FileFormat::Toml))
        .build()
        .ok()?;
    let ValueKind::Table(mut table) = tree.cache.kind else { return None };
    table.remove("value")
}

/// The elements of the TOML array `text`.
pub(crate) fn default_list(text: &str) -> Vec<Value> {
    match default_value(text).map(|value| value.kind) {
        Some(ValueKind::Array(list)) => list,
        _ => Vec::new(),
    }
}

/// A node of the tree as a message quotes it.
fn shown(kind: &ValueKind) -> String {
    match kind {
        ValueKind::Nil => "nothing".to_owned(),
        ValueKind::Table(_) => "a table".to_owned(),
        ValueKind::Array(_) => "a list".to_owned(),
        ValueKind::String(text) => quoted(text),
        ValueKind::Boolean(_)
        | ValueKind::I64(_)
        | ValueKind::I128(_)
        | ValueKind::U64(_)
        | ValueKind::U128(_)
        | ValueKind::Float(_) => kind.to_string(),
    }
}

/// A text as a message quotes it: escaped and not longer than a line.
pub(crate) fn quoted(text: &str) -> String {
    let short: String = text.chars().take(60).collect();
    let more = if short.len() < text.len() { "…" } else { "" };
    format!("\"{}{more}\"", short.escape_debug())
}

/// A span of time: `15s`, `500ms`, `2h`, from 10 ms to 30 days.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Span(pub(crate) Duration);

impl Span {
    const SHORTEST: Duration = Duration::from_millis(10);
    const LONGEST: Duration = Duration::from_secs(30 * 24 * 60 * 60);
}

impl Leaf for Span {
    const EXPECTED: &'static str =
        "a duration such as \"15s\", \"500ms\" or \"2h\", from 10ms to 30d";

    fn of_text(text: &str) -> Result<Self, String> {
        let digits = text.bytes().take_while(u8::is_ascii_digit).count();
        let (number, unit) = text.split_at_checked(digits).unwrap_or(("", text));
        let wrong = || format!("{} is not a duration", quoted(text));
        let milliseconds = match unit {
            "ms" => 1,
            "s" => 1_000,
            "m" => 60_000,
            "h" => 3_600_000,
            "d" => 86_400_000,
            _ => return Err(wrong()),
        };
        let number: u64 = number.parse().map_err(|_| wrong())?;
        let span = Duration::from_millis(number.saturating_mul(milliseconds));
        if (Self::SHORTEST..=Self::LONGEST).contains(&span) {
            Ok(Self(span))
        } else {
            Err(format!("{} is out of range", quoted(text)))
        }
    }

    fn stand_in() -> Self {
        Self(Duration::from_secs(1))
    }
}

impl fmt::Display for Span {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let milliseconds = self.0.as_millis();
        match [(86_400_000, "d"), (3_600_000, "h"), (60_000, "m"), (1_000, "s")]
            .into_iter()
            .find(|(size, _)| milliseconds.is_multiple_of(*size) && milliseconds / size > 1)
        {
            Some((size, unit)) => write!(f, "{}{unit}", milliseconds / size),
            None => write!(f, "{milliseconds}ms"),
        }
    }
}

/// An address, `host:port`; a host may be a name, an IPv4 address, or an IPv6 address in brackets.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Address {
    host: String,
    port: u16,
}

impl Address {
    /// The port; 0 asks for a free one where a socket is bound.
    pub(crate) fn port(&self) -> u16 {
        self.port
    }

    /// Whether it can be reached from this machine only.
    pub(crate) fn is_loopback(&self) -> bool {
        let bare = self.host.trim_start_matches('[').trim_end_matches(']');
        bare == "localhost" || bare.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.host, self.port)
    }
}

impl Leaf for Address {
    const EXPECTED: &'static str = "an address host:port such as \"127.0.0.1:8583\"";

    fn of_text(text: &str) -> Result<Self, String> {
        let wrong = || format!("{} is not an address", quoted(text));
        let (host, port) = text.rsplit_once(':').ok_or_else(wrong)?;
        let port: u16 = port.parse().map_err(|_| wrong())?;
        let inner = host.strip_prefix('[').and_then(|host| host.strip_suffix(']'));
        let good = match inner {
            Some(inner) => matches!(inner.parse(), Ok(IpAddr::V6(_))),
            None => {
                !host.is_empty()
                    && host
                        .bytes()
                        .all(|byte| byte.is_ascii_alphanumeric() || b".-_".contains(&byte))
            }
        };
        if good { Ok(Self { host: host.to_owned(), port }) } else { Err(wrong()) }
    }

    fn stand_in() -> Self {
        Self { host: "localhost".to_owned(), port: 0 }
    }
}

/// A whole number in a range.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Count<const LOW: u32, const HIGH: u32>(pub(crate) u32);

impl<const LOW: u32, const HIGH: u32> Count<LOW, HIGH> {
    const RANGE: RangeInclusive<u32> = LOW..=HIGH;

    fn of_number(number: i64) -> Result<Self, String> {
        u32::try_from(number)
            .ok()
            .filter(|number| Self::RANGE.contains(number))
            .map(Self)
            .ok_or_else(|| format!("{number} is out of range"))
    }
}

impl<const LOW: u32, const HIGH: u32> Leaf for Count<LOW, HIGH> {
    const EXPECTED: &'static str = "a whole number";

    fn expected() -> String {
        format!("a whole number from {LOW} to {HIGH}")
    }

    fn of_text(text: &str) -> Result<Self, String> {
        let number = text.parse().map_err(|_| format!("{} is not a number", quoted(text)))?;
        Self::of_number(number)
    }

    fn stand_in() -> Self {
        Self(LOW)
    }

    fn parse(value: &Value, lenient: bool) -> Result<Self, String> {
        match &value.kind {
            ValueKind::I64(number) => Self::of_number(*number),
            ValueKind::String(text) if lenient => Self::of_text(text),
            other => Err(format!("{} is not a whole number", shown(other))),
        }
    }
}

/// How many times longer each further wait is.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Factor(pub(crate) f64);

impl Factor {
    fn of_number(number: f64) -> Result<Self, String> {
        if (1.0..=100.0).contains(&number) {
            Ok(Self(number))
        } else {
            Err(format!("{number} is out of range"))
        }
    }
}

impl Leaf for Factor {
    const EXPECTED: &'static str = "a number from 1.0 to 100.0";

    fn of_text(text: &str) -> Result<Self, String> {
        let number = text.parse().map_err(|_| format!("{} is not a number", quoted(text)))?;
        Self::of_number(number)
    }

    fn stand_in() -> Self {
        Self(2.0)
    }

    fn parse(value: &Value, lenient: bool) -> Result<Self, String> {
        match &value.kind {
            ValueKind::Float(number) => Self::of_number(*number),
            ValueKind::I64(number) => i32::try_from(*number)
                .map_err(|_| format!("{number} is out of range"))
                .and_then(|number| Self::of_number(f64::from(number))),
            ValueKind::String(text) if lenient => Self::of_text(text),
            other => Err(format!("{} is not a number", shown(other))),
        }
    }
}

impl Leaf for bool {
    const EXPECTED: &'static str = "true or false";

    fn of_text(text: &str) -> Result<Self, String> {
        text.parse().map_err(|_| format!("{} is neither true nor false", quoted(text)))
    }

    fn stand_in() -> Self {
        false
    }

    fn parse(value: &Value, lenient: bool) -> Result<Self, String> {
        match &value.kind {
            ValueKind::Boolean(truth) => Ok(*truth),
            ValueKind::String(text) if lenient => Self::of_text(text),
            other => Err(format!("{} is neither true nor false", shown(other))),
        }
    }
}

/// A time of the day, `HH:MM`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct TimeOfDay(pub(crate) jiff::civil::Time);

impl Leaf for TimeOfDay {
    const EXPECTED: &'static str = "a time of the day such as \"23:00\"";

    fn of_text(text: &str) -> Result<Self, String> {
        let wrong = || format!("{} is not a time of the day", quoted(text));
        let (hour, minute) = text.split_once(':').ok_or_else(wrong)?;
        if hour.len() != 2 || minute.len() != 2 {
            return Err(wrong());
        }
        let hour = hour.parse().map_err(|_| wrong())?;
        let minute = minute.parse().map_err(|_| wrong())?;
        jiff::civil::Time::new(hour, minute, 0, 0).map(Self).map_err(|_| wrong())
    }

    fn stand_in() -> Self {
        Self(jiff::civil::Time::midnight())
    }
}

/// A time zone by its name in the IANA database.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Zone(pub(crate) String);

impl Leaf for Zone {
    const EXPECTED: &'static str = "a time zone of the IANA database such as \"Asia/Shanghai\"";

    fn of_text(text: &str) -> Result<Self, String> {
        jiff::tz::TimeZone::get(text)
            .map(|_| Self(text.to_owned()))
            .map_err(|_| format!("{} is no known time zone", quoted(text)))
    }

    fn stand_in() -> Self {
        Self("UTC".to_owned())
    }
}

/// The address of a store, a URL.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct StoreUrl(pub(crate) String);

impl Leaf for StoreUrl {
    const EXPECTED: &'static str = "\"sqlite://FILE\" or \"postgres://USER@HOST/DATABASE\"";

    fn of_text(text: &str) -> Result<Self, String> {
        let rest = ["sqlite://", "postgres://", "postgresql://"]
            .iter()
            .find_map(|scheme| text.strip_prefix(scheme));
        match rest {
            // The text itself may hold a password: it is not quoted.
            None => Err("not the address of a store".to_owned()),
            Some("") => Err("the address names no file or host".to_owned()),
            Some(_) => Ok(Self(text.to_owned())),
        }
    }

    fn stand_in() -> Self {
        Self("sqlite://interlock.db".to_owned())
    }
}
