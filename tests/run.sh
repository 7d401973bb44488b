#!/usr/bin/env bash
# All tests but those of `make test-cluster`: first what holds a time, alone, then what starts Ray beside the rest.
# What the rest says comes last and whole. It fails where one of the three does.
set -uo pipefail -m  # -m: what runs in the background hears Ctrl-C as what a person starts does
cd "$(dirname "$0")/.."
folder=$(mktemp -d)
rest=
trap '[ -z "$rest" ] || kill -- "-$rest" 2> /dev/null; rm -rf "$folder"' EXIT
export RAYTRANSFER_SMOKE=$folder/smoke  # the chain on the preset smoke is computed once for all
failed=()

group() { .venv/bin/python -m pytest -m "($1) and not faults and not lab"; }

failed() { [ "$1" -ne 2 ] || exit 130; failed+=("$2"); }  # 2: Ctrl-C, which pytest alone hears

group alone || failed $? "what runs alone"
group 'not alone and not cluster' > "$folder/said" 2>&1 & rest=$!
group 'cluster and not alone' || failed $? "what starts Ray"
echo "waiting for the tests that start no Ray"
wait "$rest" || failed $? "the rest"
rest=
cat "$folder/said"
[ ${#failed[@]} -eq 0 ] || { IFS=,; echo "failed: ${failed[*]}" >&2; exit 1; }
