#!/bin/sh
# taskedit with the settings of the service, for root: taskedit doctor. Installed as
# /usr/local/sbin/taskedit. The settings that the unit names are told here too, for a unit of its own
# is what reads worker.env as systemd does.
set -eu
how=--pipe
[ -t 0 ] && [ -t 1 ] && how=--pty
exec systemd-run --quiet --collect --wait "$how" --same-dir \
    --property=EnvironmentFile=-/etc/taskedit/worker.env \
    --setenv=TASKEDIT_AMQP_URL_FILE=/etc/taskedit/amqp.url \
    --setenv=TASKEDIT_ACCOUNTS_FILE=/etc/taskedit/accounts.toml \
    --setenv="TERM=${TERM:-dumb}" --setenv="EDITOR=${EDITOR:-vi}" \
    /opt/taskedit/bin/taskedit "$@"
