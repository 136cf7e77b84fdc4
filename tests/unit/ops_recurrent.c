/*
 * lstm, gru and rnn: against numbers of PyTorch and of the numpy programs that
 * come with ONNX, and against the ONNX equations in double for every attribute.
 */
#include <string.h>

#include "tests/unit/run_node.h"

enum { X, W, R, BIAS, LENGTHS, H0, C0, PEEPHOLES };

/* ---- Numbers of others ---- */

/* An input of sixteenths that a formula makes, the same in the programs that made
 * the expected numbers. */
static void
sixteenths(Run *r, DType t, int rank, const int32_t *dim, int offset)
{
	void *data = run_zeros(r, t, rank, dim);
	int32_t count = type_numel(&r->in[r->nins - 1]->type);

	for (int32_t i = 0; i < count; i++)
		num_store(t, data, (size_t)i, ((i * 37 + offset * 11) % 17 - 8) / 16.0);
}

/* The inputs of all these tests: 4 steps, batch 2, 3 inputs, 2 neurons. */
static void
make_inputs(Run *r, DType t, int32_t dirs, int32_t gates, bool cell)
{
	sixteenths(r, t, DIMS(4, 2, 3), 1);
	sixteenths(r, t, DIMS(dirs, gates * 2, 3), 2);
	sixteenths(r, t, DIMS(dirs, gates * 2, 2), 3);
	sixteenths(r, t, DIMS(dirs, gates * 4), 4);
	run_absent(r);
	sixteenths(r, t, DIMS(dirs, 2, 2), 5);
	if (cell)
		sixteenths(r, t, DIMS(dirs, 2, 2), 6);
}

static double
tolerance(DType t)
{
	return t == DT_F64 ? 1e-13 : 1e-6;
}

static const DType float_types[] = {DT_F32, DT_F64};

START_TEST(bidirectional_lstm_agrees_with_pytorch)
{
	static const double y[] = {
		0.0712050898812633, -0.123365855437033, -0.174277810862376, 0.0426581100053146,
		0.318148944376638, -0.148926691327871, 0.17018964294222, -0.126028007702695,
		-0.0350147237512826, -0.0910060019702388, -0.12412660585878, 0.0795666499298237,
		0.314099147239612, -0.124588538915702, 0.181304248176215, -0.13179688562701,
		-0.0708144030049408, -0.0879141186435266, -0.103171140369402, 0.0836439817437502,
		0.284733152952622, -0.0803542431255364, 0.185485891121616, -0.141369455032117,
		-0.110042491034716, -0.0349247472496221, -0.0861968063140031, 0.0753030855329025,
		0.157927613816, -0.00577294622312045, 0.176064463832309, -0.147666503052354};
	static const double h[] = {
		-0.110042491034716, -0.0349247472496221, -0.0861968063140031, 0.0753030855329025,
		0.318148944376638, -0.148926691327871, 0.17018964294222, -0.126028007702695};
	static const double c[] = {
		-0.205493714499406, -0.0632812489260004, -0.141049037549322, 0.193631065090054,
		0.831831881118092, -0.25255879180067, 0.368877309847207, -0.194259728708358};
	Run r;

	run_begin(&r);
	make_inputs(&r, float_types[_i], 2, 4, true);
	((Attr_LSTM *)run_node(&r, OP_LSTM, 3))->direction = DIRECTION_bidirectional;
	run_compute(&r);
	expect_close(&r, 0, y, tolerance(float_types[_i]));
	expect_close(&r, 1, h, tolerance(float_types[_i]));
	expect_close(&r, 2, c, tolerance(float_types[_i]));
	run_end(&r);
}
END_TEST

