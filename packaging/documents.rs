// Part of the tests of each program (`#[path]`): what the package says of its options is what they are.
#![allow(
    clippy::disallowed_methods,
    clippy::indexing_slicing,
    clippy::unwrap_used,
    reason = "tests may panic: that is how they fail"
)]

use clap::{Arg, Command, CommandFactory};
use clap_complete::{Shell, generate};
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

/// With `REX_BLESS=1` in the environment they are written anew.
pub(crate) fn completions_are_as_generated<Options: CommandFactory>() {
    let name = Options::command().get_name().to_owned();
    for (shell, file) in [
        (Shell::Bash, format!("completions/bash/{name}")),
        (Shell::Zsh, format!("completions/zsh/_{name}")),
        (Shell::Fish, format!("completions/fish/{name}.fish")),
    ] {
        let mut made = Vec::new();
        generate(shell, &mut Options::command(), &name, &mut made);
        let path = packaging().join(file);
        if std::env::var_os("REX_BLESS").is_some() {
            std::fs::write(&path, &made).unwrap();
        }
        let kept = std::fs::read(&path).unwrap_or_default();
        assert!(kept == made, "{} is not what the options are; REX_BLESS=1 writes it anew", path.display());
    }
}

/// Each option and command has its word there, and nothing else has.
pub(crate) fn the_manual_tells_every_option<Options: CommandFactory>(page: &str) {
    let mut command = Options::command();
    command.build();
    let (mut options, mut commands) = (BTreeSet::new(), BTreeSet::new());
    collect(&command, &mut options, &mut commands);
    let text = std::fs::read_to_string(packaging().join("man").join(page)).unwrap();
    let words: Vec<&str> = text.split_whitespace().collect();
    let told: BTreeSet<String> = words
        .windows(3)
        .filter(|words| words[..2] == ["Fl", "Fl"])
        .map(|words| words[2].trim_end_matches(',').to_owned())
        .collect();
    assert_eq!(told, options, "{page}");
    for command in commands {
        assert!(text.contains(&format!("\n.It Cm {command}\n")), "{page} does not tell of {command}");
    }
}

fn collect(command: &Command, options: &mut BTreeSet<String>, commands: &mut BTreeSet<String>) {
    let shown = |argument: &&Arg| !argument.is_hide_set();
    options.extend(command.get_arguments().filter(shown).filter_map(Arg::get_long).map(str::to_owned));
    for command in command.get_subcommands().filter(|command| command.get_name() != "help") {
        commands.insert(command.get_name().to_owned());
        collect(command, options, commands);
    }
}

fn packaging() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().join("packaging")
}
