//! How many requests a second an open loop makes, and when each is due: steady, in steps, or rising; even or at random.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use crate::duration;
use crate::random::Random;

/// The rates of an open loop, one stretch after the other.
#[derive(Debug, Clone, PartialEq)]
pub struct Rates {
    stretches: Vec<Stretch>,
    text: String,
}

/// A time in which the rate moves evenly from one to another.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Stretch {
    from: f64,
    to: f64,
    /// Endless where only one rate was given.
    seconds: f64,
}

/// How requests lie between each other.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Arrivals {
    /// Evenly.
    #[default]
    Constant,
    /// At random and independent of each other, as those of many terminals are: a Poisson process.
    Poisson,
}

/// A text that says no rates.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "`{text}` says no rates: {expected}. Write `10000` (a second), `1000..20000:60s` (rising for 60 s) or \
     `1000..20000/1000:10s` (steps of 1000, 10 s each)"
)]
pub struct RatesError {
    text: String,
    expected: &'static str,
}

const MOST: f64 = 1_000_000.0;
const MOST_STEPS: usize = 1_000;

impl Rates {
    /// One rate, for as long as the load lasts.
    ///
    /// # Errors
    /// It is not above 0, or above a million a second.
    pub fn constant(rate: f64) -> Result<Self, RatesError> {
        rate.to_string().parse()
    }

    /// How long it lasts, if it ends by itself.
    #[must_use]
    pub fn length(&self) -> Option<Duration> {
        let seconds = self.stretches.iter().map(|stretch| stretch.seconds).sum();
        Duration::try_from_secs_f64(seconds).ok()
    }

    /// When requests are due, from the start on.
    pub(super) fn schedule(&self, arrivals: Arrivals, seed: u64) -> Schedule {
        let random = match arrivals {
            Arrivals::Constant => None,
            Arrivals::Poisson => Some(Random::stream(seed, u64::MAX)),
        };
        Schedule {
            stretches: self.stretches.clone(),
            passed: (0.0, 0.0),
            index: 0,
            due: 0.0,
            random,
        }
    }
}

impl fmt::Display for Rates {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

fn rate(text: &str) -> Result<f64, &'static str> {
    let rate = text.trim().parse().ok().filter(|rate: &f64| *rate > 0.0 && *rate <= MOST);
    rate.ok_or("a rate is a number above 0 and at most 1000000")
}

fn stretches(text: &str) -> Result<Vec<Stretch>, &'static str> {
    let Some((from, rest)) = text.split_once("..") else {
        let rate = rate(text)?;
        return Ok(vec![Stretch { from: rate, to: rate, seconds: f64::INFINITY }]);
    };
    let (to, length) = rest.split_once(':').ok_or("after the rates follows `:` and a time")?;
    let length = duration::parse(length.trim()).ok().filter(|length| !length.is_zero());
    let seconds = length.ok_or("the time is a number with a unit, as `10s`")?.as_secs_f64();
    let Some((to, step)) = to.split_once('/') else {
        return Ok(vec![Stretch { from: rate(from)?, to: rate(to)?, seconds }]);
    };
    let (from, to, step) = (rate(from)?, rate(to)?, rate(step)?);
    let mut steps = Vec::new();
    let mut level = from;
    // a last step that is short of the end by less than half a step still counts as the end
    while (to >= from && level <= to + step * 0.01) || (to < from && level >= to - step * 0.01) {
        if steps.len() == MOST_STEPS {
            return Err("that is more than 1000 steps");
        }
        steps.push(Stretch { from: level, to: level, seconds });
        level += if to >= from { step } else { -step };
        if level <= 0.0 {
            break;
        }
    }
    Ok(steps)
}

impl FromStr for Rates {
    type Err = RatesError;

    fn from_str(text: &str) -> Result<Self, RatesError> {
        match stretches(text) {
            Ok(stretches) => Ok(Self { stretches, text: text.to_owned() }),
            Err(expected) => Err(RatesError { text: text.to_owned(), expected }),
        }
    }
}

