#!/usr/bin/env bash
# Starts a plugin: a Cargo project for one slot. Arguments: its name, the slot, the folder to make.
set -euo pipefail
name=$1 slot=$2 folder=$3
root=$(cd "$(dirname "$0")/.." && pwd)
refuse() { echo "error: $*" >&2; exit 1; }

[[ $name =~ ^[a-z][a-z0-9]*(-[a-z0-9]+)*$ ]] || refuse "'$name' is no name: use lower-case words with - between them"
[ -f "$root/templates/plugin/$slot.rs" ] || refuse "no slot '$slot'; there are trip-calculator, usage-tier and sampling-policy"
[ ! -e "$folder" ] || refuse "$folder exists"
[ ! -e "$root/plugins/$name" ] || refuse "there is a plugin $name: its package would have the same name"

mkdir -p "$folder/src"
folder=$(cd "$folder" && pwd)
if [ "$(dirname "$folder")" = "$root/plugins" ]; then
    manifest=workspace wit=../../wit package=(-p "$name") target=${CARGO_TARGET_DIR:-target}
else
    manifest=standalone wit=wit package=(--manifest-path "$folder/Cargo.toml") target=${CARGO_TARGET_DIR:-$folder/target}
    cp -r "$root/wit" "$root/rust-toolchain.toml" "$root/rustfmt.toml" "$folder/"
    # The versions that are known to work together.
    cp "$root/Cargo.lock" "$folder/"
    printf '/target\n' >"$folder/.gitignore"
fi
fill() { sed -e "s|@NAME@|$name|g" -e "s|@WIT@|$wit|g" "$1" >"$2"; }
fill "$root/templates/plugin/$manifest.toml" "$folder/Cargo.toml"
fill "$root/templates/plugin/$slot.rs" "$folder/src/lib.rs"
# Enters it into the lock file, or forgets there what it does not need.
cargo update --quiet --offline --workspace --manifest-path "$folder/Cargo.toml"

component=$target/wasm32-wasip2/component/${name//-/_}.wasm
cat <<END
$folder: a plugin for the slot $slot. Its rule is in src/lib.rs. Next:

  cargo build --target wasm32-wasip2 --profile component ${package[*]}
  volttracker plugin check --slot $slot $component

docs/plugin-authors.md has the rest. (volttracker: cargo build -p volttracker; target/debug/volttracker)
END
