/* Queries and passages from files.
 * Owns: the input formats of `rank` and `replay`. Everything here is hostile: messages name file,
 * line, what was found and what was expected. Nothing is ranked here. */
#ifndef RR_RERANK_DATA_CANDIDATES_H
#define RR_RERANK_DATA_CANDIDATES_H

#include "rerank/data/query.h"
#include "runtime/base/memory.h"

/* Queries with all memory behind them. Zero-initialise. */
typedef struct rr_candidates {
    rr_arena arena;
    rr_query *queries; /* [n] in the file's order */
    size_t n;
} rr_candidates;

/* Files longer than this are refused. */
#define RR_CANDIDATES_MAX_BYTES ((uint64_t)1 << 30)

/* Reads a candidates file (rr_text_file_read: "-" = standard input, gzip is unpacked), one JSON
 * object a line, blank lines skipped, or one array of such objects:
 *   {"qid": …, "query": "…", "hits": [{"docid": …, "text": "…", "title": "…"?, "score": 1.5?}, …]}
 * or in the forms of RankGPT and rank_llm (rerank/data/hits.h).
 * Ids are texts without control characters, or integers. A qid may occur once in the file, a docid
 * once in its query. `out` must be destroyed whatever happens. Errors: RR_E_IO, RR_E_INPUT,
 * RR_E_MEMORY. */
rr_status rr_candidates_read(const char *path, rr_candidates *out, rr_diag *diag);
/* What becomes of passages whose text is null: not every collection has all. */
typedef struct rr_null_texts {
    bool leave_out;  /* go on without them, instead of failing */
    size_t n;        /* how many were left out */
    char first[160]; /* names the first of them for people */
} rr_null_texts;
/* The same, where the caller may leave out passages whose text is null; NULL fails, as
 * rr_candidates_read does. */
rr_status rr_candidates_read_texts(
    const char *path, rr_null_texts *nulls, rr_candidates *out, rr_diag *diag);
/* The same over memory, borrowed during the call; `label` names it in messages. */
rr_status rr_candidates_parse(
    const char *data, size_t bytes, const char *label, rr_candidates *out, rr_diag *diag);
void rr_candidates_destroy(rr_candidates *candidates); /* accepts a zeroed one */

/* Reads the passages of one query. One path (or "-"): a passage a line, or JSON Lines {"text",
 * "title"?, "id"?} when the name ends in .jsonl or .ndjson (perhaps with .gz) or the first line is
 * a JSON object with "text"; or one JSON array of such objects or of texts. The text may stand in
 * "contents" and the other members of rr_hits_text_key, the id in "_id" or "docid". The head of a
 * table is refused. Blank lines are skipped; a passage without an id gets the number of its line or
 * item. At least one passage is expected. Several paths: each file is a passage whose id is its
 * path. `qid` names the query in runs. `out` must be destroyed whatever happens. Errors: as above;
 * RR_E_USAGE for a blank query or when "-" is one of several paths. */
rr_status rr_passages_read(const char *qid, const char *query, const char *const *paths,
    size_t n_paths, rr_candidates *out, rr_diag *diag);
/* One file's worth of memory, as rr_passages_read reads one path. */
rr_status rr_passages_parse(const char *qid, const char *query, const char *data, size_t bytes,
    const char *label, rr_candidates *out, rr_diag *diag);

/* Recorded answers, one JSON object a line: {"qid": …, "responses": ["…", …]} with the texts in
 * call order. */
typedef struct rr_recorded {
    const char *qid;
    const rr_text *responses; /* [n] */
    size_t n;
    size_t line;
} rr_recorded;

typedef struct rr_recording {
    rr_arena arena;
    rr_recorded *items; /* [n] sorted by qid */
    size_t n;
} rr_recording;

/* Errors and rules as for candidates. */
rr_status rr_recording_read(const char *path, rr_recording *out, rr_diag *diag);
rr_status rr_recording_parse(
    const char *data, size_t bytes, const char *label, rr_recording *out, rr_diag *diag);
void rr_recording_destroy(rr_recording *recording);
/* NULL when absent */
const rr_recorded *rr_recording_find(const rr_recording *recording, const char *qid);

#endif
