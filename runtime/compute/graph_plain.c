/* The plain Qwen2 graph: one op a dispatch, float activations, kernels that run everywhere. The
 * oracle of the others. A layer: norm · q, k, v · rope and KV write · attention · o (+ residual) ·
 * norm · gate, up · SwiGLU · down (+ residual). Where the model has adapters, each product is
 * followed by what they add to it. */
#include <math.h>

#include "runtime/compute/graph.h"
#include "runtime/compute/lora_record.h"
#include "shaders/attention.h"
#include "shaders/matmul.h"
#include "shaders/rmsnorm.h"
#include "shaders/rope.h"
#include "shaders/swiglu.h"

static const rr_op matmul_op[RR_N_FAMILIES] = {RR_OP_matmul_prefill, RR_OP_matmul_decode};
static const rr_op attention_op[RR_N_FAMILIES] = {RR_OP_attention_prefill, RR_OP_attention_decode};

static rr_status list_matrix(const rr_matrix *matrix, const rr_kern_use *use, rr_diag *diag) {
    for (int f = 0; f < RR_N_FAMILIES; f++) {
        RR_TRY(
            rr_kern_use_one(use, matmul_op[f], (rr_kern_key){.format = matrix->planes.type}, diag));
    }
    return RR_OK;
}

static rr_status list_kernels(
    const rr_model *model, const rr_weights *weights, const rr_kern_use *use, rr_diag *diag) {
    const rr_model_config *config = &model->config;
    const rr_kern_key none = {0}, head = {.head_size = config->head_size};
    const rr_keyed_op once[] = {
        {RR_OP_embed, {.format = weights->embedding.planes.type}},
        {RR_OP_rmsnorm, none},
        {RR_OP_rope, head},
        {RR_OP_attention_prefill, head},
        {RR_OP_attention_decode, head},
        {RR_OP_swiglu, none},
        {RR_OP_argmax, none},
    };
    RR_TRY(rr_kern_use_all(use, once, sizeof once / sizeof once[0], diag));
    RR_TRY(list_matrix(&weights->output, use, diag));
    RR_TRY(model->adapters != NULL ? rr_lora_list_kernels(use, diag) : RR_OK);
    for (uint32_t l = 0; l < config->n_layers; l++) {
        const rr_device_layer *layer = &weights->layers[l];
        const rr_matrix *matrices[] = {
            &layer->q, &layer->k, &layer->v, &layer->o, &layer->gate, &layer->up, &layer->down};
        for (size_t i = 0; i < sizeof matrices / sizeof matrices[0]; i++) {
            RR_TRY(list_matrix(matrices[i], use, diag));
        }
    }
    return RR_OK;
}

static void record_norm(
    rr_compute *compute, uint64_t x, uint64_t weight, uint64_t y, uint32_t n_rows) {
    rr_push_rmsnorm push = {.x = x,
        .weight = weight,
        .y = y,
        .cols = compute->model->config.d_model,
        .n_rows = n_rows,
        .epsilon = compute->model->config.rms_epsilon};
    rr_record_op(compute, RR_OP_rmsnorm, (rr_kern_key){0}, &push);
}

/* Operands of one matrix product; strides in floats. bias and residual may be 0. */
typedef struct product {
    uint64_t x, y, bias, residual;
    uint32_t x_stride, y_stride, n_tokens;
    uint32_t n_out; /* only the first rows of W; 0 = all */
} product;

static void record_matmul(
    rr_compute *compute, rr_family family, const rr_matrix *w, const product *a) {
    rr_push_matmul push = {RR_PUSH_PLANES(w->address, w->planes), .x = a->x, .y = a->y,
        .bias = a->bias, .residual = a->residual,
        .n_out = a->n_out != 0 ? a->n_out : w->planes.rows, .cols = w->planes.cols,
        .n_tokens = a->n_tokens, .x_stride = a->x_stride, .y_stride = a->y_stride,
        .flags = (a->bias != 0 ? RR_MATMUL_BIAS : 0) | (a->residual != 0 ? RR_MATMUL_RESIDUAL : 0)};
    rr_record_op(compute, matmul_op[family], (rr_kern_key){.format = w->planes.type}, &push);
}

