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
    ls /usr/lib/postgresql/*/bin/initdb >/dev/null 2>&1 || want initdb "storage tests on PostgreSQL need it: apt-get install postgresql"
    [ "$missing" = 0 ] || exit 1
    rustup target list --installed | grep -qx wasm32-wasip2 || rustup target add wasm32-wasip2

# Build the business rules and put them where a receiver finds them.
build-plugins dir="plugins/dist": setup
    #!/usr/bin/env bash
    set -euo pipefail
    packages=(); for slot in {{ slots }}; do packages+=(-p "$slot"); done
    cargo build --locked --target wasm32-wasip2 --profile component "${packages[@]}"
    target="${CARGO_TARGET_DIR:-target}/wasm32-wasip2/component"
    mkdir -p "{{ dir }}"
    for slot in {{ slots }}; do
        # Written aside, then renamed: nobody sees half a component.
        cp "$target/${slot//-/_}.wasm" "{{ dir }}/.$slot.wasm.new"
        mv "{{ dir }}/.$slot.wasm.new" "{{ dir }}/$slot.wasm"
        echo "{{ dir }}/$slot.wasm"
    done

# Run the receiver, optimised: uploads to http://127.0.0.1:8080/torque/upload.
run *args: build-plugins
    cargo run --locked --release -p volttracker -- serve {{ args }}

# Simulate a drive against a running receiver.
simulate *args:
    cargo run --locked -p volttracker -- simulate {{ args }}

# Measure the receiver beside a bare route and a minimal handler (needs wrk); `just bench --quick` tries it out.
bench *args: build-plugins
    cargo build --locked --release -p volttracker -p bench
    "${CARGO_TARGET_DIR:-target}/release/bench" {{ args }}
