/* Real answers of two listwise rerankers through the windows and the parser: well-formed ones and
 * mostly malformed ones. Each query must end in the order that those answers led to, one window
 * after another and on several workers that hand over. The orders of the malformed ones were made
 * by code that takes every number for an id. */
#include "tests/check.h"

#include <sched.h>
#include <yyjson.h>

#include "rerank/execute.h"
#include "rerank/replay.h"
#include "runtime/base/file.h"
#include "tests/rerank/replay_checks.h"

/* Compares with the "final" member of the query's line. */
static void check_final(
    const rr_query *query, const rr_ranking *ranking, yyjson_val *final, const char *name) {
    CHECK_MSG(yyjson_arr_size(final) == ranking->n, "%s %s: %zu ids", name, query->qid, ranking->n);
    size_t index, n;
    yyjson_val *id;
    yyjson_arr_foreach(final, index, n, id) {
        const char *found =
            index < ranking->n ? query->passages[ranking->order[index]].id : "(none)";
        CHECK_MSG(yyjson_equals_str(id, found), "%s %s: place %zu: found %s, expected %s", name,
            query->qid, index, found, yyjson_get_str(id));
    }
}

typedef enum file_kind { CLEAN, MALFORMED, MALFORMED_BY_NUMBERS } file_kind;

static void check_file(
    const char *shared, const rr_candidates *candidates, const char *name, file_kind kind) {
    char path[4096];
    rr_diag diag = {0};
    rr_recording recording;
    rr_buf text = {0};
    snprintf(path, sizeof path, "%s/data/replay/%s.dl19.jsonl", shared, name);
    CHECK_OK(rr_recording_read(path, &recording, &diag), diag);
    CHECK_OK(rr_file_read(path, RR_CANDIDATES_MAX_BYTES, &text, &diag), diag);
    rr_replay replay = {&recording, name};
    rr_responder responder = rr_replay_responder(&replay);
    if (kind == MALFORMED_BY_NUMBERS) {
        responder.respond = respond_with_numbers;
    }
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
                if (kind != MALFORMED) {
                    check_final(query, &ranking, yyjson_obj_get(root, "final"), name);
                }
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
    /* nearly every malformed answer is "1. [3] > [1] > …": whole, but for a number in front that is
     * no id */
    const bool as_expected = kind == CLEAN ? n_repaired == 0
        : kind == MALFORMED                ? n_repaired > 0 && n_repaired < n_windows / 10
                                           : n_repaired > n_windows / 2;
    CHECK_MSG(as_expected, "%s: %zu of %zu repaired", name, n_repaired, n_windows);
    rr_buf_destroy(&text);
    rr_recording_destroy(&recording);
}

/* A recorded answer as if it were written now, a few characters at a time. */
static rr_status respond_slowly(void *user, const rr_call *call, rr_reply *reply, rr_diag *diag) {
    rr_responder replay = rr_replay_responder(user);
    RR_TRY(replay.respond(replay.user, call, reply, diag));
    for (size_t bytes = 7; call->on_text != NULL && bytes < reply->text.bytes; bytes += 7) {
        if (!call->on_text(call->listener, reply->text.data, bytes)) {
            return rr_fail(diag, RR_E_CANCELLED, "cancelled");
        }
        sched_yield();
    }
    return RR_OK;
}

typedef struct several_state {
    const rr_candidates *candidates;
    rr_responder responder;
    size_t n_same;
} several_state;

static rr_status compare_plain(void *user, size_t index, rr_ranking *ranking, rr_diag *diag) {
    several_state *several = user;
    const rr_query *query = &several->candidates->queries[index];
    const rr_rank_params params = {.style = RR_PROMPT_RANKGPT};
    rr_ranking plain;
    RR_TRY(rr_rank(query, &params, &several->responder, &plain, diag));
    several->n_same += plain.n == ranking->n &&
        memcmp(plain.order, ranking->order, plain.n * sizeof *plain.order) == 0;
    rr_ranking_destroy(&plain);
    return RR_OK;
}

/* All queries on several workers; the last ones have idle workers beside them, so that these hand
 * over. */
static void check_several(const char *shared, const rr_candidates *candidates, const char *name) {
    enum { N_WORKERS = 6 };
    char path[4096];
    rr_diag diag = {0};
    rr_recording recording;
    rr_worker workers[N_WORKERS];
    snprintf(path, sizeof path, "%s/data/replay/%s.dl19.jsonl", shared, name);
    CHECK_OK(rr_recording_read(path, &recording, &diag), diag);
    rr_replay replay = {&recording, name};
    several_state several = {.candidates = candidates, .responder = rr_replay_responder(&replay)};
    for (size_t i = 0; i < N_WORKERS; i++) {
        workers[i] = (rr_worker){.responder = {respond_slowly, &replay}};
    }
    rr_rank_counts counts = {0}, one_counts = {0};
    rr_execute_params params = {.queries = candidates->queries,
        .n_queries = candidates->n,
        .rank = {.style = RR_PROMPT_RANKGPT},
        .workers = workers,
        .n_workers = N_WORKERS,
        .on_ranking = compare_plain,
        .user = &several,
        .counts = &counts};
    CHECK_OK(rr_execute(&params, &diag), diag);
    CHECK_INT(several.n_same, candidates->n);
    CHECK_INT(counts.n_windows, 9 * candidates->n);
    for (size_t i = 0; i < candidates->n; i++) { /* one query for all workers */
        several.candidates = &(rr_candidates){.queries = &candidates->queries[i], .n = 1};
        params.queries = &candidates->queries[i];
        params.n_queries = 1;
        params.counts = &one_counts;
        CHECK_OK(rr_execute(&params, &diag), diag);
        counts.n_early += one_counts.n_early;
        counts.n_redone += one_counts.n_redone;
    }
    CHECK_INT(several.n_same, 2 * candidates->n);
    printf("%s on %d workers: %zu rankings the same, %zu windows begun early, %zu redone\n", name,
        N_WORKERS, several.n_same, (size_t)counts.n_early, (size_t)counts.n_redone);
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
    check_file(shared, &candidates, "rankvicuna_clean", CLEAN);
    check_file(shared, &candidates, "vicuna7b_v15_zeroshot", MALFORMED_BY_NUMBERS);
    check_file(shared, &candidates, "vicuna7b_v15_zeroshot", MALFORMED);
    check_several(shared, &candidates, "rankvicuna_clean");
    check_several(shared, &candidates, "vicuna7b_v15_zeroshot");
    rr_candidates_destroy(&candidates);
    return CHECK_END();
}
