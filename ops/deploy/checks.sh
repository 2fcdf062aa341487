# What the scripts beside it share. A check that fails ends the script.
# shellcheck shell=bash
step() { printf '%4d s  %s\n' "$SECONDS" "$*"; }

# NAME SUITE PACKAGES…: the folder of a Debian with these, made the first time.
tree() {
    local name=$1 suite=$2
    shift 2
    .venv/bin/python -c 'import sys; from ops.rabbitmq.chroot import debian
print(debian(sys.argv[2], sys.argv[3:], name=sys.argv[1]))' "$name" "$suite" "$@"
}

# The folder of a Debian with Docker and Podman.
engine() {
    tree docker trixie docker.io docker-cli docker-compose docker-buildx iptables runc podman
}

# SENTENCE COMMAND…: it succeeds now.
check() {
    local sentence=$1
    shift
    "$@" >/dev/null 2>&1 || { step "NOT: $sentence"; return 1; }
    step "$sentence"
}

# SECONDS SENTENCE COMMAND…: it succeeds within that time.
within() {
    local deadline=$((SECONDS + $1)) sentence=$2
    shift 2
    until "$@" >/dev/null 2>&1; do
        ((SECONDS < deadline)) || { step "NOT: $sentence"; return 1; }
        sleep 0.2
    done
    step "$sentence"
}

# COMMAND…: it fails.
fails() { ! "$@"; }

# FILE COMMAND…: what it prints goes to the file.
logged() {
    local file=$1
    shift
    "$@" >"$file" 2>&1
}
