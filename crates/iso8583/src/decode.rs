//! From the bytes of a frame to a message, in one pass and without an allocation a field.

use bytes::Bytes;

use crate::dialect::{Dialect, Secondary};
use crate::digits::{hex_digit, hex_value};
use crate::ebcdic;
use crate::error::{DecodeError, ErrorKind, Fault};
use crate::field::Encoding;
use crate::header::Header;
use crate::long;
use crate::message::Message;
use crate::mti::Mti;
use crate::reader::Reader;
use crate::slots::Slot;
use crate::word;

/// The first fault of a message, and the field that has it.
type First = Option<(Option<u8>, Fault)>;

/// Why a frame is no whole message, and whether at least what stands before its fields is sound.
struct Failure {
    started: bool,
    /// The elements that the bitmap announces, as [`Message`] has its own.
    announced: [u64; 2],
    field: Option<u8>,
    fault: Fault,
}

impl Message {
    /// The message in `frame` (without its length header).
    ///
    /// The frame is kept, not copied. Time is linear in its length; nothing is allocated for a message of up
    /// to 32 fields.
    ///
    /// # Errors
    /// The bytes are no message of the dialect: the first fault with its field and offset, and what
    /// could be read all the same.
    #[inline]
    pub fn decode(dialect: &Dialect, frame: Bytes) -> Result<Self, DecodeError> {
        // inlined, so that the message is made where the caller wants it
        let mut message = Self::new(Mti::ZERO);
        match message.read(dialect, frame) {
            None => Ok(message),
            Some(failure) => Err(message.fails(failure)),
        }
    }

    /// Takes the frame and reads it; says why it is no whole message.
    fn read(&mut self, dialect: &Dialect, frame: Bytes) -> Option<Failure> {
        let mut reader = Reader::new(&frame);
        let (started, announced, first) = match self.read_start(dialect, &mut reader) {
            Ok(bits) => (true, bits, self.read_fields(dialect, &mut reader, bits)),
            Err(fault) => (false, [0, 0], Some((None, fault))),
        };
        let first =
            if reader.left() == 0 { first } else { first.or_else(|| Some(trailing(&reader))) };
        self.frame = frame;
        first.map(|(field, fault)| Failure { started, announced, field, fault })
    }

    #[cold]
    fn fails(self, failure: Failure) -> DecodeError {
        let Failure { started, announced, field, fault } = failure;
        let is_unread = |number: &u8| {
            let (half, bit) = (usize::from((number - 1) / 64), (number - 1) % 64);
            let of = |halves: &[u64; 2]| halves.get(half).is_some_and(|bits| bits >> bit & 1 == 1);
            of(&announced) && !of(&self.present)
        };
        let unread = (1..=128).filter(is_unread).collect();
        let offset = if started { fault.at.min(self.frame.len()) } else { fault.at };
        DecodeError {
            field,
            offset,
            kind: fault.kind,
            message: fault.message,
            unread,
            partial: started.then(|| Box::new(self)),
        }
    }

    /// Reads what stands before the fields, and gives their bits.
    fn read_start(
        &mut self,
        dialect: &Dialect,
        reader: &mut Reader<'_>,
    ) -> Result<[u64; 2], Fault> {
        self.header = read_header(dialect, reader)?;
        self.mti = read_mti(dialect, reader)?;
        read_bitmap(dialect, reader)
    }

    /// Reads the fields of `bits`; says the first fault. Reading goes on after a fault whose field has a
    /// known length, so that as much as possible of a broken message can still be answered.
    fn read_fields(&mut self, dialect: &Dialect, reader: &mut Reader<'_>, bits: [u64; 2]) -> First {
        let mut first = None;
        let [low, high] = bits;
        let (got, whole) = self.read_half(dialect, reader, (low, 0), &mut first);
        self.present = [got, 0];
        if whole && high != 0 {
            let (more, _) = self.read_half(dialect, reader, (high, 64), &mut first);
            self.present = [got, more];
        }
        first
    }

    /// Reads the fields whose bits stand in one half, `before` the number of those in the halves before
    /// it. Gives the bits of the sound ones, and whether the place after the last one is known.
    fn read_half(
        &mut self,
        dialect: &Dialect,
        reader: &mut Reader<'_>,
        (bits, before): (u64, u8),
        first: &mut First,
    ) -> (u64, bool) {
        let (mut left, mut got) = (bits, 0);
        while left != 0 {
            let number = u8::try_from(left.trailing_zeros()).unwrap_or(0) + before + 1;
            let bit = left & left.wrapping_neg();
            left ^= bit;
            let plan = dialect.plan(number);
            let read = match plan.and_then(|plan| plan.read(reader.whole(), reader.at())) {
                Some((slot, end)) => {
                    reader.skip_to(end);
                    Ok(slot)
                }
                None => read_slowly(dialect, reader, number),
            };
            match read {
                Ok(slot) => {
                    self.slots.push(number, slot);
                    got |= bit;
                }
                Err((fault, goes_on)) => {
                    if first.is_none() {
                        *first = Some((Some(number), fault));
                    }
                    if !goes_on {
                        return (got, false);
                    }
                }
            }
        }
        (got, true)
    }
}

