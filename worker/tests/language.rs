//! The language: values, errors, limits. Each row is a script and what comes of it.

mod session;

use rex_protocol::limits::LimitName;
use rex_protocol::worker::{FaultClass, Level};
use session::{World, run};

/// The output, or `! CLASS: message`.
fn result(world: World, script: &str) -> String {
    let report = run(world, script);
    match report.fault {
        Some((class, message)) => format!("! {class:?}: {message}"),
        None => report.output,
    }
}

fn plain(script: &str) -> String {
    result(World::new(&[("/d/f.txt", "x")]), script)
}

fn assert_rows(rows: &[(&str, &str)]) {
    for (script, expected) in rows {
        assert_eq!(plain(script), *expected, "{script}");
    }
}

#[test]
fn values_as_output() {
    assert_rows(&[
        ("", ""),
        ("()", ""),
        ("let x = 1;", ""),
        ("[1, 2.5, \"a\\n\", 'c', true, (), [1]]", r#"[1, 2.5, "a\n", 'c', true, (), [1]]"#),
        ("#{b: 1, a: \"x\", \"c d\": [1, #{}]}", r##"#{"a": "x", "b": 1, "c d": [1, #{}]}"##),
        ("[1.0, 1e15, 1e300, 1e-10]", "[1.0, 1000000000000000.0, 1e300, 1e-10]"),
        ("`${1.0} ${1e10} ${1e15} ${1e-10} ${-2.5}`", "1.0 10000000000.0 1e15 0.0000000001 -2.5"),
        ("let b = blob(3, 65); b += 255; b", "[414141ff]"),
        ("0..5", "0..5"),
        ("0..=5", "0..=5"),
        ("Fn(\"name\")", "Fn(name)"),
        ("timestamp()", "<timestamp>"),
        ("exit(8); 1", "8"),
        ("return 8; 1", "8"),
        ("try { throw 1 } catch { 2 }", ""),
        ("let x = 5; `v=${x} ${[x]}\n`", "v=5 [5]\n"),
    ]);
}

#[test]
fn objects_read_the_same_everywhere() {
    assert_rows(&[
        ("EntryType::FILE", "File"),
        ("EntryType::FILE.to_string()", "File"),
        ("`${EntryType::FILE} ${[IoErrorKind::Other]} ${#{a: EntryType::DIR}}`", r##"File [Other] #{"a": Dir}"##),
        ("\"\" + IoErrorKind::NotFound", "NotFound"),
        ("[IoErrorKind::NotFound, DirConfig()]", "[NotFound, DirConfig]"),
        ("ls(\"/d\")", r##"#{"f.txt": DirEntry(f.txt)}"##),
        ("[type_of(ls(\"/d\")[\"f.txt\"]), type_of(cat::n), type_of(rm::f)]", r#"["DirEntry", "CatFlag", "RmFlag"]"#),
        ("MetricUnitType::TIME", "TIME"),
        ("[OpenDirOptions().build(), cat::n, MetricBuilder()]", "[OpenDirOptions, CatFlag, MetricBuilder]"),
        ("let o = OpenDirOptions().build(); `${o} ${[cat::n]}`", "OpenDirOptions [CatFlag]"),
        ("DateTime(2025, 1, 2, 3, 4, 5, 0)", "2025-01-02T03:04:05Z"),
    ]);
}

#[test]
fn errors_uncaught() {
    assert_rows(&[
        ("let x = ;", "! Compile: Syntax error: Unexpected ';' (line 1, position 9)"),
        ("nope", "! Compile: Syntax error: Undefined variable: nope (line 1, position 1)"),
        ("fn f() { zzz }\n1", "! Compile: Syntax error: Undefined variable: zzz (line 1, position 10)"),
        ("eval(\"1\")", "! Compile: Syntax error: reserved keyword 'eval' is disabled (line 1, position 1)"),
        ("print(1)", "! Compile: Syntax error: reserved keyword 'print' is disabled (line 1, position 1)"),
        ("throw \"x\"", "! Script: Runtime error: x (line 1, position 1)"),
        ("throw", "! Script: Runtime error (line 1, position 1)"),
        (
            "throw #{source: \"Billing\", message: \"no credit\", kind: \"Money\"}",
            "! Script: Billing: Unknown: no credit (line 1, position 1)",
        ),
        ("throw #{a: 1}", "! Script: Unknown: Unknown: No message available (line 1, position 1)"),
        ("throw [1, EntryType::DIR]", "! Script: Runtime error: [1, Dir] (line 1, position 1)"),
        (
            "fn f() { throw #{a: EntryType::DIR} }\nf()",
            "! Script: Runtime error: #{\"a\": Dir} (line 1, position 10)\nin call to function 'f' (line 2, position 1)",
        ),
        (
            "fn f() { cat(\"/d/none\") }\nf()",
            "! Script: Runtime error: IoErrorKind: IoError: No such file or directory (os error 2) (line 1, position 10)\nin call to function 'f' (line 2, position 1)",
        ),
        (
            "[1].map(|x| { throw \"q\" + x })",
            "! Script: Runtime error: q1 (line 1, position 15)\nin closure call (line 1, position 5)\nin call to function 'map' (line 1, position 5)",
        ),
        (
            "cat(\"/d/none\")",
            "! Script: IoErrorKind: IoError: No such file or directory (os error 2) (line 1, position 1)",
        ),
        ("nofn(1, [], #{}, true)", "! Script: Function not found: nofn (i64, array, map, bool) (line 1, position 1)"),
        ("info(1)", "! Script: Function not found: info (i64) (line 1, position 1)"),
        ("let a = [1]; a[5]", "! Script: Array index 5 out of bounds: only 1 element in array (line 1, position 16)"),
        ("9223372036854775807 + 1", "! Script: Addition overflow: 9223372036854775807 + 1 (line 1, position 21)"),
        ("let z = 0; 1 / z", "! Script: Division by zero: 1 / 0 (line 1, position 14)"),
        ("parse_json(\"[1]\")", "! Script: Output type incorrect: array (expecting map) (line 1, position 1)"),
        (
            "import \"lib\" as l;",
            "! Script: Runtime error: `lib` is not absolute: a script has no directory to import from\nin module 'lib' (line 1, position 8)",
        ),
    ]);
}

#[test]
fn errors_caught() {
    assert_rows(&[
        (
            "let r = []; try { throw \"s\" } catch (e) { r += e } try { throw #{a: 1} } catch (e) { r += e.a } r",
            "[\"s\", 1]",
        ),
        (
            "let r; try { 1 / 0 } catch (e) { r = [e.error, e.message] } r",
            r#"["ErrorArithmetic", "Division by zero: 1 / 0"]"#,
        ),
        (
            "let r; try { cat(\"/d/none\") } catch (e) { r = [e.keys(), e.kind == IoErrorKind::IoError, e.kind.to_string(), e.source] } r",
            r#"[["kind", "message", "source"], true, "IoError", "IoErrorKind"]"#,
        ),
        (
            "[IoErrorKind::Other == CommonUtilsErrorKind::Other, IoErrorKind::Other != 1, IoErrorKind::Other == IoErrorKind::Other]",
            "[false, true, true]",
        ),
        (
            "let r = \"none\"; try { parse_json(`{\"a\": `) } catch (e) { r = \"caught\" } r",
            "! Script: Syntax error: Script is incomplete (line 1, position 7)",
        ),
    ]);
}

#[test]
fn denials_are_told_by_their_origin() {
    let world =
        || World::new(&[("/d/f", "x")]).deny("read /d/f").deny("redacted_read /d/f").refuse("open /d/g", libc::EACCES);
    let class = |script: &str| run(world(), script).fault.map(|(class, _)| class);
    let catch = "let m; try { cat(\"/d/f\") } catch (e) { m = e } ";
    for (script, expected) in [
        ("cat(\"/d/f\")", FaultClass::Denied),
        ("try { cat(\"/d/f\") } catch (e) { throw e }", FaultClass::Denied),
        ("fn f(p) { [p].map(|x| cat(x)) } f(\"/d/f\")", FaultClass::Denied),
        ("import \"/d/f.\" as m;", FaultClass::Script),
        ("throw \"Permission denied\"", FaultClass::Script),
        (
            "throw #{kind: IoErrorKind::PermissionDenied, message: \"Permission denied: bob\", source: \"IoErrorKind\"}",
            FaultClass::Script,
        ),
        ("cat(\"/d/g\")", FaultClass::AccessRefused),
        ("throw \"Permission denied (os error 13)\"", FaultClass::Script),
    ] {
        assert_eq!(class(script), Some(expected), "{script}");
    }
    // The message of a denial that was really sent is one, too, as some commands raise only that.
    assert_eq!(class(&format!("{catch} throw m.message")), Some(FaultClass::Denied));
    assert_eq!(class(&format!("{catch} throw \"about \" + m.message")), Some(FaultClass::Script));
    assert_eq!(class(&format!("{catch} throw #{{message: m.message}}")), Some(FaultClass::Script));
}

#[test]
fn limits_end_a_script() {
    let mut world = World::new(&[]);
    world.limits.operations = 1000;
    let report = run(world, "let n = 0; try { while true { n += 1 } } catch { }");
    assert_eq!(report.fault.unwrap().0, FaultClass::Limit(LimitName::Operations));
    let deep = |n| format!("fn r(n) {{ if n > 0 {{ r(n - 1) }} else {{ 7 }} }} r({n})");
    assert_eq!(plain(&deep(63)), "7");
    let report = run(World::new(&[]), &deep(64));
    let (class, message) = report.fault.unwrap();
    assert_eq!(class, FaultClass::Limit(LimitName::CallDepth));
    assert!(message.starts_with("Stack overflow"), "{message}");
    assert!(plain(&format!("{}1{}", "(".repeat(70), ")".repeat(70))).contains("maximum complexity"));
}

#[test]
fn arguments_become_variables() {
    let with = |arguments: &str, script: &str| result(World { arguments: arguments.into(), ..World::new(&[]) }, script);
    let all = r#"{"s": {"stringValue": "é"}, "i": {"integerValue": -5}, "d": {"doubleValue": 3}, "b": {"booleanValue": true},
        "l": {"listValue": [{"integerValue": 1}]}, "m": {"mapValue": {}}, "x y": {"longValue": 1}, "cat": {"longValue": 2}}"#;
    assert_eq!(with(all, "[s, i, d, b, l, m, is_def_var(\"s\")]"), r##"["é", -5, 3.0, true, [1], #{}, true]"##);
    assert_eq!(with(all, "i += 1; let s = s + \"!\"; [i, s]"), r#"[-4, "é!"]"#);
    assert_eq!(
        with(r#"{"deep": {"listValue": [{"listValue": [{"longValue": 1}]}]}}"#, "1"),
        "! Arguments: Script arguments depth validation failed: Argument 'deep': Maximum nesting depth of 2 exceeded"
    );
    assert!(with("{", "1").starts_with("! Arguments: "));
}

#[test]
fn messages_metrics_and_alarms() {
    let report = run(
        World::new(&[]),
        "trace(\"t\"); debug(\"d\");\nwarn(\"w\"); [7].map(|x| info(\"c\" + x));
         let d = MetricDimensionsBuilder().add(\"k\", \"v\").build();
         let b = MetricBuilder().name(\"m\"); b.value(1.0);
         b.value(3).unit(MetricUnitType::COUNT).dimensions(d).publish();
         AlarmBuilder().type(\"a\").details(\"x\").publish();",
    );
    assert_eq!(report.fault, None);
    let logs: Vec<_> = report.logs.iter().map(|(level, text, line)| (*level, text.as_str(), *line)).collect();
    assert_eq!(logs, [(Level::Debug, "d", 1), (Level::Warn, "w", 2), (Level::Info, "c7", 2)]);
    assert_eq!(report.metrics[0].value, 3.0);
    assert_eq!(report.metrics[0].dimensions.len(), 1);
    assert_eq!(&*report.alarms[0].kind, "a");
    assert_rows(&[
        (
            "MetricBuilder().value(1.0).unit(MetricUnitType::TIME).publish()",
            "! Script: Runtime error: `metric_name` must be initialized (line 1, position 55)",
        ),
        (
            "AlarmBuilder().details(\"d\").publish()",
            "! Script: Runtime error: `alarm_type` must be initialized (line 1, position 29)",
        ),
    ]);
}

#[test]
fn small_functions() {
    assert_rows(&[
        ("random_alphanumeric(40).len + random_alphanumeric(-1).len", "56"),
        ("let t = timestamp(); sleep(0.02); sleep(0); sleep(-1.0); t.elapsed >= 0.02", "true"),
        ("replace_text(\"a.b.c\", \".\", \"$1\", ReplacementOptions().replace_all(true).build())", "a$1b$1c"),
        ("replace_text(\"k=v\", `(\\w)=(\\w)`, \"$2=$1\", ReplacementOptions().is_regex(true).build())", "v=k"),
        (
            "replace_text(\"\", \"[\", \"\", ReplacementOptions().is_regex(true).build()).len",
            "! Script: IoErrorKind: ValidationError: Validation error: Invalid regex pattern: '[' - regex parse error:\n    [\n    ^\nerror: unclosed character class (line 1, position 1)",
        ),
        ("#{b: 1, a: [1, 2], c: 'x'}.to_json()", r#"{"a":[1,2],"b":1,"c":"x"}"#),
        ("parse_json(`{\"a\": [1, 2.0, null, true, \"x\"]}`)", r##"#{"a": [1, 2.0, (), true, "x"]}"##),
        ("seq(3, 1) + seq([seq::step(-1)], 3, 1)", "[3, 2, 1]"),
        ("awk_split(\"a,b\", \",\")", r#"["a", "b"]"#),
        ("[5.to_hex(), 7.get_bit(0), [3, 1].len, abs(-2)]", r#"["5", true, 2, 2]"#),
    ]);
}

#[test]
fn builders_change_in_place_and_check_types() {
    assert_rows(&[
        ("let o = OpenFileOptions(); o.read(true); let p = o.write(true); type_of(p)", "OpenFileOptions"),
        (
            "try { DirConfig().build() } catch (e) { throw type_of(e) + \": \" + e }",
            "! Script: Runtime error: string: Invalid arguments: Field not initialized: path (line 1, position 41)",
        ),
        (
            "OpenDirOptions().create(1)",
            "! Script: Function not found: create (OpenDirOptions, i64) (line 1, position 18)",
        ),
        (
            "OpenDirOptions().special(true)",
            "! Script: Function not found: special (OpenDirOptions, bool) (line 1, position 18)",
        ),
        (
            "ReadLinesOptions().start(-1)",
            "! Script: Runtime error: Parameter conversion failed for start: out of range integral type conversion attempted (line 1, position 20)",
        ),
    ]);
}

#[test]
fn modules_are_files() {
    let files = [
        ("/lib/a.rhai", "fn double(x) { x * 2 } export const V = \"1\";"),
        ("/lib/bad.rhai", "let x = ;"),
        ("/lib/me.rhai", "import \"/lib/me\" as me;"),
    ];
    let result = |script| result(World::new(&files), script);
    assert_eq!(result("import \"/lib/a\" as a; [a::double(4), a::V]"), r#"[8, "1"]"#);
    assert_eq!(result("import \"/lib/none\" as a;"), "! Script: Module not found: /lib/none (line 1, position 8)");
    assert!(result("import \"/lib/bad\" as a;").starts_with("! Script: Syntax error: Unexpected ';'"));
    assert!(result("import \"/lib/me\" as a;").starts_with("! Limit(CallDepth): "));
    let denied = run(World::new(&files).deny("read /lib/a.rhai"), "import \"/lib/a\" as a;");
    assert_eq!(denied.fault.unwrap().0, FaultClass::Denied);
}
