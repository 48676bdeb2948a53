//! Base64 (RFC 4648, section 4): written for `Authorization` and for the digest of a style sheet, recognised where a server
//! repeats it.

const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

/// The bytes with padding.
pub(crate) fn encode(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len().div_ceil(3) * 4);
    for chunk in bytes.chunks(3) {
        let at = |n: usize| u32::from(chunk.get(n).copied().unwrap_or(0));
        let bits = at(0) << 16 | at(1) << 8 | at(2);
        for n in 0..4 {
            if n <= chunk.len() {
                let index = (bits >> (18 - 6 * n)) & 63;
                text.push(char::from(ALPHABET[index as usize]));
            } else {
                text.push('=');
            }
        }
    }
    text
}

/// What every Base64 text contains that was made of a longer one with these bytes in it: one form for each of the three
/// places in a group of three bytes where they can begin.
pub(crate) fn inside(bytes: &[u8]) -> [String; 3] {
    [0, 1, 2].map(|before: usize| {
        let mut padded = vec![0; before];
        padded.extend_from_slice(bytes);
        let bits = padded.len() * 8;
        // A letter holds six bits; those that hold bits of a neighbour are left out.
        let first = (before * 8).div_ceil(6);
        let text = encode(&padded);
        text.get(first..bits / 6).unwrap_or_default().to_owned()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_vectors_of_rfc_4648() {
        for (plain, encoded) in [
            ("", ""),
            ("f", "Zg=="),
            ("fo", "Zm8="),
            ("foo", "Zm9v"),
            ("foob", "Zm9vYg=="),
            ("fooba", "Zm9vYmE="),
            ("foobar", "Zm9vYmFy"),
        ] {
            assert_eq!(encode(plain.as_bytes()), encoded);
        }
    }

    #[test]
    fn a_part_is_found_wherever_it_stands() {
        for before in 0..7 {
            for after in 0..4 {
                let whole = format!("{}canary{}", "x".repeat(before), "é".repeat(after));
                let encoded = encode(whole.as_bytes());
                let found = inside(b"canary")
                    .iter()
                    .filter(|part| encoded.contains(part.as_str()))
                    .count();
                assert_eq!(found, 1, "{whole}");
            }
        }
    }
}
