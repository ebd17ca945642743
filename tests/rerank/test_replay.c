/* Real answers of two listwise rerankers through the window loop and the parser: well-formed ones and mostly malformed
 * ones. Each query must end in the order that those answers led to. */
#include "tests/check.h"

#include <yyjson.h>

#include "rerank/rerank.h"
#include "runtime/base/file.h"

/* Compares with the "final" member of the query's line. */
static void check_final(const rr_query *query, const rr_ranking *ranking, yyjson_val *final, const char *name) {
    CHECK_MSG(yyjson_arr_size(final) == ranking->n, "%s %s: %zu ids", name, query->qid, ranking->n);
    size_t index, n;
    yyjson_val *id;
    yyjson_arr_foreach(final, index, n, id) {
        const char *found = index < ranking->n ? query->passages[ranking->order[index]].id : "(none)";
        CHECK_MSG(yyjson_equals_str(id, found), "%s %s: place %zu: found %s, expected %s", name, query->qid, index, found,
                  yyjson_get_str(id));
    }
}

static void check_file(const char *shared, const rr_candidates *candidates, const char *name, bool clean) {
    char path[4096];
    rr_diag diag = {0};
    rr_recording recording;
    rr_buf text = {0};
    snprintf(path, sizeof path, "%s/data/replay/%s.dl19.jsonl", shared, name);
    CHECK_OK(rr_recording_read(path, &recording, &diag), diag);
    CHECK_OK(rr_file_read(path, RR_CANDIDATES_MAX_BYTES, &text, &diag), diag);
    rr_replay replay = {&recording, name};
    rr_responder responder = rr_replay_responder(&replay);
    rr_rank_params params = {0};
    CHECK_OK(rr_replay_check(&replay, candidates, &params, &diag), diag);
    size_t n_queries = 0, n_repaired = 0, n_windows = 0;
    for (char *line = text.data, *end; line != NULL && *line != '\0'; line = end + 1) {
        end = strchr(line, '\n');
        if (end == NULL) {
            end = line + strlen(line) - 1;
        }
        yyjson_doc *doc = yyjson_read(line, (size_t)(end - line + 1), 0);
        yyjson_val *root = yyjson_doc_get_root(doc);
        for (size_t i = 0; i < candidates->n; i++) {
            const rr_query *query = &candidates->queries[i];
            if (yyjson_equals_str(yyjson_obj_get(root, "qid"), query->qid)) {
                rr_ranking ranking;
                CHECK_OK(rr_rank(query, &params, &responder, &ranking, &diag), diag);
                check_final(query, &ranking, yyjson_obj_get(root, "final"), name);
                for (size_t w = 0; w < ranking.n_windows; w++) {
                    n_repaired += ranking.windows[w].repaired;
                }
                n_windows += ranking.n_windows;
                n_queries++;
                rr_ranking_destroy(&ranking);
            }
        }
        yyjson_doc_free(doc);
    }
    CHECK_INT(n_queries, candidates->n);
    printf("%s: %zu queries, %zu windows, %zu repaired\n", name, n_queries, n_windows, n_repaired);
    CHECK_MSG(clean ? n_repaired == 0 : n_repaired > n_windows / 2, "%s: %zu of %zu repaired", name, n_repaired, n_windows);
    rr_buf_destroy(&text);
    rr_recording_destroy(&recording);
}

int main(void) {
    const char *shared = check_shared();
    if (shared == NULL) {
        CHECK_SKIP("no shared test data (REARANK_SHARED)");
    }
    char path[4096];
    rr_diag diag = {0};
    rr_candidates candidates;
    snprintf(path, sizeof path, "%s/data/dl19.bm25.jsonl", shared);
    CHECK_OK(rr_candidates_read(path, &candidates, &diag), diag);
    CHECK_INT(candidates.n, 43);
    check_file(shared, &candidates, "rankvicuna_clean", true);
    check_file(shared, &candidates, "vicuna7b_v15_zeroshot", false);
    rr_candidates_destroy(&candidates);
    return CHECK_END();
}
