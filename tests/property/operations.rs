//! Random operations, each with what its contract in `rex_protocol::fs` says of what is asked, and of what it may change.

use super::oracle::{Answer, Oracle, Question, dir, file};
use super::tree::{DIRS, NAMES, State, Tree, is_dir, is_link, resolve};
use rand::RngExt;
use rand::rngs::StdRng;
use rand::seq::IndexedRandom;
use rex_client::fs::{
    AddToFile, BeginFile, CommitFile, CopyFile, CreateDir, DeleteDir, DeleteFile, EntryKind, LinkText, ListDir,
    MakeDir, MakeLink, MoveDir, MoveFile, Object, OpenDir, OpenEntry, OpenFile, OpenLink, OpenSubdir, Placement,
    Properties, PutDir, Read, ReadAttribute, ReadLink, SetMode, SetOwner, Stat, StatEntries, Touch, Truncate, Way,
    Write,
};
use rex_client::handle::{Dir, File};
use rex_client::{AbsPath, CallError, Chunk, Held, Listed, Name, Session, Text};
use std::collections::{BTreeMap, BTreeSet};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

/// Asks the broker and Cedar, and compares.
pub(crate) struct Asker<'a> {
    session: &'a Session,
    oracle: Oracle,
    tree: Tree,
    /// What a failure tells besides.
    context: String,
    before: BTreeMap<PathBuf, State>,
    /// What allowed requests may have changed, and that with all below it.
    touched: BTreeSet<PathBuf>,
    touched_below: BTreeSet<PathBuf>,
    trace: Vec<String>,
    requests: u64,
    denied: u64,
}

/// A directory that the session holds open.
struct OpenedDir {
    held: Held<Dir>,
    path: PathBuf,
}

/// A file that the session holds open, by its real path and the name that it was opened by.
struct OpenedFile {
    held: Held<File>,
    path: PathBuf,
    link: PathBuf,
}

impl<'a> Asker<'a> {
    pub(crate) fn new(session: &'a Session, oracle: Oracle, tree: Tree, context: String) -> Self {
        let (before, touched, touched_below) = (BTreeMap::new(), BTreeSet::new(), BTreeSet::new());
        Self { session, oracle, tree, context, before, touched, touched_below, trace: vec![], requests: 0, denied: 0 }
    }

    /// Begins a sequence on a new tree.
    pub(crate) fn begin(&mut self) {
        self.tree.renew();
        self.before = self.tree.states();
        self.touched.clear();
        self.touched_below.clear();
        self.trace.clear();
    }

    /// The number of requests, and of those that were denied.
    pub(crate) fn told(&self) -> (u64, u64) {
        (self.requests, self.denied)
    }

    /// Confirms that the sequence changed only what it was allowed to.
    pub(crate) fn confirm_changes(&self) {
        let after = self.tree.states();
        for path in self.before.keys().chain(after.keys()) {
            let may_change =
                self.touched.contains(path) || path.ancestors().any(|above| self.touched_below.contains(above));
            let (before, after) = (self.before.get(path), after.get(path));
            assert!(may_change || before == after, "{path:?} was {before:?} and is {after:?}\n{}", self.story());
        }
    }

    /// Performs a request that asks all of `questions`. Gives nothing where it was not carried out.
    fn ask<O: Listed + std::fmt::Debug>(&mut self, operation: &O, questions: &[Question]) -> Option<O::Reply> {
        let expected = questions.iter().all(|question| self.oracle.allows(question));
        self.perform(operation, expected)
    }

    /// Performs a request that Cedar allows or denies.
    fn perform<O: Listed + std::fmt::Debug>(&mut self, operation: &O, allowed: bool) -> Option<O::Reply> {
        self.requests += 1;
        self.denied += u64::from(!allowed);
        let reply = self.session.call(operation);
        let told = reply.as_ref().map(drop).map_err(ToString::to_string);
        self.trace.push(format!("{operation:?}: {told:?}, {}", if allowed { "allowed" } else { "denied" }));
        let denied = reply.as_ref().is_err_and(CallError::is_denial);
        assert_eq!(denied, !allowed, "{}", self.story());
        assert!(!allowed || !matches!(reply, Err(CallError::Ended(_) | CallError::Lost(_))), "{}", self.story());
        reply.ok()
    }

    fn story(&self) -> String {
        format!("{}\n{}", self.trace.join("\n"), self.context)
    }

