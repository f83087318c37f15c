//! What holds of all that lies in files beside a database, which the app, Litestream or an accident has written.
//!
//! Used by the fuzz targets and, as properties, by the suite.

use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

use litekeeper::ledger::{Answer, FileState, Task, command};
use litekeeper::litestream::ltx::{self, Ltx};
use litekeeper::litestream::position::{self, Position};
use litekeeper::litestream::version::Version;
use litekeeper::sqlite::wal::{self, Run, State};

/// Of pages of this size, small so that there are many in few bytes.
const PAGE: usize = 512;

fn short(number: u32) -> [u8; 4] {
    number.to_be_bytes()
}

/// A write-ahead log and its index hold only what is in them, whoever wrote them. `scratch` is a folder of this
/// caller's own.
pub fn log(bytes: &[u8], scratch: &Path) {
    let database = scratch.join("a.db");
    let beside = |suffix: &str| scratch.join(format!("a.db{suffix}"));
    write(&database, b"");
    let (what, rest) = bytes.split_first().map_or((0, bytes), |(what, rest)| (*what, rest));
    // As they are, or as SQLite could have written them with some bytes changed.
    let (mut log, mut index) = if what & 1 == 0 {
        let half = rest.len() / 2;
        (rest[..half].to_vec(), rest[half..].to_vec())
    } else {
        (a_log(u32::from(what >> 4)), an_index(u32::from(what >> 4)))
    };
    let is_changed = if what & 1 == 1 {
        let file = if what & 2 == 0 { &mut log } else { &mut index };
        change(file, rest)
    } else {
        true
    };
    write(&beside("-wal"), &log);
    write(&beside("-shm"), &index);
    let header = wal::header(&database).expect("it can be read");
    let state = wal::index(&database).expect("it can be read");
    if !is_changed {
        let State::Made(index) = state else { panic!("{state:?} of an index of SQLite's") };
        assert_eq!(index.end, log.len() as u64);
        assert_eq!(header.map(|header| header.salt), Some(index.salt));
        let run = Run::open(&database).expect("it can be read").expect("a log");
        assert_eq!(run.frames(wal::HEADER).expect("it can be read").len(), (what >> 4) as usize);
    }
    if let State::Made(index) = state {
        // Frames of pages of one size.
        let sizes = (9..=16).map(|power| 1_u32 << power);
        let mut fits = sizes.filter(|size| (index.end - wal::HEADER).is_multiple_of(wal::bytes_of(1, *size)));
        assert!(fits.next().is_some(), "{index:?}");
    }
    if let Some(header) = header {
        assert!(wal::is_page_size(header.page_size) && log[16..24] == header.salt);
        let run = Run::open(&database).expect("it can be read").expect("there is one");
        assert!(run.header == header && run.goes_on(&database).expect("it can be read"));
        let frames = run.frames(wal::HEADER).expect("it can be read");
        let mut at = wal::HEADER;
        for frame in &frames {
            assert!(frame.page > 0 && frame.content > at && frame.content <= log.len() as u64, "{frame:?}");
            at = frame.content + u64::from(header.page_size);
            let mut page = vec![0; header.page_size as usize];
            let is_there = run.read(frame.content, &mut page).expect("it can be read");
            assert_eq!(is_there, at <= log.len() as u64, "{frame:?}");
            if is_there {
                assert_eq!(page, log[frame.content as usize..at as usize]);
            }
        }
    }
    let may_have = wal::may_have_orphan(&database).expect("it can be read");
    match state {
        State::Unknown => assert!(!may_have && index.len() < 96),
        State::Unmade => assert!(may_have),
        State::Made(_) => {}
    }
    // What is cleared is made anew, and what is no index is left as it is.
    assert!(wal::try_clear(&database).expect("nobody else has it"));
    let after = fs::read(beside("-shm")).expect("it is there");
    assert_eq!(after.len(), index.len());
    match state {
        State::Made(_) if index.len() > 120 && index[..4] == 3_007_000_u32.to_ne_bytes() => {
            assert_eq!(wal::index(&database).expect("it can be read"), State::Unmade);
        }
        _ => assert!(after == index || after[..96] == [0; 96]),
    }
}

const SALT: [u8; 8] = *b"saltsalt";

