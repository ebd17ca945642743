/* The Qwen2 graph of software devices: activations of 12 bits (shaders/lanes_code.h), everything
 * fused around the products, so that a layer is five dispatches (each wakes all threads of the
 * driver). One generated token alone takes a dispatch a layer where that pays (fused_layer.h).
 * The products serve both families at once; attention has a dispatch for each. Adapters are part of
 * the same ops (lora_lanes.h).
 * A layer: q, k, v with the norm's factor, bias, RoPE and KV write · attention · o with residual
 * and next norm · gate and up with SwiGLU · down with residual and next norm. */
#include <math.h>
#include <stdlib.h>

#include "runtime/compute/fused_layer.h"
#include "runtime/compute/graph.h"
#include "runtime/compute/lora_lanes.h"
#include "shaders/lanes.h"
#include "shaders/lanes_attention.h"

static const rr_op attention_op[RR_N_FAMILIES] = {
    RR_OP_lanes_attention_prefill, RR_OP_lanes_attention_decode};

static rr_kern_key key_of(const rr_model *model, const rr_lanes_matrix *w) {
    return (rr_kern_key){
        .lanes = rr_lanes_code(w->layout.format), .adapted = model->adapters != NULL};
}

static rr_kern_key key_of_qkv(const rr_model *model, const rr_lanes_matrix *w) {
    rr_kern_key key = key_of(model, w);
    key.head_size = model->config.head_size;
    return key;
}

static rr_kern_key key_of_attention(const rr_model *model) {
    return (rr_kern_key){.head_size = model->config.head_size, .adapted = model->adapters != NULL};
}

static rr_kern_key key_of_embed(const rr_model *model, const rr_matrix *w) {
    return (rr_kern_key){.format = w->planes.type, .adapted = model->adapters != NULL};
}

static rr_kern_key key_of_head(const rr_lanes_matrix *w) {
    return (rr_kern_key){.lanes = rr_lanes_code(w->layout.format)};
}

static void record_embed(rr_compute *compute, const rr_pass *pass) {
    const rr_matrix *w = &compute->weights.embedding;
    const rr_activations *at = &compute->at;
    const uint64_t base = compute->activations.address;
    rr_push_lanes_embed push = {RR_PUSH_PLANES(w->address, w->planes),
        .rows = compute->rows.address, .x = base + at->x,
        .norm = compute->weights.layers[0].attn_norm, .codes = base + at->h_codes,
        .groups = base + at->h_groups, .rms = base + at->rms, .cols = w->planes.cols,
        .n_tokens = rr_pass_n_rows(pass), .epsilon = compute->model->config.rms_epsilon,
        .lora = rr_lora_entry(compute, 0, RR_LORA_OP_EMBED)};
    rr_record_op(compute, RR_OP_lanes_embed, key_of_embed(compute->model, w), &push);
    rr_record_barrier(compute);
}

static rr_push_lanes_qkv push_qkv(const rr_compute *compute, uint32_t n_rows, uint32_t index) {
    const rr_model_config *c = &compute->model->config;
    const rr_device_layer *layer = &compute->weights.layers[index];
    const rr_lanes_matrix *w = &layer->lanes.qkv;
    const uint64_t base = compute->activations.address;
    return (rr_push_lanes_qkv){.w = w->address,
        .s = w->address + w->layout.scale_offset,
        .codes = base + compute->at.h_codes,
        .groups = base + compute->at.h_groups,
        .rms = base + compute->at.rms,
        .bias = layer->qkv_bias,
        .q = base + compute->at.qkv,
        .rows = compute->rows.address,
        .table = base + compute->at.table,
        .kv_offset = rr_kv_offset(compute, index),
        .cols = c->d_model,
        .n_tokens = n_rows,
        .n_heads = c->n_heads,
        .n_kv_heads = c->n_kv_heads,
        .lora = rr_lora_entry(compute, index, RR_LORA_OP_QKV)};
}

static rr_push_lanes_attention push_attention(
    const rr_compute *compute, rr_range rows, uint32_t index) {
    const rr_model_config *c = &compute->model->config;
    const uint64_t base = compute->activations.address;
    /* values of q, and of the result */
    const uint64_t before = (uint64_t)rows.first * c->n_heads * c->head_size;
    return (rr_push_lanes_attention){.q = base + compute->at.qkv + before * 4,
        .codes = base + compute->at.attn_codes + before * 2,
        .groups = base + compute->at.attn_groups + before / 4,
        .rows = compute->rows.address + rows.first * sizeof(rr_row),
        .kv_offset = rr_kv_offset(compute, index),
        .n_rows = rows.n,
        .n_heads = c->n_heads,
        .n_kv_heads = c->n_kv_heads,
        .q_stride = c->n_heads * c->head_size,
        .scale = 1.0f / sqrtf((float)c->head_size),
        .lora = rr_lora_entry(compute, index, RR_LORA_OP_ATTENTION),
        .first_row = rows.first};
}

