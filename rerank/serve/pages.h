/* What a server tells about itself.
 * Owns: the JSON of /v1/models and /info. Pure. */
#ifndef RR_RERANK_SERVE_PAGES_H
#define RR_RERANK_SERVE_PAGES_H

#include "rerank/serve/ranker.h"

/* The text of rerank/serve/openapi.json. */
extern const char rr_openapi_json[];

/* As OpenAI's list of models, with what the scores of each mode mean. */
void rr_page_models(const rr_ranker_facts *facts, rr_buf *out);
/* As Text Embeddings Inference's. */
void rr_page_info(const rr_ranker_facts *facts, size_t max_documents, rr_buf *out);

#endif
