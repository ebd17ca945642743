/* The cases of the self-test: int8 products of three formats in both families, attention in both.
 * Shapes as in a 7B model but for fewer rows. The truth is the base kernel's result; int8 products
 * are held against the float ones of the plain graph. */
#include "runtime/compute/selftest.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "runtime/base/random.h"
#include "runtime/base/thread.h"
#include "shaders/attention.h"
#include "shaders/kv.h"
#include "shaders/matmul.h"
#include "shaders/matmul_q8.h"

enum {
    ROWS = 4096,
    COLS = 1024,
    PROMPT = 128, /* products */
    HEADS = 28,
    KV_HEADS = 4,
    HEAD = 128,
    KEYS = 512,
    QUERIES = 128, /* attention */
    PAGES = KEYS / RR_KV_PAGE,
    PAGE_BYTES = RR_KV_LAYER_BYTES(KV_HEADS, HEAD),
    GENERATED = 4, /* tokens of the decode family */
    FORMATS = 3,
    ROUNDS = 4,
    REPEATS = 4,
    SLOW_NS = 5000000
};
static const rr_qtype formats[FORMATS] = {RR_Q_Q4_0, RR_Q_Q4_K, RR_Q_Q6_K};

/* Normalised mean square errors: float sums in another order; factors of attention rounded to
 * f16. */
static const double product_error = 1e-9, attention_error = 1e-5;

typedef struct group { /* of int8 activations, shaders/q8.glsl */
    float d;
    int16_t sums[2];
} group;

struct rr_selftest_bench {
    rr_vk_device *device;
    rr_kern *kern;
    rr_vk_commands *commands;
    rr_vk_buffer memory;
    rr_planes planes[FORMATS];
    /* addresses; rows: by family */
    uint64_t w[FORMATS], x, codes, groups, y, q, kv, pages, rows[2], scratch;
    uint64_t y_offset, y_bytes;
    float *truth, *found;
};

/* In [-1, 1). */
static float next(uint64_t *state) {
    return (float)(int32_t)(rr_random(state) >> 32) * 0x1p-31f;
}

/* A part of the memory behind those up to *end. */
static uint64_t place(uint64_t *end, uint64_t bytes) {
    uint64_t at = *end;
    *end = rr_round_up(at + bytes, 256);
    return at;
}

static void make_activations(float *x, int8_t *codes, group *groups) {
    uint64_t state = 1;
    for (size_t g = 0; g < (size_t)PROMPT * COLS / 32; g++) {
        groups[g] = (group){.d = 0x1p-7f * (1 + 0.5f * next(&state))};
        for (size_t i = 0; i < 32; i++) {
            int code = (int)(127 * next(&state));
            codes[g * 32 + i] = (int8_t)code;
            groups[g].sums[i / 16] = (int16_t)(groups[g].sums[i / 16] + code);
            x[g * 32 + i] = groups[g].d * (float)code;
        }
    }
}

static void make_attention(
    float *q, uint16_t *kv, rr_row *prompt, rr_row *generated, uint64_t pages) {
    uint64_t state = 2;
    for (size_t i = 0; i < (size_t)QUERIES * HEADS * HEAD; i++) {
        q[i] = 2 * next(&state);
    }
    for (size_t i = 0; i < (size_t)PAGES * PAGE_BYTES / sizeof *kv; i++) {
        kv[i] = rr_f32_to_f16(2 * next(&state));
    }
    for (uint32_t i = 0; i < QUERIES; i++) {
        prompt[i] = (rr_row){.position = KEYS - QUERIES + i, .pages = pages};
    }
    for (uint32_t i = 0; i < GENERATED; i++) {
        generated[i] = (rr_row){.position = KEYS - 1 - 37 * i, .pages = pages};
    }
}

