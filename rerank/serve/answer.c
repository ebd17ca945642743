#include "rerank/serve/answer.h"

#include <stdlib.h>

#include "rerank/data/json_out.h"
#include "rerank/serve/detail.h"

/* Documents */

/* An object comes back with all its members, one that had no `text` with what it was ranked by. */
static void write_object(const rr_serve_document *document, rr_buf *out) {
    size_t bytes = 0;
    char *json = yyjson_val_write(document->object, YYJSON_WRITE_NOFLAG, &bytes);
    if (json == NULL || bytes < 2) {
        out->failed = true;
    } else if (yyjson_obj_get(document->object, "text") != NULL) {
        rr_buf_append(out, json, bytes);
    } else {
        rr_buf_append(out, json, bytes - 1); /* without the closing brace */
        rr_buf_text(out, bytes > 2 ? ",\"text\":" : "\"text\":");
        rr_json_quote(document->text.data, document->text.bytes, out);
        rr_buf_text(out, "}");
    }
    free(json);
}

static void write_document(
    const rr_serve_request *request, const rr_serve_document *document, rr_buf *out) {
    if (request->dialect == RR_DIALECT_DOCUMENTS && document->object != NULL) {
        write_object(document, out);
    } else if (request->dialect == RR_DIALECT_DOCUMENTS) {
        rr_buf_text(out, "{\"text\":");
        rr_json_quote(document->text.data, document->text.bytes, out);
        rr_buf_text(out, "}");
    } else {
        rr_json_quote(document->text.data, document->text.bytes, out);
    }
}

static void write_result(
    const rr_serve_request *request, const rr_serve_result *result, rr_buf *out) {
    static const char *const scores[] = {[RR_DIALECT_DOCUMENTS] = "relevance_score",
        [RR_DIALECT_TEI] = "score",
        [RR_DIALECT_VOYAGE] = "relevance_score",
        [RR_DIALECT_MIXEDBREAD] = "score"};
    static const char *const texts[] = {[RR_DIALECT_DOCUMENTS] = "document",
        [RR_DIALECT_TEI] = "text",
        [RR_DIALECT_VOYAGE] = "document",
        [RR_DIALECT_MIXEDBREAD] = "input"};
    rr_buf_printf(
        out, "{\"index\":%u,\"%s\":%.9g", result->index, scores[request->dialect], result->score);
    if (request->returns_documents) {
        rr_buf_printf(out, ",\"%s\":", texts[request->dialect]);
        write_document(request, &request->documents[result->index], out);
    }
    rr_buf_text(
        out, request->dialect == RR_DIALECT_MIXEDBREAD ? ",\"object\":\"rank_result\"}" : "}");
}

/* Answers */

static void write_head(
    const rr_serve_request *request, const rr_serve_made_by *made_by, rr_buf *out) {
    switch (request->dialect) {
    case RR_DIALECT_TEI:
        break;
    case RR_DIALECT_DOCUMENTS:
        rr_buf_text(out, "{");
        rr_json_member("id", made_by->id, out);
        rr_buf_text(out, ",");
        rr_json_member("model", made_by->model, out);
        rr_buf_text(out, ",\"results\":");
        break;
    default:
        rr_buf_text(out, "{\"object\":\"list\",");
        rr_json_member("model", made_by->model, out);
        rr_buf_text(out, ",\"data\":");
        break;
    }
}

static void write_tail(const rr_serve_request *request, const rr_ranking *ranking,
    const rr_serve_made_by *made_by, rr_buf *out) {
    const rr_serve_usage usage = rr_serve_usage_of(ranking);
    const unsigned long long prompt = usage.prompt_tokens, generated = usage.generated_tokens;
    if (request->dialect == RR_DIALECT_TEI) {
        return;
    }
    rr_buf_printf(out, ",\"usage\":{\"prompt_tokens\":%llu,\"total_tokens\":%llu}", prompt,
        prompt + generated);
    if (request->dialect == RR_DIALECT_DOCUMENTS) {
        rr_buf_printf(out,
            ",\"meta\":{\"api_version\":{\"version\":\"2\"},\"billed_units\":{\"search_units\":1},"
            "\"tokens\":{\"input_tokens\":%llu,\"output_tokens\":%llu}}",
            prompt, generated);
    } else if (request->dialect == RR_DIALECT_MIXEDBREAD) {
        rr_buf_printf(out, ",\"top_k\":%zu,\"return_input\":%s", request->top_n,
            request->returns_documents ? "true" : "false");
    }
    if (request->wish.given || usage.n_late > 0) {
        rr_buf_text(out, ",\"rearank\":");
        rr_serve_detail(request, ranking, made_by, out);
    }
    rr_buf_text(out, "}");
}

rr_status rr_serve_answer(const rr_serve_request *request, const rr_ranking *ranking,
    const rr_serve_made_by *made_by, rr_buf *out, rr_diag *diag) {
    rr_serve_result *results = calloc(request->n, sizeof *results);
    if (results == NULL) {
        return rr_fail(diag, RR_E_MEMORY, "out of memory for %zu results", request->n);
    }
    rr_serve_results(request, ranking, results);
    write_head(request, made_by, out);
    rr_buf_text(out, "[");
    for (size_t i = 0; i < request->top_n; i++) {
        rr_buf_text(out, i > 0 ? "," : "");
        write_result(request, &results[i], out);
    }
    rr_buf_text(out, "]");
    free(results);
    write_tail(request, ranking, made_by, out);
    return out->failed ? rr_fail(diag, RR_E_MEMORY, "out of memory for the answer") : RR_OK;
}
