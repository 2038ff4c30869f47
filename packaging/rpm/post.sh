# After it is installed (1) or upgraded (2). Nothing is configured: a machine without policies permits nothing.
if [ -d /run/systemd/system ]; then
    systemd-tmpfiles --create rex.conf || :
    systemctl daemon-reload >/dev/null || :
fi
if [ "$1" -eq 1 ]; then
    # Whether it is enabled is for the distribution's presets to say, or for root.
    systemctl preset rex-broker.socket >/dev/null 2>&1 || :
elif [ -d /run/systemd/system ]; then
    # Where it runs, the new program takes over; runs under way come to their end with the old one.
    systemctl try-restart rex-broker.service >/dev/null || :
fi
