/* The Qwen2 graph of GPUs with integer dot products: int8 activations, each quantized once by its
 * producer, and products that end in what follows them. Seven dispatches a layer (eight where
 * attention cannot quantize its result): norm · q, k, v with bias, RoPE and KV write · attention ·
 * o (+ residual) · norm · gate and up with SwiGLU · down (+ residual). A file whose q, k and v have
 * different formats takes a dispatch for each format, side by side. Where the model has adapters,
 * products end in floats, which adapters are added to, and what follows them is an op of its own,
 * as in the plain graph; what adapters read is not quantized. */
#include <math.h>

#include "runtime/compute/graph.h"
#include "runtime/compute/lora_record.h"
#include "shaders/attention.h"
#include "shaders/matmul_q8.h"
#include "shaders/rmsnorm.h"
#include "shaders/rmsnorm_q8.h"
#include "shaders/rope.h"
#include "shaders/swiglu.h"

static const rr_op matmul_op[RR_N_FAMILIES] = {RR_OP_matmul_q8_prefill, RR_OP_matmul_q8_decode};
static const rr_op attention_op[RR_N_FAMILIES] = {RR_OP_attention_prefill, RR_OP_attention_decode};

static rr_status list_matrix(
    const rr_matrix *matrix, uint32_t end, const rr_kern_use *use, rr_diag *diag) {
    const rr_kern_key key = {.format = matrix->planes.type, .end = end};
    for (int f = 0; f < RR_N_FAMILIES; f++) {
        RR_TRY(rr_kern_use_one(use, matmul_op[f], key, diag));
    }
    return RR_OK;
}

static rr_status list_kernels(
    const rr_model *model, const rr_weights *weights, const rr_kern_use *use, rr_diag *diag) {
    const rr_model_config *config = &model->config;
    const bool adapted = model->adapters != NULL;
    const rr_kern_key none = {0}, head = {.head_size = config->head_size};
    const rr_keyed_op once[] = {
        {RR_OP_embed, {.format = weights->embedding.planes.type}},
        {RR_OP_rmsnorm_q8, none},
        {RR_OP_attention_prefill, head},
        {RR_OP_attention_decode, head},
        {RR_OP_argmax, none},
    };
    RR_TRY(rr_kern_use_all(use, once, sizeof once / sizeof once[0], diag));
    RR_TRY(list_matrix(&weights->output, RR_END_F32, use, diag));
    if (adapted) {
        const rr_keyed_op apart[] = {
            {RR_OP_rmsnorm, none}, {RR_OP_rope, head}, {RR_OP_swiglu, none}};
        RR_TRY(rr_kern_use_all(use, apart, sizeof apart / sizeof apart[0], diag));
        RR_TRY(rr_lora_list_kernels(use, diag));
    }
    for (uint32_t l = 0; l < config->n_layers; l++) {
        const rr_device_layer *layer = &weights->layers[l];
        for (uint32_t i = 0; i < layer->q8.n_qkv; i++) {
            RR_TRY(list_matrix(&layer->q8.qkv[i], adapted ? RR_END_F32 : RR_END_ROPE, use, diag));
        }
        RR_TRY(list_matrix(&layer->o, RR_END_F32, use, diag));
        RR_TRY(list_matrix(&layer->q8.gate_up, adapted ? RR_END_F32 : RR_END_SWIGLU, use, diag));
        RR_TRY(list_matrix(&layer->down, RR_END_F32, use, diag));
    }
    return RR_OK;
}

/* Int8 activations: offsets of their planes. */
typedef struct codes {
    uint64_t values, groups;
} codes;

