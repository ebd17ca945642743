/* Measurements of a model: prompts, generation behind contexts, passes over several sessions, a
 * listwise window. Token ids are pseudo-random; what the model makes of them does not matter for
 * its speed. Every point runs once before it is timed, so that drivers which compile at first use
 * have done so. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "runtime/base/thread.h"
#include "runtime/engine/read.h"
#include "tools/bench.h"

/* The first passes of one token find out which way is faster (runtime/compute/fast_path.h). */
enum { WARM_TOKENS = 4, WARM_PASSES = WARM_TOKENS - 1 };

/* One engine at work. */
typedef struct bench_runner {
    rr_bench *bench;
    rr_engine *engine;
    rr_session *sessions[RR_DECODE_ROWS];
    uint32_t n_sessions;
    int32_t *tokens; /* [n_context] */
    uint32_t n_context;
    double started_ns;      /* of the point at work */
    double prompt_token_ns; /* found by the first prefill point; 0 = not yet */
} bench_runner;

static void interrupt(void *user) {
    rr_session_cancel(user);
}

static double now_ns(void) {
    return (double)rr_time_ns();
}

static rr_status open_runner(bench_runner *r, const rr_engine_params *params, uint32_t n_sessions,
    uint32_t n_context, rr_diag *diag) {
    rr_engine_params sized = *params;
    sized.compute.n_context = n_context;
    sized.n_sessions = n_sessions;
    RR_TRY(rr_engine_open(&sized, &r->engine, diag));
    r->n_context = rr_engine_plan(r->engine)->compute.limits.n_context;
    r->tokens = malloc(r->n_context * sizeof *r->tokens);
    if (r->tokens == NULL) {
        return rr_fail(diag, RR_E_MEMORY, "out of memory");
    }
    uint32_t n_vocab = rr_engine_model(r->engine)->config.n_vocab;
    uint64_t random = 1;
    for (uint32_t i = 0; i < r->n_context; i++) {
        random = random * 6364136223846793005u + 1442695040888963407u;
        r->tokens[i] = (int32_t)((random >> 33) % n_vocab);
    }
    for (; r->n_sessions < n_sessions; r->n_sessions++) {
        RR_TRY(rr_session_create(r->engine, &r->sessions[r->n_sessions], diag));
    }
    rr_cli_on_interrupt(interrupt, r->sessions[0]);
    return RR_OK;
}

static void close_runner(bench_runner *r) {
    rr_cli_on_interrupt(NULL, NULL);
    for (uint32_t i = 0; i < r->n_sessions; i++) {
        rr_session_destroy(&r->sessions[i]);
    }
    rr_engine_close(&r->engine);
    free(r->tokens);
}

/* A point that does not fit, or takes too long, is kept with the reason. needed: tokens of
 * context. */
static bool fits(const bench_runner *r, rr_bench_point *point, uint32_t needed) {
    double expected_ns = r->prompt_token_ns * point->prompt;
    if (r->bench->plan.limit_ns > 0.0 && expected_ns > r->bench->plan.limit_ns) {
        snprintf(point->note, sizeof point->note,
            "skipped: the prompt would take about %.0f s; --prompt, --depth and --window "
            "measure it all the same",
            expected_ns * 1e-9);
        return false;
    }
    if (needed > r->n_context) {
        snprintf(point->note, sizeof point->note,
            "skipped: needs a context of %u tokens, this one holds %u", needed, r->n_context);
        return false;
    }
    return true;
}

static void begin_point(bench_runner *r) {
    r->started_ns = now_ns();
}

static bool enough(const bench_runner *r, const rr_bench_point *point) {
    const rr_bench_plan *plan = &r->bench->plan;
    return point->n >= plan->rounds ||
        (plan->budget_ns > 0.0 && now_ns() - r->started_ns > plan->budget_ns);
}

static void keep(rr_bench_point *point, double begin_ns) {
    point->times_ns[point->n++] = now_ns() - begin_ns;
}