    /// Notes what a request may change; the questions were asked with it.
    fn may_change(&mut self, path: impl AsRef<Path>) {
        self.touched.insert(path.as_ref().to_owned());
    }

    fn may_change_below(&mut self, path: impl AsRef<Path>) {
        self.touched_below.insert(path.as_ref().to_owned());
    }

    fn open_dir(&mut self, path: &Path, follow: bool) -> Option<OpenedDir> {
        let real = if follow { resolve(path) } else { Some(path.to_owned()) };
        let questions: Vec<_> =
            [Some(path.to_owned()), real].into_iter().flatten().map(|path| dir("open", path)).collect();
        let opened = self.ask(&OpenDir { path: absolute(path), follow, create: None }, &questions)?;
        Some(OpenedDir { held: self.session.hold(opened.dir), path: opened.path.as_path().to_owned() })
    }

    fn open_file(&mut self, random: &mut StdRng, dir: &OpenedDir) -> Option<OpenedFile> {
        let name = one(random, NAMES);
        let (read, write, follow) = (random.random_bool(0.9), random.random_bool(0.7), random.random());
        let create = random.random_bool(0.5).then_some(0o644);
        let write_next = write && random.random();
        let link = dir.path.join(name);
        let mut paths = vec![link.clone()];
        if follow && is_link(&link) && (read || write) {
            paths.extend(resolve(&link));
        }
        let mut actions = vec!["open"];
        actions.extend(create.map(|_| "create"));
        actions.extend(write_next.then_some("write"));
        let questions: Vec<_> =
            paths.iter().flat_map(|path| actions.iter().map(move |action| file(action, path))).collect();
        let request =
            OpenFile { dir: dir.held.handle(), name: self::name(name), read, write, create, follow, write_next };
        let opened = self.ask(&request, &questions)?;
        if create.is_some() && opened.created {
            self.may_change(paths.last()?);
        }
        Some(OpenedFile { held: self.session.hold(opened.file), path: opened.path.as_path().to_owned(), link })
    }
}

/// Performs a random operation, with what must be opened for it.
pub(crate) fn random(asker: &mut Asker<'_>, random: &mut StdRng) {
    let path = match one(random, DIRS) {
        "" => asker.tree.root(),
        name => asker.tree.root().join(name),
    };
    match random.random_range(0..12) {
        0 => make_dir(asker, random, &path),
        1 => create_dir(asker, random, &path),
        2 => open_entry(asker, random, &path),
        choice => {
            let Some(opened) = asker.open_dir(&path, random.random_bool(0.7)) else { return };
            match choice {
                3..6 => in_dir(asker, random, &opened),
                6 => unpack(asker, random, &opened),
                7 => whole_dir(asker, random, &opened),
                _ => {
                    if let Some(file) = asker.open_file(random, &opened) {
                        with_file(asker, random, &opened, &file);
                    }
                }
            }
        }
    }
}

fn make_dir(asker: &mut Asker<'_>, random: &mut StdRng, parent: &Path) {
    let name = one(random, NAMES);
    let mut questions = vec![dir("open", parent)];
    let real = resolve(parent);
    questions.extend(real.iter().map(|real| dir("open", real)));
    let mut allowed = questions.iter().all(|question| asker.oracle.allows(question));
    let path = real.filter(|real| is_dir(real)).map(|real| real.join(name));
    if let Some(path) = &path {
        let there = |oracle: &mut Oracle| {
            let end = resolve(path).filter(|end| is_dir(end));
            end.is_some_and(|end| oracle.allows(&dir("open", path)) && oracle.allows(&dir("open", end)))
        };
        allowed = allowed && (asker.oracle.allows(&dir("create", path)) || there(&mut asker.oracle));
    }
    let may_create = path.as_ref().is_some_and(|path| asker.oracle.allows(&dir("create", path)));
    let made = asker.perform(&MakeDir { path: absolute(&parent.join(name)), parents: false }, allowed);
    if let (Some(()), Some(path)) = (made, path)
        && may_create
    {
        asker.may_change(path);
    }
}

