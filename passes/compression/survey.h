/*
 * What the network loses when one layer alone is compressed.
 *
 * Layers differ much in what they can spare: a layer of many weights whose errors later
 * layers absorb may lose nearly all of them where another one may lose none.  The survey
 * drops growing shares of each layer's weights, as well as that can be done (solve.h),
 * while all other layers stay as they are, and measures how far the network's outputs move
 * on samples that the weights were not fitted to.
 */
#ifndef MCC_PASSES_COMPRESSION_SURVEY_H
#define MCC_PASSES_COMPRESSION_SURVEY_H

#include "passes/compression/walk.h"

typedef struct {
	const Node *n;
	double weights; /* how many it has */
	double *loss;   /* by share: the outputs' mean square error, against their variance */
} LayerLoss;

typedef struct Survey {
	int nshares;
	const double *share; /* growing */
	VEC(LayerLoss) layers;
} Survey;

/* Shows hooks->look() each layer of the float network.  False when an error was reported. */
bool survey_walk(Graph *g, const CompressOptions *options, const WalkHooks *hooks, const Samples *s,
                 const CallArray *states, const Executor *exec, Arena *a, Diag *d);

/* `s` and `states` are what the weights may be chosen from.  False when an error was
 * reported. */
bool survey_layers(Survey *out, Graph *g, const CompressOptions *options, const Samples *s,
                   const CallArray *states, const Executor *exec, Arena *a, Diag *d);

/* The share of each layer's weights that goes, by layer of the survey, when `target` of
 * all their weights is to go and what that costs is least; each layer's part beyond the
 * greatest share that was tried. */
double *survey_allocate(const Survey *s, double target, Arena *a);

#endif
