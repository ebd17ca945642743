/* A query and its hits as a JSON object, in the forms in which rerankers write them.
 * Owns: which member of the object says what:
 *   {"qid", "query": "…", "hits": [{"docid", "text", "title"?, "score"?}]}
 *     ours
 *   {"query": "…", "hits": [{"content", "qid", "docid", "rank", "score"}]}
 *     RankGPT's: the qid stands in the hits
 *   {"query": {"text", "qid"}, "candidates": [{"docid", "score", "doc": {"contents", "title"?}}]}
 *     rank_llm's requests and results
 * A text is the first that is there of "text", "segment", "contents", "content", "body" and
 * "passage", as rank_llm takes it. Private to rerank/. Errors of all: RR_E_INPUT, RR_E_MEMORY; ids
 * and texts are copied into the arena of `jsonl`. */
#ifndef RR_RERANK_DATA_HITS_H
#define RR_RERANK_DATA_HITS_H

#include "rerank/data/jsonl.h"

typedef struct rr_hits {
    const char *qid;
    const char *key;  /* "hits" or "candidates", for messages */
    yyjson_val *list; /* an array */
} rr_hits;

/* Finds the qid and the list. */
rr_status rr_hits_open(const rr_jsonl *jsonl, yyjson_val *object, rr_hits *out, rr_diag *diag);
/* The query's text. */
rr_status rr_hits_query(const rr_jsonl *jsonl, yyjson_val *object, rr_text *out, rr_diag *diag);

/* A hit's texts, id and score (0 when it has none); `where` names the hit in messages
 * ("hits[3]."). */
typedef struct rr_hit {
    const char *docid;
    rr_text title, text;
    bool is_null; /* the text is there, but null: not every collection has all */
    double score;
} rr_hit;
rr_status rr_hits_read(
    const rr_jsonl *jsonl, yyjson_val *hit, const char *where, rr_hit *out, rr_diag *diag);

/* The first of the keys of texts whose member is there and not null; else one that is null; "text"
 * when there is none. */
const char *rr_hits_text_key(yyjson_val *object);

#endif
