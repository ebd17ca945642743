/* Equality: whatever the number of workers and the order of events, the bytes of the plain
 * sequential run. A scripted model writes well-formed, malformed, repeated, out-of-range and
 * truncated answers piece by piece, and yields at random. With deadlines: whole rankings, in which
 * what is not late is what it would be. */
#define _GNU_SOURCE
#include "tests/check.h"

#include <sched.h>
#include <time.h>

#include "rerank/execute.h"
#include "rerank/report/run_out.h"
#include "runtime/base/thread.h"

enum { MAX_QUERIES = 16, MAX_PASSAGES = 60, MAX_WORKERS = 8, MAX_MESSAGES = 2 * MAX_PASSAGES + 4 };

static rr_passage passages[MAX_PASSAGES];
static char ids[MAX_PASSAGES][24];
static rr_query queries[MAX_QUERIES];
static char qids[MAX_QUERIES][24];

static uint32_t random_next(uint32_t *state) {
    *state = *state * 1664525u + 1013904223u;
    return *state >> 8;
}

/* What all workers of a case share. */
typedef struct script_state {
    uint32_t seed;
    bool can_fail;
    size_t stop_at;       /* the stop flag is raised in this many calls; 0 = never */
    bool stalls;          /* some windows never come to an end, and some do not look at the time */
    const rr_query *slow; /* the windows of this query from slow_from on never come to an end */
    size_t slow_from;
    /* the first window's answer waits (10 s at most) until a prompt is prepared */
    bool first_waits;
    atomic_size_t n_calls, n_prepares;
    atomic_bool stop;
} script_state;

/* A model with a session: it reuses the messages that it saw before, and a cancel stays until
 * something notices it. */
typedef struct actor_state {
    script_state *script;
    uint32_t random;
    bool yields;
    atomic_bool cancelled;
    char *seen[MAX_MESSAGES]; /* the session's timeline */
    size_t n_seen;
    const rr_query *prepared; /* what the timeline was prepared for; NULL = nothing */
    size_t prepared_index, n_prepared;
    size_t n_used; /* preparations that were of use */
    size_t n_bad;  /* calls that were not as they should be */
} actor_state;

static void yield_at_random(actor_state *actor) {
    uint32_t what = actor->yields ? random_next(&actor->random) % 16 : 1;
    if (what == 0) {
        struct timespec time = {0, random_next(&actor->random) % 60000};
        nanosleep(&time, NULL);
    } else if (what % 2 == 0) {
        sched_yield();
    }
}

/* Makes the timeline these messages; gives how many were there. */
static size_t sync_messages(actor_state *actor, const rr_prompt *prompt) {
    size_t common = 0;
    while (common < prompt->n && common < actor->n_seen &&
        strcmp(actor->seen[common], prompt->messages[common].content) == 0) {
        common++;
    }
    while (actor->n_seen > common) {
        free(actor->seen[--actor->n_seen]);
    }
    for (size_t i = common; i < prompt->n; i++) {
        actor->seen[actor->n_seen++] = strdup(prompt->messages[i].content);
    }
    return common;
}

static bool is_cancelled(actor_state *actor) {
    return atomic_exchange(&actor->cancelled, false);
}

static uint32_t hash_call(const script_state *script, const rr_call *call) {
    uint32_t state = script->seed ^ (uint32_t)(call->index * 40503u) ^
        (uint32_t)(call->query - queries) * 2654435761u;
    for (uint32_t i = 0; i < call->n; i++) {
        state = (state ^ call->order[i]) * 16777619u;
    }
    return state;
}

static void write_list(const rr_call *call, uint32_t *state, bool neat, rr_buf *out) {
    uint32_t permutation[MAX_PASSAGES];
    for (uint32_t i = 0; i < call->n; i++) {
        permutation[i] = i + 1;
    }
    for (uint32_t i = call->n; i > 1; i--) {
        uint32_t k = random_next(state) % i, id = permutation[i - 1];
        permutation[i - 1] = permutation[k];
        permutation[k] = id;
    }
    uint32_t n_written = neat ? call->n : random_next(state) % (2 * call->n);
    for (uint32_t i = 0; i < n_written; i++) {
        bool wild = !neat && random_next(state) % 4 == 0;
        rr_buf_printf(out, "%s[%u]", i > 0 ? " > " : " ",
            wild ? random_next(state) % (call->n + 5) : permutation[i % call->n]);
    }
}

