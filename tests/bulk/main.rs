//! Much at once: files larger than the memory that a worker may use, many of them, and directories of many entries.

use rex_tests::{Ran, run};
use std::io::Write;
use std::path::{Path, PathBuf};

/// A folder of a test's own, and runs of scripts in it without a broker.
struct Place {
    folder: tempfile::TempDir,
}

impl Place {
    fn new() -> Self {
        Self::with_policy("permit(principal, action, resource);")
    }

    fn with_policy(policy: &str) -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        std::fs::write(folder.path().join("policy.cedar"), policy).expect("a policy");
        Self { folder }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Runs a script in a worker of 64 MiB.
    fn run(&self, script: &str) -> Ran {
        self.run_with_memory(script, "64M")
    }

    /// Runs a script, in which `ROOT` stands for the folder.
    fn run_with_memory(&self, script: &str, memory: &str) -> Ran {
        std::fs::write(self.path("script.rhai"), script.replace("ROOT", &self.folder.path().display().to_string()))
            .expect("a script");
        let options =
            ["--standalone", "--policy-file", "policy.cedar", "--memory", memory, "--script-file", "script.rhai"];
        run(&options, self.folder.path())
    }

    fn output(&self, script: &str) -> String {
        let ran = self.run(script);
        assert_eq!((ran.code, ran.error()), (0, ""), "{script}");
        ran.output().to_owned()
    }
}

/// Writes `count` numbered lines of 100 bytes and gives how many bytes that are.
fn lines(path: &Path, count: usize) -> usize {
    let mut file = std::io::BufWriter::with_capacity(1 << 20, std::fs::File::create(path).expect("a file"));
    let filling = "x".repeat(80);
    for number in 0..count {
        writeln!(file, "line {number:<12}  {filling}").expect("space on the disk");
    }
    file.flush().expect("space on the disk");
    count * 100
}

#[test]
fn a_file_larger_than_the_memory_is_searched() {
    let place = Place::new();
    lines(&place.path("large"), 3_000_000);
    assert_eq!(
        place.output(
            r#"let f = "ROOT/large";
               [grep([grep::c], "9 +x", f), grep([grep::n], "^line 2999999 ", f)[0].sub_string(0, 20),
                tail([tail::n(-1)], f)[0].sub_string(0, 12), grep([grep::c, grep::v], "x{80}$", f)]"#
        ),
        r#"[["300000"], "3000000:line 2999999", "line 2999999", ["0"]]"#
    );
}

#[test]
fn a_file_larger_than_the_memory_is_counted() {
    let place = Place::new();
    let bytes = lines(&place.path("large"), 800_000);
    assert_eq!(
        place.output(
            r#"let f = "ROOT/large";
               [wc(f), awk_filter_range(800_000, 800_000, f).len(), awk_filter("799999", f).len()]"#
        ),
        format!(r##"[#{{"bytes": {bytes}, "lines": 800000, "words": 2400000}}, 1, 1]"##)
    );
}

#[test]
fn what_is_no_text_is_found_at_the_very_end() {
    let place = Place::new();
    lines(&place.path("large"), 700_000);
    std::fs::OpenOptions::new().append(true).open(place.path("large")).unwrap().write_all(b"\xff").unwrap();
    for script in [r#"grep([grep::m(1)], "line", "ROOT/large")"#, r#"awk_filter_range(1, 1, "ROOT/large")"#] {
        let ran = place.run(script);
        assert!(ran.error().contains("stream did not contain valid UTF-8"), "{script}: {ran:?}");
    }
    assert_eq!(place.output(r#"tail([tail::n(1)], "ROOT/large").len()"#), "1");
}

#[test]
fn a_sparse_file_is_counted_to_its_end() {
    let place = Place::new();
    let file = std::fs::File::create(place.path("sparse")).expect("a file");
    file.set_len(80 << 20).expect("a sparse file");
    assert_eq!(place.output(r#"wc("ROOT/sparse")"#), r##"#{"bytes": 83886080, "lines": 0, "words": 1}"##);
}

#[test]
fn more_large_files_than_descriptors_are_read() {
    let place = Place::new();
    for number in 0..80 {
        lines(&place.path(&format!("large{number}")), 2_000);
    }
    let script = r#"
        let dir = DirConfig().path("ROOT").build().open(OpenDirOptions().build());
        let open = [];
        for i in 0..80 { open.push(dir.open_file(`large${i}`, OpenFileOptions().read(true).build())); }
        let lines = 0;
        for round in 0..2 { for f in open { lines += f.counts().line_count; } }
        for i in 0..200 { lines += wc(`ROOT/large${i % 80}`).lines; }
        lines
    "#;
    assert_eq!(place.output(script), "720000");
}

#[test]
fn a_large_file_becomes_a_text() {
    let place = Place::new();
    lines(&place.path("large"), 200_000);
    assert_eq!(place.output(r#"let t = cat("ROOT/large"); [t.bytes, t.ends_with("x\n")]"#), "[20000000, true]");
}

#[test]
fn reading_a_large_file_is_denied_before_a_byte_of_it() {
    let policy = "permit(principal, action, resource);\n\
        forbid(principal, action in [file_system::Action::\"read\", file_system::Action::\"redacted_read\"], resource)\n\
        when { resource.path like \"*secret\" };";
    let place = Place::with_policy(policy);
    lines(&place.path("secret"), 5_000);
    for script in [r#"grep("(", "ROOT/secret")"#, r#"wc("ROOT/secret")"#, r#"cat("ROOT/secret")"#] {
        let ran = place.run(script);
        assert_eq!(ran.error_type(), "ACCESS_DENIED_EXCEPTION", "{script}: {ran:?}");
        assert!(ran.error().contains("unauthorized to perform file_system::Action::\"read\""), "{}", ran.error());
    }
}

#[test]
fn files_that_the_kernel_makes_up_are_read_by_the_session() {
    let place = Place::new();
    // Larger than what one request brings, and of size 0.
    let symbols = std::fs::read_to_string("/proc/kallsyms").expect("a file of the kernel").lines().count();
    let counted: usize = place.output(r#"wc("/proc/kallsyms").lines"#).parse().expect("a number");
    // Programs of the kernel come and go.
    assert!(counted > 1000 && counted.abs_diff(symbols) < symbols / 10, "{counted} of {symbols}");
}

#[test]
fn a_directory_of_a_hundred_thousand_entries_is_listed() {
    let place = Place::new();
    std::fs::create_dir(place.path("many")).expect("a folder");
    let first = place.path("many/0");
    std::fs::write(&first, "").expect("a file");
    for number in 1..100_000 {
        // Names of one file take no space of their own; the kernel lets a file have so many only in parts.
        let name = place.path(&format!("many/{number}"));
        if std::fs::hard_link(&first, &name).is_err() {
            std::fs::write(&name, "").expect("a file");
        }
    }
    let ran = place.run_with_memory(
        r#"let d = DirConfig().path("ROOT/many").build().open(OpenDirOptions().build());
           let e = d.list_entries(); [e.len(), "0" in e, "99999" in e]"#,
        "256M",
    );
    assert_eq!((ran.error(), ran.output()), ("", "[100000, true, true]"));
}
