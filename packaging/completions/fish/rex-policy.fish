# Print an optspec for argparse to handle cmd's options that are independent of any subcommand.
function __fish_rex_policy_global_optspecs
    string join \n config= policies= o/output-format= h/help V/version
end

function __fish_rex_policy_needs_command
    # Figure out if the current invocation already has a command.
    set -l cmd (commandline -opc)
    set -e cmd[1]
    argparse -s (__fish_rex_policy_global_optspecs) -- $cmd 2>/dev/null
    or return
    if set -q argv[1]
        # Also print the command, so this can be used to figure out what it is.
        echo $argv[1]
        return 1
    end
    return 0
end

function __fish_rex_policy_using_subcommand
    set -l cmd (__fish_rex_policy_needs_command)
    test -z "$cmd"
    and return 1
    contains -- $cmd[1] $argv
end

complete -c rex-policy -n "__fish_rex_policy_needs_command" -l config -d 'The broker\'s configuration, which names the store [default: /etc/rex/broker.toml, if it is there]' -r -F
complete -c rex-policy -n "__fish_rex_policy_needs_command" -l policies -d 'Another directory of policies than the configured one' -r -F
complete -c rex-policy -n "__fish_rex_policy_needs_command" -s o -l output-format -d 'How the answer is shown' -r -f -a "human\t'For people'
json\t'One object of JSON'"
complete -c rex-policy -n "__fish_rex_policy_needs_command" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c rex-policy -n "__fish_rex_policy_needs_command" -s V -l version -d 'Print version'
complete -c rex-policy -n "__fish_rex_policy_needs_command" -f -a "check" -d 'Are policies fit to be used? Syntax, schema, owners, modes, their tests, and what can never match'
complete -c rex-policy -n "__fish_rex_policy_needs_command" -f -a "test" -d 'Do the tests beside policies pass?'
complete -c rex-policy -n "__fish_rex_policy_needs_command" -f -a "explain" -d 'Why is a request allowed or denied?'
complete -c rex-policy -n "__fish_rex_policy_needs_command" -f -a "list" -d 'What may somebody do?'
complete -c rex-policy -n "__fish_rex_policy_needs_command" -f -a "diff" -d 'What would other policies decide differently?'
complete -c rex-policy -n "__fish_rex_policy_needs_command" -f -a "suggest" -d 'The least policies that allow what a recorded run did'
complete -c rex-policy -n "__fish_rex_policy_needs_command" -f -a "reload" -d 'Have the broker load its policies anew'
complete -c rex-policy -n "__fish_rex_policy_needs_command" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
complete -c rex-policy -n "__fish_rex_policy_using_subcommand check" -l config -d 'The broker\'s configuration, which names the store [default: /etc/rex/broker.toml, if it is there]' -r -F
complete -c rex-policy -n "__fish_rex_policy_using_subcommand check" -l policies -d 'Another directory of policies than the configured one' -r -F
complete -c rex-policy -n "__fish_rex_policy_using_subcommand check" -s o -l output-format -d 'How the answer is shown' -r -f -a "human\t'For people'
json\t'One object of JSON'"
complete -c rex-policy -n "__fish_rex_policy_using_subcommand check" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c rex-policy -n "__fish_rex_policy_using_subcommand test" -l config -d 'The broker\'s configuration, which names the store [default: /etc/rex/broker.toml, if it is there]' -r -F
complete -c rex-policy -n "__fish_rex_policy_using_subcommand test" -l policies -d 'Another directory of policies than the configured one' -r -F
complete -c rex-policy -n "__fish_rex_policy_using_subcommand test" -s o -l output-format -d 'How the answer is shown' -r -f -a "human\t'For people'
json\t'One object of JSON'"
complete -c rex-policy -n "__fish_rex_policy_using_subcommand test" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c rex-policy -n "__fish_rex_policy_using_subcommand explain" -l user -d 'Who asks [default: you]' -r
complete -c rex-policy -n "__fish_rex_policy_using_subcommand explain" -l group -d 'A group that who asks is in; may be given again [default: those of the user]' -r
complete -c rex-policy -n "__fish_rex_policy_using_subcommand explain" -l attribute -d 'What is known of the resource besides: owner=root, mode=420; may be given again. Without, files are looked at as they are' -r
complete -c rex-policy -n "__fish_rex_policy_using_subcommand explain" -l session -d 'What is known of the run: reason=x, deleted=3, now=2026-11-25T10:00:00Z; may be given again' -r
complete -c rex-policy -n "__fish_rex_policy_using_subcommand explain" -l destination -d 'Where something is moved to' -r
complete -c rex-policy -n "__fish_rex_policy_using_subcommand explain" -l argument -d 'An argument of a program that is executed; may be given again' -r
complete -c rex-policy -n "__fish_rex_policy_using_subcommand explain" -l question -d 'The question as a file of JSON, `-` for standard input, instead of all of these' -r -F
complete -c rex-policy -n "__fish_rex_policy_using_subcommand explain" -l record -d 'The decision of this number in the audit log' -r
complete -c rex-policy -n "__fish_rex_policy_using_subcommand explain" -l audit-log -d 'The directory of the audit log [default: the configured one]' -r -F
complete -c rex-policy -n "__fish_rex_policy_using_subcommand explain" -l config -d 'The broker\'s configuration, which names the store [default: /etc/rex/broker.toml, if it is there]' -r -F
complete -c rex-policy -n "__fish_rex_policy_using_subcommand explain" -l policies -d 'Another directory of policies than the configured one' -r -F
complete -c rex-policy -n "__fish_rex_policy_using_subcommand explain" -s o -l output-format -d 'How the answer is shown' -r -f -a "human\t'For people'
json\t'One object of JSON'"
complete -c rex-policy -n "__fish_rex_policy_using_subcommand explain" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c rex-policy -n "__fish_rex_policy_using_subcommand list" -l user -d 'Who [default: you]' -r
complete -c rex-policy -n "__fish_rex_policy_using_subcommand list" -l group -d 'A group that it is in; may be given again [default: those of the user]' -r
complete -c rex-policy -n "__fish_rex_policy_using_subcommand list" -l config -d 'The broker\'s configuration, which names the store [default: /etc/rex/broker.toml, if it is there]' -r -F
complete -c rex-policy -n "__fish_rex_policy_using_subcommand list" -l policies -d 'Another directory of policies than the configured one' -r -F
complete -c rex-policy -n "__fish_rex_policy_using_subcommand list" -s o -l output-format -d 'How the answer is shown' -r -f -a "human\t'For people'
json\t'One object of JSON'"
complete -c rex-policy -n "__fish_rex_policy_using_subcommand list" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c rex-policy -n "__fish_rex_policy_using_subcommand diff" -l audit-log -d 'The directory of the audit log whose requests are asked again [default: the configured one]' -r -F
complete -c rex-policy -n "__fish_rex_policy_using_subcommand diff" -l config -d 'The broker\'s configuration, which names the store [default: /etc/rex/broker.toml, if it is there]' -r -F
complete -c rex-policy -n "__fish_rex_policy_using_subcommand diff" -l policies -d 'Another directory of policies than the configured one' -r -F
complete -c rex-policy -n "__fish_rex_policy_using_subcommand diff" -s o -l output-format -d 'How the answer is shown' -r -f -a "human\t'For people'
json\t'One object of JSON'"
complete -c rex-policy -n "__fish_rex_policy_using_subcommand diff" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c rex-policy -n "__fish_rex_policy_using_subcommand suggest" -l run -d 'The run, by the beginning of its id' -r
complete -c rex-policy -n "__fish_rex_policy_using_subcommand suggest" -l generalise -d 'Name a directory where so many files of it were used alike' -r
complete -c rex-policy -n "__fish_rex_policy_using_subcommand suggest" -l audit-log -d 'The directory of the audit log [default: the configured one]' -r -F
complete -c rex-policy -n "__fish_rex_policy_using_subcommand suggest" -l config -d 'The broker\'s configuration, which names the store [default: /etc/rex/broker.toml, if it is there]' -r -F
complete -c rex-policy -n "__fish_rex_policy_using_subcommand suggest" -l policies -d 'Another directory of policies than the configured one' -r -F
complete -c rex-policy -n "__fish_rex_policy_using_subcommand suggest" -s o -l output-format -d 'How the answer is shown' -r -f -a "human\t'For people'
json\t'One object of JSON'"
complete -c rex-policy -n "__fish_rex_policy_using_subcommand suggest" -l with-denied -d 'Permit as well what the run was denied because nothing permitted it'
complete -c rex-policy -n "__fish_rex_policy_using_subcommand suggest" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c rex-policy -n "__fish_rex_policy_using_subcommand reload" -l socket -d 'Where the broker listens [default: the configured socket]' -r -F
complete -c rex-policy -n "__fish_rex_policy_using_subcommand reload" -l config -d 'The broker\'s configuration, which names the store [default: /etc/rex/broker.toml, if it is there]' -r -F
complete -c rex-policy -n "__fish_rex_policy_using_subcommand reload" -l policies -d 'Another directory of policies than the configured one' -r -F
complete -c rex-policy -n "__fish_rex_policy_using_subcommand reload" -s o -l output-format -d 'How the answer is shown' -r -f -a "human\t'For people'
json\t'One object of JSON'"
complete -c rex-policy -n "__fish_rex_policy_using_subcommand reload" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c rex-policy -n "__fish_rex_policy_using_subcommand help; and not __fish_seen_subcommand_from check test explain list diff suggest reload help" -f -a "check" -d 'Are policies fit to be used? Syntax, schema, owners, modes, their tests, and what can never match'
complete -c rex-policy -n "__fish_rex_policy_using_subcommand help; and not __fish_seen_subcommand_from check test explain list diff suggest reload help" -f -a "test" -d 'Do the tests beside policies pass?'
complete -c rex-policy -n "__fish_rex_policy_using_subcommand help; and not __fish_seen_subcommand_from check test explain list diff suggest reload help" -f -a "explain" -d 'Why is a request allowed or denied?'
complete -c rex-policy -n "__fish_rex_policy_using_subcommand help; and not __fish_seen_subcommand_from check test explain list diff suggest reload help" -f -a "list" -d 'What may somebody do?'
complete -c rex-policy -n "__fish_rex_policy_using_subcommand help; and not __fish_seen_subcommand_from check test explain list diff suggest reload help" -f -a "diff" -d 'What would other policies decide differently?'
complete -c rex-policy -n "__fish_rex_policy_using_subcommand help; and not __fish_seen_subcommand_from check test explain list diff suggest reload help" -f -a "suggest" -d 'The least policies that allow what a recorded run did'
complete -c rex-policy -n "__fish_rex_policy_using_subcommand help; and not __fish_seen_subcommand_from check test explain list diff suggest reload help" -f -a "reload" -d 'Have the broker load its policies anew'
complete -c rex-policy -n "__fish_rex_policy_using_subcommand help; and not __fish_seen_subcommand_from check test explain list diff suggest reload help" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
