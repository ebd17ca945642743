/* Timing of the backward pass: each op on shapes of real models. */
#include "tests/checkgpu/internal.h"

#include "shaders/matmul_grad.h"

/* A slot of normal numbers. */
static rr_status fill(rr_cg *cg, rr_cg_slot_id id, size_t floats, rr_diag *diag) {
    float *data = rr_cg_buffer(cg, id, RR_CG_INOUT, floats * sizeof *data);
    if (data == NULL) {
        return rr_fail(diag, RR_E_MEMORY, "checkgpu: no memory for %s", cg->label);
    }
    rr_cg_normals(cg, 1, data, floats);
    return RR_OK;
}

static rr_status upload(rr_cg *cg, rr_diag *diag) {
    bool too_big;
    RR_TRY(rr_cg_upload(cg, &too_big, diag));
    return too_big ? rr_fail(diag, RR_E_MEMORY, "%s: larger than the device allows", cg->label)
                   : RR_OK;
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
    RR_TRY(upload(cg, diag));
    const uint64_t w = rr_cg_address(cg, RR_CG_W);
    const rr_push_matmul_grad push = {.lo = w + planes.lo_offset,
        .hi = w + planes.hi_offset,
        .scales = w + planes.scale_offset,
        .super = w + planes.super_offset,
        .d_y = rr_cg_address(cg, RR_CG_Y),
        .d_x = rr_cg_address(cg, RR_CG_X),
        .n_out = n_out,
        .cols = cols,
        .n_tokens = n_tokens,
        .y_stride = n_out,
        .x_stride = cols,
        .scale = 1};
    return rr_cg_report(cg, &(rr_kern_key){.format = format}, &push,
        (double)planes.bytes + 4.0 * (double)(x + y), 2.0 * n_out * cols * n_tokens, diag);
}

/* F32 and F16 are also what a product on a matrix unpacked before costs. */
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

rr_status rr_cg_bench_grad(rr_cg *cg, bool big, rr_diag *diag) {
    switch (cg->variant->op) {
    case RR_OP_matmul_grad:
        return bench_matmuls(cg, big, diag);
    default:
        return RR_OK;
    }
}
