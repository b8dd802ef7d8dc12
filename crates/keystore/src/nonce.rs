//! Nonces that never come twice, without asking the system's generator for each.

use std::cell::RefCell;

use aws_lc_rs::aead::NONCE_LEN;

/// A thread draws so many at a time.
const BLOCK: usize = 32;

/// Random bytes that were drawn, and how many nonces of them were given away.
struct Drawn {
    block: [[u8; NONCE_LEN]; BLOCK],
    given: usize,
}

thread_local! {
    static DRAWN: RefCell<Drawn> =
        const { RefCell::new(Drawn { block: [[0; NONCE_LEN]; BLOCK], given: BLOCK }) };
}

impl Drawn {
    /// A nonce that was not given away, or nothing if there are no random bytes to be had.
    fn next(&mut self) -> Option<[u8; NONCE_LEN]> {
        if self.given >= BLOCK {
            aws_lc_rs::rand::fill(self.block.as_flattened_mut()).ok()?;
            self.given = 0;
        }
        let nonce = self.block.get(self.given).copied();
        self.given += 1;
        nonce
    }
}

/// A random nonce for what is bound to `place`; nothing if there are no random bytes to be had.
///
/// Each is of 96 bits from the generator, as if it were drawn alone. The place is added to it: that keeps
/// it as random as it was, and if a machine is ever copied with its memory, and both go on with the same
/// drawn bytes, what is sealed for different places is still sealed under different nonces.
pub(crate) fn draw(place: &[u8]) -> Option<[u8; NONCE_LEN]> {
    let mut nonce = DRAWN.with_borrow_mut(Drawn::next)?;
    let mut mixed = [0_u8; NONCE_LEN];
    for bytes in place.chunks(NONCE_LEN) {
        for (to, from) in mixed.iter_mut().zip(bytes) {
            *to = to.rotate_left(3) ^ from;
        }
    }
    for (to, from) in nonce.iter_mut().zip(mixed) {
        *to ^= from;
    }
    Some(nonce)
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn no_nonce_comes_twice_in_any_thread() {
        let draws = || (0..1000).map(|_| draw(b"place").expect("random")).collect::<Vec<_>>();
        let all: Vec<_> = std::thread::scope(|scope| {
            let threads: Vec<_> = (0..8).map(|_| scope.spawn(draws)).collect();
            threads.into_iter().flat_map(|thread| thread.join().expect("ends")).collect()
        });
        assert_eq!(all.len(), 8000);
        assert_eq!(all.iter().collect::<HashSet<_>>().len(), 8000);
    }

    #[test]
    fn the_same_drawn_bytes_give_other_nonces_to_other_places() {
        let places: [&[u8]; 6] =
            [b"", b"a", b"b", b"0123456789abcdef", b"f0123456789abcde", b"0123456789ab"];
        let again = |place: &[u8]| {
            DRAWN.with_borrow_mut(|drawn| {
                drawn.block = [[7; NONCE_LEN]; BLOCK];
                drawn.given = 0;
            });
            draw(place).expect("drawn")
        };
        assert_eq!(places.map(again).iter().collect::<HashSet<_>>().len(), places.len());
        assert_eq!(again(b"a"), again(b"a"));
        DRAWN.with_borrow_mut(|drawn| drawn.given = BLOCK);
        assert_ne!(draw(b""), Some([7; NONCE_LEN]));
    }
}
