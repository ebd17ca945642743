/* The queue, the lead, the passes. Owns: what waits, what was counted and measured. */
#include "runtime/engine/scheduler.h"

#include <stdlib.h>
#include <string.h>

#include "runtime/base/thread.h"
#include "runtime/engine/batch.h"
#include "runtime/engine/shared_prefix.h"

/* How long a pass waits for generating sessions: a part of what it will take itself, within these
 * bounds. */
static const double WAIT_SHARE = 0.25, WAIT_LEAST_NS = 2e6, WAIT_MOST_NS = 20e6;

typedef struct queue {
    rr_request *first, **end;
} queue;

struct rr_scheduler {
    queue waiting[RR_N_FAMILIES];
    bool is_led;        /* a thread runs a pass, or is about to */
    bool goes_on;       /* the last pass had a prompt's chunk that was not its end */
    bool was_alone;     /* … had a chunk and no room for rows that may have waited */
    uint32_t n_rows;    /* decode rows that wait */
    uint64_t n_prompts; /* have come so far */
    uint64_t round;     /* sessions whose `awaited` this is are waited for; never 0 */
    uint32_t n_awaited;
    uint64_t patience_ns;     /* 0 = by the costs */
    rr_cond gather;           /* nobody is awaited any more, or the pass is full */
    rr_decode_costs costs[2]; /* of passes without a prompt's chunk, and with a whole one */
    rr_engine_stats stats;
};

static void clear(queue *q) {
    *q = (queue){.end = &q->first};
}

static void append(queue *q, rr_request *request) {
    request->next = NULL;
    *q->end = request;
    q->end = &request->next;
}

/* Takes the request that `link` points at. */
static rr_request *take(queue *q, rr_request **link) {
    rr_request *request = *link;
    *link = request->next;
    if (q->end == &request->next) {
        q->end = link;
    }
    return request;
}

rr_status rr_scheduler_create(rr_scheduler **out, rr_diag *diag) {
    rr_scheduler *s = calloc(1, sizeof *s);
    if (s == NULL) {
        return rr_fail(diag, RR_E_MEMORY, "out of memory for the scheduler");
    }
    s->round = 1;
    for (int f = 0; f < RR_N_FAMILIES; f++) {
        clear(&s->waiting[f]);
    }
    if (!rr_cond_create(&s->gather)) {
        rr_scheduler_destroy(&s);
        return rr_fail(diag, RR_E_INTERNAL, "cannot make a condition");
    }
    *out = s;
    return RR_OK;
}

void rr_scheduler_destroy(rr_scheduler **pointer) {
    rr_scheduler *s = *pointer;
    if (s == NULL) {
        return;
    }
    rr_cond_destroy(&s->gather);
    free(s);
    *pointer = NULL;
}

/* From here on down to rr_scheduler_run the caller holds the lock, unless said otherwise. */

static void expect(rr_scheduler *s, rr_session *session) {
    session->awaited = s->round;
    s->n_awaited++;
}

static void stop_expecting(rr_scheduler *s, rr_session *session) {
    if (session->awaited == s->round) {
        session->awaited = 0;
        s->n_awaited--;
        if (s->n_awaited == 0) {
            rr_cond_signal(&s->gather);
        }
    }
}

/* Another session that holds more of the prompt's next tokens, *end of them in all; NULL = none,
 * *end as it was. */
static const rr_session *find_shared(
    const rr_engine *engine, const rr_request *request, size_t *end) {
    if (request->from != NULL) {
        *end = request->n;
        return request->from;
    }
    if (request->each != NULL) {
        return NULL;
    }
    const size_t n = request->reading != NULL && request->n_shareable < request->n
        ? request->n_shareable + 1
        : request->n;
    return rr_shared_prefix_find(engine, request->session, request->tokens, n, end);
}

/* Whoever waits for its first chunk gets its turn. */
static void give_turn(rr_engine *engine, rr_request *request) {
    rr_scheduler *s = engine->scheduler;
    if (request->turn.number > 0) {
        return;
    }
    size_t there = request->session->n_tokens;
    find_shared(engine, request, &there);
    if (there < request->n) { /* a fork takes no time */
        const uint32_t n_chunks =
            rr_div_up((uint32_t)(request->n - there), engine->compute->limits.prompt_chunk);
        request->turn.due =
            s->stats.n_prompt_passes + (uint64_t)n_chunks * engine->limits.n_sessions;
    }
    request->turn.number = ++s->n_prompts;
}

