#!/usr/bin/env bash
# A server, a simulated drive into it, and what came of it. Argument: the binary.
set -euo pipefail
volttracker=$1
dir=$(mktemp -d)
server=
finish() {
    [ -z "$server" ] || { kill "$server" 2>/dev/null || true; wait "$server" 2>/dev/null || true; }
    rm -rf "$dir"
}
trap finish EXIT
# One JSON object a line, a member a line: nobody needs jq to see this.
indented() {
    awk '
        function line(depth) { printf "\n"; while (depth-- >= 0) printf "   " }
        {
            printf "   "; depth = 0; text = 0
            for (at = 1; at <= length($0); at++) {
                c = substr($0, at, 1); pair = substr($0, at, 2)
                if (text && c == "\\") { printf "%s", pair; at++ }
                else if (c == "\"") { printf "%s", c; text = !text }
                else if (text) printf "%s", c
                else if (pair == "{}" || pair == "[]") { printf "%s", pair; at++ }
                else if (c == "{" || c == "[") { printf "%s", c; line(++depth) }
                else if (c == "}" || c == "]") { line(--depth); printf "%s", c }
                else if (c == ",") { printf "%s", c; line(depth) }
                else if (c == ":") printf ": "
                else printf "%s", c
            }
            printf "\n"
        }'
}

echo "── A receiver, with its business rules as WebAssembly components"
env -i PATH="$PATH" HOME="${HOME:-/}" BIND_ADDR=127.0.0.1:0 DATA_DIR="$dir/data" PLUGIN_DIR=plugins/dist \
    TRIP_TIMEOUT_SECONDS=3 FEATURE_WEATHER=false RUST_LOG=warn "$volttracker" serve >"$dir/events.ndjson" &
server=$!
for _ in $(seq 100); do
    address=$(sed -n 's/.*"operation":"service_start".*"bind_addr":"\([^"]*\)".*/\1/p' "$dir/events.ndjson")
    [ -z "$address" ] || break
    kill -0 "$server" 2>/dev/null || { echo "the receiver did not start; its message is above" >&2; exit 1; }
    sleep 0.1
done
[ -n "$address" ] || { echo "the receiver did not start within 10 seconds" >&2; exit 1; }
echo "   listening on http://$address"

echo "── A Volt drives 40 minutes; its phone uploads every 2 seconds of it, as fast as the receiver answers"
"$volttracker" simulate --url "http://$address" --speed-up 0 --check --timeout-seconds 40

echo
echo "── One wide event an operation: what this drive left"
for operation in service_start telemetry_upload trip_finalization; do
    printf '   %5d %s\n' "$(grep -c "\"operation\":\"$operation\"" "$dir/events.ndjson")" "$operation"
done
echo
echo "── The finalization event"
grep '"operation":"trip_finalization"' "$dir/events.ndjson" | tail -1 | indented
echo
echo "Done: the trip above was calculated by plugins/dist/trip-calculator.wasm."
echo "Next: 'just run' starts a receiver for a phone; README.md tells the rest."
