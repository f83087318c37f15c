//! What a child writes to a pipe, gathered until it ends: somebody that it started may hold the pipe open for ever.

use std::io;
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
        while let Some(pipe) = self.pipe.as_ref().filter(|_| !self.is_full()) {
            if pipe.readable().await.is_err() {
                return;
            }
            self.take_what_is_there();
        }
    }

    /// All that was written before now, without waiting for more.
    pub fn finish(mut self) -> Vec<u8> {
        self.take_what_is_there();
        self.bytes
    }

    /// Whether there is more than is wanted.
    pub fn is_full(&self) -> bool {
        self.bytes.len() >= self.most
    }

    fn take_what_is_there(&mut self) {
        let mut chunk = [0; 8 << 10];
        while let Some(pipe) = self.pipe.as_ref().filter(|_| !self.is_full()) {
            let room = chunk.len().min(self.most - self.bytes.len());
            match pipe.try_read(&mut chunk[..room]) {
                Ok(count) if count > 0 => self.bytes.extend_from_slice(&chunk[..count]),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                // What was read before an error is still worth reading.
                Ok(_) | Err(_) => self.pipe = None,
            }
        }
    }
}
