/* Passes without an engine: rows over a KV page of the caller's have the bits that a session of an
 * engine gets; a pass that is late or cancelled says so; the kernels that a model is said to use
 * are those that a load prepares. */
#include <unistd.h>

#include "runtime/base/thread.h"
#include "runtime/compute/kernel_list.h"
#include "tests/engine/small.h"

enum { N_VOCAB = 400, N_PROMPT = 40, N_ALL = N_PROMPT + 2 };

static char model_path[256];
static const char *graph;
static int32_t tokens[N_ALL];

static rr_compute_params params_of(void) {
    return (rr_compute_params){.model_path = model_path,
        .n_context = 64,
        .prompt_chunk = 64,
        .graph = graph,
        .lift = true,
        .validation = getenv("REARANK_TEST_VALIDATION") != NULL};
}

/* One page, and the table that names it. */
typedef struct cache {
    rr_vk_buffer page, table;
} cache;

static void cache_create(rr_compute *compute, cache *out) {
    rr_diag diag = {0};
    const uint64_t bytes = rr_kv_bytes_per_token(&compute->model->config) * RR_KV_PAGE;
    rr_vk_device *device = compute->device;
    *out = (cache){0};
    CHECK_OK(
        rr_vk_buffer_create(device, RR_VK_MEMORY_DEVICE, bytes, "page", &out->page, &diag), diag);
    CHECK_OK(
        rr_vk_buffer_create(device, RR_VK_MEMORY_DEVICE, 8, "table", &out->table, &diag), diag);
    CHECK_OK(rr_vk_upload(device, &out->table, 0, &out->page.address, 8, &diag), diag);
}

static void cache_destroy(rr_compute *compute, cache *c) {
    rr_vk_buffer_destroy(compute->device, &c->page);
    rr_vk_buffer_destroy(compute->device, &c->table);
}

/* The pass over tokens [begin, end), with the head of the last. */
static rr_pass pass_over(
    rr_compute *compute, const cache *c, rr_family family, uint32_t begin, uint32_t end) {
    rr_row *rows = compute->rows.mapped;
    for (uint32_t i = begin; i < end; i++) {
        rows[i - begin] = (rr_row){.token = (uint32_t)tokens[i],
            .position = i,
            .page = c->page.address,
            .pages = c->table.address};
    }
    rr_pass pass = {.head_first = end - begin - 1,
        .head_rows = 1,
        .head_family = RR_DECODE,
        .read_logits = true};
    pass.n_rows[family] = end - begin;
    pass.n_keys[family] = end;
    return pass;
}

/* The logits behind the prompt and behind each of the tokens that follow it. */
static void run_alone(rr_compute *compute, float *out) {
    rr_diag diag = {0};
    cache c;
    cache_create(compute, &c);
    for (uint32_t end = N_PROMPT; end <= N_ALL; end++) {
        const bool is_prompt = end == N_PROMPT;
        const rr_pass pass = pass_over(
            compute, &c, is_prompt ? RR_PREFILL : RR_DECODE, is_prompt ? 0 : end - 1, end);
        CHECK_OK(rr_pass_run(compute, &pass, &diag), diag);
        memcpy(out + (end - N_PROMPT) * N_VOCAB, rr_pass_logits(compute, 0), N_VOCAB * sizeof *out);
        CHECK(rr_pass_best(compute, 0) >= 0 && rr_pass_best(compute, 0) < N_VOCAB);
    }
    const atomic_bool cancelled = true;
    rr_pass ended = pass_over(compute, &c, RR_PREFILL, 0, N_PROMPT);
    ended.deadline_ns = 1;
    CHECK_INT(rr_pass_run(compute, &ended, &diag), RR_E_DEADLINE);
    ended.cancelled = &cancelled;
    CHECK_INT(rr_pass_run(compute, &ended, &diag), RR_E_CANCELLED);
    cache_destroy(compute, &c);
}

static void run_engine(float *out) {
    rr_diag diag = {0};
    const rr_engine_params params = {.compute = params_of()};
    rr_engine *engine = small_open(&params);
    rr_session *session = NULL;
    const float *logits = NULL;
    CHECK_OK(rr_session_create(engine, &session, &diag), diag);
    CHECK_OK(rr_session_sync(session, tokens, N_PROMPT, &diag), diag);
    for (int i = 0; i <= N_ALL - N_PROMPT; i++) {
        CHECK_OK(rr_session_logits(session, &logits, &diag), diag);
        memcpy(out + i * N_VOCAB, logits, N_VOCAB * sizeof *out);
        if (N_PROMPT + i < N_ALL) {
            CHECK_OK(rr_engine_decode(engine, &session, &tokens[N_PROMPT + i], 1, &diag), diag);
        }
    }
    rr_session_destroy(&session);
    small_close(&engine);
}

static rr_status is_prepared(void *user, rr_op op, const rr_kern_key *key, rr_diag *diag) {
    const rr_compute *compute = user;
    uint32_t tile;
    const rr_variant *variant = rr_pick(op, key, rr_vk_info(compute->device));
    return rr_kern_kernel(compute->kern, op, key, variant, 0, &tile) != NULL
        ? RR_OK
        : rr_fail(diag, RR_E_INTERNAL, "%s is not prepared", rr_op_name(op));
}

static rr_status stop(void *user, rr_op op, const rr_kern_key *key, rr_diag *diag) {
    (void)op;
    (void)key;
    ++*(int *)user;
    return rr_fail(diag, RR_E_CANCELLED, "no more");
}

/* Readings' kernels are listed, too, so the load has them. */
static void test_kernel_list(void) {
    rr_diag diag = {0};
    rr_compute_params params = params_of();
    params.graph = NULL;
    params.readings = true;
    rr_compute *compute = NULL;
    CHECK_OK(rr_compute_open(&params, &compute, &diag), diag);
    CHECK_OK(rr_compute_load(compute, &params, &diag), diag);
    const rr_device_info *info = rr_vk_info(compute->device);
    const rr_kern_use use = {.fn = is_prepared, .user = compute};
    CHECK_OK(rr_kernel_list(compute->model, info, false, &use, &diag), diag);
    int n = 0;
    CHECK_INT(
        rr_kernel_list(compute->model, info, true, &(rr_kern_use){.fn = stop, .user = &n}, &diag),
        RR_E_CANCELLED);
    CHECK_INT(n, 1);
    rr_compute_close(&compute);
}

static void test_graph(void) {
    static float alone[(N_ALL - N_PROMPT + 1) * N_VOCAB], shared[(N_ALL - N_PROMPT + 1) * N_VOCAB];
    rr_diag diag = {0};
    const rr_compute_params params = params_of();
    rr_compute *compute = NULL;
    CHECK_OK(rr_compute_open(&params, &compute, &diag), diag);
    CHECK_OK(rr_compute_load(compute, &params, &diag), diag);
    run_alone(compute, alone);
    CHECK_INT(rr_vk_n_validation_messages(compute->instance), 0);
    rr_compute_close(&compute);
    CHECK(compute == NULL);
    run_engine(shared);
    CHECK_MSG(memcmp(alone, shared, sizeof alone) == 0,
        "%s: a pass has other logits than a session", graph);
}

int main(void) {
    CHECK_INT(small_model.n_vocab, N_VOCAB);
    rr_synth_file(&small_model, model_path, sizeof model_path);
    for (int i = 0; i < N_ALL; i++) {
        tokens[i] = (i * 37 + 5) % 280;
    }
    small_on_graphs(model_path, &graph, test_graph);
    test_kernel_list();
    unlink(model_path);
    return CHECK_END();
}
