/*
 * A mutator for libFuzzer that keeps models well-formed: it changes fields of the
 * messages instead of bytes, so that most mutants get past the wire format.  Used
 * only with -DMCC_FUZZ=ON.
 */
#include <onnx/onnx.pb-c.h>
#include <string.h>

#include "base/arena.h"
#include "tests/fuzz/fuzz.h"

size_t LLVMFuzzerMutate(uint8_t *data, size_t size, size_t max_size);
size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t max_size, unsigned seed);

typedef struct {
	Arena *arena;
	uint32_t seed;
	VEC(ProtobufCMessage *) messages;
	VEC(char *) strings;
	VEC(Onnx__TensorProto *) tensors;
} Mutator;

static uint32_t
dice(Mutator *m, uint32_t sides)
{
	m->seed = m->seed * 1664525u + 1013904223u;
	return (m->seed >> 8) % sides;
}

static void *
allocate(void *arena, size_t size)
{
	return arena_alloc(arena, size);
}

static void
release(void *arena, void *object)
{
	(void)arena;
	(void)object;
}

/* ---- Fields by their descriptors ---- */

static void *
field(ProtobufCMessage *k, const ProtobufCFieldDescriptor *f)
{
	return (char *)k + f->offset;
}

/* The number of elements, or whether the field is there. */
static size_t
count(ProtobufCMessage *k, const ProtobufCFieldDescriptor *f)
{
	const char *quantifier = (char *)k + f->quantifier_offset;

	if (f->label == PROTOBUF_C_LABEL_REPEATED)
		return *(const size_t *)(const void *)quantifier;
	if (f->flags & PROTOBUF_C_FIELD_FLAG_ONEOF)
		return *(const uint32_t *)(const void *)quantifier == f->id;
	if (f->type == PROTOBUF_C_TYPE_MESSAGE || f->type == PROTOBUF_C_TYPE_STRING)
		return *(void **)field(k, f) != NULL;
	return 1;
}

static size_t
element_size(const ProtobufCFieldDescriptor *f)
{
	switch (f->type) {
	case PROTOBUF_C_TYPE_INT64:
	case PROTOBUF_C_TYPE_UINT64:
	case PROTOBUF_C_TYPE_DOUBLE: return 8;
	case PROTOBUF_C_TYPE_STRING:
	case PROTOBUF_C_TYPE_MESSAGE: return sizeof(void *);
	case PROTOBUF_C_TYPE_BYTES: return sizeof(ProtobufCBinaryData);
	default: return 4;
	}
}

static void
collect(Mutator *m, ProtobufCMessage *k)
{
	VEC_PUSH(m->arena, &m->messages, k);
	if (k->descriptor == &onnx__tensor_proto__descriptor) {
		Onnx__TensorProto *t = (void *)k;

		VEC_PUSH(m->arena, &m->tensors, t);
	}
	for (unsigned i = 0; i < k->descriptor->n_fields; i++) {
		const ProtobufCFieldDescriptor *f = &k->descriptor->fields[i];
		void **v = field(k, f);
		size_t n = count(k, f);

		if (n && f->label == PROTOBUF_C_LABEL_REPEATED)
			v = *v;
		for (size_t j = 0; j < n; j++) {
			if (f->type == PROTOBUF_C_TYPE_MESSAGE)
				collect(m, v[j]);
			if (f->type == PROTOBUF_C_TYPE_STRING)
				VEC_PUSH(m->arena, &m->strings, v[j]);
		}
	}
}

/* ---- Changes ---- */

static int64_t
interesting(Mutator *m)
{
	static const int64_t numbers[] = {0,         1,          2,         3,          -1,
	                                  -2,        4,          5,         7,          8,
	                                  9,         13,         16,        INT32_MAX,  INT32_MIN,
	                                  INT64_MAX, INT64_MIN,  65536,     1000,       1 << 30,
	                                  46341,     1ll << 40,  -3,        10,         11};
	int64_t v = numbers[dice(m, sizeof numbers / sizeof numbers[0])];

	return dice(m, 4) ? v : (int64_t)dice(m, 26);
}

static char *
any_string(Mutator *m)
{
	static const char *const words[] = {
		"",     "Loop",   "If",     "Scan", "Reshape", "Slice",      "Resize",  "Pad",
		"Conv", "Concat", "Expand", "Tile", "Range",   "SAME_UPPER", "reflect", "axes",
		"Gather", "TopK", "Compress", "NonZero", "OneHot", "Einsum", "ai.onnx", "com.microsoft"};

	if (m->strings.n && dice(m, 3))
		return m->strings.v[dice(m, (uint32_t)m->strings.n)];
	return arena_strdup(m->arena, words[dice(m, sizeof words / sizeof words[0])]);
}

