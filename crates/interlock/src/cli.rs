//! The command line: every command with its options and an example.

use std::path::PathBuf;

use admin::query;
use clap::{
    Parser, Subcommand,
    builder::{StringValueParser, TypedValueParser},
};
use sim::bench::{Arrivals, Rates, Watched};

use crate::config::{Address, Leaf, Span};

/// An acquirer-side ISO 8583 transaction switch.
#[derive(Debug, Parser)]
#[command(name = "interlock", version, arg_required_else_help = true)]
pub(crate) struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub(crate) command: Command,
}

const DECODE_HELP: &str = "Example:
  interlock decode --dialect iso87-ascii 08000020000000800000000001TERM0001
  interlock decode --dialect cup-pos --framed --json < messages.hex";

const ENCODE_HELP: &str = "Example:
  interlock decode --dialect cup-pos --json --clear < messages.hex | interlock encode --dialect cup-pos";

const ISSUER_HELP: &str = "Without a script the last two digits of an amount choose a behaviour.

Example:
  interlock issuer --listen 127.0.0.1:9001 --dialect iso87-ascii --ledger issuer.jsonl";

const BENCH_HELP: &str = "Without --rate the loop is closed: each terminal's next request follows its last answer.

Example:
  interlock bench --target 127.0.0.1:8583 --dialect cup-pos --rate 200 --duration 30s --ledger terminals.jsonl
  interlock bench --target 127.0.0.1:8583 --dialect cup-pos --day --mix mix.toml --ledger terminals.jsonl";

const RECONCILE_HELP: &str = "Ends with status 1 if there is a difference.

Example:
  interlock reconcile --terminal bench.jsonl --issuer issuer.jsonl --config interlock.toml";

const RESOLVE_HELP: &str = "Works on the database, whether the daemon runs or not.

Example:
  interlock resolve --config /etc/interlock/interlock.toml 000000004576 --as delivered";

const DAY_SET_HELP: &str = "Works on the database, whether the daemon runs or not. For a day that a wrong clock has spoiled, or a shop
that was closed for more than ten days; the clock must be right.

Example:
  interlock day set 2026-11-30 --config /etc/interlock/interlock.toml --reason \"clock of till 3 was wrong\"";

/// The commands.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Checks a configuration file, its dialects and routes, without binding a port
    #[command(after_help = "Example:\n  interlock check --config /etc/interlock/interlock.toml")]
    Check(Check),
    /// Runs everything in one process with nothing to install: SQLite, two issuers, terminals with faults
    #[command(after_help = "Example:\n  interlock dev")]
    Dev(Dev),
    /// Serves: the daemon. SIGTERM or Ctrl-C drains, SIGHUP reloads
    #[command(after_help = "Example:\n  interlock serve --config /etc/interlock/interlock.toml")]
    Serve(ConfigFile),
    /// Brings the database to this version; `serve` does so too unless store.migrate = false
    #[command(after_help = "Example:\n  interlock migrate --config /etc/interlock/interlock.toml")]
    Migrate(ConfigFile),
    /// Runs a simulated issuer that keeps its own ledger
    #[command(after_help = ISSUER_HELP)]
    Issuer(Issuer),
    /// Loads a switch with simulated terminals that keep their own ledger
    #[command(after_help = BENCH_HELP)]
    Bench(Bench),
    /// Compares the ledgers of terminals, switch and issuers, and names every difference
    #[command(after_help = RECONCILE_HELP)]
    Reconcile(Reconcile),
    /// Decodes messages from hexadecimal text: one, or one a line from standard input
    #[command(after_help = DECODE_HELP)]
    Decode(Decode),
    /// Encodes messages: lines of `decode --json --clear` in, hexadecimal lines out
    #[command(after_help = ENCODE_HELP)]
    Encode(Encode),
    /// Finds and shows transactions of a running node
    #[command(subcommand, after_help = "Example:\n  interlock txn find --terminal 12345678")]
    Txn(Txn),
    /// Shows the links of a running node to its issuers
    #[command(after_help = "Example:\n  interlock links --admin 127.0.0.1:8580")]
    Links(Server),
    /// Shows the reversals that a running node owes, or owed
    #[command(after_help = "Example:\n  interlock reversals --status any --limit 20")]
    Reversals(Reversals),
    /// Shows what a person must look at
    #[command(after_help = "Example:\n  interlock cases --all")]
    Cases(Cases),
    /// Closes the cases of a transaction with what a person found out, in the database
    #[command(after_help = RESOLVE_HELP)]
    Resolve(Resolve),
    /// Sets the business day by a person's word
    #[command(subcommand, after_help = DAY_SET_HELP)]
    Day(Day),
    /// Shows the batches of terminals, and how they were settled
    #[command(after_help = "Example:\n  interlock batches 12345678")]
    Batches(Batches),
    /// Makes keys
    #[command(subcommand, after_help = "Example:\n  interlock keys init card-data.key")]
    Keys(Keys),
    /// Makes dialect files
    #[command(subcommand, after_help = "Example:\n  interlock dialect import SPEC.yaml")]
    Dialect(Dialect),
}

