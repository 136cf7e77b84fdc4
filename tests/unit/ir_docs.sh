#!/bin/sh
# docs/ir.md names every pass and every element type: ir_docs.sh SOURCE_DIR
root=$1
missing=$(
	{
		sed -n 's/^PASS([a-z_]*, "\([a-z-]*\)".*/| `\1` |/p' "$root/passes/passes.def"
		sed -n '/IDX/d; s/^DTYPE([A-Z0-9]*, "\([a-z0-9]*\)".*/`\1`/p' "$root/ir/dtypes.def"
	} | while read -r words; do
		grep -qF "$words" "$root/docs/ir.md" || echo "docs/ir.md does not name $words"
	done
)
echo "$missing"
[ -z "$missing" ]
