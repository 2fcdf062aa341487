#!/usr/bin/env bash
# Docker Compose, seen running: the shipped Dockerfile and docker-compose.yml on an engine of
# Debian's in a folder. As root, on a machine without Docker and without a registry of images.
#
# The base images, RabbitMQ's and Prometheus' are stand-ins made from Debian packages; the Dockerfile
# is built as it is, with its stage `python` replaced from outside (a build context of that name),
# not edited. Grafana is in no Debian, so of the profile `monitoring` only Prometheus is run here.
set -euo pipefail
cd "$(dirname "$0")/../.."
. ops/deploy/checks.sh

box=$(mktemp -d "${TMPDIR:-/tmp}/deploy.XXXXXX")
trap 'rm -rf --one-file-system "$box"' EXIT
engine=$(engine)
python=$(tree docker-python trixie python3 python3-venv)
rabbit=$(tree docker-rabbitmq forky rabbitmq-server)
prometheus=$(tree docker-prometheus forky prometheus)
step "trees of the engine, of Python, of RabbitMQ and of Prometheus"

[ -x "$python/usr/local/bin/pip" ] || chroot "$python" python3 -m venv /usr/local
cp /etc/ssl/certs/ca-certificates.crt "$python/etc/ssl/certs/"
chroot "$rabbit" sh -c '
    groupmod -og 999 rabbitmq; usermod -ou 999 -g 999 rabbitmq
    chown -R 999:999 /var/lib/rabbitmq /var/log/rabbitmq
    ln -sfn /usr/lib/rabbitmq/lib/rabbitmq_server-* /opt/rabbitmq'

# Within the engine's tree, in a mount namespace of its own.
cat >"$box/enter" <<'I'
#!/bin/sh
exec unshare --mount --propagation private sh -c 'set -e; box=$1 engine=$2 repository=$3; shift 3
[ ! -e /sys/fs/cgroup/unified ] || umount /sys/fs/cgroup/unified
mount --bind "$engine" "$engine"
mount --rbind /proc "$engine/proc"; mount --rbind /sys "$engine/sys"; mount --rbind /dev "$engine/dev"
mkdir -p "$engine/box" "$engine/repository" "$engine/old"
mount --rbind "$box" "$engine/box"; mount --bind "$repository" "$engine/repository"
cp /etc/resolv.conf "$engine/etc/"
cd "$engine"; pivot_root . old; umount -l /old; exec "$@"' sh "$@"
I
chmod +x "$box/enter"
limit=$(ulimit -Hn)
"$box/enter" "$box" "$engine" "$PWD" dockerd --data-root /box/data --exec-root /box/exec \
    --pidfile /box/pid --host unix:///box/sock --default-ulimit "nofile=$limit:$limit" \
    >"$box/dockerd.log" 2>&1 &
end() {
    status=$?
    [ "$status" = 0 ] || tail -n 40 "$box"/*.log || true
    compose down --volumes --timeout 5 >/dev/null 2>&1 || true
    kill "$(cat "$box/pid")" 2>/dev/null || true
    wait || true
    rm -rf --one-file-system "$box" || true
    exit "$status"
}
docker() {
    nsenter --target "$(cat "$box/pid")" --mount --root env DOCKER_HOST=unix:///box/sock \
        TASKEDIT_CONFIG="${config:-./ops/docker/demo}" \
        sh -c 'cd /repository; exec docker "$@"' sh "$@"
}
compose() { docker compose -f docker-compose.yml -f /box/override.yml --profile demo "$@"; }
worker() { docker inspect --format "$1" task-edit-worker-1; }
trap end EXIT

within 30 "the engine answers" docker info

tar -C "$python" -c . | docker import -c 'ENV PATH=/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin' \
    -c 'ENV PIP_CERT=/etc/ssl/certs/ca-certificates.crt' - standin/python >/dev/null
image=$(sed -n 's/^ *image: \(rabbitmq:.*\)/\1/p' docker-compose.yml)
tar -C "$rabbit" -c . | docker import \
    -c 'ENV PATH=/opt/rabbitmq/sbin:/usr/sbin:/usr/bin:/sbin:/bin HOME=/var/lib/rabbitmq' \
    -c 'ENV RABBITMQ_LOGS=- RABBITMQ_ENABLED_PLUGINS_FILE=/etc/rabbitmq/enabled_plugins' \
    -c 'ENV RABBITMQ_CONFIG_FILE=/etc/rabbitmq/rabbitmq.conf LANG=C.UTF-8' \
    -c 'VOLUME /var/lib/rabbitmq' -c 'CMD ["rabbitmq-server"]' - "$image" >/dev/null
install -d -o 65534 -g 65534 "$prometheus/prometheus"
tar -C "$prometheus" -c . | docker import -c 'ENTRYPOINT ["/usr/bin/prometheus"]' \
    -c 'ENV PATH=/usr/bin:/bin' -c 'VOLUME /prometheus' - standin/prometheus >/dev/null
cat >"$box/override.yml" <<'I'
services:
  worker: {build: {network: host, additional_contexts: {python: "docker-image://standin/python"}}}
  simulator: {build: {network: host, additional_contexts: {python: "docker-image://standin/python"}}}
  prometheus: {image: standin/prometheus}
I
step "stand-ins for the base images"

check "images are built from the Dockerfile as it is" logged "$box/build.log" compose build
check "everything is up and healthy" \
    logged "$box/up.log" compose up --detach --wait --wait-timeout 180

edits() { # FROM COUNT: as JSON Lines, each of a job of its own
    seq "$1" $(($1 + $2 - 1)) | sed 's/.*/{"appId":"acme-app","jobId":&,"name":"seen-running","dialogFlowId":8663,"mode":"MANUAL","dailyStartDateTime":"09:00","dailyEndDateTime":"20:00","robotCount":1,"jobPhoneNumberId":2959,"redial":false}/'
}
applied() { edits "$1" "$2" | compose exec -T worker taskedit publish - --wait; }
check "200 edits are applied" logged "$box/edits.log" applied 1 200

