//! Identifiers: UUIDv7 by the system's time, strictly ascending in a process, the last byte telling the kind.

use crate::{Error, Result};
use entity::Kind;
use uuid::Uuid;

/// Makes identifiers.
#[derive(Clone, Copy, Debug, Default)]
pub struct Ids;

impl Ids {
    /// The next id of this kind, above every id this process has made before.
    #[expect(clippy::disallowed_methods, reason = "the one place where ids are made")]
    pub fn next(self, kind: Kind) -> Uuid {
        let mut bytes = Uuid::now_v7().into_bytes();
        if let Some(last) = bytes.last_mut() {
            *last = kind as u8;
        }
        Uuid::from_bytes(bytes)
    }
}

impl Ids {
    /// An id that nobody can guess, however many others she knows: for what is opened by its id alone.
    pub fn unguessable(self, kind: Kind) -> Result<Uuid> {
        let mut bytes = self.next(kind).into_bytes();
        let mut random = [0; 6];
        getrandom::fill(&mut random)
            .map_err(|_| Error::broken("the operating system gives no randomness"))?;
        for (byte, chance) in bytes.iter_mut().skip(9).zip(random) {
            *byte = chance;
        }
        Ok(Uuid::from_bytes(bytes))
    }
}

/// The id in a caller's text, or the nil id, which names nothing, when the text is no id of this kind.
/// Malformed, foreign and unknown ids thus take the same way.
pub fn parse(kind: Kind, text: &str) -> Uuid {
    Uuid::try_parse(text).ok().filter(|id| Kind::of(*id) == Some(kind)).unwrap_or(Uuid::nil())
}

/// Whether a text can be a token of ours: visible ASCII, and short. What cannot be one names nothing, on
/// every database alike.
pub fn may_be_token(text: &str) -> bool {
    (1..=64).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_graphic())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_ascend_and_know_their_kind() {
        let mut last = Uuid::nil();
        for turn in 0..200_000 {
            let kind = Kind::ALL[turn % Kind::ALL.len()];
            let id = Ids.next(kind);
            assert!(id > last);
            assert_eq!(Kind::of(id), Some(kind));
            last = id;
        }
    }

    #[test]
    fn what_is_no_id_of_the_kind_names_nothing() {
        let order = Ids.next(Kind::Order);
        assert_eq!(parse(Kind::Order, &order.to_string()), order);
        assert_eq!(parse(Kind::User, &order.to_string()), Uuid::nil());
        assert_eq!(parse(Kind::Order, "904837e3-3b76-47ec-b432-046db621571b"), Uuid::nil());
        assert_eq!(parse(Kind::Order, "nope"), Uuid::nil());
    }
}
