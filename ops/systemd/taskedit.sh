#!/bin/sh
# taskedit with the settings of the service, for root: taskedit doctor. Installed as
# /usr/local/sbin/taskedit. The settings that the unit names are told here too, for a unit of its own
# is what reads worker.env as systemd does. Those of the shell come last and win; they go by a file
# that is deleted already, for everybody may read a unit's properties.
set -eu
how=--pipe
[ -t 0 ] && [ -t 1 ] && how=--pty
url=/etc/taskedit/amqp.url
[ -z "${TASKEDIT_AMQP_URL:-}" ] || url=
shells=$(mktemp)
exec 3<>"$shells"
rm "$shells"
env | sed -n 's/[\\"$`]/\\&/g; s/^\(TASKEDIT_[A-Z_]*\)=\(.*\)/\1="\2"/p' >&3
exec systemd-run --quiet --collect --wait "$how" --same-dir \
    --property=EnvironmentFile=-/etc/taskedit/worker.env \
    --property=EnvironmentFile=/proc/$$/fd/3 \
    --setenv="TASKEDIT_AMQP_URL_FILE=$url" \
    --setenv=TASKEDIT_ACCOUNTS_FILE=/etc/taskedit/accounts.toml \
    --setenv=STATE_DIRECTORY=/var/lib/taskedit \
    --setenv="TERM=${TERM:-dumb}" --setenv="EDITOR=${EDITOR:-vi}" \
    /opt/taskedit/bin/taskedit "$@"
