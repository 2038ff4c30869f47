//! References to objects that a session holds open.

use serde::{Deserialize, Serialize};
use std::fmt;
use std::hash::{Hash, Hasher};
use std::marker::PhantomData;

/// An object of kind `K` in the table of one session.
///
/// Ids are counted up and never used again, so a stale handle can never name a newer object, and
/// they mean nothing in another session. Holding a handle grants nothing: each operation on it is decided anew.
#[derive(Serialize, Deserialize)]
#[serde(transparent)]
pub struct Handle<K> {
    id: u64,
    #[serde(skip)]
    kind: PhantomData<fn() -> K>,
}

/// Kind: an open directory.
#[derive(Debug)]
pub enum Dir {}
/// Kind: an open regular file.
#[derive(Debug)]
pub enum File {}
/// Kind: a symbolic link itself.
#[derive(Debug)]
pub enum Link {}
/// Kind: a file that is being put together and has no name yet.
#[derive(Debug)]
pub enum Draft {}
/// Kind: a program that runs.
#[derive(Debug)]
pub enum Program {}
/// Kind: namespaces that the session has entered; dropped, they are left.
#[derive(Debug)]
pub enum Entry {}
/// Kind: the body of a response.
#[derive(Debug)]
pub enum Body {}
/// Kind: a connection to another host.
#[derive(Debug)]
pub enum Connection {}
/// Kind: something that the service manager was asked and that is under way.
#[derive(Debug)]
pub enum Task {}
/// Kind: the kernel's log, read to some place.
#[derive(Debug)]
pub enum Log {}
/// Kind: a directory listing under way.
#[derive(Debug)]
pub enum Listing {}

impl<K> Handle<K> {
    /// The handle with this id. Only a session's table makes ids.
    pub fn from_id(id: u64) -> Self {
        Self { id, kind: PhantomData }
    }

    /// The id, unique in its session.
    pub fn id(self) -> u64 {
        self.id
    }
}

// Derived implementations would ask the same of `K`.
impl<K> Clone for Handle<K> {
    fn clone(&self) -> Self {
        *self
    }
}
impl<K> Copy for Handle<K> {}
impl<K> PartialEq for Handle<K> {
    fn eq(&self, other: &Self) -> bool {
        self.id == other.id
    }
}
impl<K> Eq for Handle<K> {}
impl<K> Hash for Handle<K> {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.id.hash(state);
    }
}
impl<K> fmt::Debug for Handle<K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "#{}", self.id)
    }
}
