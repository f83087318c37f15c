//! A database as a source wants it, as far as anything is decided by it.

/// What a source says of a database. What is in it is the driver's.
pub trait Wanted: Clone {
    /// Where its file is: the same of whatever names it has.
    type File: Clone + Ord;
    /// What keeps other keepers away from it.
    type Lock;
    /// Why something cannot be done, for people.
    type Reason;

    /// Where its file is.
    fn file(&self) -> &Self::File;

    /// Whether both say the same of it, by whatever name.
    fn is_same(&self, other: &Self) -> bool;

    /// Whether both say it in the same words.
    fn is_written_as(&self, other: &Self) -> bool;

    /// Whether both need something that no two databases may share: a replica, a folder of Litestream's, a file.
    fn collides(&self, other: &Self) -> bool;

    /// A number for each thing that it needs. Two that collide have one in common, and hardly any others: of thousands, only
    /// those are compared.
    fn claims(&self) -> Vec<u64>;

    /// It lies in a folder of databases: Litestream finds it by itself, and no answer says where it goes.
    fn is_found(&self) -> bool;
}