START_TEST(bidirectional_gru_agrees_with_pytorch)
{
	static const double y[] = {
		-0.292551190917652, -0.0312309761718474, -0.0220813840936596, 0.180873651434206,
		-0.0729826964431505, -0.0227157961754782, -0.0738132700855339, 0.182974691762248,
		-0.303592027379931, -0.0104238287633089, -0.0962977373010857, 0.0864369929840143,
		-0.00997290236919363, -0.0614420266590004, -0.0585094685189746, 0.147041564589629,
		-0.298467913394409, 0.0035000131871601, -0.128272250843103, 0.01764619949679,
		0.0570771225104164, -0.111784153805686, -0.0662293068957377, 0.105446473534143,
		-0.342824931323207, 0.0939801826308119, -0.136744943465691, -0.0326110470240308,
		0.13058972048826, -0.183112115083883, -0.106072727628845, 0.0569417466838273};
	static const double h[] = {
		-0.342824931323207, 0.0939801826308119, -0.136744943465691, -0.0326110470240308,
		-0.0729826964431505, -0.0227157961754782, -0.0738132700855339, 0.182974691762248};
	Attr_GRU *a;
	Run r;

	run_begin(&r);
	make_inputs(&r, float_types[_i], 2, 3, false);
	a = run_node(&r, OP_GRU, 2);
	a->direction = DIRECTION_bidirectional;
	a->linear_before_reset = true;
	run_compute(&r);
	expect_close(&r, 0, y, tolerance(float_types[_i]));
	expect_close(&r, 1, h, tolerance(float_types[_i]));
	run_end(&r);
}
END_TEST

START_TEST(bidirectional_rnn_agrees_with_pytorch)
{
	static const double y[] = {
		0.375259991429709, 0.0234332094083307, 0.565324957905875, -0.158800817809974,
		-0.0246500918146289, 0.318851097871995, 0.119619603994428, 0.166354106006819,
		0.58821759304555, -0.120553347476141, 0.776908943371426, -0.263681529679696,
		0.0115791351919074, 0.26179686887614, 0.140593536977958, 0.125223478242409,
		0.683370263267035, -0.186217392069571, 0.828284618312546, -0.324865079697711,
		0.0880188467542544, 0.288952983902038, 0.194094846887909, 0.124118657449081,
		0.719983346021343, 0.289159953321881, 0.84294997488404, -0.357532051316136,
		-0.20037671852041, 0.606347592713803, 0.0468406978726481, 0.313316541076364};
	static const double h[] = {
		0.719983346021343, 0.289159953321881, 0.84294997488404, -0.357532051316136,
		-0.0246500918146289, 0.318851097871995, 0.119619603994428, 0.166354106006819};
	Run r;

	run_begin(&r);
	make_inputs(&r, float_types[_i], 2, 1, false);
	((Attr_RNN *)run_node(&r, OP_RNN, 2))->direction = DIRECTION_bidirectional;
	run_compute(&r);
	expect_close(&r, 0, y, tolerance(float_types[_i]));
	expect_close(&r, 1, h, tolerance(float_types[_i]));
	run_end(&r);
}
END_TEST

START_TEST(lstm_with_peepholes_agrees_with_onnx)
{
	static const double y[] = {
		0.0655030417965065, -0.132314904241012, -0.167726073325609, 0.0408056558358085,
		-0.0379244885660294, -0.0966246233395204, -0.123174025578542, 0.0757018077966513,
		-0.0701579719617488, -0.0922155796161104, -0.103362847093966, 0.0797503115099154,
		-0.106049145175275, -0.0364337325773191, -0.0866045701500302, 0.0722716373195551};
	static const double h[] = {-0.106049145175275, -0.0364337325773191, -0.0866045701500302,
	                           0.0722716373195551};
	Run r;

	run_begin(&r);
	make_inputs(&r, float_types[_i], 1, 4, true);
	sixteenths(&r, float_types[_i], DIMS(1, 6), 7);
	run_node(&r, OP_LSTM, 2);
	run_compute(&r);
	expect_close(&r, 0, y, tolerance(float_types[_i]));
	expect_close(&r, 1, h, tolerance(float_types[_i]));
	run_end(&r);
}
END_TEST