/* The same text for the same query, window and passages. */
static void write_answer(const rr_call *call, uint32_t state, rr_buf *out) {
    uint32_t kind = random_next(&state) % 8;
    rr_buf_text(out, kind == 0 ? "" : "<think>[2] over [1]");
    rr_buf_text(out, kind == 1 || kind == 0 ? "" : "</think>\n");
    /* an answer before the one that counts, closed later, or thinking that begins anew */
    if (kind == 2) {
        rr_buf_text(out, "<answer>");
        write_list(call, &state, false, out);
        rr_buf_text(out, random_next(&state) % 2 != 0 ? " <answer>" : "</think>");
    }
    rr_buf_text(out, kind == 3 ? "" : "<answer>");
    write_list(call, &state, kind >= 4, out);
    rr_buf_text(out, kind == 5 || kind == 2 ? "" : " </answer>");
    rr_buf_text(out, kind == 6 ? " and [1]\xFF" : "");
}

static rr_status cancelled(rr_diag *diag) {
    return rr_fail(diag, RR_E_CANCELLED, "cancelled");
}

static bool is_late(const rr_call *call) {
    return call->deadline_ns != 0 && rr_time_ns() >= call->deadline_ns;
}

static rr_status late(rr_diag *diag) {
    return rr_fail(diag, RR_E_DEADLINE, "late");
}

/* Ends with the deadline, or when it is told to. */
static rr_status stall(actor_state *actor, const rr_call *call, rr_diag *diag) {
    bool wanted = true, told_to_end = false;
    while (!is_late(call) && wanted && !told_to_end) {
        nanosleep(&(struct timespec){0, 100000}, NULL);
        wanted = call->on_text == NULL || call->on_text(call->listener, "", 0);
        told_to_end = is_cancelled(actor);
    }
    return is_late(call) ? late(diag) : cancelled(diag);
}

static rr_status respond(void *user, const rr_call *call, rr_reply *reply, rr_diag *diag) {
    actor_state *actor = user;
    script_state *script = actor->script;
    uint32_t state = hash_call(script, call);
    if (atomic_fetch_add(&script->n_calls, 1) + 1 == script->stop_at) {
        atomic_store(&script->stop, true);
        return cancelled(diag);
    }
    for (size_t ms = 0; script->first_waits && call->index == 0 &&
         atomic_load(&script->n_prepares) == 0 && ms < 10000;
         ms++) {
        nanosleep(&(struct timespec){0, 1000000}, NULL);
    }
    yield_at_random(actor);
    reply->prompt_tokens = call->prompt->n;
    reply->reused_tokens = sync_messages(actor, call->prompt);
    reply->shared_tokens = (reply->prompt_tokens - reply->reused_tokens) / 2;
    if (actor->prepared == call->query && actor->prepared_index == call->index) {
        /* what was known then is the beginning of what is asked now */
        actor->n_bad += reply->reused_tokens < actor->n_prepared;
        actor->n_used++;
    }
    actor->prepared = NULL;
    if (is_cancelled(actor)) {
        return cancelled(diag);
    }
    if ((script->stalls && state % 11 == 0) ||
        (script->slow == call->query && call->index >= script->slow_from)) {
        return stall(actor, call, diag);
    }
    bool looks = !script->stalls || state % 5 != 0;
    if (script->can_fail && state % 61 == 0) {
        return rr_fail(
            diag, RR_E_INPUT, "%s: window %zu is too long", call->query->qid, call->index);
    }
    rr_buf whole = {0};
    write_answer(call, state, &whole);
    rr_status status = RR_OK;
    while (reply->text.bytes < whole.bytes && status == RR_OK) {
        size_t left = whole.bytes - reply->text.bytes, piece = 1 + random_next(&actor->random) % 24;
        rr_buf_append(&reply->text, whole.data + reply->text.bytes, piece < left ? piece : left);
        reply->generated_tokens = reply->text.bytes;
        yield_at_random(actor);
        bool wanted = call->on_text == NULL ||
            call->on_text(call->listener, reply->text.data, reply->text.bytes);
        status = !wanted || is_cancelled(actor) ? cancelled(diag)
            : looks && is_late(call)            ? late(diag)
                                                : RR_OK;
    }
    rr_buf_destroy(&whole);
    return status;
}