/* to = q8(x), normed when `weight` is not 0; of two terms, the second's rows follow. */
static void record_norm(rr_compute *compute, uint64_t x, uint64_t weight, codes to, uint32_t n_rows,
    uint32_t cols, uint32_t n_terms) {
    const uint64_t base = compute->activations.address;
    rr_push_rmsnorm_q8 push = {.x = x,
        .weight = weight,
        .y = base + to.values,
        .groups = base + to.groups,
        .cols = cols,
        .n_rows = n_rows,
        .n_terms = n_terms,
        .epsilon = compute->model->config.rms_epsilon};
    rr_record_op(compute, RR_OP_rmsnorm_q8, (rr_kern_key){0}, &push);
    rr_record_barrier(compute);
}

/* The norm's floats, for adapters. */
static void record_float_norm(rr_compute *compute, rr_range rows, uint64_t weight) {
    const rr_model_config *c = &compute->model->config;
    const uint64_t base = compute->activations.address;
    const uint64_t before = (uint64_t)rows.first * c->d_model * 4;
    const rr_push_rmsnorm push = {.x = base + compute->at.x + before,
        .weight = weight,
        .y = base + compute->at.h + before,
        .cols = c->d_model,
        .n_rows = rows.n,
        .epsilon = c->rms_epsilon};
    if (compute->lora != NULL) {
        rr_record_op(compute, RR_OP_rmsnorm, (rr_kern_key){0}, &push);
    }
}

/* From a row's q to the next one's: with adapters k and v stand between them. */
static uint32_t q_stride(const rr_compute *compute) {
    const rr_model_config *c = &compute->model->config;
    return (c->n_heads + (compute->lora != NULL ? 2 * c->n_kv_heads : 0)) * c->head_size;
}

/* The part of a product's push block that all ends share. */
static rr_push_matmul_q8 product(
    const rr_compute *compute, const rr_matrix *w, codes x, uint32_t n_tokens) {
    const uint64_t base = compute->activations.address;
    return (rr_push_matmul_q8){RR_PUSH_PLANES(w->address, w->planes), .x = base + x.values,
        .x_groups = base + x.groups, .n_out = w->planes.rows, .cols = w->planes.cols,
        .n_tokens = n_tokens};
}

static void record_matmul(rr_compute *compute, rr_family family, const rr_matrix *w, uint32_t end,
    const rr_push_matmul_q8 *push) {
    rr_record_op(
        compute, matmul_op[family], (rr_kern_key){.format = w->planes.type, .end = end}, push);
}

/* Where row `row` of activations of `cols` values begins. */
static codes codes_at(codes c, uint32_t row, uint32_t cols) {
    return (codes){c.values + (uint64_t)row * cols, c.groups + (uint64_t)row * cols / 4};
}

/* Rows of the product of q, k and v that one family's kernel makes: those of matrix w, whose first
 * is row `first` of all. */
static void record_heads(rr_compute *compute, const rr_span *span, uint32_t index,
    const rr_matrix *w, uint32_t first, codes x) {
    const rr_model_config *c = &compute->model->config;
    const uint64_t base = compute->activations.address;
    rr_push_matmul_q8 push = product(compute, w, codes_at(x, span->first, w->planes.cols), span->n);
    push.y_stride = c->n_heads * c->head_size;
    push.y = base + compute->at.qkv + ((uint64_t)span->first * push.y_stride + first) * 4;
    push.bias = compute->weights.layers[index].qkv_bias + (uint64_t)first * 4;
    push.rows = compute->rows.address + span->first * sizeof(rr_row);
    push.table = base + compute->at.table;
    push.kv_offset = rr_kv_offset(compute, index);
    push.gap = c->head_size / 2;
    push.first = first;
    push.heads = c->n_heads | c->n_kv_heads << 16;
    record_matmul(compute, span->family, w, RR_END_ROPE, &push);
}

static void record_qkv(rr_compute *compute, const rr_pass *pass, uint32_t index, codes x) {
    const rr_device_layer *layer = &compute->weights.layers[index];
    rr_span spans[RR_N_FAMILIES];
    const uint32_t n_spans = rr_pass_spans(pass, rr_pass_all(pass), spans);
    uint32_t first = 0;
    for (uint32_t i = 0; i < layer->q8.n_qkv; i++) {
        const rr_matrix *w = &layer->q8.qkv[i];
        for (uint32_t s = 0; s < n_spans; s++) {
            record_heads(compute, &spans[s], index, w, first, x);
        }
        first += w->planes.rows;
    }
    rr_record_barrier(compute);
}

