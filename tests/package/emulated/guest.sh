#!/bin/sh
# What is tried in the emulated machine, as root, in two boots of it: `guest.sh installed` and `guest.sh rebooted`.
# Each line tells one thing; the last one whether all came out as it should.
failed=0
unit=rex-broker.service
group=/sys/fs/cgroup/system.slice/$unit
broker=/usr/libexec/rex/rex-broker

tell() { echo "      $*"; }
check() {
    what=$1; shift
    if "$@" > /tmp/said 2>&1; then echo "ok    $what"; else echo "FAIL  $what"; failed=1; tail -n 20 /tmp/said; fi
}
# run_as USER SCRIPT OPTION...
run_as() {
    user=$1; echo "$2" > /tmp/script.rhai; chmod 644 /tmp/script.rhai; shift 2
    setpriv --reuid "$user" --regid "$(id -g "$user")" --init-groups rex-exec "$@" /tmp/script.rhai
}
# gives CODE TEXT USER SCRIPT OPTION...: the run ends with this code and says this
gives() {
    code=$1 text=$2; shift 2
    run_as "$@" > /tmp/answer 2>&1; got=$?
    cat /tmp/answer
    [ $got = "$code" ] && grep -q -- "$text" /tmp/answer || { echo "exit code $got, not $code with \`$text\`"; return 1; }
}
policy() {
    echo "$1" > /etc/rex/policies.d/trial.cedar
    rex-policy reload > /dev/null
}
# A program that the script executes: perl(1), which every Debian has.
perl_script() {
    echo "let dir = DirConfig().path(\"/usr/bin\").build().open(OpenDirOptions().build());
    let perl = dir.open_file(\"perl\", OpenFileOptions().read(true).build());
    let r = perl.execute(ExecuteOptions().args([\"-e\", \`$1\`]).build());
    [r.exit_code, r.stdout, r.stderr]"
}
until_so() { for i in $(seq 600); do "$@" > /dev/null 2>&1 && return; sleep 0.2; done; return 1; }

READ='cat("/srv/trial/file")'
# Forks until it is refused, then stays for a while and says how often it could.
FORKS='my $n = 0; while (1) { my $p = fork; last unless defined $p; if (!$p) { sleep 900; exit } $n++ } my $why = $!;
    open my $g, "<", "/proc/self/cgroup"; my ($own) = <$g> =~ /^0::(.*)$/; my $at = "/sys/fs/cgroup$own"; my @told;
    for (qw(pids.current pids.max pids.events)) { open my $f, "<", "$at/$_"; chomp(my $is = <$f>); push @told, "$_ $is" }
    print join(", ", "$n children", $why, @told)'
# Several processes, of which none alone has too much memory.
EATS='for (1..8) { if (!fork) { my $x = "x" x 50e6; sleep 30; exit } } for (1..8) { wait; print "$? " }'
# How much of ten seconds it runs.
SPINS='my $end = time + 10; 1 while time < $end; printf "%.1f s of 10", (times)[0]'

forks_until_refused() {
    gives 0 "Resource temporarily unavailable" "$1" "$(perl_script "$FORKS")" --memory 2G || { cat /tmp/answer; return 1; }
    cp /tmp/answer /tmp/forked
}
nothing_is_left() {
    ! pgrep -x perl && [ "$(ls -d "$group"/run-* | wc -l)" = 2 ]
}

installed() {
    tell "Linux $(uname -r), systemd $(systemctl --version | sed -n '1s/systemd \([0-9]*\).*/\1/p'), $(cat /sys/kernel/security/lsm)"
    tell "controllers: $(cat /sys/fs/cgroup/cgroup.controllers)"
    mkdir -p /srv/trial; echo hello > /srv/trial/file; chmod 755 /srv/trial
    check "it installs" dpkg --install /root/rex-broker.deb
    check "the socket listens, the service waits" sh -c "systemctl is-active rex-broker.socket && ! systemctl is-active $unit"
    $broker doctor > /tmp/doctor; code=$?
    sed 's/^/      /' /tmp/doctor
    # Older kernels have all that is needed, and not all that is known.
    check "the host has the walls that are needed" [ $code = 0 -o $code = 3 ]
    check "without policies an ordinary user may do nothing" gives 4 "nobody unauthorized" nobody "$READ"
    policy 'permit(principal == User::"nobody", action in [file_system::Action::"open", file_system::Action::"read"],
        resource in file_system::Dir::"/srv/trial");'
    check "an ordinary user may what policy permits" gives 0 hello nobody "$READ"
    check "and nothing else" gives 4 "nobody unauthorized" nobody 'cat("/etc/hostname")'
    check "another user may not" gives 4 "root unauthorized" root "$READ"
    $broker status | sed 's/^/      /'
    check "runs have groups with all controllers" sh -c "$broker status | grep -q 'control groups (memory, pids, cpu)'"
    until_so nothing_is_left
    for one in "$group"/run-*; do
        tell "${one##*/}: memory.max $(cat "$one/memory.max"), pids.max $(cat "$one/pids.max"), cpu.weight $(cat "$one/cpu.weight"), cpu.max $(cat "$one/cpu.max")"
    done
    policy 'permit(principal, action, resource);'
    check "processes that together use too much memory are ended" gives 0 . root "$(perl_script "$EATS")" --memory 256M
    tell "$(tr '\n' ' ' < /tmp/answer)"
    check "memory that is used up by the group shows" sh -c "journalctl -k --no-pager | grep -q 'Memory cgroup out of memory'"
    check "the broker serves" gives 0 hello root "$READ"
    check "an ordinary user's program forks until it is refused" forks_until_refused nobody
    tell "$(cat /tmp/forked)"
    check "nothing is left of it" until_so nothing_is_left
    check "root's program does too" forks_until_refused root
    tell "$(cat /tmp/forked)"
    check "nothing is left of that" until_so nothing_is_left
    check "the broker serves" gives 0 hello nobody "$READ"
    echo "cpu_percent = 50" >> /etc/rex/broker.toml
    systemctl restart $unit
    check "half of a processor is what a run has" gives 0 . root "$(perl_script "$SPINS")"
    tell "$(cat /tmp/answer), cpu.max $(cat "$group"/run-*/cpu.max | sort -u)"
    check "the log is whole" rex-audit verify
    sed 's/^/      /' /tmp/said
    tell "$(sed 's/.*"kind":"\([a-z-]*\)".*/\1/' /var/log/rex/audit.jsonl | sort | uniq -c | tr -s ' \n' ' ')"
    tell "exposure: $(systemd-analyze security --no-pager $unit | tail -n 1)"
    wc -l < /var/log/rex/audit.jsonl > /root/records
}

rebooted() {
    check "after a reboot the socket listens, the service waits" sh -c "systemctl is-active rex-broker.socket && ! systemctl is-active $unit"
    check "the first who comes is served" gives 0 hello nobody "$READ"
    check "the log goes on" sh -c "rex-audit verify && [ \$(wc -l < /var/log/rex/audit.jsonl) -gt $(cat /root/records) ]"
    check "it is removed" dpkg --remove rex-broker
    check "no process is left" sh -c "! pgrep rex-"
    check "its data is left" [ -e /etc/rex/policies.d/trial.cedar -a -e /var/log/rex/audit.jsonl -a ! -e /run/rex ]
    check "it is purged" dpkg --purge rex-broker
    check "nothing is left" sh -c "! ls -d /etc/rex /var/log/rex /run/rex /usr/libexec/rex /usr/share/doc/rex-broker 2>/dev/null"
}

"$1"
[ $failed = 0 ] && echo "all is as it should be" || echo "something is not as it should be"
