//! Directories and files that go or move while they are open.

use crate::attempts::{Attempt, DONE, compare, script};
use rex_tests::{Daemon, Settings};
use std::fs;

const MISSING: &str = "IoError: No such file or directory (os error 2)";

/// `gone` and what was in it are removed while `gone` and `gone/file` are open.
const GONE: &[Attempt<'_>] = &[
    (r#"rm([rm::recursive], "ROOT/gone")"#, DONE),
    (r#"gone.open_file("file", r)"#, MISSING),
    (r#"gone.open_file("new", OpenFileOptions().create(true).build())"#, MISSING),
    (r#"gone.create_symlink("x", "new", CreateSymlinkOptions().build())"#, MISSING),
    (r#"gone.create_symlink("x", "new", CreateSymlinkOptions().force(true).build())"#, MISSING),
    (r#"if gone.list_entries().len() != 0 { throw "there are entries" }"#, DONE),
    (r#"gone.delete(DeleteDirOptions().build())"#, "NotFound: No such file or directory found: ROOT/gone"),
    (r#"gone.delete(DeleteDirOptions().force(true).recursive(true).build())"#, DONE),
    // The open file is there as long as it is open; a name it has no more.
    (r#"if file.read() != "content" { throw "other content" }"#, DONE),
    (r#"file.write("x")"#, MISSING),
    (r#"file.write_in_place("in place")"#, DONE),
    (r#"if file.read() != "in place" { throw "other content" }"#, DONE),
    (r#"file.delete(DeleteFileOptions().build())"#, "NotFound: No such file or directory found: ROOT/gone/file"),
    (r#"file.delete(DeleteFileOptions().force(true).build())"#, DONE),
    (
        r#"file.move(d, "new", MoveOptions().build())"#,
        "FileError: File error: Error moving file file from 'ROOT/gone/file' to 'ROOT/new': ROOT/gone/file: \
      No such file or directory (os error 2)",
    ),
    (
        r#"other.move(gone, "new", MoveOptions().build())"#,
        "FileError: File error: Error moving file other from 'ROOT/other' to 'ROOT/gone/new': ROOT/other: \
      No such file or directory (os error 2)",
    ),
    (r#"other.read()"#, DONE),
];

const HANDS: &str = "
    let gone = DirConfig().path(\"ROOT/gone\").build().open(OpenDirOptions().build());
    let file = gone.open_file(\"file\", rw);
    let other = d.open_file(\"other\", rw);
";

#[test]
fn what_was_removed_while_it_was_open_is_told_of() {
    let daemon = Daemon::start(&Settings::default());
    let folder = tempfile::Builder::new().prefix("rex-test-").tempdir().expect("a temporary folder");
    let root = folder.path();
    fs::create_dir(root.join("gone")).expect("a folder");
    fs::write(root.join("gone/file"), "content").expect("a file");
    fs::write(root.join("other"), "content").expect("a file");
    compare(root, GONE, &daemon.run(&script(root, HANDS, GONE)));
    let left: Vec<_> =
        fs::read_dir(root).expect("a listing").map(|entry| entry.expect("an entry").file_name()).collect();
    assert_eq!(left, ["other"]);
    assert_eq!(fs::read(root.join("other")).expect("it is there"), b"content");
    assert_eq!(daemon.run("1").output(), "1");
}

/// `here` gets another name while it is open, and another directory takes its name.
const MOVED: &[Attempt<'_>] = &[
    (r#"d.move(here, d, "there", MoveOptions().build())"#, DONE),
    (r#"mkdir("ROOT/here")"#, DONE),
    (r#"write("ROOT/here/file", "another")"#, DONE),
    (r#"if here.open_file("file", r).read() != "content" { throw "another file" }"#, DONE),
    (r#"here.open_file("new", OpenFileOptions().create(true).build())"#, DONE),
    (r#"file.write("written")"#, DONE),
];

#[test]
fn a_directory_that_moves_while_it_is_open_stays_the_one_that_was_opened() {
    let daemon = Daemon::start(&Settings::default());
    let folder = tempfile::Builder::new().prefix("rex-test-").tempdir().expect("a temporary folder");
    let root = folder.path();
    fs::create_dir(root.join("here")).expect("a folder");
    fs::write(root.join("here/file"), "content").expect("a file");
    let hands = "
        let here = DirConfig().path(\"ROOT/here\").build().open(OpenDirOptions().build());
        let file = here.open_file(\"file\", rw);
    ";
    compare(root, MOVED, &daemon.run(&script(root, hands, MOVED)));
    let read = |name: &str| fs::read_to_string(root.join(name)).expect("it is there");
    assert_eq!([read("there/file"), read("there/new"), read("here/file")], ["written", "", "another"]);
    assert_eq!(fs::read_dir(root.join("here")).expect("a listing").count(), 1);
    assert_eq!(fs::read_dir(root.join("there")).expect("a listing").count(), 2);
}
