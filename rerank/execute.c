#include "rerank/execute.h"

#include <stdlib.h>

#include "runtime/base/thread.h"

typedef enum item_state {
    ITEM_NONE, /* not handed in */
    ITEM_KNOWN,
    ITEM_RUNS, /* or is over, and was not looked at */
    ITEM_RANKED,
    ITEM_FAILED
} item_state;

struct list_run;

/* A query of the list. */
typedef struct list_item {
    struct list_run *run;
    rr_job *job;
    item_state state;
    rr_ranking ranking; /* where ITEM_RANKED */
    struct list_item *next_over;
} list_item;

typedef struct list_run {
    const rr_execute_params *params;
    rr_executor *executor;
    list_item *items;   /* [n_queries] */
    size_t limit;       /* items from here on are given up */
    size_t n_running;   /* ITEM_RUNS */
    size_t n_delivered; /* items looked at for on_ranking */
    rr_status status;   /* why, and for the earliest item that says so */
    rr_diag diag;
    rr_mutex lock; /* of `over` */
    rr_cond changed;
    list_item *over;
} list_run;

/* Notes it for the thread that runs the list. */
static void on_over(void *user, rr_job *job) {
    (void)job;
    list_item *item = user;
    list_run *run = item->run;
    rr_mutex_lock(&run->lock);
    item->next_over = run->over;
    run->over = item;
    rr_cond_signal(&run->changed);
    rr_mutex_unlock(&run->lock);
}

/* Gives up items from number `limit` on, for the reason given. */
static void give_up(list_run *run, size_t limit, rr_status status, const rr_diag *diag) {
    if (limit >= run->limit && run->status != RR_OK) {
        return;
    }
    const size_t end = run->limit < run->params->n_queries ? run->limit : run->params->n_queries;
    run->limit = limit;
    run->status = status;
    run->diag = *diag;
    for (size_t i = limit; i < end; i++) {
        if (run->items[i].job != NULL) {
            rr_executor_cancel(run->executor, run->items[i].job);
        }
    }
}

/* Takes what is over; an item that failed ends those behind it. */
static void collect(list_run *run) {
    for (;;) {
        rr_mutex_lock(&run->lock);
        list_item *item = run->over;
        if (item != NULL) {
            run->over = item->next_over;
        }
        rr_mutex_unlock(&run->lock);
        if (item == NULL) {
            return;
        }
        rr_diag diag = {0};
        const size_t index = (size_t)(item - run->items);
        rr_status status = rr_executor_take(run->executor, &item->job, &item->ranking, &diag);
        run->n_running--;
        item->state = status == RR_OK ? ITEM_RANKED : ITEM_FAILED;
        if (status == RR_OK && run->params->on_finished != NULL &&
            run->n_delivered < run->params->n_queries) {
            status = run->params->on_finished(run->params->user, index, &item->ranking, &diag);
            if (status != RR_OK) {
                give_up(run, 0, status, &diag);
            }
        } else if (status == RR_E_CANCELLED && index < run->limit) {
            give_up(run, 0, status, &diag);
        } else if (status != RR_OK && index < run->limit) {
            give_up(run, index, status, &diag);
        }
    }
}

/* Hands out one item, if there is something to hand out. */
static void hand_out(list_run *run, size_t index) {
    list_item *item = &run->items[index];
    if (item->state != ITEM_RANKED && (item->state != ITEM_KNOWN || index >= run->limit)) {
        return;
    }
    rr_ranking ranking = item->ranking;
    rr_diag diag = {0};
    item->ranking = (rr_ranking){0};
    const rr_status status = run->params->on_ranking(run->params->user, index, &ranking, &diag);
    rr_ranking_destroy(&ranking);
    if (status != RR_OK) {
        run->n_delivered = run->params->n_queries;
        give_up(run, 0, status, &diag);
    }
}

/* Hands out rankings in the queries' order, up to the first that is not there. */
static void deliver(list_run *run) {
    collect(run);
    while (run->n_delivered < run->params->n_queries) {
        const item_state state = run->items[run->n_delivered].state;
        if (state != ITEM_KNOWN && state != ITEM_RANKED) {
            break;
        }
        hand_out(run, run->n_delivered++);
        collect(run);
    }
}

/* What finished behind a query that did not. */
static void deliver_rest(list_run *run) {
    while (run->n_delivered < run->params->n_queries) {
        hand_out(run, run->n_delivered++);
    }
}

