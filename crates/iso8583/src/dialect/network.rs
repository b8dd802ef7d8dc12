//! What a host's own network management message (0800) asks for, by its code (70, 60.3, or 24).

use super::Dialect;
use super::faults::{Faults, Section};
use super::kinds::KindRow;
use crate::kind::Kind;
use crate::message::Message;

/// What a network management message asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum NetworkRequest {
    /// The sender begins its session.
    SignOn,
    /// The sender ends its session.
    SignOff,
    /// A test of the line; a message without a code counts as one.
    Echo,
    /// The sender's business day changes.
    CutOver,
    /// The sender changes a key.
    KeyChange,
    /// A code that the dialect does not list.
    Unknown,
}

impl NetworkRequest {
    /// The name in logs and metrics.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::SignOn => "sign-on",
            Self::SignOff => "sign-off",
            Self::Echo => "echo",
            Self::CutOver => "cut-over",
            Self::KeyChange => "key-change",
            Self::Unknown => "unknown",
        }
    }
}

/// The section `[network]`: codes beside those of the kinds sign-on, sign-off and echo.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct NetworkCodes {
    cut_over: Vec<String>,
    key_change: Vec<String>,
}

impl Dialect {
    /// What a network management message of a host asks for.
    #[must_use]
    pub fn network_request(&self, message: &Message) -> NetworkRequest {
        let at = self.elements().network_code;
        let Some(code) = at.and_then(|at| self.element(message, at)) else {
            return NetworkRequest::Echo;
        };
        let of_kind = |kind| {
            self.row(kind).is_some_and(|row| row.network_codes.iter().any(|own| *own == *code))
        };
        let listed = |codes: &[String]| codes.iter().any(|own| *own == *code);
        if of_kind(Kind::Echo) {
            NetworkRequest::Echo
        } else if of_kind(Kind::SignOn) {
            NetworkRequest::SignOn
        } else if of_kind(Kind::SignOff) {
            NetworkRequest::SignOff
        } else if listed(&self.network.cut_over) {
            NetworkRequest::CutOver
        } else if listed(&self.network.key_change) {
            NetworkRequest::KeyChange
        } else {
            NetworkRequest::Unknown
        }
    }
}

/// The section `[network]`; a list that is not there has the standard's code: 201 and 101, or 821 and 811 in the 1993
/// version.
pub(super) fn network(
    section: Option<Section>,
    kinds: &[KindRow],
    faults: &mut Faults,
) -> NetworkCodes {
    let mut section = section.unwrap_or_else(|| Section::new("network", toml::Table::new()));
    let later = kinds.first().is_some_and(|row| row.mti.version() == 1);
    let mut list = |name: &str, usual: [&str; 2]| {
        let given = section.texts(name, "three digits, or a list of such", faults, |text| {
            let good = text.len() == 3 && text.bytes().all(|byte| byte.is_ascii_digit());
            good.then(|| text.to_owned())
        });
        given.unwrap_or_else(|| vec![usual[usize::from(later)].to_owned()])
    };
    let cut_over = list("cut_over", ["201", "821"]);
    let key_change = list("key_change", ["101", "811"]);
    let sessions = [Kind::SignOn, Kind::SignOff, Kind::Echo];
    for (name, codes) in [("cut_over", &cut_over), ("key_change", &key_change)] {
        for code in codes {
            let taken = kinds
                .iter()
                .filter(|row| sessions.contains(&row.kind))
                .find(|row| row.network_codes.contains(code));
            if let Some(row) = taken {
                let fault = format!("{code} is the code of {}", row.kind.name());
                faults.add(section.key(name), fault);
            }
        }
    }
    for code in cut_over.iter().filter(|code| key_change.contains(code)) {
        faults.add(section.key("key_change"), format!("{code} is one of cut_over"));
    }
    section.end(faults);
    NetworkCodes { cut_over, key_change }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dialect::SHIPPED;
    use crate::mti::Mti;

    #[test]
    fn codes_say_what_a_host_asks_for_in_each_dialect() {
        use NetworkRequest::{CutOver, Echo, KeyChange, SignOff, SignOn, Unknown};
        for (name, field, codes) in [
            (
                "iso87-ascii",
                70,
                [("001", SignOn), ("002", SignOff), ("201", CutOver), ("101", KeyChange)],
            ),
            (
                "iso93-ascii",
                24,
                [("801", SignOn), ("802", SignOff), ("821", CutOver), ("811", KeyChange)],
            ),
            (
                "cup-pos",
                60,
                [
                    ("00000000001", SignOn),
                    ("00000000002", SignOff),
                    ("00000000201", CutOver),
                    ("00000000101", KeyChange),
                ],
            ),
        ] {
            let dialect = Dialect::shipped(name).expect("shipped");
            let mti = if dialect.version() == 1 { "1804" } else { "0800" };
            let mut message = Message::new(Mti::parse(mti).expect("digits"));
            assert_eq!(dialect.network_request(&message), Echo, "{name}: no code");
            for (code, expected) in codes {
                message.set_text(field, code);
                assert_eq!(dialect.network_request(&message), expected, "{name} {code}");
            }
            message.set_text(field, if field == 60 { "00000000999" } else { "999" });
            assert_eq!(dialect.network_request(&message), Unknown, "{name}");
        }
        for name in SHIPPED {
            let dialect = Dialect::shipped(name).expect("shipped");
            assert!(!dialect.network.cut_over.is_empty(), "{name}");
        }
    }

    #[test]
    fn a_code_asks_for_one_thing() {
        let check = |text: &str, expected: &[&str]| {
            let text = format!("base = \"iso87-ascii\"\n[network]\n{text}");
            let error = Dialect::parse("x", &text).expect_err("faults");
            let found: Vec<String> = error.faults.iter().map(ToString::to_string).collect();
            assert_eq!(found, expected);
        };
        check("cut_over = [\"001\"]", &["network.cut_over: 001 is the code of sign-on"]);
        check(
            "cut_over = \"201\"\nkey_change = [\"201\"]",
            &["network.key_change: 201 is one of cut_over"],
        );
        check(
            "key_change = 101",
            &["network.key_change: three digits, or a list of such expected, found 101"],
        );
    }
}
