#include "rerank/serve/pages.h"

#include "rerank/data/json_out.h"

void rr_page_models(const rr_ranker_facts *facts, rr_buf *out) {
    static const char ranks[] =
        "made of the ranks: they say the order and nothing else, and suit no threshold";
    static const char *const meanings[] = {[RR_SERVE_MODE_REASON] = ranks,
        [RR_SERVE_MODE_STRICT] = ranks,
        [RR_SERVE_MODE_LOGITS] = ranks,
        [RR_SERVE_MODE_READ] = "a calibrated probability that the document is relevant, lowered "
                               "where one above it has less"};
    rr_buf_text(out, "{\"object\":\"list\",\"data\":[{");
    rr_json_member("id", facts->model, out);
    rr_buf_text(out, ",\"object\":\"model\",\"created\":0,\"owned_by\":\"rearank\",\"rearank\":{");
    rr_json_member("device", facts->device, out);
    rr_buf_printf(out, ",\"default_mode\":\"%s\",\"context\":%u,\"jobs\":%zu,\"scores\":{",
        rr_serve_mode_names[facts->mode], facts->n_context, facts->n_workers);
    bool is_first = true;
    for (int mode = 0; mode < RR_SERVE_MODE_COUNT; mode++) {
        if (mode != RR_SERVE_MODE_READ || facts->can_read) {
            rr_buf_printf(out, "%s\"%s\":\"%s\"", is_first ? "" : ",", rr_serve_mode_names[mode],
                meanings[mode]);
            is_first = false;
        }
    }
    rr_buf_text(out, "}}}]}");
}

void rr_page_info(const rr_ranker_facts *facts, size_t max_documents, rr_buf *out) {
    rr_buf_text(out, "{");
    rr_json_member("model_id", facts->model, out);
    rr_buf_printf(out,
        ",\"model_sha\":null,\"model_dtype\":\"quantized\",\"model_type\":{\"reranker\":{"
        "\"id2label\":{\"0\":\"LABEL_0\"},\"label2id\":{\"LABEL_0\":0}}},"
        "\"max_concurrent_requests\":%zu,\"max_input_length\":%u,\"max_batch_tokens\":%u,"
        "\"max_batch_requests\":null,\"max_client_batch_size\":%zu,\"auto_truncate\":true,"
        "\"tokenization_workers\":%zu,\"version\":\"" REARANK_VERSION
        "\",\"sha\":null,\"docker_label\":null}",
        facts->n_workers, facts->n_context, facts->n_context, max_documents, facts->n_workers);
}
