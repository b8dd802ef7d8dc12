//! Parameters of the API, from their text to a filter. The command line reads its options by the same rules.

use jiff::Timestamp;
use serde::Deserialize;
use store::Filter;
use switch_core::{ObligationStatus, RowState, TxnId, Wall};

use crate::names;

/// The longest list that is given at once.
const LONGEST: u64 = 1000;
/// The largest amount of twelve digits.
const LARGEST: u64 = 999_999_999_999;

fn number(text: &str, least: u64, most: u64, what: &str) -> Result<u64, String> {
    let plain = !text.is_empty() && text.bytes().all(|digit| digit.is_ascii_digit());
    let number = if plain { text.parse().ok() } else { None };
    number
        .filter(|number| (least..=most).contains(number))
        .ok_or_else(|| format!("expected {what} from {least} to {most}"))
}

/// A retrieval reference number (37).
///
/// # Errors
/// It is none: what was expected.
pub fn rrn(text: &str) -> Result<u64, String> {
    number(text, 1, TxnId::LIMIT - 1, "a retrieval reference number")
}

/// A host's own reference (37).
///
/// # Errors
/// It is none: what was expected.
pub fn host_rrn(text: &str) -> Result<Vec<u8>, String> {
    let plain = (1..=12).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_graphic());
    if plain {
        Ok(switch::kept_host_rrn(text))
    } else {
        Err("expected up to twelve letters and digits".to_owned())
    }
}

/// A trace number (11).
///
/// # Errors
/// It is none: what was expected.
pub fn stan(text: &str) -> Result<u32, String> {
    let stan = number(text, 0, 999_999, "a trace number")?;
    u32::try_from(stan).map_err(|error| error.to_string())
}

/// An amount (4) in minor units.
///
/// # Errors
/// It is none: what was expected.
pub fn amount(text: &str) -> Result<i64, String> {
    let amount = number(text, 0, LARGEST, "an amount in minor units")?;
    i64::try_from(amount).map_err(|error| error.to_string())
}

/// The most items of a list.
///
/// # Errors
/// It is no such number: what was expected.
pub fn limit(text: &str) -> Result<u32, String> {
    let limit = number(text, 1, LONGEST, "a number of items")?;
    u32::try_from(limit).map_err(|error| error.to_string())
}

/// The last four digits of a card number.
///
/// # Errors
/// They are none: what was expected.
pub fn last4(text: &str) -> Result<[u8; 4], String> {
    let digits = <[u8; 4]>::try_from(text.as_bytes()).ok();
    digits
        .filter(|digits| digits.iter().all(u8::is_ascii_digit))
        .ok_or_else(|| "expected four digits".to_owned())
}

/// A time.
///
/// # Errors
/// It is none: what was expected.
pub fn time(text: &str) -> Result<Wall, String> {
    let at = text.parse::<Timestamp>();
    at.map(|at| Wall(at.as_microsecond()))
        .map_err(|_| "expected a time such as 2026-11-23T08:00:00Z".to_owned())
}

/// Some text, such as a terminal, a merchant or an issuer's name.
///
/// # Errors
/// It is empty.
pub fn some(text: &str) -> Result<String, String> {
    if text.is_empty() { Err("expected some text".to_owned()) } else { Ok(text.to_owned()) }
}

/// The state of that name; hyphens may stand for its blanks.
///
/// # Errors
/// It is none: which there are.
pub fn state(text: &str) -> Result<RowState, String> {
    let name = text.replace('-', " ");
    let known = RowState::ALL.iter().copied().find(|state| state.name() == name);
    known.ok_or_else(|| one_of(RowState::ALL.iter().map(|state| state.name())))
}