START_TEST(gru_with_reset_first_agrees_with_onnx)
{
	static const double y[] = {
		-0.320843175427898, -0.0204359371223626, -0.0462902328237211, 0.199881092718791,
		-0.346729366881394, 0.00695938772282228, -0.135098582373366, 0.113783214589824,
		-0.348888534299616, 0.0250438677019744, -0.174874572343937, 0.0485822968926356,
		-0.395900770364815, 0.116304745779999, -0.187259050563923, -0.000191019091269777};
	static const double h[] = {-0.395900770364815, 0.116304745779999, -0.187259050563923,
	                           -0.000191019091269777};
	Run r;

	run_begin(&r);
	make_inputs(&r, float_types[_i], 1, 3, false);
	run_node(&r, OP_GRU, 2);
	run_compute(&r);
	expect_close(&r, 0, y, tolerance(float_types[_i]));
	expect_close(&r, 1, h, tolerance(float_types[_i]));
	run_end(&r);
}
END_TEST

/* ---- The equations, in double ---- */

enum { MOST = 8 };

static const struct {
	const char *name;
	bool has_alpha, has_beta;
	double alpha, beta;
} functions[] = {
	{"Relu", false, false, 0, 0},        {"Tanh", false, false, 0, 0},
	{"Sigmoid", false, false, 0, 0},     {"Affine", true, true, 1, 0},
	{"LeakyRelu", true, false, 0.01, 0}, {"ThresholdedRelu", true, false, 1, 0},
	{"ScaledTanh", true, true, 1, 1},    {"HardSigmoid", true, true, 0.2, 0.5},
	{"Elu", true, false, 1, 0},          {"Softsign", false, false, 0, 0},
	{"Softplus", false, false, 0, 0},
};

enum { FUNCTIONS = sizeof functions / sizeof functions[0] };

typedef struct {
	int kind;
	double alpha, beta;
} Function;

static double
apply(const Function *f, double x)
{
	switch (f->kind) {
	case 0: return x > 0 ? x : 0;
	case 1: return tanh(x);
	case 2: return 1 / (1 + exp(-x));
	case 3: return f->alpha * x + f->beta;
	case 4: return x >= 0 ? x : f->alpha * x;
	case 5: return x >= f->alpha ? x : 0;
	case 6: return f->alpha * tanh(f->beta * x);
	case 7: return fmin(fmax(f->alpha * x + f->beta, 0), 1);
	case 8: return x >= 0 ? x : f->alpha * (exp(x) - 1);
	case 9: return x / (1 + fabs(x));
	default: return x > 40 ? x : log1p(exp(x));
	}
}

typedef struct {
	Op op;
	int32_t time, batch, inputs, hidden, dirs, gates;
	bool reverse, linear, input_forget;
	double clip;
	Function f[6];
	double *in[8], *lengths;
	double *y, *y_h, *y_c;
} Net;

static double
clipped(const Net *n, double x)
{
	return fmax(fmin(x, n->clip), -n->clip);
}

/* Row g * hidden + j of direction d: the part of the inputs or of a state. */
static double
row_part(const Net *n, int d, int row, const double *v, int count, const double *weights, int bias)
{
	int rows = n->gates * n->hidden;
	double sum = n->in[BIAS] ? n->in[BIAS][(d * 2 + bias) * rows + row] : 0;

	for (int i = 0; i < count; i++)
		sum += v[i] * weights[(d * rows + row) * count + i];
	return sum;
}

static double
row_sum(const Net *n, int d, int gate, int j, const double *x, const double *h)
{
	int row = gate * n->hidden + j;

	return row_part(n, d, row, x, n->inputs, n->in[W], 0) +
	       row_part(n, d, row, h, n->hidden, n->in[R], 1);
}

static double
peephole(const Net *n, int d, int which, int j, double cell)
{
	return n->in[PEEPHOLES] ? n->in[PEEPHOLES][(d * 3 + which) * n->hidden + j] * cell : 0;
}

