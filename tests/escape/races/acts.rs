//! What the clients do, each over and over: every operation that takes a name or a path, or acts on what one led to.

use super::client::{Client, absolute, confirm_text, name};
use super::stage::PUBLIC;
use rex_client::fs::{
    AddToFile, Allocate, BeginFile, CommitFile, CopyFile, CreateDir, DeleteDir, DeleteFile, EntryKind, Execute, Follow,
    LinkText, ListDir, MakeDir, MakeLink, MoveDir, MoveFile, Object, OpenDir, OpenLink, OpenSubdir, Placement,
    Properties, PutDir, Read, ReadAttribute, ReadLink, ReadOpenLink, ReadRedacted, SELINUX, SetMode, SetOwner, Stat,
    StatEntries, Touch, Truncate, Way, Write, WriteAttribute,
};
use rex_client::handle::{Dir, File};
use rex_client::{Chunk, Failure, FailureKind, Held, Text};

/// One kind of act, which goes well where nobody disturbs it.
type Act = fn(&Client<'_>) -> Result<(), Failure>;

pub(super) const ACTS: &[(&str, Act)] = &[
    ("read", read),
    ("read redacted", read_redacted),
    ("write atomically", |client| write(client, Placement::Atomic { preserve_ownership: true })),
    ("write in place", |client| write(client, Placement::InPlace)),
    ("append", |client| write(client, Placement::Append)),
    ("set a length", lengths),
    ("touch", touch),
    ("make a directory", make_dir),
    ("make directories", make_dirs),
    ("make and open a directory", create_dir),
    ("make a link", make_link),
    ("read links", read_links),
    ("copy", copy),
    ("move a file", move_file),
    ("move a directory", move_dir),
    ("delete a file", delete_file),
    ("delete a tree", delete_tree),
    ("list", list),
    ("look at entries", stat_entries),
    ("look at what is open", stat),
    ("set modes", set_modes),
    ("set owners", set_owners),
    ("set attributes", set_attributes),
    ("unpack", unpack),
    ("open what a path names", open_entries),
    ("open directories in one", open_subdirs),
    ("execute", execute),
];

fn read(client: &Client<'_>) -> Result<(), Failure> {
    let file = client.file(&client.dir()?, "file")?;
    client.call(&Read { file: file.handle(), offset: 0, length: 100 }).map(|content| confirm_text(&*content))
}

fn read_redacted(client: &Client<'_>) -> Result<(), Failure> {
    let file = client.file(&client.dir()?, "file")?;
    match client.call(&ReadRedacted { file: file.handle(), offset: 0 }) {
        Ok(lines) => confirm_text(&*lines.text),
        // Its dictionary is not among what is allowed here.
        Err(failure) => assert!(failure.is_denial(), "{failure}"),
    }
    Ok(())
}

fn chunk(content: &str) -> Chunk {
    Chunk::try_from(content.as_bytes().to_vec()).expect("a chunk")
}

fn write(client: &Client<'_>, placement: Placement) -> Result<(), Failure> {
    let file = client.new_file(&client.dir()?, "file")?;
    let request = Write { file: file.handle(), placement, content: chunk(PUBLIC), more: false };
    client.call(&request).map(|written| drop(written.file.map(|opened| client.hold(opened.file))))
}

fn lengths(client: &Client<'_>) -> Result<(), Failure> {
    let file = client.new_file(&client.dir()?, "file")?;
    client.call(&Allocate { file: file.handle(), length: 10 })?;
    client.call(&Truncate { file: file.handle(), size: 5 })
}

fn touch(client: &Client<'_>) -> Result<(), Failure> {
    let dir = client.dir()?;
    client.call(&Touch { dir: dir.handle(), name: name("file") })?;
    client.call(&Touch { dir: dir.handle(), name: name("touched") })
}

fn make_dir(client: &Client<'_>) -> Result<(), Failure> {
    client.call(&MakeDir { path: client.path("made"), parents: false })?;
    let made = client.dir_at(&client.level().join("made"), true)?;
    client.call(&DeleteDir { dir: made.handle(), recursive: false })
}

fn make_dirs(client: &Client<'_>) -> Result<(), Failure> {
    client.call(&MakeDir { path: client.path("tree/inner/x/y"), parents: true })
}

fn create_dir(client: &Client<'_>) -> Result<(), Failure> {
    let (path, create) = (client.path("tree/inner/x/z"), Some(CreateDir { recursive: true }));
    let opened = client.call(&OpenDir { path, follow: false, create })?;
    client.confirm_path(&opened.path);
    drop(client.hold(opened.dir));
    Ok(())
}

fn make_link(client: &Client<'_>) -> Result<(), Failure> {
    let target = LinkText::try_from(b"file".to_vec()).expect("what a link says");
    let dir = client.dir()?;
    client.call(&MakeLink { dir: dir.handle(), name: name("link"), target: target.clone(), replace: true })?;
    client.call(&MakeLink { dir: dir.handle(), name: name("file.other"), target, replace: true })
}

fn read_links(client: &Client<'_>) -> Result<(), Failure> {
    let dir = client.dir()?;
    let says = client.call(&ReadLink { dir: dir.handle(), name: name("file.other") })?;
    confirm_text(says.as_bytes());
    let opened = client.call(&OpenLink { dir: dir.handle(), name: name("file.other") })?;
    let link = client.hold(opened.link);
    client.call(&ReadOpenLink { link: link.handle() }).map(|says| confirm_text(says.as_bytes()))
}

fn copy(client: &Client<'_>) -> Result<(), Failure> {
    let dir = client.dir()?;
    let (from, to) = (client.file(&dir, "file")?, client.new_file(&dir, "copied")?);
    client.call(&CopyFile { from: from.handle(), to: to.handle(), force: true, preserve: true })
}

/// Where things are moved to: now and then on another file system.
fn destination(client: &Client<'_>) -> Result<Held<Dir>, Failure> {
    if client.is_nth(16) { client.dir_at(client.stage.far(), true) } else { client.dir() }
}

fn move_file(client: &Client<'_>) -> Result<(), Failure> {
    let file = client.file(&client.dir()?, "file")?;
    let to = destination(client)?;
    let moved = client.call(&MoveFile { file: file.handle(), to: to.handle(), name: name("moved") })?;
    client.confirm_path(&moved.path);
    drop(client.hold(moved.file));
    client.new_file(&client.dir()?, "file").map(drop)
}

fn move_dir(client: &Client<'_>) -> Result<(), Failure> {
    let dir = client.dir_at(&client.level().join("tree"), true)?;
    let (from, to) = (client.dir()?, destination(client)?);
    let request = MoveDir { dir: dir.handle(), from: from.handle(), to: to.handle(), name: name("moved-tree") };
    let moved = client.call(&request)?;
    client.confirm_path(&moved.path);
    let moved = client.hold(moved.dir);
    client.call(&DeleteDir { dir: moved.handle(), recursive: true })
}

fn delete_file(client: &Client<'_>) -> Result<(), Failure> {
    let dir = client.dir()?;
    let file = client.new_file(&dir, "file")?;
    client.call(&DeleteFile { file: file.handle() })?;
    client.new_file(&dir, "file").map(drop)
}

fn delete_tree(client: &Client<'_>) -> Result<(), Failure> {
    client.call(&MakeDir { path: client.path("tree/inner"), parents: true })?;
    let dir = client.dir_at(&client.level().join("tree"), !client.is_nth(2))?;
    client.call(&DeleteDir { dir: dir.handle(), recursive: true })?;
    client.call(&MakeDir { path: client.path("tree/inner"), parents: true })
}

fn list(client: &Client<'_>) -> Result<(), Failure> {
    let dir = client.dir_at(&client.level().join("tree"), true)?;
    for dir in [dir, client.dir()?] {
        let page = client.call(&ListDir { dir: dir.handle(), listing: None })?;
        for entry in page.entries {
            confirm_text(entry.name.as_bytes());
            client.stage.confirm_inode(None, entry.inode);
        }
        drop(page.more.map(|more| client.hold(more)));
    }
    Ok(())
}

fn stat_entries(client: &Client<'_>) -> Result<(), Failure> {
    let entries = [("file", EntryKind::File), ("tree", EntryKind::Dir), ("file.other", EntryKind::Symlink)];
    let entries = entries.into_iter().map(|(entry, kind)| (name(entry), kind)).collect();
    let dir = client.dir()?;
    for metadata in client.call(&StatEntries { dir: dir.handle(), entries })?.into_iter().flatten() {
        client.stage.confirm_inode(Some(metadata.device), metadata.inode);
    }
    Ok(())
}

/// The file and the directory of this round, by following links.
fn objects(client: &Client<'_>) -> Result<(Held<File>, Held<Dir>), Failure> {
    let dir = client.dir()?;
    Ok((client.file(&dir, "file")?, dir))
}

fn stat(client: &Client<'_>) -> Result<(), Failure> {
    let (file, dir) = objects(client)?;
    for object in [Object::File(file.handle()), Object::Dir(dir.handle())] {
        let metadata = client.call(&Stat { object })?;
        client.stage.confirm_inode(Some(metadata.device), metadata.inode);
    }
    Ok(())
}

fn set_modes(client: &Client<'_>) -> Result<(), Failure> {
    let (file, dir) = objects(client)?;
    client.call(&SetMode { object: Object::File(file.handle()), mode: 0o640 })?;
    client.call(&SetMode { object: Object::Dir(dir.handle()), mode: 0o750 })
}

fn set_owners(client: &Client<'_>) -> Result<(), Failure> {
    let (file, dir) = objects(client)?;
    let own = nix::unistd::User::from_uid(nix::unistd::geteuid()).ok().flatten();
    let user = own.map(|user| Text::cut(user.name));
    client.call(&SetOwner { object: Object::File(file.handle()), user: user.clone(), group: None })?;
    client.call(&SetOwner { object: Object::Dir(dir.handle()), user, group: None })
}

fn set_attributes(client: &Client<'_>) -> Result<(), Failure> {
    let file = client.new_file(&client.dir()?, "file")?;
    let value = match client.call(&ReadAttribute { file: file.handle(), name: Text::cut(SELINUX) }) {
        Ok(value) => value,
        // Most machines have none.
        Err(Failure { kind: FailureKind::Refused { errno: libc::ENODATA | libc::EOPNOTSUPP }, .. }) => return Ok(()),
        Err(failure) => return Err(failure),
    };
    client.call(&WriteAttribute { file: file.handle(), name: Text::cut(SELINUX), value })
}

fn unpack(client: &Client<'_>) -> Result<(), Failure> {
    let way = |steps: &[&str]| Way::try_from(steps.iter().map(|step| name(step)).collect::<Vec<_>>()).expect("a way");
    let properties = Properties { mode: Some(0o700), modified_seconds: Some(1), ..Properties::default() };
    let dir = client.dir()?;
    let begun = client.call(&BeginFile { dir: dir.handle(), way: way(&["tree", "inner", "file"]) })?;
    let draft = client.hold(begun);
    client.call(&AddToFile { draft: draft.handle(), content: chunk(PUBLIC) })?;
    client.call(&CommitFile { draft: draft.handle(), properties: properties.clone() })?;
    client.call(&PutDir { dir: dir.handle(), way: way(&["tree", "inner", "put"]), properties })
}

fn open_entries(client: &Client<'_>) -> Result<(), Failure> {
    ["", "file", "tree"].into_iter().try_for_each(|name| client.entry(&absolute(&client.level().join(name))))
}

fn open_subdirs(client: &Client<'_>) -> Result<(), Failure> {
    let dir = client.dir()?;
    for follow in [true, false] {
        let opened = client.call(&OpenSubdir { dir: dir.handle(), name: name("tree"), follow })?;
        client.confirm_path(&opened.path);
        drop(client.hold(opened.dir));
    }
    Ok(())
}

fn execute(client: &Client<'_>) -> Result<(), Failure> {
    // It takes a hundred times as long as the rest.
    if !client.is_nth(16) {
        return Ok(());
    }
    let file = client.file(&client.dir()?, "program")?;
    let program = client.call(&Execute {
        file: file.handle(),
        arguments: Vec::new(),
        environment: vec![(Text::cut("TOLD"), Text::cut(super::stage::SECRET))],
        capabilities: Vec::new(),
        user: None,
        group: None,
        namespace: None,
    })?;
    let program = client.hold(program);
    loop {
        let output = client.call(&Follow { program: program.handle() })?;
        confirm_text(&*output.stdout);
        if output.ended.is_some() {
            return Ok(());
        }
    }
}