static void enqueue(rr_engine *engine, rr_request *request) {
    rr_scheduler *s = engine->scheduler;
    rr_session *session = request->session;
    session->n_layers =
        request->n_layers != 0 ? request->n_layers : engine->compute->model->config.n_layers;
    append(&s->waiting[request->family], request);
    if (request->family == RR_PREFILL) {
        give_turn(engine, request);
    }
    session->best_ready = false;
    session->logits_ready = false;
    if (session->n_prompt > session->n_tokens) {
        session->n_prompt = session->n_tokens; /* what lies behind may be overwritten */
    }
    if (request->family == RR_DECODE) {
        s->n_rows += (uint32_t)request->n;
        if (s->n_rows >= RR_DECODE_ROWS) {
            rr_cond_signal(&s->gather);
        }
    }
    stop_expecting(s, session);
}

static void complete(rr_request *request, rr_status status, const rr_diag *diag) {
    rr_failure *failure = request->failure;
    request->done = true;
    if (status != RR_OK && (failure->request == NULL || request < failure->request)) {
        failure->request = request;
        failure->status = status;
        if (failure->diag != NULL) {
            *failure->diag = *diag;
        }
    }
    rr_cond_signal(request->wake);
}

/* Of a prompt's chunk; between tokens a cancel is looked at by the thread that generates. */
static rr_status check_waiting(const rr_request *request, rr_diag *diag) {
    if (request->family == RR_PREFILL && atomic_load(&request->session->cancelled)) {
        return rr_fail(diag, RR_E_CANCELLED, "cancelled");
    }
    return rr_deadline_check(request->session->deadline_ns, diag);
}

/* Whoever waits past the deadline of its session, or for a prompt that was cancelled, waits no
 * longer. */
static void end_waiting(rr_scheduler *s) {
    for (int f = 0; f < RR_N_FAMILIES; f++) {
        for (rr_request **link = &s->waiting[f].first; *link != NULL;) {
            rr_diag diag;
            rr_status status = check_waiting(*link, &diag);
            if (status == RR_OK) {
                link = &(*link)->next;
                continue;
            }
            rr_request *request = take(&s->waiting[f], link);
            s->n_rows -= request->family == RR_DECODE ? (uint32_t)request->n : 0;
            complete(request, status, &diag);
        }
    }
}

/* The costs of passes with, or without, a chunk of a prompt, as the next one will be. */
static rr_decode_costs *next_costs(rr_scheduler *s) {
    return &s->costs[s->goes_on || s->waiting[RR_PREFILL].first != NULL];
}

/* Waits for sessions that generate, or whose prompt goes on. */
static void gather(rr_engine *engine) {
    rr_scheduler *s = engine->scheduler;
    if (s->n_awaited == 0) {
        return;
    }
    const rr_decode_costs *costs = next_costs(s);
    double wait_ns = WAIT_SHARE * costs->pass_ns[costs->last_rows];
    wait_ns = wait_ns < WAIT_LEAST_NS ? WAIT_LEAST_NS
        : wait_ns > WAIT_MOST_NS      ? WAIT_MOST_NS
                                      : wait_ns;
    const uint64_t until_ns =
        rr_time_ns() + (s->patience_ns > 0 ? s->patience_ns : (uint64_t)wait_ns);
    while (s->n_awaited > 0 && s->n_rows < RR_DECODE_ROWS) {
        if (!rr_cond_wait_until(&s->gather, &engine->lock, until_ns)) {
            s->round++; /* whoever is late is not waited for again until it has come back */
            s->n_awaited = 0;
        }
    }
}

/* At most `room` rows. */
static void collect_rows(rr_scheduler *s, rr_batch *b, uint32_t room) {
    queue *q = &s->waiting[RR_DECODE];
    for (rr_request **link = &q->first; *link != NULL && b->n_rows < room;) {
        if (b->n_rows + (*link)->n > room) {
            link = &(*link)->next;
            continue;
        }
        rr_request *request = take(q, link);
        b->rows[b->n++] = request;
        b->n_rows += (uint32_t)request->n;
        s->n_rows -= (uint32_t)request->n;
    }
}

/* The timeline takes the request's tokens up to `end`. */
static void extend(const rr_request *request, size_t end) {
    rr_session *session = request->session;
    const size_t begin = session->n_tokens;
    memmove(
        session->tokens + begin, request->tokens + begin, (end - begin) * sizeof *request->tokens);
    session->n_tokens = end;
    if (request->from != NULL) {
        session->n_prompt = request->from->n_prompt < end ? request->from->n_prompt : end;
    } else if (session->n_prompt == begin) {
        session->n_prompt = end;
    }
}

