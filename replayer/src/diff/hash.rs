//! Hashes for comparing what happened in two runs. They never leave the process.

/// Combines two hashes; their order matters.
#[inline]
pub(super) fn mix(a: u64, b: u64) -> u64 {
    let folded = u128::from(a.rotate_left(23) ^ 0x9e37_79b9_7f4a_7c15)
        * u128::from(b ^ 0xd6e8_feb8_6659_fd93 | 1 << 63);
    (folded as u64 ^ (folded >> 64) as u64) ^ b.wrapping_mul(0xff51_afd7_ed55_8ccd)
}

/// The hash of bytes.
pub(super) fn bytes(bytes: &[u8]) -> u64 {
    let (words, rest) = bytes.as_chunks::<8>();
    let mut last = [0; 8];
    last[..rest.len()].copy_from_slice(rest);
    let hash =
        words.iter().fold(bytes.len() as u64, |hash, word| mix(hash, u64::from_le_bytes(*word)));
    mix(hash, u64::from_le_bytes(last))
}

/// The hash of a text.
pub(super) fn text(text: &str) -> u64 {
    bytes(text.as_bytes())
}
