//! Identifiers: UUIDv7 by the system time, strictly ascending within a process; the last byte encodes the
//! kind.

use crate::{Error, Result};
use entity::Kind;
use uuid::Uuid;

/// Generates identifiers.
#[derive(Clone, Copy, Debug, Default)]
pub struct Ids;

impl Ids {
    /// Returns the next id of this kind, greater than every id that this process has generated before.
    #[expect(clippy::disallowed_methods, reason = "the one place where ids are generated")]
    pub fn next(self, kind: Kind) -> Uuid {
        let mut bytes = Uuid::now_v7().into_bytes();
        if let Some(last) = bytes.last_mut() {
            *last = kind as u8;
        }
        Uuid::from_bytes(bytes)
    }
}

impl Ids {
    /// Returns an id that cannot be guessed even from other ids, for objects that can be accessed by id
    /// alone.
    pub fn unguessable(self, kind: Kind) -> Result<Uuid> {
        let mut bytes = self.next(kind).into_bytes();
        let mut random = [0; 6];
        getrandom::fill(&mut random)
            .map_err(|_| Error::broken("the operating system returned no random bytes"))?;
        for (byte, chance) in bytes.iter_mut().skip(9).zip(random) {
            *byte = chance;
        }
        Ok(Uuid::from_bytes(bytes))
    }
}

/// Parses an id of this kind; returns the nil id, which matches no row, for any other text. Malformed,
/// foreign and unknown ids are thus handled alike.
pub fn parse(kind: Kind, text: &str) -> Uuid {
    Uuid::try_parse(text).ok().filter(|id| Kind::of(*id) == Some(kind)).unwrap_or(Uuid::nil())
}

/// Whether a text may be one of Coffer's tokens: short, visible ASCII. Other texts are treated as unknown on
/// both databases.
pub fn may_be_token(text: &str) -> bool {
    (1..=64).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_graphic())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_ascend_and_encode_their_kind() {
        let mut last = Uuid::nil();
        for number in 0..200_000 {
            let kind = Kind::ALL[number % Kind::ALL.len()];
            let id = Ids.next(kind);
            assert!(id > last);
            assert_eq!(Kind::of(id), Some(kind));
            last = id;
        }
    }

    #[test]
    fn other_texts_parse_as_the_nil_id() {
        let order = Ids.next(Kind::Order);
        assert_eq!(parse(Kind::Order, &order.to_string()), order);
        assert_eq!(parse(Kind::User, &order.to_string()), Uuid::nil());
        assert_eq!(parse(Kind::Order, "904837e3-3b76-47ec-b432-046db621571b"), Uuid::nil());
        assert_eq!(parse(Kind::Order, "nope"), Uuid::nil());
    }
}