/* The product over rows of a pass, by each family's kernel; `all` begins at row 0. */
static void record_rows(rr_compute *compute, const rr_pass *pass, rr_range rows, const rr_matrix *w,
    const product *all) {
    rr_span spans[RR_N_FAMILIES];
    const uint32_t n_spans = rr_pass_spans(pass, rows, spans);
    for (uint32_t i = 0; i < n_spans; i++) {
        product a = *all;
        a.x += (uint64_t)spans[i].first * a.x_stride * 4;
        a.y += (uint64_t)spans[i].first * a.y_stride * 4;
        a.residual += a.residual != 0 ? (uint64_t)spans[i].first * a.y_stride * 4 : 0;
        a.n_tokens = spans[i].n;
        record_matmul(compute, spans[i].family, w, &a);
    }
}

static void record_scores(rr_compute *compute, const rr_pass *pass, rr_range rows, uint32_t index) {
    const rr_model_config *c = &compute->model->config;
    const uint64_t base = compute->activations.address;
    const uint32_t q = c->n_heads * c->head_size, stride = q + 2 * c->n_kv_heads * c->head_size;
    rr_span spans[RR_N_FAMILIES];
    const uint32_t n_spans = rr_pass_spans(pass, rows, spans);
    for (uint32_t i = 0; i < n_spans; i++) {
        const uint64_t first = spans[i].first;
        rr_push_attention push = {.q = base + compute->at.qkv + first * stride * 4,
            .y = base + compute->at.attn + first * q * 4,
            .rows = compute->rows.address + first * sizeof(rr_row),
            .kv_offset = rr_kv_offset(compute, index),
            .scratch = base + compute->at.split,
            .n_rows = spans[i].n,
            .n_keys = spans[i].n_keys,
            .n_heads = c->n_heads,
            .n_kv_heads = c->n_kv_heads,
            .q_stride = stride,
            .scale = 1.0f / sqrtf((float)c->head_size)};
        rr_record_op(compute, attention_op[spans[i].family],
            (rr_kern_key){.head_size = c->head_size}, &push);
    }
    rr_record_barrier(compute);
}

/* K and V of all rows, attention and its product of `rows`. */
static void record_attention(
    rr_compute *compute, const rr_pass *pass, rr_range rows, uint32_t index) {
    const rr_model_config *c = &compute->model->config;
    const rr_device_layer *layer = &compute->weights.layers[index];
    const uint64_t base = compute->activations.address;
    const uint32_t q = c->n_heads * c->head_size;
    const uint32_t kv = c->n_kv_heads * c->head_size;
    const uint32_t stride = q + 2 * kv;
    const rr_matrix *matrices[3] = {&layer->q, &layer->k, &layer->v};
    const uint32_t first[3] = {0, q, q + kv};

    record_norm(compute, base + compute->at.x, layer->attn_norm, base + compute->at.h,
        rr_pass_n_rows(pass));
    rr_record_barrier(compute);
    for (int i = 0; i < 3; i++) {
        record_rows(compute, pass, rr_pass_all(pass), matrices[i],
            &(product){.x = base + compute->at.h,
                .y = base + compute->at.qkv + (uint64_t)first[i] * 4,
                .bias = layer->qkv_bias + (uint64_t)first[i] * 4,
                .x_stride = c->d_model,
                .y_stride = stride});
    }
    const uint64_t h = base + compute->at.h, qkv = base + compute->at.qkv;
    rr_lora_record_inner(compute, pass, rr_pass_all(pass), index, RR_LORA_QKV, h, c->d_model);
    rr_record_barrier(compute);
    rr_lora_record_outer(compute, pass, rr_pass_all(pass), index, RR_LORA_QKV, qkv, stride);
    rr_push_rope rope = {.qkv = base + compute->at.qkv,
        .rows = compute->rows.address,
        .table = base + compute->at.table,
        .kv_offset = rr_kv_offset(compute, index),
        .n_rows = rr_pass_n_rows(pass),
        .n_heads = c->n_heads,
        .n_kv_heads = c->n_kv_heads};
    rr_record_op(compute, RR_OP_rope, (rr_kern_key){.head_size = c->head_size}, &rope);
    rr_record_barrier(compute);
    rr_graph_record_reading(compute, pass, index, base + compute->at.qkv, stride);
    if (rows.n == 0) {
        return;
    }
    record_scores(compute, pass, rows, index);
    record_rows(compute, pass, rows, &layer->o,
        &(product){.x = base + compute->at.attn,
            .y = base + compute->at.x,
            .residual = base + compute->at.x,
            .x_stride = q,
            .y_stride = c->d_model});
    const uint64_t attn = base + compute->at.attn, x = base + compute->at.x;
    rr_lora_record_inner(compute, pass, rows, index, RR_LORA_O, attn, q);
    rr_record_barrier(compute);
    rr_lora_record_outer(compute, pass, rows, index, RR_LORA_O, x, c->d_model);
}