fn create_dir(asker: &mut Asker<'_>, random: &mut StdRng, parent: &Path) {
    let path = parent.join(one(random, NAMES)).join("deeper");
    let recursive = random.random();
    let mut allowed = [dir("open", &path), dir("create", &path)].iter().all(|question| asker.oracle.allows(question));
    let missing: Vec<PathBuf> =
        path.ancestors().take_while(|path| path.symlink_metadata().is_err()).map(PathBuf::from).collect();
    let bottom = path.ancestors().find(|path| path.symlink_metadata().is_ok());
    // Missing parents go with it where no `forbid` names them.
    let may_make =
        recursive && bottom.is_some_and(|bottom| is_dir(bottom) && resolve(bottom).as_deref() == Some(bottom));
    if may_make {
        allowed = allowed && missing.iter().all(|path| asker.oracle.answer(&dir("create", path)) != Answer::Forbidden);
    }
    let request = OpenDir { path: absolute(&path), follow: false, create: Some(CreateDir { recursive }) };
    if let Some(opened) = asker.perform(&request, allowed) {
        drop(asker.session.hold(opened.dir));
        missing.into_iter().for_each(|path| asker.may_change(path));
    }
}

fn open_entry(asker: &mut Asker<'_>, random: &mut StdRng, parent: &Path) {
    let path = parent.join(one(random, NAMES));
    let either = asker.oracle.allows(&dir("open", &path))
        || (asker.oracle.allows(&dir("open", parent)) && asker.oracle.allows(&file("open", &path)));
    let mut questions = Vec::new();
    let real = resolve(parent).map(|real| real.join(path.file_name().unwrap_or_default()));
    match real.as_ref().and_then(|real| Some((real, real.symlink_metadata().ok()?))) {
        Some((real, metadata)) if metadata.is_dir() => questions.extend([dir("open", &path), dir("open", real)]),
        Some((real, _)) => {
            let above = real.parent().unwrap_or(real);
            questions.extend([dir("open", parent), dir("open", above), file("open", real)]);
        }
        None => {}
    }
    // Where nothing is there, that is told to whom policy lets look at what the name leads to, as the one or as the other.
    let nothing = real.as_ref().filter(|real| **real != path && real.symlink_metadata().is_err());
    let may_know = nothing.is_none_or(|real| {
        let above = real.parent().unwrap_or(real);
        let oracle = &mut asker.oracle;
        oracle.allows(&dir("open", real)) || (oracle.allows(&dir("open", above)) && oracle.allows(&file("open", real)))
    });
    let allowed = either && may_know && questions.iter().all(|question| asker.oracle.allows(question));
    match asker.perform(&OpenEntry { path: absolute(&path) }, allowed) {
        Some(rex_client::fs::Entry::Dir(opened)) => drop(asker.session.hold(opened.dir)),
        Some(rex_client::fs::Entry::Other { parent, .. }) => drop(asker.session.hold(parent.dir)),
        None => {}
    }
}

