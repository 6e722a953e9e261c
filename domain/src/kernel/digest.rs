//! Digests of rows, and the hash chain over them.

use sha2::{Digest, Sha256};

/// Digest of one row.
pub type RowDigest = [u8; 32];

/// Hash before the first row of a partner's chain.
pub const GENESIS: [u8; 32] = [0; 32];

/// Returns the SHA-256 over parts, each preceded by its length, so that different lists of parts have
/// different digests.
pub fn of(parts: &[&[u8]]) -> RowDigest {
    let mut hasher = Sha256::new();
    for part in parts {
        hasher.update((part.len() as u64).to_be_bytes());
        hasher.update(part);
    }
    hasher.finalize().into()
}

/// Returns the next hash of a chain: over the previous hash and the row's digest.
pub fn link(previous: &[u8], digest: &[u8]) -> Vec<u8> {
    of(&[previous, digest]).to_vec()
}