/// Reads a field that the short road does not lead to. A fault comes with whether the place of the next
/// field is known all the same.
#[cold]
fn read_slowly(
    dialect: &Dialect,
    reader: &mut Reader<'_>,
    number: u8,
) -> Result<Slot, (Fault, bool)> {
    let undefined = "not a field of this dialect; what follows it cannot be found";
    let spec = dialect
        .field(number)
        .ok_or_else(|| (Fault::new(ErrorKind::Undefined, reader.at(), undefined), false))?;
    let (slot, sound) = long::read_field(spec, reader).map_err(|fault| (fault, false))?;
    sound.map(|()| slot).map_err(|fault| (fault, true))
}

#[cold]
fn trailing(reader: &Reader<'_>) -> (Option<u8>, Fault) {
    let found = format!("{} bytes after the last field", reader.left());
    (None, Fault::new(ErrorKind::Trailing, reader.at(), found))
}

fn read_header(dialect: &Dialect, reader: &mut Reader<'_>) -> Result<Option<Header>, Fault> {
    let layout = dialect.header();
    if layout.is_empty() {
        return Ok(None);
    }
    let (need, left) = (layout.len(), reader.left());
    let at = reader.at();
    let bytes = reader.take(need).ok_or_else(|| {
        let message = format!("a header of {need} bytes expected, {left} found");
        Fault::new(ErrorKind::Header, at, message)
    })?;
    Ok(Header::read(layout, bytes))
}

fn read_mti(dialect: &Dialect, reader: &mut Reader<'_>) -> Result<Mti, Fault> {
    let at = reader.at();
    let fault = || Fault::new(ErrorKind::Mti, at, "a message type of four digits expected");
    match dialect.mti_encoding() {
        Encoding::Bcd => {
            let packed = reader.take(2).ok_or_else(fault)?;
            let mut digits = [0; 4];
            for (pair, byte) in digits.as_chunks_mut::<2>().0.iter_mut().zip(packed) {
                *pair = [hex_digit(byte >> 4), hex_digit(*byte)];
            }
            Mti::from_digits(&digits).ok_or_else(fault)
        }
        Encoding::Ebcdic => reader.take(4).and_then(ebcdic_mti).ok_or_else(fault),
        _ => Mti::from_digits(reader.take(4).ok_or_else(fault)?).ok_or_else(fault),
    }
}

#[cold]
fn ebcdic_mti(digits: &[u8]) -> Option<Mti> {
    Mti::from_digits(ebcdic::ascii(digits, &mut [0; 4])?)
}

/// The bits of the fields as [`Message`] has them, without the one for the secondary bitmap.
fn read_bitmap(dialect: &Dialect, reader: &mut Reader<'_>) -> Result<[u64; 2], Fault> {
    let at = reader.at();
    let primary = read_bits(dialect.bitmap_encoding(), reader)?;
    let extended = primary >> 63 == 1;
    let more = match dialect.secondary() {
        Secondary::Never if extended => {
            let message = "bit 1 is set, and this dialect has one bitmap only";
            return Err(Fault::new(ErrorKind::Bitmap, at, message));
        }
        Secondary::Never => false,
        Secondary::OnBit1 => extended,
        Secondary::Always => true,
    };
    let secondary_at = reader.at();
    let secondary = if more { read_bits(dialect.bitmap_encoding(), reader)? } else { 0 };
    if secondary >> 63 == 1 {
        let message = "bit 65 is set, and there is no third bitmap";
        return Err(Fault::new(ErrorKind::Bitmap, secondary_at, message));
    }
    Ok([primary.reverse_bits() & !1, secondary.reverse_bits()])
}

fn read_bits(encoding: Encoding, reader: &mut Reader<'_>) -> Result<u64, Fault> {
    let at = reader.at();
    let need = if encoding == Encoding::Raw { 8 } else { 16 };
    let bytes = reader.take(need).ok_or_else(|| {
        let message = format!("a bitmap of {need} bytes expected, {} found", reader.left());
        Fault::new(ErrorKind::Bitmap, at, message)
    })?;
    if let ([bytes], Encoding::Raw) = (bytes.as_chunks().0, encoding) {
        return Ok(u64::from_be_bytes(*bytes));
    }
    if let Some(bits) = bytes.first_chunk().and_then(word::bits_of_hex) {
        return Ok(bits);
    }
    bits_of_hex(encoding, bytes, at)
}

/// The bits of hexadecimal digits in an encoding, which begin at `at`; says which is none.
#[cold]
fn bits_of_hex(encoding: Encoding, text: &[u8], at: usize) -> Result<u64, Fault> {
    let mut bits = 0;
    for (index, byte) in text.iter().enumerate() {
        let digit = if encoding == Encoding::EbcdicHex { ebcdic::latin(*byte) } else { *byte };
        let value = hex_value(digit).filter(|_| !digit.is_ascii_lowercase()).ok_or_else(|| {
            let message = "a bitmap of upper-case hexadecimal digits expected";
            Fault::new(ErrorKind::Bitmap, at + index, message)
        })?;
        bits = bits << 4 | u64::from(value);
    }
    Ok(bits)
}