/// What acts on a name in an open directory.
fn in_dir(asker: &mut Asker<'_>, random: &mut StdRng, opened: &OpenedDir) {
    let text = one(random, NAMES);
    let (path, name, handle) = (opened.path.join(text), name(text), opened.held.handle());
    match random.random_range(0..6) {
        0 => {
            if asker.ask(&Touch { dir: handle, name }, &[file("open", &path), file("create", &path)]).is_some() {
                asker.may_change(path);
            }
        }
        1 => {
            let replace: bool = random.random();
            let target = LinkText::try_from(b"x".to_vec()).expect("what a link says");
            let mut questions = vec![file("create", &path)];
            questions.extend(replace.then(|| file("delete", &path)));
            if asker.ask(&MakeLink { dir: handle, name, target, replace }, &questions).is_some() {
                asker.may_change(path);
            }
        }
        2 => drop(asker.ask(&ReadLink { dir: handle, name }, &[file("read", path)])),
        3 => {
            let link = asker.ask(&OpenLink { dir: handle, name }, &[file("open", path)]);
            drop(link.map(|opened| asker.session.hold(opened.link)));
        }
        4 => {
            let follow = random.random();
            let end = resolve(&path).filter(|_| follow);
            let questions: Vec<_> = [Some(path), end].into_iter().flatten().map(|path| dir("open", path)).collect();
            let below = asker.ask(&OpenSubdir { dir: handle, name, follow }, &questions);
            drop(below.map(|opened| asker.session.hold(opened.dir)));
        }
        _ => {
            let (kind, ask): (_, fn(&'static str, PathBuf) -> Question) =
                if is_dir(&path) { (EntryKind::Dir, dir) } else { (EntryKind::File, file) };
            let questions = ["open", "stat"].map(|action| ask(action, path.clone()));
            drop(asker.ask(&StatEntries { dir: handle, entries: vec![(name, kind)] }, &questions));
        }
    }
}

/// What acts on an open directory itself.
fn whole_dir(asker: &mut Asker<'_>, random: &mut StdRng, opened: &OpenedDir) {
    let (handle, path) = (opened.held.handle(), &opened.path);
    match random.random_range(0..6) {
        0 => {
            let page = asker.ask(&ListDir { dir: handle, listing: None }, &[dir("read", path)]);
            drop(page.and_then(|page| page.more).map(|more| asker.session.hold(more)));
        }
        1 => drop(asker.ask(&Stat { object: Object::Dir(handle) }, &[dir("stat", path)])),
        2 => {
            let set = asker.ask(&SetMode { object: Object::Dir(handle), mode: 0o711 }, &[dir("chmod", path)]);
            if set.is_some() {
                asker.may_change(path);
            }
        }
        3 | 4 if *path != asker.tree.root() => move_dir(asker, random, opened),
        _ if *path != asker.tree.root() => {
            let recursive = random.random();
            let mut allowed = asker.oracle.allows(&dir("delete", path));
            if recursive {
                // Below it only what a `forbid` names is protected.
                let below: Vec<_> =
                    asker.tree.states().into_keys().filter(|below| below != path && below.starts_with(path)).collect();
                let ask = |path: &PathBuf| if is_dir(path) { dir("delete", path) } else { file("delete", path) };
                allowed = allowed && below.iter().all(|path| asker.oracle.answer(&ask(path)) != Answer::Forbidden);
            }
            if asker.perform(&DeleteDir { dir: handle, recursive }, allowed).is_some() {
                asker.may_change_below(path);
            }
        }
        _ => {}
    }
}

fn move_dir(asker: &mut Asker<'_>, random: &mut StdRng, opened: &OpenedDir) {
    let parent = opened.path.parent().map(Path::to_owned).unwrap_or_default();
    let Some(from) = asker.open_dir(&parent, false) else { return };
    let Some(to) = asker.open_dir(&asker.tree.root().join(one(random, &["a", "d", "a/b"])), true) else { return };
    let text = one(random, NAMES);
    let (source, destination) = (&opened.path, to.path.join(text));
    let moving = Question { destination: Some(destination.clone()), ..dir("move", source) };
    let mut questions = vec![moving, dir("create", &destination), dir("open", &destination)];
    let inside = destination.join(source.file_name().unwrap_or_default());
    let has_content = is_dir(&destination) && destination.read_dir().is_ok_and(|mut entries| entries.next().is_some());
    // Onto itself nothing moves.
    let is_for_inside = has_content && destination != *source;
    if is_for_inside {
        questions.push(dir("open", &inside));
    }
    let target = if is_for_inside { inside } else { destination };
    let request =
        MoveDir { dir: opened.held.handle(), from: from.held.handle(), to: to.held.handle(), name: name(text) };
    let allowed = questions.iter().all(|question| asker.oracle.allows(question));
    // What it asks when it comes to light is asked after that.
    let below = asker.tree.states().into_keys().filter(|below| below != source && below.starts_with(source));
    let below: Vec<_> = below.collect();
    let allowed = allowed && !asker.oracle.keeps(source, &target, &below);
    if let Some(moved) = asker.perform(&request, allowed) {
        drop(asker.session.hold(moved.dir));
        asker.may_change_below(source);
        asker.may_change_below(target);
    }
}

fn unpack(asker: &mut Asker<'_>, random: &mut StdRng, opened: &OpenedDir) {
    let steps: Vec<_> = (0..random.random_range(1..4)).map(|_| one(random, NAMES)).collect();
    let way = Way::try_from(steps.iter().map(|step| name(step)).collect::<Vec<_>>()).expect("a way");
    let mut paths: Vec<PathBuf> = Vec::new();
    for step in steps {
        paths.push(paths.last().unwrap_or(&opened.path).join(step));
    }
    let Some(path) = paths.last().cloned() else { return };
    let properties = Properties { mode: Some(0o751), ..Properties::default() };
    let handle = opened.held.handle();
    if random.random() {
        let questions: Vec<_> =
            paths.iter().flat_map(|path| ["create", "open"].map(|action| dir(action, path))).collect();
        let allowed = questions.iter().all(|question| asker.oracle.allows(question));
        let was_there = is_dir(&path);
        let may_set = asker.oracle.allows(&dir("chmod", &path));
        asker.perform(&PutDir { dir: handle, way, properties }, allowed);
        if allowed {
            // One that was there only gets what `chmod` allows.
            let made = if was_there && !may_set { paths.len() - 1 } else { paths.len() };
            paths.into_iter().take(made).for_each(|path| asker.may_change(path));
        }
        return;
    }
    let parents = &paths[..paths.len() - 1];
    let mut questions = vec![file("create", &path), file("write", &path)];
    questions.extend(parents.iter().map(|path| dir("create", path)));
    let allowed = questions.iter().all(|question| asker.oracle.allows(question));
    let begun = asker.perform(&BeginFile { dir: handle, way }, allowed);
    if allowed {
        parents.iter().for_each(|path| asker.may_change(path.clone()));
    }
    let Some(draft) = begun.map(|draft| asker.session.hold(draft)) else { return };
    let content = Chunk::try_from(b"unpacked".to_vec()).expect("a chunk");
    asker.ask(&AddToFile { draft: draft.handle(), content }, &[file("write", &path)]);
    let questions = [file("create", &path), file("write", &path)];
    if asker.ask(&CommitFile { draft: draft.handle(), properties }, &questions).is_some() {
        asker.may_change(path);
    }
}

fn with_file(asker: &mut Asker<'_>, random: &mut StdRng, opened: &OpenedDir, opened_file: &OpenedFile) {
    let OpenedFile { held, path, link } = opened_file;
    let handle = held.handle();
    match random.random_range(0..10) {
        0 | 1 => drop(asker.ask(&Read { file: handle, offset: 0, length: 10 }, &[file("read", path)])),
        2 => {
            let content = Chunk::try_from(b"written".to_vec()).expect("a chunk");
            let placements = [Placement::Atomic { preserve_ownership: true }, Placement::InPlace, Placement::Append];
            let placement = *placements.choose(random).unwrap_or(&Placement::InPlace);
            let request = Write { file: handle, placement, content, more: false };
            if let Some(written) = asker.ask(&request, &[file("write", path)]) {
                drop(written.file.map(|opened| asker.session.hold(opened.file)));
                asker.may_change(path);
            }
        }
        3 => {
            if asker.ask(&Truncate { file: handle, size: 3 }, &[file("write", path)]).is_some() {
                asker.may_change(path);
            }
        }
        4 => drop(asker.ask(&Stat { object: Object::File(handle) }, &[file("stat", path)])),
        5 => {
            if asker.ask(&SetMode { object: Object::File(handle), mode: 0o640 }, &[file("chmod", path)]).is_some() {
                asker.may_change(path);
            }
        }
        6 => {
            let request = SetOwner { object: Object::File(handle), user: None, group: Some(Text::cut("root")) };
            if asker.ask(&request, &[file("chown", path)]).is_some() {
                asker.may_change(path);
            }
        }
        7 => {
            let question = Question { attribute: Some("user.x"), ..file("set_x_attr", path) };
            drop(asker.ask(&ReadAttribute { file: handle, name: Text::cut("user.x") }, &[question]));
        }
        8 => {
            if asker.ask(&DeleteFile { file: handle }, &[file("delete", link)]).is_some() {
                asker.may_change(link);
            }
        }
        _ if random.random() => move_file(asker, random, opened_file),
        _ => {
            let Some(to) = asker.open_file(random, opened) else { return };
            let request =
                CopyFile { from: handle, to: to.held.handle(), force: random.random(), preserve: random.random() };
            if asker.ask(&request, &[file("read", path), file("write", &to.path)]).is_some() {
                asker.may_change(to.path);
            }
        }
    }
}

fn move_file(asker: &mut Asker<'_>, random: &mut StdRng, from: &OpenedFile) {
    let Some(to) = asker.open_dir(&asker.tree.root().join(one(random, &["a", "d", "a/b", "to-a"])), true) else {
        return;
    };
    let text = one(random, NAMES);
    let destination = to.path.join(text);
    let moving = Question { destination: Some(destination.clone()), ..file("move", &from.link) };
    let questions = [moving, file("create", &destination), file("open", &destination)];
    let request = MoveFile { file: from.held.handle(), to: to.held.handle(), name: name(text) };
    if let Some(moved) = asker.ask(&request, &questions) {
        drop(asker.session.hold(moved.file));
        asker.may_change(&from.link);
        asker.may_change(destination);
    }
}

fn one(random: &mut StdRng, from: &[&'static str]) -> &'static str {
    from.choose(random).copied().unwrap_or_default()
}

fn absolute(path: &Path) -> AbsPath {
    AbsPath::parse(path.as_os_str().as_bytes()).expect("an absolute path")
}

fn name(text: &str) -> Name {
    Name::parse(text).expect("a name")
}
