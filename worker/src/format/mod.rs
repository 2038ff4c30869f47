//! Formats of files. They are taken apart here, where nothing is within reach: whatever a file holds, what it costs is
//! the run that looks at it.

pub mod archive;
pub mod certificate;
pub mod elf;
pub mod gzip;
pub mod kernel;
