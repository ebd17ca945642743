/* The Qwen2 graph of software devices: int8 activations, everything fused around the products, so that a layer is five
 * dispatches (each wakes all threads of the driver).
 * A layer: q, k, v with the norm's factor, bias, RoPE and KV write · attention · o with residual and next norm · gate and up
 * with SwiGLU · down with residual and next norm. */
#include <math.h>

#include "runtime/engine/graph.h"
#include "shaders/argmax.h"
#include "shaders/lanes.h"
#include "shaders/lanes_attention.h"

static const rr_op attention_op[RR_N_FAMILIES] = {RR_OP_lanes_attention_prefill, RR_OP_lanes_attention_decode};

static rr_kern_key key_of(const rr_lanes_matrix *w) {
    return (rr_kern_key){.lanes = rr_lanes_code(w->layout.format)};
}

static rr_kern_key key_of_qkv(const rr_engine *engine, const rr_lanes_matrix *w) {
    return (rr_kern_key){.lanes = rr_lanes_code(w->layout.format), .head_size = engine->model->config.head_size};
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
                          gate_up = key_of(&layer->lanes.gate_up), down = key_of(&layer->lanes.down);
        RR_TRY(rr_kern_prepare(engine->kern, RR_OP_lanes_qkv, &qkv, NULL, diag));
        RR_TRY(rr_kern_prepare(engine->kern, RR_OP_lanes_out, &o, NULL, diag));
        RR_TRY(rr_kern_prepare(engine->kern, RR_OP_lanes_gate_up, &gate_up, NULL, diag));
        RR_TRY(rr_kern_prepare(engine->kern, RR_OP_lanes_out, &down, NULL, diag));
    }
    return RR_OK;
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
                                .n_tokens = pass->n_rows,
                                .epsilon = engine->model->config.rms_epsilon};
    rr_graph_record(engine, RR_OP_lanes_embed, (rr_kern_key){.format = w->planes.type}, &push);
    rr_graph_barrier(engine);
}

static void record_qkv(rr_engine *engine, const rr_pass *pass, uint32_t index) {
    const rr_qwen2_config *c = &engine->model->config;
    const rr_device_layer *layer = &engine->weights.layers[index];
    const rr_lanes_matrix *w = &layer->lanes.qkv;
    const uint64_t base = engine->activations.address;
    rr_push_lanes_qkv push = {.w = w->address,
                              .s = w->address + w->layout.scale_offset,
                              .codes = base + engine->at.h_codes,
                              .groups = base + engine->at.h_groups,
                              .rms = base + engine->at.rms,
                              .bias = layer->qkv_bias,
                              .q = base + engine->at.qkv,
                              .rows = engine->rows.address,
                              .table = base + engine->at.table,
                              .kv_offset = (uint64_t)index * rr_kv_layer_bytes(engine),
                              .cols = c->d_model,
                              .n_tokens = pass->n_rows,
                              .n_heads = c->n_heads,
                              .n_kv_heads = c->n_kv_heads,
                              .n_context = engine->limits.n_context};
    rr_graph_record(engine, RR_OP_lanes_qkv, key_of_qkv(engine, w), &push);
    rr_graph_barrier(engine);
}

static void record_attention(rr_engine *engine, const rr_pass *pass, uint32_t index) {
    const rr_qwen2_config *c = &engine->model->config;
    const uint64_t base = engine->activations.address;
    rr_push_lanes_attention push = {.q = base + engine->at.qkv,
                                    .codes = base + engine->at.attn_codes,
                                    .groups = base + engine->at.attn_groups,
                                    .rows = engine->rows.address,
                                    .kv_offset = (uint64_t)index * rr_kv_layer_bytes(engine),
                                    .n_rows = pass->n_rows,
                                    .n_heads = c->n_heads,
                                    .n_kv_heads = c->n_kv_heads,
                                    .n_context = engine->limits.n_context,
                                    .q_stride = c->n_heads * c->head_size,
                                    .scale = 1.0f / sqrtf((float)c->head_size)};
    rr_graph_record(engine, attention_op[pass->family], (rr_kern_key){.head_size = c->head_size}, &push);
    rr_graph_barrier(engine);
}