static void
step(const Net *n, int d, const double *x, double h[MOST], double c[MOST])
{
	const Function *f = n->f + d * (n->op == OP_LSTM ? 3 : n->op == OP_GRU ? 2 : 1);
	double next[MOST], z[MOST], reset[MOST], gated[MOST];

	for (int j = 0; j < n->hidden && n->op == OP_RNN; j++)
		next[j] = apply(&f[0], clipped(n, row_sum(n, d, 0, j, x, h)));
	for (int j = 0; j < n->hidden && n->op == OP_LSTM; j++) {
		double i = row_sum(n, d, 0, j, x, h) + peephole(n, d, 0, j, c[j]);
		double o = row_sum(n, d, 1, j, x, h);
		double forget = row_sum(n, d, 2, j, x, h) + peephole(n, d, 2, j, c[j]);
		double g = row_sum(n, d, 3, j, x, h);

		i = apply(&f[0], clipped(n, i));
		forget = n->input_forget ? 1 - i : apply(&f[0], clipped(n, forget));
		c[j] = forget * c[j] + i * apply(&f[1], clipped(n, g));
		o = apply(&f[0], clipped(n, o + peephole(n, d, 1, j, c[j])));
		next[j] = o * apply(&f[2], c[j]);
	}
	for (int j = 0; j < n->hidden && n->op == OP_GRU; j++) {
		z[j] = apply(&f[0], clipped(n, row_sum(n, d, 0, j, x, h)));
		reset[j] = apply(&f[0], clipped(n, row_sum(n, d, 1, j, x, h)));
		gated[j] = reset[j] * h[j];
	}
	for (int j = 0; j < n->hidden && n->op == OP_GRU; j++) {
		int row = 2 * n->hidden + j;
		double sum = row_part(n, d, row, x, n->inputs, n->in[W], 0);

		if (n->linear)
			sum += reset[j] * row_part(n, d, row, h, n->hidden, n->in[R], 1);
		else
			sum += row_part(n, d, row, gated, n->hidden, n->in[R], 1);
		next[j] = (1 - z[j]) * apply(&f[1], clipped(n, sum)) + z[j] * h[j];
	}
	memcpy(h, next, (size_t)n->hidden * sizeof *h);
}

static void
run_net(const Net *n)
{
	for (int d = 0; d < n->dirs; d++)
		for (int b = 0; b < n->batch; b++) {
			double h[MOST] = {0}, c[MOST] = {0};
			int at = (d * n->batch + b) * n->hidden;
			int length = n->lengths ? (int)n->lengths[b] : n->time;

			length = length < 0 ? 0 : length > n->time ? n->time : length;
			for (int j = 0; j < n->hidden; j++) {
				h[j] = n->in[H0] ? n->in[H0][at + j] : 0;
				c[j] = n->in[C0] ? n->in[C0][at + j] : 0;
			}
			for (int s = 0; s < length; s++) {
				int t = d == 1 || n->reverse ? length - 1 - s : s;

				step(n, d, n->in[X] + (t * n->batch + b) * n->inputs, h, c);
				for (int j = 0; j < n->hidden; j++)
					n->y[((t * n->dirs + d) * n->batch + b) * n->hidden + j] = h[j];
			}
			memcpy(n->y_h + at, h, (size_t)n->hidden * sizeof *h);
			memcpy(n->y_c + at, c, (size_t)n->hidden * sizeof *c);
		}
}

/* Picks functions for all gates; gives their names and parameters, of which the
 * last ones may be left to their defaults. */
static const char *
pick_functions(Run *r, Net *n, int count, Floats *alpha, Floats *beta, uint32_t *seed)
{
	int alphas = 0, betas = 0, most = random_int(seed, 0, 6);
	double *a = ARENA_ARRAY(r->arena, double, 6), *b = ARENA_ARRAY(r->arena, double, 6);
	Str s;

	str_init(&s, r->arena);
	for (int i = 0; i < count; i++) {
		int kind = random_int(seed, 0, FUNCTIONS - 1);
		Function *f = &n->f[i];

		*f = (Function){kind, functions[kind].alpha, functions[kind].beta};
		if (functions[kind].has_alpha && alphas < most)
			f->alpha = a[alphas++] = random_int(seed, 1, 7) / 8.0;
		if (functions[kind].has_beta && betas < most)
			f->beta = b[betas++] = random_int(seed, 1, 7) / 8.0;
		str_printf(&s, "%s%s", i ? "," : "", functions[kind].name);
	}
	*alpha = (Floats){alphas, a};
	*beta = (Floats){betas, b};
	return s.s;
}