static rr_status fill(rr_selftest_bench *b, uint8_t *host, uint64_t bytes, rr_diag *diag) {
    const uint64_t base = b->memory.address;
    for (int f = 0; f < FORMATS; f++) {
        const rr_qtype_info *info = rr_qtype_get((uint32_t)formats[f]);
        const size_t n_blocks = (size_t)ROWS * COLS / info->block_weights;
        uint8_t *blocks = malloc(n_blocks * info->block_bytes);
        if (blocks == NULL) {
            return rr_fail(diag, RR_E_MEMORY, "out of memory for the self-test");
        }
        rr_blocks_random(formats[f], 3, 0.02, 0, n_blocks, blocks);
        rr_planes_pack(&b->planes[f], blocks, 0, ROWS, host + (b->w[f] - base));
        free(blocks);
    }
    make_activations((float *)(void *)(host + (b->x - base)), (int8_t *)(host + (b->codes - base)),
        (group *)(void *)(host + (b->groups - base)));
    make_attention((float *)(void *)(host + (b->q - base)),
        (uint16_t *)(void *)(host + (b->kv - base)), (rr_row *)(void *)(host + (b->rows[0] - base)),
        (rr_row *)(void *)(host + (b->rows[1] - base)), b->pages);
    uint64_t *pages = (uint64_t *)(void *)(host + (b->pages - base));
    for (uint64_t i = 0; i < PAGES; i++) {
        pages[i] = b->kv + (PAGES - 1 - i) * PAGE_BYTES;
    }
    return rr_vk_upload(b->device, &b->memory, 0, host, bytes, diag);
}

static rr_status make(rr_selftest_bench *b, rr_diag *diag) {
    uint64_t end = 0, w[FORMATS];
    for (int f = 0; f < FORMATS; f++) {
        RR_TRY(rr_planes_plan(formats[f], ROWS, COLS, &b->planes[f], diag));
        w[f] = place(&end, b->planes[f].bytes);
    }
    const uint64_t n = (uint64_t)PROMPT * COLS, n_q = (uint64_t)QUERIES * HEADS * HEAD;
    b->y_bytes = (uint64_t)PROMPT * ROWS * 4;
    const uint64_t x = place(&end, 4 * n), codes = place(&end, n),
                   groups = place(&end, n / 32 * sizeof(group)), q = place(&end, 4 * n_q),
                   kv = place(&end, (uint64_t)PAGES * PAGE_BYTES),
                   pages = place(&end, PAGES * sizeof(uint64_t)),
                   prompt = place(&end, QUERIES * sizeof(rr_row)),
                   generated = place(&end, GENERATED * sizeof(rr_row)),
                   scratch = place(&end,
                       RR_ATTENTION_SCRATCH((uint64_t)GENERATED, HEADS, KV_HEADS, HEAD, KEYS) * 4),
                   filled = end;
    b->y_offset = place(&end, b->y_bytes);
    RR_TRY(rr_vk_buffer_create(b->device, RR_VK_MEMORY_DEVICE, end, "self-test", &b->memory, diag));
    const uint64_t base = b->memory.address;
    for (int f = 0; f < FORMATS; f++) {
        b->w[f] = base + w[f];
    }
    b->x = base + x;
    b->codes = base + codes;
    b->groups = base + groups;
    b->q = base + q;
    b->kv = base + kv;
    b->pages = base + pages;
    b->rows[0] = base + prompt;
    b->rows[1] = base + generated;
    b->scratch = base + scratch;
    b->y = base + b->y_offset;
    b->truth = malloc(b->y_bytes);
    b->found = malloc(b->y_bytes);
    uint8_t *host = calloc(1, filled);
    rr_status status = host == NULL || b->truth == NULL || b->found == NULL
        ? rr_fail(diag, RR_E_MEMORY, "out of memory for the self-test")
        : fill(b, host, filled, diag);
    free(host);
    RR_TRY(status);
    RR_TRY(rr_kern_create(b->device, &b->kern, diag));
    return rr_vk_commands_create(b->device, &b->commands, diag);
}