/* The timeline takes over what another session has of the prompt's next tokens. */
static void share(rr_engine *engine, const rr_request *request) {
    rr_session *session = request->session;
    const size_t begin = session->n_tokens;
    size_t end = begin;
    const rr_session *from = find_shared(engine, request, &end);
    if (from == NULL) {
        return;
    }
    rr_pages_share(engine->pages, session->slot, from->slot, end);
    extend(request, end);
    session->n_shared += end - begin;
    engine->scheduler->stats.shared_tokens += end - begin;
}

static bool is_before(const rr_request *a, const rr_request *b) {
    return a->turn.due != b->turn.due ? a->turn.due < b->turn.due : a->turn.number < b->turn.number;
}

static rr_request *take_next_prompt(queue *q) {
    rr_request **best = &q->first;
    for (rr_request **link = &q->first; *link != NULL; link = &(*link)->next) {
        best = is_before(*link, *best) ? link : best;
    }
    return take(q, best);
}

static void collect_prompt(rr_engine *engine, rr_batch *b) {
    queue *q = &engine->scheduler->waiting[RR_PREFILL];
    while (q->first != NULL && b->prompt == NULL) {
        rr_request *request = take_next_prompt(q);
        rr_session *session = request->session;
        share(engine, request);
        if (session->n_tokens == request->n) { /* a fork: nothing is left to compute */
            complete(request, RR_OK, NULL);
            continue;
        }
        const size_t chunk = engine->compute->limits.prompt_chunk;
        b->prompt = request;
        b->begin = session->n_tokens;
        b->end = request->n - b->begin < chunk ? request->n : b->begin + chunk;
    }
}

static void finish_prompt(rr_scheduler *s, const rr_batch *b) {
    s->goes_on = b->end < b->prompt->n;
    if (s->goes_on) {
        expect(s, b->prompt->session);
    }
    extend(b->prompt, b->end);
    s->stats.n_prompt_passes++;
    s->stats.prompt_tokens += b->end - b->begin;
}

/* A pass with a part of a chunk, or of the head, says nothing about others. Slow ones are mostly
 * somebody else's doing. */
static void learn_cost(rr_engine *engine, const rr_batch *b, bool is_whole, double took_ns) {
    const bool with_prompt = b->prompt != NULL;
    if (!is_whole || (with_prompt && b->end - b->begin < engine->compute->limits.prompt_chunk)) {
        return;
    }
    rr_decode_costs *costs = &engine->scheduler->costs[with_prompt];
    double *cost = &costs->pass_ns[b->n_rows];
    *cost = *cost <= 0.0 ? took_ns : *cost + (took_ns < *cost ? 0.5 : 0.125) * (took_ns - *cost);
    costs->last_rows = b->n_rows;
}

static void finish_rows(rr_engine *engine, const rr_batch *b, double took_ns) {
    rr_scheduler *s = engine->scheduler;
    /* every row had the whole head, and all was done once */
    bool is_whole = b->prompt_status == RR_OK;
    for (uint32_t i = 0; i < b->n; i++) {
        const rr_request *request = b->rows[i];
        rr_session *session = request->session;
        const size_t n = request->given ? request->n : 1;
        memmove(session->tokens + session->n_tokens, request->tokens, n * sizeof *request->tokens);
        session->n_tokens += n;
        is_whole = is_whole && !request->given;
        if (session->generating) {
            expect(s, session);
        }
    }
    learn_cost(engine, b, is_whole, took_ns);
    s->stats.n_decode_passes++;
    s->stats.decode_rows += b->n_rows;
}

/* What the next pass takes. The first rows that wait are always taken, and of prompts the one whose
 * turn it is: nobody waits for ever. */
static void collect(rr_engine *engine, rr_batch *b) {
    rr_scheduler *s = engine->scheduler;
    const rr_request *first_rows = s->waiting[RR_DECODE].first;
    if (!s->was_alone || first_rows == NULL) {
        collect_prompt(engine, b);
    }
    /* the head takes RR_DECODE_ROWS, and a prompt's end needs one */
    const uint32_t room = RR_DECODE_ROWS - (b->prompt != NULL && b->end == b->prompt->n);
    /* the head, chunk by chunk; or fewer layers than rows take */
    const bool stays_alone =
        b->prompt != NULL && (b->prompt->each != NULL || b->prompt->reading != NULL);
    s->was_alone = stays_alone || (first_rows != NULL && first_rows->n > room);
    if (!s->was_alone) {
        collect_rows(s, b, room);
    }
}