/// Options of `dev`.
#[derive(Debug, clap::Args)]
pub(crate) struct Dev {
    /// Where database, key, ledgers and log are kept
    #[arg(long, value_name = "DIR", default_value = "./interlock-dev")]
    pub(crate) dir: PathBuf,
}

/// Options of `issuer`.
#[derive(Debug, clap::Args)]
pub(crate) struct Issuer {
    /// Where it listens
    #[arg(long, value_name = "ADDR", value_parser = Address::of_text)]
    pub(crate) listen: Address,
    /// The dialect that it speaks
    #[arg(long, value_name = "NAME")]
    pub(crate) dialect: String,
    /// Another framing than the dialect's
    #[arg(long, value_enum)]
    pub(crate) framing: Option<FramingName>,
    /// How it behaves: rules in TOML or JSON
    #[arg(long, value_name = "FILE")]
    pub(crate) script: Option<PathBuf>,
    /// Its ledger, JSON lines; what stands in it has happened
    #[arg(long, value_name = "FILE")]
    pub(crate) ledger: Option<PathBuf>,
    /// It is the host that terminals speak to directly: signs them in, settles their batches
    #[arg(long)]
    pub(crate) acquirer: bool,
    /// What foreign card numbers begin with, in a settlement's totals; may be given several times
    #[arg(long, value_name = "DIGITS", requires = "acquirer", value_parser = prefix)]
    pub(crate) foreign: Vec<String>,
}

/// Options of `bench`.
#[derive(Debug, clap::Args)]
pub(crate) struct Bench {
    /// The switch's listener
    #[arg(long, value_name = "ADDR", value_parser = Address::of_text)]
    pub(crate) target: Address,
    /// The dialect of the terminals
    #[arg(long, value_name = "NAME")]
    pub(crate) dialect: String,
    /// Another framing than the dialect's
    #[arg(long, value_enum)]
    pub(crate) framing: Option<FramingName>,
    /// Open loop: so many requests a second (`10000`), rising (`1000..20000:60s`) or in steps (`1000..20000/1000:10s`);
    /// latency counts from the intended start
    #[arg(long, value_name = "N", conflicts_with = "closed")]
    pub(crate) rate: Option<Rates>,
    /// How requests of an open loop lie between each other
    #[arg(long, value_enum, default_value_t = ArrivalsName::Constant)]
    pub(crate) arrivals: ArrivalsName,
    /// Closed loop
    #[arg(long)]
    pub(crate) closed: bool,
    /// Connections
    #[arg(long, value_name = "N", default_value_t = 64)]
    pub(crate) connections: usize,
    /// How long new requests are made; by default as long as the rates say, else 30s
    #[arg(long, value_name = "TIME", value_parser = Span::of_text)]
    pub(crate) duration: Option<Span>,
    /// Left out of the figures at the start
    #[arg(long, value_name = "TIME", value_parser = Span::of_text)]
    pub(crate) warm_up: Option<Span>,
    /// How long terminals may clear up what they do not know, afterwards
    #[arg(long, value_name = "TIME", value_parser = Span::of_text)]
    pub(crate) healing: Option<Span>,
    /// At most so many sales
    #[arg(long, value_name = "N")]
    pub(crate) sales: Option<u64>,
    /// Terminals live a day, or the days of the mix: they sign in, sell, settle, and sign off
    #[arg(long)]
    pub(crate) day: bool,
    /// What the load is made of, in TOML
    #[arg(long, value_name = "FILE")]
    pub(crate) mix: Option<PathBuf>,
    /// The same seed makes the same requests
    #[arg(long, value_name = "N", default_value_t = 1)]
    pub(crate) seed: u64,
    /// The terminals' ledger, JSON lines
    #[arg(long, value_name = "FILE")]
    pub(crate) ledger: Option<PathBuf>,
    /// The summary as JSON
    #[arg(long, value_name = "FILE")]
    pub(crate) json: Option<PathBuf>,
    /// The summary as a page with plots, which opens offline
    #[arg(long, value_name = "FILE")]
    pub(crate) html: Option<PathBuf>,
    /// The JSON of an earlier run, to be put beside this one
    #[arg(long, value_name = "FILE")]
    pub(crate) compare: Option<PathBuf>,
    /// A process whose processor time and memory are measured meanwhile, with those that it started; may be given several
    /// times
    #[arg(long, value_name = "NAME=PID", value_parser = watched)]
    pub(crate) watch_pid: Vec<Watched>,
}

