//! Streaming parser for the body of a document upload: a JSON object with the file as base64 in the field
//! `data`. The data is decoded while it arrives, so memory never holds the base64 text or a second copy.

use super::large_body::Unread;
use base64::{
    Engine as _, alphabet,
    engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig},
};
use domain::{Error, Refusal, Result};

/// Maximum size of the body without the data.
const DESCRIPTION_BYTES: usize = 64 << 10;
/// Number of base64 characters that are decoded at once; a multiple of four.
const PIECE: usize = 8 << 10;

/// Standard base64 with or without padding.
const BASE64: GeneralPurpose = GeneralPurpose::new(
    &alphabet::STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// State of the parser.
pub struct DocumentBodyReader {
    /// The body with an empty string as the data.
    description: Vec<u8>,
    /// The string being read, if it may be the name of a top-level field.
    name: Vec<u8>,
    at: At,
    depth: usize,
    data: Data,
    has_data: bool,
}

/// Position in the JSON text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum At {
    /// Between values. `is_name` means that a top-level field name comes next.
    Between { is_name: bool },
    /// Inside a string. `escaped` means after a backslash.
    Text { escaped: bool, is_name: bool },
    /// After the field name `data`, before its value.
    BeforeData,
    /// Inside the data string.
    Data,
}

impl DocumentBodyReader {
    /// Creates a parser for a document of at most `max` bytes. The buffer has room for `spare` more bytes.
    pub fn new(max: usize, spare: usize) -> Self {
        Self {
            description: Vec::new(),
            name: Vec::new(),
            at: At::Between { is_name: false },
            depth: 0,
            data: Data::new(max, spare),
            has_data: false,
        }
    }

    /// Parses the next piece of the body.
    pub fn take(&mut self, mut piece: &[u8]) -> Result<(), Unread> {
        while let Some((first, rest)) = piece.split_first() {
            if self.at == At::Data {
                piece = self.data.take(piece)?;
                if self.data.is_complete() {
                    self.describe(b'"')?;
                    self.at = At::Between { is_name: false };
                }
                continue;
            }
            self.describe(*first)?;
            self.step(*first);
            piece = rest;
        }
        Ok(())
    }

    fn describe(&mut self, byte: u8) -> Result<(), Unread> {
        if self.description.len() == DESCRIPTION_BYTES {
            return Err(Unread::TooLong);
        }
        self.description.push(byte);
        Ok(())
    }

    fn step(&mut self, byte: u8) {
        self.at = match (self.at, byte) {
            (At::Between { is_name }, b'"') => {
                self.name.clear();
                At::Text { escaped: false, is_name }
            }
            (At::Between { .. } | At::BeforeData, b'{' | b'[') => {
                self.depth += 1;
                At::Between { is_name: self.depth == 1 && byte == b'{' }
            }
            (At::Between { .. } | At::BeforeData, b'}' | b']') => {
                self.depth = self.depth.saturating_sub(1);
                At::Between { is_name: false }
            }
            (At::Between { .. } | At::BeforeData, b',') => At::Between { is_name: self.depth == 1 },
            (At::Text { escaped: false, is_name }, b'\\') => At::Text { escaped: true, is_name },
            (At::Text { escaped: false, is_name }, b'"') => {
                if is_name && self.name == b"data" {
                    At::BeforeData
                } else {
                    At::Between { is_name: false }
                }
            }
            (At::Text { is_name, .. }, _) => {
                // A longer name is not `data`.
                if is_name && self.name.len() < 5 {
                    self.name.push(byte);
                }
                At::Text { escaped: false, is_name }
            }
            (At::BeforeData, b'"') => {
                self.data.restart();
                self.has_data = true;
                At::Data
            }
            (at, _) => at,
        };
    }

    /// Returns the body without the data, and the decoded data. None if no field `data` holds a string.
    pub fn finish(self) -> (Vec<u8>, Option<Result<Vec<u8>>>) {
        let data = self.has_data.then(|| self.data.finish());
        (self.description, data)
    }
}

/// Decoder for a JSON string that holds base64.
struct Data {
    max: usize,
    decoded: Vec<u8>,
    /// Characters that have not been decoded yet.
    waiting: Vec<u8>,
    /// The escape sequence being read.
    escape: Vec<u8>,
    is_complete: bool,
    is_base64: bool,
    /// Whether the last decoded piece ended with padding, after which no data may follow.
    is_padded: bool,
}

