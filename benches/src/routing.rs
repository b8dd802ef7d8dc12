//! From a card number to its issuer, over a table as long as a country's.

use switch::{Routes, config::RouteSettings};

/// Prefixes of six digits and of eight, shared out over some issuers.
const SIX: usize = 4_000;
const EIGHT: usize = 1_000;
const ISSUERS: usize = 20;

/// Cards whose prefix has eight digits, six, and none.
pub const CARDS: [(&str, &str); 3] =
    [("eight", "6212345678901232"), ("six", "6213345678901232"), ("none", "4111111111111111")];

/// A table of 5,000 prefixes.
#[must_use]
pub fn table() -> Routes {
    // 62 1200 00 to 62 1299 90 in tens: longer than, and so before, their own first six digits
    let eight = (0..EIGHT).map(|number| format!("{:08}", 62_120_006 + number * 10));
    let six = (0..SIX).map(|number| format!("{:06}", 620_000 + number));
    let mut routes: Vec<_> = (0..ISSUERS)
        .map(|number| RouteSettings {
            prefixes: Vec::new(),
            issuer: format!("issuer-{number}").into(),
        })
        .collect();
    for (number, prefix) in six.chain(eight).enumerate() {
        if let Some(route) = routes.get_mut(number % ISSUERS) {
            route.prefixes.push(prefix);
        }
    }
    Routes::new(&routes)
}

/// The issuer's name, or how long it is.
#[inline(never)]
#[must_use]
pub fn route(table: &Routes, card: &str) -> usize {
    table.issuer(card).map_or(0, |name| name.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_cards_have_an_issuer() {
        let table = table();
        assert_eq!(CARDS.map(|(_, card)| table.issuer(card).is_some()), [true, true, false]);
        let issuers = CARDS.map(|(_, card)| table.issuer(card).cloned());
        assert_ne!(issuers.first(), issuers.get(1));
    }
}