/// Options of `reconcile`.
#[derive(Debug, clap::Args)]
pub(crate) struct Reconcile {
    /// A ledger of terminals; may be given several times
    #[arg(long, value_name = "FILE", required = true)]
    pub(crate) terminal: Vec<PathBuf>,
    /// A ledger of an issuer; may be given several times
    #[arg(long, value_name = "FILE", required = true)]
    pub(crate) issuer: Vec<PathBuf>,
    /// The configuration file of the switch, whose store is read
    #[arg(long, value_name = "FILE")]
    pub(crate) config: PathBuf,
    /// The report as one JSON object
    #[arg(long)]
    pub(crate) json: bool,
}

/// Where the admin API is, and how its answers are shown.
#[derive(Debug, clap::Args)]
pub(crate) struct Server {
    /// The address of the admin API
    #[arg(long, value_name = "ADDR", env = "INTERLOCK_ADMIN", default_value = "127.0.0.1:8580")]
    pub(crate) admin: String,
    /// JSON rather than a table
    #[arg(long)]
    pub(crate) json: bool,
}

/// Commands about transactions.
#[derive(Debug, Subcommand)]
#[expect(clippy::large_enum_variant, reason = "one value a process")]
pub(crate) enum Txn {
    /// Finds transactions by what is known of them; the newest come first
    #[command(after_help = "Example:\n  interlock txn find --terminal 12345678 --amount 12345")]
    Find(Find),
    /// Shows one transaction with all that happened to it
    #[command(after_help = "Example:\n  interlock txn show 000000012345")]
    Show(Show),
}

/// The text of an option that the admin API takes, once it was read by the API's own rules.
fn as_said<T>(
    read: impl Fn(&str) -> Result<T, String> + Clone + Send + Sync + 'static,
) -> impl TypedValueParser<Value = String> {
    StringValueParser::new().try_map(move |text| read(&text).map(|_| text))
}

/// Options of `txn find`.
#[derive(Debug, clap::Args)]
pub(crate) struct Find {
    /// Retrieval reference number, 37
    #[arg(long, value_parser = as_said(query::rrn))]
    pub(crate) rrn: Option<String>,
    /// The host's own reference, 37, of a host that does not repeat ours
    #[arg(long, value_parser = as_said(query::host_rrn))]
    pub(crate) host_rrn: Option<String>,
    /// The terminal's own trace number, 11
    #[arg(long, value_parser = as_said(query::stan))]
    pub(crate) stan: Option<String>,
    /// Terminal, 41
    #[arg(long, value_parser = as_said(query::some))]
    pub(crate) terminal: Option<String>,
    /// Merchant, 42
    #[arg(long, value_parser = as_said(query::some))]
    pub(crate) merchant: Option<String>,
    /// Amount in minor units, 4
    #[arg(long, value_parser = as_said(query::amount))]
    pub(crate) amount: Option<String>,
    /// Last four digits of the card number
    #[arg(long, value_parser = as_said(query::last4))]
    pub(crate) last4: Option<String>,
    /// Name of the issuer
    #[arg(long, value_parser = as_said(query::some))]
    pub(crate) issuer: Option<String>,
    /// State, such as "approved" or "timed out"
    #[arg(long, value_parser = as_said(query::state))]
    pub(crate) state: Option<String>,
    /// Not before, such as 2026-11-23T08:00:00Z
    #[arg(long, value_name = "TIME", value_parser = as_said(query::time))]
    pub(crate) from: Option<String>,
    /// Before
    #[arg(long, value_name = "TIME", value_parser = as_said(query::time))]
    pub(crate) to: Option<String>,
    /// At most so many
    #[arg(long, default_value_t = 50, value_parser = query::limit)]
    pub(crate) limit: u32,
    #[command(flatten)]
    pub(crate) server: Server,
}

