#include "frontend/xml/xml.h"

#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include <libxml/parser.h>
#include <libxml/parserInternals.h>

typedef struct {
	Arena *arena;
	const char *file;
	Diag *d;
	xmlParserCtxt *ctxt;
	Xml *root, *open; /* the innermost open element */
	struct Text *text;
	int depth;
	bool failed;
} Reader;

/* Character data of the open elements. */
struct Text {
	struct Text *outer;
	Str s;
};

static int
line_here(const Reader *r)
{
	return r->ctxt->input ? r->ctxt->input->line : 0;
}

__attribute__((format(printf, 2, 3))) static bool fail(Reader *r, const char *format, ...);

/* Reports the first error only, and stops. */
static bool
fail(Reader *r, const char *format, ...)
{
	Loc loc = {.file = r->file,
	           .line = line_here(r),
	           .column = r->ctxt->input ? r->ctxt->input->col : 0};
	va_list args;
	const char *text;

	if (r->failed)
		return false;
	r->failed = true;
	va_start(args, format);
	text = arena_vprintf(r->d->arena, format, args);
	va_end(args);
	if (loc.line < 1)
		loc.line = 1;
	if (loc.column < 1)
		loc.column = 1;
	diag_report(r->d, &loc, E_MALFORMED, "%s", text);
	xmlStopParser(r->ctxt);
	return false;
}

/* Where the tag of the first element begins, behind '<'; NULL: nowhere. */
static const char *
first_element(const char *s, const char *end)
{
	while (s < end) {
		const char *open = memchr(s, '<', (size_t)(end - s));

		if (!open || end - open < 2)
			return NULL;
		if (open[1] != '?' && open[1] != '!')
			return open + 1;
		s = open + 2;
		if (end - open > 4 && memcmp(open, "<!--", 4) == 0) {
			for (s = open + 4; s + 3 < end && memcmp(s, "-->", 3) != 0; s++)
				;
		}
	}
	return NULL;
}

const char *
xml_root_name(const uint8_t *bytes, size_t n, size_t *length)
{
	const char *s = (const char *)bytes, *end = s + (n < 65536 ? n : 65536);
	const char *name = first_element(s, end), *colon;

	*length = 0;
	if (!name)
		return NULL;
	while (name + *length < end && !strchr(" \t\r\n>/", name[*length]))
		++*length;
	colon = memchr(name, ':', *length);
	if (!colon)
		return name;
	*length -= (size_t)(colon + 1 - name);
	return colon + 1;
}

/* ---- What libxml2 calls ---- */

/* name, prefix, URI, begin and end of the value: five pointers an attribute. */
enum { SAX_NAME, SAX_PREFIX, SAX_URI, SAX_BEGIN, SAX_END, SAX_FIELDS };

static void
copy_attrs(Reader *r, Xml *e, int n, const xmlChar **v)
{
	XmlAttr *attr = ARENA_ARRAY(r->arena, XmlAttr, n);

	for (int i = 0; i < n; i++, v += SAX_FIELDS) {
		size_t length = (size_t)(v[SAX_END] - v[SAX_BEGIN]);

		if (length > XML_MAX_ATTRIBUTE) {
			fail(r, "the attribute '%.60s' is longer than %d bytes",
			     (const char *)v[SAX_NAME], XML_MAX_ATTRIBUTE);
			return;
		}
		attr[i].name = arena_strdup(r->arena, (const char *)v[SAX_NAME]);
		attr[i].value = arena_strndup(r->arena, (const char *)v[SAX_BEGIN], length);
	}
	e->attr = attr;
	e->nattrs = n;
}

/* Where the element starts: the parser stands at the end of its tag. */
static void
set_place(const Reader *r, Xml *e)
{
	const xmlParserInput *in = r->ctxt->input;
	const xmlChar *p = in->cur;
	int line = line_here(r), column = 1;

	while (p > in->base && *p != '<') {
		p--;
		line -= *p == '\n';
	}
	for (const xmlChar *q = p; q > in->base && q[-1] != '\n'; q--)
		column++;
	e->line = line > 0 ? line : 1;
	e->column = column;
}

static void
start_element(void *user, const xmlChar *name, const xmlChar *prefix, const xmlChar *uri,
              int nnamespaces, const xmlChar **namespaces, int nattrs, int ndefaulted,
              const xmlChar **attrs)
{
	Reader *r = user;
	Xml *e;
	struct Text *t;

	(void)prefix;
	(void)uri;
	(void)nnamespaces;
	(void)namespaces;
	(void)ndefaulted;
	if (r->failed)
		return;
	if (r->depth == XML_MAX_DEPTH) {
		fail(r, "elements are nested deeper than %d", XML_MAX_DEPTH);
		return;
	}
	if (nattrs > XML_MAX_ATTRIBUTES) {
		fail(r, "an element has more than %d attributes", XML_MAX_ATTRIBUTES);
		return;
	}
	e = ARENA_NEW(r->arena, Xml);
	t = ARENA_NEW(r->arena, struct Text);
	e->name = arena_strdup(r->arena, (const char *)name);
	e->text = "";
	set_place(r, e);
	copy_attrs(r, e, nattrs, attrs);
	e->parent = r->open;
	if (!r->open)
		r->root = e;
	else if (r->open->last)
		r->open->last->next = e;
	else
		r->open->first = e;
	if (r->open)
		r->open->last = e;
	str_init(&t->s, r->arena);
	t->outer = r->text;
	r->text = t;
	r->open = e;
	r->depth++;
}

