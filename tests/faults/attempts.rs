//! Scripts that try one thing after another, and what they are told.

use rex_tests::{Closely, Daemon, Ran, Tree};
use std::path::Path;

/// What a script tries, and what it must be told: `KIND: MESSAGE`, or [`DONE`]. In both, `ROOT` stands for the folder.
pub(crate) type Attempt<'a> = (&'a str, &'a str);

/// What is told of an attempt that succeeds.
pub(crate) const DONE: &str = "done";

/// What every attempt has at hand: the folder, and how to open files.
const PRELUDE: &str = "
    let d = DirConfig().path(\"ROOT\").build().open(OpenDirOptions().build());
    let r = OpenFileOptions().read(true).build();
    let w = OpenFileOptions().write(true).build();
    let rw = OpenFileOptions().read(true).write(true).build();
    let told = \"\";
";

/// A script that makes the attempts, each whatever came of those before it, after some more lines of preparation.
pub(crate) fn script(root: &Path, prepare: &str, attempts: &[Attempt<'_>]) -> String {
    let tries = attempts.iter().map(|(attempt, _)| {
        format!(
            "try {{ {attempt}; told += \"{DONE}\\n\"; }} catch (e) {{
                 let said = if type_of(e) == \"map\" {{ `${{e.kind}}: ${{e.message}}` }} else {{ `${{e}}` }};
                 said.replace(\"\\n\", \" \");
                 told += said + \"\\n\";
             }}\n"
        )
    });
    let script: String = [PRELUDE.to_owned(), prepare.to_owned()].into_iter().chain(tries).collect();
    format!("{script}told").replace("ROOT", &root.display().to_string())
}

/// Fails where a run was told something else.
#[track_caller]
pub(crate) fn compare(root: &Path, attempts: &[Attempt<'_>], ran: &Ran) {
    let told: Vec<&str> = ran.output().lines().collect();
    assert_eq!(told.len(), attempts.len(), "the run goes on to its end: {}{}", ran.output(), ran.error());
    let other = attempts.iter().zip(told).filter_map(|((attempt, wanted), told)| {
        let wanted = wanted.replace("ROOT", &root.display().to_string());
        (wanted != told).then(|| format!("{attempt}\n  is told {told}\n  and not {wanted}"))
    });
    let other: Vec<String> = other.collect();
    assert!(other.is_empty(), "{}", other.join("\n"));
}

/// Makes the attempts in one run in `root`, after which everything there must be as before, names, contents, modes and
/// owners, and the broker serve on.
#[track_caller]
pub(crate) fn change_nothing(daemon: &Daemon, root: &Path, prepare: &str, attempts: &[Attempt<'_>]) -> Ran {
    let before = Tree::of(root);
    let ran = daemon.run(&script(root, prepare, attempts));
    compare(root, attempts, &ran);
    let changed = Tree::of(root).differences(&before, Closely::Rights);
    assert!(changed.is_empty(), "{}", changed.join("\n"));
    assert_eq!(daemon.run("6 * 7").output(), "42", "{}", daemon.log());
    ran
}
