//! One rule of a script: to which messages it applies, and what is done with them.

use std::ops::RangeInclusive;
use std::time::Duration;

use iso8583::{Kind, OnSilence};

use super::action::Action;
use super::effect::Effect;
use crate::random::{happens, mix};

/// Which messages a rule is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum On {
    /// Those of one kind.
    Kind(Kind),
    /// Every request that is neither a reversal nor network management.
    Request,
    /// Requests that are delivered until they are answered: advices and refunds.
    Advice,
    /// Everything that takes a whole transaction back.
    Voids,
    /// Everything that stands on a transaction before it.
    FollowUp,
    Reversal,
    /// Whatever is about the line or a terminal's day.
    Network,
    Any,
}

impl On {
    /// The group of that name, or the kind.
    pub(super) fn from_name(name: &str) -> Option<Self> {
        Some(match name {
            "request" => Self::Request,
            "advice" => Self::Advice,
            "voids" => Self::Voids,
            "follow-up" => Self::FollowUp,
            "reversal" => Self::Reversal,
            "network" => Self::Network,
            "any" => Self::Any,
            name => Self::Kind(Kind::from_name(name)?),
        })
    }

    fn holds(self, kind: Option<Kind>) -> bool {
        let reversal = kind == Some(Kind::Reversal);
        let request = kind.is_none_or(Kind::is_transaction);
        let effect = kind.and_then(Effect::of);
        match self {
            Self::Kind(of) => kind == Some(of),
            Self::Request => request,
            Self::Advice => kind.is_some_and(|kind| kind.on_silence() == OnSilence::Deliver),
            Self::Voids => matches!(effect, Some(Effect::Undo | Effect::Release)),
            Self::FollowUp => effect.is_some_and(Effect::has_original),
            Self::Reversal => reversal,
            Self::Network => !request && !reversal,
            Self::Any => true,
        }
    }
}

/// What rules look at.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Probe<'a> {
    /// Nothing where the dialect has no such kind.
    pub(crate) kind: Option<Kind>,
    pub(crate) amount: i64,
    pub(crate) card: &'a str,
    pub(crate) terminal: &'a str,
    /// A number made from the transaction's identity, and how many messages came for it before.
    pub(crate) identity: u64,
    pub(crate) copy: u32,
    /// Since the issuer started.
    pub(crate) elapsed: Duration,
}

/// A rule: all of its conditions must hold.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Rule {
    pub(crate) name: String,
    pub(crate) on: On,
    pub(crate) amount: Option<RangeInclusive<i64>>,
    /// Amount modulo the first is the second.
    pub(crate) ending: Option<(i64, i64)>,
    pub(crate) card_prefix: String,
    pub(crate) terminal: Option<String>,
    pub(crate) period: Option<(Duration, Duration)>,
    /// Copies of a message after so many are passed over.
    pub(crate) copies: Option<u32>,
    pub(crate) probability: Option<f64>,
    pub(crate) every: Option<u64>,
    pub(crate) limit: Option<u64>,
    pub(crate) action: Action,
}

/// How often a rule was asked and applied.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Applied {
    matched: u64,
    pub(crate) hits: u64,
}

impl Rule {
    /// A rule for requests without conditions.
    pub(crate) fn new(name: String, action: Action) -> Self {
        Self {
            name,
            on: On::Request,
            amount: None,
            ending: None,
            card_prefix: String::new(),
            terminal: None,
            period: None,
            copies: None,
            probability: None,
            every: None,
            limit: None,
            action,
        }
    }

    /// Whether the rule applies to a message; `number` and `seed` make its draws its own.
    pub(crate) fn applies(
        &self,
        probe: &Probe<'_>,
        (seed, number): (u64, u64),
        applied: &mut Applied,
    ) -> bool {
        if !self.matches(probe) {
            return false;
        }
        let draw = mix(&[seed, number, probe.identity, u64::from(probe.copy)]);
        if self.probability.is_some_and(|probability| !happens(draw, probability)) {
            return false;
        }
        applied.matched += 1;
        if self.every.is_some_and(|every| !applied.matched.is_multiple_of(every))
            || self.limit.is_some_and(|limit| applied.hits >= limit)
        {
            return false;
        }
        applied.hits += 1;
        true
    }

