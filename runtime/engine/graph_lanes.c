/* The Qwen2 graph of software devices: activations of 12 bits (shaders/lanes_code.h), everything
 * fused around the products, so that a layer is five dispatches (each wakes all threads of the
 * driver). One generated token alone takes a dispatch a layer where that pays (resident.h).
 * The products serve both families at once; attention has a dispatch for each.
 * A layer: q, k, v with the norm's factor, bias, RoPE and KV write · attention · o with residual
 * and next norm · gate and up with SwiGLU · down with residual and next norm. */
#include <math.h>
#include <stdlib.h>

#include "runtime/engine/graph.h"
#include "runtime/engine/resident.h"
#include "shaders/argmax.h"
#include "shaders/lanes.h"
#include "shaders/lanes_attention.h"

static const rr_op attention_op[RR_N_FAMILIES] = {
    RR_OP_lanes_attention_prefill, RR_OP_lanes_attention_decode};

static rr_kern_key key_of(const rr_lanes_matrix *w) {
    return (rr_kern_key){.lanes = rr_lanes_code(w->layout.format)};
}

static rr_kern_key key_of_qkv(const rr_engine *engine, const rr_lanes_matrix *w) {
    return (rr_kern_key){
        .lanes = rr_lanes_code(w->layout.format), .head_size = engine->model->config.head_size};
}

static void record_embed(rr_engine *engine, const rr_pass *pass) {
    const rr_matrix *w = &engine->weights.embedding;
    const rr_activations *at = &engine->at;
    const uint64_t base = engine->activations.address;
    rr_push_lanes_embed push = {.lo = w->address + w->planes.lo_offset,
        .hi = w->address + w->planes.hi_offset,
        .scale = w->address + w->planes.scale_offset,
        .super = w->address + w->planes.super_offset,
        .rows = engine->rows.address,
        .x = base + at->x,
        .norm = engine->weights.layers[0].attn_norm,
        .codes = base + at->h_codes,
        .groups = base + at->h_groups,
        .rms = base + at->rms,
        .cols = w->planes.cols,
        .n_tokens = rr_pass_n_rows(pass),
        .epsilon = engine->model->config.rms_epsilon};
    rr_graph_record(engine, RR_OP_lanes_embed, (rr_kern_key){.format = w->planes.type}, &push);
    rr_graph_barrier(engine);
}

static rr_push_lanes_qkv push_qkv(const rr_engine *engine, uint32_t n_rows, uint32_t index) {
    const rr_model_config *c = &engine->model->config;
    const rr_device_layer *layer = &engine->weights.layers[index];
    const rr_lanes_matrix *w = &layer->lanes.qkv;
    const uint64_t base = engine->activations.address;
    return (rr_push_lanes_qkv){.w = w->address,
        .s = w->address + w->layout.scale_offset,
        .codes = base + engine->at.h_codes,
        .groups = base + engine->at.h_groups,
        .rms = base + engine->at.rms,
        .bias = layer->qkv_bias,
        .q = base + engine->at.qkv,
        .rows = engine->rows.address,
        .table = base + engine->at.table,
        .kv_offset = rr_kv_offset(engine, index),
        .cols = c->d_model,
        .n_tokens = n_rows,
        .n_heads = c->n_heads,
        .n_kv_heads = c->n_kv_heads};
}

static rr_push_lanes_attention push_attention(
    const rr_engine *engine, rr_range rows, uint32_t index) {
    const rr_model_config *c = &engine->model->config;
    const uint64_t base = engine->activations.address;
    /* values of q, and of the result */
    const uint64_t before = (uint64_t)rows.first * c->n_heads * c->head_size;
    return (rr_push_lanes_attention){.q = base + engine->at.qkv + before * 4,
        .codes = base + engine->at.attn_codes + before * 2,
        .groups = base + engine->at.attn_groups + before / 4,
        .rows = engine->rows.address + rows.first * sizeof(rr_row),
        .kv_offset = rr_kv_offset(engine, index),
        .n_rows = rows.n,
        .n_heads = c->n_heads,
        .n_kv_heads = c->n_kv_heads,
        .q_stride = c->n_heads * c->head_size,
        .scale = 1.0f / sqrtf((float)c->head_size)};
}

