#!/usr/bin/env bash
# Runs a command with a throw-away PostgreSQL cluster at TEST_POSTGRES_URL, and
# removes the cluster whatever happens: tests/with-postgres.sh cargo test
# Without PostgreSQL on the machine the command runs without the variable; on
# CI that is an error, so that the tests cannot be forgotten there.
set -uo pipefail

[ $# -gt 0 ] || { echo "usage: $0 COMMAND..." >&2; exit 2; }
unset TEST_POSTGRES_URL TEST_POSTGRES_BIN

bin=$(find /usr/lib/postgresql -maxdepth 2 -name bin 2>/dev/null | sort -V | tail -n 1)
[ -n "$bin" ] || bin=$(dirname "$(command -v initdb 2>/dev/null)" 2>/dev/null)
if [ ! -x "$bin/initdb" ]; then
    echo "SKIPPED: PostgreSQL tests (apt-get install postgresql)" >&2
    [ -z "${CI:-}" ] || exit 1
    exec "$@"
fi

# PostgreSQL refuses to run as root.
as_server=()
[ "$(id -u)" -ne 0 ] || as_server=(runuser -u postgres --)

# Short, because the path of a socket may have 107 bytes only.
dir=$(mktemp -d /tmp/volttracker-pg.XXXXXX) || exit 1
remove() {
    [ ! -e "$dir/data/postmaster.pid" ] || server pg_ctl -D "$dir/data" -m immediate -w stop
    rm -rf "$dir"
}
# From inside the directory, since the caller's may be closed to the server's user.
server() { (cd "$dir" && "${as_server[@]}" "$bin/$@") >>"$dir/log" 2>&1; }
trap remove EXIT
trap 'exit 130' INT
trap 'exit 143' TERM
[ "$(id -u)" -ne 0 ] || chown postgres "$dir"

# Deadlocks are looked for soon: a test that provokes one fails at once.
settings="-k $dir -c listen_addresses='' -c max_connections=200 -c shared_buffers=64MB"
settings+=" -c fsync=off -c synchronous_commit=off -c full_page_writes=off -c deadlock_timeout=50ms"
if ! { server initdb -D "$dir/data" -U postgres -A trust -E UTF8 --no-sync \
    && server pg_ctl -D "$dir/data" -w -t 60 -l "$dir/server.log" -o "$settings" start; }; then
    echo "the throw-away PostgreSQL cluster did not start:" >&2
    cat "$dir/log" "$dir/server.log" >&2 2>/dev/null
    exit 1
fi

# In the background and waited for, so that a signal is handled at once. With
# TEST_POSTGRES_BIN a test makes a cluster of its own, to stop and start.
TEST_POSTGRES_BIN="$bin" TEST_POSTGRES_URL="postgres://postgres@localhost/postgres?host=$dir" "$@" <&0 &
command=$!
trap 'kill -INT "$command" 2>/dev/null; wait "$command"; exit 130' INT
trap 'kill -TERM "$command" 2>/dev/null; wait "$command"; exit 143' TERM
wait "$command"
exit $?