/// When requests are due.
#[derive(Debug, Clone)]
pub(super) struct Schedule {
    stretches: Vec<Stretch>,
    index: usize,
    /// Seconds and requests before the present stretch.
    passed: (f64, f64),
    /// Requests due before the next.
    due: f64,
    random: Option<Random>,
}

impl Iterator for Schedule {
    type Item = Duration;

    /// The time from the start to the next request. A request is due when the rates, summed up over time, have made it
    /// whole; with random arrivals, when they have made up the distance drawn for it.
    fn next(&mut self) -> Option<Duration> {
        if let Some(random) = &mut self.random {
            self.due -= random.unit().ln();
        }
        loop {
            let stretch = *self.stretches.get(self.index)?;
            let whole = (stretch.from + stretch.to) / 2.0 * stretch.seconds;
            let within = self.due - self.passed.1;
            if within < whole {
                if self.random.is_none() {
                    self.due += 1.0;
                }
                return Duration::try_from_secs_f64(self.passed.0 + stretch.time_of(within)).ok();
            }
            self.passed = (self.passed.0 + stretch.seconds, self.passed.1 + whole);
            self.index += 1;
        }
    }
}

impl Stretch {
    /// Seconds until so many requests are due.
    fn time_of(&self, requests: f64) -> f64 {
        let slope = (self.to - self.from) / self.seconds;
        if slope == 0.0 || !slope.is_finite() {
            return requests / self.from;
        }
        ((self.from * self.from + 2.0 * slope * requests).max(0.0).sqrt() - self.from) / slope
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn dues(text: &str, arrivals: Arrivals) -> Vec<Duration> {
        text.parse::<Rates>().expect(text).schedule(arrivals, 7).take(100_000).collect()
    }

    fn within(dues: &[Duration], from: u64, to: u64) -> usize {
        let range = Duration::from_secs(from)..Duration::from_secs(to);
        dues.iter().filter(|due| range.contains(due)).count()
    }

    #[test]
    fn rates_are_steady_rise_or_go_in_steps() {
        let steady = dues("1000", Arrivals::Constant);
        assert_eq!(steady[..3], [0, 1, 2].map(Duration::from_millis));
        assert_eq!(within(&steady, 3, 5), 2_000);

        let steps = dues("100..300/100:10s", Arrivals::Constant);
        assert_eq!(
            [(0, 10), (10, 20), (20, 30)].map(|(a, b)| within(&steps, a, b)),
            [1000, 2000, 3000]
        );
        assert_eq!(steps.len(), 6_000);
        let down: Rates = "300..100/100:10s".parse().expect("steps down");
        assert_eq!(down.length(), Some(Duration::from_secs(30)));

        let rising = dues("100..300:10s", Arrivals::Constant);
        assert_eq!(rising.len(), 2_000);
        assert_eq!(within(&rising, 0, 5), 750);
        assert!(rising.is_sorted());
    }

    #[test]
    fn random_arrivals_keep_the_rate_and_repeat_with_the_seed() {
        let random = dues("1000", Arrivals::Poisson);
        assert!(random.is_sorted());
        let count = within(&random, 0, 50);
        assert!((49_000..51_000).contains(&count), "{count}");
        // of a Poisson process as many seconds vary by the root of the rate
        let spread: f64 = (0..50)
            .map(|second| within(&random, second, second + 1) as f64 - 1_000.0)
            .map(|off| off * off)
            .sum::<f64>();
        let deviation = (spread / 50.0).sqrt();
        assert!((22.0..45.0).contains(&deviation), "{deviation}");
        assert_eq!(random, dues("1000", Arrivals::Poisson));
    }

    #[test]
    fn what_says_no_rates_is_told() {
        for (text, says) in [
            ("", "a number above 0"),
            ("0", "a number above 0"),
            ("-5", "a number above 0"),
            ("NaN", "a number above 0"),
            ("2000000", "at most 1000000"),
            ("1..2", "`:` and a time"),
            ("1..2:0s", "a number with a unit"),
            ("1..2:5", "a number with a unit"),
            ("1..2/0:5s", "a number above 0"),
            ("1..100000/1:5s", "1000 steps"),
        ] {
            let error = text.parse::<Rates>().expect_err(text).to_string();
            assert!(error.contains(says), "{text}: {error}");
        }
    }
}
