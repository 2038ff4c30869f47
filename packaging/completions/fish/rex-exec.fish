complete -c rex-exec -s s -l script-file -d 'The script, where the result should be JSON (see --output-format)' -r -F
complete -c rex-exec -s p -l policy-file -d 'A policy that must allow each operation as well; with --standalone the only one' -r -F
complete -c rex-exec -s a -l script-arguments-file -d 'Arguments of the script as a JSON object: {"name": {"stringValue": "x"}}' -r -F
complete -c rex-exec -l arg-json -d 'An argument of the script whose type is that of its JSON: count=3, names=["a", "b"]' -r
complete -c rex-exec -s o -l output-format -d 'How the result is shown: json with --script-file, human with SCRIPT, unless given' -r -f -a "json\t'One line of JSON'
pretty-json\t'JSON over several lines'
human\t'The script\'s output on standard output, errors on standard error'"
complete -c rex-exec -l reason -d 'Why it is run, for policies that ask: a ticket, a sentence' -r
complete -c rex-exec -l signature -d 'A signature of the script, as `ssh-keygen -Y sign -n rex-script` writes it, for policies that ask who signed it' -r -F
complete -c rex-exec -l timeout -d 'The longest time the script may take: 500ms, 30s, 5m, 1h; seconds without a unit' -r
complete -c rex-exec -l memory -d 'The most memory the script may use: 512M, 1G; bytes without a unit' -r
complete -c rex-exec -l socket -d 'Where the broker listens' -r -F
complete -c rex-exec -l bundle -d 'The script is a bundle: a JSON object of `script`, and `arguments` (as with --arg-json), `policy`, `signature` if any'
complete -c rex-exec -s v -l verbose -d 'Show log, metrics and alarms too (human), and warnings about the policy (all formats)'
complete -c rex-exec -l dry-run -d 'Decide everything, change nothing, and list what would be changed'
complete -c rex-exec -l ssh -d 'Run what comes by SSH on standard input; only as a forced command of sshd (`ForceCommand`, `command=`)'
complete -c rex-exec -l standalone -d 'Run without the broker, as the calling user and under the given policy alone'
complete -c rex-exec -s l -l list -d 'List what the policies of this machine say of you, and run nothing'
complete -c rex-exec -l strict -d 'Refuse a policy that does not fit the schema instead of warning'
complete -c rex-exec -s n -l non-interactive -d 'Never ask anything, fail instead; nothing asks today'
complete -c rex-exec -s h -l help -d 'Print help (see more with \'--help\')'
complete -c rex-exec -s V -l version -d 'Print version'
