/* Adapters as a model is used with them: several at once, each with a factor of its own. What they
 * add to a linear layer is one pair, B A, of the ranks of all of them together. Owns: the adapters.
 * Thread safe once it is open. */
#ifndef RR_MODEL_ADAPTER_SET_H
#define RR_MODEL_ADAPTER_SET_H

#include "runtime/model/adapter.h"

/* How an adapter is to be used: `factor` times as strong as it was trained. */
typedef struct rr_adapter_use {
    const char *path;
    double factor;
} rr_adapter_use;

enum { RR_ADAPTER_MAX_RANK = 4096 }; /* of a layer's pairs together */

typedef struct rr_adapter_set rr_adapter_set;

/* Reads all values once. n > 0. Errors: those of rr_adapter_open; RR_E_INPUT for a value that is no
 * finite number or that its scale makes none, and for more ranks than RR_ADAPTER_MAX_RANK. */
rr_status rr_adapter_set_open(
    const rr_adapter_use *uses, size_t n, rr_adapter_set **out, rr_diag *diag);
void rr_adapter_set_close(rr_adapter_set **set);

size_t rr_adapter_set_n(const rr_adapter_set *set);
const rr_adapter *rr_adapter_set_at(const rr_adapter_set *set, size_t index);
double rr_adapter_set_factor(const rr_adapter_set *set, size_t index);

/* What a layer's weight gets; 0 = nothing. `set` may be NULL: then nothing gets anything. */
uint32_t rr_adapter_set_rank(const rr_adapter_set *set, uint32_t layer, rr_role role);
/* A [rank][cols of the weight], row k at out + k * cols. */
void rr_adapter_set_a(const rr_adapter_set *set, uint32_t layer, rr_role role, float *out);
/* Row `row` of B [rows of the weight][rank], with scales and factors in it, rounded once. */
void rr_adapter_set_b(
    const rr_adapter_set *set, uint32_t layer, rr_role role, uint32_t row, float *out);

/* Tells sets apart: a digest of all values, scales and factors, whatever files they come from.
 * Never 0; 0 for NULL. */
uint64_t rr_adapter_set_digest(const rr_adapter_set *set);

#endif
