//! Digests of rows, and the chain that seals them in their order.

use sha2::{Digest, Sha256};

/// A digest of one row.
pub type RowDigest = [u8; 32];

/// What the chain of a partner starts from.
pub const GENESIS: [u8; 32] = [0; 32];

/// SHA-256 over parts, each preceded by its length so that no two lists of parts hash alike.
pub fn of(parts: &[&[u8]]) -> RowDigest {
    let mut hasher = Sha256::new();
    for part in parts {
        hasher.update((part.len() as u64).to_be_bytes());
        hasher.update(part);
    }
    hasher.finalize().into()
}

/// A hash of the chain: over the hash before and the digest of the row.
pub fn link(previous: &[u8], digest: &[u8]) -> Vec<u8> {
    of(&[previous, digest]).to_vec()
}
