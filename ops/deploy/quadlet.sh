#!/usr/bin/env bash
# The Quadlet, read by Podman's own generator. As root. (It is not run: that takes a machine that
# systemd has booted, with an engine.)
set -euo pipefail
cd "$(dirname "$0")/../.."
. ops/deploy/checks.sh

engine=$(engine)
files=$(mktemp -d "$engine/tmp/quadlet.XXXXXX")
trap 'rm -rf "$files"' EXIT
cp ops/podman/*.container ops/podman/*.volume "$files/"
generated() {
    chroot "$engine" env QUADLET_UNIT_DIRS="${files#"$engine"}" /usr/libexec/podman/quadlet -dryrun
}
check "Podman's generator takes the Quadlet" generated
start=$(generated 2>/dev/null | grep '^ExecStart=.*podman run')
for option in --read-only '--cap-drop all' --security-opt=no-new-privileges '--user 65532:65532' \
    '--stop-timeout 60' '--env-file /etc/taskedit/worker.env' systemd-task-edit-state:/var/lib/taskedit; do
    check "the container gets $option" grep -qF -- "$option" <<<"$start"
done
restarts() { generated 2>/dev/null | grep -qx "RestartPreventExitStatus=78"; }
check "bad settings are not tried again" restarts
step "Quadlet: all as it should be"
