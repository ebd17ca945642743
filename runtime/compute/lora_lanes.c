#include "runtime/compute/lora_lanes.h"

#include <stdlib.h>

#include "shaders/lanes_lora.h"

/* What `group` adds to its products. A x lies in n_sums pieces at `h`. */
static void set_added(
    const rr_lora_group *group, uint64_t h, uint32_t n_sums, rr_args_lanes_lora *out) {
    out->h = h;
    out->n_sums = n_sums;
    out->width = group->rank;
    out->b0 = group->parts[0].b;
    out->b1 = group->parts[1].b;
    out->b2 = group->parts[2].b;
    out->first0 = group->parts[0].first;
    out->first1 = group->parts[1].first;
    out->first2 = group->parts[2].first;
    out->rank0 = group->parts[0].rank;
    out->rank1 = group->parts[1].rank;
    out->rank2 = group->parts[2].rank;
}

/* What `group` takes from the op that makes its x. */
static void set_taken(const rr_compute *compute, const rr_lora_group *group, uint64_t sums,
    uint64_t total, rr_args_lanes_lora *out) {
    const uint32_t block = 2 * rr_vk_info(compute->device)->subgroup_size;
    out->a = group->a;
    out->sums = sums;
    out->total = total;
    out->out_width = group->rank;
    out->a_width = rr_div_up(group->rank, block) * block;
}

static void set_layer(
    const rr_compute *compute, uint32_t layer, rr_args_lanes_lora out[RR_LORA_OPS]) {
    const rr_lora_group *groups = compute->lora->layers[layer];
    const uint64_t base = compute->activations.address;
    const rr_activations *at = &compute->at;
    uint64_t sums[RR_LORA_INPUTS], totals[RR_LORA_INPUTS];
    for (int input = 0; input < RR_LORA_INPUTS; input++) {
        sums[input] = base + at->lora_sums[input];
        totals[input] = base + at->lora_totals[input];
    }
    const rr_lora_group *qkv = &groups[RR_LORA_QKV], *o = &groups[RR_LORA_O],
                        *gate_up = &groups[RR_LORA_GATE_UP], *down = &groups[RR_LORA_DOWN];
    set_taken(compute, qkv, 0, totals[RR_LORA_QKV], &out[RR_LORA_OP_EMBED]);
    set_added(qkv, totals[RR_LORA_QKV], 1, &out[RR_LORA_OP_QKV]);
    set_taken(compute, o, sums[RR_LORA_O], 0, &out[RR_LORA_OP_ATTENTION]);
    set_added(o, sums[RR_LORA_O], compute->model->config.n_heads, &out[RR_LORA_OP_O]);
    set_taken(compute, gate_up, sums[RR_LORA_GATE_UP], totals[RR_LORA_GATE_UP], &out[RR_LORA_OP_O]);
    set_added(gate_up, totals[RR_LORA_GATE_UP], 1, &out[RR_LORA_OP_GATE_UP]);
    set_taken(compute, down, sums[RR_LORA_DOWN], totals[RR_LORA_DOWN], &out[RR_LORA_OP_GATE_UP]);
    set_added(down, totals[RR_LORA_DOWN], 1, &out[RR_LORA_OP_DOWN]);
    if (!rr_is_last_layer(compute, layer)) {
        set_taken(compute, &compute->lora->layers[layer + 1][RR_LORA_QKV], sums[RR_LORA_QKV],
            totals[RR_LORA_QKV], &out[RR_LORA_OP_DOWN]);
    }
}

rr_status rr_lora_table_create(rr_compute *compute, rr_diag *diag) {
    if (compute->lora == NULL) {
        return RR_OK;
    }
    const uint32_t n = compute->model->config.n_layers;
    rr_args_lanes_lora *table = calloc((size_t)n * RR_LORA_OPS, sizeof *table);
    if (table == NULL) {
        return rr_fail(diag, RR_E_MEMORY, "out of memory for adapters");
    }
    for (uint32_t l = 0; l < n; l++) {
        set_layer(compute, l, &table[(size_t)l * RR_LORA_OPS]);
    }
    const uint64_t bytes = (uint64_t)n * RR_LORA_OPS * sizeof *table;
    rr_vk_buffer *buffer = &compute->lora->table;
    rr_status status = rr_vk_buffer_create(
        compute->device, RR_VK_MEMORY_DEVICE, bytes, "adapters' table", buffer, diag);
    if (status == RR_OK) {
        status = rr_vk_upload(compute->device, buffer, 0, table, bytes, diag);
    }
    free(table);
    return status;
}

uint64_t rr_lora_entry(const rr_compute *compute, uint32_t layer, rr_lora_op op) {
    return compute->lora == NULL ? 0
                                 : compute->lora->table.address +
            ((uint64_t)layer * RR_LORA_OPS + op) * sizeof(rr_args_lanes_lora);
}