/* x += W a; what follows is normed by `norm`. */
static rr_push_lanes_out push_out(const rr_compute *compute, rr_range rows,
    const rr_lanes_matrix *w, uint64_t codes, uint64_t groups, uint64_t norm, uint64_t lora) {
    const uint64_t base = compute->activations.address;
    /* values before */
    const uint64_t in = (uint64_t)rows.first * w->layout.cols,
                   out = (uint64_t)rows.first * w->layout.rows;
    return (rr_push_lanes_out){.w = w->address,
        .s = w->address + w->layout.scale_offset,
        .codes = base + codes + in * 2,
        .groups = base + groups + in / 4,
        .x = base + compute->at.x + out * 4,
        .norm = norm,
        .out_codes = base + compute->at.h_codes + out * 2,
        .out_groups = base + compute->at.h_groups + out / 4,
        .out_rms = base + compute->at.rms + rows.first * 4,
        .squares = base + compute->at.squares,
        .tickets = base + compute->at.tickets,
        .cols = w->layout.cols,
        .n_tokens = rows.n,
        .n_rows = w->layout.rows,
        .epsilon = compute->model->config.rms_epsilon,
        .lora = lora,
        .first_row = rows.first};
}

static rr_push_lanes_gate_up push_gate_up(
    const rr_compute *compute, rr_range rows, uint32_t index) {
    const rr_lanes_matrix *w = &compute->weights.layers[index].lanes.gate_up;
    const uint64_t base = compute->activations.address;
    const uint64_t in = (uint64_t)rows.first * w->layout.cols,
                   out = (uint64_t)rows.first * compute->model->config.d_ffn;
    return (rr_push_lanes_gate_up){.w = w->address,
        .s = w->address + w->layout.scale_offset,
        .codes = base + compute->at.h_codes + in * 2,
        .groups = base + compute->at.h_groups + in / 4,
        .rms = base + compute->at.rms + rows.first * 4,
        .out_codes = base + compute->at.act_codes + out * 2,
        .out_groups = base + compute->at.act_groups + out / 4,
        .cols = w->layout.cols,
        .n_tokens = rows.n,
        .d_ffn = compute->model->config.d_ffn,
        .first_row = rows.first,
        .lora = rr_lora_entry(compute, index, RR_LORA_OP_GATE_UP),
        .tickets = base + compute->at.tickets};
}

/* Every op of a layer: q, k and v of n_rows, the others of `rows`. */
static struct rr_layer layer_of(
    const rr_compute *compute, uint32_t n_rows, rr_range rows, uint32_t index) {
    const rr_device_layer *layer = &compute->weights.layers[index];
    return (struct rr_layer){
        .qkv = push_qkv(compute, n_rows, index),
        .attention = push_attention(compute, rows, index),
        .o = push_out(compute, rows, &layer->lanes.o, compute->at.attn_codes,
            compute->at.attn_groups, layer->ffn_norm, rr_lora_entry(compute, index, RR_LORA_OP_O)),
        .gate_up = push_gate_up(compute, rows, index),
        .down = push_out(compute, rows, &layer->lanes.down, compute->at.act_codes,
            compute->at.act_groups,
            rr_is_last_layer(compute, index) ? compute->weights.output_norm : layer[1].attn_norm,
            rr_lora_entry(compute, index, RR_LORA_OP_DOWN)),
    };
}

static rr_kern_key key_of_layer(const rr_model *model, const rr_device_layer *layer) {
    rr_kern_key key = key_of_qkv(model, &layer->lanes.qkv);
    key.o = key_of(model, &layer->lanes.o).lanes;
    key.gate_up = key_of(model, &layer->lanes.gate_up).lanes;
    key.down = key_of(model, &layer->lanes.down).lanes;
    return key;
}

static void record_attention(
    rr_compute *compute, const rr_pass *pass, rr_range rows, uint32_t index) {
    rr_span spans[RR_N_FAMILIES];
    const uint32_t n_spans = rr_pass_spans(pass, rows, spans);
    for (uint32_t i = 0; i < n_spans; i++) {
        const rr_push_lanes_attention push =
            push_attention(compute, (rr_range){spans[i].first, spans[i].n}, index);
        rr_record_op(
            compute, attention_op[spans[i].family], key_of_attention(compute->model), &push);
    }
    rr_record_barrier(compute);
}

