/* Timing of the backward pass: each op on shapes of real models. */
#include "tests/checkgpu/internal.h"

#include <math.h>

#include "shaders/adamw.h"
#include "shaders/attention_grad.h"
#include "shaders/cross_entropy.h"
#include "shaders/matmul_grad.h"
#include "shaders/outer_grad.h"
#include "shaders/rmsnorm_grad.h"
#include "shaders/rope_grad.h"
#include "shaders/swiglu_grad.h"

/* A slot of normal numbers. */
static rr_status fill(rr_cg *cg, rr_cg_slot_id id, size_t floats, rr_diag *diag) {
    return rr_cg_floats_buffer(cg, id, RR_CG_INOUT, 1, floats, NULL, diag);
}

static rr_status bench_matmul(
    rr_cg *cg, rr_qtype format, uint32_t n_out, uint32_t cols, uint32_t n_tokens, rr_diag *diag) {
    rr_planes planes;
    const size_t x = (size_t)cols * n_tokens, y = (size_t)n_out * n_tokens;
    rr_cg_begin(
        cg, "%s %ux%u tokens %u", rr_qtype_get((uint32_t)format)->name, n_out, cols, n_tokens);
    RR_TRY(rr_cg_matrix(cg, format, n_out, cols, &planes, diag));
    RR_TRY(fill(cg, RR_CG_X, x, diag));
    RR_TRY(fill(cg, RR_CG_Y, y, diag));
    RR_TRY(rr_cg_upload(cg, NULL, diag));
    const uint64_t w = rr_cg_address(cg, RR_CG_W);
    const rr_push_matmul_grad push = {RR_PUSH_PLANES(w, planes), .d_y = rr_cg_address(cg, RR_CG_Y),
        .d_x = rr_cg_address(cg, RR_CG_X), .n_out = n_out, .cols = cols, .n_tokens = n_tokens,
        .y_stride = n_out, .x_stride = cols, .factor = 1};
    return rr_cg_report(cg, &(rr_kern_key){.format = format}, &push,
        (double)planes.bytes + 4.0 * (double)(x + y), 2.0 * n_out * cols * n_tokens, diag);
}

/* F32 and F16 also tell what the product would cost on a matrix that was dequantized before. */
static rr_status bench_matmuls(rr_cg *cg, bool big, rr_diag *diag) {
    static const struct {
        uint32_t n_out, cols;
        rr_qtype format;
        bool big;
    } shapes[] = {{896, 896, RR_Q_Q5_0, false}, {9728, 896, RR_Q_Q4_0, false},
        {9728, 896, RR_Q_Q5_0, false}, {9728, 896, RR_Q_Q8_0, false}, {9728, 896, RR_Q_F16, false},
        {9728, 896, RR_Q_F32, false}, {896, 4864, RR_Q_Q4_K, false}, {896, 4864, RR_Q_Q6_K, false},
        {16, 4864, RR_Q_F32, false}, {4864, 32, RR_Q_F32, false}, {37888, 3584, RR_Q_Q4_K, true},
        {3584, 18944, RR_Q_Q4_K, true}};
    for (size_t s = 0; s < sizeof shapes / sizeof shapes[0]; s++) {
        if (rr_cg_wants(cg, shapes[s].format) && (big || !shapes[s].big)) {
            RR_TRY(bench_matmul(
                cg, shapes[s].format, shapes[s].n_out, shapes[s].cols, big ? 512 : 64, diag));
        }
    }
    return RR_OK;
}