/* Results are there, or an error: the requests of the batch are done. */
static void finish(rr_engine *engine, const rr_batch *b, double took_ns) {
    rr_scheduler *s = engine->scheduler;
    s->goes_on = false;
    if (b->prompt != NULL && b->prompt_status == RR_OK) {
        finish_prompt(s, b);
    }
    if (b->n > 0 && b->rows_status == RR_OK) {
        finish_rows(engine, b, took_ns);
    }
    s->stats.n_passes += b->prompt_status == RR_OK || b->rows_status == RR_OK;
    if (b->prompt != NULL) {
        complete(b->prompt, b->prompt_status, &b->prompt_diag);
    }
    for (uint32_t i = 0; i < b->n; i++) {
        complete(b->rows[i], b->rows_status, &b->rows_diag);
    }
}

/* One pass for those who wait. Lets go of the lock while the device works. */
static void lead(rr_engine *engine) {
    rr_scheduler *s = engine->scheduler;
    s->is_led = true;
    gather(engine);
    end_waiting(s);
    rr_batch b = {0};
    collect(engine, &b);
    if (b.prompt != NULL || b.n > 0) {
        rr_mutex_unlock(&engine->lock);
        uint64_t begin_ns = rr_time_ns();
        rr_batch_run(engine, &b);
        double took_ns = (double)(rr_time_ns() - begin_ns);
        rr_mutex_lock(&engine->lock);
        finish(engine, &b, took_ns);
    }
    s->is_led = false;
}

static bool all_done(const rr_request *requests, size_t n) {
    for (size_t i = 0; i < n; i++) {
        if (!requests[i].done) {
            return false;
        }
    }
    return true;
}

/* Somebody who waits is told when nobody leads. */
static void hand_on(rr_scheduler *s) {
    for (int f = 0; f < RR_N_FAMILIES && !s->is_led; f++) {
        if (s->waiting[f].first != NULL) {
            rr_cond_signal(s->waiting[f].first->wake);
            return;
        }
    }
}

rr_status rr_scheduler_run(rr_engine *engine, rr_request *requests, size_t n, rr_diag *diag) {
    rr_scheduler *s = engine->scheduler;
    rr_cond *wake = &requests[0].session->wake;
    rr_failure failure = {.status = RR_OK, .diag = diag};
    rr_mutex_lock(&engine->lock);
    for (size_t i = 0; i < n; i++) {
        requests[i].wake = wake;
        requests[i].failure = &failure;
        enqueue(engine, &requests[i]);
    }
    while (!all_done(requests, n)) {
        if (s->is_led) {
            rr_cond_wait(wake, &engine->lock);
        } else {
            lead(engine);
        }
    }
    hand_on(s);
    rr_mutex_unlock(&engine->lock);
    return failure.status;
}

void rr_scheduler_enter(rr_session *session) {
    rr_mutex_lock(&session->engine->lock);
    session->generating = true;
    rr_mutex_unlock(&session->engine->lock);
}

void rr_scheduler_leave(rr_session *session, uint64_t n_drafted, uint64_t n_accepted) {
    rr_scheduler *s = session->engine->scheduler;
    rr_mutex_lock(&session->engine->lock);
    session->generating = false;
    stop_expecting(s, session);
    s->stats.drafted_tokens += n_drafted;
    s->stats.accepted_tokens += n_accepted;
    rr_mutex_unlock(&session->engine->lock);
}

void rr_scheduler_costs(rr_engine *engine, rr_decode_costs *out) {
    rr_mutex_lock(&engine->lock);
    *out = *next_costs(engine->scheduler);
    rr_mutex_unlock(&engine->lock);
}

void rr_scheduler_set_patience(rr_engine *engine, uint64_t ns) {
    rr_mutex_lock(&engine->lock);
    engine->scheduler->patience_ns = ns;
    rr_mutex_unlock(&engine->lock);
}

void rr_engine_stats_get(rr_engine *engine, rr_engine_stats *out) {
    rr_mutex_lock(&engine->lock);
    *out = engine->scheduler->stats;
    out->evictions = engine->n_evicted;
    rr_pages_count(engine->pages, &out->pages_used, &out->pages_shared);
    rr_mutex_unlock(&engine->lock);
}