/* The session holds nothing but the first `n` tokens after it; nothing is reused when `fresh`. */
static rr_status sync(bench_runner *r, rr_session *session, uint32_t n, bool fresh, rr_diag *diag) {
    if (fresh) {
        r->tokens[0] = (r->tokens[0] + 1) % (int32_t)rr_engine_model(r->engine)->config.n_vocab;
    }
    return rr_session_sync(session, r->tokens, n, diag);
}

/* A whole chunk and what is left behind the last whole one: the sizes of every pass of a prompt of
 * `n` tokens. */
static rr_status warm_prefill(bench_runner *r, uint32_t n, rr_diag *diag) {
    const uint32_t chunk = rr_engine_plan(r->engine)->compute.limits.prompt_chunk;
    return sync(r, r->sessions[0], n <= chunk ? n : chunk + n % chunk, true, diag);
}

static rr_status generate(bench_runner *r, uint32_t n, rr_diag *diag) {
    rr_tokens out = {0};
    rr_generate_params params = {.max_tokens = n, .ignore_end = true};
    rr_status status = rr_session_generate(r->sessions[0], &params, &out, NULL, diag);
    rr_tokens_destroy(&out);
    return status;
}

static rr_status measure_prefill(bench_runner *r, uint32_t n, rr_diag *diag) {
    const rr_model *model = rr_engine_model(r->engine);
    const uint32_t chunk = rr_engine_plan(r->engine)->compute.limits.prompt_chunk;
    rr_bench_point *point = rr_bench_add(r->bench, RR_BENCH_PREFILL);
    point->prompt = n;
    point->rows = 1;
    point->tokens = n;
    point->bytes = rr_bench_pass_bytes(model) * ((n + chunk - 1) / chunk);
    point->flops = rr_bench_pass_flops(model, n, 0, 1);
    if (!fits(r, point, n)) {
        return RR_OK;
    }
    RR_TRY(warm_prefill(r, n, diag));
    for (begin_point(r); !enough(r, point);) {
        double begin = now_ns();
        RR_TRY(sync(r, r->sessions[0], n, true, diag));
        keep(point, begin);
    }
    rr_bench_sort(point);
    r->prompt_token_ns = rr_bench_least_ns(point) / n;
    return RR_OK;
}

static rr_status measure_decode(bench_runner *r, uint32_t depth, rr_diag *diag) {
    const rr_model *model = rr_engine_model(r->engine);
    const uint32_t gen = r->bench->plan.gen;
    rr_bench_point *point = rr_bench_add(r->bench, RR_BENCH_DECODE);
    point->prompt = depth;
    point->gen = gen;
    point->rows = 1;
    point->tokens = gen;
    point->bytes = rr_bench_pass_bytes(model) * gen;
    point->flops = rr_bench_pass_flops(model, gen, depth, gen);
    /* the last token of a round is never fed back */
    if (!fits(r, point, depth + gen)) {
        return RR_OK;
    }
    RR_TRY(sync(r, r->sessions[0], depth, false, diag));
    RR_TRY(generate(r, WARM_TOKENS, diag));
    for (begin_point(r); !enough(r, point);) {
        /* all but the last token is still there */
        RR_TRY(sync(r, r->sessions[0], depth, false, diag));
        double begin = now_ns();
        RR_TRY(generate(r, gen + 1, diag)); /* the first one was found by the sync */
        keep(point, begin);
    }
    rr_bench_sort(point);
    return RR_OK;
}

static rr_status decode_passes(bench_runner *r, uint32_t rows, uint32_t n, rr_diag *diag) {
    for (uint32_t i = 0; i < n; i++) {
        int32_t next[RR_DECODE_ROWS];
        for (uint32_t s = 0; s < rows; s++) {
            next[s] = r->tokens[(i * rows + s) % r->n_context];
        }
        RR_TRY(rr_engine_decode(r->engine, r->sessions, next, rows, diag));
    }
    return RR_OK;
}