    fn matches(&self, probe: &Probe<'_>) -> bool {
        self.on.holds(probe.kind)
            && self.amount.as_ref().is_none_or(|range| range.contains(&probe.amount))
            && self.ending.is_none_or(|(modulo, rest)| probe.amount.rem_euclid(modulo) == rest)
            && probe.card.starts_with(&self.card_prefix)
            && self.terminal.as_ref().is_none_or(|terminal| terminal == probe.terminal)
            && self.copies.is_none_or(|copies| probe.copy < copies)
            && self.period.is_none_or(|(from, to)| (from..to).contains(&probe.elapsed))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn probe(amount: i64) -> Probe<'static> {
        let identity = u64::try_from(amount).expect("positive");
        let elapsed = Duration::from_secs(5);
        Probe {
            kind: Some(Kind::Purchase),
            amount,
            card: "6200000000000005",
            terminal: "T1",
            identity,
            copy: 0,
            elapsed,
        }
    }

    fn hits(rule: &Rule, amounts: RangeInclusive<i64>) -> Vec<i64> {
        let mut applied = Applied::default();
        amounts.filter(|amount| rule.applies(&probe(*amount), (7, 0), &mut applied)).collect()
    }

    #[test]
    fn every_condition_counts() {
        let rule = Rule::new(String::new(), Action::APPROVE);
        let cases: &[(Rule, &[i64])] = &[
            (rule.clone(), &[1, 2, 3, 4, 5, 6]),
            (Rule { amount: Some(2..=3), ..rule.clone() }, &[2, 3]),
            (Rule { ending: Some((3, 2)), ..rule.clone() }, &[2, 5]),
            (Rule { every: Some(3), ..rule.clone() }, &[3, 6]),
            (Rule { every: Some(2), limit: Some(2), ..rule.clone() }, &[2, 4]),
            (Rule { card_prefix: "62".into(), ..rule.clone() }, &[1, 2, 3, 4, 5, 6]),
            (Rule { card_prefix: "81".into(), ..rule.clone() }, &[]),
            (Rule { terminal: Some("T2".into()), ..rule.clone() }, &[]),
            (Rule { on: On::Reversal, ..rule.clone() }, &[]),
            (Rule { on: On::Kind(Kind::Void), ..rule.clone() }, &[]),
            (Rule { on: On::Kind(Kind::Purchase), ..rule.clone() }, &[1, 2, 3, 4, 5, 6]),
            (Rule { on: On::Any, ..rule.clone() }, &[1, 2, 3, 4, 5, 6]),
            (Rule { copies: Some(0), ..rule.clone() }, &[]),
            (Rule { probability: Some(0.0), ..rule.clone() }, &[]),
            (Rule { period: Some((Duration::from_secs(6), Duration::from_secs(9))), ..rule }, &[]),
        ];
        for (rule, expected) in cases {
            assert_eq!(hits(rule, 1..=6), *expected, "{rule:?}");
        }
    }

    #[test]
    fn kinds_are_in_their_groups() {
        let groups = ["request", "advice", "voids", "follow-up", "reversal", "network", "any"];
        for (kind, expected) in [
            (Some(Kind::Purchase), "request any"),
            (Some(Kind::Void), "request voids follow-up any"),
            (Some(Kind::PreAuthorisationVoid), "request voids follow-up any"),
            (Some(Kind::Refund), "request advice follow-up any"),
            (Some(Kind::OfflineRefund), "request advice any"),
            (Some(Kind::ScriptResult), "request advice follow-up any"),
            (Some(Kind::Reversal), "reversal any"),
            (Some(Kind::Settlement), "network any"),
            (None, "request any"),
        ] {
            let holds = |name: &&&str| On::from_name(name).is_some_and(|on| on.holds(kind));
            let found: Vec<_> = groups.iter().filter(holds).copied().collect();
            assert_eq!(found.join(" "), expected, "{kind:?}");
        }
        assert_eq!(On::from_name("tip"), Some(On::Kind(Kind::Tip)));
        assert_eq!(On::from_name("tips"), None);
    }

    #[test]
    fn draws_belong_to_the_message_and_not_to_its_place() {
        let rule = Rule { probability: Some(0.3), ..Rule::new(String::new(), Action::APPROVE) };
        let all = hits(&rule, 1..=1000);
        assert!((250..350).contains(&all.len()), "{}", all.len());
        let some: Vec<_> = all.iter().copied().filter(|amount| *amount > 500).collect();
        assert_eq!(hits(&rule, 501..=1000), some);
    }
}
