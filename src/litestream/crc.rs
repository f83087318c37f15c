//! The checksum at the end of Litestream's files: the CRC-64 of ISO 3309, as Go's `hash/crc64` has it.

/// Its polynomial, bits reversed.
const POLYNOMIAL: u64 = 0xd800_0000_0000_0000;
/// So many bytes are taken in at a time.
const WIDTH: usize = 8;

/// What each byte adds, for each place that it may have among [`WIDTH`].
static TABLES: [[u64; 256]; WIDTH] = tables();

const fn tables() -> [[u64; 256]; WIDTH] {
    let mut tables = [[0; 256]; WIDTH];
    let mut byte = 0;
    while byte < 256 {
        let mut sum = byte as u64;
        let mut bit = 0;
        while bit < 8 {
            sum = if sum & 1 == 1 { (sum >> 1) ^ POLYNOMIAL } else { sum >> 1 };
            bit += 1;
        }
        tables[0][byte] = sum;
        byte += 1;
    }
    let mut place = 1;
    while place < WIDTH {
        let mut byte = 0;
        while byte < 256 {
            let before = tables[place - 1][byte];
            tables[place][byte] = tables[0][(before & 0xff) as usize] ^ (before >> 8);
            byte += 1;
        }
        place += 1;
    }
    tables
}

/// A checksum that grows.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Crc(u64);

impl Crc {
    pub(super) fn add(&mut self, bytes: &[u8]) {
        let mut sum = !self.0;
        let (eights, rest) = bytes.as_chunks::<WIDTH>();
        for eight in eights {
            let mixed = (sum ^ u64::from_le_bytes(*eight)).to_le_bytes();
            sum = 0;
            for (place, byte) in mixed.into_iter().enumerate() {
                sum ^= TABLES[WIDTH - 1 - place][usize::from(byte)];
            }
        }
        for byte in rest {
            sum = TABLES[0][usize::from(sum as u8 ^ byte)] ^ (sum >> 8);
        }
        self.0 = !sum;
    }

    pub(super) fn sum(self) -> u64 {
        self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_the_one_that_go_calls_iso() {
        let of = |text: &[u8]| {
            let mut crc = Crc::default();
            crc.add(text);
            crc.sum()
        };
        // The check value of CRC-64/GO-ISO in the catalogue of parametrised CRC algorithms.
        assert_eq!(of(b"123456789"), 0xb909_56c7_75a4_1001);
        assert_eq!(of(b""), 0);
        let mut parts = Crc::default();
        [&b"12"[..], b"3456789"].into_iter().for_each(|part| parts.add(part));
        assert_eq!(parts.sum(), of(b"123456789"));
    }
}
