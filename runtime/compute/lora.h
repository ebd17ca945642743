/* Adapters (LoRA) on the device: what they add to the products of a layer, B (A x), with A and B in
 * f32. Products of one input (q, k, v; gate, up) share one A, whose ranks stand one behind the
 * other. Owns: the buffers, and where each matrix lies in them. */
#ifndef RR_COMPUTE_LORA_H
#define RR_COMPUTE_LORA_H

#include "runtime/compute/graph_choice.h"

/* What several products of a layer take as x. */
typedef enum rr_lora_input {
    RR_LORA_QKV,
    RR_LORA_O,
    RR_LORA_GATE_UP,
    RR_LORA_DOWN,
    RR_LORA_INPUTS
} rr_lora_input;

enum { RR_LORA_PARTS = 3 };

/* What one product gets: ranks [first, first + rank) of its input. Ranks are padded with zeros to
 * what the graph's kernels take. */
typedef struct rr_lora_part {
    uint64_t b; /* [rows][rank]; lanes graph: as in shaders/lanes_lora.h */
    uint32_t rows, first, rank;
} rr_lora_part;

typedef struct rr_lora_group {
    uint64_t a; /* [rank][cols]; lanes graph: as in shaders/lanes_lora.h */
    uint32_t cols;
    uint32_t rank; /* of all parts; 0 = nothing is added */
    uint32_t n_parts;
    rr_lora_part parts[RR_LORA_PARTS];
} rr_lora_group;

typedef struct rr_lora {
    rr_lora_group (*layers)[RR_LORA_INPUTS]; /* [n_layers] */
    rr_vk_buffer *buffers;                   /* one a layer */
    rr_vk_buffer table;                      /* lanes graph: lora_lanes.h */
    uint32_t n_layers;
} rr_lora;

/* Ranks of an input in the layer that has most, as the graph wants them padded. 0 = none, also for
 * a model without adapters. Pure. */
uint32_t rr_lora_width(const rr_model *model, rr_graph_kind graph, rr_lora_input input);
/* Of the input that has most. Pure. */
uint32_t rr_lora_most(const rr_model *model, rr_graph_kind graph);
/* Bytes on the device. Pure. */
uint64_t rr_lora_bytes(const rr_model *model, rr_graph_kind graph);

/* *out is NULL for a model without adapters. `no_values`: allocates, and leaves the memory as it
 * is. Errors: RR_E_MEMORY, RR_E_DEVICE. */
rr_status rr_lora_load(const rr_model *model, rr_graph_kind graph, rr_vk_device *device,
    bool no_values, rr_lora **out, rr_diag *diag);
void rr_lora_destroy(rr_vk_device *device, rr_lora **lora);

#endif
