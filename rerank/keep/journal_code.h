/* A ranking as bytes, and back: whole, so that what is written of it later has the same bytes.
 * Owns: that format. Everything read is hostile until checked. Private to rerank/. */
#ifndef RR_RERANK_KEEP_JOURNAL_CODE_H
#define RR_RERANK_KEEP_JOURNAL_CODE_H

#include "rerank/rerank.h"

/* Changes when fields come or go, so that bytes of an older program are not misread. */
uint64_t rr_journal_code_version(void);

/* Appends. A lack of memory shows in out->failed. */
void rr_journal_encode(const rr_ranking *ranking, rr_buf *out);
/* `n_passages`: of the query that it must be a ranking of. On success *out is to be destroyed.
 * Errors: RR_E_INPUT for anything that rr_journal_encode did not write, RR_E_MEMORY. */
rr_status rr_journal_decode(
    const void *data, size_t bytes, size_t n_passages, rr_ranking *out, rr_diag *diag);

#endif
