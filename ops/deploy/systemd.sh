#!/usr/bin/env bash
# The unit, seen running: systemd 252 (Debian 12) as PID 1 of a container, the worker installed as
# ops/systemd/README.md says. As root. What a container cannot show: memory and task limits.
set -euo pipefail
cd "$(dirname "$0")/../.."
. ops/deploy/checks.sh

machine=taskedit-$$
box=$(mktemp -d "${TMPDIR:-/tmp}/deploy.XXXXXX")
trap 'rm -rf --one-file-system "$box"' EXIT
command -v systemd-nspawn >/dev/null || .venv/bin/python -m ops.programs systemd-nspawn >/dev/null
base=$(tree systemd bookworm systemd systemd-sysv dbus python3 python3-venv rabbitmq-server procps)
cp -a --reflink=auto "$base/." "$box/tree"
step "a Debian 12 with systemd and RabbitMQ"

# As the README says, in an unpacked release, beside its wheel.
rm -rf build/deploy
.venv/bin/uv build --quiet --no-build-isolation --python .venv/bin/python --out-dir build/deploy .
release=$box/tree/root/release
mkdir "$release"
tar --extract --file build/deploy/*.tar.gz --strip-components 1 --directory "$release"
cp build/deploy/*.whl "$release/"
cp /etc/ssl/certs/ca-certificates.crt "$box/tree/etc/ssl/certs/"
cp /etc/resolv.conf "$box/tree/etc/resolv.conf"
printf 'taskedit-box\n' >"$box/tree/etc/hostname"
printf '127.0.0.1 localhost taskedit-box\n' >"$box/tree/etc/hosts"
cat >"$release/accounts.toml" <<'I'
[accounts.acme]
api_key_file = "acme.key"
api_secret_file = "acme.secret"
api_url = "http://127.0.0.1:8080/aivoice"
app_ids = ["acme-app"]
rate = "20/s"
I
printf demo-key >"$release/acme.key"
printf demo-secret >"$release/acme.secret"
install -d "$box/tree/etc/taskedit"
echo TASKEDIT_NAMESPACE=task-edit >"$box/tree/etc/taskedit/worker.env"
cat >"$box/tree/etc/systemd/system/simulator.service" <<'I'
[Service]
WorkingDirectory=/root/release
ExecStart=/opt/taskedit/bin/python -m ops.simulator --account=demo-key:demo-secret:acme-app --latency=20ms
[Install]
WantedBy=multi-user.target
I
# The README's own lines, up to the start: what is typed there comes from a file here.
sed -n '/^```sh$/,/^```$/{ /^```/d; p }' ops/systemd/README.md |
    sed 's:/dev/stdin /etc/taskedit/amqp.url.*:amqp.url /etc/taskedit/amqp.url:; /^systemctl daemon-reload/d
         s:^systemctl enable --now:systemctl enable:' >"$release/install.sh"
printf 'amqp://guest:guest@localhost:5672/%%2F' >"$release/amqp.url"
unshare --mount sh -c 'mount --bind /dev "$1/dev"; mount --rbind /proc "$1/proc"
    export PIP_CERT=/etc/ssl/certs/ca-certificates.crt PIP_DISABLE_PIP_VERSION_CHECK=1
    exec chroot "$1" sh -euxc "cd /root/release; . ./install.sh; systemctl enable simulator rabbitmq-server"' \
    sh "$box/tree" >"$box/install.log" 2>&1 || { tail -n 20 "$box/install.log"; exit 1; }
step "installed by the README's own lines"

systemd-nspawn --quiet --directory "$box/tree" --machine "$machine" --boot --register=no \
    --keep-unit --private-network --link-journal=no --console=pipe \
    --kill-signal=SIGRTMIN+3 >"$box/boot.log" 2>&1 </dev/null &
nspawn=$!
end() {
    status=$?
    [ "$status" = 0 ] || {
        tail -n 20 "$box/boot.log"
        inside journalctl --unit task-edit-worker --unit task-edit-console --no-pager --lines 200 |
            grep -v '"event":"edit"' | tail -n 20 || true
    }
    kill "$nspawn" 2>/dev/null || true
    wait || true
    rm -rf --one-file-system "$box" || true
    exit "$status"
}
inside() {
    nsenter --target "$(pgrep --parent "$nspawn" | head -n 1)" --mount --uts --ipc --net --pid \
        --cgroup --root --wd -- "$@"
}
trap end EXIT
unit=task-edit-worker
property() { inside systemctl show --property "$1" --value $unit; }
is() { test "$(property "$1")" = "$2"; }
main_pid() { pgrep --parent "$(pgrep --parent "$nspawn" | head -n 1)" --full 'taskedit run' | head -n 1; }
has_logged() { inside journalctl --unit $unit --output cat --no-pager | grep -q "$1"; }

within 90 "systemd has booted" inside systemctl is-active multi-user.target
within 120 "the worker says that it is ready" is ActiveState active
ready() { inside python3 -c 'from urllib.request import urlopen as u; u("http://127.0.0.1:9464/readyz")'; }
within 180 "RabbitMQ is up, and it is connected" ready
check "systemctl status tells how it is" test -n "$(property StatusText)"
edits() {
    seq "$1" $(($1 + $2 - 1)) | sed 's/.*/{"appId":"acme-app","jobId":&,"name":"seen-running","dialogFlowId":8663,"mode":"MANUAL","dailyStartDateTime":"09:00","dailyEndDateTime":"20:00","robotCount":1,"jobPhoneNumberId":2959,"redial":false}/'
}
applied() {
    edits "$1" "$2" | inside env TASKEDIT_ACCOUNTS_FILE=/etc/taskedit/accounts.toml \
        /opt/taskedit/bin/taskedit publish - --wait
}
check "200 edits are applied" logged "$box/edits.log" applied 1 200
commanded() { inside /usr/local/sbin/taskedit lanes --json | grep -q '"account": *"acme"'; }
check "a command has the service's settings" commanded
overridden() {
    { inside env TASKEDIT_NAMESPACE='of "my" $hell' /usr/local/sbin/taskedit doctor || true; } |
        grep -qF 'of "my" $hell'
}
check "a setting of the shell reaches it, before that of worker.env" overridden
check "and its exit code is told" fails inside /usr/local/sbin/taskedit history --job no-number
check "it runs as taskedit" test "$(inside ps -o user= -p "$(property MainPID)")" = taskedit
check "and without a capability" test \
    "$(inside sed -n 's/^CapBnd:\t//p' "/proc/$(property MainPID)/status")" = 0000000000000000
