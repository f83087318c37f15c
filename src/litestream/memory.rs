//! How much memory Litestream is told to get along with (`GOMEMLIMIT` in Go's `runtime`).
//!
//! Of a snapshot or a compaction Go's collector leaves a heap of twice what is needed, and in a small container the kernel then kills
//! somebody: Litestream, and with it the app. With a limit it collects sooner. The limit is a soft one: nothing fails for it.

/// The variable that Go's runtime reads.
pub const VARIABLE: &str = "GOMEMLIMIT";

/// In less than this, and so much more for each database, Litestream would do little else than collect: twice what it takes at rest.
const LEAST: u64 = 64 << 20;
const OF_EACH: u64 = 1 << 20;

/// What it is to get along with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MemoryLimit {
    /// So many hundredths of what the container may use; whatever it likes where nobody limits that.
    Share(u64),
    /// So many bytes.
    Bytes(u64),
    /// Whatever it likes.
    Off,
}

impl MemoryLimit {
    /// The bytes, in a container that may use so many, for so many databases.
    pub fn bytes(self, container: Option<u64>, databases: usize) -> Option<u64> {
        match self {
            Self::Share(share) => {
                let (container, least) = (container?, LEAST + OF_EACH * databases as u64);
                Some((container / 100 * share).max(least).min(container))
            }
            Self::Bytes(bytes) => Some(bytes),
            Self::Off => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_share_is_of_the_container_and_never_too_small_to_live() {
        let large = Some(1000 << 20);
        assert_eq!(MemoryLimit::Share(40).bytes(large, 1), Some(400 << 20));
        assert_eq!(MemoryLimit::Share(40).bytes(large, 500), Some(564 << 20));
        assert_eq!(MemoryLimit::Share(40).bytes(Some(100 << 20), 1), Some(65 << 20));
        assert_eq!(MemoryLimit::Share(40).bytes(Some(32 << 20), 1), Some(32 << 20), "all there is");
        assert_eq!(MemoryLimit::Share(40).bytes(None, 1), None);
        assert_eq!(MemoryLimit::Bytes(5).bytes(None, 9), Some(5));
        assert_eq!(MemoryLimit::Off.bytes(large, 1), None);
    }
}
