/* A rerank request as JSON, checked.
 * Owns: the shapes that clients send (told apart by the body alone), which members each has, what
 * is refused and with which words. Everything here is hostile. Pure: no socket, no model.
 *
 *   documents   Jina, Cohere v1 and v2, llama-server, vLLM, Infinity: query, documents, top_n,
 *               return_documents
 *   tei         Text Embeddings Inference: query, texts, return_text; top_n where it is sent
 *   voyage      query, documents, top_k without top_n, return_documents
 *   mixedbread  query, input, top_k, return_input
 *
 * Members that are not known are ignored; null is absent. Documents are strings, or objects with
 * `text` and perhaps `title` (or those that `rank_fields` names); all their members come back. */
#ifndef RR_RERANK_SERVE_REQUEST_H
#define RR_RERANK_SERVE_REQUEST_H

#include <yyjson.h>

#include "rerank/data/query.h"
#include "rerank/schedule.h"
#include "rerank/serve/fault.h"

typedef enum rr_dialect {
    RR_DIALECT_DOCUMENTS,
    RR_DIALECT_TEI,
    RR_DIALECT_VOYAGE,
    RR_DIALECT_MIXEDBREAD
} rr_dialect;

/* How the ranking is got, where the client says so: as rr_answer_mode. */
typedef enum rr_serve_mode {
    RR_SERVE_MODE_DEFAULT = -1,
    RR_SERVE_MODE_REASON,
    RR_SERVE_MODE_STRICT,
    RR_SERVE_MODE_LOGITS,
    RR_SERVE_MODE_READ,
    RR_SERVE_MODE_COUNT
} rr_serve_mode;
extern const char *const rr_serve_mode_names[]; /* NULL-terminated, in the enum's order */

/* The member `rearank` of a request: ours alone. Zero values mean the server's defaults. */
typedef struct rr_serve_wish {
    bool given;   /* the answer has a member `rearank`, too */
    bool explain; /* … with windows, reasoning and what it says of each document */
    rr_serve_mode mode;
    uint64_t window, step, depth, passes, orders;
    int schedule; /* rr_schedule_kind; −1 = the server's */
    double deadline_s;
} rr_serve_wish;

/* A document as it was sent; `object` is NULL for a string. */
typedef struct rr_serve_document {
    yyjson_val *object;
    rr_text text;
} rr_serve_document;

typedef struct rr_serve_limits {
    size_t max_documents;
} rr_serve_limits;

/* Zero-initialise; points into the body's parsed form, which it owns. */
typedef struct rr_serve_request {
    rr_dialect dialect;
    rr_query query;               /* of the documents that are not blank */
    const uint32_t *index;        /* [query.n] where each stands among the documents */
    const uint32_t *blank;        /* [n − query.n] documents without a visible character */
    rr_serve_document *documents; /* [n] */
    size_t n;
    size_t top_n; /* results wanted, 1 … n */
    bool returns_documents;
    bool keeps_end;                   /* a text that is too long loses its beginning */
    uint64_t max_tokens_per_document; /* 0 = as many as the model is shown */
    int64_t priority;                 /* lower first */
    rr_serve_wish wish;
    yyjson_doc *json;
    rr_arena arena;
} rr_serve_request;

/* Reads a body. False = the fault says why; nothing stays in `out`. `body` is changed: half
 * surrogates that are written out (\ud800 without its other half) become \ufffd. Cost: linear in
 * the bytes; no recursion. */
bool rr_serve_request_read(char *body, size_t bytes, const rr_serve_limits *limits,
    rr_serve_request *out, rr_fault *fault);
void rr_serve_request_destroy(rr_serve_request *request); /* accepts a zeroed one */

/* Whether both ask for the same ranking of the same texts (what is returned of it may differ). */
bool rr_serve_request_is_same(const rr_serve_request *a, const rr_serve_request *b);
/* Equal for such requests. */
uint64_t rr_serve_request_hash(const rr_serve_request *request);
/* Bytes of host memory behind it. */
size_t rr_serve_request_bytes(const rr_serve_request *request);

#endif
