//! The kernel's tables of sockets, and who has them.

use super::*;
use crate::sys::process_dir::{self, ProcessDir};
use rex_protocol::fs::OpenedFile;
use rex_protocol::system::{DescriptorPlace, ListSocketOwners, OpenSockets, SocketOwner, SocketOwners};
use rex_protocol::text::Text;

/// How many processes, and how many descriptors, one request looks at: both take the kernel some time.
const PROCESSES: usize = 256;
const DESCRIPTORS: usize = 8192;
/// What a process is called at most, in bytes.
const NAME: usize = 64;

/// Both actions that a table needs.
fn open_and_read(path: &AbsPath) -> Demands {
    Demands::all(vec![file_demand(Action::FileOpen, path), file_demand(Action::FileRead, path)])
}

impl Perform for OpenSockets {
    type Target = AbsPath;

    fn target(self, _: &mut State) -> Result<AbsPath, Stop> {
        known(self.table.path())
    }

    fn demands(path: &AbsPath) -> Demands {
        open_and_read(path)
    }

    fn perform(path: Granted<AbsPath>, state: &mut State) -> Result<OpenedFile, Stop> {
        let path = path.into_inner();
        let table = open_table(&path)?;
        Ok(OpenedFile { file: state.handles.add_file(table)?, path, created: false })
    }
}

pub(crate) struct OwnersTarget {
    from: DescriptorPlace,
    proc: AbsPath,
}

impl Perform for ListSocketOwners {
    type Target = OwnersTarget;

    fn target(self, _: &mut State) -> Result<OwnersTarget, Stop> {
        let from = self.from.unwrap_or(DescriptorPlace { pid: 0, descriptor: 0 });
        Ok(OwnersTarget { from, proc: known("/proc")? })
    }

    fn demands(target: &OwnersTarget) -> Demands {
        open_and_read(&target.proc)
    }

    fn perform(target: Granted<OwnersTarget>, _: &mut State) -> Result<SocketOwners, Stop> {
        let OwnersTarget { from, proc } = target.into_inner();
        let all = process_dir::all().map_err(|errno| refused(errno, "list", &proc))?;
        let mut page = Page { owners: Vec::new(), descriptors: DESCRIPTORS };
        for (count, pid) in all.into_iter().filter(|pid| *pid >= from.pid).enumerate() {
            if count == PROCESSES {
                return Ok(page.ends_before(DescriptorPlace { pid, descriptor: 0 }));
            }
            let first = if pid == from.pid { from.descriptor } else { 0 };
            // What ends meanwhile, or may not be looked into, is left out.
            let more = ProcessDir::open(pid).and_then(|dir| page.add(&dir, first)).unwrap_or(None);
            if let Some(descriptor) = more {
                return Ok(page.ends_before(DescriptorPlace { pid, descriptor }));
            }
        }
        Ok(SocketOwners { owners: page.owners, more: None })
    }
}

/// What is found until it is enough.
struct Page {
    owners: Vec<SocketOwner>,
    /// How many more may be looked at.
    descriptors: usize,
}

impl Page {
    /// Adds the sockets of a process, from a descriptor on. Gives where to go on, when the page is full.
    fn add(&mut self, dir: &ProcessDir, first: u32) -> nix::Result<Option<u32>> {
        let (mut inodes, mut more) = (Vec::new(), None);
        for number in dir.numbers("fd")?.into_iter().filter(|number| *number >= first) {
            if self.descriptors == 0 {
                more = Some(number);
                break;
            }
            self.descriptors -= 1;
            inodes.extend(dir.link(&format!("fd/{number}")).ok().and_then(|link| socket(&link)));
        }
        if !inodes.is_empty() {
            let comm = dir.read("comm", NAME)?;
            let name = String::from_utf8_lossy(comm.strip_suffix(b"\n").unwrap_or(&comm)).into_owned();
            self.owners.push(SocketOwner { pid: dir.id, name: Text::cut(name), inodes });
        }
        Ok(more)
    }

    fn ends_before(self, place: DescriptorPlace) -> SocketOwners {
        SocketOwners { owners: self.owners, more: Some(place) }
    }
}

/// The inode of a socket, if that is what a descriptor's link names (`proc_pid_fd(5)`).
fn socket(link: &[u8]) -> Option<u64> {
    let inode = link.strip_prefix(b"socket:[")?.strip_suffix(b"]")?;
    std::str::from_utf8(inode).ok()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_sockets_have_inodes() {
        assert_eq!(socket(b"socket:[4711]"), Some(4711));
        for other in ["pipe:[4711]", "/tmp/socket:[1]", "socket:[x]", "socket:[1", "anon_inode:[eventfd]"] {
            assert_eq!(socket(other.as_bytes()), None, "{other}");
        }
    }
}
