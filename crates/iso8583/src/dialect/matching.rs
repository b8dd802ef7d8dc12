//! Which elements say what an answer of a host answers, and where the host wants to see a reference of its own.

use super::faults::{Faults, Section};
use super::identity::{self, Element};
use crate::field::FieldSpec;

/// The elements that an answer must have as its request had them, beside the class of its message type.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MatchSet {
    /// The retrieval reference number (37), which is ours.
    pub rrn: bool,
    /// The trace number (11).
    pub stan: bool,
    /// The terminal (41).
    pub terminal: bool,
    /// The time of transmission (7). It tells something only where 37 is not in the set.
    pub sent: bool,
}

impl Default for MatchSet {
    fn default() -> Self {
        Self { rrn: true, stan: true, terminal: false, sent: false }
    }
}

fn is_known(fields: &[Option<FieldSpec>], element: Element) -> bool {
    let spec = fields.get(usize::from(element.field)).and_then(Option::as_ref);
    spec.is_some_and(|spec| element.part.is_none_or(|part| spec.part_range(part).is_some()))
}

/// `match = ["37", "11"]`. A set without 37 and 11 names many requests of ours.
pub(super) fn match_set(
    file: &mut Section,
    fields: &[Option<FieldSpec>],
    faults: &mut Faults,
) -> MatchSet {
    let expected = "a list of \"37\", \"11\", \"41\" and \"7\"";
    let elements = file.texts("match", expected, faults, |text| match text {
        "7" => Some(7_u8),
        "11" => Some(11),
        "37" => Some(37),
        "41" => Some(41),
        _ => None,
    });
    let Some(elements) = elements else { return MatchSet::default() };
    let has = |number| elements.contains(&number);
    if !has(37) && !has(11) {
        let message = "\"37\" or \"11\" expected in it: without one of them an answer could mean several requests";
        faults.add(file.key("match"), message);
    }
    for number in &elements {
        if !is_known(fields, Element { field: *number, part: None }) {
            faults.add(file.key("match"), format!("field {number} is not in [fields]"));
        }
    }
    MatchSet { rrn: has(37), stan: has(11), terminal: has(41), sent: has(7) }
}

/// `host_rrn = ["37"]`: whole elements or positional parts. Only a host whose answers are matched without our 37 has one of its
/// own.
pub(super) fn host_rrn(
    file: &mut Section,
    matching: MatchSet,
    fields: &[Option<FieldSpec>],
    faults: &mut Faults,
) -> Vec<Element> {
    let expected = "a field or a part of one, like \"37\" or \"61.2\", or a list of such";
    let elements = file.texts("host_rrn", expected, faults, identity::parse).unwrap_or_default();
    for element in &elements {
        if !is_known(fields, *element) {
            faults.add(file.key("host_rrn"), "the dialect has no such field or part");
        }
    }
    if !elements.is_empty() && matching.rrn {
        let message =
            "a `match` without \"37\" expected: a host that returns our 37 has none of its own";
        faults.add(file.key("host_rrn"), message);
    }
    elements
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dialect::{Dialect, SHIPPED};

    fn dialect(text: &str) -> Result<Dialect, Vec<String>> {
        Dialect::parse("x", &format!("base = \"iso87-ascii\"\n{text}"))
            .map_err(|error| error.faults.iter().map(ToString::to_string).collect())
    }

    #[test]
    fn a_match_set_is_unique_for_us() {
        let set =
            |text: &str| dialect(&format!("match = {text}")).map(|dialect| dialect.matching());
        let of = |rrn, stan, terminal, sent| Ok(MatchSet { rrn, stan, terminal, sent });
        for name in SHIPPED {
            let dialect = Dialect::shipped(name).expect("shipped");
            assert_eq!(dialect.matching(), MatchSet::default(), "{name}");
        }
        assert_eq!(set("[\"37\"]"), of(true, false, false, false));
        assert_eq!(set("\"11\""), of(false, true, false, false));
        assert_eq!(set("[\"11\", \"41\", \"7\"]"), of(false, true, true, true));
        for text in ["[]", "[\"41\"]", "[\"7\", \"41\"]"] {
            let faults = set(text).expect_err("not unique");
            assert!(faults[0].starts_with("match: \"37\" or \"11\" expected in it"), "{faults:?}");
        }
        for text in ["[\"38\"]", "[37]", "true"] {
            let faults = set(text).expect_err("no elements");
            assert!(faults[0].starts_with("match: a list of"), "{faults:?}");
        }
    }

    #[test]
    fn a_host_has_a_reference_of_its_own_where_it_does_not_return_ours() {
        let own = dialect("match = [\"11\"]\nhost_rrn = [\"37\", \"48\"]").expect("sound");
        let whole = |field| Element { field, part: None };
        assert_eq!(own.host_rrn(), [whole(37), whole(48)]);
        let faults = dialect("host_rrn = [\"37\"]").expect_err("ours");
        assert!(faults[0].starts_with("host_rrn: a `match` without \"37\""), "{faults:?}");
        for text in ["host_rrn = [\"61.2\"]", "host_rrn = \"129\""] {
            assert!(dialect(&format!("match = \"11\"\n{text}")).is_err(), "{text}");
        }
    }
}
