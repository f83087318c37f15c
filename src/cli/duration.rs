//! The numbers, sizes and durations that options take.

use std::time::Duration;

use crate::config::duration::at_least;
use crate::litestream::memory::MemoryLimit;

/// As [`at_least`], for what means nothing without any time.
pub fn some() -> impl Fn(&str) -> Result<Duration, String> + Clone {
    at_least(Duration::from_millis(1))
}

/// As [`at_least`], for what may be nothing.
pub fn any() -> impl Fn(&str) -> Result<Duration, String> + Clone {
    at_least(Duration::ZERO)
}

/// As [`at_least`], for what is done again and again.
pub fn second() -> impl Fn(&str) -> Result<Duration, String> + Clone {
    at_least(Duration::from_secs(1))
}

/// A reader of whole numbers in a range.
///
/// # Errors
/// The reader's: the range.
pub fn count(least: usize, most: usize) -> impl Fn(&str) -> Result<usize, String> + Clone {
    move |text| {
        let found = text.parse::<usize>().ok().filter(|found| (least..=most).contains(found));
        found.ok_or_else(|| format!("it must be a whole number between {least} and {most}"))
    }
}

/// Reads a number of bytes, or of what is named behind it.
///
/// # Errors
/// It is none.
pub fn size(text: &str) -> Result<u64, String> {
    let (number, unit) = text.split_at(text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len()));
    let shift = match unit.to_ascii_lowercase().as_str() {
        "" => Some(0),
        "k" | "kib" => Some(10),
        "m" | "mib" => Some(20),
        "g" | "gib" => Some(30),
        _ => None,
    };
    let bytes =
        number.parse::<u64>().ok().zip(shift).and_then(|(number, shift)| number.checked_mul(1 << shift));
    bytes.ok_or_else(|| "not a size: write it as 1GiB, 500MiB or in bytes".to_owned())
}

/// The least memory that can be asked for.
const LEAST_MEMORY: u64 = 16 << 20;

/// Reads how much memory Litestream is to get along with.
///
/// # Errors
/// It is none.
pub fn memory(text: &str) -> Result<MemoryLimit, String> {
    let wrong =
        || "it must be `off`, a percentage between 1% and 100%, or a size of 16MiB at least".to_owned();
    if text == "off" {
        return Ok(MemoryLimit::Off);
    }
    match text.strip_suffix('%') {
        Some(share) => {
            count(1, 100)(share).map(|share| MemoryLimit::Share(share as u64)).map_err(|_| wrong())
        }
        None => match size(text) {
            Ok(bytes) if bytes >= LEAST_MEMORY => Ok(MemoryLimit::Bytes(bytes)),
            Ok(_) | Err(_) => Err(wrong()),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::duration::YEAR;

    #[test]
    fn every_number_has_a_range() {
        for text in ["9999999h", "8761h", "0", "0s", "999us", "99999999999999999999h"] {
            let error = some()(text).expect_err(text);
            assert!(error.contains("between 1ms and 8760h") || error.contains("not a duration"), "{error}");
        }
        assert_eq!(some()("8760h"), Ok(YEAR));
        assert_eq!(any()("0s"), Ok(Duration::ZERO));
        for text in ["0", "1025", "-1", "1.5", "", "2305843009213693952", "99999999999999999999999"] {
            assert_eq!(
                count(1, 1024)(text),
                Err("it must be a whole number between 1 and 1024".to_owned()),
                "{text}"
            );
        }
        assert_eq!(count(1, 1024)("1024"), Ok(1024));
        for text in ["0%", "101%", "4.5%", "%", "40", "1MiB", "", "Off", "-1", "99999999999999999999GiB"] {
            assert!(memory(text).is_err_and(|error| error.contains("between 1% and 100%")), "{text}");
        }
        assert_eq!(memory("100%"), Ok(MemoryLimit::Share(100)));
        assert_eq!(memory("128MiB"), Ok(MemoryLimit::Bytes(128 << 20)));
        assert_eq!(memory("off"), Ok(MemoryLimit::Off));
    }
}