/// The status of that name of a duty to reverse, or none for any; hyphens may stand for its blanks.
///
/// # Errors
/// It is none: which there are.
pub fn status(text: &str) -> Result<Option<ObligationStatus>, String> {
    let name = text.replace('-', " ");
    if name == "any" {
        return Ok(None);
    }
    let all = ObligationStatus::ALL.iter().map(|status| names::status(*status));
    names::status_of(&name).map(Some).ok_or_else(|| one_of(all.chain(["any"])))
}

fn one_of(names: impl Iterator<Item = &'static str>) -> String {
    let names: Vec<String> = names.map(|name| format!("\"{name}\"")).collect();
    format!("expected one of {}", names.join(", "))
}

/// The value of a parameter, if it is given.
///
/// # Errors
/// It is wrong: the parameter's name, and what was expected.
fn given<T>(
    name: &str,
    text: Option<&String>,
    read: impl Fn(&str) -> Result<T, String>,
) -> Result<Option<T>, String> {
    text.map(|text| read(text).map_err(|why| format!("{name}: {why}"))).transpose()
}

/// The query of a list of transactions, all texts as they came.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Query {
    rrn: Option<String>,
    host_rrn: Option<String>,
    stan: Option<String>,
    terminal: Option<String>,
    merchant: Option<String>,
    amount: Option<String>,
    last4: Option<String>,
    issuer: Option<String>,
    state: Option<String>,
    from: Option<String>,
    to: Option<String>,
    before: Option<String>,
    limit: Option<String>,
}

impl Query {
    /// The filter and the most that is asked for.
    ///
    /// # Errors
    /// Which parameter is wrong, and what was expected.
    pub(crate) fn read(&self) -> Result<(Filter, u32), String> {
        let mut filter = Filter {
            from: given("from", self.from.as_ref(), time)?,
            to: given("to", self.to.as_ref(), time)?,
            terminal: given("terminal", self.terminal.as_ref(), some)?.map(String::into_bytes),
            merchant: given("merchant", self.merchant.as_ref(), some)?.map(String::into_bytes),
            host_rrn: given("host_rrn", self.host_rrn.as_ref(), host_rrn)?,
            stan: given("stan", self.stan.as_ref(), stan)?,
            amount: given("amount", self.amount.as_ref(), amount)?,
            last4: given("last4", self.last4.as_ref(), last4)?,
            issuer: given("issuer", self.issuer.as_ref(), some)?,
            state: given("state", self.state.as_ref(), state)?,
            before: given("before", self.before.as_ref(), rrn)?.map(TxnId),
            ..Filter::default()
        };
        if let Some(rrn) = given("rrn", self.rrn.as_ref(), rrn)? {
            filter.after = Some(TxnId(rrn - 1));
            let above = TxnId(rrn + 1);
            filter.before = Some(filter.before.map_or(above, |before| before.min(above)));
        }
        Ok((filter, given("limit", self.limit.as_ref(), limit)?.unwrap_or(50)))
    }
}

/// The query of a list of reversals, all texts as they came.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct ReversalQuery {
    status: Option<String>,
    limit: Option<String>,
}

impl ReversalQuery {
    /// The status, or none for any, and the most that is asked for.
    ///
    /// # Errors
    /// Which parameter is wrong, and what was expected.
    pub(crate) fn read(&self) -> Result<(Option<ObligationStatus>, u32), String> {
        let owed = Some(ObligationStatus::Owed);
        let status = given("status", self.status.as_ref(), status)?.unwrap_or(owed);
        Ok((status, given("limit", self.limit.as_ref(), limit)?.unwrap_or(100)))
    }
}

/// The query of a list of cases.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct CaseQuery {
    all: Option<String>,
}

impl CaseQuery {
    /// Whether resolved ones are asked for too.
    ///
    /// # Errors
    /// Which parameter is wrong, and what was expected.
    pub(crate) fn read(&self) -> Result<bool, String> {
        match self.all.as_deref() {
            None | Some("false") => Ok(false),
            Some("true") => Ok(true),
            Some(_) => Err("all: expected \"true\" or \"false\"".to_owned()),
        }
    }
}

