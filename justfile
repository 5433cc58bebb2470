# What one can do here: `just` lists it.

slots := "trip-calculator usage-tier sampling-policy"

_default:
    @just --list --unsorted

# Check what this machine lacks, say how to get it, add the WebAssembly target.
setup:
    #!/usr/bin/env bash
    set -euo pipefail
    missing=0
    need() { command -v "$1" >/dev/null || { echo "missing: $1 — $2" >&2; missing=1; }; }
    want() { command -v "$1" >/dev/null || echo "optional: $1 — $2"; }
    need cargo "install Rust from https://rustup.rs"
    need rustup "install Rust from https://rustup.rs; it brings the wasm32-wasip2 target"
    need cc "a C compiler builds SQLite: apt-get install gcc libc6-dev"
    want wrk "just bench needs it: apt-get install wrk"
    want promtool "tests of metrics and alerts need it: apt-get install --no-install-recommends prometheus"
    ls /usr/lib/postgresql/*/bin/initdb >/dev/null 2>&1 || want initdb "storage tests on PostgreSQL need it: apt-get install postgresql"
    [ "$missing" = 0 ] || exit 1
    rustup target list --installed | grep -qx wasm32-wasip2 || rustup target add wasm32-wasip2

# Build the business rules, check them, and put them where a receiver finds them.
build-plugins dir="plugins/dist" profile="dev": setup
    #!/usr/bin/env bash
    set -euo pipefail
    packages=(); for slot in {{ slots }}; do packages+=(-p "$slot"); done
    cargo build --locked --target wasm32-wasip2 --profile component "${packages[@]}"
    cargo build --locked --profile {{ profile }} -p volttracker
    target="${CARGO_TARGET_DIR:-target}"
    volttracker="$target/{{ if profile == "dev" { "debug" } else { profile } }}/volttracker"
    component() { echo "$target/wasm32-wasip2/component/${1//-/_}.wasm"; }
    settings=(); [ ! -e "{{ dir }}/plugins.toml" ] || settings=(--settings "{{ dir }}/plugins.toml")
    # All are checked, as the receiver would, before any is put there.
    for slot in {{ slots }}; do
        "$volttracker" plugin check --slot "$slot" "${settings[@]}" "$(component "$slot")"
    done
    mkdir -p "{{ dir }}"
    # Written aside, then renamed: nobody sees half a component, and a running
    # receiver takes all of them together.
    for slot in {{ slots }}; do cp "$(component "$slot")" "{{ dir }}/.$slot.wasm.new"; done
    for slot in {{ slots }}; do mv "{{ dir }}/.$slot.wasm.new" "{{ dir }}/$slot.wasm"; done

# Start a plugin of your own for a slot, in plugins/NAME or another folder.
new-plugin name slot folder=("plugins/" + name):
    @bash templates/new-plugin.sh "{{ name }}" "{{ slot }}" "{{ folder }}"

# Run the receiver, optimised: uploads to http://127.0.0.1:8080/torque/upload.
run *args: (build-plugins "plugins/dist" "release")
    cargo run --locked --release -p volttracker -- serve {{ args }}

# Simulate a drive against a running receiver.
simulate *args:
    cargo run --locked -p volttracker -- simulate {{ args }}

# See it work: a server, a simulated drive, the trip and its event. Takes no arguments, leaves nothing.
demo: build-plugins
    cargo build --locked -p volttracker
    @bash demo.sh "${CARGO_TARGET_DIR:-target}/debug/volttracker"

# All tests, on SQLite and on a throw-away PostgreSQL.
test: build-plugins
    cargo build --locked -p volttracker
    tests/with-postgres.sh bash -euc '\
        cargo test --locked --workspace --exclude e2e --lib --bins --tests; \
        cargo test --locked -p e2e --test e2e; \
        cargo test --locked -p e2e --test load -- --test-threads=8'

# Feed odd bytes to each parser for that long; the seed is printed, and FUZZ_SEED repeats it.
fuzz seconds="60":
    FUZZ_SECONDS={{ seconds }} cargo test --locked -p volttracker --lib -- --ignored --nocapture --test-threads 1 fuzz_

# Ask every endpoint of the API's document odd things; needs schemathesis (pip install schemathesis).
schemathesis examples="50": build-plugins
    cargo build --locked -p volttracker
    @bash tests/schemathesis.sh "${CARGO_TARGET_DIR:-target}/debug/volttracker" {{ examples }}

# What takes long: kills under load, so many rounds on each engine (the seed repeats a run), a minute of full load with swaps in it, 10,000 swaps, a collector in trouble.
soak rounds="100" seed=`date +%s`: build-plugins
    cargo build --locked -p volttracker
    KILL_ROUNDS={{ rounds }} KILL_SEED={{ seed }} \
        tests/with-postgres.sh cargo test --locked -p e2e --test load kill_rounds -- --nocapture
    cargo test --locked -p e2e --test e2e -- --ignored --nocapture --test-threads 1 soak

# Formatting, clippy and documentation links, all warnings refused.
lint: setup
    cargo fmt --all --check
    cargo clippy --locked --workspace --all-targets -- -D warnings
    cargo clippy --locked --target wasm32-wasip2 -p trip-calculator -p usage-tier -p sampling-policy -- -D warnings
    RUSTDOCFLAGS="-D warnings" cargo doc --locked --no-deps -p volttracker

# Licences and sources of all dependencies; needs cargo-deny.
audit:
    @command -v cargo-deny >/dev/null || { echo "missing: cargo-deny — cargo install --locked cargo-deny" >&2; exit 1; }
    cargo deny --locked check bans licenses sources

# How long the published queries and the dashboards take on 200,000 events, on each engine; `release` for what an operator sees.
bench-queries profile="dev":
    tests/with-postgres.sh cargo test --locked --profile {{ profile }} -p volttracker --lib -- --ignored --nocapture measure_queries

# Measure the receiver beside a bare route and a minimal handler (needs wrk); `just bench --quick` tries it out.
bench *args: (build-plugins "plugins/dist" "release")
    cargo build --locked --release -p volttracker -p bench
    "${CARGO_TARGET_DIR:-target}/release/bench" {{ args }}