static rr_status prepare(void *user, const rr_call *call, uint64_t *n_computed, rr_diag *diag) {
    actor_state *actor = user;
    actor->n_bad += call->prompt->n < 4 || call->prompt->n >= 2 * call->n + 3;
    *n_computed = call->prompt->n - sync_messages(actor, call->prompt);
    actor->prepared = call->query;
    actor->prepared_index = call->index;
    actor->n_prepared = call->prompt->n;
    atomic_fetch_add(&actor->script->n_prepares, 1);
    yield_at_random(actor);
    return is_cancelled(actor) ? cancelled(diag) : is_late(call) ? late(diag) : RR_OK;
}

static void cancel(void *user) {
    atomic_store(&((actor_state *)user)->cancelled, true);
}

/* What came out. */
typedef struct outcome_state {
    rr_run_out json, trec;
    rr_buf text[MAX_QUERIES]; /* JSON, TREC and log line of each query; empty = not delivered */
    size_t last;
    size_t fail_at; /* on_ranking fails for this query; MAX_QUERIES = for none */
    rr_status status;
    rr_diag diag;
    rr_rank_counts counts;
    size_t n_windows_told, n_bad;
    const script_state *script;
    const rr_rank_params *rank;
    size_t n_late[MAX_QUERIES]; /* windows */
} outcome_state;

/* Rankings that are known from elsewhere: in check_known. */
static const bool *known_queries;
static bool told[MAX_QUERIES];

static bool is_known(void *user, size_t query) {
    (void)user;
    return known_queries != NULL && known_queries[query];
}

static rr_status tell(void *user, size_t query, const rr_ranking *ranking, rr_diag *diag) {
    (void)diag;
    CHECK_MSG(!told[query] && !is_known(user, query) && ranking->order != NULL,
        "query %zu is told of", query);
    told[query] = true;
    return RR_OK;
}

/* The same windows once more, one after another: those that are late answer nothing. */
typedef struct again_state {
    const rr_ranking *ranking;
    const script_state *script;
    size_t n_bad;
} again_state;

static rr_status respond_again(void *user, const rr_call *call, rr_reply *reply, rr_diag *diag) {
    (void)diag;
    again_state *again = user;
    if (call->index >= again->ranking->n_windows) {
        again->n_bad++;
        return RR_OK;
    }
    const rr_window_result *window = &again->ranking->windows[call->index];
    again->n_bad += window->n != call->n ||
        memcmp(window->passages, call->order, call->n * sizeof *call->order) != 0 ||
        window->window.begin != call->window.begin || window->window.end != call->window.end;
    if (!window->late) {
        write_answer(call, hash_call(again->script, call), &reply->text);
    }
    return RR_OK;
}

/* A ranking with late windows is whole, and what it would be if these left their passages as they
 * are. */
static void check_late(const outcome_state *out, size_t query, const rr_ranking *ranking) {
    again_state again = {.ranking = ranking, .script = out->script};
    const rr_responder responder = {respond_again, &again};
    rr_rank_params rank = *out->rank;
    rr_ranking expected;
    rr_diag diag = {0};
    rank.deadline_after_ns = 0;
    CHECK_OK(rr_rank(&queries[query], &rank, &responder, &expected, &diag), diag);
    bool same = again.n_bad == 0 && expected.n == ranking->n &&
        expected.n_windows == ranking->n_windows &&
        memcmp(expected.order, ranking->order, ranking->n * sizeof *ranking->order) == 0;
    for (size_t i = 0; i < ranking->n_windows && same; i++) {
        const rr_window_result *window = &ranking->windows[i], *other = &expected.windows[i];
        same = memcmp(window->permutation, other->permutation,
                   window->n * sizeof *window->permutation) == 0 &&
            window->n_listed == other->n_listed &&
            (window->late ? !window->repaired : window->repaired == other->repaired) &&
            window->response.bytes == other->response.bytes && !(window->late && window->truncated);
    }
    CHECK_MSG(same, "seed %u: query %zu, %zu windows late, is no ranking that it could be",
        out->script->seed, query, rr_ranking_n_late(ranking));
    rr_ranking_destroy(&expected);
}

