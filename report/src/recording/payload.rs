//! Decodes one compressed histogram out of bytes that nobody vouches for.
//!
//! The `hdrhistogram` crate's deserialiser trusts its input more than a reader of files may: the
//! length in the header makes it allocate up to 4 GB, and one particular varint overflows a
//! negation. So the payload is inflated here under a bound, and its header and varints are checked,
//! before the crate builds the histogram from it.

use std::io::Read;

use flate2::read::ZlibDecoder;
use hdrhistogram::Histogram;
use hdrhistogram::serialization::Deserializer;

/// First word of a V2 histogram.
const V2: u32 = 0x1c84_9313;
/// First word of a zlib-compressed V2 histogram.
const V2_COMPRESSED: u32 = 0x1c84_9314;
/// Bytes of a V2 header: cookie, length, offset, digits, lowest, highest, ratio.
const HEADER: usize = 40;
/// More than any histogram within the bounds below can need (its counts, 9 bytes each).
const MAX_INFLATED: u64 = 1 << 20;
/// Values up to 2^50: 13 days in nanoseconds, a pebibyte in bytes; a histogram of 3 digits then takes 330 KB.
const MAX_VALUE: u64 = 1 << 50;
/// Small enough that two million intervals can be added up in a `u64`.
const MAX_COUNT: u64 = 1 << 43;

/// Decodes a base64-decoded interval.
pub(super) fn decode(
    compressed: &[u8],
    deserializer: &mut Deserializer,
) -> Result<Histogram<u64>, String> {
    let plain = inflate(compressed)?;
    check(&plain)?;
    deserializer
        .deserialize(&mut &plain[..])
        .map_err(|cause| format!("the histogram cannot be decoded: {cause}"))
}

/// Whether a histogram is one that [`decode`] will take back, or why not.
pub(super) fn check_bounds(histogram: &Histogram<u64>) -> Result<(), String> {
    bounds(
        u32::from(histogram.sigfig()),
        histogram.low(),
        histogram.high(),
    )
}

fn bounds(digits: u32, lowest: u64, highest: u64) -> Result<(), String> {
    if digits > 3 || lowest == 0 || lowest > 1 << 20 || highest > MAX_VALUE {
        return Err(format!(
            "the histogram's bounds ({lowest} to {highest}, {digits} digits) are not a recording's"
        ));
    }
    Ok(())
}

fn inflate(compressed: &[u8]) -> Result<Vec<u8>, String> {
    if word(compressed, 0) != Some(V2_COMPRESSED) {
        return Err("the histogram is not in the V2 compressed format".to_owned());
    }
    let length = word(compressed, 4).unwrap_or(0) as usize;
    let body = compressed.get(8..).unwrap_or(&[]);
    if body.len() != length {
        return Err(format!(
            "the histogram should have {length} bytes and has {}",
            body.len()
        ));
    }
    let mut plain = Vec::new();
    ZlibDecoder::new(body)
        .take(MAX_INFLATED + 1)
        .read_to_end(&mut plain)
        .map_err(|cause| format!("the histogram cannot be inflated: {cause}"))?;
    if plain.len() as u64 > MAX_INFLATED {
        return Err("the histogram is larger than a recording's can be".to_owned());
    }
    Ok(plain)
}

fn check(plain: &[u8]) -> Result<(), String> {
    let header = || -> Option<(u32, u32, u32, u64, u64)> {
        Some((
            word(plain, 0)?,
            word(plain, 4)?,
            word(plain, 12)?,
            long(plain, 16)?,
            long(plain, 24)?,
        ))
    };
    let Some((V2, length, digits, lowest, highest)) = header() else {
        return Err("the histogram has no V2 header".to_owned());
    };
    bounds(digits, lowest, highest)?;
    let counts = plain.get(HEADER..).unwrap_or(&[]);
    if counts.len() != length as usize {
        return Err(format!(
            "the histogram's counts should have {length} bytes and have {}",
            counts.len()
        ));
    }
    let mut rest = counts;
    let mut total = 0u64;
    while let Some((zigzag, tail)) = varint(rest) {
        rest = tail;
        // Even numbers are counts, odd ones are runs of zeros.
        if zigzag & 1 == 0 {
            total = total.saturating_add(zigzag >> 1);
        } else if zigzag >> 1 > u64::from(u32::MAX) {
            return Err("the histogram skips more values than it has".to_owned());
        }
    }
    if !rest.is_empty() {
        return Err("the histogram's last count is cut off".to_owned());
    }
    if total > MAX_COUNT {
        return Err(format!(
            "the histogram counts {total} values, more than one interval can hold"
        ));
    }
    Ok(())
}

