//! The functions that the benches' scripts call, under their names, by the standard library.

use crate::policy::Policy;
use rhai::{Array, Dynamic, Engine, EvalAltResult, FnPtr, FuncRegistration, Map, Module, NativeCallContext};
use std::collections::HashMap;
use std::fs::{self, File};
use std::io::{BufRead, BufReader, Read, Seek, SeekFrom};
use std::os::unix::fs::{DirEntryExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::rc::Rc;

type Answer<T> = Result<T, Box<EvalAltResult>>;

/// Options of all kinds: what the benches set of them is all there is.
#[derive(Debug, Clone, Default)]
struct Options {
    path: PathBuf,
}

/// An open directory.
#[derive(Debug, Clone)]
struct Dir {
    path: PathBuf,
}

/// An open file.
#[derive(Debug, Clone)]
struct OpenFile {
    file: Rc<File>,
    path: PathBuf,
}

/// Registers everything.
pub(crate) fn register(engine: &mut Engine, policy: &Rc<Policy>) {
    options(engine);
    objects(engine, policy);
    commands(engine, policy);
    walks(engine, policy);
    processes(engine, policy);
}

fn options(engine: &mut Engine) {
    for builder in ["DirConfig", "OpenDirOptions", "OpenFileOptions", "FindOptions"] {
        engine.register_fn(builder, Options::default);
    }
    engine.register_fn("path", |options: &mut Options, path: &str| {
        options.path = PathBuf::from(path);
        options.clone()
    });
    engine.register_fn("read", |options: &mut Options, _: bool| options.clone());
    engine.register_fn("build", |options: &mut Options| options.clone());
}

fn objects(engine: &mut Engine, policy: &Rc<Policy>) {
    let asks = Rc::clone(policy);
    engine.register_fn("open", move |config: &mut Options, _: Options| -> Answer<Dir> {
        asks.ask_path("open", "Dir", &config.path)?;
        let opened = fs::metadata(&config.path).map_err(text)?;
        if opened.is_dir() { Ok(Dir { path: config.path.clone() }) } else { Err("Not a directory".into()) }
    });
    let asks = Rc::clone(policy);
    engine.register_fn("open_file", move |dir: &mut Dir, name: &str, _: Options| -> Answer<OpenFile> {
        open(&asks, &dir.path.join(name))
    });
    let asks = Rc::clone(policy);
    engine.register_fn("read", move |open: &mut OpenFile| read(&asks, open));
    let asks = Rc::clone(policy);
    engine.register_fn("metadata", move |open: &mut OpenFile| -> Answer<Map> {
        asks.ask_path("stat", "File", &open.path)?;
        let metadata = open.file.metadata().map_err(text)?;
        let size = Dynamic::from_int(i64::try_from(metadata.len()).map_err(text)?);
        let mode = Dynamic::from_int(i64::from(metadata.mode()));
        Ok(Map::from([("size".into(), size), ("mode".into(), mode)]))
    });
}

fn open(policy: &Policy, path: &Path) -> Answer<OpenFile> {
    policy.ask_path("open", "File", path)?;
    let file = Rc::new(File::open(path).map_err(text)?);
    if !file.metadata().map_err(text)?.is_file() {
        return Err("argument is not a file".into());
    }
    Ok(OpenFile { file, path: path.to_owned() })
}

fn read(policy: &Policy, open: &OpenFile) -> Answer<String> {
    policy.ask_path("read", "File", &open.path)?;
    let (mut file, mut content) = (&*open.file, String::new());
    file.read_to_string(&mut content).map_err(text)?;
    file.seek(SeekFrom::Start(0)).map_err(text)?;
    Ok(content)
}

/// Opens a file as commands do: its directory, then itself.
fn open_by_path(policy: &Policy, path: &str) -> Answer<OpenFile> {
    let path = Path::new(path);
    policy.ask_path("open", "Dir", path.parent().unwrap_or(Path::new("/")))?;
    open(policy, path)
}

fn commands(engine: &mut Engine, policy: &Rc<Policy>) {
    let asks = Rc::clone(policy);
    engine.register_fn("cat", move |path: &str| read(&asks, &open_by_path(&asks, path)?));
    let asks = Rc::clone(policy);
    engine.register_fn("ls", move |path: &str| -> Answer<Map> {
        let path = Path::new(path);
        asks.ask_path("open", "Dir", path)?;
        asks.ask_path("read", "Dir", path)?;
        let names = fs::read_dir(path).map_err(text)?.map(|entry| {
            let entry = entry.map_err(text)?;
            let kind = entry.file_type().map_err(text)?;
            let inode = i64::try_from(entry.ino()).map_err(text)?;
            let value = Map::from([("is_dir".into(), kind.is_dir().into()), ("inode".into(), inode.into())]);
            Ok((entry.file_name().to_string_lossy().as_ref().into(), value.into()))
        });
        names
            .filter(|entry| !entry.as_ref().is_ok_and(|(name, _): &(rhai::Identifier, _)| name.starts_with('.')))
            .collect()
    });
    let asks = Rc::clone(policy);
    engine.register_fn("wc", move |path: &str| wc(&asks, path));
    let asks = Rc::clone(policy);
    engine.register_fn("grep", move |_: Array, pattern: &str, path: &str| -> Answer<Array> {
        let open = open_by_path(&asks, path)?;
        asks.ask_path("read", "File", &open.path)?;
        let expression = regex::Regex::new(pattern).map_err(text)?;
        let mut found = 0;
        each_line(&open, |line| {
            found += usize::from(expression.is_match(std::str::from_utf8(line).map_err(text)?));
            Ok(())
        })?;
        Ok(vec![found.to_string().into()])
    });
    let asks = Rc::clone(policy);
    engine.register_fn("tail", move |path: &str| -> Answer<Array> {
        let open = open_by_path(&asks, path)?;
        asks.ask_path("read", "File", &open.path)?;
        let mut last = std::collections::VecDeque::new();
        each_line(&open, |line| {
            last.push_back(line.to_vec());
            if last.len() > 10 {
                last.pop_front();
            }
            Ok(())
        })?;
        last.into_iter().map(|line| Ok(String::from_utf8(line).map_err(text)?.into())).collect()
    });
    let mut flags = Module::new();
    flags.set_var("count", "count");
    engine.register_static_module("grep", flags.into());
}

fn wc(policy: &Policy, path: &str) -> Answer<Map> {
    let open = open_by_path(policy, path)?;
    policy.ask_path("read", "File", &open.path)?;
    let (mut lines, mut words, mut bytes) = (0_i64, 0_i64, 0_i64);
    each_line(&open, |line| {
        lines += 1;
        bytes += i64::try_from(line.len() + 1).map_err(text)?;
        let found = line.split(u8::is_ascii_whitespace).filter(|word| !word.is_empty()).count();
        words += i64::try_from(found).map_err(text)?;
        Ok(())
    })?;
    Ok(Map::from([("lines".into(), lines.into()), ("words".into(), words.into()), ("bytes".into(), bytes.into())]))
}

fn each_line(open: &OpenFile, mut take: impl FnMut(&[u8]) -> Answer<()>) -> Answer<()> {
    let (mut reader, mut line) = (BufReader::with_capacity(256 * 1024, &*open.file), Vec::new());
    while reader.read_until(b'\n', &mut line).map_err(text)? > 0 {
        take(line.strip_suffix(b"\n").unwrap_or(&line))?;
        line.clear();
    }
    Ok(())
}

/// Walks: what is found is passed to a closure, with its path and whether it is a directory.
fn walks(engine: &mut Engine, policy: &Rc<Policy>) {
    let asks = Rc::clone(policy);
    let find = move |context: NativeCallContext<'_>, dir: &mut Dir, _: Options, callback: FnPtr| -> Answer<()> {
        let mut waiting = vec![dir.path.clone()];
        while let Some(path) = waiting.pop() {
            asks.ask_path("open", "Dir", &path)?;
            asks.ask_path("read", "Dir", &path)?;
            for entry in fs::read_dir(&path).map_err(text)? {
                let entry = entry.map_err(text)?;
                if entry.file_type().map_err(text)?.is_dir() {
                    waiting.push(entry.path());
                }
                let name = entry.file_name().to_string_lossy().into_owned();
                let found = Map::from([("name".into(), name.into())]);
                let _: Dynamic = callback.call_within_context(&context, (found,))?;
            }
        }
        Ok(())
    };
    FuncRegistration::new("find").register_into_engine(engine, find);
}

