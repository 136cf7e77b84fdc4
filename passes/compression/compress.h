/*
 * Compression: from a float graph to a smaller one that computes nearly the same, from
 * nothing but samples of its inputs.
 *
 * The float graph is left as it is and stays the reference of every step; the result is
 * a new graph on the operators of ir/quant.def.  The same input gives the same bits,
 * whatever runs the graphs.
 *
 * Some samples (one in five) are held out: they take no part in any choice and only
 * measure what came out.
 */
#ifndef MCC_PASSES_COMPRESSION_COMPRESS_H
#define MCC_PASSES_COMPRESSION_COMPRESS_H

#include "passes/compression/weights.h"

typedef enum { RANGE_MSE, RANGE_MIN_MAX, RANGE_PERCENTILE, RANGE_KL } RangeMethod;

typedef struct {
	RangeMethod ranges;   /* how the ranges of values are chosen */
	WeightOptions weights; /* with most = 0 the whole graph stays float */
	DType codes;          /* of values between layers: DT_I8, or DT_I16 for more precision */
	DType input, output;  /* DT_I8, DT_U8, DT_I16, or DT_F32 for numbers that stay float */
	struct Survey *survey; /* what earlier calls with this graph and these samples measured, and
	                        * this one will, when it is of use (survey.h); or NULL */
	bool measure_shares;  /* of the layers in the error: takes a run of the network for each */
	int nkeep;
	const char *const *keep; /* layers or values that are computed in float */
} CompressOptions;

/* Whether a node is one that is computed in float because the options say so. */
bool options_keep(const CompressOptions *o, const Node *n);

/* What the graph's plain inputs are in a number of calls. */
typedef struct {
	const char *file;  /* for messages; NULL: there are no data, and the inputs below are made up */
	size_t n;
	const CallArray *in;   /* of elements as the graph's inputs have them */
	const int64_t *labels; /* the right class of each sample; NULL: not known */
} Samples;

/* What became of one node. */
typedef struct {
	const Node *node;    /* of the float graph */
	const NewWeights *weights; /* that were chosen for it, or NULL */
	const char *name;
	bool integer;        /* it computes on integers, or only moves them */
	int bits;            /* of its weights; 0: it has none */
	double sparsity;     /* part of its weights that is 0 */
	size_t bytes;        /* of its constants */
	size_t float_bytes;  /* of those that it had */
	int64_t macs;
	double noise, signal; /* mean squares: of the error of its output, of the output */
	double share;        /* of the outputs' error that weights make, each layer's alone; 0: not
	                      * measured */
	/* Of the program that is made of the result, when the caller sets them. */
	const char *form;    /* how it is computed; NULL: it needs no code */
	size_t flash;        /* bytes of constants there */
	int64_t cycles;
} LayerReport;

/* What a program takes. */
typedef struct {
	size_t constants, code, ram; /* bytes; of RAM, the arena */
	int64_t macs, cycles;        /* cycles: 0 where the target has no table of costs */
} ProgramSize;

/* How two networks differ on samples. */
typedef struct {
	size_t samples, elements; /* elements of the first output */
	bool classes;             /* the first output is one of weights of classes */
	size_t same_class;        /* samples in which the same class has the most weight */
	double kl;                /* mean divergence of the classes' probabilities */
	double largest, rmse;     /* error of the elements */
	double float_rms;         /* of the elements as they should be */
	size_t right_float, right; /* samples with the right label, when there are labels */
} Agreement;

typedef struct CompressReport {
	VEC(LayerReport) layers;
	size_t used, held_out;   /* samples */
	bool has_labels;
	bool made_up;
	Agreement agreement;     /* on the samples that were held out, or on all when there
	                          * are too few */
	size_t float_bytes, bytes; /* of constants */
	int kept_float;          /* nodes that still compute on floats */
	const char *found;       /* the option that a search found, or NULL */
	bool has_program;        /* the caller has set these and what layers have of them */
	ProgramSize before, after;
} CompressReport;

/*
 * The graph with every value on 8-bit integers that can be; NULL when an error was
 * reported.  `g` holds no sugar and no quantised values, and its constants are folded; it is
 * rewritten in ways that keep its meaning.
 */
Graph *compress_graph(Graph *g, const CompressOptions *options, const Samples *samples,
                      const Executor *exec, CompressReport *report, Diag *d);

/* Bytes of the constants that a graph uses. */
size_t compress_constant_bytes(const Graph *g);

/* The report as text, and as one JSON object. */
void compress_report_text(Str *s, const CompressReport *r);
void compress_report_json(Str *s, const CompressReport *r);

#endif
