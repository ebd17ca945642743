/* What the graphs share. */
#include "runtime/compute/graph.h"

#include "runtime/compute/reader.h"
#include "shaders/embed.h"

static const rr_graph *const graphs[RR_N_GRAPHS] = {[RR_GRAPH_PLAIN] = &rr_graph_plain,
    [RR_GRAPH_Q8] = &rr_graph_q8,
    [RR_GRAPH_LANES] = &rr_graph_lanes};

const rr_graph *rr_graph_of(rr_graph_kind kind) {
    return graphs[kind];
}

rr_status rr_graph_list_kernels(rr_graph_kind kind, const rr_model *model,
    const rr_weights *weights, bool readings, const rr_kern_use *use, rr_diag *diag) {
    if (readings) {
        RR_TRY(rr_reader_list_kernels(&model->config, use, diag));
    }
    return graphs[kind]->list_kernels(model, weights, use, diag);
}

uint32_t rr_pass_n_layers(const rr_compute *compute, const rr_pass *pass) {
    return pass->read != NULL ? pass->read->n_layers : compute->model->config.n_layers;
}

rr_range rr_rows_beyond_kv(const rr_compute *compute, const rr_pass *pass, uint32_t layer) {
    const bool is_last = layer + 1 == rr_pass_n_layers(compute, pass);
    if (!is_last || pass->keep_rows) {
        return rr_pass_all(pass);
    }
    return pass->read != NULL ? rr_reader_last_rows(pass->read)
                              : (rr_range){pass->head_first, pass->head_rows};
}

void rr_graph_record_reading(
    rr_compute *compute, const rr_pass *pass, uint32_t layer, uint64_t q, uint32_t q_stride) {
    if (pass->read != NULL) {
        rr_reader_record_attention(compute, pass->read, layer, q, q_stride);
    }
}

void rr_graph_record_embed(rr_compute *compute, const rr_pass *pass) {
    const rr_matrix *w = &compute->weights.embedding;
    const rr_push_embed push = {RR_PUSH_PLANES(w->address, w->planes),
        .rows = compute->rows.address, .y = compute->activations.address + compute->at.x,
        .cols = w->planes.cols, .n_rows = rr_pass_n_rows(pass)};
    rr_record_op(compute, RR_OP_embed, (rr_kern_key){.format = w->planes.type}, &push);
    rr_record_barrier(compute);
}