fn processes(engine: &mut Engine, policy: &Rc<Policy>) {
    let asks = Rc::clone(policy);
    engine.register_fn("ps", move || -> Answer<Array> {
        let (mut listed, mut names) = (Array::new(), HashMap::new());
        for entry in fs::read_dir("/proc").map_err(text)?.flatten() {
            let name = entry.file_name().to_string_lossy().into_owned();
            if name.parse::<u32>().is_ok()
                && let Some(process) = process(&asks, &name, &entry.path(), &mut names)
            {
                listed.push(process.into());
            }
        }
        Ok(listed)
    });
}

/// A process that may be listed; nothing if it may not, or has ended meanwhile.
fn process(policy: &Policy, pid: &str, place: &Path, names: &mut HashMap<u32, String>) -> Option<Map> {
    let owner = fs::metadata(place).ok()?.uid();
    let username = names.entry(owner).or_insert_with(|| name_of(owner)).clone();
    let command = fs::read(place.join("cmdline")).ok()?;
    let command = String::from_utf8_lossy(&command).replace('\0', " ").trim_end().to_owned();
    let stat = fs::read_to_string(place.join("stat")).ok()?;
    let memory = fs::read_to_string(place.join("statm")).ok()?;
    let (front, fields) = stat.rsplit_once(')')?;
    let (_, name) = front.split_once('(')?;
    policy.ask_process(pid, name, &username, &command).ok()?;
    let mut process = Map::from([
        ("pid".into(), pid.to_owned().into()),
        ("name".into(), name.to_owned().into()),
        ("username".into(), username.into()),
        ("command".into(), command.into()),
        ("memory".into(), memory.into()),
    ]);
    process.extend(
        ["state", "ppid"]
            .iter()
            .zip(fields.split_whitespace())
            .map(|(key, field)| (rhai::Identifier::from(*key), Dynamic::from(field.to_owned()))),
    );
    Some(process)
}

fn name_of(user: u32) -> String {
    let found = nix::unistd::User::from_uid(nix::unistd::Uid::from_raw(user));
    found.ok().flatten().map_or(user.to_string(), |user| user.name)
}

fn text(error: impl ToString) -> Box<EvalAltResult> {
    error.to_string().into()
}
