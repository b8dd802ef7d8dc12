//! What may be asked of the list of transactions, from the text of a query to a filter.

use jiff::Timestamp;
use serde::Deserialize;
use store::Filter;
use switch_core::{RowState, TxnId, Wall};

/// The longest list that is given at once.
const LONGEST: u32 = 1000;

/// The query of a list of transactions, all texts as they came.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Query {
    rrn: Option<String>,
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
    /// Which key is wrong, and what was expected.
    pub(crate) fn read(self) -> Result<(Filter, u32), String> {
        let number = |key: &str, text: Option<String>| {
            text.map(|text| {
                text.parse::<u64>().map_err(|_| format!("{key}: a whole number expected"))
            })
            .transpose()
        };
        let time = |key: &str, text: Option<String>| {
            let expected = || format!("{key}: a time such as 2026-11-23T08:00:00Z expected");
            text.map(|text| text.parse::<Timestamp>().map_err(|_| expected()))
                .transpose()
                .map(|at| at.map(|at| Wall(at.as_microsecond())))
        };
        let state = |name: &String| {
            RowState::ALL.iter().copied().find(|state| state.name() == name).ok_or_else(|| {
                let names: Vec<_> = RowState::ALL.iter().map(|state| state.name()).collect();
                format!("state: one of {} expected", names.join(", "))
            })
        };
        let last4 = |text: &String| {
            <[u8; 4]>::try_from(text.as_bytes())
                .map_err(|_| "last4: four digits expected".to_owned())
        };
        let limit = number("limit", self.limit)?.unwrap_or(50);
        let mut filter = Filter {
            from: time("from", self.from)?,
            to: time("to", self.to)?,
            terminal: self.terminal.map(String::into_bytes),
            merchant: self.merchant.map(String::into_bytes),
            stan: number("stan", self.stan)?.and_then(|stan| u32::try_from(stan).ok()),
            amount: number("amount", self.amount)?.and_then(|amount| i64::try_from(amount).ok()),
            last4: self.last4.as_ref().map(last4).transpose()?,
            issuer: self.issuer,
            state: self.state.as_ref().map(state).transpose()?,
            before: number("before", self.before)?.map(TxnId),
            ..Filter::default()
        };
        if let Some(rrn) = number("rrn", self.rrn)? {
            filter.after = Some(TxnId(rrn.saturating_sub(1)));
            filter.before = Some(TxnId(rrn.saturating_add(1)));
        }
        Ok((filter, u32::try_from(limit).unwrap_or(LONGEST).clamp(1, LONGEST)))
    }
}
