#!/bin/sh
# Publishes one task edit through RabbitMQ's management HTTP API and waits for its outcome.
# Needs curl and base64; checks the edit before sending where the command taskedit is there.
set -eu

usage="publish-edit.sh [-b events|reply] [-t SECONDS] [-i MESSAGE_ID] FILE"
rejected=1 misused=2 absent=69 late=75

management=${TASKEDIT_MANAGEMENT_URL:-http://guest:guest@localhost:15672}
host=${TASKEDIT_VIRTUAL_HOST:-%2F} # percent-encoded, as in a URL of AMQP
namespace=${TASKEDIT_NAMESPACE:-task-edit}

end() { # CODE TEXT
    printf '%s\n' "$2" >&2
    exit "$1"
}

# Asks the management API; what it says is in $reply. METHOD PATH [BODY]
# The address holds a password, so curl reads it from its stdin and not from its arguments.
ask() {
    printf '%s' "${3:-}" >"$scratch/body"
    code=0
    status=$(curl --silent --show-error --max-time "$patience" --config - 2>"$scratch/trouble" <<EOF
url = "$management/api/$2"
request = "$1"
header = "Content-Type: application/json"
data-binary = "@$scratch/body"
output = "$scratch/reply"
write-out = "%{http_code}"
EOF
    ) || code=$?
    again="Safe to repeat: -i $id"
    case $code in
        0) ;;
        28) end $late "RabbitMQ's management API does not answer. $again" ;;
        *) end $absent "RabbitMQ's management API: $(cat "$scratch/trouble"). $again" ;;
    esac
    reply=$(cat "$scratch/reply")
    case $status/$reply in
        2*) ;;
        5* | *"queue limits"*) end $late "RabbitMQ refused it: $reply. $again" ;;
        *) end $absent "RabbitMQ's management API: $1 $2: HTTP $status: $reply. $again" ;;
    esac
}

by=events timeout=60 id=
while getopts b:t:i: option; do
    case $option in
        b) by=$OPTARG ;;
        t) timeout=$OPTARG ;;
        i) id=$OPTARG ;;
        *) end $misused "$usage" ;;
    esac
done
shift $((OPTIND - 1))
[ $# -eq 1 ] || end $misused "$usage"
case $by in events | reply) ;; *) end $misused "$usage" ;; esac
case $timeout in '' | *[!0-9]*) end $misused "$usage" ;; esac
patience=$((timeout < 10 ? timeout : 10)) # for one request
[ -n "$id" ] || id=$(cat /proc/sys/kernel/random/uuid 2>/dev/null || uuidgen)
case $id in *[!A-Za-z0-9._:-]*) end $misused "MESSAGE_ID: letters, digits, dots, _ : -" ;; esac

umask 077
scratch=$(mktemp -d)
: >"$scratch/reply"
queue=
tidy() {
    [ -z "$queue" ] || (ask DELETE "queues/$host/$queue") 2>/dev/null || true
    rm -rf "$scratch"
}
trap tidy EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

cat "$1" >"$scratch/edit" || end $misused "$usage"
if command -v taskedit >/dev/null; then
    taskedit validate - <"$scratch/edit" >"$scratch/checked" 2>&1 ||
        end $rejected "Not sent: $(cat "$scratch/checked")"
fi
# As it is written in the JSON, escapes and all, for it goes into other JSON.
app=$(tr '\n' ' ' <"$scratch/edit" |
    sed -nE 's/.*"appId"[[:space:]]*:[[:space:]]*"(([^"\\]|\\.)*)".*/\1/p')
[ -n "$app" ] || end $rejected "Not sent: appId is required, as the routing key"
case $app in *[!A-Za-z0-9_-]*) key='#' ;; *) key=$app ;; esac

# First the ear, then the word: an event that nobody waits for yet is gone. The queue goes by
# itself if this is killed.
ear=outcome-of-$id-$$
ask PUT "queues/$host/$ear" "{\"durable\": true, \"arguments\":
    {\"x-queue-type\": \"classic\", \"x-expires\": $(((timeout + 60) * 1000))}}"
queue=$ear
reply_to=
if [ "$by" = reply ]; then
    reply_to=",\"reply_to\":\"$queue\""
else
    for each in "$key" _; do # _ for an edit that cannot be read
        ask POST "bindings/$host/e/$namespace.events/q/$queue" "{\"routing_key\":\"*.$each\"}"
    done
fi

# The API publishes with a confirm and mandatory, and says what came of both.
ask POST "exchanges/$host/$namespace/publish" "{
    \"properties\": {\"message_id\":\"$id\",\"content_type\":\"application/json\",\"delivery_mode\":2,
        \"timestamp\":$(date +%s)$reply_to},
    \"routing_key\": \"$app\",
    \"payload\": \"$(base64 <"$scratch/edit" | tr -d '\n')\", \"payload_encoding\": \"base64\"}"
case $reply in
    *'"routed":true'*) ;;
    *) end $absent "Not routed: is the worker's topology there? $again" ;;
esac

deadline=$(($(date +%s) + timeout))
while [ "$(date +%s)" -le "$deadline" ]; do
    ask POST "queues/$host/$queue/get" \
        '{"count": 100, "ackmode": "ack_requeue_false", "encoding": "base64"}'
    for payload in $(printf '%s' "$reply" | tr ',' '\n' |
        sed -n 's/.*"payload":"\([A-Za-z0-9+/=]*\)".*/\1/p'); do
        event=$(printf '%s' "$payload" | base64 -d)
        case $event in *"\"messageId\":\"$id\""*) ;; *) continue ;; esac
        printf '%s\n' "$event"
        case $event in *'"outcome":"rejected"'*) exit $rejected ;; *) exit 0 ;; esac
    done
    sleep 0.3
done
end $late "No outcome in time. $again"