/* y = W a (+ bias) in floats; y and its stride are those of all rows. */
static void record_floats(rr_compute *compute, const rr_pass *pass, rr_range rows,
    const rr_matrix *w, codes a, uint64_t y, uint32_t y_stride, uint64_t bias) {
    rr_span spans[RR_N_FAMILIES];
    const uint32_t n_spans = rr_pass_spans(pass, rows, spans);
    for (uint32_t i = 0; i < n_spans; i++) {
        rr_push_matmul_q8 push =
            product(compute, w, codes_at(a, spans[i].first, w->planes.cols), spans[i].n);
        push.y_stride = y_stride;
        push.y = y + (uint64_t)spans[i].first * y_stride * 4;
        push.bias = bias;
        record_matmul(compute, spans[i].family, w, RR_END_F32, &push);
    }
}

/* The same with adapters: RoPE and KV write follow. */
static void record_adapted_qkv(rr_compute *compute, const rr_pass *pass, uint32_t index, codes x) {
    const rr_model_config *c = &compute->model->config;
    const rr_device_layer *layer = &compute->weights.layers[index];
    const rr_range all = rr_pass_all(pass);
    const uint64_t base = compute->activations.address, qkv = base + compute->at.qkv;
    uint64_t first = 0;
    for (uint32_t i = 0; i < layer->q8.n_qkv; i++) {
        record_floats(compute, pass, all, &layer->q8.qkv[i], x, qkv + first * 4, q_stride(compute),
            layer->qkv_bias + first * 4);
        first += layer->q8.qkv[i].planes.rows;
    }
    rr_lora_record_inner(compute, pass, all, index, RR_LORA_QKV, base + compute->at.h, c->d_model);
    rr_record_barrier(compute);
    rr_lora_record_outer(compute, pass, all, index, RR_LORA_QKV, qkv, q_stride(compute));
    const rr_push_rope rope = {.qkv = qkv,
        .rows = compute->rows.address,
        .table = base + compute->at.table,
        .kv_offset = rr_kv_offset(compute, index),
        .n_rows = all.n,
        .n_heads = c->n_heads,
        .n_kv_heads = c->n_kv_heads};
    rr_record_op(compute, RR_OP_rope, (rr_kern_key){.head_size = c->head_size}, &rope);
    rr_record_barrier(compute);
}

/* Attention of one family's rows. True when the kernel also quantized the result; else it is in
 * floats. */
static bool record_scores(rr_compute *compute, const rr_span *span, uint32_t index, codes result) {
    const rr_model_config *c = &compute->model->config;
    const uint64_t base = compute->activations.address;
    const uint32_t q = c->n_heads * c->head_size;
    const rr_op op = attention_op[span->family];
    const rr_kern_key key = {.head_size = c->head_size};
    const codes to = codes_at(result, span->first, q);
    bool quantizes = compute->lora == NULL && c->head_size % 32 == 0 &&
        rr_attention_quantizes(rr_pick(op, &key, rr_vk_info(compute->device)));
    rr_push_attention push = {
        .q = base + compute->at.qkv + (uint64_t)span->first * q_stride(compute) * 4,
        .y = base + (quantizes ? to.values : compute->at.attn + (uint64_t)span->first * q * 4),
        .groups = quantizes ? base + to.groups : 0,
        .rows = compute->rows.address + span->first * sizeof(rr_row),
        .kv_offset = rr_kv_offset(compute, index),
        .scratch = base + compute->at.split,
        .n_rows = span->n,
        .n_keys = span->n_keys,
        .n_heads = c->n_heads,
        .n_kv_heads = c->n_kv_heads,
        .q_stride = q_stride(compute),
        .scale = 1.0f / sqrtf((float)c->head_size)};
    rr_record_op(compute, op, key, &push);
    return quantizes;
}