static rr_status hand_in(list_run *run, size_t index, rr_diag *diag) {
    const rr_execute_params *params = run->params;
    list_item *item = &run->items[index];
    if (params->is_known != NULL && params->is_known(params->user, index)) {
        item->state = ITEM_KNOWN;
        return RR_OK;
    }
    rr_job_params job = {.query = &params->queries[index],
        .rank = params->rank,
        .may_crowd = true,
        .on_over = on_over,
        .user = item};
    if (params->executor != NULL && params->like != NULL) {
        job.asker = params->like->asker;
        job.submitter = params->like->submitter;
        job.no_prepare = params->like->no_prepare;
    }
    item->state = ITEM_RUNS;
    const rr_status status = rr_executor_add(run->executor, &job, &item->job, diag);
    if (status == RR_OK) {
        run->n_running++;
    } else {
        item->state = ITEM_NONE;
    }
    return status;
}

static void run_list(list_run *run) {
    rr_diag diag = {0};
    for (size_t i = 0; i < run->params->n_queries && run->status == RR_OK; i++) {
        const rr_status status = hand_in(run, i, &diag);
        if (status != RR_OK) {
            give_up(run, status == RR_E_CANCELLED ? 0 : i, status, &diag);
        }
    }
    deliver(run);
    while (run->n_running > 0) {
        if (rr_executor_has_threads(run->executor)) {
            rr_mutex_lock(&run->lock);
            while (run->over == NULL) {
                rr_cond_wait(&run->changed, &run->lock);
            }
            rr_mutex_unlock(&run->lock);
        } else {
            rr_executor_work(run->executor);
        }
        deliver(run);
    }
    deliver_rest(run);
}

static rr_status make_own_executor(
    const rr_execute_params *params, rr_executor **out, rr_diag *diag) {
    const rr_executor_params own = {
        .workers = params->workers,
        .n_workers = params->n_workers,
        .no_threads = params->n_workers == 1,
        .no_work_ahead = params->no_work_ahead,
        .stop = params->stop,
    };
    return rr_executor_create(&own, out, diag);
}

rr_status rr_execute(const rr_execute_params *params, rr_diag *diag) {
    const uint64_t start_ns = rr_time_ns();
    list_run run = {.params = params, .executor = params->executor, .limit = SIZE_MAX};
    rr_rank_params rank;
    rr_executor *own = NULL;
    rr_status status = RR_OK;
    RR_TRY_GOTO(rr_rank_params_check(&params->rank, &rank, diag));
    run.items = calloc(params->n_queries + 1, sizeof *run.items);
    if (run.items == NULL) {
        RR_TRY_GOTO(rr_fail(diag, RR_E_MEMORY, "out of memory for %zu queries", params->n_queries));
    }
    for (size_t i = 0; i < params->n_queries; i++) {
        run.items[i].run = &run;
    }
    if (!rr_mutex_create(&run.lock)) {
        RR_TRY_GOTO(rr_fail(diag, RR_E_INTERNAL, "cannot make a lock"));
    }
    if (!rr_cond_create(&run.changed)) {
        RR_TRY_GOTO(rr_fail(diag, RR_E_INTERNAL, "cannot make a condition"));
    }
    if (run.executor == NULL) {
        RR_TRY_GOTO(make_own_executor(params, &own, diag));
        run.executor = own;
    }
    run_list(&run);
    if (params->counts != NULL) {
        rr_executor_stats stats;
        rr_executor_stats_get(run.executor, &stats);
        *params->counts = stats.counts;
        params->counts->time_ns = rr_time_ns() - start_ns;
    }
    status = run.status == RR_OK ? RR_OK : rr_fail(diag, run.status, "%s", run.diag.text);
fail:
    rr_executor_destroy(&own);
    rr_cond_destroy(&run.changed);
    rr_mutex_destroy(&run.lock);
    for (size_t i = 0; run.items != NULL && i < params->n_queries; i++) {
        rr_ranking_destroy(&run.items[i].ranking);
    }
    free(run.items);
    return status;
}

static rr_status take_ranking(void *user, size_t query, rr_ranking *ranking, rr_diag *diag) {
    (void)query;
    (void)diag;
    *(rr_ranking *)user = *ranking;
    *ranking = (rr_ranking){0};
    return RR_OK;
}

rr_status rr_rank(const rr_query *query, const rr_rank_params *params,
    const rr_responder *responder, rr_ranking *out, rr_diag *diag) {
    *out = (rr_ranking){0};
    const rr_worker worker = {.responder = *responder};
    const rr_execute_params execute = {
        .queries = query,
        .n_queries = 1,
        .rank = *params,
        .workers = &worker,
        .n_workers = 1,
        .on_ranking = take_ranking,
        .user = out,
    };
    return rr_execute(&execute, diag);
}
