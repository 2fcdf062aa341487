#!/usr/bin/env bash
# Mistakes, each planted in a copy of the repository, and each to be found by the script that it is
# for: `ops/deploy/plants.sh [NAME…]`, all without a name. As root. Ends with 1 unless every one
# turns its script red, at the check that is there for it.
set -euo pipefail
cd "$(dirname "$0")/../.."
. ops/deploy/checks.sh

# NAME|SCRIPT|FILE|what sed makes of it|the check that fails
plants() {
    cat <<'I'
compose-probe|compose.sh|ops/docker/Dockerfile|s:'/livez':'/live':|everything is up and healthy
compose-uid|compose.sh|docker-compose.yml|s/65532:65532/65533:65533/|the worker is nobody
compose-capability-kept|compose.sh|docker-compose.yml|s/cap_drop: .ALL./cap_drop: []/|it has no capability, and can get none
compose-capability-missing|compose.sh|docker-compose.yml|/user: "999:999"/d|everything is up and healthy
compose-credential|compose.sh|docker-compose.yml|s:/etc/taskedit/amqp.url:/etc/taskedit/amqp.uri:|everything is up and healthy
compose-exit-code|compose.sh|docker-compose.yml|s/-eq 78/-eq 79/|(the container becomes unhealthy|and is not started over and over)
quadlet-uid|quadlet.sh|ops/podman/task-edit-worker.container|s:^User=65532:User=65533:|the container gets --user 65532:65532
quadlet-capability|quadlet.sh|ops/podman/task-edit-worker.container|/^DropCapability=/d|the container gets --cap-drop all
quadlet-credential|quadlet.sh|ops/podman/task-edit-worker.container|s:worker.env$:work.env:|the container gets --env-file /etc/taskedit/worker.env
quadlet-exit-code|quadlet.sh|ops/podman/task-edit-worker.container|/^RestartPreventExitStatus=/d|bad settings are not tried again
systemd-probe|systemd.sh|ops/systemd/task-edit-worker.service|/^WatchdogSec=/d|frozen, it is ended by the watchdog and started again
systemd-uid|systemd.sh|ops/systemd/task-edit-worker.service|s/^User=taskedit/User=daemon/|it runs as taskedit
systemd-capability|systemd.sh|ops/systemd/task-edit-worker.service|s/^CapabilityBoundingSet=/&CAP_NET_BIND_SERVICE/|and without a capability
systemd-credential|systemd.sh|ops/systemd/task-edit-worker.service|s:^LoadCredential=.*:&.txt:|the worker says that it is ready
systemd-exit-code|systemd.sh|ops/systemd/task-edit-worker.service|/^RestartPreventExitStatus=/d|and it has failed
I
}

copy=$(mktemp -d "${TMPDIR:-/tmp}/plants.XXXXXX")
trap 'rm -rf --one-file-system "$copy"' EXIT

# SCRIPT FILE EDIT SENTENCE: the mistake is found, and by that check.
found() {
    local script=$1 file=$2 edit=$3 sentence=$4
    rm -rf --one-file-system "$copy/repository"
    mkdir "$copy/repository"
    git ls-files -z | xargs -0 cp --parents --target-directory "$copy/repository"
    ln -s "$PWD/.venv" "$copy/repository/.venv"
    sed --in-place "$edit" "$copy/repository/$file"
    ! cmp --quiet "$file" "$copy/repository/$file" || { step "NOT: $file holds what is to be spoilt"; return 1; }
    ! "$copy/repository/ops/deploy/$script" >"$copy/log" 2>&1 || { step "NOT: red"; return 1; }
    grep '^ *[0-9]* s  NOT: ' "$copy/log" || true
    grep -qxE " *[0-9]+ s  NOT: $sentence" "$copy/log" || { tail -n 20 "$copy/log"; return 1; }
}

status=0
while IFS='|' read -r name script file edit sentence <&3; do
    [ $# = 0 ] || [[ " $* " == *" $name "* ]] || continue
    step "$name: $file, $edit"
    found "$script" "$file" "$edit" "$sentence" </dev/null || { step "NOT FOUND: $name"; status=1; }
done 3< <(plants)
exit "$status"