/// SQLite's checksum of a log in this machine's order of bytes.
fn sums(bytes: &[u8], number: fn([u8; 4]) -> u32) -> [u32; 2] {
    let (mut one, mut other) = (0_u32, 0_u32);
    for pair in bytes.as_chunks::<8>().0 {
        let [a, b, c, d, e, f, g, h] = *pair;
        one = one.wrapping_add(number([a, b, c, d])).wrapping_add(other);
        other = other.wrapping_add(number([e, f, g, h])).wrapping_add(one);
    }
    [one, other]
}

fn a_log(frames: u32) -> Vec<u8> {
    let mut log: Vec<u8> = [0x377f_0682, 3_007_000, PAGE as u32, 1].into_iter().flat_map(short).collect();
    log.extend(SALT);
    log.extend(sums(&log, u32::from_le_bytes).into_iter().flat_map(short));
    for page in 1..=frames {
        log.extend([short(page), short(page)].concat());
        log.extend(SALT);
        log.extend([0; 8]);
        log.extend([page as u8; PAGE]);
    }
    log
}

fn an_index(frames: u32) -> Vec<u8> {
    let mut header: Vec<u8> = [3_007_000, 0, 1].into_iter().flat_map(u32::to_ne_bytes).collect();
    header.extend([1, 0]);
    header.extend((PAGE as u16).to_ne_bytes());
    header.extend([frames, frames, 7, 7].into_iter().flat_map(u32::to_ne_bytes));
    header.extend(SALT);
    header.extend(sums(&header, u32::from_ne_bytes).into_iter().flat_map(u32::to_ne_bytes));
    [header.clone(), header, vec![0; 40]].concat()
}

/// One of Litestream's files has the pages of its database in order, each as it was written, or none.
pub fn file(bytes: &[u8], scratch: &Path) {
    let path = scratch.join("any.ltx");
    // As it is, and as a header and a list could be.
    let listed =
        [&header(4, 0, wal::HEADER..600), bytes, &(bytes.len() as u64).to_be_bytes(), &[0; 16]].concat();
    for bytes in [bytes, &listed] {
        write(&path, bytes);
        let Some(ltx) = Ltx::open(&path).expect("it can be read") else { continue };
        assert!(wal::is_page_size(ltx.page_size) && ltx.piece.start <= ltx.piece.end);
        assert_eq!(ltx::sizes(bytes), Some((ltx.page_size, ltx.commit)));
        let Ok(pages) = ltx.pages() else { continue };
        let lock_page = ltx::lock_page(ltx.page_size);
        assert!(pages.windows(2).all(|pair| pair[0].number < pair[1].number), "{pages:?}");
        assert!(pages.iter().all(|page| (1..=ltx.commit).contains(&page.number) && page.number != lock_page));
        let all = ltx.commit - u32::from(ltx.commit >= lock_page);
        assert_eq!(ltx.is_complete(&pages), pages.len() as u64 == u64::from(all));
        let mut content = vec![0; ltx.page_size as usize];
        for page in pages.iter().take(16) {
            let _ = ltx.read(page, &mut content);
        }
    }
    // What was put in comes out.
    let pages: Vec<(u32, [u8; PAGE])> =
        bytes.chunks(24).take(9).zip(1..).map(|(chunk, number)| (number, page(chunk))).collect();
    let commit = pages.len() as u32;
    write(&path, &written(commit, &pages));
    let ltx = Ltx::open(&path).expect("it can be read").expect("a file");
    let found = ltx.pages().expect("a list");
    assert!(ltx.is_complete(&found) && found.len() == pages.len());
    for (found, (number, wanted)) in found.iter().zip(&pages) {
        let mut content = [0; PAGE];
        ltx.read(found, &mut content).expect("a page");
        assert_eq!((found.number, &content), (*number, wanted));
    }
}

