#!/bin/sh
# Checks who includes whom, and what the libraries may not do.
#
#     layering.sh ROOT           checks the tree at ROOT
#     layering.sh --self-test    checks that each rule can fail
set -eu

# "folder: folders it may include", the longest folder that fits counts.
edges="base: base
ir: base ir
frontend: base ir frontend
passes: base ir passes
codegen: base ir codegen
runtime:
driver: base ir frontend passes codegen driver"

# "pattern of a foreign header: folder that may include it"
foreign="^llvm(-c)?/: codegen/llvm
^zlib.h: base
^libxml/: frontend/xml
^(protobuf-c|onnx)/: frontend/onnx
^jansson: frontend/xgboost"

check_sources() {
	awk -v edges="$edges" -v foreign="$foreign" '
	function complain(text) {
		printf "%s:%d: %s\n", FILENAME, FNR, text
		bad = 1
	}
	function under(path, folder) {
		return index(path, folder "/") == 1
	}
	# Without comments and with empty strings.
	function code_of(line,    at, end) {
		gsub(/\\./, "", line)
		gsub(/"[^"]*"/, "\"\"", line)
		gsub(/\047[^\047]*\047/, "0", line)
		for (;;) {
			if (in_comment) {
				end = index(line, "*/")
				if (!end)
					return ""
				line = substr(line, end + 2)
				in_comment = 0
			}
			at = index(line, "/*")
			if (!at)
				return line
			rest = substr(line, at + 2)
			end = index(rest, "*/")
			if (!end) {
				in_comment = 1
				return substr(line, 1, at - 1)
			}
			line = substr(line, 1, at - 1) " " substr(rest, end + 2)
		}
	}
	function check_include(header, quoted,    i, parts, n, ok, place, known) {
		for (i = 1; i <= nforeign; i++) {
			split(foreign_rule[i], parts, ": ")
			if (header !~ parts[1])
				continue
			n = split(parts[2], place, " ")
			ok = 0
			for (j = 1; j <= n; j++)
				ok = ok || under(FILENAME, place[j])
			if (!ok)
				complain("only " parts[2] " may include " header)
			return
		}
		if (layer == "runtime" && header != "stdint.h" && header != "stddef.h" && !quoted)
			complain("runtime/ may include <stdint.h> and <stddef.h> only")
		if (!quoted)
			return
		known = header
		sub(/\/.*/, "", known)
		if (known == header || !(known in allowed))
			complain("\"" header "\" is not spelled from the root")
		else if (index(" " allowed[layer] " ", " " known " ") == 0)
			complain(layer "/ may not include " known "/")
	}
	BEGIN {
		n = split(edges, line, "\n")
		for (i = 1; i <= n; i++) {
			at = index(line[i], ":")
			allowed[substr(line[i], 1, at - 1)] = substr(line[i], at + 2)
		}
		nforeign = split(foreign, foreign_rule, "\n")
	}
	FNR == 1 {
		in_comment = 0
		layer = FILENAME
		sub(/\/.*/, "", layer)
		library = layer != "driver"
	}
	/^[ \t]*#[ \t]*include/ {
		if (match($0, /"[^"]*"/))
			check_include(substr($0, RSTART + 1, RLENGTH - 2), 1)
		else if (match($0, /<[^>]*>/))
			check_include(substr($0, RSTART + 1, RLENGTH - 2), 0)
		next
	}
	{
		if ($0 ~ /^[ \t]*#[ \t]*(ifdef|if)[ \t]/ && (layer == "ir" || layer == "passes"))
			complain("no #ifdef in ir/ and passes/")
		code = " " code_of($0)
		if (library && code ~ /[^A-Za-z0-9_](exit|_exit|_Exit|abort)[ \t]*\(/ &&
		    FILENAME != "base/arena.c")
			complain("libraries never exit")
		if (library && code ~ /[^A-Za-z0-9_](printf|vprintf|fprintf|vfprintf|puts|fputs|putchar|perror)[ \t]*\(/)
			complain("libraries never print")
		if (library && code ~ /[^A-Za-z0-9_](stdout|stderr)[^A-Za-z0-9_]/)
			complain("libraries never print")
		if (code ~ /[^A-Za-z0-9_.>](malloc|calloc|realloc|free|strdup|strndup)[ \t]*\(/ &&
		    FILENAME != "base/arena.c")
			complain("memory comes from arenas")
	}
	END { exit bad }
	' "$@"
}

# No path of somebody's machine in any file.
check_paths() {
	# In pieces, so that this file does not find itself.
	pattern="/wo""rk/|/ho""me/[a-z]|/ro""ot/|/Us""ers/"
	list='find . -type f -print0'
	[ ! -e .git ] || list='git ls-files -z'
	hits=$($list | xargs -0 grep -IEn "$pattern" -- /dev/null || true)
	[ -z "$hits" ] && return
	echo "$hits" | sed 's/$/: path of a machine/'
	return 1
}

check_tree() {
	cd "$1"
	status=0
	files=$(find base ir frontend passes codegen runtime driver -name '*.[ch]' \
		2>/dev/null | sort)
	if [ -z "$files" ]; then
		echo "no sources at $1"
		return 1
	fi
	# shellcheck disable=SC2086 # names of sources have no spaces
	check_sources $files || status=1
	check_paths || status=1
	return $status
}

# expect FILE 'CODE' MESSAGE: a tree with this one file must fail, saying that;
# without MESSAGE it must pass.
expect() {
	rm -rf "$scratch/tree"
	mkdir -p "$scratch/tree/$(dirname "$1")"
	printf '%s\n' "$2" >"$scratch/tree/$1"
	if (check_tree "$scratch/tree") >"$scratch/out" 2>&1; then
		[ -z "$3" ] && return
		echo "$1: '$2' passed, expected: $3"
	elif [ -n "$3" ] && grep -qF "$3" "$scratch/out"; then
		return
	else
		echo "$1: '$2' gave, expected '$3':"
		cat "$scratch/out"
	fi
	exit 1
}

self_test() {
	scratch=$(mktemp -d)
	trap 'rm -rf "$scratch"' EXIT
	expect ir/x.c '#include "base/str.h"' ''
	expect ir/x.c '#include "passes/pass.h"' 'ir/ may not include passes/'
	expect base/x.h '#include "ir/type.h"' 'base/ may not include ir/'
	expect frontend/x.c '  #  include "codegen/c/c.h"' 'frontend/ may not include codegen/'
	expect passes/x.c '#include "driver/options.h"' 'passes/ may not include driver/'
	expect codegen/c/x.c '#include "c.h"' 'not spelled from the root'
	expect codegen/c/x.c '#include <llvm-c/Core.h>' 'only codegen/llvm may include'
	expect codegen/llvm/x.c '#include <llvm-c/Core.h>' ''
	expect ir/x.c '#include <protobuf-c/protobuf-c.h>' 'only frontend/onnx may include'
	expect runtime/x.h '#include <stdlib.h>' 'runtime/ may include'
	expect ir/x.c 'void f(void) { exit(1); }' 'libraries never exit'
	expect ir/x.c 'void f(void) { printf("x"); }' 'libraries never print'
	expect ir/x.c 'void f(void) { g(stderr); }' 'libraries never print'
	expect driver/x.c 'void f(void) { fprintf(stderr, "x"); exit(1); }' ''
	expect driver/x.c 'void *f(void) { return malloc(1); }' 'memory comes from arenas'
	expect base/arena.c 'void *f(void) { return malloc(1); }' ''
	expect ir/x.c 'f("exit(1) printf(2)"); /* exit(1); */ str_printf(3);' ''
	expect ir/x.c '#ifdef __linux__' 'no #ifdef'
	expect ir/x.h '#ifndef X_H' ''
	expect base/x.c '/* see /ho''me/me/x */' 'path of a machine'
	echo "every rule can fail"
}

case ${1-} in
--self-test) self_test ;;
'') echo "usage: layering.sh ROOT|--self-test" >&2; exit 2 ;;
*) check_tree "$1" ;;
esac