/* Also quantizes the result, in the same dispatch where the kernel can. */
static void record_attention(
    rr_compute *compute, const rr_pass *pass, rr_range rows, uint32_t index, codes result) {
    const rr_model_config *c = &compute->model->config;
    const uint32_t q = c->n_heads * c->head_size;
    rr_span spans[RR_N_FAMILIES];
    bool quantized[RR_N_FAMILIES];
    const uint32_t n_spans = rr_pass_spans(pass, rows, spans);
    for (uint32_t i = 0; i < n_spans; i++) {
        quantized[i] = record_scores(compute, &spans[i], index, result);
    }
    rr_record_barrier(compute);
    for (uint32_t i = 0; i < n_spans; i++) {
        if (!quantized[i]) {
            record_norm(compute,
                compute->activations.address + compute->at.attn + (uint64_t)spans[i].first * q * 4,
                0, codes_at(result, spans[i].first, q), spans[i].n, q, 1);
        }
    }
}

/* x += W a */
static void record_product(
    rr_compute *compute, const rr_pass *pass, rr_range rows, const rr_matrix *w, codes a) {
    rr_span spans[RR_N_FAMILIES];
    const uint32_t n_spans = rr_pass_spans(pass, rows, spans);
    for (uint32_t i = 0; i < n_spans; i++) {
        rr_push_matmul_q8 push =
            product(compute, w, codes_at(a, spans[i].first, w->planes.cols), spans[i].n);
        push.y_stride = w->planes.rows;
        push.y = push.extra = compute->activations.address + compute->at.x +
            (uint64_t)spans[i].first * push.y_stride * 4;
        record_matmul(compute, spans[i].family, w, RR_END_F32, &push);
    }
}

/* x += W a, and what adapters add; `floats` = a as they take it. */
static void record_out(rr_compute *compute, const rr_pass *pass, rr_range rows, uint32_t index,
    rr_lora_input input, codes a, uint64_t floats) {
    const rr_device_layer *layer = &compute->weights.layers[index];
    const rr_matrix *w = input == RR_LORA_O ? &layer->o : &layer->down;
    record_product(compute, pass, rows, w, a);
    rr_lora_record_inner(compute, pass, rows, index, input, floats, w->planes.cols);
    rr_record_barrier(compute);
    rr_lora_record_outer(compute, pass, rows, index, input,
        compute->activations.address + compute->at.x, compute->model->config.d_model);
}

/* The same as below with adapters: SwiGLU and quantization follow. */
static void record_adapted_gate_up(
    rr_compute *compute, const rr_pass *pass, rr_range rows, uint32_t index, codes h, codes to) {
    const rr_model_config *c = &compute->model->config;
    const rr_activations *at = &compute->at;
    const uint64_t base = compute->activations.address, gate_up = base + at->gate_up;
    const uint64_t act = base + at->act + (uint64_t)rows.first * c->d_ffn * 4;
    const rr_matrix *w = &compute->weights.layers[index].q8.gate_up;
    record_floats(compute, pass, rows, w, h, gate_up, 2 * c->d_ffn, 0);
    rr_lora_record_inner(compute, pass, rows, index, RR_LORA_GATE_UP, base + at->h, c->d_model);
    rr_record_barrier(compute);
    rr_lora_record_outer(compute, pass, rows, index, RR_LORA_GATE_UP, gate_up, 2 * c->d_ffn);
    const rr_push_swiglu push = {.gate_up = gate_up + (uint64_t)rows.first * 2 * c->d_ffn * 4,
        .y = act,
        .cols = c->d_ffn,
        .n_rows = rows.n};
    rr_record_op(compute, RR_OP_swiglu, (rr_kern_key){0}, &push);
    rr_record_barrier(compute);
    record_norm(compute, act, 0, codes_at(to, rows.first, c->d_ffn), rows.n, c->d_ffn, 1);
}

