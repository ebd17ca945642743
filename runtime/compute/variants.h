/* The table that the build makes from shaders/variants.def: rows this build contains, in their
 * order. */
#ifndef RR_COMPUTE_VARIANTS_H
#define RR_COMPUTE_VARIANTS_H

#include "runtime/compute/op.h"

extern const rr_variant rr_variant_table[];
extern const size_t rr_variant_table_n;

#endif
