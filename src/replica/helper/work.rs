//! The process of its own.

use super::order::Order;
use super::{folder, lock, names, s3, sample, segments, webdav};
use crate::os;

/// Does what the memory under this descriptor says, and prints the answer as JSON; the exit code is for the process.
pub fn main(order: Option<&str>) -> u8 {
    os::order::carry_out(order, carry_out)
}

/// Does in this process what [`main`] does in one of its own.
///
/// # Errors
/// Why it cannot, in the server's words.
pub fn carry_out(order: &[u8]) -> Result<Vec<u8>, String> {
    let done = |()| b"null".to_vec();
    match serde_json::from_slice(order).map_err(|error| error.to_string())? {
        Order::At(place, task) => s3::carry_out(&place, task),
        Order::Webdav(place) => webdav::remove(&place).map(done),
        Order::Held(places) => s3::held(&places),
        Order::Marks(places) => s3::marks(&places),
        Order::Locks(tasks) => lock::carry_out(&tasks),
        Order::Folder(folder) => folder::try_to_write(&folder).map(done),
        Order::NamesIn(folder, until) => names::in_folder(&folder, until),
        Order::SegmentsIn(folder, of) => segments::in_folder(&folder, &of),
        Order::SegmentsAt(place, of) => segments::on_server(&place, &of),
        Order::Sample(path, row) => sample::make(&path, &row).map(done),
    }
}
