//! Whose backup a place holds.
//!
//! A history has an id. It lies at the place where the history is replicated to, and beside the database that it is of. Two
//! databases never go on in one place: the second one's restores would bring the first one's rows.

use std::fmt;

/// The id of a history: 128 random bits, written as 32 hexadecimal digits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Id(pub u128);

impl fmt::Display for Id {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{:032x}", self.0)
    }
}

impl Id {
    /// Reads one as it is written.
    pub fn parse(text: &str) -> Option<Self> {
        let is_id = text.len() == 32 && text.bytes().all(|digit| digit.is_ascii_hexdigit());
        u128::from_str_radix(text, 16).ok().filter(|_| is_id).map(Self)
    }
}

/// What is here of a database.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Here {
    /// It is missing: whatever lies beside it is of one that is gone.
    Missing,
    /// There is a file, and beside it no id; what Litestream has beside it, its positions tell.
    Unmarked,
    /// There is a file, and beside it this id.
    Marked(Id),
}

/// What is at the place where it is replicated to, proven by a listing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum There {
    /// Nothing.
    Nothing,
    /// A backup without an id.
    Backup,
    /// An id and a backup.
    Marked(Id),
    /// An id and nothing else: whose it is never got anything there.
    Reserved(Id),
}

/// What the ids say; where they allow a database to go on, the positions and what is in it decide as ever.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lineage {
    /// Both have the same id.
    Same,
    /// Neither has one: both get a new one.
    New,
    /// What is here goes on with the id of the place.
    Take(Id),
    /// The place gets the id of what is here: it has a backup from before there were ids.
    Adopt(Id),
    /// The same: it has nothing any more, or is another place than before, whoever else was to come there.
    Emptied(Id),
    /// The place is another database's.
    Another(Id),
}

impl Lineage {
    /// Decides.
    pub fn of(here: Here, there: There) -> Self {
        match (here, there) {
            (Here::Missing | Here::Unmarked, There::Nothing | There::Backup) => Self::New,
            (Here::Missing | Here::Unmarked, There::Marked(id) | There::Reserved(id)) => Self::Take(id),
            (Here::Marked(own), There::Marked(id) | There::Reserved(id)) if own == id => Self::Same,
            (Here::Marked(own), There::Nothing | There::Reserved(_)) => Self::Emptied(own),
            (Here::Marked(own), There::Backup) => Self::Adopt(own),
            (Here::Marked(_), There::Marked(id)) => Self::Another(id),
        }
    }
}
