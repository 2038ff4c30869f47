//! Files and commands, asked of a session that holds a few files in memory.

mod session;

use session::{Report, World, run};

fn world() -> World {
    World::new(&[("/d/a.txt", "one\ntwo words\r\n\nlast"), ("/d/.hidden", ""), ("/d/sub/b", "b"), ("/d/empty", "")])
}

fn output(report: &Report) -> String {
    match &report.fault {
        Some((class, message)) => format!("! {class:?}: {message}"),
        None => report.output.clone(),
    }
}

fn assert_rows(rows: &[(&str, &str)]) {
    for (script, expected) in rows {
        assert_eq!(output(&run(world(), script)), *expected, "{script}");
    }
}

/// `dir` is open on `/d`, `f` on `/d/a.txt`.
fn with_file(script: &str) -> String {
    format!(
        "let dir = DirConfig().path(\"/d\").build().open(OpenDirOptions().build());
         let f = dir.open_file(\"a.txt\", OpenFileOptions().read(true).build());\n{script}"
    )
}

#[test]
fn commands_read() {
    assert_rows(&[
        ("cat(\"/d/a.txt\")", "one\ntwo words\r\n\nlast"),
        ("\"/d/sub/b\".cat()", "b"),
        ("cat([cat::n], \"/d/a.txt\")", "     1\tone\n     2\ttwo words\n     3\t\n     4\tlast"),
        ("wc(\"/d/a.txt\")", r##"#{"bytes": 20, "lines": 3, "words": 4}"##),
        ("wc([wc::l], \"/d/a.txt\")", r##"#{"lines": 3}"##),
        (
            "tail([tail::n(-1)], \"/d/a.txt\") + tail([tail::n(1)], \"/d/a.txt\") + tail([tail::range(2, 3)], \"/d/a.txt\")",
            r#"["last", "one", "two words", ""]"#,
        ),
        (
            "grep([grep::n], \"o\", \"/d/a.txt\") + grep([grep::c, grep::v], \"o\", \"/d/a.txt\") + grep([grep::i, grep::m(1)], \"O\", \"/d/a.txt\")",
            r#"["1:one", "2:two words", "2", "one"]"#,
        ),
        ("awk_field(2, \" \", \"/d/a.txt\")", r#"["words"]"#),
        ("awk_count_unique(1, \"o\", \"/d/a.txt\")", r##"#{"": 2, "last": 1, "tw": 1}"##),
        ("ls(\"/d\").keys()", r#"["a.txt", "empty", "sub"]"#),
        ("ls([ls::a], \"/d/\").keys()", r#"[".hidden", "a.txt", "empty", "sub"]"#),
        (
            "ls(\"/d/a.txt\")",
            "! Script: IoErrorKind: InvalidArguments: Invalid arguments: ls: /d/a.txt: Not a directory or symlink (line 1, position 1)",
        ),
    ]);
}

#[test]
fn commands_check_flags_and_paths_first() {
    for (script, expected) in [
        ("cat([\"x\"], \"nowhere\")", "cat: expected CatFlag flag, got string"),
        ("rm([cat::n], \"nowhere\")", "rm: expected RmFlag flag, got CatFlag"),
        ("cat(\"/\")", "Invalid arguments: Invalid file path: /"),
        ("mkdir(\"/\")", "Invalid arguments: Invalid directory path: /"),
        ("cat(\"f\")", "Path is not absolute "),
        ("cat(\"/d/../f\")", "Path traversal detected /d/.."),
        ("cat(\"/d/a*\")", "Path contains invalid characters /d/a*"),
        ("awk_field(0, \",\", \"nowhere\")", "Invalid arguments: awk: field number must be >= 1"),
    ] {
        let report = run(world(), script);
        assert!(output(&report).contains(&format!(": {expected} (line 1")), "{script}: {}", output(&report));
        assert!(report.operations.is_empty(), "{script} asked for {:?}", report.operations);
    }
    assert_rows(&[
        ("cat([cat::bold], \"/d\")", "! Script: Variable not found: cat::bold (line 1, position 6)"),
        ("cat(1)", "! Script: Function not found: cat (i64) (line 1, position 1)"),
    ]);
}

#[test]
fn commands_change() {
    let report = run(
        world(),
        "write(\"/d/a.txt\", \"+\"); write([write::replace], \"/d/new\", \"n\"); write([write::a, write::r], \"/d/empty\", \"e\");
         touch(\"/d/touched\"); mkdir(\"/d/made\"); mkdir([mkdir::p], \"/x/y\"); rm(\"/d/.hidden\"); rm([rm::r], \"/d/sub\");
         rm([rm::f], \"/d/none\")",
    );
    assert_eq!(output(&report), "");
    let text = |path: &str| report.world.files.get(path).map(|content| String::from_utf8_lossy(content).into_owned());
    assert_eq!(text("/d/a.txt").unwrap(), "one\ntwo words\r\n\nlast+");
    assert_eq!(text("/d/new").unwrap(), "n");
    assert_eq!(text("/d/empty").unwrap(), "e");
    assert_eq!(text("/d/touched").unwrap(), "");
    assert_eq!(text("/d/.hidden"), None);
    assert_eq!(text("/d/sub/b"), None);
    assert!(report.world.dirs.contains("/d/made") && report.world.dirs.contains("/x/y"));
    assert_rows(&[
        (
            "rm(\"/d/none\")",
            "! Script: IoErrorKind: IoError: No such file or directory (os error 2) (line 1, position 1)",
        ),
        (
            "rm(\"/d/sub\")",
            "! Script: IoErrorKind: DirectoryNotEmpty: Directory not empty: A path led to a non-empty directory location. To include contents of this directory, use the recursive flag: /d/sub (line 1, position 1)",
        ),
    ]);
}

#[test]
fn links_are_told() {
    let mut world = world();
    world.links.insert("/d/link".into());
    for script in ["cat(\"/d/link\")", "rm(\"/d/link\")", "write(\"/d/link\", \"\")"] {
        assert!(
            output(&run(world.clone(), script))
                .contains("FileError: File error: file is a symbolic link but follow_symlinks is not enabled: /d/link"),
            "{script}"
        );
    }
    assert_eq!(output(&run(world.clone(), "let m = ls(\"/d/link\"); m.link.type() == EntryType::SYMLINK")), "true");
    assert!(
        output(&run(world, "DirConfig().path(\"/d/link\").build().open(OpenDirOptions().build())")).contains(
            "DirectoryOpenError: Directory error: Not a directory, enable follow_symlinks to open the target directory: /d/link"
        )
    );
}

#[test]
fn files_are_read_and_written() {
    let rows = [
        ("f.read() == cat(\"/d/a.txt\")", "true"),
        ("f", "FileHandle(/d/a.txt)"),
        ("f.counts().to_map()", r##"#{"byte_count": 20, "line_count": 3, "word_count": 4}"##),
        ("f.read_lines(ReadLinesOptions().count(-2).build())", r#"["", "last"]"#),
        ("f.read_lines(ReadLinesOptions().start(2).count(1).build())", r#"["two words"]"#),
        (
            "let o = ReadPageOptions().num_lines(3).build(); [f.read_page(o), f.read_page(o), f.read_page(o), f.read().len]",
            r#"[["one", "two words", ""], ["last"], [], 20]"#,
        ),
        ("f.search(\"^.wo\").map(|m| `${m.line_number}${m.line_content}`)", r#"["2two words"]"#),
        (
            "let m = f.metadata(); [m.type(), m.file_size(), m.permissions(), m.owner.user, m.allocated_size(), m.symlink_target()]",
            r#"[File, 20, 33188, "bob", 4096, ()]"#,
        ),
        ("f.get_last_modified_time()", "1700000000000000005"),
        ("dir.get_ownership().group", "users"),
        ("let g = f.write(\"new\"); [g.read(), cat(\"/d/a.txt\")]", r#"["new", "new"]"#),
        (
            "f.write_in_place(\"x\"); f.delete(DeleteFileOptions().build()); f.delete(DeleteFileOptions().force(true).build()); ls(\"/d\").len()",
            "2",
        ),
        (
            "let e = dir.list_entries()[\"sub\"]; [e.name, e.type(), e.to_map(), e.open_as_dir(OpenDirOptions().build())]",
            r##"["sub", Dir, #{"inode": 7, "name": "sub", "type": "Dir"}, DirHandle(/d/sub)]"##,
        ),
        (
            "let e = dir.list_entries()[\"a.txt\"]; [e.metadata().file_size(), e.open_as_file(OpenFileOptions().build()).read().len]",
            "[20, 20]",
        ),
    ];
    for (script, expected) in rows {
        assert_eq!(output(&run(world(), &with_file(script))), expected, "{script}");
    }
    assert!(
        output(&run(world(), &with_file("dir.list_entries()[\"a.txt\"].open_as_file(OpenFileOptions().read(true).build()); dir.open_file(\"x/y\", OpenFileOptions().build())")))
            .contains("InvalidPath: Invalid path: file path must contain only a filename")
    );
}

#[test]
fn large_contents_go_in_pieces() {
    let report = run(
        World::new(&[("/d/f", "")]),
        "let s = \"\"; s.pad(1_000_001, \"é\"); write(\"/d/f\", s); let t = cat(\"/d/f\"); [t == s, s.bytes]",
    );
    assert_eq!(output(&report), "[true, 2000002]");
    assert_eq!(report.operations.iter().filter(|operation| *operation == "write /d/f").count(), 16);
}

#[test]
fn donated_or_not_a_large_file_reads_the_same() {
    let line = |number: usize| format!("{number} é {}\r\n", "x".repeat(number * 7919 % 1500));
    let mut content: String = (0..3000).map(line).collect();
    content.push_str("the end");
    let lines: Vec<&str> = content.lines().collect();
    let words = content.split_ascii_whitespace().count();
    for (script, expected) in [
        ("cat(\"/d/f\").bytes".to_owned(), content.len().to_string()),
        ("wc(\"/d/f\")".into(), format!(r##"#{{"bytes": {}, "lines": 3000, "words": {words}}}"##, content.len())),
        ("grep([grep::n], \"^7[0-9]?[05] é x{1000,}$\", \"/d/f\").len()".into(), {
            let regex = regex::Regex::new("^7[0-9]?[05] é x{1000,}$").unwrap();
            lines.iter().filter(|line| regex.is_match(line)).count().to_string()
        }),
        ("grep([grep::n, grep::m(1)], \"^2999 \", \"/d/f\")[0].len()".into(), {
            (lines[2999].chars().count() + "3000:".len()).to_string()
        }),
        ("tail([tail::n(-2)], \"/d/f\")[1]".into(), "the end".into()),
        ("awk_filter_range(2001, 2001, \"/d/f\")[0].len()".into(), lines[2000].chars().count().to_string()),
        ("cat([cat::n], \"/d/f\").split(\"\\n\")[1234].len()".into(), {
            (lines[1234].chars().count() + 7).to_string()
        }),
        (
            with_file(
                "let g = dir.open_file(\"f\", OpenFileOptions().read(true).build());
                 [g.counts().line_count, g.search(\"^1999 \")[0].line_number, g.read().bytes, g.extract_strings().len() > 2000]",
            ),
            format!("[3000, 2000, {}, true]", content.len()),
        ),
    ] {
        let mut operations = Vec::new();
        for donates in [true, false] {
            let mut world = World { donates, ..world() };
            world.files.insert("/d/f".into(), content.clone().into_bytes());
            let report = run(world, &script);
            assert_eq!(output(&report), expected, "{script}, donated: {donates}");
            operations.push(report.operations.iter().filter(|operation| *operation == "read /d/f").count());
        }
        assert!(operations[0] < operations[1], "{script}: {operations:?}");
    }
}

#[test]
fn what_is_not_allowed_to_be_read_is_read_redacted() {
    let mut world = world().deny("read /d/a.txt");
    world.redacted.insert("/d/a.txt".into(), vec!["[REDACTED]".into(), String::new(), "two".into()]);
    assert_eq!(output(&run(world.clone(), "cat(\"/d/a.txt\")")), "[REDACTED]\n\ntwo");
    assert_eq!(output(&run(world.clone(), &with_file("f.read()"))), "[REDACTED]\n\ntwo");
    assert_eq!(output(&run(world.clone(), "grep(\"one\", \"/d/a.txt\")")), "[]");
    assert!(output(&run(world.clone(), "wc(\"/d/a.txt\")")).starts_with("! Denied: "));
    let hidden = world.clone().deny("read /etc/opt/rex/rex_redaction.config");
    let told = output(&run(hidden, "cat(\"/d/a.txt\")"));
    let step =
        "! Denied: IoErrorKind: FileError: File error: Failed to open redaction dictionary file: Permission denied";
    assert!(told.starts_with(step), "{told}");
    let world = world.deny("redacted_read /d/a.txt");
    assert!(output(&run(world, "cat(\"/d/a.txt\")")).contains("Action::\"read\""));
}

#[test]
fn handles_are_let_go_of() {
    let report = run(world(), "for i in 0..50 { cat(\"/d/a.txt\"); ls(\"/d\"); } cat(\"/d/a.txt\").len");
    assert_eq!(output(&report), "20");
    assert!(report.open <= 4, "{} are open", report.open);
}

#[test]
fn bytes_that_are_no_text() {
    let mut world = world();
    world.files.insert("/d/bin".into(), b"\xff\xfe\nlast\n".to_vec());
    assert!(output(&run(world.clone(), "cat(\"/d/bin\")")).contains("IoError: stream did not contain valid UTF-8"));
    assert_eq!(output(&run(world.clone(), "tail([tail::n(-1)], \"/d/bin\")")), r#"["last"]"#);
    assert_eq!(output(&run(world, "wc(\"/d/bin\").bytes")), "8");
}
