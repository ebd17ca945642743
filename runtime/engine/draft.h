/* Drafts by suffix lookup: what followed the last tokens where they stood before, in the timeline
 * itself (a prompt's passages among it) or in other texts such as earlier answers. Owns nothing;
 * pure. As in prompt lookup decoding (Saxena 2023) with the longest match instead of a fixed one
 * (Oliaro et al., SuffixDecoding, arXiv 2411.04975), by a scan: a few thousand tokens are read in
 * microseconds, an index would have to be kept. */
#ifndef RR_ENGINE_DRAFT_H
#define RR_ENGINE_DRAFT_H

#include <stddef.h>
#include <stdint.h>

/* A text to draw from. Borrowed. */
typedef struct rr_draft_text {
    const int32_t *ids;
    size_t n;
} rr_draft_text;

typedef struct rr_draft_sources {
    const rr_draft_text *texts; /* besides the timeline. May be NULL when n is 0 */
    size_t n;
    uint32_t min_match; /* fewer matching tokens draft nothing; 0 = 2 */
} rr_draft_sources;

enum {
    RR_DRAFT_MAX_MATCH = 64, /* longer matches count as this long */
    /* a match of so many tokens vouches for at most twice as many */
    RR_DRAFT_TOKENS_PER_MATCHED = 2
};

/* Finds the longest run of tokens before some position of the timeline [n] or a text that ends as
 * the timeline does, and copies to `out` what follows there, at most `max`; returns how many. Among
 * the longest, the last one in the timeline, then the one of the latest text, last in it. `sources`
 * may be NULL: the timeline alone. Fits rr_generate_params.draft with `sources` as its user. Cost:
 * one read of the timeline and the texts for each call. */
uint32_t rr_draft(void *sources, const int32_t *tokens, size_t n, int32_t *out, uint32_t max);

#endif