/* Divides the last input by 4: unbounded activations must not run away. */
static void
quarter(Run *r)
{
	const Type *t = &r->in[r->nins - 1]->type;
	void *data = r->data[r->nins - 1];

	for (size_t i = 0; i < (size_t)type_numel(t); i++)
		num_store(t->dtype, data, i, num_load(t->dtype, data, i) / 4);
}

static void
random_inputs(Run *r, const Net *n, DType t, uint32_t *seed)
{
	int32_t rows = n->gates * n->hidden;
	int32_t shape[8][3] = {{n->time, n->batch, n->inputs}, {n->dirs, rows, n->inputs},
	                       {n->dirs, rows, n->hidden},     {n->dirs, 2 * rows},
	                       {n->batch},                     {n->dirs, n->batch, n->hidden},
	                       {n->dirs, n->batch, n->hidden}, {n->dirs, 3 * n->hidden}};
	static const int rank[8] = {3, 3, 3, 2, 1, 3, 3, 2};
	int count = random_int(seed, 3, n->op == OP_LSTM ? 8 : 6);

	for (int i = 0; i < count; i++) {
		if (i >= BIAS && random_int(seed, 0, 1)) {
			run_absent(r);
		} else if (i == LENGTHS) {
			int32_t *v = run_zeros(r, DT_I32, 1, shape[i]);

			for (int k = 0; k < n->batch; k++)
				v[k] = random_int(seed, -1, n->time + 1);
		} else {
			run_random(r, t, rank[i], shape[i], seed);
			quarter(r);
		}
	}
}

static void
check_random_net(Op op, uint32_t *seed)
{
	DType t = float_types[random_int(seed, 0, 1)];
	Net n = {.op = op, .gates = op == OP_LSTM ? 4 : op == OP_GRU ? 3 : 1};
	Direction direction = (Direction)random_int(seed, 0, 2);
	int each = op == OP_LSTM ? 3 : op == OP_GRU ? 2 : 1, outputs;
	Floats alpha, beta;
	const char *names;
	Run r;

	run_begin(&r);
	n.time = random_int(seed, 0, 4);
	n.batch = random_int(seed, 1, 3);
	n.inputs = random_int(seed, 0, 4);
	n.hidden = random_int(seed, 1, 4);
	n.dirs = direction == DIRECTION_bidirectional ? 2 : 1;
	n.reverse = direction == DIRECTION_reverse;
	n.clip = random_int(seed, 0, 1) ? HUGE_VAL : 0.25;
	n.linear = random_int(seed, 0, 1);
	n.input_forget = random_int(seed, 0, 1);
	names = pick_functions(&r, &n, each * n.dirs, &alpha, &beta, seed);
	random_inputs(&r, &n, t, seed);
	outputs = random_int(seed, 1, op == OP_LSTM ? 3 : 2);
	run_node(&r, op, outputs);
	if (op == OP_LSTM)
		*(Attr_LSTM *)r.node->attr = (Attr_LSTM){direction, names, alpha, beta, n.clip,
		                                         n.input_forget, 0};
	else if (op == OP_GRU)
		*(Attr_GRU *)r.node->attr =
			(Attr_GRU){direction, names, alpha, beta, n.clip, n.linear, 0};
	else
		*(Attr_RNN *)r.node->attr = (Attr_RNN){direction, names, alpha, beta, n.clip, 0};
	if (outputs > 1 && random_int(seed, 0, 1))
		r.node->out[0] = NULL;
	run_compute(&r);
	for (int i = 0; i < r.nins; i++)
		if (r.in[i])
			n.in[i] = run_input(&r, i);
	n.lengths = n.in[LENGTHS];
	n.y = ARENA_ARRAY(r.arena, double, n.time * n.dirs * n.batch * n.hidden);
	n.y_h = ARENA_ARRAY(r.arena, double, n.dirs * n.batch * n.hidden);
	n.y_c = ARENA_ARRAY(r.arena, double, n.dirs * n.batch * n.hidden);
	run_net(&n);
	if (r.node->out[0])
		expect_close(&r, 0, n.y, t == DT_F64 ? 1e-11 : 2e-5);
	if (outputs > 1)
		expect_close(&r, 1, n.y_h, t == DT_F64 ? 1e-11 : 2e-5);
	if (outputs > 2)
		expect_close(&r, 2, n.y_c, t == DT_F64 ? 1e-11 : 2e-5);
	run_end(&r);
}