static void
set_number(Mutator *m, const ProtobufCFieldDescriptor *f, void *at)
{
	int64_t v = interesting(m);
	float x = (float)v * (dice(m, 2) ? 1.0f : 0.37f);
	double d = (double)x;
	int32_t w = (int32_t)v;

	if (f->type == PROTOBUF_C_TYPE_FLOAT)
		memcpy(at, &x, sizeof x);
	else if (f->type == PROTOBUF_C_TYPE_DOUBLE)
		memcpy(at, &d, sizeof d);
	else if (element_size(f) == 8)
		memcpy(at, &v, sizeof v);
	else
		memcpy(at, &w, sizeof w);
}

static void
change_bytes(Mutator *m, ProtobufCBinaryData *b)
{
	size_t room = b->len + 8;

	b->data = arena_grow(m->arena, b->data, b->len, room, 1);
	b->len = LLVMFuzzerMutate(b->data, b->len, room);
}

static void
change_element(Mutator *m, const ProtobufCFieldDescriptor *f, void *at)
{
	switch (f->type) {
	case PROTOBUF_C_TYPE_STRING: *(char **)at = any_string(m); break;
	case PROTOBUF_C_TYPE_BYTES: change_bytes(m, at); break;
	case PROTOBUF_C_TYPE_MESSAGE:
		/* Tensors hold nothing that could hold this message. */
		if (f->descriptor == &onnx__tensor_proto__descriptor && m->tensors.n)
			*(void **)at = m->tensors.v[dice(m, (uint32_t)m->tensors.n)];
		break;
	default: set_number(m, f, at); break;
	}
}

static void
change_list(Mutator *m, ProtobufCMessage *k, const ProtobufCFieldDescriptor *f)
{
	size_t *n = (void *)((char *)k + f->quantifier_offset), size = element_size(f), from;
	char **list = field(k, f), *copy;

	copy = arena_grow(m->arena, *list, *n, *n + 1, size);
	*list = copy;
	from = *n ? dice(m, (uint32_t)*n) : 0;
	switch (dice(m, 4)) {
	case 0: /* remove one */
		if (*n) {
			memmove(copy + from * size, copy + (from + 1) * size, (*n - from) * size);
			--*n;
		}
		break;
	case 1: /* double one, or add a first */
		if (*n)
			memcpy(copy + *n * size, copy + from * size, size);
		else if (f->type == PROTOBUF_C_TYPE_MESSAGE || f->type == PROTOBUF_C_TYPE_BYTES)
			break;
		else
			change_element(m, f, copy);
		++*n;
		break;
	case 2: /* swap two */
		if (*n > 1) {
			size_t to = dice(m, (uint32_t)*n);

			memcpy(copy + *n * size, copy + from * size, size);
			memcpy(copy + from * size, copy + to * size, size);
			memcpy(copy + to * size, copy + *n * size, size);
		}
		break;
	default:
		if (*n)
			change_element(m, f, copy + from * size);
		break;
	}
}

static void
change(Mutator *m, ProtobufCMessage *k)
{
	const ProtobufCFieldDescriptor *f = &k->descriptor->fields[dice(m, k->descriptor->n_fields)];
	bool is_pointer = f->type == PROTOBUF_C_TYPE_STRING || f->type == PROTOBUF_C_TYPE_MESSAGE;

	if (f->label == PROTOBUF_C_LABEL_REPEATED) {
		change_list(m, k, f);
	} else if (f->flags & PROTOBUF_C_FIELD_FLAG_ONEOF) {
		if (count(k, f))
			change_element(m, f, field(k, f));
	} else if (is_pointer && count(k, f) && dice(m, 8) == 0) {
		*(void **)field(k, f) = NULL;
	} else if (f->type == PROTOBUF_C_TYPE_MESSAGE) {
		if (count(k, f))
			change_element(m, f, field(k, f));
	} else {
		if (!is_pointer)
			*(protobuf_c_boolean *)(void *)((char *)k + f->quantifier_offset) =
				dice(m, 8) != 0;
		change_element(m, f, field(k, f));
	}
}

size_t
LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t max_size, unsigned seed)
{
	Mutator m = {.arena = arena_new(NULL, NULL), .seed = seed};
	ProtobufCAllocator allocator = {allocate, release, m.arena};
	ProtobufCMessage *k = NULL;
	size_t packed;

	if (seed % 16)
		k = protobuf_c_message_unpack(&onnx__model_proto__descriptor, &allocator, size, data);
	if (k) {
		collect(&m, k);
		for (uint32_t i = 1 + dice(&m, 4); i-- > 0;)
			change(&m, m.messages.v[dice(&m, (uint32_t)m.messages.n)]);
		packed = protobuf_c_message_get_packed_size(k);
		if (packed <= max_size) {
			size = protobuf_c_message_pack(k, data);
			arena_free(m.arena);
			return size;
		}
	}
	arena_free(m.arena);
	return LLVMFuzzerMutate(data, size, max_size);
}
