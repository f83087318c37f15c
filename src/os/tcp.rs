//! The TCP connections of a process, as `/proc` shows them (`proc_pid_fd(5)`, `proc_pid_net(5)`).

use std::collections::HashSet;
use std::fs;

use super::open;

/// Sent again so often without an answer, nobody is there.
const TRIES: u32 = 2;
/// Of `include/net/tcp_states.h`.
const ESTABLISHED: &str = "01";
const LISTENING: &str = "0A";

/// Whether a process has a connection that it made and on which somebody answers; `None` where that cannot be seen.
pub fn is_connected(pid: i32) -> Option<bool> {
    let sockets: HashSet<String> = fs::read_dir(format!("/proc/{pid}/fd"))
        .ok()?
        .flatten()
        .filter_map(|fd| {
            let target = fs::read_link(fd.path()).ok()?;
            Some(target.to_str()?.strip_prefix("socket:[")?.strip_suffix(']')?.to_owned())
        })
        .collect();
    let tables = ["tcp", "tcp6"].map(|table| open::kernel_text(format!("/proc/{pid}/net/{table}")));
    // A kernel without IPv6 has one table.
    let [first, second] = tables;
    Some(speaks(&(first.ok()? + &second.unwrap_or_default()), |inode| sockets.contains(inode)))
}

/// The same by these lines, where `is_own` knows the process's own sockets by their inodes.
fn speaks(table: &str, is_own: impl Fn(&str) -> bool) -> bool {
    // sl local remote st tx:rx tr:when retrnsmt uid timeout inode …
    let rows = table.lines().map(|line| line.split_ascii_whitespace().collect::<Vec<_>>());
    let own: Vec<Vec<&str>> = rows.filter(|row| row.get(9).is_some_and(|inode| is_own(inode))).collect();
    let port =
        |row: &[&str]| row.get(1).and_then(|local| local.rsplit_once(':')).map(|(_, port)| port.to_owned());
    let listens: HashSet<_> = own.iter().filter(|row| row[3] == LISTENING).map(|row| port(row)).collect();
    own.iter().any(|row| {
        let tries = u32::from_str_radix(row[6], 16).unwrap_or(0);
        row[3] == ESTABLISHED && tries < TRIES && !listens.contains(&port(row))
    })
}

#[cfg(test)]
mod tests {
    use std::io::Read;
    use std::net::{TcpListener, TcpStream};

    use super::*;

    #[test]
    fn a_connection_counts_while_somebody_answers() {
        let row = |port: &str, state: &str, tries: &str, inode: &str| {
            format!(
                "   0: 0100007F:{port} 0100007F:2328 {state} 00000000:00000000 00:00000000 {tries}     0        0 {inode} 1 0 20 4 30 10 -1\n"
            )
        };
        let speaks = |table: &str| speaks(table, |inode| inode != "9");
        let head = "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode\n";
        assert!(!speaks(head));
        assert!(speaks(&(head.to_owned() + &row("1F90", "01", "00000000", "5"))));
        assert!(!speaks(&row("1F90", "01", "00000000", "9")), "it is somebody else's");
        assert!(!speaks(&row("1F90", "08", "00000000", "5")), "the other end is closed");
        assert!(!speaks(&row("1F90", "02", "00000003", "5")), "nobody has answered yet");
        assert!(!speaks(&row("1F90", "01", "00000004", "5")), "nobody answers any more");
        let served = row("1F90", "0A", "00000000", "4") + &row("1F90", "01", "00000000", "5");
        assert!(!speaks(&served), "somebody connected to it, and it to nobody");
    }

    #[test]
    fn this_process_is_seen() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let stream = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        assert_eq!(is_connected(std::process::id().cast_signed()), Some(true));
        drop(listener.accept().unwrap());
        let mut nothing = Vec::new();
        (&stream).read_to_end(&mut nothing).unwrap();
        assert_eq!(is_connected(i32::MAX), None);
    }
}
