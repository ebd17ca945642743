#include "runtime/compute/lora_record.h"

#include "shaders/matmul.h"

static const rr_op matmul_op[RR_N_FAMILIES] = {RR_OP_matmul_prefill, RR_OP_matmul_decode};
static const rr_kern_key key = {.format = RR_Q_F32};

rr_status rr_lora_list_kernels(const rr_kern_use *use, rr_diag *diag) {
    for (int f = 0; f < RR_N_FAMILIES; f++) {
        RR_TRY(rr_kern_use_one(use, matmul_op[f], key, diag));
    }
    return RR_OK;
}

static const rr_lora_group *group_of(
    const rr_compute *compute, uint32_t layer, rr_lora_input input) {
    if (compute->lora == NULL || compute->lora->layers[layer][input].rank == 0) {
        return NULL;
    }
    return &compute->lora->layers[layer][input];
}

/* One product over rows of a pass, by each family's kernel; its addresses are those of row 0. */
static void record(
    rr_compute *compute, const rr_pass *pass, rr_range rows, const rr_push_matmul *all) {
    rr_span spans[RR_N_FAMILIES];
    const uint32_t n_spans = rr_pass_spans(pass, rows, spans);
    for (uint32_t i = 0; i < n_spans; i++) {
        const uint64_t first = spans[i].first;
        rr_push_matmul push = *all;
        push.x += first * push.x_stride * 4;
        push.y += first * push.y_stride * 4;
        push.residual = push.flags == RR_MATMUL_RESIDUAL ? push.y : 0;
        push.n_tokens = spans[i].n;
        rr_record_op(compute, matmul_op[spans[i].family], key, &push);
    }
}

void rr_lora_record_inner(rr_compute *compute, const rr_pass *pass, rr_range rows, uint32_t layer,
    rr_lora_input input, uint64_t x, uint32_t x_stride) {
    const rr_lora_group *group = group_of(compute, layer, input);
    if (group != NULL) {
        record(compute, pass, rows,
            &(rr_push_matmul){.lo = group->a,
                .x = x,
                .y = compute->activations.address + compute->at.lora,
                .n_out = group->rank,
                .cols = group->cols,
                .x_stride = x_stride,
                .y_stride = group->rank});
    }
}

void rr_lora_record_outer(rr_compute *compute, const rr_pass *pass, rr_range rows, uint32_t layer,
    rr_lora_input input, uint64_t y, uint32_t y_stride) {
    const rr_lora_group *group = group_of(compute, layer, input);
    if (group == NULL) {
        return;
    }
    for (uint32_t i = 0; i < group->n_parts; i++) {
        const rr_lora_part *part = &group->parts[i];
        if (part->rank != 0) {
            record(compute, pass, rows,
                &(rr_push_matmul){.lo = part->b,
                    .x = compute->activations.address + compute->at.lora + part->first * 4,
                    .y = y,
                    .n_out = part->rows,
                    .cols = part->rank,
                    .x_stride = group->rank,
                    .y_stride = y_stride,
                    .flags = RR_MATMUL_RESIDUAL});
        }
        y += (uint64_t)part->rows * 4;
    }
    rr_record_barrier(compute);
}
