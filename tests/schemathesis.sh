#!/usr/bin/env bash
# Starts a receiver with a few drives in it, and lets schemathesis ask every
# endpoint of its API's document whatever the document allows, and what it does
# not. Fails on a 5xx, and on an answer that the document does not know.
set -euo pipefail
volttracker="$1"
examples="$2"
command -v schemathesis >/dev/null || {
    echo "missing: schemathesis — pip install schemathesis" >&2
    exit 1
}
home="$(mktemp -d)"
finish() {
    [ -z "${server:-}" ] || { kill "$server" 2>/dev/null; wait "$server" 2>/dev/null || true; }
    rm -rf "$home"
}
trap finish EXIT

mkdir "$home/data"
cp -r plugins/dist "$home/plugins"
token="$(od -An -N16 -tx1 /dev/urandom | tr -d ' \n')"
ADMIN_TOKEN="$token" TRIP_TIMEOUT_SECONDS=1 FEATURE_WEATHER=false BIND_ADDR=127.0.0.1:0 \
    DATA_DIR="$home/data" PLUGIN_DIR="$home/plugins" \
    "$volttracker" serve >"$home/events" 2>"$home/errors" &
server=$!
for _ in $(seq 600); do
    address="$(sed -n 's/.*"bind_addr":"\([^"]*\)".*/\1/p' "$home/events" | head -n 1)"
    [ -z "$address" ] || break
    kill -0 "$server" 2>/dev/null || { cat "$home/errors" >&2; exit 1; }
    sleep 0.1
done
"$volttracker" simulate --url "http://$address" --vehicles 2 --minutes 10 --speed-up 0 >"$home/drives"
PYTHONPATH=tests PYTHONDONTWRITEBYTECODE=1 SCHEMATHESIS_HOOKS=schemathesis_hooks \
    schemathesis --config-file tests/schemathesis.toml run "http://$address/api/openapi.json" --header "Authorization: Bearer $token" \
    --max-examples "$examples" --seed 1 --phases coverage,fuzzing