/// Options of `txn show`.
#[derive(Debug, clap::Args)]
pub(crate) struct Show {
    /// The number of the transaction: its RRN
    #[arg(value_parser = clap::value_parser!(u64).range(1..1_000_000_000_000))]
    pub(crate) id: u64,
    #[command(flatten)]
    pub(crate) server: Server,
}

/// Options of `reversals`.
#[derive(Debug, clap::Args)]
pub(crate) struct Reversals {
    /// Only those: owed, marked, cleared, confirmed, withdrawn, denied, ended-by-hand or any
    #[arg(long, default_value = "owed", value_parser = as_said(query::status))]
    pub(crate) status: String,
    /// At most so many
    #[arg(long, default_value_t = 100, value_parser = query::limit)]
    pub(crate) limit: u32,
    #[command(flatten)]
    pub(crate) server: Server,
}

/// Options of `resolve`.
#[derive(Debug, clap::Args)]
pub(crate) struct Resolve {
    #[command(flatten)]
    pub(crate) file: ConfigFile,
    /// Number (RRN) of the transaction
    #[arg(value_parser = query::rrn)]
    pub(crate) id: u64,
    /// What was found out
    #[arg(long = "as", value_enum)]
    pub(crate) how: Word,
    /// Why, in words: kept in the transaction's timeline. A reversal can be called confirmed only with a reason
    #[arg(long, value_name = "TEXT", required_if_eq("how", "confirmed"), value_parser = reason)]
    pub(crate) reason: Option<String>,
}

/// A reason: some words, on one line.
fn reason(text: &str) -> Result<String, String> {
    let text = text.trim();
    let plain = !text.is_empty() && !text.chars().any(char::is_control);
    (plain && text.chars().count() <= 500)
        .then(|| text.to_owned())
        .ok_or_else(|| "expected some words on one line, at most 500 characters".to_owned())
}

/// What a person found out about a transaction with open cases.
#[derive(Debug, Clone, Copy, clap::ValueEnum)]
pub(crate) enum Word {
    /// The issuer has the advice or refund: it stands
    Delivered,
    /// The issuer does not have it: what it took of its original is free again
    Refused,
    /// The issuer took the sale back: its reversal, which it denied or never confirmed, ends
    Confirmed,
    /// Nothing that the switch must know
    Seen,
}

/// Commands about the business day.
#[derive(Debug, Subcommand)]
pub(crate) enum Day {
    /// Makes a day the current one, forward or back
    #[command(after_help = DAY_SET_HELP)]
    Set(DaySet),
}

/// Options of `day set`.
#[derive(Debug, clap::Args)]
pub(crate) struct DaySet {
    /// The business day, such as 2026-11-30 or 20261130
    #[arg(value_name = "DAY", value_parser = business_day)]
    pub(crate) day: switch_core::Day,
    #[command(flatten)]
    pub(crate) file: ConfigFile,
    /// Why, for those who look at it later
    #[arg(long, value_name = "TEXT", value_parser = words)]
    pub(crate) reason: String,
    /// Who says so; by default the user of this process
    #[arg(long, value_name = "USER", value_parser = words)]
    pub(crate) by: Option<String>,
}

/// Options of `cases`.
#[derive(Debug, clap::Args)]
pub(crate) struct Cases {
    /// Resolved ones too
    #[arg(long)]
    pub(crate) all: bool,
    #[command(flatten)]
    pub(crate) server: Server,
}

/// Options of `batches`.
#[derive(Debug, clap::Args)]
pub(crate) struct Batches {
    /// Only those of this terminal (41)
    #[arg(value_parser = as_said(query::some))]
    pub(crate) terminal: Option<String>,
    /// At most so many
    #[arg(long, default_value_t = 100, value_parser = query::limit)]
    pub(crate) limit: u32,
    #[command(flatten)]
    pub(crate) server: Server,
}

