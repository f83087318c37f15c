//! Work at replicas that Litestream has no command for, in a process of its own, as the user that Litestream runs as: the
//! keeper has one thread and little memory, and a client for buckets needs more of both.
//!
//! ```text
//! ask           the keeper's side: gives an order, waits for the answer
//! order         what is asked, and answered
//! work          the process: reads the order, prints the answer
//! s3            the client for S3, by `object_store`, and what is done in buckets of any kind
//! lock          the lock of a place in a bucket
//! gcs           the client for Google's storage
//! google        its keys from the environment and files, as Litestream's library reads them
//! azure         the client for Azure's storage, and its keys
//! layout        how Litestream lays files into a bucket
//! client        what all of these have in common
//! agent         their connections, without redirects
//! aws           keys and endpoints from the environment and files, as Litestream's SDK reads them
//! certificates  whose certificates are believed
//! connect       why nobody answers
//! webdav        removing a folder
//! names         whether files hold what their names say
//! segments      whether the WAL that Litestream 0.3 restores has no gap
//! folder        writing to a folder of this machine on trial
//! sample        a database for a trial by Litestream
//! ```

mod agent;
mod ask;
mod aws;
mod azure;
mod certificates;
mod client;
mod connect;
mod folder;
mod gcs;
mod google;
mod layout;
mod lock;
mod names;
mod order;
mod s3;
mod sample;
mod segments;
mod webdav;
mod work;

pub use ask::{formats, held, locks, mark, marks, misnamed, sample, segments, write};
pub use ask::{header, is_blind, list, look_at, reach, remove, remove_folder};
pub use certificates::{CERTIFICATE_FILES, CERTIFICATE_FOLDERS};
pub use connect::DISTRUSTED;
pub use order::{Formats, LockSaid, LockTask, Pieces, Put, Segments};
pub use order::{Snapshot, TRIAL};
pub use work::{carry_out, main};