/* x += W a; what follows is normed by `norm`. */
static rr_push_lanes_out push_out(const rr_engine *engine, rr_range rows, const rr_lanes_matrix *w,
    uint64_t codes, uint64_t groups, uint64_t norm) {
    const uint64_t base = engine->activations.address;
    /* values before */
    const uint64_t in = (uint64_t)rows.first * w->layout.cols,
                   out = (uint64_t)rows.first * w->layout.rows;
    return (rr_push_lanes_out){.w = w->address,
        .s = w->address + w->layout.scale_offset,
        .codes = base + codes + in * 2,
        .groups = base + groups + in / 4,
        .x = base + engine->at.x + out * 4,
        .norm = norm,
        .out_codes = base + engine->at.h_codes + out * 2,
        .out_groups = base + engine->at.h_groups + out / 4,
        .out_rms = base + engine->at.rms + rows.first * 4,
        .squares = base + engine->at.squares,
        .tickets = base + engine->at.tickets,
        .cols = w->layout.cols,
        .n_tokens = rows.n,
        .n_rows = w->layout.rows,
        .epsilon = engine->model->config.rms_epsilon};
}

static rr_push_lanes_gate_up push_gate_up(
    const rr_engine *engine, rr_range rows, const rr_lanes_matrix *w) {
    const uint64_t base = engine->activations.address;
    const uint64_t in = (uint64_t)rows.first * w->layout.cols,
                   out = (uint64_t)rows.first * engine->model->config.d_ffn;
    return (rr_push_lanes_gate_up){.w = w->address,
        .s = w->address + w->layout.scale_offset,
        .codes = base + engine->at.h_codes + in * 2,
        .groups = base + engine->at.h_groups + in / 4,
        .rms = base + engine->at.rms + rows.first * 4,
        .out_codes = base + engine->at.act_codes + out * 2,
        .out_groups = base + engine->at.act_groups + out / 4,
        .cols = w->layout.cols,
        .n_tokens = rows.n,
        .d_ffn = engine->model->config.d_ffn};
}

/* Every op of a layer: q, k and v of n_rows, the others of `rows`. */
static struct rr_layer layer_of(
    const rr_engine *engine, uint32_t n_rows, rr_range rows, uint32_t index) {
    const rr_device_layer *layer = &engine->weights.layers[index];
    return (struct rr_layer){
        .qkv = push_qkv(engine, n_rows, index),
        .attention = push_attention(engine, rows, index),
        .o = push_out(engine, rows, &layer->lanes.o, engine->at.attn_codes, engine->at.attn_groups,
            layer->ffn_norm),
        .gate_up = push_gate_up(engine, rows, &layer->lanes.gate_up),
        .down =
            push_out(engine, rows, &layer->lanes.down, engine->at.act_codes, engine->at.act_groups,
                rr_is_last_layer(engine, index) ? engine->weights.output_norm : layer[1].attn_norm),
    };
}

static rr_kern_key key_of_layer(const rr_engine *engine, const rr_device_layer *layer) {
    rr_kern_key key = key_of_qkv(engine, &layer->lanes.qkv);
    key.o = key_of(&layer->lanes.o).lanes;
    key.gate_up = key_of(&layer->lanes.gate_up).lanes;
    key.down = key_of(&layer->lanes.down).lanes;
    return key;
}

static void record_attention(
    rr_engine *engine, const rr_pass *pass, rr_range rows, uint32_t index) {
    rr_span spans[RR_N_FAMILIES];
    const uint32_t n_spans = rr_pass_spans(pass, rows, spans);
    for (uint32_t i = 0; i < n_spans; i++) {
        const rr_push_lanes_attention push =
            push_attention(engine, (rr_range){spans[i].first, spans[i].n}, index);
        rr_graph_record(engine, attention_op[spans[i].family],
            (rr_kern_key){.head_size = engine->model->config.head_size}, &push);
    }
    rr_graph_barrier(engine);
}

static void record_layer(rr_engine *engine, const rr_pass *pass, uint32_t index) {
    const rr_device_layer *weights = &engine->weights.layers[index];
    if (rr_resident_is_together(engine)) {
        rr_resident_record(engine, key_of_layer(engine, weights), index);
        return;
    }
    const rr_range rows = rr_rows_beyond_kv(engine, pass, index);
    const struct rr_layer layer = layer_of(engine, rr_pass_n_rows(pass), rows, index);
    rr_graph_record(engine, RR_OP_lanes_qkv, key_of_qkv(engine, &weights->lanes.qkv), &layer.qkv);
    rr_graph_barrier(engine);
    rr_graph_record_reading(engine, pass, index,
        layer.attention.q - (uint64_t)rows.first * layer.attention.q_stride * 4,
        layer.attention.q_stride);
    if (rows.n == 0) {
        return;
    }
    record_attention(engine, pass, rows, index);
    const struct {
        rr_op op;
        rr_kern_key key;
        const void *push;
    } ops[] = {
        {RR_OP_lanes_out, key_of(&weights->lanes.o), &layer.o},
        {RR_OP_lanes_gate_up, key_of(&weights->lanes.gate_up), &layer.gate_up},
        {RR_OP_lanes_out, key_of(&weights->lanes.down), &layer.down},
    };
    for (size_t i = 0; i < sizeof ops / sizeof ops[0]; i++) {
        rr_graph_record(engine, ops[i].op, ops[i].key, ops[i].push);
        rr_graph_barrier(engine);
    }
}