/// Reads a LEB128 number of at most nine bytes, the ninth of which is used whole.
fn varint(bytes: &[u8]) -> Option<(u64, &[u8])> {
    let mut value = 0u64;
    for (index, byte) in bytes.iter().enumerate().take(9) {
        let byte = u64::from(*byte);
        if index == 8 {
            return Some((value | byte << 56, &bytes[9..]));
        }
        value |= (byte & 0x7f) << (7 * index);
        if byte & 0x80 == 0 {
            return Some((value, &bytes[index + 1..]));
        }
    }
    None
}

fn word(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_be_bytes(*bytes.get(at..)?.first_chunk()?))
}

fn long(bytes: &[u8], at: usize) -> Option<u64> {
    Some(u64::from_be_bytes(*bytes.get(at..)?.first_chunk()?))
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use flate2::Compression;
    use flate2::write::ZlibEncoder;
    use hdrhistogram::serialization::{Serializer, V2DeflateSerializer, V2Serializer};
    use proptest::prelude::*;

    use super::*;

    fn compress(plain: &[u8]) -> Vec<u8> {
        let mut encoder = ZlibEncoder::new(Vec::new(), Compression::fast());
        encoder.write_all(plain).expect("a Vec takes everything");
        let body = encoder.finish().expect("a Vec takes everything");
        let mut whole = V2_COMPRESSED.to_be_bytes().to_vec();
        whole.extend_from_slice(&(body.len() as u32).to_be_bytes());
        whole.extend_from_slice(&body);
        whole
    }

    fn plain(histogram: &Histogram<u64>) -> Vec<u8> {
        let mut plain = Vec::new();
        V2Serializer::new()
            .serialize(histogram, &mut plain)
            .expect("a Vec takes everything");
        plain
    }

    fn histogram(values: &[u64]) -> Histogram<u64> {
        let mut histogram =
            Histogram::new_with_bounds(1, 100_000_000_000, 3).expect("valid bounds");
        for value in values {
            histogram.saturating_record(*value);
        }
        histogram
    }

    #[test]
    fn what_the_crate_encodes_is_decoded() {
        for values in [&[][..], &[0, 1, 2_047, 2_048, 99_999_999_999]] {
            let histogram = histogram(values);
            let mut bytes = Vec::new();
            V2DeflateSerializer::new()
                .serialize(&histogram, &mut bytes)
                .expect("a Vec takes everything");
            assert_eq!(decode(&bytes, &mut Deserializer::new()), Ok(histogram));
        }
    }

    #[test]
    fn a_length_that_would_take_all_memory_is_refused() {
        let mut bytes = plain(&histogram(&[5]));
        bytes[4..8].copy_from_slice(&u32::MAX.to_be_bytes());
        let refused = decode(&compress(&bytes), &mut Deserializer::new());
        assert!(refused.is_err_and(|why| why.contains("4294967295 bytes")));
        let bomb = vec![0; 64 << 20];
        let refused = decode(&compress(&bomb), &mut Deserializer::new());
        assert!(refused.is_err_and(|why| why.contains("larger")));
    }

    #[test]
    fn the_varint_whose_negation_overflows_is_refused() {
        let mut bytes = plain(&histogram(&[]));
        bytes.truncate(HEADER);
        bytes.extend_from_slice(&[0xff; 9]);
        bytes[4..8].copy_from_slice(&9u32.to_be_bytes());
        assert!(decode(&compress(&bytes), &mut Deserializer::new()).is_err());
    }

    proptest! {
        #[test]
        fn no_counts_make_it_panic(counts in proptest::collection::vec(any::<u8>(), 0..200)) {
            let mut bytes = plain(&histogram(&[]));
            bytes.truncate(HEADER);
            bytes[4..8].copy_from_slice(&(counts.len() as u32).to_be_bytes());
            bytes.extend_from_slice(&counts);
            let _ = decode(&compress(&bytes), &mut Deserializer::new());
        }

        #[test]
        fn no_header_makes_it_panic(
            header in proptest::collection::vec(any::<u8>(), 28),
            digits in 0..5u32,
            lowest in 0..3u64,
            highest in any::<u64>(),
        ) {
            let mut bytes = plain(&histogram(&[7, 80_000]));
            bytes[12..40].copy_from_slice(&header);
            let _ = decode(&compress(&bytes), &mut Deserializer::new());
            bytes[12..16].copy_from_slice(&digits.to_be_bytes());
            bytes[16..24].copy_from_slice(&lowest.to_be_bytes());
            bytes[24..32].copy_from_slice(&(highest >> (highest % 64)).to_be_bytes());
            bytes[32..40].copy_from_slice(&1f64.to_be_bytes());
            if let Ok(decoded) = decode(&compress(&bytes), &mut Deserializer::new()) {
                let _ = (decoded.max(), decoded.value_at_quantile(0.999), decoded.iter_recorded().count());
            }
        }
    }
}
