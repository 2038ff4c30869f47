//! Objects of the wrong kind, names that lead nowhere, and names that are too long. Nothing waits for the other end of a pipe.

use crate::attempts::{Attempt, change_nothing};
use nix::sys::stat::Mode;
use rex_tests::{Daemon, Settings};
use std::fs;
use std::os::unix::fs::symlink;
use std::os::unix::net::UnixListener;
use std::path::Path;

/// A name and what is told of it where a file is to be read, and where one is to be written.
const FILES: &[(&str, &str, &str)] = &[
    ("none", MISSING, ""),
    ("none/x", MISSING, MISSING),
    ("file/x", NO_DIRECTORY, NO_DIRECTORY),
    ("dir", NO_FILE, "IoError: Is a directory (os error 21)"),
    ("pipe", NO_FILE, NO_FILE),
    ("socket", NO_FILE, NO_FILE),
    ("link", LINK, LINK),
    ("dangling", LINK, LINK),
    ("loop", LINK, LINK),
    ("loop/x", LOOP, LOOP),
    ("LONG", TOO_LONG, TOO_LONG),
    ("LONG/x", TOO_LONG, TOO_LONG),
];

const MISSING: &str = "IoError: No such file or directory (os error 2)";
const NO_DIRECTORY: &str = "IoError: Not a directory (os error 20)";
const NO_FILE: &str = "ValidationError: Validation error: argument is not a file";
const LINK: &str = "FileError: File error: file is a symbolic link but follow_symlinks is not enabled: PATH";
const LOOP: &str = "IoError: Too many levels of symbolic links (os error 40)";
const TOO_LONG: &str = "IoError: File name too long (os error 36)";

/// Commands that read the file PATH.
const READERS: &[&str] = &[
    r#"cat("PATH")"#,
    r#"grep("x", "PATH")"#,
    r#"tail("PATH")"#,
    r#"wc("PATH")"#,
    r#"sed("a", "b", "PATH")"#,
    r#"awk_field(1, " ", "PATH")"#,
];

