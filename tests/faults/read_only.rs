//! File systems that cannot be written.

use crate::attempts::{Attempt, DONE, change_nothing};
use rex_tests::{Daemon, Disk, Settings, with_private_mounts};
use std::fs;

const READ_ONLY: &str = "IoError: Read-only file system (os error 30)";

const ATTEMPTS: &[Attempt<'_>] = &[
    (r#"write("ROOT/disk/victim", "x")"#, READ_ONLY),
    (r#"write([write::replace], "ROOT/disk/victim", "x")"#, READ_ONLY),
    (r#"write("ROOT/disk/new", "x")"#, READ_ONLY),
    (r#"disk.open_file("victim", w)"#, READ_ONLY),
    (r#"disk.open_file("new", OpenFileOptions().create(true).build())"#, READ_ONLY),
    (
        r#"disk.open_file("link", OpenFileOptions().write(true).follow_symlinks(true).build())"#,
        "RustixError: Read-only file system (os error 30)",
    ),
    (r#"touch("ROOT/disk/victim")"#, READ_ONLY),
    (r#"touch("ROOT/disk/new")"#, READ_ONLY),
    (r#"cp([cp::force], "ROOT/file", "ROOT/disk/victim")"#, READ_ONLY),
    (r#"sed([sed::in_place], "old", "new", "ROOT/disk/victim")"#, READ_ONLY),
    (r#"mkdir("ROOT/disk/new")"#, READ_ONLY),
    (r#"mkdir([mkdir::parents], "ROOT/disk/new/below")"#, READ_ONLY),
    (
        r#"DirConfig().path("ROOT/disk/new").build().open(OpenDirOptions().create(true).build())"#,
        "DirectoryOpenError: Directory error: failed to create directory: ROOT/disk/new: \
      Read-only file system (os error 30)",
    ),
    (r#"disk.create_symlink("victim", "new", CreateSymlinkOptions().build())"#, READ_ONLY),
    (r#"disk.create_symlink("victim", "link", CreateSymlinkOptions().force(true).build())"#, READ_ONLY),
    (r#"disk.open_file("victim", r).chmod(0o600)"#, READ_ONLY),
    (r#"disk.open_file("victim", r).set_ownership(SetOwnershipOptions().user("daemon").build())"#, READ_ONLY),
    (r#"disk.chmod(ChmodDirOptions().permissions(0o700).build())"#, READ_ONLY),
    (
        r#"disk.open_file("victim", r).delete(DeleteFileOptions().force(true).build())"#,
        "FileError: File error: Error removing file: ROOT/disk/victim: Read-only file system (os error 30)",
    ),
    (
        r#"rm([rm::force], "ROOT/disk/victim")"#,
        "FileError: File error: Error removing file: ROOT/disk/victim: Read-only file system (os error 30)",
    ),
    (
        r#"rm([rm::recursive], "ROOT/disk/dir")"#,
        "DirectoryError: Directory error: Error removing directory: ROOT/disk/dir: Read-only file system (os error 30)",
    ),
    (
        r#"disk.open_file("victim", r).move(disk, "new", MoveOptions().build())"#,
        "FileError: File error: Error moving file victim from 'ROOT/disk/victim' to 'ROOT/disk/new': ROOT/disk/victim: \
      Read-only file system (os error 30)",
    ),
    (
        r#"d.open_file("file", r).move(disk, "victim", MoveOptions().build())"#,
        "FileError: File error: Error moving file file from 'ROOT/file' to 'ROOT/disk/victim': ROOT/file: \
      Read-only file system (os error 30)",
    ),
    (
        r#"disk.move(dir, disk, "new", MoveOptions().build())"#,
        "DirectoryError: Directory error: Error moving dir dir from 'ROOT/disk/dir' to 'ROOT/disk/new': ROOT/disk/dir: \
      Read-only file system (os error 30)",
    ),
    (r#"if cat("ROOT/disk/victim") != "old content\n" { throw "it holds something else" }"#, DONE),
];

#[test]
fn a_read_only_file_system_is_told_of_and_read() {
    with_private_mounts(|| {
        let daemon = Daemon::start(&Settings::default());
        let folder = tempfile::Builder::new().prefix("rex-test-").tempdir().expect("a temporary folder");
        let root = folder.path();
        fs::create_dir(root.join("disk")).expect("a folder");
        fs::write(root.join("file"), "new content\n").expect("a file");
        let disk = Disk::on(&root.join("disk"), "size=1m");
        fs::create_dir(disk.path().join("dir")).expect("a folder");
        fs::write(disk.path().join("dir/inner"), "old content\n").expect("a file");
        fs::write(disk.path().join("victim"), "old content\n").expect("a file");
        std::os::unix::fs::symlink("victim", disk.path().join("link")).expect("a link");
        disk.make_read_only();
        let hands = "
            let disk = DirConfig().path(\"ROOT/disk\").build().open(OpenDirOptions().build());
            let dir = DirConfig().path(\"ROOT/disk/dir\").build().open(OpenDirOptions().build());
        ";
        change_nothing(&daemon, root, hands, ATTEMPTS);
    });
}
