//! The bucket in the host's name, as S3 itself is asked.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use s3s::S3Result;
use s3s::host::{S3Host, VirtualHost};

/// The server's name; nobody but a test's own `/etc/hosts` knows it.
pub const NAME: &str = "s3.test";

/// Takes `BUCKET.s3.test` apart, and counts.
#[derive(Clone, Default)]
pub struct InHost(Arc<AtomicUsize>);

impl InHost {
    /// How many requests had the bucket there.
    pub fn count(&self) -> usize {
        self.0.load(Ordering::Relaxed)
    }
}

impl S3Host for InHost {
    fn parse_host_header<'a>(&'a self, host: &'a str) -> S3Result<VirtualHost<'a>> {
        let name = host.split(':').next().unwrap_or_default();
        let bucket = name.strip_suffix(NAME).and_then(|rest| rest.strip_suffix('.'));
        Ok(match bucket {
            Some(bucket) => {
                self.0.fetch_add(1, Ordering::Relaxed);
                VirtualHost::new(host).with_bucket(bucket)
            }
            None => VirtualHost::new(host),
        })
    }
}