check "Prometheus is up and healthy" \
    logged "$box/up.log" compose up --detach --wait --wait-timeout 120 prometheus
watched() { # EXPRESSION COUNT: it has so many series
    test "$(compose exec -T prometheus promtool query instant http://127.0.0.1:9090 "$1" | grep -c '=>')" = "$2"
}
within 60 "it watches every target" watched 'up == 1' "$(grep -c job_name: ops/prometheus/prometheus.yml)"
within 60 "and sees what was applied" watched 'taskedit_edits_total{outcome="applied"} >= 200' 1
check "and no alert fires" watched 'ALERTS{alertstate="firing"}' 0

check "the worker is nobody" test "$(compose exec -T worker id -u)" = 65532
# CapBnd, not CapEff: that is empty for whoever is not root, also where nothing was dropped.
check "it has no capability, and can get none" \
    test "$(compose exec -T worker sed -n 's/^CapBnd:\t//p' /proc/1/status)" = 0000000000000000
check "it cannot write to its root" fails compose exec -T worker touch /usr/written
check "it writes its state" compose exec -T worker touch /var/lib/taskedit/written

mkdir "$box/team"
cp ops/docker/demo/* "$box/team/"
openssl req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=localhost -addext subjectAltName=DNS:localhost \
    -keyout "$box/team/console.key" -out "$box/team/console.crt" 2>/dev/null
cat >"$box/console.yml" <<'I'
services:
  console: {build: {network: host, additional_contexts: {python: "docker-image://standin/python"}}}
I
console() { config=/box/team docker compose -f docker-compose.yml -f /box/console.yml --profile console "$@"; }
check "the console's image is built" logged "$box/build.log" console build console
hash=$(console run --rm --no-deps -T --entrypoint python console \
    -c 'from worker.console.access import password_hash; print(password_hash("seen-running"))')
printf '[users.ann]\nrole = "viewer"\npassword = "%s"\n' "$hash" >"$box/team/console-users.toml"
chmod -R a+rX "$box/team"
check "the console is up and healthy" \
    logged "$box/up.log" console up --detach --no-deps --wait --wait-timeout 60 console
signed_in() { # over TLS, from outside
    python3 -c 'import ssl, sys, urllib.request as u
page, secure = "https://localhost:9465", ssl.create_default_context(cafile=sys.argv[1])
browser = u.build_opener(u.HTTPCookieProcessor(), u.HTTPSHandler(context=secure))
browser.addheaders = [("Origin", page)]
assert b"acme" in browser.open(page + "/sign-in", b"name=ann&password=seen-running").read()' "$box/team/console.crt"
}
within 60 "a user of its file signs in, and its page shows the account" signed_in

# Not `docker kill`: after any signal by it Docker takes the container for stopped by hand.
compose exec -T worker sh -c "kill -HUP 1"
has_logged() { compose logs --no-log-prefix worker 2>&1 | grep -q "$1"; }
within 20 "SIGHUP has the accounts read again" has_logged 'settings_adopted'

compose stop rabbitmq >/dev/null 2>&1
unready() { fails compose exec -T worker python -c 'from urllib.request import urlopen as u; u("http://127.0.0.1:9464/readyz")'; }
within 30 "without RabbitMQ it is not ready" unready
check "and alive" compose exec -T worker \
    python -c 'from urllib.request import urlopen as u; u("http://127.0.0.1:9464/livez")'
compose start rabbitmq >/dev/null 2>&1
ready() { fails unready; }
within 90 "with RabbitMQ back it is ready" ready
check "and applies edits" logged "$box/edits.log" applied 1000 50

# From outside: what docker itself kills counts as stopped by hand, and is not started again.
kill -9 "$(pgrep --parent "$(worker '{{.State.Pid}}')" | head -n 1)"
restarted() { test "$(worker '{{.RestartCount}}')" -ge 1; }
within 30 "killed, it is started again" restarted
within 60 "and is ready" ready
check "and applies edits" logged "$box/edits.log" applied 2000 50

edits 3000 500 | compose exec -T worker taskedit publish - >/dev/null 2>&1
compose stop worker >/dev/null 2>&1
check "stopped under load, it ends with 0" test "$(worker '{{.State.ExitCode}}')" = 0

mkdir "$box/bad"
printf 'amqp://guest:guest@rabbitmq/%%2F' >"$box/bad/amqp.url"
printf '[accounts.acme]\nno_such_setting = 1\n' >"$box/bad/accounts.toml"
config=/box/bad compose up --detach --force-recreate --no-deps worker >/dev/null 2>&1
within 30 "bad settings are named in the log" has_logged no_such_setting
unhealthy() { test "$(worker '{{.State.Health.Status}}')" = unhealthy; }
within 120 "the container becomes unhealthy" unhealthy
check "and is not started over and over" test "$(worker '{{.RestartCount}}')" = 0
step "Compose: all as it should be"
