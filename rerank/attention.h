/* What drew a model's attention in the passages that it read (rr_passage_read), for all who show
 * it. Owns: which window's reading of a passage counts, and the way from its parts to the text that
 * was shown. Pure functions. */
#ifndef RR_RERANK_ATTENTION_H
#define RR_RERANK_ATTENTION_H

#include "rerank/rerank.h"

/* A passage's reading. */
typedef struct rr_attention {
    const rr_passage_read *read; /* borrowed from the ranking; NULL = no window read the passage */
    size_t window;               /* index in the ranking's windows: the last that read it */
    uint32_t label;              /* the passage's there, from 1 */
} rr_attention;

/* Fills out[ranking->n], by passage of the query. */
void rr_attention_find(const rr_ranking *ranking, rr_attention *out);

/* A part's text in what was shown of its passage (rr_prompt_passage): it points into `shown`. Empty
 * where the part does not lie inside, or does not begin and end between characters: numbers may
 * come from a file. */
rr_text rr_attention_text(rr_text shown, rr_read_part part);

#endif