/// Options of `decode`.
#[derive(Debug, clap::Args)]
pub(crate) struct Decode {
    /// The dialect: dialects/NAME.toml in the working directory, else a shipped one
    #[arg(long, value_name = "NAME")]
    pub(crate) dialect: String,
    /// The bytes begin with the length header
    #[arg(long)]
    pub(crate) framed: bool,
    /// One JSON object a line, rather than tables
    #[arg(long)]
    pub(crate) json: bool,
    /// Card data as it stands, rather than masked
    #[arg(long)]
    pub(crate) clear: bool,
    /// The message; without it, one a line from standard input
    #[arg(value_name = "HEX")]
    pub(crate) hex: Option<String>,
}

/// Options of `encode`.
#[derive(Debug, clap::Args)]
pub(crate) struct Encode {
    /// The dialect: dialects/NAME.toml in the working directory, else a shipped one
    #[arg(long, value_name = "NAME")]
    pub(crate) dialect: String,
    /// Puts the length header before the bytes
    #[arg(long)]
    pub(crate) framed: bool,
}

/// Commands about keys.
#[derive(Debug, Subcommand)]
pub(crate) enum Keys {
    /// Makes the key that protects card data at rest (mode 0600; refuses to overwrite)
    #[command(after_help = "Example:\n  interlock keys init /etc/interlock/card-data.key")]
    Init(KeysInit),
}

/// Options of `keys init`.
#[derive(Debug, clap::Args)]
pub(crate) struct KeysInit {
    /// The key file to make
    pub(crate) file: PathBuf,
}

/// Commands about dialects.
#[derive(Debug, Subcommand)]
pub(crate) enum Dialect {
    /// Turns a specification in the YAML format of `iso8583_rs` into a dialect file
    #[command(
        after_help = "Example:\n  interlock dialect import SPEC.yaml --output dialects/host.toml"
    )]
    Import(DialectImport),
}

/// Options of `dialect import`.
#[derive(Debug, clap::Args)]
pub(crate) struct DialectImport {
    /// The specification
    #[arg(value_name = "SPEC.yaml")]
    pub(crate) specification: PathBuf,
    /// How its frames are delimited, which a specification does not say
    #[arg(long, value_enum, default_value_t = FramingName::Len2)]
    pub(crate) framing: FramingName,
    /// The dialect file to make; else it goes to standard output
    #[arg(long, value_name = "FILE")]
    pub(crate) output: Option<PathBuf>,
}

fn business_day(text: &str) -> Result<switch_core::Day, String> {
    let shaped = text.bytes().enumerate().all(|(at, byte)| match (text.len(), at) {
        (10, 4 | 7) => byte == b'-',
        _ => byte.is_ascii_digit(),
    });
    if !shaped || !matches!(text.len(), 8 | 10) {
        return Err("expected a date such as 2026-11-30 or 20261130".to_owned());
    }
    let date = text.parse().map_err(|_| format!("{text} is no day of the calendar"))?;
    Ok(store::day_of(date))
}

/// A text that is kept for people: something, on one line.
fn words(text: &str) -> Result<String, String> {
    let text = text.trim();
    if text.is_empty() || text.len() > 200 || text.chars().any(char::is_control) {
        return Err("expected 1 to 200 bytes of text on one line".to_owned());
    }
    Ok(text.to_owned())
}

fn prefix(text: &str) -> Result<String, String> {
    if sim::bench::is_prefix(text) {
        Ok(text.to_owned())
    } else {
        Err("expected 1 to 11 digits".to_owned())
    }
}

fn watched(text: &str) -> Result<Watched, String> {
    let (name, pid) = text.split_once('=').ok_or("expected NAME=PID, as `daemon=4711`")?;
    let pid = pid.parse().map_err(|_| "expected NAME=PID, where PID is a process number")?;
    Ok(Watched { name: name.to_owned(), pid })
}

/// How requests of an open loop lie between each other.
#[derive(Debug, Clone, Copy, clap::ValueEnum)]
pub(crate) enum ArrivalsName {
    /// Evenly
    Constant,
    /// At random, as those of many terminals are
    Poisson,
}

