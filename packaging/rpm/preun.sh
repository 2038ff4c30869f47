# Stops everything before it is removed (0). For an upgrade nothing is stopped.
if [ "$1" -eq 0 ]; then
    # The socket first: a client would start the service again.
    systemctl disable rex-broker.socket rex-broker.service >/dev/null 2>&1 || :
    if [ -d /run/systemd/system ]; then
        systemctl stop rex-broker.socket rex-broker.service >/dev/null || :
        # Runs outlive a stop of the service, but not the removal of their programs.
        systemctl kill rex-broker.service >/dev/null 2>&1 || :
    fi
fi
