/*
 * How long kernels take, by the table of costs.def.
 */
#ifndef MCC_CODEGEN_KERNELS_COST_H
#define MCC_CODEGEN_KERNELS_COST_H

#include "codegen/kernels/generate.h"
#include "ir/target.h"

typedef struct {
	const char *name;
	unsigned isa;
	int load, op, loop, output, reference; /* tenths of a cycle */
	bool dual_issue, loads_apart;
	int floats;
} Costs;

/* The row for a machine; NULL: there are no kernels for it. */
const Costs *costs_of(const Target *t);

/* Cycles. */
int64_t cost_reference(const Costs *k, const Conv *c);
int64_t cost_dense(const Costs *k, const Conv *c, const DenseShape *s);
int64_t cost_scalar(const Costs *k, const Conv *c, const ScalarShape *s);
int64_t cost_braid(const Costs *k, const Conv *c, const BraidShape *s);
int64_t cost_winograd(const Costs *k, const Conv *c, const WinogradShape *s);
int64_t cost_packed_dot2(const Costs *k, const Conv *c, const PackedShape *s);
int64_t cost_packed_scalar(const Costs *k, const Conv *c, const PackedShape *s);
int64_t cost_palette(const Costs *k, const Conv *c, const PackedShape *s);
int64_t cost_sparse(const Costs *k, const Conv *c, const SparseShape *s, const SparseLists *l);
int64_t cost_quads(const Costs *k, const Conv *c, const QuadShape *s, int64_t units);
int64_t cost_unpacked(const Costs *k, const Conv *c, const UnpackedShape *s);
int64_t cost_unrolled(const Costs *k, const Conv *c, const UnrolledShape *s);
int64_t cost_planar(const Costs *k, const Conv *c, const PlanarShape *s);
int64_t cost_taps(const Costs *k, const Conv *c, bool whole);
int64_t cost_depthwise(const Costs *k, const Conv *c, const DepthwiseShape *s);

/* The products of an LSTM layer, without what follows its sums. */
int64_t cost_lstm_reference(const Costs *k, const Node *n);
int64_t cost_lstm(const Costs *k, const Node *n);

#endif