/* The gradient of an adapter's A (n_b = the inputs of its product) or B (n_b = the outputs). */
static rr_status bench_outer(
    rr_cg *cg, uint32_t rank, uint32_t n_b, uint32_t n_tokens, rr_diag *diag) {
    const size_t a = (size_t)rank * n_tokens, b = (size_t)n_b * n_tokens, y = (size_t)rank * n_b;
    rr_cg_begin(cg, "%ux%u tokens %u", rank, n_b, n_tokens);
    RR_TRY(fill(cg, RR_CG_X, a, diag));
    RR_TRY(fill(cg, RR_CG_D_O, b, diag));
    RR_TRY(fill(cg, RR_CG_Y, y, diag));
    RR_TRY(rr_cg_upload(cg, NULL, diag));
    const rr_push_outer_grad push = {.a = rr_cg_address(cg, RR_CG_X),
        .b = rr_cg_address(cg, RR_CG_D_O),
        .y = rr_cg_address(cg, RR_CG_Y),
        .n_a = rank,
        .n_b = n_b,
        .n_tokens = n_tokens,
        .a_stride = rank,
        .b_stride = n_b,
        .i_stride = n_b,
        .j_stride = 1,
        .factor = 1};
    return rr_cg_report(
        cg, &(rr_kern_key){0}, &push, 4.0 * (double)(a + b + y), 2.0 * rank * (double)b, diag);
}

/* rmsnorm_grad, swiglu_grad */
static rr_status bench_rows(rr_cg *cg, uint32_t cols, uint32_t n_rows, rr_diag *diag) {
    const size_t n = (size_t)cols * n_rows;
    const bool swiglu = cg->variant->op == RR_OP_swiglu_grad;
    rr_cg_begin(cg, "%ux%u", n_rows, cols);
    RR_TRY(fill(cg, RR_CG_X, 2 * n, diag));
    RR_TRY(fill(cg, RR_CG_W, cols, diag));
    RR_TRY(fill(cg, RR_CG_D_O, n, diag));
    RR_TRY(fill(cg, RR_CG_Y, 2 * n, diag));
    RR_TRY(rr_cg_upload(cg, NULL, diag));
    const rr_push_swiglu_grad of_swiglu = {.gate_up = rr_cg_address(cg, RR_CG_X),
        .d_y = rr_cg_address(cg, RR_CG_D_O),
        .d_gate_up = rr_cg_address(cg, RR_CG_Y),
        .cols = cols,
        .n_rows = n_rows};
    const rr_push_rmsnorm_grad of_norm = {.x = rr_cg_address(cg, RR_CG_X),
        .weight = rr_cg_address(cg, RR_CG_W),
        .d_y = rr_cg_address(cg, RR_CG_D_O),
        .d_x = rr_cg_address(cg, RR_CG_Y),
        .cols = cols,
        .n_rows = n_rows,
        .flags = RR_RMSNORM_GRAD_ADDS,
        .epsilon = 1e-6f};
    return rr_cg_report(cg, &(rr_kern_key){0}, swiglu ? (const void *)&of_swiglu : &of_norm,
        (swiglu ? 20.0 : 16.0) * (double)n, (swiglu ? 12.0 : 10.0) * (double)n, diag);
}

static rr_status bench_rope(
    rr_cg *cg, uint32_t n_heads, uint32_t n_kv_heads, uint32_t head_size, rr_diag *diag) {
    enum { ROWS = 64 };
    const double rotated = (double)ROWS * (n_heads + n_kv_heads) * head_size;
    rr_cg_begin(cg, "heads %u/%u of %u, rows %u", n_heads, n_kv_heads, head_size, ROWS);
    RR_TRY(fill(cg, RR_CG_Y, (size_t)ROWS * (n_heads + 2 * n_kv_heads) * head_size, diag));
    RR_TRY(fill(cg, RR_CG_TABLE, (size_t)ROWS * head_size, diag));
    RR_TRY(rr_cg_bench_rows(cg, ROWS, 0, 1, diag));
    const rr_push_rope_grad push = {.d_qkv = rr_cg_address(cg, RR_CG_Y),
        .rows = rr_cg_address(cg, RR_CG_ROWS),
        .table = rr_cg_address(cg, RR_CG_TABLE),
        .n_rows = ROWS,
        .n_heads = n_heads,
        .n_kv_heads = n_kv_heads};
    return rr_cg_report(
        cg, &(rr_kern_key){.head_size = head_size}, &push, 8 * rotated, 3 * rotated, diag);
}

