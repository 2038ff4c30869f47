# After it is removed (0). What root has configured, the policies and the audit log stay.
if [ -d /run/systemd/system ]; then
    systemctl daemon-reload >/dev/null || :
fi
if [ "$1" -eq 0 ]; then
    # Directories are no files of the package.
    for directory in /run/rex /usr/libexec/rex /usr/share/licenses/rex-broker /usr/share/doc/rex-broker/examples/drop-ins \
        /usr/share/doc/rex-broker/examples /usr/share/doc/rex-broker; do
        rmdir --ignore-fail-on-non-empty "$directory" 2>/dev/null || :
    done
fi
