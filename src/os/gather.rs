//! What a child writes to a pipe, gathered until it ends: somebody that it started may hold the pipe open for ever.

use std::fs::File;
use std::io::{self, Read};
use std::os::fd::OwnedFd;

use tokio::net::unix::pipe::Receiver;

/// What came out of a pipe so far.
pub struct Gather {
    pipe: Option<Receiver>,
    bytes: Vec<u8>,
    most: usize,
}

impl Gather {
    /// Of this pipe, and no more than so many bytes.
    pub fn new(fd: OwnedFd, most: usize) -> Self {
        Self { pipe: Receiver::from_owned_fd(fd).ok(), bytes: Vec::new(), most }
    }

    /// Reads until the pipe ends or enough was read. What was read stays when this is given up.
    pub async fn fill(&mut self) {
        while let Some(pipe) = &self.pipe {
            if pipe.readable().await.is_err() {
                return;
            }
            if !take(&mut self.bytes, self.most, |chunk| pipe.try_read(chunk)) {
                self.pipe = None;
            }
        }
    }

    /// All that was written before now, without waiting for more.
    pub fn finish(mut self) -> Vec<u8> {
        // Not through the runtime, which takes a pipe for empty until it has heard otherwise: the last words of a
        // child whose end was heard first would be lost.
        if let Some(fd) = self.pipe.and_then(|pipe| pipe.into_nonblocking_fd().ok()) {
            let mut pipe = File::from(fd);
            take(&mut self.bytes, self.most, |chunk| pipe.read(chunk));
        }
        self.bytes
    }

    /// Whether there is more than is wanted.
    pub fn is_full(&self) -> bool {
        self.bytes.len() >= self.most
    }
}

/// Takes what is there; whether there can be more.
fn take(bytes: &mut Vec<u8>, most: usize, mut read: impl FnMut(&mut [u8]) -> io::Result<usize>) -> bool {
    let mut chunk = [0; 8 << 10];
    while bytes.len() < most {
        let room = chunk.len().min(most - bytes.len());
        match read(&mut chunk[..room]) {
            Ok(count) if count > 0 => bytes.extend_from_slice(&chunk[..count]),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => return true,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            // What was read before an error is still worth reading.
            Ok(_) | Err(_) => return false,
        }
    }
    false
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    #[test]
    fn the_last_words_are_read_though_nobody_said_that_they_are_there() {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_io().build().expect("a runtime");
        runtime.block_on(async {
            let (reader, writer) = nix::unistd::pipe2(nix::fcntl::OFlag::O_CLOEXEC).expect("a pipe");
            let gather = Gather::new(reader, 5);
            File::from(writer).write_all(b"last words").expect("room");
            assert_eq!(gather.finish(), b"last ", "and no more than was wanted");
        });
    }
}
