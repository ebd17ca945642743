/* The weights arena: every tensor of a model on the device, packed into the layout that a graph
 * wants. Owns: the buffers, and where each matrix lies in them. */
#ifndef RR_COMPUTE_WEIGHTS_H
#define RR_COMPUTE_WEIGHTS_H

#include "quant/lanes.h"
#include "quant/quant.h"
#include "runtime/compute/graph_choice.h"

/* A weight matrix on the device. */
typedef struct rr_matrix {
    rr_planes planes;
    uint64_t address;
} rr_matrix;

/* One in the layout of software devices, maybe several stacked. */
typedef struct rr_lanes_matrix {
    rr_lanes layout;
    uint64_t address;
} rr_lanes_matrix;

typedef struct rr_device_layer {
    uint64_t attn_norm, ffn_norm; /* f32 [d_model] */
    uint64_t qkv_bias;            /* f32 [q, k, v] */
    rr_matrix q, k, v, gate, up;  /* plain graph */
    rr_matrix o, down;            /* plain and q8 graph */
    struct {
        rr_matrix qkv[3]; /* neighbours of one format stacked */
        uint32_t n_qkv;
        rr_matrix gate_up;
    } q8; /* q8 graph */
    struct {
        rr_lanes_matrix qkv, o, gate_up, down;
    } lanes; /* lanes graph */
} rr_device_layer;

typedef struct rr_weights {
    rr_matrix embedding, output; /* the same when tied; output: not the lanes graph */
    rr_lanes_matrix lanes_head;  /* lanes graph: the output matrix */
    uint64_t output_norm;
    rr_device_layer *layers;
    rr_vk_buffer *buffers; /* as few as max_allocation_bytes allows */
    size_t n_buffers;
} rr_weights;

/* Bytes of the weights arena as `graph` wants it laid out. Errors: RR_E_MEMORY when one matrix
 * exceeds what the device allocates at once, those of rr_planes_plan and rr_lanes_plan. */
rr_status rr_weights_plan(const rr_model *model, rr_graph_kind graph, const rr_device_info *info,
    uint64_t *out_bytes, rr_diag *diag);
/* `params`: no_weights, the packed cache and the progress function. */
rr_status rr_weights_load(const rr_model *model, rr_graph_kind graph, rr_vk_device *device,
    const rr_compute_params *params, rr_weights *out, rr_diag *diag);
/* Types and layouts alone: no buffer, all addresses 0. */
rr_status rr_weights_describe(const rr_model *model, rr_graph_kind graph,
    const rr_device_info *info, rr_weights *out, rr_diag *diag);
/* `device` may be NULL for weights that were described only. */
void rr_weights_destroy(rr_vk_device *device, rr_weights *weights);

#endif
