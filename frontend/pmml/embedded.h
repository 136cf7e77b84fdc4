/*
 * Models within models, without a schema.
 */
#ifndef MCC_FRONTEND_PMML_EMBEDDED_H
#define MCC_FRONTEND_PMML_EMBEDDED_H

#include "frontend/pmml/pmml.h"

/* The first child that is such a model; NULL: there is none. */
const Xml *embedded_child(const Xml *e);

/* The result of one; `out` is zero but for what is asked for. */
bool embedded_read(Pmml *p, const Xml *e, Result *out);

/* All of a MiningModel: their fields are defined, and `out` is the result of the last. */
bool embedded_read_all(Pmml *p, const Xml *model, Result *out);

#endif