START_TEST(lstm_follows_the_equations)
{
	uint32_t seed = 1;

	for (int i = 0; i < 1000; i++)
		check_random_net(OP_LSTM, &seed);
}
END_TEST

START_TEST(gru_follows_the_equations)
{
	uint32_t seed = 2;

	for (int i = 0; i < 1000; i++)
		check_random_net(OP_GRU, &seed);
}
END_TEST

START_TEST(rnn_follows_the_equations)
{
	uint32_t seed = 3;

	for (int i = 0; i < 1000; i++)
		check_random_net(OP_RNN, &seed);
}
END_TEST

START_TEST(names_of_activations_have_no_case)
{
	Attr_RNN *a;
	Run r;

	run_begin(&r);
	run_numbers(&r, DT_F32, DIMS(1, 1, 1), (double[]){-3});
	run_numbers(&r, DT_F32, DIMS(1, 1, 1), (double[]){1});
	run_numbers(&r, DT_F32, DIMS(1, 1, 1), (double[]){0});
	a = run_node(&r, OP_RNN, 1);
	a->activations = "rELU";
	run_compute(&r);
	expect_equal(&r, 0, (double[]){0});
	run_end(&r);
}
END_TEST

START_TEST(half_types_are_computed_in_f32)
{
	/* The state 1 + 2^-10 is not a bf16, the output is. */
	Run r;

	run_begin(&r);
	run_numbers(&r, DT_BF16, DIMS(2, 1, 1), (double[]){1, 0});
	run_numbers(&r, DT_BF16, DIMS(1, 1, 1), (double[]){1});
	run_numbers(&r, DT_BF16, DIMS(1, 1, 1), (double[]){1024});
	run_numbers(&r, DT_BF16, DIMS(1, 2), (double[]){0x1p-10, 0});
	((Attr_RNN *)run_node(&r, OP_RNN, 1))->activations = "Affine";
	run_compute(&r);
	expect_equal(&r, 0, (double[]){1, 1024 + 1 + 0x1p-10});
	run_end(&r);
}
END_TEST