/* A prompt alone: every row sees those before it. */
static rr_status bench_attention(rr_cg *cg, uint32_t n_heads, uint32_t n_kv_heads,
    uint32_t head_size, uint32_t n_rows, rr_diag *diag) {
    const size_t wide = (size_t)n_heads * head_size, n = n_rows * wide;
    const size_t width = wide + (size_t)2 * n_kv_heads * head_size;
    rr_cg_begin(cg, "heads %u/%u of %u, rows %u", n_heads, n_kv_heads, head_size, n_rows);
    RR_TRY(fill(cg, RR_CG_X, n, diag));
    RR_TRY(fill(cg, RR_CG_O, n, diag));
    RR_TRY(fill(cg, RR_CG_D_O, n, diag));
    RR_TRY(fill(cg, RR_CG_Y, n_rows * width, diag));
    RR_TRY(fill(cg, RR_CG_LSE, (size_t)n_rows * n_heads, diag));
    RR_TRY(fill(cg, RR_CG_DELTA, (size_t)n_rows * n_heads, diag));
    uint32_t(*segments)[2] = rr_cg_buffer(cg, RR_CG_SEGMENTS, RR_CG_IN, n_rows * sizeof *segments);
    if (segments == NULL) {
        return rr_cg_no_memory(cg, diag);
    }
    for (uint32_t r = 0; r < n_rows; r++) {
        segments[r][1] = n_rows;
    }
    RR_TRY(rr_cg_bench_cache(cg, n_kv_heads, head_size, n_rows, diag));
    uint16_t *cache = (uint16_t *)(void *)cg->slots[RR_CG_KV].host;
    for (size_t i = 0; i < cg->slots[RR_CG_KV].bytes / sizeof *cache; i++) {
        cache[i] = rr_f32_to_f16(rr_cg_normal(cg));
    }
    RR_TRY(rr_cg_upload(cg, NULL, diag));
    RR_TRY(rr_cg_bench_rows(cg, n_rows, 0, 1, diag));
    const rr_push_attention_grad push = {.q = rr_cg_address(cg, RR_CG_X),
        .o = rr_cg_address(cg, RR_CG_O),
        .d_o = rr_cg_address(cg, RR_CG_D_O),
        .d_qkv = rr_cg_address(cg, RR_CG_Y),
        .lse = rr_cg_address(cg, RR_CG_LSE),
        .delta = rr_cg_address(cg, RR_CG_DELTA),
        .rows = rr_cg_address(cg, RR_CG_ROWS),
        .segments = rr_cg_address(cg, RR_CG_SEGMENTS),
        .n_rows = n_rows,
        .n_prefix = n_rows,
        .n_heads = n_heads,
        .n_kv_heads = n_kv_heads,
        .q_stride = (uint32_t)wide,
        .n_listed = n_rows,
        .scale = 1 / sqrtf((float)head_size)};
    /* products of a pair of rows: q k alone; with d_o v and one sum; with two sums */
    const rr_op op = cg->variant->op;
    const double products = op == RR_OP_attention_lse ? 1 : op == RR_OP_attention_grad_q ? 3 : 4;
    const double pairs = 0.5 * n_rows * (n_rows + 1.0);
    const double kv = (double)n_rows * n_kv_heads * head_size;
    return rr_cg_report(cg, &(rr_kern_key){.head_size = head_size}, &push,
        12.0 * (double)n + 12 * kv, 2 * products * pairs * (double)wide, diag);
}

