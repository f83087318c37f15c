//! A way to a server of buckets on which every condition is lost.

use std::io::{self, Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};

/// A port that leads to that one of this machine: what is to be written on a condition alone is written whatever is there.
pub fn front(port: u16) -> u16 {
    let front = TcpListener::bind("127.0.0.1:0").expect("a port is free");
    let own = front.local_addr().expect("it listens").port();
    std::thread::spawn(move || {
        for client in front.incoming().flatten() {
            // Who has gone has no answer to get.
            std::thread::spawn(move || drop(pass(client, port)));
        }
    });
    own
}

/// One request and its answer, after which the connection is at its end.
fn pass(mut client: TcpStream, port: u16) -> io::Result<()> {
    let mut server = TcpStream::connect(("127.0.0.1", port))?;
    let (mut head, mut byte) = (Vec::new(), [0]);
    while !head.ends_with(b"\r\n\r\n") {
        client.read_exact(&mut byte)?;
        head.extend(byte);
    }
    server.write_all(unconditional(&String::from_utf8_lossy(&head)).as_bytes())?;
    let (mut from, mut to) = (client.try_clone()?, server.try_clone()?);
    std::thread::spawn(move || {
        let _ = io::copy(&mut from, &mut to);
    });
    let passed = io::copy(&mut server, &mut client);
    client.shutdown(Shutdown::Both)?;
    passed.map(drop)
}

/// Without the conditions of S3 and Azure, which are headers, and Google's, which is in the URL.
fn unconditional(head: &str) -> String {
    let mut lines = head.trim_end().split("\r\n");
    let first = lines.next().unwrap_or_default();
    let first = match first.split_once("&ifGenerationMatch=") {
        Some((before, behind)) => {
            format!("{before}{}", behind.trim_start_matches(|c: char| c.is_ascii_digit()))
        }
        None => first.to_owned(),
    };
    let is_kept = |line: &&str| {
        let name = line.split(':').next().unwrap_or_default().to_ascii_lowercase();
        !["if-match", "if-none-match", "connection"].contains(&name.as_str())
    };
    let lines: Vec<_> = lines.filter(is_kept).collect();
    format!("{first}\r\n{}\r\nConnection: close\r\n\r\n", lines.join("\r\n"))
}