/// A folder of Litestream's says how far it is by names that Litestream gives, and by nothing else in it.
pub fn folder(bytes: &[u8], scratch: &Path) {
    let meta = scratch.join("meta");
    let _ = fs::remove_dir_all(&meta);
    let l0 = ltx::folder(&meta);
    fs::create_dir_all(&l0).expect("a folder");
    let mut newest = None;
    for piece in bytes.split(|byte| *byte == b'\n').take(8) {
        let text = String::from_utf8_lossy(piece);
        let name: String = text.chars().filter(|c| *c != '/' && *c != '\0').take(60).collect();
        if !name.is_empty() && name != "." && name != ".." && fs::write(l0.join(&name), "").is_ok() {
            let is_digit = |c: char| c.is_ascii_hexdigit();
            if let Some((min, max)) = name.strip_suffix(".ltx").and_then(|stem| stem.split_once('-'))
                && min.len() == 16
                && max.len() == 16
                && min.chars().all(is_digit)
                && max.chars().all(is_digit)
            {
                let number = |text: &str| u64::from_str_radix(text, 16).expect("sixteen digits");
                let (min, max) = (number(min), number(max));
                newest = newest.max((0 < min && min <= max).then_some(max));
            }
        }
    }
    assert_eq!(position::local(Version::new(0, 5, 17), &meta), newest.map(Position::Txid));
    // What 0.3 calls its generation is a name below its folder.
    let inside = meta.join("generations/0123456789abcdef/wal");
    fs::create_dir_all(&inside).expect("a folder");
    fs::write(inside.join("0000000a.wal"), "four").expect("a file");
    fs::write(meta.join("generation"), bytes).expect("a file");
    let found = position::local(Version::new(0, 3, 13), &meta);
    let named = String::from_utf8_lossy(bytes).trim() == "0123456789abcdef";
    match found {
        Some(Position::Wal { generation, index, offset, .. }) => {
            assert!(named && (generation.as_str(), index, offset) == ("0123456789abcdef", 10, 4));
        }
        found => assert!(found.is_none() && (!named || bytes.len() > 256), "{found:?}"),
    }
}

/// However one of the files beside a database is broken, no answer says that it is the same as its copy when it is not,
/// and there is an answer soon.
pub fn ledger(bytes: &[u8], scratch: &Path) {
    let [what, task, rest @ ..] = bytes else { return };
    let (database, meta) = (scratch.join("b.db"), scratch.join("copy"));
    let _ = fs::remove_dir_all(&meta);
    let l0 = ltx::folder(&meta);
    fs::create_dir_all(&l0).expect("a folder");
    let pages: Vec<(u32, [u8; PAGE])> = (1..=4).map(|number| (number, of_database(number))).collect();
    let mut content: Vec<u8> = pages.iter().flat_map(|(_, page)| *page).collect();
    let mut first = written(4, &[&pages[..1], &[(2, [9; PAGE])], &pages[2..]].concat());
    let mut second = written(4, &pages[1..2]);
    let ledger = meta.join("litekeeper-ledger");
    let limit = Duration::from_secs(60);
    let write_all = |content: &[u8], first: &[u8], second: &[u8]| {
        write(&database, content);
        write(&l0.join(ltx::name(1)), first);
        write(&l0.join(ltx::name(2)), second);
    };
    let kind = what % 6;
    if matches!(kind, 0 | 3 | 4) {
        // It was taken in when all was well.
        write_all(&content, &first, &second);
        let answer = command::ask(Task::Look, limit, &database, &meta).expect("an answer");
        assert_eq!(answer, Answer::Equal { due: false });
    }
    let mut same = true;
    match kind {
        0 => same = !change(&mut content, rest),
        1 => same = !change(&mut first, rest),
        2 => same = !change(&mut second, rest),
        3 | 4 => {
            let path = if kind == 3 { ledger } else { meta.join("litekeeper-history") };
            let mut kept = fs::read(&path).unwrap_or_default();
            change(&mut kept, rest);
            write(&path, &kept);
            // What is to be found all the same.
            content[PAGE + 100] ^= 1;
            same = false;
        }
        _ => write(&ledger, rest),
    }
    write_all(&content, &first, &second);
    let task = [Task::Look, Task::All, Task::Background, Task::Leave, Task::Inspect][usize::from(task % 5)];
    let began = Instant::now();
    let answer = command::ask(task, limit, &database, &meta);
    assert!(!matches!(answer, Ok(Answer::Unfinished(_))), "{:?}: nobody is in its way", began.elapsed());
    let says_same = matches!(answer, Ok(Answer::Equal { .. } | Answer::Stands(FileState::Current)));
    if says_same && !same {
        // In what Litestream's files say now, if it is them that were changed.
        assert!(matches!(kind, 1 | 2), "{task:?}: {answer:?}");
        assert_eq!(copied(&l0).as_deref(), Some(&content[..]), "{task:?}: {answer:?}");
    }
    if same && kind == 5 {
        assert!(answer.is_ok(), "{answer:?}");
    }
    if let Ok(answer) = answer {
        let printed = serde_json::to_string(&answer).expect("JSON");
        assert_eq!(Answer::parse(&printed), Ok(answer));
    }
}