START_TEST(bad_recurrent_nodes_are_reported)
{
	static const struct {
		int input; /* whose shape is wrong; -1: none */
		int rank;
		int32_t dim[3];
		const char *activations;
		double clip;
		DiagCode code;
	} bad[] = {
		{X, 2, {4, 2}, "Sigmoid,Tanh", 1, E_SHAPE},
		{W, 3, {1, 6, 4}, "Sigmoid,Tanh", 1, E_SHAPE},
		{W, 3, {2, 6, 3}, "Sigmoid,Tanh", 1, E_SHAPE},
		{W, 3, {1, 8, 3}, "Sigmoid,Tanh", 1, E_SHAPE},
		{R, 3, {1, 6, 3}, "Sigmoid,Tanh", 1, E_SHAPE},
		{R, 3, {0, 0, INT32_MAX / 4}, "Sigmoid,Tanh", 1, E_SIZE},
		{BIAS, 2, {1, 6}, "Sigmoid,Tanh", 1, E_SHAPE},
		{LENGTHS, 1, {3}, "Sigmoid,Tanh", 1, E_SHAPE},
		{H0, 3, {1, 3, 2}, "Sigmoid,Tanh", 1, E_SHAPE},
		{-1, 0, {0}, "Sigmoid", 1, E_ATTRIBUTE},
		{-1, 0, {0}, "", 1, E_ATTRIBUTE},
		{-1, 0, {0}, "Sigmoid,,Tanh", 1, E_ATTRIBUTE},
		{-1, 0, {0}, "Sigmoid,Gelu", 1, E_UNSUPPORTED},
		{-1, 0, {0}, "Sigmoid,Tan", 1, E_UNSUPPORTED},
		{-1, 0, {0}, "Sigmoid,Tanhh", 1, E_UNSUPPORTED},
		{-1, 0, {0}, "Sigmoid,Tanh", -1, E_ATTRIBUTE},
		{-1, 0, {0}, "Sigmoid,Tanh", NOT_A_NUMBER, E_ATTRIBUTE},
	};
	static const int32_t good[][3] = {{4, 2, 3}, {1, 6, 3}, {1, 6, 2}, {1, 12}, {2}, {1, 2, 2}};
	static const int rank[] = {3, 3, 3, 2, 1, 3};

	for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
		Attr_GRU *a;
		Run r;

		run_begin(&r);
		for (int k = 0; k < 6; k++) {
			bool wrong = bad[i].input == k;

			run_zeros(&r, k == LENGTHS ? DT_I32 : DT_F32, wrong ? bad[i].rank : rank[k],
			          wrong ? bad[i].dim : good[k]);
		}
		a = run_node(&r, OP_GRU, 2);
		a->activations = bad[i].activations;
		a->clip = bad[i].clip;
		expect_error(&r, bad[i].code);
		run_end(&r);
	}
}
END_TEST

START_TEST(element_types_of_recurrent_nodes_are_checked)
{
	for (int wrong = X; wrong <= LENGTHS; wrong++) {
		Run r;

		run_begin(&r);
		run_zeros(&r, wrong == X ? DT_I32 : DT_F32, DIMS(4, 2, 3));
		run_zeros(&r, wrong == W ? DT_F64 : DT_F32, DIMS(1, 6, 3));
		run_zeros(&r, wrong == R ? DT_F64 : DT_F32, DIMS(1, 6, 2));
		run_zeros(&r, wrong == BIAS ? DT_F64 : DT_F32, DIMS(1, 12));
		run_zeros(&r, wrong == LENGTHS ? DT_I64 : DT_I32, DIMS(2));
		run_node(&r, OP_GRU, 2);
		expect_error(&r, E_TYPE);
		run_end(&r);
	}
}
END_TEST

int
main(void)
{
	TCase *tc = tcase_create("recurrent");

	tcase_set_timeout(tc, 120);
	tcase_add_loop_test(tc, bidirectional_lstm_agrees_with_pytorch, 0, 2);
	tcase_add_loop_test(tc, bidirectional_gru_agrees_with_pytorch, 0, 2);
	tcase_add_loop_test(tc, bidirectional_rnn_agrees_with_pytorch, 0, 2);
	tcase_add_loop_test(tc, lstm_with_peepholes_agrees_with_onnx, 0, 2);
	tcase_add_loop_test(tc, gru_with_reset_first_agrees_with_onnx, 0, 2);
	tcase_add_test(tc, lstm_follows_the_equations);
	tcase_add_test(tc, gru_follows_the_equations);
	tcase_add_test(tc, rnn_follows_the_equations);
	tcase_add_test(tc, names_of_activations_have_no_case);
	tcase_add_test(tc, half_types_are_computed_in_f32);
	tcase_add_test(tc, bad_recurrent_nodes_are_reported);
	tcase_add_test(tc, element_types_of_recurrent_nodes_are_checked);
	return run_suite(tc, "recurrent");
}
