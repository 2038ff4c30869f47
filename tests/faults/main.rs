//! When something is in the way: full disks, file systems that cannot be written, objects of the wrong kind, names that lead
//! nowhere, descriptors that run out. Each is told by its kind and in its words, leaves everything as it was, and stops neither
//! the run nor the broker.

mod attempts;
mod bus;
mod descriptors;
mod full_disk;
mod objects;
mod read_only;
mod rights;
mod vanished;
