#include "frontend/onnx/wire.h"

#include "frontend/onnx/onnx.h"
#include "ir/num.h"

enum {
	MAX_NESTING = 100, /* messages in messages; as protobuf's own readers */
	MEMBER_BYTES = 48  /* what protobuf-c notes down for each field it meets */
};

/* Memory for messages, without the contents of strings and bytes, which cannot
 * be more than the file holds. */
#define MAX_MESSAGE_BYTES ((size_t)1 << 30)

enum { WIRE_VARINT, WIRE_64BIT, WIRE_BYTES, WIRE_START, WIRE_END, WIRE_32BIT };

typedef struct {
	const uint8_t *start, *p, *end;
} Bytes;

typedef struct {
	const uint8_t *start; /* of the file, for offsets in messages */
	size_t memory;
	const Loc *loc;
	Diag *d;
} Scan;

static bool
read_varint(Bytes *b, uint64_t *out)
{
	uint64_t v = 0;

	for (unsigned shift = 0; shift < 70 && b->p < b->end; shift += 7) {
		uint8_t byte = *b->p++;

		if (shift < 64)
			v |= (uint64_t)(byte & 0x7f) << shift;
		if (byte < 0x80) {
			*out = v;
			return true;
		}
	}
	return false;
}

/* A field's number, wire type and contents; false when the bytes are none. */
static bool
read_field(Bytes *b, uint32_t *number, unsigned *wire, Bytes *contents)
{
	uint64_t tag, length = 0;

	if (!read_varint(b, &tag) || tag >> 3 == 0 || tag >> 3 > 0x1fffffff)
		return false;
	*number = (uint32_t)(tag >> 3);
	*wire = (unsigned)(tag & 7);
	switch (*wire) {
	case WIRE_VARINT:
		*contents = *b;
		if (!read_varint(b, &length))
			return false;
		contents->end = b->p;
		return true;
	case WIRE_64BIT: length = 8; break;
	case WIRE_32BIT: length = 4; break;
	case WIRE_BYTES:
		if (!read_varint(b, &length))
			return false;
		break;
	default: /* groups are not used by ONNX */ return false;
	}
	if (length > (uint64_t)(b->end - b->p))
		return false;
	*contents = (Bytes){b->p, b->p, b->p + length};
	b->p += length;
	return true;
}

static bool
malformed(const Scan *s, const uint8_t *at, const char *what)
{
	return diag_report(s->d, s->loc, E_MALFORMED, "%s at byte %td", what, at - s->start);
}

static bool
add_memory(Scan *s, const uint8_t *at, size_t bytes)
{
	if (!size_add(s->memory, bytes, &s->memory) || s->memory > MAX_MESSAGE_BYTES)
		return malformed(s, at, "more messages than fit into memory");
	return true;
}

/* The memory for one field of a message without that of sub-messages. */
static size_t
field_memory(const ProtobufCFieldDescriptor *f, unsigned wire, const Bytes *contents)
{
	size_t length = (size_t)(contents->end - contents->p);

	if (!f)
		return MEMBER_BYTES + sizeof(ProtobufCMessageUnknownField) + length;
	if (f->type == PROTOBUF_C_TYPE_STRING || f->type == PROTOBUF_C_TYPE_BYTES)
		return MEMBER_BYTES + sizeof(ProtobufCBinaryData) + 16;
	if (wire == WIRE_BYTES && f->type != PROTOBUF_C_TYPE_MESSAGE) /* packed numbers */
		return MEMBER_BYTES + (length <= MAX_MESSAGE_BYTES ? 8 * length : length);
	return MEMBER_BYTES + sizeof(uint64_t);
}

static bool
scan_message(Scan *s, const ProtobufCMessageDescriptor *type, Bytes b, int depth)
{
	uint64_t seen = 0; /* sub-messages that may stand only once, by number */

	if (depth > MAX_NESTING)
		return malformed(s, b.p, "messages nested too deep");
	if (!add_memory(s, b.p, type->sizeof_message))
		return false;
	while (b.p < b.end) {
		const uint8_t *at = b.p;
		const ProtobufCFieldDescriptor *f;
		Bytes contents;
		uint32_t number;
		unsigned wire;

		if (!read_field(&b, &number, &wire, &contents))
			return malformed(s, at, "the file is damaged or cut off");
		f = protobuf_c_message_descriptor_get_field(type, number);
		if (!add_memory(s, at, field_memory(f, wire, &contents)))
			return false;
		if (!f || f->type != PROTOBUF_C_TYPE_MESSAGE)
			continue;
		if (wire != WIRE_BYTES)
			return malformed(s, at, "a number where a message belongs");
		if (f->label != PROTOBUF_C_LABEL_REPEATED && number < 64) {
			if (seen >> number & 1)
				return malformed(s, at, "a message that is given twice");
			seen |= (uint64_t)1 << number;
		}
		if (!scan_message(s, f->descriptor, contents, depth + 1))
			return false;
	}
	return true;
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

ProtobufCMessage *
onnx_unpack(Arena *a, const ProtobufCMessageDescriptor *type, const uint8_t *bytes, size_t n,
            const Loc *loc, Diag *d)
{
	ProtobufCAllocator allocator = {allocate, release, a};
	Scan s = {bytes, 0, loc, d};
	ProtobufCMessage *m;

	if (!scan_message(&s, type, (Bytes){bytes, bytes, bytes + n}, 0))
		return NULL;
	m = protobuf_c_message_unpack(type, &allocator, n, bytes);
	if (!m)
		diag_report(d, loc, E_MALFORMED, "the file is damaged: %s cannot be unpacked",
		            type->short_name);
	return m;
}

/*
 * The fields of a ModelProto and nothing else, the graph among them unless the
 * file is cut off inside it.
 */
bool
onnx_sniff(const uint8_t *bytes, size_t n)
{
	/* wire types of the fields 0 to 26; 1 marks none */
	static const uint8_t expected[] = {1, 0, 2, 2, 2, 0, 2, 2, 2, 1, 1, 1, 1,
	                                   1, 2, 1, 1, 1, 1, 1, 2, 1, 1, 1, 1, 2, 2};
	Bytes b = {bytes, bytes, bytes + n};
	bool graph = false;

	while (b.p < b.end) {
		Bytes contents;
		uint64_t tag;
		uint32_t number;
		unsigned wire;
		Bytes peek = b;

		if (!read_varint(&peek, &tag) || tag >> 3 >= sizeof expected ||
		    expected[tag >> 3] != (tag & 7) || (tag & 7) == 1)
			return false;
		graph |= tag >> 3 == 7;
		if (!read_field(&b, &number, &wire, &contents))
			break;
	}
	return graph;
}