/// And those that change or make it.
const WRITERS: &[&str] = &[r#"write("PATH", "x")"#, r#"write([write::replace], "PATH", "x")"#];

/// What else there is to do, one at a time.
const OTHERS: &[Attempt<'_>] = &[
    // Not as a directory.
    (r#"ls("ROOT/none")"#, MISSING),
    (r#"ls("ROOT/file")"#, "InvalidArguments: Invalid arguments: ls: ROOT/file: Not a directory or symlink"),
    (r#"ls("ROOT/pipe")"#, "InvalidArguments: Invalid arguments: ls: ROOT/pipe: Not a directory or symlink"),
    (r#"find_files("*", "ROOT/none")"#, MISSING),
    (r#"find_files("*", "ROOT/file")"#, NO_DIRECTORY),
    (r#"du("ROOT/none")"#, "No such file or directory (os error 2)"),
    (r#"du("ROOT/file")"#, "Not a directory (os error 20)"),
    (r#"mkdir("ROOT/file")"#, "IoError: File exists (os error 17)"),
    (r#"mkdir("ROOT/dangling")"#, "IoError: File exists (os error 17)"),
    (r#"mkdir("ROOT/none/x")"#, MISSING),
    (r#"mkdir("ROOT/file/x")"#, NO_DIRECTORY),
    (r#"mkdir([mkdir::p], "ROOT/file/x")"#, NO_DIRECTORY),
    (r#"mkdir("ROOT/LONG")"#, TOO_LONG),
    (r#"mkdir([mkdir::p], "ROOT/x/LONG")"#, TOO_LONG),
    (r#"rm("ROOT/none")"#, MISSING),
    (r#"rm("ROOT/dir")"#, NOT_EMPTY),
    (r#"rm([rm::force], "ROOT/dir")"#, NOT_EMPTY),
    (r#"rm("ROOT/file/x")"#, NO_DIRECTORY),
    (r#"touch("ROOT/dir")"#, "IoError: Is a directory (os error 21)"),
    (r#"touch("ROOT/pipe")"#, NO_FILE),
    (r#"touch("ROOT/none/x")"#, MISSING),
    (r#"touch("ROOT/LONG")"#, TOO_LONG),
    (r#"cp("ROOT/none", "ROOT/new")"#, MISSING),
    (r#"cp("ROOT/dir", "ROOT/new")"#, NO_FILE),
    (r#"cp("ROOT/pipe", "ROOT/new")"#, NO_FILE),
    (r#"cp("ROOT/file", "ROOT/dir")"#, "IoError: Is a directory (os error 21)"),
    (r#"cp("ROOT/file", "ROOT/pipe")"#, NO_FILE),
    (
        r#"cp("ROOT/file", "ROOT/dir/inner")"#,
        "DestinationFileNotEmptyError: Destination file not empty: File: ROOT/dir/inner, Size: 7 bytes",
    ),
    (r#"mv("ROOT/none", "ROOT/new")"#, MISSING),
    (r#"mv("ROOT/dir", "ROOT/new")"#, "IoError: Is a directory (os error 21)"),
    (r#"mv("ROOT/pipe", "ROOT/new")"#, NO_FILE),
    (
        r#"mv("ROOT/file", "ROOT/dir")"#,
        "FileError: File error: Error moving file file from 'ROOT/file' to 'ROOT/dir': ROOT/file: \
      Is a directory (os error 21)",
    ),
    (r#"mv("ROOT/file", "ROOT/LONG")"#, TOO_LONG),
    // Devices.
    (r#"cat("/dev/null")"#, NO_FILE),
    (r#"write("/dev/null", "x")"#, NO_FILE),
    (r#"cp("ROOT/file", "/dev/null")"#, NO_FILE),
    // Handles.
    (r#"DirConfig().path("ROOT/none").build().open(OpenDirOptions().build())"#, MISSING),
    (r#"DirConfig().path("ROOT/file").build().open(OpenDirOptions().build())"#, NO_DIRECTORY_TO_OPEN),
    (
        r#"DirConfig().path("ROOT/pipe").build().open(OpenDirOptions().build())"#,
        "DirectoryOpenError: Directory error: Not a directory, enable follow_symlinks to open the target directory: ROOT/pipe",
    ),
    (r#"DirConfig().path("ROOT/loop").build().open(OpenDirOptions().follow_symlinks(true).build())"#, LOOP),
    (r#"DirConfig().path("ROOT/dangling").build().open(OpenDirOptions().follow_symlinks(true).build())"#, MISSING),
    (r#"DirConfig().path("ROOT/LONG").build().open(OpenDirOptions().build())"#, TOO_LONG),
    (
        r#"DirConfig().path("ROOT/dir").build().open(OpenDirOptions().create(true).build())"#,
        "DirectoryOpenError: Directory error: failed to create directory: ROOT/dir: File exists (os error 17)",
    ),
    (
        r#"DirConfig().path("ROOT/none/x").build().open(OpenDirOptions().create(true).build())"#,
        "DirectoryOpenError: Directory error: failed to open parent: ROOT/none: No such file or directory (os error 2)",
    ),
    (
        r#"DirConfig().path("ROOT/file/x").build().open(OpenDirOptions().create(true).build())"#,
        "DirectoryOpenError: Directory error: failed to open parent: ROOT/file: Not a directory (os error 20)",
    ),
    (r#"d.open_file("none", r)"#, MISSING),
    (r#"d.open_file("dir", r)"#, NO_FILE),
    (r#"d.open_file("dir", w)"#, "IoError: Is a directory (os error 21)"),
    (r#"d.open_file("pipe", rw)"#, NO_FILE),
    (r#"d.open_file("socket", r)"#, NO_FILE),
    (r#"d.open_file("LONG", OpenFileOptions().create(true).build())"#, TOO_LONG),
    (r#"d.open_file("dir/inner", r)"#, "InvalidPath: Invalid path: file path must contain only a filename"),
    (
        r#"d.open_file("dangling", OpenFileOptions().read(true).follow_symlinks(true).build())"#,
        "RustixError: No such file or directory (os error 2)",
    ),
    (
        r#"d.open_file("loop", OpenFileOptions().read(true).follow_symlinks(true).build())"#,
        "RustixError: Too many levels of symbolic links (os error 40)",
    ),
    (
        r#"d.open_file("file", OpenFileOptions().build())"#,
        "InvalidArguments: Invalid arguments: Invalid open file options: at least one of read, write or create flags must \
      be true",
    ),
    (r#"d.open_symlink("file")"#, "ValidationError: Validation error: argument is not a symlink"),
    (r#"d.open_symlink("none")"#, MISSING),
    (r#"d.read_link_target("file")"#, "IoError: Invalid argument (os error 22)"),
    (r#"d.read_link_target("none")"#, MISSING),
    (r#"d.create_symlink("x", "file", CreateSymlinkOptions().build())"#, "IoError: File exists (os error 17)"),
    (
        r#"d.create_symlink("x", "dir", CreateSymlinkOptions().force(true).build())"#,
        "IoError: Is a directory (os error 21)",
    ),
    (r#"d.create_symlink("", "new", CreateSymlinkOptions().build())"#, MISSING),
    (r#"d.create_symlink("x", "LONG", CreateSymlinkOptions().build())"#, TOO_LONG),
    (
        r#"d.open_file("file", w).read()"#,
        "InvalidFileMode: Invalid file mode: Attempted to read a file without opening it with the read option.: ROOT/file",
    ),
    (
        r#"d.open_file("file", r).write("x")"#,
        "InvalidFileMode: Invalid file mode: Attempted to write a file without opening it with the write option.: ROOT/file",
    ),
    (
        r#"d.open_file("file", r).write_in_place("x")"#,
        "InvalidFileMode: Invalid file mode: Attempted to write a file without opening it with the write option.: ROOT/file",
    ),
    (r#"d.open_file("file", r).truncate(TruncateOptions().build())"#, "RustixError: Invalid argument (os error 22)"),
    (
        r#"d.open_file("file", w).truncate(TruncateOptions().size(-1).build())"#,
        "InvalidArguments: Invalid arguments: Size must be greater than or equal to 0",
    ),
    (
        r#"d.open_file("file", r).chmod(0o1777)"#,
        "ValidationError: Validation error: Invalid permissions. Permissions must be in the range 0-777 octal: 0o1777",
    ),
    (r#"d.open_file("file", r).chmod(-1)"#, "TryFromIntError: out of range integral type conversion attempted"),
    (
        r#"d.open_file("file", r).set_ownership(SetOwnershipOptions().user("no-such-user").build())"#,
        "IdentityResolutionError: Identity resolution error: No user mapping found for uid: no-such-user",
    ),
    (
        r#"d.open_file("file", r).set_ownership(SetOwnershipOptions().group("no-such-group").build())"#,
        "IdentityResolutionError: Identity resolution error: No group mapping found for gid: no-such-group",
    ),
    (
        r#"d.open_file("file", r).set_extended_attr(SetXAttrOptions().name("user.x").build())"#,
        "UnsupportedOperationError: Unsupported Operation error: Extended attribute for 'user.x' is not supported. \
      Only 'security.selinux' is supported.",
    ),
    (
        r#"d.open_file("file", r).read_lines(ReadLinesOptions().build())"#,
        "InvalidArguments: Invalid arguments: No read line mode specified",
    ),
    (
        r#"d.open_file("file", r).read_gzip_lines(ReadLinesOptions().count(1).build())"#,
        "IoError: unexpected end of file",
    ),
    (
        r#"d.open_file("file", r).search("(")"#,
        "ValidationError: Validation error: Invalid regex pattern: '(' - regex parse error:     (     ^ error: unclosed \
         group",
    ),
    (r#"d.open_file("binary", r).read()"#, "IoError: stream did not contain valid UTF-8"),
    (
        r#"d.open_file("file", r).extract_archive(d, ExtractArchiveOptions().build())"#,
        "IoError: unexpected end of file",
    ),
    (
        r#"d.open_file("file", r).move(d, "dir", MoveOptions().build())"#,
        "FileError: File error: Error moving file file from 'ROOT/file' to 'ROOT/dir': ROOT/file: \
      Is a directory (os error 21)",
    ),
    (
        r#"d.move(dir, d, "file", MoveOptions().build())"#,
        "DirectoryError: Directory error: Error moving dir dir from 'ROOT/dir' to 'ROOT/file': ROOT/dir: \
      Not a directory (os error 20)",
    ),
    (
        r#"DirConfig().path("ROOT/dir").build().open(OpenDirOptions().build()).delete(DeleteDirOptions().build())"#,
        NOT_EMPTY,
    ),
    // No paths at all.
    (r#"cat("relative")"#, "Other: Path is not absolute "),
    (r#"cat("ROOT/../x")"#, "Other: Path traversal detected ROOT/.."),
    (r#"cat("ROOT/a?b")"#, "Other: Path contains invalid characters ROOT/a?b"),
    (r#"cat("/")"#, "InvalidArguments: Invalid arguments: Invalid file path: /"),
];

const NO_DIRECTORY_TO_OPEN: &str = "DirectoryOpenError: Directory error: Not a directory, enable follow_symlinks to open the target directory: ROOT/file";
const NOT_EMPTY: &str = "DirectoryNotEmpty: Directory not empty: A path led to a non-empty directory location. To include \
                         contents of this directory, use the recursive flag: ROOT/dir";

fn prepare(root: &Path) -> UnixListener {
    fs::write(root.join("file"), "content").expect("a file");
    fs::write(root.join("binary"), [0xff, 0xfe, b'\n']).expect("a file");
    fs::create_dir(root.join("dir")).expect("a folder");
    fs::write(root.join("dir/inner"), "content").expect("a file");
    nix::unistd::mkfifo(&root.join("pipe"), Mode::S_IRWXU).expect("a pipe");
    for (name, target) in [("link", "file"), ("dangling", "nowhere"), ("loop", "pool"), ("pool", "loop")] {
        symlink(target, root.join(name)).expect("a link");
    }
    UnixListener::bind(root.join("socket")).expect("a socket")
}

#[test]
fn what_is_no_file_is_told_of_and_left_alone() {
    let daemon = Daemon::start(&Settings::default());
    let folder = tempfile::Builder::new().prefix("rex-test-").tempdir().expect("a temporary folder");
    let _socket = prepare(folder.path());
    let mut attempts = Vec::new();
    for (name, read, written) in FILES {
        let path = format!("ROOT/{name}");
        let mut add = |commands: &[&str], told: &str| {
            let filled = |text: &str| text.replace("PATH", &path);
            attempts.extend(commands.iter().map(|command| (filled(command), filled(told))));
        };
        add(READERS, read);
        if !written.is_empty() {
            add(WRITERS, written);
        }
    }
    attempts.extend(OTHERS.iter().map(|(attempt, told)| ((*attempt).to_owned(), (*told).to_owned())));
    let long = "l".repeat(256);
    for (attempt, told) in &mut attempts {
        (*attempt, *told) = (attempt.replace("LONG", &long), told.replace("LONG", &long));
    }
    let attempts: Vec<Attempt<'_>> = attempts.iter().map(|(attempt, told)| (&**attempt, &**told)).collect();
    let hands = "let dir = DirConfig().path(\"ROOT/dir\").build().open(OpenDirOptions().build());";
    change_nothing(&daemon, folder.path(), hands, &attempts);
}
