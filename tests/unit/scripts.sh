#!/bin/sh
# scripts.sh ROOT: shellcheck has nothing to say about our scripts.
set -eu

command -v shellcheck >/dev/null || exit 77
cd "$1"
shellcheck bootstrap .ci/run tests/*/*.sh
