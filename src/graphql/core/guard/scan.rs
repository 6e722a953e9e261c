//! Scans the bytes of a document once before it is parsed, because the parser recurses on nested values.

use async_graphql::Pos;

use super::{Limits, PARSE_FAILED, Refused, TOO_COMPLEX};

/// Returns the number of tokens. Fails if the document is too long or has too many tokens or nested brackets.
///
/// Strings and comments are skipped by the same rules as in the parser.
pub fn scan(query: &str, limits: &Limits) -> Result<usize, Refused> {
    if query.len() > limits.document_bytes {
        let message = format!("The document is longer than {} bytes.", limits.document_bytes);
        return Err(Refused::new(TOO_COMPLEX, message));
    }
    let mut rest = query.as_bytes();
    let (mut tokens, mut open) = (0_usize, 0_usize);
    while let [byte, after @ ..] = rest {
        rest = match byte {
            b' ' | b'\t' | b'\n' | b'\r' | b',' => {
                rest = after;
                continue;
            }
            b'#' => {
                rest = skip_while(after, |byte| byte != b'\n' && byte != b'\r');
                continue;
            }
            b'"' => skip_string(after).ok_or_else(|| {
                let at = position(query, query.len() - rest.len());
                Refused::new(PARSE_FAILED, "Syntax Error: unterminated string.").at(at)
            })?,
            b'_' | b'0'..=b'9' | b'A'..=b'Z' | b'a'..=b'z' => {
                skip_while(after, |byte| byte == b'_' || byte.is_ascii_alphanumeric())
            }
            b'.' => skip_while(after, |byte| byte == b'.'),
            b'{' | b'[' | b'(' => {
                open += 1;
                if open > limits.nesting {
                    let at = position(query, query.len() - rest.len());
                    let message = format!("The document has more than {} nested brackets.", limits.nesting);
                    return Err(Refused::new(TOO_COMPLEX, message).at(at));
                }
                after
            }
            b'}' | b']' | b')' => {
                open = open.saturating_sub(1);
                after
            }
            _ => after,
        };
        tokens += 1;
        if tokens > limits.tokens {
            return Err(Refused::too_many("tokens", limits.tokens));
        }
    }
    Ok(tokens)
}

fn skip_while(bytes: &[u8], wanted: impl Fn(u8) -> bool) -> &[u8] {
    let length = bytes.iter().take_while(|byte| wanted(**byte)).count();
    bytes.get(length..).unwrap_or_default()
}

/// Returns the bytes after a string with its first quote already consumed, or `None` if it never ends.
fn skip_string(bytes: &[u8]) -> Option<&[u8]> {
    if let [b'"', b'"', block @ ..] = bytes {
        return skip_block(block);
    }
    let mut rest = bytes;
    loop {
        rest = match rest {
            [b'"', after @ ..] => return Some(after),
            [b'\\', _, after @ ..] => after,
            [b'\\' | b'\n' | b'\r', ..] | [] => return None,
            [_, after @ ..] => after,
        };
    }
}

fn skip_block(bytes: &[u8]) -> Option<&[u8]> {
    let mut rest = bytes;
    loop {
        rest = match rest {
            [b'"', b'"', b'"', after @ ..] => return Some(after),
            [b'\\', b'"', b'"', b'"', after @ ..] | [_, after @ ..] => after,
            [] => return None,
        };
    }
}

fn position(query: &str, offset: usize) -> Pos {
    let before = query.get(..offset).unwrap_or_default();
    let column = before.rsplit('\n').next().unwrap_or_default().chars().count() + 1;
    Pos { line: before.split('\n').count(), column }
}
