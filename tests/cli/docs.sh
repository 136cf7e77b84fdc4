#!/bin/sh
# docs.sh MCC-DOCS PAGE FILE: FILE is what the tables give now.
set -eu

if "$1" "$2" | diff -u "$3" -; then
	exit 0
fi
echo "run: cmake --build BUILD --target docs"
exit 1
