#include "rerank/replay.h"

#include <string.h>

static rr_status wrong_number(
    const rr_replay *replay, const rr_recorded *recorded, size_t n_expected, rr_diag *diag) {
    return rr_fail(diag, RR_E_INPUT,
        "%s:%zu: qid \"%.100s\" has %zu answers, expected %zu; were they recorded with this --window, --step, "
        "--depth, --schedule and --passes?",
        replay->label, recorded->line, recorded->qid, recorded->n, n_expected);
}

static rr_status replay_respond(void *user, const rr_call *call, rr_reply *reply, rr_diag *diag) {
    const rr_replay *replay = user;
    const rr_recorded *recorded = rr_recording_find(replay->recording, call->query->qid);
    if (recorded == NULL) {
        return rr_fail(diag, RR_E_INPUT, "%s: no answers for qid \"%.100s\", expected %zu",
            replay->label, call->query->qid, call->n_calls);
    }
    if (call->index >= recorded->n) {
        return wrong_number(replay, recorded, call->n_calls, diag);
    }
    rr_buf_append(&reply->text, recorded->responses[call->index].data,
        recorded->responses[call->index].bytes);
    return RR_OK;
}

rr_responder rr_replay_responder(rr_replay *replay) {
    return (rr_responder){replay_respond, replay};
}

rr_status rr_replay_check(const rr_replay *replay, const rr_candidates *candidates,
    const rr_rank_params *params, rr_diag *diag) {
    rr_rank_params checked;
    RR_TRY(rr_rank_params_check(params, &checked, diag));
    size_t n_found = 0;
    for (size_t i = 0; i < candidates->n; i++) {
        const rr_query *query = &candidates->queries[i];
        const rr_recorded *recorded = rr_recording_find(replay->recording, query->qid);
        rr_schedule_params schedule = rr_rank_schedule(&checked);
        bool exact;
        size_t n_calls = rr_schedule_count(&schedule, rr_rank_n(query, &checked), &exact);
        n_found += recorded != NULL;
        if (recorded != NULL && exact && recorded->n > n_calls) {
            return wrong_number(replay, recorded, n_calls, diag);
        }
    }
    if (n_found == replay->recording->n) {
        return RR_OK;
    }
    for (size_t i = 0; i < replay->recording->n; i++) {
        const rr_recorded *recorded = &replay->recording->items[i];
        bool known = false;
        for (size_t k = 0; k < candidates->n && !known; k++) {
            known = strcmp(candidates->queries[k].qid, recorded->qid) == 0;
        }
        if (!known) {
            return rr_fail(diag, RR_E_INPUT,
                "%s:%zu: answers for qid \"%.100s\", which is not among the candidates",
                replay->label, recorded->line, recorded->qid);
        }
    }
    return RR_OK;
}

rr_status rr_replay_check_used(
    const rr_replay *replay, const rr_query *query, const rr_ranking *ranking, rr_diag *diag) {
    const rr_recorded *recorded = rr_recording_find(replay->recording, query->qid);
    return recorded == NULL || recorded->n <= ranking->n_windows
        ? RR_OK
        : wrong_number(replay, recorded, ranking->n_windows, diag);
}
