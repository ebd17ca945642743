/* The real model that some tests use when it is there. */
#ifndef RR_TESTS_REAL_MODEL_H
#define RR_TESTS_REAL_MODEL_H

#include "runtime/base/memory.h"

/* Writes the path of the model: $REARANK_TEST_MODEL, else the default model of the cache folder.
 * false when there is none; such a test exits with 77 and says "set REARANK_TEST_MODEL". */
bool rr_real_model_path(rr_buf *out);

#endif