/* x += W a; what follows is normed by `norm`. */
static void record_out(rr_engine *engine, const rr_pass *pass, const rr_lanes_matrix *w, uint64_t codes, uint64_t groups,
                       uint64_t norm) {
    const uint64_t base = engine->activations.address;
    rr_push_lanes_out push = {.w = w->address,
                              .s = w->address + w->layout.scale_offset,
                              .codes = base + codes,
                              .groups = base + groups,
                              .x = base + engine->at.x,
                              .norm = norm,
                              .out_codes = base + engine->at.h_codes,
                              .out_groups = base + engine->at.h_groups,
                              .out_rms = base + engine->at.rms,
                              .squares = base + engine->at.squares,
                              .tickets = base + engine->at.tickets,
                              .cols = w->layout.cols,
                              .n_tokens = pass->n_rows,
                              .n_rows = w->layout.rows,
                              .epsilon = engine->model->config.rms_epsilon};
    rr_graph_record(engine, RR_OP_lanes_out, key_of(w), &push);
    rr_graph_barrier(engine);
}

static void record_gate_up(rr_engine *engine, const rr_pass *pass, const rr_lanes_matrix *w) {
    const uint64_t base = engine->activations.address;
    rr_push_lanes_gate_up push = {.w = w->address,
                                  .s = w->address + w->layout.scale_offset,
                                  .codes = base + engine->at.h_codes,
                                  .groups = base + engine->at.h_groups,
                                  .rms = base + engine->at.rms,
                                  .out_codes = base + engine->at.act_codes,
                                  .out_groups = base + engine->at.act_groups,
                                  .cols = w->layout.cols,
                                  .n_tokens = pass->n_rows,
                                  .d_ffn = engine->model->config.d_ffn};
    rr_graph_record(engine, RR_OP_lanes_gate_up, key_of(w), &push);
    rr_graph_barrier(engine);
}

static void record_layer(rr_engine *engine, const rr_pass *pass, uint32_t index) {
    const rr_device_layer *layer = &engine->weights.layers[index];
    const bool last = index + 1 == engine->model->config.n_layers;
    record_qkv(engine, pass, index);
    record_attention(engine, pass, index);
    record_out(engine, pass, &layer->lanes.o, engine->at.attn_codes, engine->at.attn_groups, layer->ffn_norm);
    record_gate_up(engine, pass, &layer->lanes.gate_up);
    record_out(engine, pass, &layer->lanes.down, engine->at.act_codes, engine->at.act_groups,
               last ? engine->weights.output_norm : layer[1].attn_norm);
}

static void record_head(rr_engine *engine, const rr_pass *pass, uint32_t begin, uint32_t end) {
    const rr_qwen2_config *c = &engine->model->config;
    const rr_lanes_matrix *w = &engine->weights.lanes_head;
    const uint64_t base = engine->activations.address;
    const uint64_t row = pass->head_first + begin;
    const uint64_t logits = base + engine->at.logits + (uint64_t)begin * c->n_vocab * 4;
    rr_push_lanes_head push = {.w = w->address,
                               .s = w->address + w->layout.scale_offset,
                               .codes = base + engine->at.h_codes + row * c->d_model,
                               .groups = base + engine->at.h_groups + row * c->d_model / 4,
                               .rms = base + engine->at.rms + row * 4,
                               .y = logits,
                               .cols = c->d_model,
                               .n_tokens = end - begin,
                               .n_rows = c->n_vocab};
    rr_graph_record(engine, RR_OP_lanes_head, key_of(w), &push);
    rr_graph_barrier(engine);
    rr_push_argmax argmax = {.x = logits,
                             .y = base + engine->at.ids + (uint64_t)begin * 4,
                             .cols = c->n_vocab,
                             .n_rows = end - begin};
    rr_graph_record(engine, RR_OP_argmax, (rr_kern_key){0}, &argmax);
    rr_graph_barrier(engine);
}

const rr_graph rr_graph_lanes = {
    .name = "lanes",
    .prepare = prepare,
    .record_embed = record_embed,
    .record_layer = record_layer,
    .record_head = record_head,
};
