//! How much is verified at a time.

use crate::cli::duration;

/// What all that is verified may have, in bytes of databases.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Budget {
    /// So many bytes.
    Bytes(u64),
    /// So much of all that there is, more than 0 and at most 100, in percent.
    Share(f64),
}

impl Budget {
    /// Reads `1GiB`, `5%` and the like.
    ///
    /// # Errors
    /// The words for whoever typed it.
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        if let Some(number) = text.strip_suffix('%') {
            let share = number.trim_end().parse::<f64>().ok();
            let share = share.filter(|share| share.is_finite() && 0.0 < *share && *share <= 100.0);
            return share
                .map(Self::Share)
                .ok_or_else(|| "a share is more than 0% and at most 100%, as in 5%".to_owned());
        }
        match duration::size(text) {
            Ok(0) => Err("nothing is verified within nothing: write it as 1GiB or 5%".to_owned()),
            Ok(bytes) => Ok(Self::Bytes(bytes)),
            Err(_) => Err("neither a size nor a share: write it as 1GiB or 5%".to_owned()),
        }
    }

    /// How many of those with these sizes, from the first, are within it; one at least, however large it is.
    pub(super) fn count(self, sizes: &[u64]) -> usize {
        let all = sizes.iter().fold(0, |all: u64, size| all.saturating_add(*size));
        let most = match self {
            Self::Bytes(bytes) => bytes,
            // Nobody has so many bytes that a few of them are lost in this.
            Self::Share(share) => (all as f64 * share / 100.0) as u64,
        };
        let mut taken = 0_u64;
        let within = sizes.iter().take_while(|size| {
            taken = taken.saturating_add(**size);
            taken <= most
        });
        within.count().max(1).min(sizes.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_budget_is_a_size_or_a_share() {
        assert_eq!(Budget::parse("1GiB"), Ok(Budget::Bytes(1 << 30)));
        assert_eq!(Budget::parse("5%"), Ok(Budget::Share(5.0)));
        assert_eq!(Budget::parse("0.5 %"), Ok(Budget::Share(0.5)));
        assert_eq!(Budget::parse("100%"), Ok(Budget::Share(100.0)));
        for bad in ["0", "0%", "-1%", "120%", "x", "", "%", "NaN%", "inf%", "1e9", "5 percent"] {
            let said = Budget::parse(bad).expect_err(bad);
            assert!(said.contains("5%"), "{bad}: {said}");
        }
    }

    #[test]
    fn one_is_verified_however_large_it_is() {
        let bytes = Budget::Bytes(10);
        assert_eq!(bytes.count(&[4, 6, 1]), 2);
        assert_eq!(bytes.count(&[11, 1]), 1);
        assert_eq!(bytes.count(&[]), 0);
        assert_eq!(Budget::Share(50.0).count(&[1, 1, 1, 1]), 2);
        assert_eq!(Budget::Share(1.0).count(&[1, 1]), 1);
        assert_eq!(Budget::Share(100.0).count(&[1, 2, 3]), 3);
        assert_eq!(Budget::Share(5.0).count(&[0, 0]), 2);
        assert_eq!(Budget::Bytes(u64::MAX).count(&[u64::MAX, u64::MAX]), 2);
    }
}