rr_status rr_selftest_bench_create(rr_vk_device *device, rr_selftest_bench **out, rr_diag *diag) {
    rr_selftest_bench *b = calloc(1, sizeof *b);
    if (b == NULL) {
        return rr_fail(diag, RR_E_MEMORY, "out of memory for the self-test");
    }
    b->device = device;
    rr_status status = make(b, diag);
    if (status != RR_OK) {
        rr_selftest_bench_destroy(&b);
    }
    *out = b;
    return status;
}

void rr_selftest_bench_destroy(rr_selftest_bench **pointer) {
    rr_selftest_bench *b = *pointer;
    if (b == NULL) {
        return;
    }
    rr_vk_commands_destroy(b->device, &b->commands);
    rr_kern_destroy(&b->kern);
    rr_vk_buffer_destroy(b->device, &b->memory);
    free(b->truth);
    free(b->found);
    free(b);
    *pointer = NULL;
}

/* One way to compute a case. */
typedef struct way {
    rr_op op;
    rr_kern_key key;
    const rr_variant *variant;
    union {
        rr_push_matmul matmul;
        rr_push_matmul_q8 q8;
        rr_push_attention attention;
    } push;
} way;

static bool is_attention(uint32_t index) {
    return index >= 2 * FORMATS;
}

/* The quantized (or only) way of a case; `variant` is left to be chosen. */
static way fast_way(const rr_selftest_bench *b, uint32_t index) {
    const bool decode = index % 2 != 0;
    if (is_attention(index)) {
        way a = {.op = decode ? RR_OP_attention_decode : RR_OP_attention_prefill,
            .key = {.head_size = HEAD}};
        a.push.attention = (rr_push_attention){.q = b->q,
            .y = b->y,
            .rows = b->rows[decode],
            .scratch = b->scratch,
            .n_rows = decode ? GENERATED : QUERIES,
            .n_heads = HEADS,
            .n_kv_heads = KV_HEADS,
            .q_stride = HEADS * HEAD,
            .scale = 1 / sqrtf(HEAD),
            .n_keys = KEYS};
        return a;
    }
    const int f = (int)index / 2;
    const rr_planes *p = &b->planes[f];
    way m = {.op = decode ? RR_OP_matmul_q8_decode : RR_OP_matmul_q8_prefill,
        .key = {.format = formats[f], .end = RR_END_F32}};
    m.push.q8 = (rr_push_matmul_q8){RR_PUSH_PLANES(b->w[f], *p), .x = b->codes,
        .x_groups = b->groups, .y = b->y, .n_out = ROWS, .cols = COLS,
        .n_tokens = decode ? GENERATED : PROMPT, .y_stride = ROWS};
    return m;
}

/* The same by the plain graph's op: attention's is the same one. */
static way plain_way(const rr_selftest_bench *b, uint32_t index) {
    way m = fast_way(b, index);
    if (is_attention(index)) {
        return m;
    }
    const rr_push_matmul_q8 q8 = m.push.q8;
    m.op = index % 2 != 0 ? RR_OP_matmul_decode : RR_OP_matmul_prefill;
    m.key = (rr_kern_key){.format = m.key.format};
    m.push.matmul = (rr_push_matmul){.lo = q8.lo,
        .hi = q8.hi,
        .scale = q8.scale,
        .super = q8.super,
        .x = b->x,
        .y = b->y,
        .n_out = ROWS,
        .cols = COLS,
        .n_tokens = q8.n_tokens,
        .x_stride = COLS,
        .y_stride = ROWS};
    return m;
}

/* The best that `caps` allow: the fast way, else the plain one. */
static way best_way(const rr_selftest_bench *b, uint32_t index, uint32_t caps) {
    rr_device_info info = *rr_vk_info(b->device);
    info.caps = caps;
    way w = fast_way(b, index);
    w.variant = rr_pick(w.op, &w.key, &info);
    if (w.variant == NULL) {
        w = plain_way(b, index);
        w.variant = rr_pick(w.op, &w.key, &info);
    }
    return w;
}

