#!/bin/sh
# docs/ir.md names every pass and every element type: ir_docs.sh SOURCE_DIR
root=$1
failed=0

expect() {
	grep -qF "$1" "$root/docs/ir.md" || {
		echo "docs/ir.md does not name $1"
		failed=1
	}
}

for pass in $(sed -n 's/^PASS([a-z_]*, "\([a-z-]*\)".*/\1/p' "$root/passes/passes.def"); do
	expect "| \`$pass\` |"
done
for type in $(sed -n 's/^DTYPE([A-Z0-9]*, "\([a-z0-9]*\)".*/\1/p' "$root/ir/dtypes.def"); do
	[ "$type" = idx ] || expect "\`$type\`"
done
exit $failed
