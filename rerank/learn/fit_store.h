/* What was read of windows, kept on disk while a readout is fitted: a run that was stopped goes on,
 * and another fit over the same windows reads nothing anew.
 * Owns: the SQLite file. Entries are found by content: the model and what is read of it, the
 * prompt's form, the query's text and the passages' titles and texts in the order shown. One
 * object, one thread at a time. */
#ifndef RR_RERANK_LEARN_FIT_STORE_H
#define RR_RERANK_LEARN_FIT_STORE_H

#include "rerank/learn/fit_windows.h"
#include "rerank/read_features.h"

typedef struct rr_fit_store rr_fit_store;

/* Opens or makes the file. `about` names all else that the numbers depend on: model, device,
 * prompt; copied. Errors: RR_E_IO (also while another process uses it), RR_E_INPUT for what is no
 * such file, RR_E_MEMORY. */
rr_status rr_fit_store_open(const char *path, const char *about, const rr_read_shape *shape,
    rr_fit_store **out, rr_diag *diag);
void rr_fit_store_close(rr_fit_store **store); /* accepts NULL; the file stays */

/* The numbers of a window; *found = false and *out zeroed when they are not there, or damaged.
 * Errors: RR_E_IO, RR_E_MEMORY. */
rr_status rr_fit_store_find(rr_fit_store *store, const rr_fit_window *window, rr_read_features *out,
    bool *found, rr_diag *diag);
/* Keeps them: once this returns they are on the disk. Errors: RR_E_IO, RR_E_MEMORY. */
rr_status rr_fit_store_keep(rr_fit_store *store, const rr_fit_window *window,
    const rr_read_features *features, rr_diag *diag);

#endif