static void record_head(rr_engine *engine, const rr_pass *pass, uint32_t begin, uint32_t end) {
    const rr_model_config *c = &engine->model->config;
    const rr_lanes_matrix *w = &engine->weights.lanes_head;
    const uint64_t base = engine->activations.address;
    const uint32_t n_cols = rr_head_cols(engine, pass);
    const uint64_t row = pass->head_first + begin;
    const uint64_t logits = base + engine->at.logits + (uint64_t)begin * n_cols * 4;
    rr_push_lanes_head push = {.w = w->address,
        .s = w->address + w->layout.scale_offset,
        .codes = base + engine->at.h_codes + row * c->d_model * 2,
        .groups = base + engine->at.h_groups + row * c->d_model / 4,
        .rms = base + engine->at.rms + row * 4,
        .y = logits,
        .cols = c->d_model,
        .n_tokens = end - begin,
        .n_rows = n_cols};
    rr_graph_record(engine, RR_OP_lanes_head, key_of(w), &push);
    rr_graph_barrier(engine);
    rr_push_argmax argmax = {.x = logits,
        .y = base + engine->at.ids + (uint64_t)begin * 4,
        .cols = n_cols,
        .n_rows = end - begin,
        .n_terms = 1};
    rr_graph_record(engine, RR_OP_argmax, (rr_kern_key){0}, &argmax);
    rr_graph_barrier(engine);
}

/* Layers as one dispatch, where the device turns out to run workgroups side by side. */
static rr_status start(rr_engine *engine, rr_diag *diag) {
    const uint32_t n = engine->model->config.n_layers;
    struct rr_layer *layers = malloc(n * sizeof *layers);
    if (layers == NULL) {
        return rr_fail(diag, RR_E_MEMORY, "out of memory for the table of layers");
    }
    for (uint32_t l = 0; l < n; l++) {
        layers[l] = layer_of(engine, 1, (rr_range){0, 1}, l);
    }
    rr_status status = rr_resident_create(
        engine, key_of_layer(engine, &engine->weights.layers[0]), layers, n, diag);
    free(layers);
    return status;
}

static rr_status prepare(rr_engine *engine, rr_diag *diag) {
    const rr_kern_key head = {.head_size = engine->model->config.head_size};
    const struct {
        rr_op op;
        rr_kern_key key;
    } once[] = {
        {RR_OP_lanes_embed, {.format = engine->weights.embedding.planes.type}},
        {RR_OP_lanes_attention_prefill, head},
        {RR_OP_lanes_attention_decode, head},
        {RR_OP_lanes_head, key_of(&engine->weights.lanes_head)},
        {RR_OP_argmax, {0}},
    };
    for (size_t i = 0; i < sizeof once / sizeof once[0]; i++) {
        RR_TRY(rr_kern_prepare(engine->kern, once[i].op, &once[i].key, NULL, diag));
    }
    for (uint32_t l = 0; l < engine->model->config.n_layers; l++) {
        const rr_device_layer *layer = &engine->weights.layers[l];
        const rr_kern_key qkv = key_of_qkv(engine, &layer->lanes.qkv), o = key_of(&layer->lanes.o),
                          gate_up = key_of(&layer->lanes.gate_up),
                          down = key_of(&layer->lanes.down);
        RR_TRY(rr_kern_prepare(engine->kern, RR_OP_lanes_qkv, &qkv, NULL, diag));
        RR_TRY(rr_kern_prepare(engine->kern, RR_OP_lanes_out, &o, NULL, diag));
        RR_TRY(rr_kern_prepare(engine->kern, RR_OP_lanes_gate_up, &gate_up, NULL, diag));
        RR_TRY(rr_kern_prepare(engine->kern, RR_OP_lanes_out, &down, NULL, diag));
        const rr_kern_key whole = key_of_layer(engine, layer);
        RR_TRY(rr_kern_prepare(engine->kern, RR_OP_lanes_layer, &whole, NULL, diag));
    }
    return RR_OK;
}

const rr_graph rr_graph_lanes = {
    .name = "lanes",
    .prepare = prepare,
    .start = start,
    .begin_pass = rr_resident_begin,
    .end_pass = rr_resident_end,
    .record_embed = record_embed,
    .record_layer = record_layer,
    .record_head = record_head,
    .must_repeat = rr_resident_failed,
};