static void record_layer(rr_compute *compute, const rr_pass *pass, uint32_t index) {
    const rr_device_layer *weights = &compute->weights.layers[index];
    if (rr_fused_layer_is_taken(compute)) {
        rr_fused_layer_record(compute, key_of_layer(compute->model, weights), index);
        return;
    }
    const rr_range rows = rr_rows_beyond_kv(compute, pass, index);
    const struct rr_layer layer = layer_of(compute, rr_pass_n_rows(pass), rows, index);
    rr_record_op(
        compute, RR_OP_lanes_qkv, key_of_qkv(compute->model, &weights->lanes.qkv), &layer.qkv);
    rr_record_barrier(compute);
    rr_graph_record_reading(compute, pass, index,
        layer.attention.q - (uint64_t)rows.first * layer.attention.q_stride * 4,
        layer.attention.q_stride);
    if (rows.n == 0) {
        return;
    }
    record_attention(compute, pass, rows, index);
    const struct {
        rr_op op;
        rr_kern_key key;
        const void *push;
    } ops[] = {
        {RR_OP_lanes_out, key_of(compute->model, &weights->lanes.o), &layer.o},
        {RR_OP_lanes_gate_up, key_of(compute->model, &weights->lanes.gate_up), &layer.gate_up},
        {RR_OP_lanes_out, key_of(compute->model, &weights->lanes.down), &layer.down},
    };
    for (size_t i = 0; i < sizeof ops / sizeof ops[0]; i++) {
        rr_record_op(compute, ops[i].op, ops[i].key, ops[i].push);
        rr_record_barrier(compute);
    }
}

static void record_head(rr_compute *compute, const rr_head_part *part) {
    const uint32_t d_model = compute->model->config.d_model;
    const rr_lanes_matrix *w = &compute->weights.lanes_head;
    const uint64_t base = compute->activations.address;
    const uint64_t row = part->row;
    rr_push_lanes_head push = {.w = w->address,
        .s = w->address + w->layout.scale_offset,
        .codes = base + compute->at.h_codes + row * d_model * 2,
        .groups = base + compute->at.h_groups + row * d_model / 4,
        .rms = base + compute->at.rms + row * 4,
        .y = part->logits,
        .cols = d_model,
        .n_tokens = part->n_rows,
        .n_rows = part->n_cols};
    rr_record_op(compute, RR_OP_lanes_head, key_of_head(w), &push);
    rr_record_barrier(compute);
}

/* The adapters' table; layers as one dispatch, where the device turns out to run workgroups side by
 * side. */
static rr_status start(rr_compute *compute, rr_diag *diag) {
    RR_TRY(rr_lora_table_create(compute, diag));
    const uint32_t n = compute->model->config.n_layers;
    struct rr_layer *layers = malloc(n * sizeof *layers);
    if (layers == NULL) {
        return rr_fail(diag, RR_E_MEMORY, "out of memory for the table of layers");
    }
    for (uint32_t l = 0; l < n; l++) {
        layers[l] = layer_of(compute, 1, (rr_range){0, 1}, l);
    }
    rr_status status = rr_fused_layer_create(
        compute, key_of_layer(compute->model, &compute->weights.layers[0]), layers, n, diag);
    free(layers);
    return status;
}

static rr_status list_kernels(
    const rr_model *model, const rr_weights *weights, const rr_kern_use *use, rr_diag *diag) {
    const rr_kern_key head = key_of_attention(model);
    const rr_keyed_op once[] = {
        {RR_OP_lanes_embed, key_of_embed(model, &weights->embedding)},
        {RR_OP_lanes_attention_prefill, head},
        {RR_OP_lanes_attention_decode, head},
        {RR_OP_lanes_head, key_of_head(&weights->lanes_head)},
        {RR_OP_argmax, {0}},
    };
    RR_TRY(rr_kern_use_all(use, once, sizeof once / sizeof once[0], diag));
    for (uint32_t l = 0; l < model->config.n_layers; l++) {
        const rr_device_layer *layer = &weights->layers[l];
        const rr_keyed_op ops[] = {
            {RR_OP_lanes_qkv, key_of_qkv(model, &layer->lanes.qkv)},
            {RR_OP_lanes_out, key_of(model, &layer->lanes.o)},
            {RR_OP_lanes_gate_up, key_of(model, &layer->lanes.gate_up)},
            {RR_OP_lanes_out, key_of(model, &layer->lanes.down)},
            {RR_OP_lanes_layer, key_of_layer(model, layer)},
        };
        RR_TRY(rr_kern_use_all(use, ops, sizeof ops / sizeof ops[0], diag));
    }
    return RR_OK;
}

const rr_graph rr_graph_lanes = {
    .list_kernels = list_kernels,
    .start = start,
    .begin_pass = rr_fused_layer_begin,
    .end_pass = rr_fused_layer_end,
    .record_embed = record_embed,
    .record_layer = record_layer,
    .record_head = record_head,
    .head_terms = 1,
    .must_repeat = rr_fused_layer_failed,
};