static rr_status measure_batch(bench_runner *r, uint32_t rows, rr_diag *diag) {
    const rr_bench_plan *plan = &r->bench->plan;
    rr_bench_point *point = rr_bench_add(r->bench, RR_BENCH_BATCH);
    point->prompt = plan->batch_depth;
    point->gen = plan->batch_gen;
    point->rows = rows;
    if (rows > r->n_sessions) {
        snprintf(point->note, sizeof point->note,
            "skipped: the device's memory does not hold %u sessions of %u tokens", rows,
            plan->batch_depth + plan->batch_gen * plan->rounds + WARM_PASSES);
        return RR_OK;
    }
    const rr_model *model = rr_engine_model(r->engine);
    point->tokens = (double)rows * plan->batch_gen;
    point->bytes = rr_bench_pass_bytes(model) * plan->batch_gen;
    point->flops =
        rr_bench_pass_flops(model, plan->batch_gen, plan->batch_depth, plan->batch_gen) * rows;
    for (uint32_t s = 0; s < rows; s++) {
        RR_TRY(sync(r, r->sessions[s], plan->batch_depth, false, diag));
    }
    RR_TRY(decode_passes(r, rows, rows == 1 ? WARM_PASSES : 1, diag));
    for (begin_point(r); !enough(r, point);) {
        double begin = now_ns();
        RR_TRY(decode_passes(r, rows, plan->batch_gen, diag));
        keep(point, begin);
    }
    rr_bench_sort(point);
    return RR_OK;
}

static rr_status measure_window(bench_runner *r, rr_diag *diag) {
    const rr_bench_plan *plan = &r->bench->plan;
    const rr_model *model = rr_engine_model(r->engine);
    const uint32_t prompt = plan->window_prompt, answer = plan->window_answer;
    const uint32_t chunk = rr_engine_plan(r->engine)->compute.limits.prompt_chunk;
    rr_bench_point *point = rr_bench_add(r->bench, RR_BENCH_WINDOW);
    point->prompt = prompt;
    point->gen = answer;
    point->rows = 1;
    point->tokens = prompt + answer;
    point->bytes = rr_bench_pass_bytes(model) * ((prompt + chunk - 1) / chunk + answer);
    point->flops = rr_bench_pass_flops(model, prompt, 0, 1) +
        rr_bench_pass_flops(model, answer, prompt, answer);
    snprintf(point->note, sizeof point->note, "%u passages", plan->window_passages);
    if (!fits(r, point, prompt + answer)) {
        return RR_OK;
    }
    RR_TRY(warm_prefill(r, prompt, diag));
    RR_TRY(generate(r, WARM_TOKENS, diag));
    for (begin_point(r); !enough(r, point);) {
        double begin = now_ns();
        RR_TRY(sync(r, r->sessions[0], prompt, true, diag));
        RR_TRY(generate(r, answer, diag));
        keep(point, begin);
    }
    rr_bench_sort(point);
    return RR_OK;
}

static void keep_kernels(bench_runner *r, rr_bench_kind kind) {
    rr_bench *bench = r->bench;
    size_t n;
    const rr_profile_row *rows = rr_engine_profile_rows(r->engine, &n);
    for (size_t i = 0; i < n && bench->n_kernels < RR_BENCH_KERNELS; i++) {
        bench->kernels[bench->n_kernels].kind = kind;
        bench->kernels[bench->n_kernels++].row = rows[i];
    }
}

/* One prompt, then tokens behind it, each dispatch timed. */
static rr_status profile(bench_runner *r, rr_diag *diag) {
    const rr_bench_plan *plan = &r->bench->plan;
    const uint32_t prompt = plan->prompts.n > 0 ? plan->prompts.items[0] : plan->depths.items[0];
    if (prompt + plan->gen > r->n_context) {
        return RR_OK;
    }
    RR_TRY(warm_prefill(r, prompt, diag));
    RR_TRY(generate(r, plan->gen < 4 ? plan->gen : 4, diag));
    RR_TRY(rr_engine_profile(r->engine, true, diag));
    RR_TRY(sync(r, r->sessions[0], prompt, true, diag));
    keep_kernels(r, RR_BENCH_PREFILL);
    RR_TRY(rr_engine_profile(r->engine, true, diag));
    RR_TRY(generate(r, plan->gen + 1, diag));
    keep_kernels(r, RR_BENCH_DECODE);
    return rr_engine_profile(r->engine, false, diag);
}