static rr_status deliver(void *user, size_t query, rr_ranking *ranking, rr_diag *diag) {
    outcome_state *out = user;
    CHECK_MSG(out->last == SIZE_MAX || query > out->last, "query %zu after %zu", query, out->last);
    out->last = query;
    CHECK_MSG(told[query] != is_known(user, query), "query %zu was not told of", query);
    if (is_known(user, query)) {
        CHECK(ranking->order == NULL && ranking->n_windows == 0);
        rr_buf_text(&out->text[query], "known");
        return RR_OK;
    }
    if (query == out->fail_at) {
        return rr_fail(diag, RR_E_IO, "no room");
    }
    out->n_late[query] = rr_ranking_n_late(ranking);
    if (out->n_late[query] > 0) {
        check_late(out, query, ranking);
    }
    ranking->time_ns = 0;
    for (size_t i = 0; i < ranking->n_windows; i++) { /* measurements */
        rr_window_result *window = &ranking->windows[i];
        window->time_ns = window->prompt_ns = window->generate_ns = window->reused_tokens =
            window->shared_tokens = 0;
    }
    rr_buf *text = &out->text[query];
    CHECK_OK(rr_run_query(&out->json, &queries[query], ranking, query, text, diag), *diag);
    CHECK_OK(rr_run_query(&out->trec, &queries[query], ranking, query, text, diag), *diag);
    CHECK_OK(rr_run_record(&queries[query], ranking, text, diag), *diag);
    return RR_OK;
}

static void on_window(void *user, const rr_call *call, const rr_window_result *result) {
    outcome_state *out = user;
    out->n_bad += call->index >= call->n_calls || call->n != result->n || call->query == NULL;
    out->n_windows_told++;
}

static size_t n_prepared_used; /* over all cases */

static void run(script_state *script, const rr_rank_params *rank, size_t n_queries,
    size_t n_workers, bool ahead, outcome_state *out) {
    static actor_state actors[MAX_WORKERS];
    rr_worker workers[MAX_WORKERS];
    for (size_t i = 0; i < n_workers; i++) {
        actors[i] = (actor_state){
            .script = script, .random = script->seed * 31u + (uint32_t)i, .yields = n_workers > 1};
        workers[i] = (rr_worker){{respond, &actors[i]}, prepare, cancel};
    }
    size_t fail_at = out->fail_at;
    *out = (outcome_state){.json = {.format = RR_RUN_JSONL, .many = true},
        .trec = {.format = RR_RUN_TREC},
        .last = SIZE_MAX,
        .fail_at = fail_at,
        .script = script,
        .rank = rank};
    rr_execute_params params = {
        .queries = queries,
        .n_queries = n_queries,
        .rank = *rank,
        .workers = workers,
        .n_workers = n_workers,
        .is_known = is_known,
        .on_finished = tell,
        .on_ranking = deliver,
        .user = out,
        .stop = &script->stop,
        .no_work_ahead = !ahead,
        .counts = &out->counts,
    };
    params.rank.on_window = on_window;
    params.rank.user = out;
    memset(told, 0, sizeof told);
    atomic_store(&script->n_calls, 0);
    atomic_store(&script->stop, false);
    out->status = rr_execute(&params, &out->diag);
    CHECK(out->n_bad == 0);
    for (size_t i = 0; i < n_workers; i++) {
        n_prepared_used += actors[i].n_used;
        CHECK_MSG(actors[i].n_bad == 0, "seed %u: %zu calls were not as they should be",
            script->seed, actors[i].n_bad);
        while (actors[i].n_seen > 0) {
            free(actors[i].seen[--actors[i].n_seen]);
        }
    }
}

static void destroy_outcome(outcome_state *out) {
    for (size_t i = 0; i < MAX_QUERIES; i++) {
        rr_buf_destroy(&out->text[i]);
    }
}

static bool is_equal(const rr_buf *a, const rr_buf *b) {
    return a->bytes == b->bytes && (a->bytes == 0 || memcmp(a->data, b->data, a->bytes) == 0);
}

static void make_queries(uint32_t *random, size_t n_queries, bool small) {
    for (size_t i = 0; i < n_queries; i++) {
        snprintf(qids[i], sizeof qids[i], "q%zu", i);
        size_t n = random_next(random) % 5 == 0 ? random_next(random) % 3
                                                : random_next(random) % MAX_PASSAGES;
        queries[i] = (rr_query){
            .qid = qids[i], .text = {"what", 4}, .passages = passages, .n = small ? 8 : n};
    }
}

