//! Whether the server minds what time of day a client has.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use s3s::config::{S3Config, S3ConfigProvider};

/// As S3 does it, with a quarter of an hour of grace, or not at all.
#[derive(Clone)]
pub struct Times(Arc<Both>);

struct Both {
    strict: Arc<S3Config>,
    lax: Arc<S3Config>,
    is_lax: AtomicBool,
}

impl Times {
    /// As S3 does it.
    pub fn new() -> Self {
        let mut lax = S3Config::default();
        lax.presigned_url_max_skew_time_secs = u32::MAX;
        let (strict, is_lax) = (Arc::default(), AtomicBool::new(false));
        Self(Arc::new(Both { strict, lax: Arc::new(lax), is_lax }))
    }

    /// From now on any time will do, or none but the server's own.
    pub fn set_lax(&self, is_lax: bool) {
        self.0.is_lax.store(is_lax, Ordering::Relaxed);
    }
}

impl S3ConfigProvider for Times {
    fn snapshot(&self) -> Arc<S3Config> {
        let is_lax = self.0.is_lax.load(Ordering::Relaxed);
        Arc::clone(if is_lax { &self.0.lax } else { &self.0.strict })
    }
}
