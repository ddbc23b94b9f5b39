//! LEB128, as postcard writes its numbers: seven bits a byte, least significant first.

use super::DecodeError;

/// The most bytes of a 32-bit number.
pub(super) const BYTES_MAX: usize = 5;

/// Appends `value`.
pub(super) fn put(out: &mut Vec<u8>, mut value: u32) {
    loop {
        let low = (value & 0x7f) as u8;
        value >>= 7;
        if value == 0 {
            return out.push(low);
        }
        out.push(low | 0x80);
    }
}

/// How many bytes [`put`] appends.
pub(super) fn len(value: u32) -> usize {
    let bits = (u32::BITS - value.leading_zeros()).max(1);
    bits.div_ceil(7) as usize
}

/// Reads a number from the front of `bytes`: its value and its length, or `None` if `bytes` ends within it.
/// Only the shortest form is accepted, so that a value has one encoding.
pub(super) fn peek(bytes: &[u8]) -> Result<Option<(u32, usize)>, DecodeError> {
    let mut value = 0u64;
    for (at, byte) in bytes.iter().take(BYTES_MAX).enumerate() {
        value |= u64::from(byte & 0x7f) << (7 * at);
        if byte & 0x80 == 0 {
            if *byte == 0 && at > 0 {
                return Err(DecodeError::BadVarint);
            }
            return u32::try_from(value).map(|value| Some((value, at + 1))).map_err(|_| DecodeError::BadVarint);
        }
    }
    if bytes.len() >= BYTES_MAX { Err(DecodeError::BadVarint) } else { Ok(None) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn round_trip_and_only_the_shortest_form() {
        for value in [0, 1, 127, 128, 16_383, 16_384, u32::MAX - 1, u32::MAX] {
            let mut out = Vec::new();
            put(&mut out, value);
            assert_eq!(out.len(), len(value));
            assert_eq!(peek(&out), Ok(Some((value, out.len()))));
            for cut in 0..out.len() {
                assert_eq!(peek(&out[..cut]), Ok(None));
            }
        }
        assert_eq!(peek(&[0x80, 0x00]), Err(DecodeError::BadVarint));
        assert_eq!(peek(&[0xff, 0xff, 0xff, 0xff, 0x1f]), Err(DecodeError::BadVarint));
        assert_eq!(peek(&[0xff; 5]), Err(DecodeError::BadVarint));
    }
}