/* The most tokens of context below `limit` that a point of one session needs, at least 16; 0 when
 * there is none below. */
static uint32_t context_below(const rr_bench_plan *plan, uint32_t limit) {
    uint32_t needs[2 * RR_BENCH_LIST + 1], most = 0;
    size_t n = 0;
    for (size_t i = 0; i < plan->prompts.n; i++) { /* the profile generates behind the first */
        needs[n++] = plan->prompts.items[i] + (plan->kernels && i == 0 ? plan->gen : 0);
    }
    for (size_t i = 0; i < plan->depths.n; i++) {
        needs[n++] = plan->depths.items[i] + plan->gen;
    }
    needs[n++] = plan->window_prompt + plan->window_answer;
    for (size_t i = 0; i < n; i++) {
        uint32_t need = needs[i] < 16 ? 16 : needs[i];
        most = need < limit && need > most ? need : most;
    }
    return most;
}

/* The largest context that any point needs and that the model and the device's memory hold. A
 * smaller one leaves points out, which say so; the smallest one of all is tried whatever the plan
 * says. */
static rr_status choose_context(
    const bench_runner *r, const rr_engine_params *params, uint32_t *out, rr_diag *diag) {
    const rr_bench_plan *plan = &r->bench->plan;
    rr_model *model = NULL;
    rr_engine_params sized = *params;
    rr_memory_plan memory;
    RR_TRY(rr_compute_open_model(&params->compute, &model, diag));
    uint32_t most = context_below(plan, UINT32_MAX);
    sized.compute.n_context = most < model->config.n_context ? most : model->config.n_context;
    sized.n_sessions = 1;
    while (rr_memory_plan_make(model, &r->bench->device, &sized, &memory, NULL) == RR_E_MEMORY) {
        uint32_t next = context_below(plan, sized.compute.n_context);
        if (next == 0) {
            break;
        }
        sized.compute.n_context = next;
    }
    rr_model_close(&model);
    *out = sized.compute.n_context;
    return RR_OK;
}

static rr_status measure_single(bench_runner *r, const rr_engine_params *params, rr_diag *diag) {
    const rr_bench_plan *plan = &r->bench->plan;
    if (plan->prompts.n + plan->depths.n + plan->window_prompt == 0) {
        return RR_OK;
    }
    uint32_t n_context = params->compute.n_context;
    if (n_context == 0) {
        RR_TRY(choose_context(r, params, &n_context, diag));
    }
    RR_TRY(open_runner(r, params, 1, n_context, diag));
    for (size_t i = 0; i < plan->prompts.n; i++) {
        RR_TRY(measure_prefill(r, plan->prompts.items[i], diag));
    }
    for (size_t i = 0; i < plan->depths.n; i++) {
        RR_TRY(measure_decode(r, plan->depths.items[i], diag));
    }
    if (plan->window_prompt > 0) {
        RR_TRY(measure_window(r, diag));
    }
    return plan->kernels ? profile(r, diag) : RR_OK;
}

/* The largest of the counts whose sessions fit the device's memory, 0 when none does. */
static rr_status choose_sessions(const bench_runner *r, const rr_engine_params *params,
    uint32_t n_context, uint32_t *out, rr_diag *diag) {
    const rr_bench_list *batches = &r->bench->plan.batches;
    rr_model *model = NULL;
    rr_engine_params sized = *params;
    rr_memory_plan memory;
    RR_TRY(rr_compute_open_model(&params->compute, &model, diag));
    sized.compute.n_context = n_context;
    *out = 0;
    for (size_t i = 0; i < batches->n; i++) {
        sized.n_sessions = batches->items[i];
        if (sized.n_sessions > *out &&
            rr_memory_plan_make(model, &r->bench->device, &sized, &memory, NULL) != RR_E_MEMORY) {
            *out = sized.n_sessions;
        }
    }
    rr_model_close(&model);
    return RR_OK;
}

