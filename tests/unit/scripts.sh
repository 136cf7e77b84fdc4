#!/bin/sh
# scripts.sh ROOT: shellcheck has nothing to say about our scripts.
set -eu

command -v shellcheck >/dev/null || exit 77
cd "$1"
# SC2013: our loops are over words, not lines.  SC2016: what stands in single
# quotes is meant so.
shellcheck -e SC2013,SC2016 bootstrap .ci/run tests/*/*.sh
