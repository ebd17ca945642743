#include "rerank/serve/pool_ranker.h"

#include <stdlib.h>
#include <string.h>

#include "rerank/data/clean.h"

/* Of English text, about: a limit of tokens is kept as one of characters. */
enum { CHARS_A_TOKEN = 4 };

_Static_assert((int)RR_SERVE_MODE_REASON == (int)RR_ANSWER_FREE &&
        (int)RR_SERVE_MODE_STRICT == (int)RR_ANSWER_STRICT &&
        (int)RR_SERVE_MODE_LOGITS == (int)RR_ANSWER_LOGITS &&
        (int)RR_SERVE_MODE_READ == (int)RR_ANSWER_READ,
    "a mode of a request is a way to answer");

/* A ranking in the pool. */
typedef struct pool_ranking {
    rr_pool_ranker *ranker;
    rr_ranker_order order;
    rr_query query;       /* as it is handed in */
    rr_passage *passages; /* its own, where texts are cut at their beginning; else NULL */
    rr_ticket *ticket;    /* to cancel it */
    rr_ticket *over;      /* to take what came of it */
    atomic_int n_uses;    /* by the call that starts it, and until it was taken */
} pool_ranking;

static void let_go(pool_ranking *ranking) {
    if (atomic_fetch_sub(&ranking->n_uses, 1) == 1) {
        free(ranking->passages);
        free(ranking);
    }
}

/* Parameters */

static rr_serve_mode mode_of(void *user, const rr_serve_request *request, rr_prompt_form *form) {
    const rr_pool_ranker *ranker = user;
    const rr_serve_mode mode = request->wish.mode != RR_SERVE_MODE_DEFAULT
        ? request->wish.mode
        : (rr_serve_mode)ranker->answer.mode;
    *form = (rr_prompt_form){.style = ranker->rank.style};
    if (mode == RR_SERVE_MODE_READ && ranker->readout != NULL) {
        form->passage_chars = ranker->rank.passage_chars != 0 ? ranker->rank.passage_chars
                                                              : ranker->readout->form.passage_chars;
    }
    const uint64_t most = request->max_tokens_per_document * CHARS_A_TOKEN;
    if (most != 0 && most < rr_prompt_chars(form)) {
        form->passage_chars = (uint32_t)most;
    }
    return mode;
}

static rr_answer_params answer_of(
    const rr_pool_ranker *ranker, const rr_serve_request *request, rr_serve_mode mode) {
    rr_answer_params answer = ranker->answer;
    answer.mode = (rr_answer_mode)mode;
    answer.then_mode = mode == RR_SERVE_MODE_READ ? ranker->answer.then_mode : answer.mode;
    answer.readout = mode == RR_SERVE_MODE_READ ? ranker->readout : NULL;
    if (request->wish.orders != 0) {
        answer.n_orders = (uint32_t)request->wish.orders;
    }
    return answer;
}

static rr_rank_params rank_of(const rr_pool_ranker *ranker, const rr_serve_request *request,
    rr_serve_mode mode, const rr_prompt_form *form) {
    const rr_serve_wish *wish = &request->wish;
    rr_rank_params rank = ranker->rank;
    rank.passage_chars = form->passage_chars;
    rank.then_reason = rank.then_reason && mode == RR_SERVE_MODE_READ;
    rank.window = wish->window != 0 ? (size_t)wish->window : rank.window;
    if (wish->step != 0) {
        rank.step = (size_t)wish->step;
    } else if (wish->window != 0) {
        rank.step = (size_t)(wish->window + 1) / 2;
    }
    rank.depth = wish->depth != 0 ? (size_t)wish->depth : rank.depth;
    rank.passes = wish->passes != 0 ? (size_t)wish->passes : rank.passes;
    rank.schedule = wish->schedule >= 0 ? (rr_schedule_kind)wish->schedule : rank.schedule;
    return rank;
}

/* The texts' ends, as long as a prompt shows them. */
static rr_status cut_beginnings(pool_ranking *ranking, const rr_prompt_form *form, rr_diag *diag) {
    const rr_query *query = &ranking->order.request->query;
    const size_t most = rr_prompt_chars(form);
    ranking->passages = malloc((query->n + 1) * sizeof *ranking->passages);
    if (ranking->passages == NULL) {
        return rr_fail(diag, RR_E_MEMORY, "out of memory for %zu passages", query->n);
    }
    for (size_t i = 0; i < query->n; i++) {
        rr_passage *passage = &ranking->passages[i];
        *passage = query->passages[i];
        const size_t n_chars = rr_clean_count(passage->text.data, passage->text.bytes);
        if (n_chars > most) {
            const size_t cut =
                rr_clean_cut(passage->text.data, passage->text.bytes, n_chars - most);
            passage->text.data += cut;
            passage->text.bytes -= cut;
        }
    }
    ranking->query.passages = ranking->passages;
    return RR_OK;
}