/// What both files together have.
fn copied(l0: &Path) -> Option<Vec<u8>> {
    let mut all = Vec::new();
    for txid in 1..=2 {
        let Ok(Some(ltx)) = Ltx::open(&l0.join(ltx::name(txid))) else { continue };
        let size = ltx.page_size as usize;
        all.resize(ltx.commit as usize * size, 0);
        for page in ltx.pages().ok()? {
            let at = (page.number as usize - 1) * size;
            ltx.read(&page, &mut all[at..at + size]).ok()?;
        }
    }
    Some(all)
}

/// Changes bytes as three each say: where, in two, and what to. Whether any is another one now.
fn change(file: &mut [u8], how: &[u8]) -> bool {
    let before = file.to_vec();
    for [high, low, to] in how.as_chunks::<3>().0 {
        let at = usize::from(u16::from_be_bytes([*high, *low]));
        if !file.is_empty() {
            let at = at % file.len();
            file[at] ^= to;
        }
    }
    file != before
}

fn page(from: &[u8]) -> [u8; PAGE] {
    std::array::from_fn(|at| from.get(at % from.len().max(1)).copied().unwrap_or(0))
}

/// Pages that SQLite takes for a database at the first look.
fn of_database(number: u32) -> [u8; PAGE] {
    let mut page = [number as u8; PAGE];
    if number == 1 {
        page[..100].fill(0);
        page[..16].copy_from_slice(b"SQLite format 3\0");
        page[16..24].copy_from_slice(&[2, 0, 1, 1, 0, 64, 32, 32]);
        page[24..28].copy_from_slice(&short(5));
        page[28..32].copy_from_slice(&short(4));
        page[92..96].copy_from_slice(&short(5));
    }
    page
}

fn header(commit: u32, made: u64, piece: std::ops::Range<u64>) -> Vec<u8> {
    let mut header = vec![0; ltx::HEADER];
    header[..4].copy_from_slice(b"LTX1");
    header[8..12].copy_from_slice(&short(PAGE as u32));
    header[12..16].copy_from_slice(&short(commit));
    header[32..40].copy_from_slice(&made.to_be_bytes());
    header[48..56].copy_from_slice(&piece.start.to_be_bytes());
    header[56..64].copy_from_slice(&(piece.end - piece.start).to_be_bytes());
    header[64..72].copy_from_slice(&SALT);
    header
}

/// As Litestream writes a file, each page as one block of LZ4 that has it as it is.
fn written(commit: u32, pages: &[(u32, [u8; PAGE])]) -> Vec<u8> {
    let mut bytes = header(commit, 1_000_000, wal::HEADER..600);
    let mut list = Vec::new();
    for (number, content) in pages {
        let mut block = vec![0xf0];
        let mut left = PAGE - 15;
        while left >= 255 {
            block.push(255);
            left -= 255;
        }
        block.push(left as u8);
        block.extend(content);
        let at = bytes.len() as u64;
        bytes.extend(short(*number));
        bytes.extend([0, 1]);
        bytes.extend(short(block.len() as u32));
        bytes.extend(block);
        for number in [u64::from(*number), at, bytes.len() as u64 - at] {
            varint(&mut list, number);
        }
    }
    list.push(0);
    bytes.extend([0; 6]);
    bytes.extend(&list);
    bytes.extend((list.len() as u64).to_be_bytes());
    bytes.extend([0; 16]);
    bytes
}

fn varint(to: &mut Vec<u8>, mut number: u64) {
    while number >= 0x80 {
        to.push(number as u8 | 0x80);
        number >>= 7;
    }
    to.push(number as u8);
}

fn write(path: &Path, bytes: &[u8]) {
    fs::write(path, bytes).expect("the scratch folder can be written");
}
