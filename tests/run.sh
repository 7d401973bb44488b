#!/usr/bin/env bash
# All tests but those of `make test-cluster`: first what holds a time, alone, then side by side what starts no Ray,
# the pages' commands, and what else starts Ray, which waits for its processes more than it computes.
# What runs in the background is shown whole when it has ended. It fails where one of the four does.
set -uo pipefail -m  # -m: what runs in the background hears Ctrl-C as what a person starts does
cd "$(dirname "$0")/.."
folder=$(mktemp -d)
running=()
trap 'for each in "${running[@]}"; do kill -- "-$each" 2> /dev/null; done; rm -rf "$folder"' EXIT
export RAYTRANSFER_SMOKE=$folder/smoke  # the chain on the preset smoke is computed once for all
failed=()

group() { .venv/bin/python -m pytest -m "($1) and not faults and not lab" "${@:2}"; }

failed() { [ "$1" -ne 2 ] || exit 130; failed+=("$2"); }  # 2: Ctrl-C, which pytest alone hears

group alone || failed $? "what runs alone"
group 'not alone and not cluster' > "$folder/rest" 2>&1 & rest=$!
group 'cluster and not alone' tests/docs > "$folder/pages" 2>&1 & pages=$!
running=("$rest" "$pages")
group 'cluster and not alone' --ignore=tests/docs || failed $? "what starts Ray"
echo "waiting for the pages' commands and the tests that start no Ray"
wait "$pages" || failed $? "the pages' commands"
wait "$rest" || failed $? "the rest"
running=()
cat "$folder/pages" "$folder/rest"
[ ${#failed[@]} -eq 0 ] || { IFS=,; echo "failed: ${failed[*]}" >&2; exit 1; }