/* From the pool's threads */

static void on_over(void *user, rr_ticket *ticket) {
    pool_ranking *ranking = user;
    ranking->over = ticket;
    ranking->order.on_over(ranking->order.user, ranking);
}

static void on_begin(void *user, const rr_call *call) {
    const pool_ranking *ranking = user;
    ranking->order.on_text(ranking->order.user, call, "", 0, 0);
}

static bool on_text(
    void *user, const rr_call *call, const char *text, size_t bytes, size_t n_tokens) {
    const pool_ranking *ranking = user;
    ranking->order.on_text(ranking->order.user, call, text, bytes, n_tokens);
    return true;
}

static void on_window(void *user, const rr_call *call, const rr_window_result *result) {
    const pool_ranking *ranking = user;
    ranking->order.on_window(ranking->order.user, call, result);
}

/* The ranker */

static rr_status submit(pool_ranking *ranking, rr_diag *diag) {
    rr_pool_ranker *ranker = ranking->ranker;
    const rr_ranker_order *order = &ranking->order;
    rr_prompt_form form;
    const rr_serve_mode mode = mode_of(ranker, order->request, &form);
    if (order->request->keeps_end) {
        RR_TRY(cut_beginnings(ranking, &form, diag));
    }
    rr_pool_query query = {
        .query = &ranking->query,
        .rank = rank_of(ranker, order->request, mode, &form),
        .answer = answer_of(ranker, order->request, mode),
        .deadline_ns = order->deadline_ns,
        .submitter = order->submitter,
        .on_over = on_over,
        .user = ranking,
    };
    if (mode == RR_SERVE_MODE_READ && ranker->readout == NULL) {
        return rr_fail(diag, RR_E_UNSUPPORTED,
            "\"rearank.mode\": there is no readout for the model \"%s\", it cannot be read",
            rr_pool_model_name(ranker->pool));
    }
    if (order->on_text != NULL) {
        query.events = (rr_responder_events){.text = on_text, .user = ranking, .begin = on_begin};
    }
    if (order->on_window != NULL) {
        query.rank.on_window = on_window;
        query.rank.user = ranking;
    }
    return rr_pool_submit(ranker->pool, &query, &ranking->ticket, diag);
}

static rr_status pool_start(void *user, const rr_ranker_order *order, void **out, rr_diag *diag) {
    pool_ranking *ranking = calloc(1, sizeof *ranking);
    if (ranking == NULL) {
        return rr_fail(diag, RR_E_MEMORY, "out of memory for a ranking");
    }
    ranking->ranker = user;
    ranking->order = *order;
    ranking->query = order->request->query;
    atomic_init(&ranking->n_uses, 2);
    const rr_status status = submit(ranking, diag);
    if (status == RR_OK) {
        *out = ranking;
    } else {
        let_go(ranking); /* it will not be taken */
    }
    let_go(ranking);
    return status;
}

static rr_status pool_take(void *user, void **handle, rr_ranking *out, rr_diag *diag) {
    const rr_pool_ranker *ranker = user;
    pool_ranking *ranking = *handle;
    *handle = NULL;
    const rr_status status = rr_pool_take(ranker->pool, &ranking->over, out, diag);
    let_go(ranking);
    return status;
}

static void pool_cancel(void *user, void *handle) {
    const rr_pool_ranker *ranker = user;
    const pool_ranking *ranking = handle;
    rr_pool_cancel(ranker->pool, ranking->ticket);
}

static void pool_facts(void *user, rr_ranker_facts *out) {
    const rr_pool_ranker *ranker = user;
    const rr_memory_plan *plan = rr_pool_plan(ranker->pool);
    *out = (rr_ranker_facts){
        .model = rr_pool_model_name(ranker->pool),
        .device = rr_pool_device_name(ranker->pool),
        .mode = (rr_serve_mode)ranker->answer.mode,
        .can_read = ranker->readout != NULL,
        .n_workers = rr_pool_n_workers(ranker->pool),
        .n_context = plan->compute.limits.n_context,
        .device_bytes = plan->total_bytes,
    };
}

static void pool_stats(void *user, rr_ranker_stats *out) {
    const rr_pool_ranker *ranker = user;
    rr_pool_stats stats;
    rr_pool_stats_get(ranker->pool, &stats);
    *out = (rr_ranker_stats){stats.queries.n_waiting, stats.queries.n_begun};
}

rr_ranker rr_pool_ranker_make(rr_pool_ranker *ranker) {
    return (rr_ranker){.start = pool_start,
        .take = pool_take,
        .cancel = pool_cancel,
        .facts = pool_facts,
        .stats = pool_stats,
        .mode_of = mode_of,
        .user = ranker};
}
