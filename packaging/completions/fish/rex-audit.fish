# Print an optspec for argparse to handle cmd's options that are independent of any subcommand.
function __fish_rex_audit_global_optspecs
    string join \n directory= config= h/help V/version
end

function __fish_rex_audit_needs_command
    # Figure out if the current invocation already has a command.
    set -l cmd (commandline -opc)
    set -e cmd[1]
    argparse -s (__fish_rex_audit_global_optspecs) -- $cmd 2>/dev/null
    or return
    if set -q argv[1]
        # Also print the command, so this can be used to figure out what it is.
        echo $argv[1]
        return 1
    end
    return 0
end

function __fish_rex_audit_using_subcommand
    set -l cmd (__fish_rex_audit_needs_command)
    test -z "$cmd"
    and return 1
    contains -- $cmd[1] $argv
end

complete -c rex-audit -n "__fish_rex_audit_needs_command" -l directory -d 'Directory of the audit log [default: as the broker\'s configuration says, else /var/log/rex]' -r -F
complete -c rex-audit -n "__fish_rex_audit_needs_command" -l config -d 'The broker\'s configuration, which tells the directory [default: /etc/rex/broker.toml, if it is there]' -r -F
complete -c rex-audit -n "__fish_rex_audit_needs_command" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c rex-audit -n "__fish_rex_audit_needs_command" -s V -l version -d 'Print version'
complete -c rex-audit -n "__fish_rex_audit_needs_command" -f -a "verify" -d 'Look whether the log is what was written, all of it and nothing else'
complete -c rex-audit -n "__fish_rex_audit_needs_command" -f -a "show" -d 'Show records: lines for people on a terminal, else JSON as it stands in the log'
complete -c rex-audit -n "__fish_rex_audit_needs_command" -f -a "follow" -d 'Show records, and go on with those that come'
complete -c rex-audit -n "__fish_rex_audit_needs_command" -f -a "report" -d 'Write one HTML page about what was decided and done'
complete -c rex-audit -n "__fish_rex_audit_needs_command" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
complete -c rex-audit -n "__fish_rex_audit_using_subcommand verify" -s o -l output-format -d 'How the result is shown' -r -f -a "human\t'For people'
json\t'For programs'"
complete -c rex-audit -n "__fish_rex_audit_using_subcommand verify" -l directory -d 'Directory of the audit log [default: as the broker\'s configuration says, else /var/log/rex]' -r -F
complete -c rex-audit -n "__fish_rex_audit_using_subcommand verify" -l config -d 'The broker\'s configuration, which tells the directory [default: /etc/rex/broker.toml, if it is there]' -r -F
complete -c rex-audit -n "__fish_rex_audit_using_subcommand verify" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c rex-audit -n "__fish_rex_audit_using_subcommand show" -l run -d 'Only of this run: its id, or at least the first 4 characters of it' -r
complete -c rex-audit -n "__fish_rex_audit_using_subcommand show" -l user -d 'Only of runs of this user' -r
complete -c rex-audit -n "__fish_rex_audit_using_subcommand show" -l decision -d 'Only decisions that came out so' -r -f -a "allow\t''
deny\t''"
complete -c rex-audit -n "__fish_rex_audit_using_subcommand show" -l resource -d 'Only decisions on resources that contain this; with `*`, that are like this' -r
complete -c rex-audit -n "__fish_rex_audit_using_subcommand show" -l action -d 'Only decisions on this action: `read`, `file_system read`, or as policies write it' -r
complete -c rex-audit -n "__fish_rex_audit_using_subcommand show" -l kind -d 'Only records of this kind: decision, outcome, run-start, run-end, run-refused, violation, broker-start, broker-stop, policy-load, asked, rotated, retired, recovered, gap' -r
complete -c rex-audit -n "__fish_rex_audit_using_subcommand show" -l since -d 'Only from then on: 2026-11-25T10:30:00Z, 2026-11-25, 10:30, or 2h or 3d for so long ago' -r
complete -c rex-audit -n "__fish_rex_audit_using_subcommand show" -l until -d 'Only up to then; a day is meant as a whole' -r
complete -c rex-audit -n "__fish_rex_audit_using_subcommand show" -l last -d 'Only the last so many of what is there' -r
complete -c rex-audit -n "__fish_rex_audit_using_subcommand show" -s o -l output-format -d 'How records are shown: human on a terminal, else json, unless given' -r -f -a "human\t'For people'
json\t'For programs'"
complete -c rex-audit -n "__fish_rex_audit_using_subcommand show" -l directory -d 'Directory of the audit log [default: as the broker\'s configuration says, else /var/log/rex]' -r -F
complete -c rex-audit -n "__fish_rex_audit_using_subcommand show" -l config -d 'The broker\'s configuration, which tells the directory [default: /etc/rex/broker.toml, if it is there]' -r -F
complete -c rex-audit -n "__fish_rex_audit_using_subcommand show" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c rex-audit -n "__fish_rex_audit_using_subcommand follow" -l run -d 'Only of this run: its id, or at least the first 4 characters of it' -r
complete -c rex-audit -n "__fish_rex_audit_using_subcommand follow" -l user -d 'Only of runs of this user' -r
complete -c rex-audit -n "__fish_rex_audit_using_subcommand follow" -l decision -d 'Only decisions that came out so' -r -f -a "allow\t''
deny\t''"
complete -c rex-audit -n "__fish_rex_audit_using_subcommand follow" -l resource -d 'Only decisions on resources that contain this; with `*`, that are like this' -r
complete -c rex-audit -n "__fish_rex_audit_using_subcommand follow" -l action -d 'Only decisions on this action: `read`, `file_system read`, or as policies write it' -r
complete -c rex-audit -n "__fish_rex_audit_using_subcommand follow" -l kind -d 'Only records of this kind: decision, outcome, run-start, run-end, run-refused, violation, broker-start, broker-stop, policy-load, asked, rotated, retired, recovered, gap' -r
complete -c rex-audit -n "__fish_rex_audit_using_subcommand follow" -l since -d 'Only from then on: 2026-11-25T10:30:00Z, 2026-11-25, 10:30, or 2h or 3d for so long ago' -r
complete -c rex-audit -n "__fish_rex_audit_using_subcommand follow" -l until -d 'Only up to then; a day is meant as a whole' -r
complete -c rex-audit -n "__fish_rex_audit_using_subcommand follow" -l last -d 'Only the last so many of what is there' -r
complete -c rex-audit -n "__fish_rex_audit_using_subcommand follow" -s o -l output-format -d 'How records are shown: human on a terminal, else json, unless given' -r -f -a "human\t'For people'
json\t'For programs'"
complete -c rex-audit -n "__fish_rex_audit_using_subcommand follow" -l directory -d 'Directory of the audit log [default: as the broker\'s configuration says, else /var/log/rex]' -r -F
complete -c rex-audit -n "__fish_rex_audit_using_subcommand follow" -l config -d 'The broker\'s configuration, which tells the directory [default: /etc/rex/broker.toml, if it is there]' -r -F
complete -c rex-audit -n "__fish_rex_audit_using_subcommand follow" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c rex-audit -n "__fish_rex_audit_using_subcommand report" -l run -d 'Only of this run: its id, or at least the first 4 characters of it' -r
complete -c rex-audit -n "__fish_rex_audit_using_subcommand report" -l user -d 'Only of runs of this user' -r
complete -c rex-audit -n "__fish_rex_audit_using_subcommand report" -l decision -d 'Only decisions that came out so' -r -f -a "allow\t''
deny\t''"
complete -c rex-audit -n "__fish_rex_audit_using_subcommand report" -l resource -d 'Only decisions on resources that contain this; with `*`, that are like this' -r
complete -c rex-audit -n "__fish_rex_audit_using_subcommand report" -l action -d 'Only decisions on this action: `read`, `file_system read`, or as policies write it' -r
complete -c rex-audit -n "__fish_rex_audit_using_subcommand report" -l kind -d 'Only records of this kind: decision, outcome, run-start, run-end, run-refused, violation, broker-start, broker-stop, policy-load, asked, rotated, retired, recovered, gap' -r
complete -c rex-audit -n "__fish_rex_audit_using_subcommand report" -l since -d 'Only from then on: 2026-11-25T10:30:00Z, 2026-11-25, 10:30, or 2h or 3d for so long ago' -r
complete -c rex-audit -n "__fish_rex_audit_using_subcommand report" -l until -d 'Only up to then; a day is meant as a whole' -r
complete -c rex-audit -n "__fish_rex_audit_using_subcommand report" -l last -d 'Only the last so many of what is there' -r
complete -c rex-audit -n "__fish_rex_audit_using_subcommand report" -l day -d 'Only of this day' -r
complete -c rex-audit -n "__fish_rex_audit_using_subcommand report" -l output -d 'The file that is written [default: standard output]' -r -F
complete -c rex-audit -n "__fish_rex_audit_using_subcommand report" -l directory -d 'Directory of the audit log [default: as the broker\'s configuration says, else /var/log/rex]' -r -F
complete -c rex-audit -n "__fish_rex_audit_using_subcommand report" -l config -d 'The broker\'s configuration, which tells the directory [default: /etc/rex/broker.toml, if it is there]' -r -F
complete -c rex-audit -n "__fish_rex_audit_using_subcommand report" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c rex-audit -n "__fish_rex_audit_using_subcommand help; and not __fish_seen_subcommand_from verify show follow report help" -f -a "verify" -d 'Look whether the log is what was written, all of it and nothing else'
complete -c rex-audit -n "__fish_rex_audit_using_subcommand help; and not __fish_seen_subcommand_from verify show follow report help" -f -a "show" -d 'Show records: lines for people on a terminal, else JSON as it stands in the log'
complete -c rex-audit -n "__fish_rex_audit_using_subcommand help; and not __fish_seen_subcommand_from verify show follow report help" -f -a "follow" -d 'Show records, and go on with those that come'
complete -c rex-audit -n "__fish_rex_audit_using_subcommand help; and not __fish_seen_subcommand_from verify show follow report help" -f -a "report" -d 'Write one HTML page about what was decided and done'
complete -c rex-audit -n "__fish_rex_audit_using_subcommand help; and not __fish_seen_subcommand_from verify show follow report help" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