/* to = q8(SwiGLU of gate and up) */
static void record_gate_up(rr_compute *compute, const rr_pass *pass, rr_range rows,
    const rr_matrix *w, codes h, codes to) {
    const uint64_t base = compute->activations.address;
    const uint32_t d_ffn = compute->model->config.d_ffn;
    rr_span spans[RR_N_FAMILIES];
    const uint32_t n_spans = rr_pass_spans(pass, rows, spans);
    for (uint32_t i = 0; i < n_spans; i++) {
        const codes out = codes_at(to, spans[i].first, d_ffn);
        rr_push_matmul_q8 push =
            product(compute, w, codes_at(h, spans[i].first, w->planes.cols), spans[i].n);
        push.y = base + out.values;
        push.extra = base + out.groups;
        push.gap = d_ffn;
        record_matmul(compute, spans[i].family, w, RR_END_SWIGLU, &push);
    }
    rr_record_barrier(compute);
}

static void record_layer(rr_compute *compute, const rr_pass *pass, uint32_t index) {
    const rr_model_config *c = &compute->model->config;
    const rr_activations *at = &compute->at;
    const rr_device_layer *layer = &compute->weights.layers[index];
    const uint64_t base = compute->activations.address;
    const codes h = {at->h_codes, at->h_groups}, attn = {at->attn_codes, at->attn_groups},
                act = {at->act_codes, at->act_groups};
    const rr_range rows = rr_rows_beyond_kv(compute, pass, index);
    record_float_norm(compute, rr_pass_all(pass), layer->attn_norm);
    record_norm(compute, base + at->x, layer->attn_norm, h, rr_pass_n_rows(pass), c->d_model, 1);
    if (compute->lora != NULL) {
        record_adapted_qkv(compute, pass, index, h);
    } else {
        record_qkv(compute, pass, index, h);
    }
    rr_graph_record_reading(compute, pass, index, base + at->qkv, q_stride(compute));
    if (rows.n == 0) {
        return;
    }
    record_attention(compute, pass, rows, index, attn);
    record_out(compute, pass, rows, index, RR_LORA_O, attn, base + at->attn);
    record_float_norm(compute, rows, layer->ffn_norm);
    record_norm(compute, base + at->x + (uint64_t)rows.first * c->d_model * 4, layer->ffn_norm,
        codes_at(h, rows.first, c->d_model), rows.n, c->d_model, 1);
    if (compute->lora != NULL) {
        record_adapted_gate_up(compute, pass, rows, index, h, act);
    } else {
        record_gate_up(compute, pass, rows, &layer->q8.gate_up, h, act);
    }
    record_out(compute, pass, rows, index, RR_LORA_DOWN, act, base + at->act);
}

/* lm_head's rounding goes straight into the logits, where it would be a third of the whole graph's,
 * so its input comes as two int8 terms: rows of their own for the product, added up by the arg max.
 * The second term's logits lie behind the first's, where those of the next head rows will. */
static void record_head(rr_compute *compute, const rr_head_part *part) {
    const rr_model_config *c = &compute->model->config;
    const codes h = {compute->at.h_codes, compute->at.h_groups};
    record_norm(compute,
        compute->activations.address + compute->at.x + (uint64_t)part->row * c->d_model * 4,
        compute->weights.output_norm, h, part->n_rows, c->d_model, 2);
    rr_push_matmul_q8 push = product(compute, &compute->weights.output, h, 2 * part->n_rows);
    push.y = part->logits;
    push.n_out = push.y_stride = part->n_cols;
    record_matmul(compute, part->family, &compute->weights.output, RR_END_F32, &push);
    rr_record_barrier(compute);
}

const rr_graph rr_graph_q8 = {
    .list_kernels = list_kernels,
    .record_embed = rr_graph_record_embed,
    .record_layer = record_layer,
    .record_head = record_head,
    .head_terms = 2,
};