/// The query of a list of batches, all texts as they came.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct BatchQuery {
    terminal: Option<String>,
    limit: Option<String>,
}

impl BatchQuery {
    /// The terminal, if one is named, and the most that is asked for.
    ///
    /// # Errors
    /// Which parameter is wrong, and what was expected.
    pub(crate) fn read(&self) -> Result<(Option<String>, u32), String> {
        let terminal = given("terminal", self.terminal.as_ref(), some)?;
        Ok((terminal, given("limit", self.limit.as_ref(), limit)?.unwrap_or(100)))
    }
}

/// The query of what takes no parameters.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct NoQuery {}

#[cfg(test)]
mod tests {
    use axum::{extract::Query as Parameters, http::Uri};

    use super::*;

    /// What becomes of a query of transactions.
    fn asked(query: &str) -> Result<(Filter, u32), String> {
        let uri: Uri = format!("/?{query}").parse().expect("a query");
        let Parameters(query) =
            Parameters::<Query>::try_from_uri(&uri).map_err(|rejection| rejection.body_text())?;
        query.read()
    }

    #[test]
    fn a_parameter_out_of_range_is_an_error_that_names_it() {
        for (query, name) in [
            ("stan=4294967296", "stan: "),
            ("stan=1000000", "stan: "),
            ("stan=-1", "stan: "),
            ("stan=+1", "stan: "),
            ("stan=", "stan: "),
            ("amount=9223372036854775808", "amount: "),
            ("amount=1000000000000", "amount: "),
            ("amount=1.5", "amount: "),
            ("rrn=0", "rrn: "),
            ("rrn=1000000000000", "rrn: "),
            ("before=x", "before: "),
            ("limit=0", "limit: "),
            ("limit=1001", "limit: "),
            ("limit=4294967296", "limit: "),
            ("last4=12345", "last4: "),
            ("host_rrn=", "host_rrn: "),
            ("host_rrn=1234567890123", "host_rrn: "),
            ("last4=12a4", "last4: "),
            ("state=bogus", "state: expected one of \"in flight\""),
            ("from=2026-11-30", "from: "),
            ("to=yesterday", "to: "),
            ("terminal=", "terminal: "),
            ("colour=red", "unknown field `colour`"),
            ("stan=1&stan=2", "duplicate field `stan`"),
        ] {
            let refusal = asked(query).expect_err(query);
            assert!(refusal.contains(name), "{query}: {refusal}");
        }
    }

    #[test]
    fn what_is_right_becomes_a_filter() {
        let (filter, limit) =
            asked("stan=000042&amount=0&state=in-flight&last4=1232").expect("right");
        assert_eq!((filter.stan, filter.amount, limit), (Some(42), Some(0), 50));
        assert_eq!((filter.state, filter.last4), (Some(RowState::InFlight), Some(*b"1232")));
        let (filter, limit) = asked("rrn=000000000007&limit=1000").expect("right");
        assert_eq!((filter.after, filter.before), (Some(TxnId(6)), Some(TxnId(8))));
        assert_eq!(limit, 1000);
        assert_eq!(asked("rrn=7&before=7").expect("right").0.before, Some(TxnId(7)));
        assert_eq!(asked("").expect("right"), (Filter::default(), 50));
    }

    #[test]
    fn every_status_has_its_name() {
        for known in ObligationStatus::ALL {
            assert_eq!(status(names::status(*known)), Ok(Some(*known)));
        }
        assert_eq!(status("ended-by-hand"), Ok(Some(ObligationStatus::EndedByHand)));
        assert_eq!(status("any"), Ok(None));
        let refusal = status("bogus").expect_err("none");
        assert!(refusal.contains("\"denied\", \"ended by hand\", \"any\""), "{refusal}");
        assert_eq!(ReversalQuery::default().read(), Ok((Some(ObligationStatus::Owed), 100)));
    }
}
