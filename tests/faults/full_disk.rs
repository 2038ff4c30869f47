//! Disks without space, or without inodes.

use crate::attempts::{Attempt, DONE, change_nothing};
use flate2::Compression;
use flate2::write::GzEncoder;
use rex_tests::{Daemon, Disk, Settings, with_private_mounts};
use std::fs::{self, File};
use std::io::Write;
use std::os::unix::fs::{PermissionsExt, chown};
use std::path::Path;

/// A folder with `disk/`, a small disk, on which there are `victim`, `dir/inner` and `copy`, another name of `victim`;
/// and beside it `big`, `medium`, which needs only a few pages, `small`, `tree/inner`, and `archive` with a `victim` and
/// `dir/inner`.
fn prepare(root: &Path) -> Disk {
    for name in ["disk", "tree"] {
        fs::create_dir(root.join(name)).expect("a folder");
    }
    let disk = Disk::on(&root.join("disk"), "size=1m,nr_inodes=64");
    fs::create_dir(disk.path().join("dir")).expect("a folder");
    fs::write(disk.path().join("dir/inner"), "old content").expect("a file");
    let victim = disk.path().join("victim");
    fs::write(&victim, "old content\n").expect("a file");
    fs::set_permissions(&victim, fs::Permissions::from_mode(0o640)).expect("a mode");
    chown(&victim, Some(65534), Some(65534)).expect("an owner");
    fs::hard_link(&victim, disk.path().join("copy")).expect("a link");
    // Text that does not shrink.
    let mut number = 1_u32;
    let text = |length: usize| -> String {
        let mut digit = || {
            number = number.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            char::from(b' ' + u8::try_from(number >> 25).unwrap_or(0) % 94)
        };
        (0..length).map(|_| digit()).collect()
    };
    let texts = [600_000, 6_000, 5].map(text);
    for (name, text) in ["big", "medium", "small"].iter().zip(&texts) {
        fs::write(root.join(name), text).expect("a file");
    }
    fs::write(root.join("tree/inner"), &texts[0]).expect("a file");
    let packed = GzEncoder::new(File::create(root.join("archive")).expect("a file"), Compression::fast());
    let mut archive = tar::Builder::new(packed);
    for name in ["victim", "dir/inner", "new/inner"] {
        let mut header = tar::Header::new_gnu();
        header.set_size(texts[0].len() as u64);
        header.set_mode(0o600);
        archive.append_data(&mut header, name, texts[0].as_bytes()).expect("an entry");
    }
    archive.into_inner().and_then(GzEncoder::finish).expect("an archive");
    disk
}

/// Takes all space.
fn fill(disk: &Disk) {
    let mut filler = File::create(disk.path().join("filler")).expect("a file");
    while filler.write_all(&[b'x'; 4096]).is_ok() {}
}

/// Takes all inodes.
fn take_inodes(disk: &Disk) {
    for number in 0.. {
        if File::create_new(disk.path().join(format!("filler-{number}"))).is_err() {
            return;
        }
    }
}

const FULL: &str = "IoError: No space left on device (os error 28)";