/* Runs it over and over: least time of one in *ns, the result in `result`. */
static rr_status run(
    rr_selftest_bench *b, const way *w, uint64_t bytes, float *result, double *ns, rr_diag *diag) {
    /* A software device compiles a kernel when it runs it first, which took more than 30 s. By its
     * type: the capability may be masked. */
    const bool is_software = rr_vk_info(b->device)->type == RR_DEVICE_CPU;
    const uint64_t patience_ns = is_software ? UINT64_C(600000000000) : UINT64_C(30000000000);
    RR_TRY(rr_kern_prepare(b->kern, w->op, &w->key, w->variant, diag));
    memset(result, 0xFF, bytes); /* NaN */
    RR_TRY(rr_vk_upload(b->device, &b->memory, b->y_offset, result, bytes, diag));
    *ns = INFINITY;
    int repeats = 1, rounds = ROUNDS;
    for (int round = 0; round < rounds; round++) {
        RR_TRY(rr_vk_begin(b->commands, diag));
        rr_vk_timestamp(b->commands, 0);
        for (int i = 0; i < repeats; i++) {
            rr_kern_record(b->kern, b->commands, w->op, &w->key, w->variant, &w->push);
            rr_vk_barrier(b->commands);
        }
        rr_vk_timestamp(b->commands, 1);
        const uint64_t begin = rr_time_ns();
        RR_TRY(rr_vk_submit(b->commands, diag));
        RR_TRY(rr_vk_wait(b->commands, patience_ns, diag));
        const uint64_t host = rr_time_ns() - begin, device = rr_vk_elapsed_ns(b->commands, 0, 1);
        const double once = (double)(device != 0 ? device : host) / repeats;
        if (round == 0) { /* pays for lazy work of the driver; what is slow needs no repetition */
            repeats = once < SLOW_NS ? REPEATS : 1;
            rounds = once < SLOW_NS ? ROUNDS : 2;
        } else {
            *ns = fmin(*ns, once);
        }
    }
    return rr_vk_download(b->device, &b->memory, b->y_offset, result, bytes, diag);
}

/* A NaN makes it one. */
static double nmse(const float *found, const float *truth, size_t n) {
    double squares = 0, error = 0;
    for (size_t i = 0; i < n; i++) {
        const double d = (double)found[i] - (double)truth[i];
        error += d * d;
        squares += (double)truth[i] * (double)truth[i];
    }
    return error / squares;
}

rr_status rr_selftest_case(rr_selftest_bench *b, uint32_t index, uint32_t caps, uint32_t cap,
    bool *differs, rr_selftest_figures *out, rr_diag *diag) {
    const way with = best_way(b, index, caps), without = best_way(b, index, caps & ~cap);
    *differs = with.variant != without.variant;
    if (!*differs) {
        return RR_OK;
    }
    const bool decode = index % 2 != 0;
    const size_t n = is_attention(index) ? (size_t)(decode ? GENERATED : QUERIES) * HEADS * HEAD
                                         : (size_t)(decode ? GENERATED : PROMPT) * ROWS;
    double ns;
    way base = plain_way(b, index);
    rr_device_info bare = *rr_vk_info(b->device);
    bare.caps = 0;
    base.variant = rr_pick(base.op, &base.key, &bare);
    RR_TRY(run(b, &base, n * 4, b->truth, &ns, diag));
    *out = (rr_selftest_figures){0};
    snprintf(out->name, sizeof out->name, "%s/%s%s%s", rr_op_name(with.op), with.variant->name,
        is_attention(index) ? "" : " ",
        is_attention(index) ? "" : rr_qtype_get((uint32_t)with.key.format)->name);
    RR_TRY(run(b, &without, n * 4, b->found, &out->without_ns, diag));
    RR_TRY(run(b, &with, n * 4, b->found, &out->with_ns, diag));
    out->error =
        nmse(b->found, b->truth, n) / (is_attention(index) ? attention_error : product_error);
    return RR_OK;
}
