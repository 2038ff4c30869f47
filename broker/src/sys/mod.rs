//! Every system call that the standard library or `nix` does not wrap as the broker needs it, and
//! every `unsafe` block of the broker: the place to audit.

pub(crate) mod cgroup;
pub(crate) mod clock;
pub(crate) mod fs;
pub(crate) mod lock;
pub(crate) mod process;
pub(crate) mod process_dir;
pub(crate) mod procfs;
pub(crate) mod random;
pub(crate) mod seccomp;
pub(crate) mod socket;
pub(crate) mod trust;
pub(crate) mod xattr;