const HANDS: &str = "
    let disk = DirConfig().path(\"ROOT/disk\").build().open(OpenDirOptions().build());
    let big = cat(\"ROOT/big\");
    let medium = cat(\"ROOT/medium\");
    let tree = DirConfig().path(\"ROOT/tree\").build().open(OpenDirOptions().build());
    let moving = MoveOptions().build();
";

/// Every way to write.
const WRITES: &[Attempt<'_>] = &[
    (r#"write("ROOT/disk/victim", big)"#, FULL),
    (r#"write("ROOT/disk/victim", medium)"#, FULL),
    (r#"write([write::replace], "ROOT/disk/victim", big)"#, FULL),
    (r#"write([write::replace], "ROOT/disk/victim", medium)"#, FULL),
    (r#"write("ROOT/disk/new", medium)"#, FULL),
    (r#"disk.open_file("victim", w).write(big)"#, FULL),
    (r#"disk.open_file("victim", rw).write(medium)"#, FULL),
    (r#"disk.open_file("victim", w).write(medium, WriteOptions().preserve_ownership(false).build())"#, FULL),
    (r#"disk.open_file("victim", w).write_in_place(big)"#, FULL),
    (r#"disk.open_file("victim", w).write_in_place(medium)"#, FULL),
    (r#"d.open_file("big", r).copy(disk.open_file("victim", w), CopyFileOptions().force(true).build())"#, FULL),
    (
        r#"d.open_file("medium", r).copy(disk.open_file("victim", w), CopyFileOptions().force(true).preserve(true).build())"#,
        FULL,
    ),
    (r#"cp([cp::force], "ROOT/big", "ROOT/disk/victim")"#, FULL),
    (r#"cp([cp::force, cp::preserve], "ROOT/medium", "ROOT/disk/victim")"#, FULL),
    (r#"cp("ROOT/medium", "ROOT/disk/new")"#, FULL),
    (
        r#"d.open_file("big", r).move(disk, "victim", moving)"#,
        "FileError: File error: Error moving file big from 'ROOT/big' to 'ROOT/disk/victim': ROOT/big: \
         No space left on device (os error 28)",
    ),
    (
        r#"d.open_file("medium", r).move(disk, "new", moving)"#,
        "FileError: File error: Error moving file medium from 'ROOT/medium' to 'ROOT/disk/new': ROOT/medium: \
         No space left on device (os error 28)",
    ),
    (
        r#"mv([mv::backup], "ROOT/big", "ROOT/disk/victim")"#,
        "FileError: File error: Error moving file big from 'ROOT/big' to 'ROOT/disk/victim': ROOT/big: \
         No space left on device (os error 28)",
    ),
    (
        r#"d.move(tree, disk, "new", moving)"#,
        "DirectoryError: Directory error: Error moving dir tree from 'ROOT/tree' to 'ROOT/disk/new': ROOT/tree: \
         No space left on device (os error 28)",
    ),
    (r#"d.open_file("big", r).compress_gzip(disk.open_file("victim", w), CompressGzipOptions().build())"#, FULL),
    (r#"d.open_file("medium", r).compress_gzip(disk.open_file("victim", w), CompressGzipOptions().build())"#, FULL),
    (
        r#"disk.open_file("victim", w).fallocate(FallocateOptions().length(100000).build())"#,
        "RustixError: No space left on device (os error 28)",
    ),
    (r#"sed([sed::in_place], "old", big, "ROOT/disk/victim")"#, FULL),
    (r#"sed([sed::in_place], "old", medium, "ROOT/disk/victim")"#, FULL),
    // A target of this length does not fit into an inode.
    (
        r#"disk.create_symlink("/" + sub_string(medium, 0, 3000), "victim", CreateSymlinkOptions().force(true).build())"#,
        FULL,
    ),
    // What needs no space goes on.
    (r#"if cat("ROOT/disk/victim") != "old content\n" { throw "it holds something else" }"#, DONE),
    (r#"touch("ROOT/disk/victim")"#, DONE),
    (r#"write([write::replace], "ROOT/disk/victim", "old content\n")"#, DONE),
    (r#"disk.open_file("victim", w).truncate(TruncateOptions().size(12).build())"#, DONE),
];

/// Every way to make something, and to put something in another's place.
const CREATIONS: &[Attempt<'_>] = &[
    (r#"disk.open_file("new", OpenFileOptions().create(true).build())"#, FULL),
    (r#"write("ROOT/disk/new", "x")"#, FULL),
    (r#"cp("ROOT/small", "ROOT/disk/new")"#, FULL),
    (r#"touch("ROOT/disk/new")"#, FULL),
    (r#"mkdir("ROOT/disk/new")"#, FULL),
    (r#"mkdir([mkdir::parents], "ROOT/disk/new/below/it")"#, FULL),
    (
        r#"DirConfig().path("ROOT/disk/new").build().open(OpenDirOptions().create(true).build())"#,
        "DirectoryOpenError: Directory error: failed to create directory: ROOT/disk/new: \
         No space left on device (os error 28)",
    ),
    (r#"disk.create_symlink("victim", "new", CreateSymlinkOptions().build())"#, FULL),
    (r#"disk.create_symlink("copy", "victim", CreateSymlinkOptions().force(true).build())"#, FULL),
    (r#"disk.open_file("victim", w).write("x")"#, FULL),
    (
        r#"d.open_file("small", r).move(disk, "victim", moving)"#,
        "FileError: File error: Error moving file small from 'ROOT/small' to 'ROOT/disk/victim': ROOT/small: \
         No space left on device (os error 28)",
    ),
    (
        r#"d.move(tree, disk, "new", moving)"#,
        "DirectoryError: Directory error: Error moving dir tree from 'ROOT/tree' to 'ROOT/disk/new': ROOT/tree: \
         No space left on device (os error 28)",
    ),
    (r#"touch("ROOT/disk/victim")"#, DONE),
];

/// What does not come out of an archive is left out, and told of in the log.
const EXTRACTION: Attempt<'_> =
    (r#"d.open_file("archive", r).extract_archive(disk, ExtractArchiveOptions().build())"#, DONE);

#[test]
fn a_full_disk_is_told_of_and_leaves_everything_as_it_was() {
    with_private_mounts(|| {
        let daemon = Daemon::start(&Settings::default());
        let folder = tempfile::Builder::new().prefix("rex-test-").tempdir().expect("a temporary folder");
        let disk = prepare(folder.path());
        // The folder that the archive wants is made all the same.
        fs::create_dir(disk.path().join("new")).expect("a folder");
        fill(&disk);
        let ran = change_nothing(&daemon, folder.path(), HANDS, &[EXTRACTION]);
        assert!(ran.result["logs"].to_string().contains("3 of 3 entries left out"), "{ran:?}");
        assert!(ran.result["logs"].to_string().contains("No space left on device"), "{ran:?}");
        fs::remove_dir(disk.path().join("new")).expect("no folder");
        change_nothing(&daemon, folder.path(), HANDS, WRITES);
        take_inodes(&disk);
        change_nothing(&daemon, folder.path(), HANDS, CREATIONS);
        let ran = change_nothing(&daemon, folder.path(), HANDS, &[EXTRACTION]);
        assert!(ran.result["logs"].to_string().contains("3 of 3 entries left out"), "{ran:?}");
        // With space again, all goes on.
        fs::remove_file(disk.path().join("filler")).expect("a file");
        let script = format!("write([write::replace], {:?}, \"new\")", disk.path().join("victim"));
        assert_eq!(daemon.run(&script).code, 0);
        assert_eq!(fs::read(disk.path().join("copy")).expect("the same file"), b"new");
    });
}
