//! Enumerations whose numbers are stored.

/// Declares a fieldless enumeration whose numbers (one byte) are stored, and with them `ALL` (in the order they are
/// declared), `number` and `from_number`; where each variant has a name after its number, `name` too. What is listed once
/// cannot be missing when it is read back.
///
/// ```
/// iso8583::numbered! {
///     /// Which side of the ledger.
///     pub enum Side {
///         /// Money that comes.
///         Credit = 1, "credit";
///         /// Money that goes.
///         Debit = 2, "debit";
///     }
/// }
/// assert_eq!(Side::from_number(2), Some(Side::Debit));
/// assert_eq!(Side::Credit.name(), "credit");
/// ```
#[macro_export]
macro_rules! numbered {
    ($(#[$meta:meta])* $see:vis enum $type:ident {
        $($(#[$doc:meta])* $variant:ident = $number:literal;)+
    }) => {
        $(#[$meta])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        #[repr(u8)]
        $see enum $type { $($(#[$doc])* $variant = $number,)+ }

        impl $type {
            /// All, in the order of this list.
            pub const ALL: &'static [Self] = &[$(Self::$variant),+];

            /// The stored number.
            #[must_use]
            pub const fn number(self) -> u8 { self as u8 }

            /// The one of a stored number, if there is one.
            #[must_use]
            pub const fn from_number(number: u8) -> Option<Self> {
                match number { $($number => Some(Self::$variant),)+ _ => None }
            }
        }
    };
    ($(#[$meta:meta])* $see:vis enum $type:ident {
        $($(#[$doc:meta])* $variant:ident = $number:literal, $name:literal;)+
    }) => {
        $crate::numbered! {
            $(#[$meta])* $see enum $type { $($(#[$doc])* $variant = $number;)+ }
        }

        impl $type {
            /// Its name in files, reports, logs and metrics.
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self { $(Self::$variant => $name,)+ }
            }
        }
    };
}
