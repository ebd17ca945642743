/* The minimum of a smooth function of many numbers: L-BFGS (Nocedal 1980) with halved steps. Owns:
 * nothing. The same function gives the same bytes. */
#ifndef RR_RERANK_LEARN_FIT_MINIMIZE_H
#define RR_RERANK_LEARN_FIT_MINIMIZE_H

#include "runtime/base/status.h"

/* The value at x [n]; its gradient into g [n]. */
typedef double (*rr_objective_fn)(void *user, const double *x, double *g);

/* Goes down from x, which gets the lowest point that was found, until no part of the gradient is
 * above `tolerance` or after `n_steps` steps. Errors: RR_E_MEMORY. */
rr_status rr_minimize(rr_objective_fn fn, void *user, size_t n, double *x, double tolerance,
    size_t n_steps, rr_diag *diag);

#endif
