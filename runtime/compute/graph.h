/* What a graph is: the ops of a forward pass as one tier of devices runs them. pass_run.c cuts
 * passes into submits and asks the graph for the ops; graph_plain.c and its siblings record
 * them. */
#ifndef RR_COMPUTE_GRAPH_H
#define RR_COMPUTE_GRAPH_H

#include "runtime/compute/record.h"

/* Head rows that are made together. */
typedef struct rr_head_part {
    rr_family family;
    uint32_t begin; /* the first of the head's rows, … */
    uint32_t row;   /* … and of the pass's */
    uint32_t n_rows, n_cols;
    uint64_t logits; /* address of [n_rows][n_cols] */
} rr_head_part;

struct rr_graph {
    /* Names every kernel that passes over a model with these weights use; one may come several
     * times. Needs layouts alone, no buffers. Ends with the first error of `use`. */
    rr_status (*list_kernels)(
        const rr_model *model, const rr_weights *weights, const rr_kern_use *use, rr_diag *diag);
    /* What needs the device once, before the first pass. May be NULL. */
    rr_status (*start)(rr_compute *compute, rr_diag *diag);
    /* Before anything of a pass is recorded, and after its results are there. May be NULL. */
    void (*begin_pass)(rr_compute *compute, const rr_pass *pass);
    void (*end_pass)(rr_compute *compute);
    /* Each records ops that begin where the one before ended, a barrier last. Recording cannot fail
     * after the kernels were prepared. */
    void (*record_embed)(rr_compute *compute, const rr_pass *pass);
    void (*record_layer)(rr_compute *compute, const rr_pass *pass, uint32_t index);
    /* The logits of some head rows; a row's bits do not depend on n_cols. They are the sum of
     * head_terms: 1 or 2, of which the second's rows follow the first's until the arg max adds them
     * up (argmax.h). */
    void (*record_head)(rr_compute *compute, const rr_head_part *part);
    uint32_t head_terms;
    /* After a pass: true when its results are void and it must be run once more, which then will
     * not fail in this way. May be NULL. */
    bool (*must_repeat)(rr_compute *compute);
};

extern const rr_graph rr_graph_plain;
extern const rr_graph rr_graph_q8;
extern const rr_graph rr_graph_lanes;

const rr_graph *rr_graph_of(rr_graph_kind kind);

/* Every kernel of a graph, with those of readings where `readings`: rr_graph.list_kernels. */
rr_status rr_graph_list_kernels(rr_graph_kind kind, const rr_model *model,
    const rr_weights *weights, bool readings, const rr_kern_use *use, rr_diag *diag);

/* Layers that a pass runs. */
uint32_t rr_pass_n_layers(const rr_compute *compute, const rr_pass *pass);

/* The rows that a layer computes beyond K and V: all, but in the pass's last layer only those with a
 * head or whose hidden states are read, maybe none. */
rr_range rr_rows_beyond_kv(const rr_compute *compute, const rr_pass *pass, uint32_t layer);

/* What a layer does between K and V and attention where the pass is read (reader.h). `q` is the
 * address of row 0's. */
void rr_graph_record_reading(
    rr_compute *compute, const rr_pass *pass, uint32_t layer, uint64_t q, uint32_t q_stride);

/* x = rows of the embedding, in floats. */
void rr_graph_record_embed(rr_compute *compute, const rr_pass *pass);

/* Logits a head row of this pass. */
static inline uint32_t rr_head_cols(const rr_compute *compute, const rr_pass *pass) {
    return pass->head_cols != 0 ? pass->head_cols : compute->model->config.n_vocab;
}

#endif
