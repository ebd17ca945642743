/* Timing: each op on shapes of real models; device time by timestamps, else host time around a
 * submit. A line an op and shape: median and least time, bytes and flops a second, and the share of
 * what a plain copy reaches. */
#include "tests/checkgpu/internal.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "runtime/base/thread.h"
#include "shaders/argmax.h"
#include "shaders/attention.h"
#include "shaders/attention_mass.h"
#include "shaders/embed.h"
#include "shaders/lanes_attention.h"
#include "shaders/lanes_embed.h"
#include "shaders/matmul.h"
#include "shaders/matmul_q8.h"
#include "shaders/rmsnorm.h"
#include "shaders/rmsnorm_q8.h"
#include "shaders/rope.h"
#include "shaders/swiglu.h"
#include "shaders/token_mass.h"

enum { REPEATS = 9, COPY_BYTES = 32 << 20 };
static const double BATCH_NS = 3e6; /* dispatches of one measurement take about this long */

/* The bytes a dispatch must at least move and the operations it must do. */
typedef struct work {
    double bytes, flops;
} work;

static int by_value(const void *a, const void *b) {
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

/* Time of `n` dispatches one after another in ns; push == NULL measures copies between the slots W
 * and Y instead. */
static rr_status measure(
    rr_cg *cg, const rr_kern_key *key, const void *push, uint32_t n, double *out, rr_diag *diag) {
    RR_TRY(rr_vk_begin(cg->commands, diag));
    rr_vk_timestamp(cg->commands, 0);
    for (uint32_t i = 0; i < n; i++) {
        if (push == NULL) {
            rr_vk_copy(cg->commands, &cg->slots[RR_CG_W].device, 0, &cg->slots[RR_CG_Y].device, 0,
                COPY_BYTES);
        } else {
            rr_kern_record(cg->kern, cg->commands, cg->variant->op, key, cg->variant, push);
        }
        rr_vk_barrier(cg->commands);
    }
    rr_vk_timestamp(cg->commands, 1);
    uint64_t begin = rr_time_ns();
    RR_TRY(rr_vk_submit(cg->commands, diag));
    RR_TRY(rr_vk_wait(cg->commands, 0, diag));
    uint64_t host = rr_time_ns() - begin, device = rr_vk_elapsed_ns(cg->commands, 0, 1);
    *out = (double)(device != 0 ? device : host);
    return RR_OK;
}

/* times[REPEATS] of one dispatch in ns, ascending. */
static rr_status time_op(
    rr_cg *cg, const rr_kern_key *key, const void *push, double *times, rr_diag *diag) {
    double once;
    RR_TRY(measure(cg, key, push, 1, &once, diag)); /* first use pays for lazy work of the driver */
    RR_TRY(measure(cg, key, push, 1, &once, diag));
    uint32_t n = once >= BATCH_NS ? 1 : (uint32_t)fmin(BATCH_NS / fmax(once, 1000) + 1, 1000);
    for (int i = 0; i < REPEATS; i++) {
        RR_TRY(measure(cg, key, push, n, &times[i], diag));
        times[i] /= n;
    }
    qsort(times, REPEATS, sizeof *times, by_value);
    return RR_OK;
}

rr_status rr_cg_report(rr_cg *cg, const rr_kern_key *key, const void *push, double bytes,
    double flops, rr_diag *diag) {
    double times[REPEATS];
    RR_TRY(rr_kern_prepare(cg->kern, cg->variant->op, key, cg->variant, diag));
    RR_TRY(time_op(cg, key, push, times, diag));
    double median = times[REPEATS / 2];
    rr_cg_line(cg,
        "%-23s %-8s %-34s %10.1f us median %10.1f us min %8.2f GB/s %4.0f%% of copy %9.2f GFLOP/s",
        rr_op_name(cg->variant->op), cg->variant->name, cg->label, median / 1000, times[0] / 1000,
        bytes / median, 100 * bytes / median / cg->copy_gbs, flops / median);
    cg->result->n_cases++;
    return RR_OK;
}

static rr_status report(
    rr_cg *cg, const rr_kern_key *key, const void *push, work done, rr_diag *diag) {
    return rr_cg_report(cg, key, push, done.bytes, done.flops, diag);
}

/* What a copy reaches counts a byte read and a byte written. Measured once a device. */
static rr_status measure_copy(rr_cg *cg, rr_diag *diag) {
    double times[REPEATS];
    if (cg->copy_gbs != 0) {
        return RR_OK;
    }
    rr_cg_begin(cg, "copy");
    if (rr_cg_buffer(cg, RR_CG_W, RR_CG_IN, COPY_BYTES) == NULL ||
        rr_cg_buffer(cg, RR_CG_Y, RR_CG_OUT, COPY_BYTES) == NULL) {
        return rr_cg_no_memory(cg, diag);
    }
    RR_TRY(rr_cg_upload(cg, NULL, diag));
    RR_TRY(time_op(cg, NULL, NULL, times, diag));
    cg->copy_gbs = 2.0 * COPY_BYTES / times[0];
    rr_cg_line(cg, "copy of %d MiB: %.2f GB/s read and written", COPY_BYTES >> 20, cg->copy_gbs);
    return RR_OK;
}

/* Slots X and Y of a case, in floats (0 = not used), and what the caller filled before: uploaded. */
static rr_status upload(rr_cg *cg, size_t x, size_t y, rr_diag *diag) {
    if (x != 0) {
        RR_TRY(rr_cg_floats_buffer(cg, RR_CG_X, RR_CG_IN, 1, x, NULL, diag));
    }
    if (y != 0) {
        RR_TRY(rr_cg_floats_buffer(cg, RR_CG_Y, RR_CG_IN, 1, y, NULL, diag));
    }
    return rr_cg_upload(cg, NULL, diag);
}

rr_status rr_cg_bench_cache(
    rr_cg *cg, uint32_t n_kv_heads, uint32_t head_size, uint32_t n_context, rr_diag *diag) {
    const rr_cg_cache shape = {.n_sessions = 1,
        .n_layers = 1,
        .n_kv_heads = n_kv_heads,
        .head_size = head_size,
        .n_context = n_context};
    if (!rr_cg_cache_make(cg, &shape)) {
        return rr_cg_no_memory(cg, diag);
    }
    memset(cg->slots[RR_CG_KV].host, 0, cg->slots[RR_CG_KV].bytes);
    return RR_OK;
}

rr_status rr_cg_bench_rows(rr_cg *cg, uint32_t n, uint32_t first, uint32_t n_vocab, rr_diag *diag) {
    rr_row *rows = rr_cg_buffer(cg, RR_CG_ROWS, RR_CG_IN, n * sizeof *rows);
    if (rows == NULL) {
        return rr_cg_no_memory(cg, diag);
    }
    const bool cache = cg->slots[RR_CG_KV].role != RR_CG_UNUSED;
    if (cache) {
        rr_cg_cache_link(cg);
    }
    for (uint32_t r = 0; r < n; r++) {
        rows[r] = cache ? rr_cg_cache_row(cg, 0, first + r) : (rr_row){.position = first + r};
        rows[r].token = (uint32_t)(rr_cg_random(cg) % n_vocab);
    }
    return rr_cg_upload(cg, NULL, diag);
}

static rr_status bench_matmul(
    rr_cg *cg, rr_qtype format, uint32_t n_out, uint32_t cols, uint32_t n_tokens, rr_diag *diag) {
    rr_planes planes;
    rr_cg_begin(
        cg, "%s %ux%u tokens %u", rr_qtype_get((uint32_t)format)->name, n_out, cols, n_tokens);
    RR_TRY(rr_cg_matrix(cg, format, n_out, cols, &planes, diag));
    size_t x = (size_t)cols * n_tokens, y = (size_t)n_out * n_tokens;
    RR_TRY(upload(cg, x, y, diag));
    uint64_t w = rr_cg_address(cg, RR_CG_W);
    rr_push_matmul push = {RR_PUSH_PLANES(w, planes), .x = rr_cg_address(cg, RR_CG_X),
        .y = rr_cg_address(cg, RR_CG_Y), .n_out = n_out, .cols = cols, .n_tokens = n_tokens,
        .x_stride = cols, .y_stride = n_out};
    work done = {(double)planes.bytes + 4.0 * (double)(x + y), 2.0 * n_out * cols * n_tokens};
    return report(cg, &(rr_kern_key){.format = format}, &push, done, diag);
}

/* The int8 products with the end that their matrix has in a layer; gate and up are stacked. */
static rr_status bench_matmul_q8(rr_cg *cg, rr_qtype format, uint32_t n_out, uint32_t cols,
    uint32_t n_tokens, bool swiglu, rr_diag *diag) {
    rr_planes planes;
    rr_kern_key key = {.format = format, .end = swiglu ? RR_END_SWIGLU : RR_END_F32};
    if (!rr_kern_fits(cg->variant, &key, rr_vk_info(cg->device))) {
        return RR_OK;
    }
    rr_cg_begin(cg, "%s %ux%u tokens %u%s", rr_qtype_get((uint32_t)format)->name, n_out, cols,
        n_tokens, swiglu ? " swiglu" : "");
    RR_TRY(rr_cg_matrix(cg, format, n_out, cols, &planes, diag));
    size_t n = (size_t)cols * n_tokens, y = (size_t)n_out * n_tokens * sizeof(float);
    int8_t *values = rr_cg_buffer(cg, RR_CG_X, RR_CG_IN, n);
    rr_q8_group *groups =
        rr_cg_buffer(cg, RR_CG_X_GROUPS, RR_CG_IN, n / RR_Q8_GROUP * sizeof *groups);
    void *out = rr_cg_buffer(cg, RR_CG_Y, RR_CG_OUT, y),
         *out_groups = rr_cg_buffer(cg, RR_CG_Y_GROUPS, RR_CG_OUT, y / 16);
    float *x = malloc(n * sizeof *x);
    bool held = values != NULL && groups != NULL && out != NULL && out_groups != NULL && x != NULL;
    if (held) {
        rr_cg_normals(cg, 1, x, n);
        rr_ref_quantize_q8(x, n_tokens, cols, values, groups);
    }
    free(x);
    if (!held) {
        return rr_cg_no_memory(cg, diag);
    }
    RR_TRY(rr_cg_upload(cg, NULL, diag));
    uint64_t w = rr_cg_address(cg, RR_CG_W);
    rr_push_matmul_q8 push = {RR_PUSH_PLANES(w, planes), .x = rr_cg_address(cg, RR_CG_X),
        .x_groups = rr_cg_address(cg, RR_CG_X_GROUPS), .y = rr_cg_address(cg, RR_CG_Y),
        .extra = swiglu ? rr_cg_address(cg, RR_CG_Y_GROUPS) : 0, .n_out = n_out, .cols = cols,
        .n_tokens = n_tokens, .y_stride = n_out, .gap = n_out / 2};
    double moved =
        (double)planes.bytes + 1.25 * (double)n + (swiglu ? 1.25 * (double)y / 8 : (double)y);
    return report(cg, &key, &push, (work){moved, 2.0 * n_out * cols * n_tokens}, diag);
}

static rr_status bench_matmuls(rr_cg *cg, bool big, rr_diag *diag) {
    static const struct {
        uint32_t n_out, cols;
        rr_qtype format;
        bool big;
    } shapes[] = {{896, 896, RR_Q_Q5_0, false}, {9728, 896, RR_Q_Q5_0, false},
        {896, 4864, RR_Q_Q4_K, false}, {896, 4864, RR_Q_Q6_K, false},
        {151936, 896, RR_Q_Q8_0, false}, {4608, 3584, RR_Q_Q4_K, true},
        {37888, 3584, RR_Q_Q4_K, true}, {3584, 18944, RR_Q_Q4_K, true},
        {3584, 18944, RR_Q_Q6_K, true}, {152064, 3584, RR_Q_Q6_K, true}};
    bool q8 =
        cg->variant->op == RR_OP_matmul_q8_prefill || cg->variant->op == RR_OP_matmul_q8_decode;
    bool prefill =
        cg->variant->op == RR_OP_matmul_prefill || cg->variant->op == RR_OP_matmul_q8_prefill;
    const uint32_t counts[2] = {prefill ? 64 : 1, prefill ? 512 : 8};
    for (size_t s = 0; s < sizeof shapes / sizeof shapes[0]; s++) {
        for (int i = 0; i < 2; i++) {
            bool heavy = (prefill && (i == 1 || shapes[s].n_out > 100000)) || shapes[s].big;
            if (heavy && !big) {
                continue;
            }
            if (q8) {
                bool swiglu = shapes[s].n_out == 9728 || shapes[s].n_out == 37888;
                RR_TRY(bench_matmul_q8(cg, shapes[s].format, shapes[s].n_out, shapes[s].cols,
                    counts[i], swiglu, diag));
            } else {
                RR_TRY(bench_matmul(
                    cg, shapes[s].format, shapes[s].n_out, shapes[s].cols, counts[i], diag));
            }
        }
    }
    return RR_OK;
}

static rr_status bench_attention(rr_cg *cg, uint32_t n_heads, uint32_t n_kv_heads,
    uint32_t head_size, uint32_t n_rows, uint32_t n_keys, rr_diag *diag) {
    size_t width = (size_t)n_heads * head_size,
           cache = (size_t)2 * n_kv_heads * n_keys * head_size * 2;
    rr_cg_begin(
        cg, "heads %u/%u of %u, rows %u, keys %u", n_heads, n_kv_heads, head_size, n_rows, n_keys);
    RR_TRY(rr_cg_bench_cache(cg, n_kv_heads, head_size, n_keys, diag));
    RR_TRY(upload(cg, n_rows * width, n_rows * width, diag));
    size_t scratch_bytes =
        RR_ATTENTION_SCRATCH((size_t)n_rows, n_heads, n_kv_heads, head_size, n_keys) *
        sizeof(uint32_t);
    /* zeros, as its counters begin */
    if (rr_cg_buffer(cg, RR_CG_SCRATCH, RR_CG_IN, scratch_bytes) == NULL) {
        return rr_cg_no_memory(cg, diag);
    }
    RR_TRY(rr_cg_bench_rows(cg, n_rows, n_keys - n_rows, 1, diag));
    rr_push_attention push = {.scratch = rr_cg_address(cg, RR_CG_SCRATCH),
        .n_keys = n_keys,
        .q = rr_cg_address(cg, RR_CG_X),
        .y = rr_cg_address(cg, RR_CG_Y),
        .rows = rr_cg_address(cg, RR_CG_ROWS),
        .n_rows = n_rows,
        .n_heads = n_heads,
        .n_kv_heads = n_kv_heads,
        .q_stride = (uint32_t)width,
        .scale = 1 / sqrtf((float)head_size)};
    rr_push_lanes_attention lanes_push = {.q = push.q,
        .codes = push.y,
        .groups = push.y + n_rows * width * sizeof(int16_t),
        .rows = push.rows,
        .n_rows = n_rows,
        .n_heads = n_heads,
        .n_kv_heads = n_kv_heads,
        .q_stride = (uint32_t)width,
        .scale = push.scale};
    bool lanes = cg->variant->op == RR_OP_lanes_attention_prefill ||
        cg->variant->op == RR_OP_lanes_attention_decode;
    double keys = n_keys - (n_rows - 1) / 2.0; /* a row, on average */
    work done = {(double)cache + (lanes ? 6.25 : 8.0) * (double)n_rows * (double)width,
        4.0 * n_rows * (double)width * keys};
    return report(cg, &(rr_kern_key){.head_size = head_size},
        lanes ? (const void *)&lanes_push : &push, done, diag);
}

static rr_status bench_attentions(rr_cg *cg, bool big, rr_diag *diag) {
    /* the last rows of a context: of 0.5B models, of 7B models */
    static const uint32_t contexts[] = {2048, 8192, 32768};
    bool prefill = cg->variant->op == RR_OP_attention_prefill ||
        cg->variant->op == RR_OP_lanes_attention_prefill;
    for (size_t i = 0; i < sizeof contexts / sizeof contexts[0]; i++) {
        for (int many = 0; many < 2; many++) {
            uint32_t rows = prefill ? (many ? 256 : 64) : (many ? 8 : 1);
            if (big || (!many && !(prefill && contexts[i] > 8192))) {
                RR_TRY(bench_attention(cg, 14, 2, 64, rows, contexts[i], diag));
            }
            if (big) {
                RR_TRY(bench_attention(cg, 28, 4, 128, rows, contexts[i], diag));
            }
        }
    }
    return RR_OK;
}

static work mass_work(
    uint32_t n_listed, uint32_t n_heads, uint32_t n_kv_heads, uint32_t head_size, double n_keys) {
    const double pairs = (double)n_listed * n_heads * n_keys;
    return (work){n_keys * n_kv_heads * head_size * 2 + 4 * pairs, 2 * pairs * head_size};
}

/* The rows that close a window's prompt: over all its keys, and 20 spans, as many as a window has
 * passages. */
static rr_status bench_attention_mass(rr_cg *cg, uint32_t n_heads, uint32_t n_kv_heads,
    uint32_t head_size, uint32_t n_listed, rr_diag *diag) {
    enum { N_KEYS = 2150, N_SPANS = 20 };
    const size_t width = (size_t)n_heads * head_size, n = (size_t)n_listed * n_heads;
    rr_cg_begin(cg, "heads %u/%u of %u, rows %u, keys %u, spans %u", n_heads, n_kv_heads, head_size,
        n_listed, N_KEYS, N_SPANS);
    RR_TRY(rr_cg_bench_cache(cg, n_kv_heads, head_size, N_KEYS, diag));
    uint32_t *list = rr_cg_buffer(cg, RR_CG_LIST, RR_CG_IN, n_listed * sizeof *list);
    uint32_t(*spans)[2] = rr_cg_buffer(cg, RR_CG_SPANS, RR_CG_IN, N_SPANS * sizeof *spans);
    if (list == NULL || spans == NULL ||
        rr_cg_buffer(cg, RR_CG_WEIGHTS, RR_CG_OUT, n * N_KEYS * sizeof(float)) == NULL ||
        rr_cg_buffer(cg, RR_CG_TOTALS, RR_CG_OUT, n * sizeof(float)) == NULL ||
        rr_cg_buffer(cg, RR_CG_MASS, RR_CG_OUT, n * N_SPANS * sizeof(float)) == NULL) {
        return rr_cg_no_memory(cg, diag);
    }
    for (uint32_t i = 0; i < n_listed; i++) {
        list[i] = i;
    }
    for (uint32_t s = 0; s < N_SPANS; s++) {
        spans[s][0] = 100 + 100 * s;
        spans[s][1] = 200 + 100 * s;
    }
    RR_TRY(upload(cg, n_listed * width, 0, diag));
    RR_TRY(rr_cg_bench_rows(cg, n_listed, N_KEYS - n_listed, 1, diag));
    const rr_push_attention_mass push = {.q = rr_cg_address(cg, RR_CG_X),
        .rows = rr_cg_address(cg, RR_CG_ROWS),
        .list = rr_cg_address(cg, RR_CG_LIST),
        .spans = rr_cg_address(cg, RR_CG_SPANS),
        .weights = rr_cg_address(cg, RR_CG_WEIGHTS),
        .totals = rr_cg_address(cg, RR_CG_TOTALS),
        .mass = rr_cg_address(cg, RR_CG_MASS),
        .n_listed = n_listed,
        .n_heads = n_heads,
        .n_kv_heads = n_kv_heads,
        .q_stride = (uint32_t)width,
        .w_stride = N_KEYS,
        .n_spans = N_SPANS,
        .n_keys = N_KEYS,
        .scale = 1 / sqrtf((float)head_size)};
    return report(cg, &(rr_kern_key){.head_size = head_size}, &push,
        mass_work(n_listed, n_heads, n_kv_heads, head_size, N_KEYS - (n_listed - 1) / 2.0), diag);
}

static rr_status bench_attention_masses(rr_cg *cg, bool big, rr_diag *diag) {
    static const uint32_t counts[] = {17, 64};
    for (size_t i = 0; i < sizeof counts / sizeof counts[0]; i++) {
        RR_TRY(bench_attention_mass(cg, 14, 2, 64, counts[i], diag));
        if (big) {
            RR_TRY(bench_attention_mass(cg, 28, 4, 128, counts[i], diag));
        }
    }
    return RR_OK;
}

static rr_status bench_token_mass(rr_cg *cg, uint32_t n_heads, uint32_t n_listed, rr_diag *diag) {
    enum { N_KEYS = 2150 };
    const size_t n = (size_t)n_listed * n_heads, y = (size_t)n_listed * N_KEYS;
    rr_cg_begin(cg, "heads %u, rows %u, keys %u", n_heads, n_listed, N_KEYS);
    RR_TRY(upload(cg, n * N_KEYS + 2 * n, y, diag));
    const uint64_t x = rr_cg_address(cg, RR_CG_X);
    const rr_push_token_mass push = {.weights = x,
        .totals = x + n * N_KEYS * sizeof(float),
        .factors = x + (n * N_KEYS + n) * sizeof(float),
        .y = rr_cg_address(cg, RR_CG_Y),
        .n_listed = n_listed,
        .n_heads = n_heads,
        .n_keys = N_KEYS,
        .w_stride = N_KEYS,
        .y_stride = N_KEYS};
    return report(cg, &(rr_kern_key){0}, &push,
        (work){4.0 * (double)(n * N_KEYS + y), 2.0 * (double)(n * N_KEYS)}, diag);
}

static rr_status bench_rope(rr_cg *cg, uint32_t n_heads, uint32_t n_kv_heads, uint32_t head_size,
    uint32_t n_rows, rr_diag *diag) {
    enum { CONTEXT = 1024 };
    size_t width = (size_t)(n_heads + 2 * n_kv_heads) * head_size;
    rr_cg_begin(cg, "heads %u/%u of %u, rows %u", n_heads, n_kv_heads, head_size, n_rows);
    float *table =
        rr_cg_buffer(cg, RR_CG_TABLE, RR_CG_IN, (size_t)CONTEXT * head_size * sizeof *table);
    if (table == NULL) {
        return rr_cg_no_memory(cg, diag);
    }
    rr_ref_rope_table(1e6f, head_size, CONTEXT, table);
    RR_TRY(rr_cg_bench_cache(cg, n_kv_heads, head_size, CONTEXT, diag));
    RR_TRY(upload(cg, 0, n_rows * width, diag));
    RR_TRY(rr_cg_bench_rows(cg, n_rows, 0, 1, diag));
    rr_push_rope push = {.qkv = rr_cg_address(cg, RR_CG_Y),
        .rows = rr_cg_address(cg, RR_CG_ROWS),
        .table = rr_cg_address(cg, RR_CG_TABLE),
        .n_rows = n_rows,
        .n_heads = n_heads,
        .n_kv_heads = n_kv_heads};
    double rotated = (double)n_rows * (n_heads + n_kv_heads) * head_size;
    work done = {(double)n_rows * (double)width * 4 +
            (double)n_rows * head_size * (4.0 * n_heads + 4.0 * n_kv_heads),
        3 * rotated};
    return report(cg, &(rr_kern_key){.head_size = head_size}, &push, done, diag);
}

static rr_status bench_embed(rr_cg *cg, uint32_t cols, uint32_t n_rows, rr_diag *diag) {
    enum { N_VOCAB = 2048 };
    rr_planes planes;
    rr_cg_begin(cg, "Q8_0 %ux%u rows %u", N_VOCAB, cols, n_rows);
    RR_TRY(rr_cg_matrix(cg, RR_Q_Q8_0, N_VOCAB, cols, &planes, diag));
    size_t n = (size_t)n_rows * cols;
    if (cg->variant->op == RR_OP_lanes_embed &&
        (rr_cg_buffer(cg, RR_CG_NORM, RR_CG_IN, cols * sizeof(float)) == NULL ||
            rr_cg_buffer(cg, RR_CG_OUT_CODES, RR_CG_OUT, n * sizeof(int16_t)) == NULL ||
            rr_cg_buffer(cg, RR_CG_OUT_GROUPS, RR_CG_OUT, n / 4) == NULL ||
            rr_cg_buffer(cg, RR_CG_OUT_RMS, RR_CG_OUT, n_rows * sizeof(float)) == NULL)) {
        return rr_cg_no_memory(cg, diag);
    }
    RR_TRY(upload(cg, 0, n, diag));
    RR_TRY(rr_cg_bench_rows(cg, n_rows, 0, N_VOCAB, diag));
    uint64_t w = rr_cg_address(cg, RR_CG_W);
    rr_push_embed push = {RR_PUSH_PLANES(w, planes), .rows = rr_cg_address(cg, RR_CG_ROWS),
        .y = rr_cg_address(cg, RR_CG_Y), .cols = cols, .n_rows = n_rows};
    work done = {(double)n_rows * cols * (4 + 1.0625), (double)n_rows * cols};
    if (cg->variant->op == RR_OP_embed) {
        return report(cg, &(rr_kern_key){.format = RR_Q_Q8_0}, &push, done, diag);
    }
    rr_push_lanes_embed lanes_push = {.lo = push.lo,
        .hi = push.hi,
        .scale = push.scale,
        .super = push.super,
        .rows = push.rows,
        .x = push.y,
        .norm = rr_cg_address(cg, RR_CG_NORM),
        .codes = rr_cg_address(cg, RR_CG_OUT_CODES),
        .groups = rr_cg_address(cg, RR_CG_OUT_GROUPS),
        .rms = rr_cg_address(cg, RR_CG_OUT_RMS),
        .cols = cols,
        .n_tokens = n_rows,
        .epsilon = 1e-6f};
    done.bytes += (double)n_rows * cols * 2.25;
    return report(cg, &(rr_kern_key){.format = RR_Q_Q8_0}, &lanes_push, done, diag);
}

/* rmsnorm, swiglu, argmax */
static rr_status bench_plain(rr_cg *cg, uint32_t cols, uint32_t n_rows, rr_diag *diag) {
    const size_t floats = (size_t)cols * n_rows;
    const double n = (double)floats;
    rr_kern_key key = {0};
    rr_cg_begin(cg, "%ux%u", n_rows, cols);
    RR_TRY(rr_cg_floats_buffer(cg, RR_CG_W, RR_CG_IN, 1, cols, NULL, diag));
    RR_TRY(upload(cg, cg->variant->op == RR_OP_swiglu ? 2 * floats : floats, floats, diag));
    uint64_t x = rr_cg_address(cg, RR_CG_X), y = rr_cg_address(cg, RR_CG_Y);
    if (cg->variant->op == RR_OP_rmsnorm) {
        rr_push_rmsnorm push = {.x = x,
            .weight = rr_cg_address(cg, RR_CG_W),
            .y = y,
            .cols = cols,
            .n_rows = n_rows,
            .epsilon = 1e-6f};
        return report(cg, &key, &push, (work){8 * n, 4 * n}, diag);
    }
    if (cg->variant->op == RR_OP_rmsnorm_q8) { /* y holds both planes */
        rr_push_rmsnorm_q8 push = {.x = x,
            .weight = rr_cg_address(cg, RR_CG_W),
            .y = y,
            .groups = y + floats,
            .cols = cols,
            .n_rows = n_rows,
            .n_terms = 1,
            .epsilon = 1e-6f};
        return report(cg, &key, &push, (work){5.25 * n, 5 * n}, diag);
    }
    if (cg->variant->op == RR_OP_swiglu) {
        rr_push_swiglu push = {.gate_up = x, .y = y, .cols = cols, .n_rows = n_rows};
        return report(cg, &key, &push, (work){12 * n, 5 * n}, diag);
    }
    rr_push_argmax push = {.x = x, .y = y, .cols = cols, .n_rows = n_rows, .n_terms = 1};
    return report(cg, &key, &push, (work){4 * n, n}, diag);
}

rr_status rr_cg_bench(rr_cg *cg, rr_diag *diag) {
    /* software devices take the shapes of a 7B model only when asked for everything */
    bool big = cg->params->full || rr_vk_info(cg->device)->type != RR_DEVICE_CPU;
    RR_TRY(measure_copy(cg, diag));
    switch (cg->variant->op) {
    case RR_OP_matmul_prefill:
    case RR_OP_matmul_decode:
    case RR_OP_matmul_q8_prefill:
    case RR_OP_matmul_q8_decode:
        return bench_matmuls(cg, big, diag);
    case RR_OP_attention_prefill:
    case RR_OP_attention_decode:
    case RR_OP_lanes_attention_prefill:
    case RR_OP_lanes_attention_decode:
        return bench_attentions(cg, big, diag);
    case RR_OP_attention_mass:
        return bench_attention_masses(cg, big, diag);
    case RR_OP_token_mass:
        RR_TRY(bench_token_mass(cg, 14, 17, diag));
        return bench_token_mass(cg, 28, 64, diag);
    case RR_OP_rope:
        RR_TRY(bench_rope(cg, 14, 2, 64, 64, diag));
        return bench_rope(cg, 28, 4, 128, 64, diag);
    case RR_OP_embed:
    case RR_OP_lanes_embed:
        RR_TRY(bench_embed(cg, 896, 64, diag));
        return bench_embed(cg, 3584, 64, diag);
    case RR_OP_rmsnorm:
    case RR_OP_rmsnorm_q8:
        RR_TRY(bench_plain(cg, 896, 64, diag));
        return bench_plain(cg, 3584, 64, diag);
    case RR_OP_swiglu:
        RR_TRY(bench_plain(cg, 4864, 64, diag));
        return bench_plain(cg, 18944, 64, diag);
    case RR_OP_lanes_qkv:
    case RR_OP_lanes_out:
    case RR_OP_lanes_gate_up:
    case RR_OP_lanes_head:
        return rr_cg_bench_lanes(cg, big, diag);
    case RR_OP_argmax:
        return bench_plain(cg, 151936, 8, diag);
    case RR_OP_matmul_grad:
    case RR_OP_outer_grad:
    case RR_OP_rmsnorm_grad:
    case RR_OP_swiglu_grad:
    case RR_OP_rope_grad:
    case RR_OP_attention_lse:
    case RR_OP_attention_grad_q:
    case RR_OP_attention_grad_kv:
    case RR_OP_cross_entropy:
    case RR_OP_adamw:
        return rr_cg_bench_grad(cg, big, diag);
    default:
        return RR_OK;
    }
}