static rr_rank_params make_params(uint32_t *random) {
    rr_rank_params rank = {.window = 2 + random_next(random) % 12,
        .schedule = random_next(random) % 2 == 0 ? RR_SCHEDULE_SLIDING
                                                 : (rr_schedule_kind)(random_next(random) % 3),
        .passes = random_next(random) % 5 == 0 ? 2 : 1,
        .style = random_next(random) % 4 == 0 ? RR_PROMPT_RANKGPT : RR_PROMPT_REARANK};
    rank.step = random_next(random) % 3 == 0 ? 1 + random_next(random) % rank.window
                                             : (rank.window + 1) / 2;
    rank.depth = random_next(random) % 4 == 0 ? random_next(random) % 40 : 0;
    return rank;
}

typedef struct totals_state {
    rr_rank_counts counts;
    size_t n_failed, n_stopped, n_delivered_behind;
    size_t n_late_queries, n_late_windows, n_in_time;
} totals_state;

static void add_counts(totals_state *totals, const rr_rank_counts *counts) {
    totals->counts.n_windows += counts->n_windows;
    totals->counts.n_early += counts->n_early;
    totals->counts.n_redone += counts->n_redone;
    totals->counts.n_prepared += counts->n_prepared;
    totals->counts.prompt_tokens += counts->prompt_tokens;
    totals->counts.critical_tokens += counts->critical_tokens;
}

static size_t choose_n_queries(uint32_t *random) {
    return 1 + random_next(random) % (random_next(random) % 5 == 0 ? MAX_QUERIES : 4);
}

/* One case; `fails`: windows may fail. */
static void check_equal(uint32_t seed, bool fails, totals_state *totals) {
    uint32_t random = seed;
    static outcome_state plain, other;
    size_t n_queries = choose_n_queries(&random),
           n_workers = 1 + random_next(&random) % MAX_WORKERS;
    bool ahead = random_next(&random) % 8 != 0;
    make_queries(&random, n_queries, false);
    rr_rank_params rank = make_params(&random);
    script_state script = {.seed = seed, .can_fail = fails};
    plain.fail_at = other.fail_at = MAX_QUERIES;
    run(&script, &rank, n_queries, 1, false, &plain);
    run(&script, &rank, n_queries, n_workers, ahead, &other);
    CHECK_MSG(plain.status == other.status, "seed %u: status %d, expected %d", seed, other.status,
        plain.status);
    CHECK_TEXT(other.diag.text, plain.diag.text);
    size_t n_plain = plain.status == RR_OK ? n_queries
        : plain.last == SIZE_MAX           ? 0
                                           : plain.last + 1;
    for (size_t i = 0; i < n_queries; i++) {
        if (i < n_plain) {
            CHECK_MSG(is_equal(&plain.text[i], &other.text[i]),
                "seed %u, %zu workers, query %zu: other bytes:\n%s\n%s", seed, n_workers, i,
                plain.text[i].data, other.text[i].data != NULL ? other.text[i].data : "(none)");
        } else {
            totals->n_delivered_behind += other.text[i].bytes > 0;
        }
    }
    if (plain.status == RR_OK) {
        CHECK(other.counts.n_windows == plain.counts.n_windows &&
            other.n_windows_told == plain.n_windows_told &&
            other.counts.prompt_tokens == plain.counts.prompt_tokens &&
            other.counts.generated_tokens == plain.counts.generated_tokens);
        CHECK(plain.counts.n_windows == plain.n_windows_told &&
            plain.counts.n_early + plain.counts.n_prepared == 0);
        CHECK(other.counts.critical_tokens + other.counts.early_tokens +
                other.counts.reused_tokens + other.counts.shared_tokens ==
            other.counts.prompt_tokens);
        CHECK(other.counts.shared_tokens > 0 || other.counts.n_windows == 0);
        CHECK(n_workers > 1 || atomic_load(&script.n_calls) == plain.counts.n_windows);
    }
    totals->n_failed += plain.status != RR_OK;
    add_counts(totals, &other.counts);
    destroy_outcome(&plain);
    destroy_outcome(&other);
}

/* Queries, parameters and a script, and what the plain order makes of them. */
typedef struct trial_state {
    uint32_t random;
    size_t n_queries, n_workers;
    rr_rank_params rank;
    script_state script;
} trial_state;

static void begin_trial(trial_state *t, uint32_t seed, outcome_state *plain) {
    *t = (trial_state){.random = seed, .script = {.seed = seed}};
    t->n_queries = choose_n_queries(&t->random);
    t->n_workers = 1 + random_next(&t->random) % MAX_WORKERS;
    make_queries(&t->random, t->n_queries, false);
    t->rank = make_params(&t->random);
    plain->fail_at = MAX_QUERIES;
    run(&t->script, &t->rank, t->n_queries, 1, false, plain);
}