static void
end_element(void *user, const xmlChar *name, const xmlChar *prefix, const xmlChar *uri)
{
	Reader *r = user;

	(void)name;
	(void)prefix;
	(void)uri;
	if (r->failed)
		return;
	r->open->text = r->text->s.s;
	r->text = r->text->outer;
	r->open = r->open->parent;
	r->depth--;
}

static void
characters(void *user, const xmlChar *text, int n)
{
	Reader *r = user;
	int i = 0;

	if (r->failed || !r->open || n <= 0)
		return;
	/* What stands between elements is not worth memory. */
	while (i < n && (text[i] == ' ' || text[i] == '\n' || text[i] == '\t' || text[i] == '\r'))
		i++;
	if (i < n || r->text->s.n)
		str_write(&r->text->s, (const char *)text, (size_t)n);
}

static void
entity_declared(void *user, const xmlChar *name, int type, const xmlChar *public_id,
                const xmlChar *system_id, xmlChar *content)
{
	Reader *r = user;

	(void)type;
	(void)public_id;
	(void)system_id;
	(void)content;
	fail(r, "the file declares the entity '%.60s'; entities are not read", (const char *)name);
}

static void
error_reported(void *user, xmlErrorPtr error)
{
	Reader *r = user;
	const char *text = error->message ? error->message : "malformed XML";
	size_t n = strcspn(text, "\n");

	if (error->level < XML_ERR_ERROR)
		return;
	fail(r, "XML: %.*s", n > 200 ? 200 : (int)n, text);
}

/* libxml2 makes a document for entities, and forgets it when it stops early. */
static void
free_context(void *user)
{
	xmlParserCtxt *ctxt = user;

	if (ctxt->myDoc)
		xmlFreeDoc(ctxt->myDoc);
	xmlFreeParserCtxt(ctxt);
}

Xml *
xml_parse(Arena *a, const char *file, const uint8_t *bytes, size_t n, Diag *d)
{
	Reader r = {.arena = a, .file = file, .d = d};
	xmlSAXHandler sax = {
		.initialized = XML_SAX2_MAGIC,
		.startElementNs = start_element,
		.endElementNs = end_element,
		.characters = characters,
		.ignorableWhitespace = characters,
		.cdataBlock = characters,
		.entityDecl = entity_declared,
		.serror = error_reported,
	};
	Loc loc = {.file = file};

	if (n > INT_MAX) {
		diag_report(d, &loc, E_SIZE, "the file is larger than 2 GiB");
		return NULL;
	}
	r.ctxt = xmlCreateMemoryParserCtxt(n ? (const char *)bytes : " ", n ? (int)n : 1);
	if (!r.ctxt) {
		diag_report(d, &loc, E_MALFORMED, "the file cannot be read as XML");
		return NULL;
	}
	arena_defer(a, free_context, r.ctxt);
	*r.ctxt->sax = sax;
	r.ctxt->userData = &r;
	xmlCtxtUseOptions(r.ctxt, XML_PARSE_NONET | XML_PARSE_HUGE | XML_PARSE_NOERROR |
	                                  XML_PARSE_NOWARNING);
	r.ctxt->sax->serror = error_reported;
	xmlParseDocument(r.ctxt);
	if (!r.failed && (!r.ctxt->wellFormed || !r.root))
		fail(&r, "the file is no well-formed XML");
	return r.failed ? NULL : r.root;
}

/* ---- Looking at elements ---- */

const char *
xml_attr(const Xml *e, const char *name)
{
	for (int i = 0; e && i < e->nattrs; i++)
		if (strcmp(e->attr[i].name, name) == 0)
			return e->attr[i].value;
	return NULL;
}

bool
xml_is(const Xml *e, const char *name)
{
	return strcmp(e->name, name) == 0;
}

static const Xml *
pass_extensions(const Xml *e)
{
	while (e && xml_is(e, "Extension"))
		e = e->next;
	return e;
}

const Xml *
xml_first(const Xml *e)
{
	return pass_extensions(e->first);
}

const Xml *
xml_next(const Xml *e)
{
	return pass_extensions(e->next);
}

static const Xml *
find_from(const Xml *e, const char *name)
{
	while (e && !xml_is(e, name))
		e = e->next;
	return e;
}

const Xml *
xml_child(const Xml *e, const char *name)
{
	return e ? find_from(e->first, name) : NULL;
}

const Xml *
xml_same(const Xml *e)
{
	return find_from(e->next, e->name);
}

int
xml_count(const Xml *e, const char *name)
{
	int n = 0;

	for (const Xml *c = xml_child(e, name); c; c = xml_same(c))
		n++;
	return n;
}

const char *
xml_trimmed(Arena *a, const Xml *e)
{
	const char *s = e->text + strspn(e->text, " \t\r\n");
	size_t n = strlen(s);

	while (n > 0 && strchr(" \t\r\n", s[n - 1]))
		n--;
	return arena_strndup(a, s, n);
}