static void record_ffn(rr_compute *compute, const rr_pass *pass, rr_range rows, uint32_t index) {
    const rr_model_config *c = &compute->model->config;
    const rr_device_layer *layer = &compute->weights.layers[index];
    const uint64_t base = compute->activations.address;
    const rr_matrix *matrices[2] = {&layer->gate, &layer->up};

    const uint64_t before = (uint64_t)rows.first * c->d_model * 4;
    record_norm(compute, base + compute->at.x + before, layer->ffn_norm,
        base + compute->at.h + before, rows.n);
    rr_record_barrier(compute);
    for (uint64_t i = 0; i < 2; i++) {
        record_rows(compute, pass, rows, matrices[i],
            &(product){.x = base + compute->at.h,
                .y = base + compute->at.gate_up + i * c->d_ffn * 4,
                .x_stride = c->d_model,
                .y_stride = 2 * c->d_ffn});
    }
    const uint64_t h = base + compute->at.h, gate_up = base + compute->at.gate_up;
    rr_lora_record_inner(compute, pass, rows, index, RR_LORA_GATE_UP, h, c->d_model);
    rr_record_barrier(compute);
    rr_lora_record_outer(compute, pass, rows, index, RR_LORA_GATE_UP, gate_up, 2 * c->d_ffn);
    rr_push_swiglu swiglu = {
        .gate_up = base + compute->at.gate_up + (uint64_t)rows.first * 2 * c->d_ffn * 4,
        .y = base + compute->at.act + (uint64_t)rows.first * c->d_ffn * 4,
        .cols = c->d_ffn,
        .n_rows = rows.n};
    rr_record_op(compute, RR_OP_swiglu, (rr_kern_key){0}, &swiglu);
    rr_record_barrier(compute);
    record_rows(compute, pass, rows, &layer->down,
        &(product){.x = base + compute->at.act,
            .y = base + compute->at.x,
            .residual = base + compute->at.x,
            .x_stride = c->d_ffn,
            .y_stride = c->d_model});
    const uint64_t act = base + compute->at.act, x = base + compute->at.x;
    rr_lora_record_inner(compute, pass, rows, index, RR_LORA_DOWN, act, c->d_ffn);
    rr_record_barrier(compute);
    rr_lora_record_outer(compute, pass, rows, index, RR_LORA_DOWN, x, c->d_model);
}

static void record_layer(rr_compute *compute, const rr_pass *pass, uint32_t index) {
    const rr_range rows = rr_rows_beyond_kv(compute, pass, index);
    record_attention(compute, pass, rows, index);
    if (rows.n > 0) {
        record_ffn(compute, pass, rows, index);
    }
}

static void record_head(rr_compute *compute, const rr_head_part *part) {
    const rr_model_config *c = &compute->model->config;
    const uint64_t base = compute->activations.address;
    const uint64_t head_in = base + compute->at.head_in + (uint64_t)part->begin * c->d_model * 4;
    record_norm(compute, base + compute->at.x + (uint64_t)part->row * c->d_model * 4,
        compute->weights.output_norm, head_in, part->n_rows);
    rr_record_barrier(compute);
    record_matmul(compute, part->family, &compute->weights.output,
        &(product){.x = head_in,
            .y = part->logits,
            .x_stride = c->d_model,
            .y_stride = part->n_cols,
            .n_out = part->n_cols,
            .n_tokens = part->n_rows});
    rr_record_barrier(compute);
}

const rr_graph rr_graph_plain = {
    .list_kernels = list_kernels,
    .record_embed = rr_graph_record_embed,
    .record_layer = record_layer,
    .record_head = record_head,
    .head_terms = 1,
};