impl Data {
    fn new(max: usize, spare: usize) -> Self {
        // Reserved memory that is never written costs nothing, while growing would briefly hold two copies.
        let decoded = Vec::with_capacity(max + spare);
        Self {
            max,
            decoded,
            waiting: Vec::with_capacity(PIECE),
            escape: Vec::new(),
            is_complete: false,
            is_base64: true,
            is_padded: false,
        }
    }

    fn restart(&mut self) {
        self.decoded.clear();
        self.waiting.clear();
        self.escape.clear();
        (self.is_complete, self.is_base64, self.is_padded) = (false, true, false);
    }

    fn is_complete(&self) -> bool {
        self.is_complete
    }

    /// Reads up to the end of the string and returns the rest of the piece.
    fn take<'a>(&mut self, mut piece: &'a [u8]) -> Result<&'a [u8], Unread> {
        while let Some((first, rest)) = piece.split_first() {
            if !self.escape.is_empty() {
                self.unescape(*first)?;
                piece = rest;
                continue;
            }
            match first {
                b'"' => {
                    self.is_complete = true;
                    return Ok(rest);
                }
                b'\\' => {
                    self.escape.push(b'\\');
                    piece = rest;
                }
                _ => {
                    let room = PIECE - self.waiting.len();
                    let end = piece
                        .iter()
                        .take(room)
                        .position(|byte| matches!(byte, b'"' | b'\\'))
                        .unwrap_or(room.min(piece.len()));
                    let (plain, after) = piece.split_at(end);
                    self.waiting.extend_from_slice(plain);
                    piece = after;
                    self.decode_if_full()?;
                }
            }
        }
        Ok(piece)
    }

    /// Reads an escape sequence. Escaped slashes are accepted, and escaped whitespace is skipped.
    fn unescape(&mut self, byte: u8) -> Result<(), Unread> {
        self.escape.push(byte);
        let character = match self.escape.as_slice() {
            [_, b'n' | b'r' | b't'] => None,
            [_, b'/'] => Some(b'/'),
            [_, b'u', digits @ ..] if digits.len() < 4 => return Ok(()),
            [_, b'u', digits @ ..] => {
                let digits =
                    std::str::from_utf8(digits).ok().and_then(|digits| u8::from_str_radix(digits, 16).ok());
                let Some(character) = digits else {
                    self.is_base64 = false;
                    self.escape.clear();
                    return Ok(());
                };
                Some(character).filter(|character| !character.is_ascii_whitespace())
            }
            _ => {
                self.is_base64 = false;
                None
            }
        };
        self.escape.clear();
        self.waiting.extend(character);
        self.decode_if_full()
    }

    fn decode_if_full(&mut self) -> Result<(), Unread> {
        if self.waiting.len() < PIECE {
            return Ok(());
        }
        self.decode()
    }

    fn decode(&mut self) -> Result<(), Unread> {
        if self.is_padded && !self.waiting.is_empty() {
            self.is_base64 = false;
        }
        self.is_padded |= self.waiting.ends_with(b"=");
        let mut bytes = [0; PIECE];
        match BASE64.decode_slice(&self.waiting, &mut bytes) {
            Ok(length) if self.decoded.len() + length > self.max => return Err(Unread::TooLong),
            Ok(length) => self.decoded.extend(bytes.iter().take(length)),
            Err(_) => self.is_base64 = false,
        }
        self.waiting.clear();
        Ok(())
    }

    fn finish(mut self) -> Result<Vec<u8>> {
        let too_long = self.decode().is_err();
        match (too_long, self.is_base64) {
            (true, _) => Err(domain::compliance::kyc::documents::too_long()),
            (false, true) => Ok(self.decoded),
            (false, false) => Err(Error::from(Refusal::invalid("data", "must be base64"))),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Parses a body in pieces of `piece` bytes.
    fn read(body: &str, piece: usize) -> (String, Option<Result<Vec<u8>, ()>>) {
        let mut reader = DocumentBodyReader::new(1 << 20, 40);
        for piece in body.as_bytes().chunks(piece) {
            reader.take(piece).unwrap();
        }
        let (description, data) = reader.finish();
        (String::from_utf8(description).unwrap(), data.map(|data| data.map_err(drop)))
    }

    #[test]
    fn data_is_extracted_at_any_position() {
        let is = |description: &str, data: Option<Result<&[u8], ()>>| {
            (description.to_owned(), data.map(|data| data.map(<[u8]>::to_vec)))
        };
        for (body, expected) in [
            (r#"{"data":"QUJD","name":"a"}"#, is(r#"{"data":"","name":"a"}"#, Some(Ok(b"ABC")))),
            (
                r#" { "name" : "a" , "data" : "QUI=" } "#,
                is(r#" { "name" : "a" , "data" : "" } "#, Some(Ok(b"AB"))),
            ),
            (r#"{"data":"QUI"}"#, is(r#"{"data":""}"#, Some(Ok(b"AB")))),
            (r#"{"data":"QU\nJD\/\/\u002F\u002f"}"#, is(r#"{"data":""}"#, Some(Ok(b"ABC\xff\xff\xff")))),
            (r#"{"data":"Q\"UJD"}"#, is(r#"{"data":""}"#, Some(Err(())))),
            (r#"{"data":"Q\u00e4JD"}"#, is(r#"{"data":""}"#, Some(Err(())))),
            (r#"{"data":"QU=JD"}"#, is(r#"{"data":""}"#, Some(Err(())))),
            (r#"{"data":"QUJD","data":"REVG"}"#, is(r#"{"data":"","data":""}"#, Some(Ok(b"DEF")))),
            (r#"{"data":null,"name":"data"}"#, is(r#"{"data":null,"name":"data"}"#, None)),
            (r#"{"data":{"data":"QUJD"}}"#, is(r#"{"data":{"data":"QUJD"}}"#, None)),
            (
                r#"{"data":["data","QUJD"],"a":"\"data\":\"QUJD\""}"#,
                is(r#"{"data":["data","QUJD"],"a":"\"data\":\"QUJD\""}"#, None),
            ),
            (r#"{"a":{"data":"QUJD"},"datas":"QUJD"}"#, is(r#"{"a":{"data":"QUJD"},"datas":"QUJD"}"#, None)),
            (r#"["data","QUJD"]"#, is(r#"["data","QUJD"]"#, None)),
            (r#"{"data":"QUJD"#, is(r#"{"data":""#, Some(Ok(b"ABC")))),
        ] {
            for piece in 1..body.len() {
                assert_eq!(read(body, piece), expected, "{body} by {piece}");
            }
        }
    }

    #[test]
    fn a_body_that_is_too_long_is_refused() {
        let mut reader = DocumentBodyReader::new(10_000, 0);
        let body = format!(r#"{{"data":"{}"}}"#, "A".repeat(20_000));
        assert_eq!(reader.take(body.as_bytes()), Err(Unread::TooLong));
        let mut reader = DocumentBodyReader::new(10_000, 0);
        assert_eq!(
            reader.take(format!(r#"{{"notes":"{}"}}"#, "A".repeat(DESCRIPTION_BYTES)).as_bytes()),
            Err(Unread::TooLong)
        );
    }

    #[test]
    fn padding_may_end_a_full_piece_and_no_data_may_follow() {
        for length in [PIECE / 4 * 3 - 1, PIECE / 4 * 3 - 2, PIECE / 2 * 3 - 1] {
            let data = vec![7; length];
            let encoded = BASE64.encode(&data);
            assert_eq!(encoded.len() % PIECE, 0);
            for piece in [1, PIECE, PIECE + 9, 3 * PIECE] {
                let whole = format!(r#"{{"data":"{encoded}"}}"#);
                assert_eq!(read(&whole, piece).1, Some(Ok(data.clone())), "{length} by {piece}");
                let longer = format!(r#"{{"data":"{encoded}QUJD"}}"#);
                assert_eq!(read(&longer, piece).1, Some(Err(())), "{length} by {piece}");
            }
        }
    }

    proptest! {
        #[test]
        fn decoding_reverses_encoding(data in proptest::collection::vec(any::<u8>(), 0..30_000),
            piece in 1_usize..20_000) {
            let body = format!(r#"{{"data":"{}","type":"passport"}}"#, BASE64.encode(&data));
            prop_assert_eq!(read(&body, piece), (r#"{"data":"","type":"passport"}"#.to_owned(), Some(Ok(data))));
        }
    }
}
