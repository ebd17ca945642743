/* What an open rr_compute consists of, for code that records ops on it (record.h): the graphs of
 * this folder, the KV pages of runtime/engine, the backward graphs of runtime/train. Other code
 * reads the model, the limits and the device; only the files of this folder change a field. */
#ifndef RR_COMPUTE_STATE_H
#define RR_COMPUTE_STATE_H

#include "runtime/compute/activations.h"
#include "runtime/compute/kern.h"
#include "runtime/compute/lora.h"
#include "runtime/compute/pass.h"
#include "runtime/compute/weights.h"
#include "shaders/kv.h"

typedef struct rr_graph rr_graph;             /* graph.h */
typedef struct rr_fused_layer rr_fused_layer; /* fused_layer.h */
typedef struct rr_reader rr_reader;           /* reader.h */
typedef struct rr_profile rr_profile;         /* profile.h */

/* Measured times, by which passes are cut into submits; 0 = not yet. */
typedef struct rr_pass_times {
    double layer_row_ns[RR_N_FAMILIES]; /* of a layer, a row */
    double head_unit_ns[RR_N_FAMILIES]; /* of the head over its least number of rows */
} rr_pass_times;

struct rr_compute {
    rr_model *model;
    rr_vk_instance *instance;
    rr_vk_device *device;
    rr_graph_kind graph_kind;
    rr_compute_limits limits;
    /* From here on there after the load. */
    const rr_graph *graph;
    rr_kern *kern;
    rr_vk_commands *commands;
    rr_weights weights;
    rr_lora *lora;     /* NULL = no adapters */
    rr_activations at; /* offsets */
    rr_vk_buffer activations;
    rr_vk_buffer rows;     /* rr_row [rr_pass_rows], written by the host */
    rr_vk_buffer readback; /* f32 [logits_rows][n_vocab], then u32 [logits_rows] */
    /* lanes graph, for layers in one dispatch: struct rr_layer [n_layers] of lanes_layer.h */
    rr_vk_buffer layer_table;
    rr_fused_layer *fused;
    rr_reader *reader;   /* NULL = opened without readings */
    rr_profile *profile; /* NULL = off */
    rr_pass_times times;
    bool counters_dirty; /* rr_compute_clear_counters must come before the next pass */
    uint32_t head_cols;  /* logits a row of the last head */
};

/* Where a layer begins in a page of the KV cache. */
static inline uint32_t rr_kv_offset(const rr_compute *compute, uint32_t layer) {
    const rr_model_config *c = &compute->model->config;
    return layer * RR_KV_LAYER_BYTES(c->n_kv_heads, c->head_size);
}

static inline bool rr_is_last_layer(const rr_compute *compute, uint32_t layer) {
    return layer + 1 == compute->model->config.n_layers;
}

#endif