static rr_status measure_batches(bench_runner *r, const rr_engine_params *params, rr_diag *diag) {
    const rr_bench_plan *plan = &r->bench->plan;
    if (plan->batches.n == 0) {
        return RR_OK;
    }
    uint32_t n_context = plan->batch_depth + plan->batch_gen * plan->rounds + WARM_PASSES,
             n_sessions;
    n_context = n_context < 16 ? 16 : n_context;
    RR_TRY(choose_sessions(r, params, n_context, &n_sessions, diag));
    if (n_sessions > 0) {
        RR_TRY(open_runner(r, params, n_sessions, n_context, diag));
    }
    for (size_t i = 0; i < plan->batches.n; i++) {
        RR_TRY(measure_batch(r, plan->batches.items[i], diag));
    }
    return RR_OK;
}

/* A prompt that is read: attention of its last tokens in all layers, hidden states behind the
 * last. */
static rr_status walk_reading(bench_runner *r, uint32_t n, rr_diag *diag) {
    enum { ROWS = 3 };
    const rr_model_config *c = &rr_engine_model(r->engine)->config;
    const uint32_t rows[ROWS] = {n - 9, n - 2, n - 1};
    const rr_token_span span = {1, n / 2};
    const size_t n_mass = (size_t)c->n_layers * ROWS * c->n_heads;
    float *memory = calloc(2 * n_mass + n + ROWS * (size_t)c->d_model, sizeof *memory);
    if (memory == NULL) {
        return rr_fail(diag, RR_E_MEMORY, "out of memory");
    }
    const rr_reading reading = {.rows = rows,
        .n_rows = ROWS,
        .spans = &span,
        .n_spans = 1,
        .end_layer = c->n_layers,
        .mass = memory,
        .factors = memory + n_mass,
        .drawn = memory + 2 * n_mass,
        .states = rows,
        .n_states = ROWS,
        .state_layers = &c->n_layers,
        .n_state_layers = 1,
        .hidden = memory + 2 * n_mass + n};
    const rr_status status = rr_session_read(r->sessions[0], r->tokens, n, &reading, diag);
    free(memory);
    return status;
}

/* One small pass of each kind: a prompt of a whole chunk and a ragged one, decode passes over 1 to
 * 32 rows, which take every tile, and a prompt that is read. No weight is read and no value is
 * looked at. */
static rr_status walk(bench_runner *r, const rr_engine_params *params, rr_diag *diag) {
    const uint32_t chunk = r->bench->memory.compute.limits.prompt_chunk;
    rr_engine_params empty = *params;
    empty.compute.no_weights = true;
    empty.compute.readings = true;
    RR_TRY(open_runner(r, &empty, RR_DECODE_ROWS, chunk + 16, diag));
    RR_TRY(sync(r, r->sessions[0], chunk + 9, false, diag));
    for (uint32_t rows = 1; rows <= RR_DECODE_ROWS; rows *= 2) {
        RR_TRY(decode_passes(r, rows, 1, diag));
    }
    return walk_reading(r, chunk + 9, diag);
}

rr_status rr_bench_points(rr_bench *bench, const rr_engine_params *params, rr_diag *diag) {
    bench_runner single = {.bench = bench}, many = {.bench = bench};
    if (bench->plan.dry) {
        rr_status status = walk(&single, params, diag);
        close_runner(&single);
        return status;
    }
    rr_status status = measure_single(&single, params, diag);
    close_runner(&single);
    if (status == RR_OK) {
        status = measure_batches(&many, params, diag);
        close_runner(&many);
    }
    return status;
}
