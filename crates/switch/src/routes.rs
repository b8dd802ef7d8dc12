//! Which issuer owns a card, and which merchants and terminals are known.

use std::collections::{BTreeMap, BTreeSet};

use iso8583::Cause;
use switch_core::Name;

use crate::config::{MerchantSettings, OriginalLimits, RouteSettings};

/// Issuers by the first digits of a card number.
#[derive(Debug, Default)]
pub struct Routes {
    by_prefix: BTreeMap<String, Name>,
    longest: usize,
}

impl Routes {
    /// Of two routes with the same prefix the first counts.
    pub fn new(routes: &[RouteSettings]) -> Self {
        let mut by_prefix = BTreeMap::new();
        for route in routes {
            for prefix in &route.prefixes {
                by_prefix.entry(prefix.clone()).or_insert_with(|| route.issuer.clone());
            }
        }
        let longest = by_prefix.keys().map(String::len).max().unwrap_or(0);
        Self { by_prefix, longest }
    }

    /// The issuer with the longest prefix of `card`.
    pub fn issuer(&self, card: &str) -> Option<&Name> {
        (0..=self.longest.min(card.len()))
            .rev()
            .find_map(|length| self.by_prefix.get(card.get(..length)?))
    }
}

/// Merchants by their number (42).
#[derive(Debug, Default)]
pub(crate) struct Merchants(BTreeMap<Vec<u8>, Merchant>);

/// A merchant that is known.
#[derive(Debug)]
pub(crate) struct Merchant {
    pub(crate) name: Option<String>,
    pub(crate) mcc: Option<String>,
    pub(crate) limits: OriginalLimits,
    terminals: BTreeSet<Vec<u8>>,
}

impl Merchants {
    pub(crate) fn new(merchants: &[MerchantSettings]) -> Self {
        let entry = |merchant: &MerchantSettings| {
            let terminals = merchant.terminals.iter().map(|t| t.clone().into_bytes()).collect();
            let (name, mcc) = (merchant.name.clone(), merchant.mcc.clone());
            (
                merchant.id.clone().into_bytes(),
                Merchant { name, mcc, limits: merchant.limits, terminals },
            )
        };
        Self(merchants.iter().map(entry).collect())
    }

    /// The merchant, where any are listed.
    pub(crate) fn get(&self, merchant: &[u8]) -> Option<&Merchant> {
        self.0.get(merchant)
    }

    /// Why a terminal of a merchant is refused, if it is.
    pub(crate) fn refusal(&self, merchant: &[u8], terminal: &[u8]) -> Option<Cause> {
        if self.0.is_empty() {
            return None;
        }
        match self.0.get(merchant) {
            None => Some(Cause::UnknownMerchant),
            Some(known) if known.terminals.is_empty() || known.terminals.contains(terminal) => None,
            Some(_) => Some(Cause::UnknownTerminal),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_longest_prefix_wins_then_the_order() {
        let route = |prefixes: &[&str], issuer: &str| RouteSettings {
            prefixes: prefixes.iter().map(|&prefix| prefix.to_owned()).collect(),
            issuer: issuer.into(),
        };
        let routes = Routes::new(&[
            route(&["62", "4"], "a"),
            route(&["6212", "4"], "b"),
            route(&["621"], "c"),
        ]);
        for (card, issuer) in [
            ("6212345678901232", Some("b")),
            ("6213345678901232", Some("c")),
            ("6200000000000005", Some("a")),
            ("4111111111111111", Some("a")),
            ("5", None),
            ("", None),
        ] {
            assert_eq!(routes.issuer(card).map(|name| &**name), issuer, "{card}");
        }
        let all = Routes::new(&[route(&[""], "a")]);
        assert_eq!(all.issuer("9").map(|name| &**name), Some("a"));
    }

    #[test]
    fn listed_merchants_and_terminals_are_the_only_ones() {
        let merchant = |id: &str, terminals: &[&str]| MerchantSettings {
            id: id.to_owned(),
            terminals: terminals.iter().map(|&t| t.to_owned()).collect(),
            ..MerchantSettings::default()
        };
        let open = Merchants::default();
        assert_eq!(open.refusal(b"M", b"T"), None);
        let merchants = Merchants::new(&[merchant("M1", &["T1"]), merchant("M2", &[])]);
        for (merchant, terminal, refusal) in [
            ("M1", "T1", None),
            ("M1", "T2", Some(Cause::UnknownTerminal)),
            ("M2", "T2", None),
            ("M3", "T1", Some(Cause::UnknownMerchant)),
        ] {
            let found = merchants.refusal(merchant.as_bytes(), terminal.as_bytes());
            assert_eq!(found, refusal, "{merchant} {terminal}");
        }
    }
}
