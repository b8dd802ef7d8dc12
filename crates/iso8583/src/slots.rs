//! Where the values of a message stand: small, so that a message is cheap to make and to move.

use crate::form::Form;

/// Where one value stands: in the frame if it was read, in what the message owns if it was set.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Slot {
    pub(crate) at: u32,
    /// Digits or characters of a packed value, bytes of every other.
    pub(crate) len: u16,
    pub(crate) form: Form,
}

impl Slot {
    pub(crate) const ABSENT: Self = Self { at: 0, len: 0, form: Form::Absent };
}

/// So many values have their place in the message itself; nearly no message has more.
const INLINE: usize = 32;

/// The slots of fields 1 to 128.
#[derive(Clone)]
pub(crate) struct Slots {
    /// By field number - 1: zero for a field that never had a value, else its place, counted from 1.
    places: [u8; 128],
    used: u8,
    first: [Slot; INLINE],
    more: Vec<Slot>,
}

impl Slots {
    pub(crate) const EMPTY: Self =
        Self { places: [0; 128], used: 0, first: [Slot::ABSENT; INLINE], more: Vec::new() };

    /// The slot of the field `number`, absent for a number that no field has.
    #[inline]
    pub(crate) fn get(&self, number: u8) -> Slot {
        let place = self.places.get(usize::from(number.wrapping_sub(1))).copied().unwrap_or(0);
        let index = usize::from(place.wrapping_sub(1));
        match self.first.get(index) {
            Some(slot) => *slot,
            None if place == 0 => Slot::ABSENT,
            None => self.more.get(index - INLINE).copied().unwrap_or(Slot::ABSENT),
        }
    }

    /// Gives the field `number` its slot, the first that it gets.
    #[inline]
    pub(crate) fn push(&mut self, number: u8, slot: Slot) {
        let Some(place) = self.places.get_mut(usize::from(number.wrapping_sub(1))) else { return };
        match self.first.get_mut(usize::from(self.used)) {
            Some(kept) => *kept = slot,
            None => self.more.push(slot),
        }
        self.used += 1;
        *place = self.used;
    }

    /// Gives the field `number` its slot.
    #[inline]
    pub(crate) fn put(&mut self, number: u8, slot: Slot) {
        let Some(place) = self.places.get_mut(usize::from(number.wrapping_sub(1))) else { return };
        if *place == 0 {
            return self.push(number, slot);
        }
        let index = usize::from(*place - 1);
        let kept = match self.first.get_mut(index) {
            Some(kept) => Some(kept),
            None => self.more.get_mut(index - INLINE),
        };
        if let Some(kept) = kept {
            *kept = slot;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_field_has_its_own_slot() {
        let mut slots = Slots::EMPTY;
        let slot = |at: u32| Slot { at, len: 1, form: Form::Raw };
        for round in [0, 1000] {
            for number in (1..=128).rev() {
                slots.put(number, slot(u32::from(number) + round));
            }
            for number in 1..=128 {
                assert_eq!(slots.get(number).at, u32::from(number) + round);
            }
        }
        slots.put(0, slot(7));
        slots.put(129, slot(7));
        for number in [0, 129, 200, 255] {
            assert_eq!(slots.get(number).form, Form::Absent);
        }
        assert_eq!(slots.more.len(), 128 - INLINE);
        slots.put(40, Slot::ABSENT);
        assert_eq!(slots.get(40).form, Form::Absent);
    }
}
