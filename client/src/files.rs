//! What one mostly wants of files and directories, put together from operations.

use crate::session::{CallError, Held, Session};
use rex_protocol::failure::FailureKind;
use rex_protocol::fs::{
    DirEntry, Entry, EntryKind, ListDir, Metadata, Object, OpenDir, OpenEntry, OpenFile, Placement, Read, Stat,
    StatEntries, Write,
};
use rex_protocol::handle::{Dir, File};
use rex_protocol::path::{AbsPath, Name};
use rex_protocol::text::{CHUNK, Chunk};
use rex_protocol::{Failure, Handle};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

/// Permission bits of new files, less the broker's umask.
const NEW_FILE: u32 = 0o666;

/// Paths are absolute and without `..`; another one is a [`FailureKind::InvalidPath`]. Links are followed, and judged by
/// what they lead to, but for the last name of what is written.
impl Session {
    /// The whole content of a file.
    ///
    /// Asks `open` on its directory, `open` and `read` on the file.
    ///
    /// ```no_run
    /// # use rex_client::Broker;
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let session = Broker::connect()?.session()?;
    /// match session.read_file("/etc/shadow") {
    ///     Ok(content) => println!("{} bytes", content.len()),
    ///     Err(error) if error.is_denial() => println!("not for us: {error}"),
    ///     Err(error) => return Err(error.into()),
    /// }
    /// # Ok(())
    /// # }
    /// ```
    pub fn read_file(&self, path: impl AsRef<Path>) -> Result<Vec<u8>, CallError> {
        let file = self.open_file(path)?;
        let mut content = Vec::new();
        loop {
            let request = Read { file: file.handle(), offset: content.len() as u64, length: CHUNK as u32 };
            // Files of kernel file systems may give less than asked for before their end.
            match self.call(&request)? {
                chunk if chunk.is_empty() => return Ok(content),
                chunk => content.extend_from_slice(&chunk),
            }
        }
    }

    /// Gives a file new content at once: whoever reads it sees the old or the new. It is made where it is missing (mode 0666 less
    /// the umask), and keeps mode, owner and group where it is not. A link of that name is refused, not followed.
    ///
    /// Asks `open` on its directory, `open`, `create` and `write` on the file.
    pub fn write_file(&self, path: impl AsRef<Path>, content: impl AsRef<[u8]>) -> Result<(), CallError> {
        let (dir, name) = self.open_parent(&absolute(path.as_ref())?)?;
        let request = OpenFile {
            dir: dir.handle(),
            name,
            read: false,
            write: true,
            create: Some(NEW_FILE),
            follow: false,
            write_next: true,
        };
        let file = self.hold(self.call(&request)?.file);
        let mut rest = content.as_ref();
        loop {
            let (part, after) = rest.split_at(rest.len().min(CHUNK));
            let more = !after.is_empty();
            let content =
                Chunk::try_from(part.to_vec()).map_err(|error| failed(FailureKind::InvalidArguments, error))?;
            let placement = Placement::Atomic { preserve_ownership: true };
            let written = self.call(&Write { file: file.handle(), placement, content, more })?;
            if !more {
                written.file.map(|opened| self.hold(opened.file));
                return Ok(());
            }
            rest = after;
        }
    }

    /// The entries of a directory, without `.` and `..`, in the order of the file system.
    ///
    /// Asks `open` and `read` on it.
    pub fn list_dir(&self, path: impl AsRef<Path>) -> Result<Vec<DirEntry>, CallError> {
        let dir = self.open_dir(path)?;
        let (mut entries, mut listing) = (Vec::new(), None);
        loop {
            let request = ListDir { dir: dir.handle(), listing: listing.as_ref().map(Held::handle) };
            let page = self.call(&request)?;
            entries.extend(page.entries);
            match page.more {
                None => return Ok(entries),
                // It goes on with the one that it has.
                Some(_) if listing.is_some() => {}
                Some(more) => listing = Some(self.hold(more)),
            }
        }
    }

    /// What a file, directory or anything else is like. A link is followed to a regular file or a directory.
    ///
    /// Asks `open` on the directory that holds it, `open` and `stat` on the object; on a device, socket or pipe `stat` alone.
    pub fn stat(&self, path: impl AsRef<Path>) -> Result<Metadata, CallError> {
        let path = absolute(path.as_ref())?;
        let (parent, entry) = match self.call(&OpenEntry { path })? {
            Entry::Dir(opened) => {
                let dir = self.hold(opened.dir);
                return self.call(&Stat { object: Object::Dir(dir.handle()) });
            }
            Entry::Other { parent, entry } => (self.hold(parent.dir), entry),
        };
        if entry.kind == EntryKind::Symlink {
            let file = self.open_in(parent.handle(), entry.name)?;
            return self.call(&Stat { object: Object::File(file.handle()) });
        }
        let told = self.call(&StatEntries { dir: parent.handle(), entries: vec![(entry.name, entry.kind)] })?;
        match told.into_iter().next() {
            Some(Ok(metadata)) => Ok(metadata),
            Some(Err(failure)) => Err(CallError::Failed(failure)),
            None => Err(failed(FailureKind::Gone, "the broker tells nothing of the entry")),
        }
    }

    /// Opens a directory. Asks `open` on it.
    pub fn open_dir(&self, path: impl AsRef<Path>) -> Result<Held<Dir>, CallError> {
        let request = OpenDir { path: absolute(path.as_ref())?, follow: true, create: None };
        Ok(self.hold(self.call(&request)?.dir))
    }

    /// Opens a file for reading. Asks `open` on its directory and on the file.
    pub fn open_file(&self, path: impl AsRef<Path>) -> Result<Held<File>, CallError> {
        let (dir, name) = self.open_parent(&absolute(path.as_ref())?)?;
        self.open_in(dir.handle(), name)
    }

    fn open_in(&self, dir: Handle<Dir>, name: Name) -> Result<Held<File>, CallError> {
        let request = OpenFile { dir, name, read: true, write: false, create: None, follow: true, write_next: false };
        Ok(self.hold(self.call(&request)?.file))
    }

    fn open_parent(&self, path: &AbsPath) -> Result<(Held<Dir>, Name), CallError> {
        let no_file = || failed(FailureKind::NotRegularFile, format!("`{path}` is no file"));
        let (parent, name) = path.split().ok_or_else(no_file)?;
        Ok((self.open_dir(parent.as_path())?, name))
    }
}

fn absolute(path: &Path) -> Result<AbsPath, CallError> {
    AbsPath::parse(path.as_os_str().as_bytes())
        .map_err(|error| failed(FailureKind::InvalidPath, format!("`{}`: {error}", path.display())))
}

fn failed(kind: FailureKind, message: impl std::fmt::Display) -> CallError {
    CallError::Failed(Failure::new(kind, message))
}
