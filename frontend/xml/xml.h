/*
 * XML files as trees of elements, read with libxml2.
 *
 * The file is hostile: nothing is loaded beside it (no network, no DTD, no external
 * entity), an entity that it declares is an error, and so are elements nested deeper
 * than XML_MAX_DEPTH and attributes longer than XML_MAX_ATTRIBUTE.  Every element knows
 * its line and column.  Names are local names: namespaces are dropped.
 *
 * Vendors' <Extension> elements are kept; the functions that look for children pass
 * over them.
 */
#ifndef MCC_FRONTEND_XML_H
#define MCC_FRONTEND_XML_H

#include <stdbool.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/diag.h"
#include "base/str.h"

enum {
	XML_MAX_DEPTH = 1000,        /* of elements in each other */
	XML_MAX_ATTRIBUTE = 1 << 16, /* bytes of one attribute */
	XML_MAX_ATTRIBUTES = 256     /* of one element */
};

typedef struct {
	const char *name, *value;
} XmlAttr;

typedef struct Xml {
	const char *name;
	int line, column;
	int nattrs;
	const XmlAttr *attr;
	struct Xml *parent, *first, *last, *next;
	const char *text; /* all character data directly in it, "" when there is none */
} Xml;

/* The local name of the first element, behind declarations and comments, without parsing:
 * `*length` bytes; NULL when there is none near the beginning. */
const char *xml_root_name(const uint8_t *bytes, size_t n, size_t *length);

/* The root element of a file; NULL and an error in `d` when it is malformed. */
Xml *xml_parse(Arena *a, const char *file, const uint8_t *bytes, size_t n, Diag *d);

/* The attribute's value, or NULL.  `e` may be NULL. */
const char *xml_attr(const Xml *e, const char *name);

bool xml_is(const Xml *e, const char *name);

/* The first child, and the next sibling, that are no extensions; NULL: none. */
const Xml *xml_first(const Xml *e);
const Xml *xml_next(const Xml *e);

/* The first child of that name, and the next sibling of the same name; NULL: none.
 * `e` may be NULL. */
const Xml *xml_child(const Xml *e, const char *name);
const Xml *xml_same(const Xml *e);

int xml_count(const Xml *e, const char *name);

/* The text of e without blanks around it. */
const char *xml_trimmed(Arena *a, const Xml *e);

#endif
