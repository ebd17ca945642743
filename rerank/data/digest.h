/* Digests of queries and of models, for the keys of journals and stores. A digest is two hashes,
 * 128 bits together, so that no two contents get the same one by chance. It is no defence against
 * forgery. */
#ifndef RR_RERANK_DATA_DIGEST_H
#define RR_RERANK_DATA_DIGEST_H

#include "rerank/data/query.h"
#include "runtime/base/memory.h"
#include "runtime/model/source.h"

/* Each goes on from what `hash` holds. Pure. */
void rr_digest(uint64_t hash[2], const void *data, size_t bytes);
/* with its length: texts side by side cannot run into each other */
void rr_digest_text(uint64_t hash[2], rr_text text);
void rr_digest_query(uint64_t hash[2], const rr_query *query, bool with_ids);

/* The digest of every byte of a model's files, appended to `out` as a short text. Errors: as
 * rr_file_map, RR_E_MEMORY. Cost: reads the files, at some 10 GB/s from memory. */
rr_status rr_digest_model(const rr_source *source, rr_buf *out, rr_diag *diag);

#endif