check "the broker's address is a credential that only it can read" \
    fails inside setpriv --reuid nobody --clear-groups cat /etc/taskedit/amqp.url

signed_in() { # with the code that its journal shows, which is good for once
    local code page=http://127.0.0.1:9465
    code=$(inside journalctl --unit task-edit-console --output cat --no-pager | grep -o 'code=.*' | tail -n 1)
    inside python3 -c 'import sys, urllib.request as u
page, code = sys.argv[1:]
browser = u.build_opener(u.HTTPCookieProcessor())
browser.addheaders = [("Origin", page)]
assert b"acme" in browser.open(page + "/sign-in", code.encode()).read()' "$page" "$code"
}
within 60 "the console's code signs in, and its page shows the account" signed_in

before=$(property MainPID)
check "reload succeeds" inside systemctl reload $unit
within 20 "and has the accounts read again" has_logged settings_adopted
check "by the same process" is MainPID "$before"

inside kill -STOP "$before"
watched() { has_logged 'watchdog timeout\|Watchdog timeout' && is ActiveState active && fails is MainPID "$before"; }
within 120 "frozen, it is ended by the watchdog and started again" watched
within 60 "and is ready" ready
check "and applies edits" logged "$box/edits.log" applied 1000 50

before=$(property MainPID)
inside kill -KILL "$before"
again() { is ActiveState active && fails is MainPID "$before"; }
within 60 "killed, it is started again" again
within 60 "and is ready" ready
check "and applies edits" logged "$box/edits.log" applied 2000 50

edits 3000 500 | inside env TASKEDIT_ACCOUNTS_FILE=/etc/taskedit/accounts.toml \
    /opt/taskedit/bin/taskedit publish - >/dev/null 2>&1
inside systemctl stop $unit
check "stopped under load, it ends with 0" is ExecMainStatus 0
check "and that is success" is Result success

inside sh -c 'echo no_such_setting = 1 >>/etc/taskedit/accounts.toml'
inside systemctl start $unit >/dev/null 2>&1 || true
within 30 "bad settings end it with 78" is ExecMainStatus 78
# A unit that is to be started again is `activating` from the moment it ends.
check "and it has failed" is ActiveState failed
check "and is not started over and over" is NRestarts 0
step "systemd: all as it should be"
