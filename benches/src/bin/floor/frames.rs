//! Where a frame ends, and the few bytes of it by which an answer finds its request.

/// Fields 41 and 11 as they stand in the frame.
pub(crate) type Name = [u8; 11];

/// Frame length, TPDU, head, message type.
const BEFORE_BITMAP: usize = 2 + 5 + 6 + 2;
const BEFORE_FIELDS: usize = BEFORE_BITMAP + 8;

/// The length of the first frame, its own two bytes included, once all of it is there.
pub(crate) fn first(bytes: &[u8]) -> Option<usize> {
    let length = 2 + usize::from(u16::from_be_bytes(*bytes.first_chunk()?));
    (length <= bytes.len()).then_some(length)
}

/// Adds up the widths of the fields before 41. Nothing is checked: a frame that is no message may get any name or none.
pub(crate) fn name(frame: &[u8]) -> Option<Name> {
    let bitmap = u64::from_be_bytes(*frame.get(BEFORE_BITMAP..)?.first_chunk()?);
    let mut before_41 = bitmap >> 24;
    let mut at = BEFORE_FIELDS;
    let mut stan = None;
    while before_41 != 0 {
        let field = before_41.leading_zeros() - 23;
        before_41 &= !(1 << (40 - field));
        if field == 11 {
            stan = frame.get(at..)?.first_chunk::<3>();
        }
        at += width(field, frame.get(at..)?)?;
    }
    let terminal = frame.get(at..)?.first_chunk::<8>()?;
    let mut name = [0; 11];
    let (first, second) = name.split_at_mut(8);
    first.copy_from_slice(terminal);
    second.copy_from_slice(stan?);
    Some(name)
}

fn width(field: u32, bytes: &[u8]) -> Option<usize> {
    let digits = |byte: &u8| usize::from(byte >> 4) * 10 + usize::from(byte & 15);
    Some(match field {
        2 | 32 | 35 => 1 + digits(bytes.first()?).div_ceil(2),
        36 => 2 + (digits(bytes.first()?) * 100 + digits(bytes.get(1)?)).div_ceil(2),
        3 | 11 | 12 => 3,
        4 | 38 => 6,
        13 | 14 | 15 | 22 | 23 | 39 => 2,
        25 | 26 => 1,
        37 => 12,
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use bytes::BytesMut;
    use iso8583::{Dialect, Message, Mti};

    use super::*;

    #[test]
    fn a_request_and_its_answer_have_one_name() {
        let dialect = Dialect::shipped("cup-pos").expect("shipped");
        let both = [
            ("0200", &[2_u8, 3, 4, 11, 14, 22, 23, 25, 26, 35, 41, 42, 49][..]),
            ("0210", &[2, 3, 4, 11, 12, 13, 14, 23, 25, 32, 37, 38, 39, 41, 42, 49][..]),
        ];
        for (mti, fields) in both {
            let mut message = Message::new(Mti::parse(mti).expect("type"));
            for &field in fields {
                let text = match field {
                    2 => "6212345678901232",
                    3 | 11 | 12 | 38 => "000042",
                    4 | 37 => "000000012345",
                    13 | 14 => "1125",
                    22 | 23 | 49 => "156",
                    32 => "48031",
                    35 => "6212345678901232=30122010000012300000",
                    41 => "12345678",
                    42 => "123456789012345",
                    _ => "00",
                };
                message.set_text(field, text);
            }
            let frame = message.to_frame(&dialect, dialect.framing()).expect("a frame");
            assert_eq!(name(&frame).as_ref(), Some(b"12345678\x00\x00\x42"), "{mti}");
            assert_eq!(first(&frame), Some(frame.len()));
            assert_eq!(first(&frame[..frame.len() - 1]), None);
            let two = BytesMut::from(&[&frame[..], &frame[..]].concat()[..]);
            assert_eq!(first(&two), Some(frame.len()));
        }
    }
}