/* Some rankings are known: they are passed by, the others are what they were. */
static void check_known(uint32_t seed) {
    static outcome_state plain, other;
    bool known[MAX_QUERIES];
    trial_state t;
    begin_trial(&t, seed, &plain);
    other.fail_at = MAX_QUERIES;
    for (size_t i = 0; i < t.n_queries; i++) {
        known[i] = seed % 8 == 0 || random_next(&t.random) % 2 == 0;
    }
    known_queries = known;
    run(&t.script, &t.rank, t.n_queries, t.n_workers, true, &other);
    known_queries = NULL;
    CHECK_MSG(plain.status == other.status, "seed %u: status %d, expected %d", seed, other.status,
        plain.status);
    for (size_t i = 0; i < t.n_queries; i++) {
        if (known[i]) {
            CHECK_MSG(other.text[i].bytes == strlen("known"),
                "seed %u, query %zu is known and was not delivered", seed, i);
        } else {
            CHECK_MSG(is_equal(&plain.text[i], &other.text[i]),
                "seed %u, %zu workers, query %zu: other bytes", seed, t.n_workers, i);
        }
    }
    CHECK(seed % 8 != 0 || atomic_load(&t.script.n_calls) == 0);
    destroy_outcome(&plain);
    destroy_outcome(&other);
}

/* Stopped at any call: what was finished is delivered, and is right. */
static void check_stopped(uint32_t seed, totals_state *totals) {
    static outcome_state plain, other;
    trial_state t;
    begin_trial(&t, seed, &plain);
    other.fail_at = random_next(&t.random) % 4 == 0 ? 0 : MAX_QUERIES;
    t.script.stop_at = 1 + random_next(&t.random) % 20;
    run(&t.script, &t.rank, t.n_queries, t.n_workers, true, &other);
    bool was_stopped = atomic_load(&t.script.stop),
         refused = other.fail_at == 0 && other.status == RR_E_IO;
    CHECK_MSG(refused || other.status == (was_stopped ? RR_E_CANCELLED : RR_OK),
        "seed %u: status %d", seed, other.status);
    for (size_t i = 0; i < t.n_queries; i++) {
        CHECK_MSG(other.text[i].bytes == 0 || is_equal(&plain.text[i], &other.text[i]),
            "seed %u: query %zu", seed, i);
        CHECK(was_stopped || refused || other.text[i].bytes > 0);
    }
    totals->n_stopped += was_stopped;
    destroy_outcome(&plain);
    destroy_outcome(&other);
}

/* Deadlines that come at any moment. */
static void check_deadlines(uint32_t seed, totals_state *totals) {
    static outcome_state plain, other;
    trial_state t;
    begin_trial(&t, seed, &plain);
    other.fail_at = MAX_QUERIES;
    bool rough = seed % 6 == 0; /* windows fail and the run is stopped as well */
    t.script.stalls = random_next(&t.random) % 2 == 0;
    t.script.can_fail = rough;
    t.script.stop_at = rough ? random_next(&t.random) % 40 : 0;
    t.rank.deadline_after_ns =
        random_next(&t.random) % 8 == 0 ? 1 : 1 + random_next(&t.random) % 4000000;
    run(&t.script, &t.rank, t.n_queries, t.n_workers, random_next(&t.random) % 8 != 0, &other);
    CHECK_MSG(rough || other.status == RR_OK, "seed %u: status %d: %s", seed, other.status,
        other.diag.text);
    for (size_t i = 0; i < t.n_queries; i++) {
        CHECK(plain.n_late[i] == 0 && (rough || other.text[i].bytes > 0));
        if (other.n_late[i] == 0 && other.text[i].bytes > 0) {
            CHECK_MSG(is_equal(&plain.text[i], &other.text[i]),
                "seed %u, %zu workers, query %zu: other bytes", seed, t.n_workers, i);
            totals->n_in_time += queries[i].n > 1;
        }
        totals->n_late_queries += other.n_late[i] > 0;
        totals->n_late_windows += other.n_late[i];
    }
    CHECK(rough || other.counts.n_windows == other.n_windows_told);
    destroy_outcome(&plain);
    destroy_outcome(&other);
}

/* One query does not come to an end: its windows up to there count, the rest stays; the others see
 * nothing of it. */
