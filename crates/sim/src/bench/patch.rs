//! Places in an encoded message where digits stand, so that a template is filled in without encoding it again.

/// One run of digits in a frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Place {
    at: usize,
    len: usize,
    form: Form,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Form {
    /// Two digits a byte.
    Packed,
    /// One digit a byte, from this zero on.
    Text(u8),
}

/// All places of one value in a frame.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Places(Vec<Place>);

impl Places {
    /// Finds the places of a value by comparing a frame in which all of its digits are 0 with one in which all are 1.
    pub(super) fn find(zeros: &[u8], ones: &[u8]) -> Self {
        let mut places: Vec<Place> = Vec::new();
        for (at, (zero, one)) in zeros.iter().zip(ones).enumerate() {
            let form = match (zero, one.wrapping_sub(*zero)) {
                (0, 0x11) => Form::Packed,
                (zero, 1) => Form::Text(*zero),
                _ => continue,
            };
            match places.last_mut() {
                Some(last) if last.at + last.len == at && last.form == form => last.len += 1,
                _ => places.push(Place { at, len: 1, form }),
            }
        }
        Self(places)
    }

    /// Writes the last digits of a number into all places.
    pub(super) fn write(&self, number: u64, frame: &mut [u8]) {
        for place in &self.0 {
            let Some(bytes) = frame.get_mut(place.at..place.at + place.len) else { continue };
            let mut left = number;
            for byte in bytes.iter_mut().rev() {
                *byte = match place.form {
                    Form::Packed => {
                        let pair = digit(left % 100);
                        left /= 100;
                        ((pair / 10) << 4) | (pair % 10)
                    }
                    Form::Text(zero) => {
                        let one = digit(left % 10);
                        left /= 10;
                        zero.wrapping_add(one)
                    }
                };
            }
        }
    }
}

fn digit(number: u64) -> u8 {
    u8::try_from(number).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digits_are_found_and_written_in_either_form() {
        let zeros = [0x60, 0x00, 0x00, 0x77, b'0', b'0', b'0', 0xF0, 0xF0];
        let ones = [0x60, 0x11, 0x11, 0x77, b'1', b'1', b'1', 0xF1, 0xF1];
        let places = Places::find(&zeros, &ones);
        let mut frame = zeros;
        places.write(98_765, &mut frame);
        assert_eq!(frame, [0x60, 0x87, 0x65, 0x77, b'7', b'6', b'5', 0xF6, 0xF5]);
        places.write(0, &mut frame);
        assert_eq!(frame, zeros);
    }
}
