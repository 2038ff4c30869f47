//! What a script sees of its own work.

use crate::{EVERYTHING, Stage, acts};
use rex_tests::{Disk, with_private_mounts};

#[test]
fn every_act_is_planned_and_none_is_done() {
    let stage = Stage::new();
    let ran = stage.dry(
        EVERYTHING,
        r#"
        let d = DIR;
        write("ROOT/new", "x");
        write([write::replace], "ROOT/a", "1\n");
        sed([sed::i], "other", "another", "ROOT/b");
        touch("ROOT/touched"); touch("ROOT/a");
        mkdir("ROOT/made"); mkdir([mkdir::p], "ROOT/p/q");
        cp("ROOT/a", "ROOT/copy");
        mv("ROOT/copy", "ROOT/p/copy");
        d.create_symlink("a", "ln", CreateSymlinkOptions().build());
        d.open_file("b", OpenFileOptions().read(true).build()).chmod(0o600);
        let f = d.open_file("bytes", OpenFileOptions().read(true).write(true).build());
        f.truncate(TruncateOptions().size(2).build());
        f.fallocate(FallocateOptions().length(10).build());
        f.write_in_place("text");
        rm([rm::r], "ROOT/dir");
        rm([rm::r], "ROOT/empty");
        [cat("ROOT/new"), cat("ROOT/a"), cat("ROOT/b"), cat("ROOT/p/copy"), cat("ROOT/bytes"), ls("ROOT").keys()]
        "#,
    );
    assert_eq!(ran.error(), "");
    assert_eq!(
        ran.output(),
        r#"["x", "1\n", "another\n", "1\n", "text", ["a", "b", "bytes", "link", "ln", "made", "new", "p", "touched"]]"#
    );
    let acts = acts(&ran);
    for act in [
        "create new",
        "write new",
        "write a",
        "write b",
        "create touched",
        "set a",
        "create made",
        "create p",
        "create q",
        "create copy",
        "write copy",
        "move copy",
        "create ln",
        "set b",
        "write bytes",
        "remove dir",
        "remove empty",
    ] {
        assert!(acts.contains(&act.to_owned()), "`{act}` is not among {acts:?}");
    }
    assert_eq!((&ran.result["changed"], &ran.result["change_count"]), (&true.into(), &acts.len().into()));
}

#[test]
fn what_was_removed_is_gone_and_its_name_is_free() {
    let stage = Stage::new();
    let ran = stage.dry(
        EVERYTHING,
        r#"
        rm([rm::r], "ROOT/dir");
        let gone = [];
        for path in ["ROOT/dir/inner", "ROOT/dir/below/f"] {
            try { cat(path); gone.push(false); } catch { gone.push(true); }
        }
        mkdir("ROOT/dir");
        write("ROOT/dir/other", "new\n");
        gone.push(ls("ROOT/dir").keys());
        gone
        "#,
    );
    assert_eq!((ran.error(), ran.output()), ("", r#"[true, true, ["other"]]"#));
}

#[test]
fn handles_see_what_was_written_through_others_and_a_replaced_file_stays_what_it_was() {
    let stage = Stage::new();
    std::fs::hard_link(stage.path("a"), stage.path("same")).expect("another name");
    let ran = stage.dry(
        EVERYTHING,
        r#"
        let d = DIR;
        let reader = d.open_file("a", OpenFileOptions().read(true).build());
        let writer = d.open_file("a", OpenFileOptions().read(true).write(true).build());
        writer.write_in_place("in place");
        let seen = [reader.read(), cat("ROOT/same")];
        let replaced = writer.write("replaced");
        seen + [reader.read(), replaced.read(), cat("ROOT/a"), cat("ROOT/same")]
        "#,
    );
    assert_eq!(ran.error(), "");
    assert_eq!(ran.output(), r#"["in place", "in place", "in place", "replaced", "replaced", "in place"]"#);
}

#[test]
fn what_cannot_be_known_is_an_error_that_says_so() {
    let stage = Stage::new();
    for script in [
        // What a directory holds that was moved.
        "let d = DIR; let e = DirConfig().path(\"ROOT/dir\").build().open(OpenDirOptions().build()); \
         d.move(e, d, \"moved\", MoveOptions().build()); ls(\"ROOT/moved\")",
        // What a link leads to that is not there.
        "DIR.create_symlink(\"a\", \"ln\", CreateSymlinkOptions().build()); \
         DIR.open_file(\"ln\", OpenFileOptions().read(true).follow_symlinks(true).build()).read()",
    ] {
        let ran = stage.dry(EVERYTHING, script);
        assert_eq!(ran.code, 1, "{ran:?}");
        assert!(ran.error().contains("a dry run cannot know"), "{ran:?}");
    }
}

#[test]
fn content_that_is_too_large_to_keep_is_listed_and_not_known() {
    let stage = Stage::new();
    let large = std::fs::File::create(stage.path("large")).expect("a file");
    large.set_len(1 << 40).expect("a hole");
    let script = "let f = DIR.open_file(\"large\", OpenFileOptions().read(true).write(true).build());
        f.truncate(TruncateOptions().size((1 << 40) + 1).build());
        try { f.read_page(ReadPageOptions().num_lines(1).build()); } catch (e) { throw e.message }";
    let ran = stage.dry(EVERYTHING, script);
    assert!(ran.error().contains("a dry run cannot know"), "{ran:?}");
    assert_eq!(ran.result["changes"][0]["after"]["state"], "not-known", "{ran:?}");
}

#[test]
fn what_is_kept_takes_no_more_than_the_run_may_use() {
    let stage = Stage::new();
    let script = "let text = \"x\"; text.pad(1 << 20, 'x');
        for n in 0..80 { write(`ROOT/new${n}`, text); }
        cat(\"ROOT/new79\")";
    let before = stage.tree();
    let ran = stage.run(EVERYTHING, script, &["--dry-run", "--memory", "40M"]);
    assert!(stage.tree().differences(&before, rex_tests::Closely::Times).is_empty());
    assert!(ran.error().contains("a dry run cannot know"), "{}", ran.error());
}

#[test]
fn other_file_systems_are_told_apart() {
    with_private_mounts(|| {
        let stage = Stage::new();
        let disk = Disk::on(&stage.path("empty"), "size=1m");
        // It asks what a move between file systems asks: without `delete` it is denied.
        let policy = "permit(principal, action, resource);
            forbid(principal, action == file_system::Action::\"delete\", resource);";
        let script = "mv(\"ROOT/a\", \"ROOT/empty/a\"); [cat(\"ROOT/empty/a\"), ls(\"ROOT/empty\").keys()]";
        let ran = stage.dry(policy, script);
        assert_eq!(ran.code, 4, "{ran:?}");
        let ran = stage.dry(EVERYTHING, script);
        assert_eq!((ran.error(), ran.output()), ("", r#"["one\ntwo\nthree\n", ["a"]]"#));
        // And what is mounted there stays so.
        let ran = stage.dry(EVERYTHING, "unmount(UnmountOptions().path(\"ROOT/empty\").build())");
        assert!(!ran.error().contains("Invalid argument"), "{ran:?}");
        std::fs::write(disk.path().join("still"), "there").expect("it is mounted");
        assert!(std::fs::read(stage.path("empty/still")).is_ok());
    });
}