static void check_slow_query(size_t n_workers, rr_schedule_kind kind) {
    /* far more than the others take, on a busy machine too */
    const uint64_t deadline_ns = UINT64_C(2000000000);
    static outcome_state plain, other;
    uint32_t random = 3;
    script_state script = {.seed = 9};
    rr_rank_params rank = {.window = 10, .step = 5, .schedule = kind};
    make_queries(&random, 3, true);
    queries[1].n = 35;
    plain.fail_at = other.fail_at = MAX_QUERIES;
    run(&script, &rank, 3, 1, false, &plain);
    script.slow = &queries[1];
    script.slow_from = 2;
    rank.deadline_after_ns = deadline_ns;
    run(&script, &rank, 3, n_workers, true, &other);
    CHECK_OK(other.status, other.diag);
    CHECK_MSG(other.n_late[1] == plain.counts.n_windows - 2 - 2,
        "%zu workers: %zu windows are late", n_workers, other.n_late[1]);
    CHECK(other.n_late[0] == 0 && other.n_late[2] == 0);
    CHECK(is_equal(&plain.text[0], &other.text[0]) && is_equal(&plain.text[2], &other.text[2]));
    CHECK(strstr(other.text[0].data, "\"late\":true") == NULL &&
        strstr(other.text[1].data, "\"late\":true") != NULL);
    CHECK(other.counts.time_ns < 3 * deadline_ns); /* not one for each window */
    destroy_outcome(&plain);
    destroy_outcome(&other);
}

/* One query of four windows on two workers: while the first is at it, the second's known half is
 * computed. */
static void check_pipeline(void) {
    static outcome_state out;
    uint32_t random = 1;
    rr_rank_params rank = {.window = 20, .step = 10};
    script_state script = {.seed = 5, .first_waits = true};
    make_queries(&random, 1, false);
    queries[0].n = 50;
    out.fail_at = MAX_QUERIES;
    run(&script, &rank, 1, 2, true, &out);
    CHECK_INT(out.counts.n_windows, 4);
    CHECK(out.counts.n_prepared >= 1 && out.counts.ahead_tokens >= 20);
    destroy_outcome(&out);
    script.first_waits = false;
    run(&script, &rank, 1, 2, false, &out);
    CHECK(out.counts.n_prepared == 0 && out.counts.n_early == 0 && out.counts.ahead_tokens == 0);
    destroy_outcome(&out);
}

int main(void) {
    uint32_t n_cases = check_is_fast() ? 200 : 2000;
    for (size_t i = 0; i < MAX_PASSAGES; i++) {
        snprintf(ids[i], sizeof ids[i], "d%zu", i);
        passages[i] = (rr_passage){.id = ids[i], .text = {ids[i], strlen(ids[i])}};
    }
    totals_state totals = {0};
    check_pipeline();
    for (size_t n_workers = 1; n_workers <= 4; n_workers += 3) {
        check_slow_query(n_workers, RR_SCHEDULE_SLIDING);
        check_slow_query(n_workers, RR_SCHEDULE_TOPDOWN);
    }
    for (uint32_t seed = 1; seed <= n_cases; seed++) {
        check_equal(seed, false, &totals);
        if (seed % 2 == 0) {
            check_known(seed);
            check_deadlines(seed, &totals);
        }
        if (seed % 4 == 0) {
            check_equal(seed, true, &totals);
            check_stopped(seed, &totals);
        }
    }
    printf(
        "%u cases: %zu windows, %zu begun early, %zu redone, %zu prompts prepared, %zu of use; %zu runs failed, "
        "%zu queries delivered behind a failure, %zu runs stopped\n",
        n_cases, (size_t)totals.counts.n_windows, (size_t)totals.counts.n_early,
        (size_t)totals.counts.n_redone, (size_t)totals.counts.n_prepared, n_prepared_used,
        totals.n_failed, totals.n_delivered_behind, totals.n_stopped);
    printf("with deadlines: %zu windows of %zu queries late, %zu queries in time\n",
        totals.n_late_windows, totals.n_late_queries, totals.n_in_time);
    CHECK(totals.n_late_queries > n_cases / 4 && totals.n_in_time > n_cases / 20);
    CHECK(totals.counts.n_early > n_cases && totals.counts.n_redone > n_cases / 10 &&
        n_prepared_used > n_cases);
    CHECK(totals.n_failed > n_cases / 20 && totals.n_stopped > n_cases / 20);
    return CHECK_END();
}
