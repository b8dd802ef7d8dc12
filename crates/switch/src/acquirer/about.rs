//! What a request says of the transaction that it is about (M11).

use iso8583::{Cause, Kind, KindRow, NamedBy, OriginalRule, Takes};
use switch_core::{ClaimAsk, Named, TxnId};

use super::{Asker, ROOM};
use crate::{config::OriginalLimits, originals::six};

impl Asker<'_> {
    /// What is asked of the original, where the kind is about one.
    ///
    /// # Errors
    /// It is not named as its kind asks: [`Cause::Format`].
    pub(super) fn original(
        &self,
        row: &KindRow,
        card: [u8; 16],
        merchant: &[u8],
    ) -> Result<Option<Box<ClaimAsk>>, Cause> {
        let Some(rule) = &row.original else { return Ok(None) };
        let authorisation = self.authorisation();
        let date = self.original_date();
        let named = self.named(rule, card, authorisation, date).ok_or(Cause::Format)?;
        let given = self.trace().and_then(|named| match named {
            // zeros where the terminal does not know it
            Named::Trace { batch, stan } => (stan > 0).then_some((batch, stan)),
            Named::Number(_) | Named::Authorisation { .. } => None,
        });
        let limits = self.desk.directory.merchants.get(merchant).map(|merchant| merchant.limits);
        let (takes, days) = limited(row.kind, rule, limits.unwrap_or_default());
        Ok(Some(Box::new(ClaimAsk {
            named,
            kinds: rule.kinds.as_slice().into(),
            takes,
            days,
            authorisation,
            date,
            rrn: self.number_given().filter(|_| self.number_is_originals()),
            trace: given,
        })))
    }

    /// Whether 37 of a request has no other meaning than the number of its original: so it is where its batch and trace number
    /// stand in a field of their own (61). Elsewhere a terminal may number its own requests there.
    fn number_is_originals(&self) -> bool {
        self.dialect.elements().original_stan.is_some()
    }

    /// Number (37) that the request gives, where that is one; one that is none of ours is zero.
    fn number_given(&self) -> Option<TxnId> {
        let mut room = ROOM;
        let text = self.message.text_bytes(37, &mut room)?;
        let none = text.iter().all(|digit| matches!(digit, b'0' | b' '));
        match self.number()? {
            Named::Number(id) => Some(id).filter(|_| !none),
            Named::Trace { .. } | Named::Authorisation { .. } => None,
        }
    }

    /// The number that a request gives beside the trace number or the authorisation code of its original, where it may be one
    /// of its own: that of a transaction of its merchant speaks against any other.
    pub(super) fn number_beside(&self) -> Option<TxnId> {
        let ours = self.number_given().filter(|id| id.0 > 0);
        ours.filter(|_| !self.number_is_originals())
    }

    fn named(
        &self,
        rule: &OriginalRule,
        card: [u8; 16],
        authorisation: Option<[u8; 6]>,
        date: Option<u16>,
    ) -> Option<Named> {
        match rule.named_by {
            // half of a name names nothing, whatever else is there
            NamedBy::Trace if self.has_trace() => self.trace(),
            NamedBy::Trace => self.number(),
            NamedBy::Number => self.number().or_else(|| self.trace()),
            NamedBy::Authorisation => {
                authorisation.map(|code| Named::Authorisation { card, code, date })
            }
        }
    }

    fn has_trace(&self) -> bool {
        let elements = self.dialect.elements();
        let field = elements.original_stan.or(elements.original_elements);
        field.is_some_and(|element| self.message.has(element.field))
    }

    /// Batch and trace number (61.1 and 61.2), or the trace number of 90.
    fn trace(&self) -> Option<Named> {
        let elements = self.dialect.elements();
        let number = |element| self.dialect.element_number(self.message, element);
        if let (Some(batch), Some(stan)) = (elements.original_batch, elements.original_stan) {
            let (batch, stan) = (number(batch)?, number(stan)?);
            return Some(Named::Trace {
                batch: batch.try_into().ok()?,
                stan: stan.try_into().ok()?,
            });
        }
        let mut room = ROOM;
        let named = elements.original_elements?;
        let digits = self.dialect.element_bytes(self.message, named, &mut room)?;
        let stan = std::str::from_utf8(digits.get(4..10)?).ok()?.parse().ok()?;
        Some(Named::Trace { batch: 0, stan })
    }

    /// The retrieval reference number (37). One that is none of ours names nothing.
    fn number(&self) -> Option<Named> {
        let mut room = ROOM;
        let text = self.message.text_bytes(37, &mut room)?;
        let text = text.trim_ascii();
        if text.is_empty() {
            return None;
        }
        let digits = std::str::from_utf8(text).ok().and_then(|text| text.parse().ok());
        let ours = digits.filter(|id| (1..TxnId::LIMIT).contains(id));
        Some(Named::Number(TxnId(ours.unwrap_or(0))))
    }

    /// The authorisation code (38) that the request gives for its original.
    fn authorisation(&self) -> Option<[u8; 6]> {
        let mut room = ROOM;
        six(&self.message.text_bytes(38, &mut room)?)
    }

    /// The date of the original (61.3), if one is given.
    fn original_date(&self) -> Option<u16> {
        let element = self.dialect.elements().original_date?;
        let date = self.dialect.element_number(self.message, element)?;
        u16::try_from(date).ok().filter(|date| *date > 0)
    }
}

/// The dialect's rule under a merchant's own limits.
fn limited(kind: Kind, rule: &OriginalRule, limits: OriginalLimits) -> (Takes, Option<u16>) {
    let whole = matches!(kind, Kind::Completion | Kind::CompletionAdvice);
    let days = match kind {
        Kind::Refund => limits.refund_days,
        Kind::Completion | Kind::CompletionAdvice | Kind::PreAuthorisationVoid => {
            limits.completion_days
        }
        _ => None,
    };
    let takes = match rule.takes {
        Takes::Whole { percent } if whole => {
            Takes::Whole { percent: limits.completion_percent.unwrap_or(percent) }
        }
        Takes::Total { percent } if kind == Kind::Tip => {
            Takes::Total { percent: limits.tip_percent.unwrap_or(percent) }
        }
        takes => takes,
    };
    (takes, days.or(rule.days))
}
