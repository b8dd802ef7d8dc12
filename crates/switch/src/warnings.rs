//! Warnings about peers: one line for each peer and reason a minute, with the number of times. A new host or till that
//! speaks otherwise than expected is seen on the first day, and one that floods fills no disk.

use std::{
    collections::HashMap,
    net::{IpAddr, SocketAddr},
    sync::{LazyLock, Mutex, PoisonError},
    time::Instant,
};

use store::Logged;

/// Most peers and reasons that are remembered. Those beyond share one entry a reason.
const MOST: usize = 4_096;

/// Subject and reason of a warning.
type Of = (String, &'static str);

#[derive(Debug, Default)]
struct Warnings(HashMap<Of, Logged>);

/// All warnings about peers of this process.
static WARNINGS: LazyLock<Mutex<Warnings>> = LazyLock::new(Mutex::default);

impl Warnings {
    /// How many times the line to be logged now stands for; none where it is too early for one.
    fn due(&mut self, now: Instant, subject: &str, reason: &'static str) -> Option<u64> {
        let mut of = (subject.to_owned(), reason);
        if self.0.len() >= MOST && !self.0.contains_key(&of) {
            self.0.retain(|_, logged| !logged.is_due(now));
            if self.0.len() >= MOST {
                of.0 = "others".to_owned();
            }
        }
        let Some(logged) = self.0.get_mut(&of) else {
            self.0.insert(of, Logged::new(now));
            return Some(1);
        };
        logged.again(now)
    }
}

/// How many times a warning of this reason about `subject` stands for, if it is to be logged now.
pub(crate) fn due(subject: &str, reason: &'static str) -> Option<u64> {
    let mut warnings = WARNINGS.lock().unwrap_or_else(PoisonError::into_inner);
    warnings.due(Instant::now(), subject, reason)
}

/// The subject of warnings about a terminal: its address without the port, which is another with each connection.
pub(crate) fn peer(address: SocketAddr) -> String {
    match address.ip() {
        IpAddr::V6(ip) => ip.to_canonical().to_string(),
        ip @ IpAddr::V4(_) => ip.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn a_peer_and_reason_are_logged_once_a_minute_with_their_number() {
        let mut warnings = Warnings::default();
        let start = Instant::now();
        let at = |seconds| start + Duration::from_secs(seconds);
        assert_eq!(warnings.due(at(0), "10.0.0.1", "unreadable"), Some(1));
        for second in 1..60 {
            assert_eq!(warnings.due(at(second), "10.0.0.1", "unreadable"), None);
        }
        assert_eq!(warnings.due(at(1), "10.0.0.1", "framing"), Some(1), "another reason");
        assert_eq!(warnings.due(at(1), "10.0.0.2", "unreadable"), Some(1), "another peer");
        assert_eq!(warnings.due(at(60), "10.0.0.1", "unreadable"), Some(60));
        assert_eq!(warnings.due(at(200), "10.0.0.1", "unreadable"), Some(1));
    }

    #[test]
    fn peers_without_end_take_no_memory_without_end() {
        let mut warnings = Warnings::default();
        let now = Instant::now();
        let logged = (0..2 * MOST).filter_map(|n| warnings.due(now, &n.to_string(), "framing"));
        assert_eq!(logged.count(), MOST + 1, "those beyond share one line");
        assert_eq!(warnings.0.len(), MOST + 1);
        let later = now + Logged::EVERY;
        assert_eq!(warnings.due(later, "new", "framing"), Some(1));
        assert_eq!(warnings.0.len(), 1, "the old ones are forgotten");
    }

    #[test]
    fn a_terminal_is_its_address_without_the_port() {
        for (address, expected) in [
            ("10.0.0.1:8080", "10.0.0.1"),
            ("[::ffff:10.0.0.1]:8080", "10.0.0.1"),
            ("[2001:db8::1]:1", "2001:db8::1"),
        ] {
            assert_eq!(peer(address.parse().expect("an address")), expected);
        }
    }
}
