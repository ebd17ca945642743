/* What a graph is: the ops of a Qwen2 pass as one tier of devices runs them. graph.c cuts passes
 * into submits and asks the engine's graph for the ops; graph_plain.c and its siblings record them.
 * Shared by the files of this folder only. */
#ifndef RR_ENGINE_GRAPH_H
#define RR_ENGINE_GRAPH_H

#include "runtime/engine/internal.h"
#include "shaders/kv.h"

struct rr_graph {
    const char *name;
    /* Compiles every pipeline that the model's passes use. */
    rr_status (*prepare)(rr_engine *engine, rr_diag *diag);
    /* What needs the device once, before the first pass. May be NULL. */
    rr_status (*start)(rr_engine *engine, rr_diag *diag);
    /* Before anything of a pass is recorded, and after its results are there. May be NULL. */
    void (*begin_pass)(rr_engine *engine, const rr_pass *pass);
    void (*end_pass)(rr_engine *engine);
    /* Each records ops that begin where the one before ended, a barrier last. Recording cannot fail
     * after prepare. */
    void (*record_embed)(rr_engine *engine, const rr_pass *pass);
    void (*record_layer)(rr_engine *engine, const rr_pass *pass, uint32_t index);
    /* Logits [end − begin][rr_head_cols] and arg max of head rows [begin, end). A row's bits do not
     * depend on head_cols. */
    void (*record_head)(rr_engine *engine, const rr_pass *pass, uint32_t begin, uint32_t end);
    /* After a pass: true when its results are void and it must be run once more, which then will
     * not fail in this way. May be NULL. */
    bool (*must_repeat)(rr_engine *engine);
};

extern const rr_graph rr_graph_plain;
extern const rr_graph rr_graph_q8;
extern const rr_graph rr_graph_lanes;

/* Where a layer begins in a page of the KV cache. */
static inline uint32_t rr_kv_offset(const rr_engine *engine, uint32_t layer) {
    const rr_model_config *c = &engine->model->config;
    return layer * RR_KV_LAYER_BYTES(c->n_kv_heads, c->head_size);
}

static inline bool rr_is_last_layer(const rr_engine *engine, uint32_t layer) {
    return layer + 1 == engine->model->config.n_layers;
}

/* Layers that a pass runs. */
uint32_t rr_pass_n_layers(const rr_engine *engine, const rr_pass *pass);

/* The rows that a layer takes further than K and V: of the pass's last layer only those with a
 * head, or whose hidden states are read, maybe none. */
rr_range rr_rows_beyond_kv(const rr_engine *engine, const rr_pass *pass, uint32_t layer);

/* What a layer does between K and V and attention where the pass is read (read_pass.h). `q` is the
 * address of row 0's. */
void rr_graph_record_reading(
    rr_engine *engine, const rr_pass *pass, uint32_t layer, uint64_t q, uint32_t q_stride);

/* Logits a head row of this pass. */
static inline uint32_t rr_head_cols(const rr_engine *engine, const rr_pass *pass) {
    return pass->head_cols != 0 ? pass->head_cols : engine->model->config.n_vocab;
}

/* Records rr_pick's variant of an op; every dispatch of every graph goes through here. */
void rr_graph_record(rr_engine *engine, rr_op op, rr_kern_key key, const void *push);
void rr_graph_barrier(rr_engine *engine);

#endif