impl ArrivalsName {
    /// As the load has it.
    pub(crate) const fn arrivals(self) -> Arrivals {
        match self {
            Self::Constant => Arrivals::Constant,
            Self::Poisson => Arrivals::Poisson,
        }
    }
}

/// How frames are delimited.
#[derive(Debug, Clone, Copy, clap::ValueEnum)]
pub(crate) enum FramingName {
    /// 2-byte binary length
    Len2,
    /// 4 ASCII digits
    Ascii4,
}

impl FramingName {
    /// As the codec has it.
    pub(crate) const fn framing(self) -> iso8583::Framing {
        match self {
            Self::Len2 => iso8583::Framing::Len2,
            Self::Ascii4 => iso8583::Framing::Ascii4,
        }
    }

    /// As dialect files have it.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Len2 => "len2",
            Self::Ascii4 => "ascii4",
        }
    }
}

/// Options of `check`.
#[derive(Debug, clap::Args)]
pub(crate) struct Check {
    /// The configuration file
    #[arg(long, value_name = "FILE", required_unless_present = "reference")]
    pub(crate) config: Option<PathBuf>,
    /// Prints every key with its default and meaning, as a table
    #[arg(long)]
    pub(crate) reference: bool,
}

/// The configuration file of a command that needs one.
#[derive(Debug, clap::Args)]
pub(crate) struct ConfigFile {
    /// The configuration file
    #[arg(long, value_name = "FILE")]
    pub(crate) config: PathBuf,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_business_day_is_a_date() {
        for (text, day) in [
            ("2026-11-23", Some(20_780)),
            ("20261123", Some(20_780)),
            ("1970-01-01", Some(0)),
            ("2026-02-30", None),
            ("2026-1-23", None),
            ("26-11-2023", None),
            ("2026112", None),
            ("tomorrow", None),
            ("", None),
        ] {
            assert_eq!(business_day(text).ok().map(|day| day.0), day, "{text}");
        }
        let set = |reason| {
            let line = ["interlock", "day", "set", "20261123", "--config", "x", "--reason", reason];
            Cli::try_parse_from(line).is_ok()
        };
        assert!(set("a wrong clock") && !set(" ") && !set("two\nlines"));
    }

    #[test]
    fn what_the_api_would_refuse_is_bad_usage() {
        for (line, good) in [
            ("txn find --stan 000042 --amount 0 --limit 1000 --state in-flight", true),
            ("txn find --rrn 000000000007 --from 2026-11-23T08:00:00Z", true),
            ("txn find --host-rrn A23456789012", true),
            ("txn find --host-rrn 1234567890123", false),
            ("txn find --stan 4294967296", false),
            ("txn find --stan 1000000", false),
            ("txn find --amount 9223372036854775808", false),
            ("txn find --amount -1", false),
            ("txn find --limit 0", false),
            ("txn find --limit 1001", false),
            ("txn find --state bogus", false),
            ("txn find --from 2026-11-30", false),
            ("txn find --last4 123", false),
            ("txn show 0", false),
            ("reversals --status denied", true),
            ("reversals --status ended-by-hand --limit 1", true),
            ("reversals --status bogus", false),
            ("reversals --limit 0", false),
            ("batches 12345678 --limit 5000", false),
        ] {
            let words = ["interlock"].into_iter().chain(line.split(' '));
            let refusal = Cli::try_parse_from(words).err();
            assert_eq!(refusal.map(|error| error.exit_code()), (!good).then_some(2), "{line}");
        }
        let line = ["interlock", "txn", "find", "--stan", "4294967296"];
        let refusal = Cli::try_parse_from(line).expect_err("out of range").to_string();
        assert!(refusal.contains("--stan") && refusal.contains("0 to 999999"), "{refusal}");
    }

    #[test]
    fn foreign_cards_begin_with_1_to_11_digits() {
        for (prefix, good) in [
            ("4", true),
            ("12345678901", true),
            ("", false),
            ("x", false),
            ("4x", false),
            ("123456789012", false),
        ] {
            let issuer = ["interlock", "issuer", "--listen", "127.0.0.1:0", "--dialect", "cup-pos"];
            let more = ["--acquirer", "--foreign", prefix];
            let refusal = Cli::try_parse_from(issuer.into_iter().chain(more)).err();
            assert_eq!(refusal.map(|error| error.exit_code()), (!good).then_some(2), "{prefix}");
        }
    }
}
