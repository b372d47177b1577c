#!/usr/bin/env bash
# All tests: those that need no vLLM server in several processes, then those that ask one, which takes all cores.
# Arguments go to pytest both times. Exit code as pytest's: the first one that isn't 0.
set -uo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
NONE_FOUND=5
python=.venv/bin/python

"$python" -m pytest -m "not vllm" --numprocesses auto --maxprocesses 4 --dist loadfile "$@"
first=$?
"$python" -m pytest -m vllm "$@"
second=$?

if [[ $first != 0 && $first != "$NONE_FOUND" ]]; then exit "$first"; fi
if [[ $second != "$NONE_FOUND" ]]; then exit "$second"; fi
exit "$first"
