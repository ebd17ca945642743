/* What stands for a content in a journal's keys: two digests side by side, of 128 bits together, so
 * that no two contents meet by chance. They tell contents apart; they are no defence against
 * forgery. Private to rerank/journal*. */
#ifndef RR_RERANK_JOURNAL_DIGEST_H
#define RR_RERANK_JOURNAL_DIGEST_H

#include "rerank/query.h"

/* Each goes on from what `hash` holds. Pure. */
void rr_digest(uint64_t hash[2], const void *data, size_t bytes);
/* with its length: texts side by side cannot run into each other */
void rr_digest_text(uint64_t hash[2], rr_text text);
void rr_digest_query(uint64_t hash[2], const rr_query *query, bool with_ids);

#endif
