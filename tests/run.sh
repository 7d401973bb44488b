#!/usr/bin/env bash
# All tests but those of `make test-cluster`: first what holds a time, alone, then side by side what starts no Ray,
# the pages' commands, the scripts, and what else starts Ray; these wait for processes more than they compute.
# What runs in the background is shown whole when it has ended. It fails where one of the five does.
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
group 'cluster and not alone' --ignore=tests/docs --ignore=tests/experiments > "$folder/ray" 2>&1 & ray=$!
running=("$rest" "$pages" "$ray")
group 'cluster and not alone' tests/experiments || failed $? "the scripts"
echo "waiting for the pages' commands, what else starts Ray, and the tests that start none"
wait "$ray" || failed $? "what starts Ray"
wait "$pages" || failed $? "the pages' commands"
wait "$rest" || failed $? "the rest"
running=()
cat "$folder/ray" "$folder/pages" "$folder/rest"
[ ${#failed[@]} -eq 0 ] || { IFS=,; echo "failed: ${failed[*]}" >&2; exit 1; }