static rr_status bench_cross_entropy(rr_cg *cg, uint32_t n_rows, rr_diag *diag) {
    enum { VOCAB = 151936 };
    const size_t n = (size_t)n_rows * VOCAB;
    rr_cg_begin(cg, "%ux%u", n_rows, VOCAB);
    RR_TRY(fill(cg, RR_CG_Y, n, diag));
    RR_TRY(fill(cg, RR_CG_WEIGHTS, n_rows, diag));
    RR_TRY(fill(cg, RR_CG_LSE, n_rows, diag));
    if (rr_cg_buffer(cg, RR_CG_LIST, RR_CG_IN, n_rows * sizeof(uint32_t)) == NULL) {
        return rr_cg_no_memory(cg, diag);
    }
    RR_TRY(rr_cg_upload(cg, NULL, diag));
    const rr_push_cross_entropy push = {.z = rr_cg_address(cg, RR_CG_Y),
        .targets = rr_cg_address(cg, RR_CG_LIST),
        .weights = rr_cg_address(cg, RR_CG_WEIGHTS),
        .log_p = rr_cg_address(cg, RR_CG_LSE),
        .cols = VOCAB,
        .n_rows = n_rows};
    return rr_cg_report(cg, &(rr_kern_key){0}, &push, 16.0 * (double)n, 8.0 * (double)n, diag);
}

static rr_status bench_adamw(rr_cg *cg, uint32_t n, rr_diag *diag) {
    const rr_cg_slot_id slots[] = {RR_CG_W, RR_CG_M, RR_CG_V, RR_CG_X};
    rr_cg_begin(cg, "%u parameters", n);
    for (size_t s = 0; s < sizeof slots / sizeof slots[0]; s++) {
        RR_TRY(fill(cg, slots[s], n, diag));
    }
    float *v = (float *)(void *)cg->slots[RR_CG_V].host;
    for (uint32_t i = 0; i < n; i++) {
        v[i] *= v[i];
    }
    RR_TRY(rr_cg_upload(cg, NULL, diag));
    const rr_push_adamw push = {.w = rr_cg_address(cg, RR_CG_W),
        .m = rr_cg_address(cg, RR_CG_M),
        .v = rr_cg_address(cg, RR_CG_V),
        .g = rr_cg_address(cg, RR_CG_X),
        .n = n,
        .grad_scale = 1,
        .rate = 2e-4f,
        .beta1 = 0.9f,
        .beta2 = 0.999f,
        .epsilon = 1e-8f,
        .correction1 = 1,
        .correction2 = 1};
    return rr_cg_report(cg, &(rr_kern_key){0}, &push, 28.0 * n, 15.0 * n, diag);
}

rr_status rr_cg_bench_grad(rr_cg *cg, bool big, rr_diag *diag) {
    switch (cg->variant->op) {
    case RR_OP_matmul_grad:
        return bench_matmuls(cg, big, diag);
    case RR_OP_outer_grad:
        RR_TRY(bench_outer(cg, 16, 896, big ? 512 : 64, diag));
        return bench_outer(cg, 16, 4864, big ? 512 : 64, diag);
    case RR_OP_rmsnorm_grad:
        return bench_rows(cg, 896, 64, diag);
    case RR_OP_swiglu_grad:
        return bench_rows(cg, 4864, 64, diag);
    case RR_OP_rope_grad:
        RR_TRY(bench_rope(cg, 14, 2, 64, diag));
        return bench_rope(cg, 28, 4, 128, diag);
    case RR_OP_attention_lse:
    case RR_OP_attention_grad_q:
    case RR_OP_attention_grad_kv:
        RR_TRY(bench_attention(cg, 14, 2, 64, big ? 2048 : 512, diag));
        return big ? bench_attention(cg, 28, 4, 128, 2048, diag) : RR_OK;
    case RR_OP_cross_entropy:
        return bench_cross_entropy(cg, 16, diag);
    case RR_OP_adamw:
        return bench_adamw(cg, 1 << 20, diag);
    default:
        return RR_OK;
    }
}
