#include "runtime/compute/lora.h"

#include <stdlib.h>

/* The matmul kernels take columns in groups of 32. */
enum { PAD = 32, ALIGNMENT = 256 };

static const rr_role roles[RR_LORA_INPUTS][RR_LORA_PARTS] = {
    [RR_LORA_QKV] = {RR_ROLE_Q, RR_ROLE_K, RR_ROLE_V},
    [RR_LORA_O] = {RR_ROLE_O},
    [RR_LORA_GATE_UP] = {RR_ROLE_GATE, RR_ROLE_UP},
    [RR_LORA_DOWN] = {RR_ROLE_DOWN},
};
static const uint32_t n_parts[RR_LORA_INPUTS] = {
    [RR_LORA_QKV] = 3, [RR_LORA_O] = 1, [RR_LORA_GATE_UP] = 2, [RR_LORA_DOWN] = 1};

/* Sizes, and addresses from 0 on; *end grows by what the group takes. */
static rr_lora_group plan_group(
    const rr_model *model, uint32_t layer, rr_lora_input input, uint64_t *end) {
    rr_lora_group group = {.n_parts = n_parts[input]};
    for (uint32_t i = 0; i < group.n_parts; i++) {
        rr_lora_part *part = &group.parts[i];
        const uint32_t rank = rr_adapter_set_rank(model->adapters, layer, roles[input][i]);
        rr_model_shape(&model->config, roles[input][i], &part->rows, &group.cols);
        part->first = group.rank;
        part->rank = (uint32_t)rr_round_up(rank, PAD);
        group.rank += part->rank;
        part->b = *end;
        *end += rr_round_up((uint64_t)part->rows * part->rank * sizeof(float), ALIGNMENT);
    }
    group.a = *end;
    *end += rr_round_up((uint64_t)group.rank * group.cols * sizeof(float), ALIGNMENT);
    return group;
}

uint32_t rr_lora_width(const rr_model *model, rr_graph_kind graph, rr_lora_input input) {
    uint32_t most = 0;
    (void)graph;
    for (uint32_t l = 0; l < model->config.n_layers && model->adapters != NULL; l++) {
        uint64_t end = 0;
        const uint32_t rank = plan_group(model, l, input, &end).rank;
        most = rank > most ? rank : most;
    }
    return most;
}

uint32_t rr_lora_most(const rr_model *model, rr_graph_kind graph) {
    uint32_t most = 0;
    for (int input = 0; input < RR_LORA_INPUTS; input++) {
        const uint32_t width = rr_lora_width(model, graph, (rr_lora_input)input);
        most = width > most ? width : most;
    }
    return most;
}

static uint64_t plan_layer(
    const rr_model *model, uint32_t layer, rr_lora_group out[RR_LORA_INPUTS]) {
    uint64_t end = 0;
    for (int input = 0; input < RR_LORA_INPUTS; input++) {
        out[input] = plan_group(model, layer, (rr_lora_input)input, &end);
    }
    return end;
}

uint64_t rr_lora_bytes(const rr_model *model, rr_graph_kind graph) {
    uint64_t sum = 0;
    (void)graph;
    for (uint32_t l = 0; l < model->config.n_layers && model->adapters != NULL; l++) {
        rr_lora_group groups[RR_LORA_INPUTS];
        sum += plan_layer(model, l, groups);
    }
    return sum;
}

/* A and B of a group to `to`, which is zeroed and where the layer's memory begins. */
static void fill_group(const rr_model *model, uint32_t layer, rr_lora_input input,
    const rr_lora_group *group, uint8_t *to) {
    for (uint32_t i = 0; i < group->n_parts; i++) {
        const rr_lora_part *part = &group->parts[i];
        const rr_role role = roles[input][i];
        if (part->rank == 0) {
            continue;
        }
        float *a = (float *)(void *)(to + group->a) + (size_t)part->first * group->cols;
        rr_adapter_set_a(model->adapters, layer, role, a);
        for (uint32_t r = 0; r < part->rows; r++) {
            float *b = (float *)(void *)(to + part->b) + (size_t)r * part->rank;
            rr_adapter_set_b(model->adapters, layer, role, r, b);
        }
    }
}

static rr_status load_layer(const rr_model *model, uint32_t layer, rr_vk_device *device,
    bool no_values, rr_lora *lora, rr_diag *diag) {
    rr_lora_group *groups = lora->layers[layer];
    rr_vk_buffer *buffer = &lora->buffers[layer];
    const uint64_t bytes = plan_layer(model, layer, groups);
    if (bytes == 0) {
        return RR_OK;
    }
    RR_TRY(rr_vk_buffer_create(device, RR_VK_MEMORY_DEVICE, bytes, "adapters", buffer, diag));
    if (!no_values) {
        uint8_t *values = calloc(1, (size_t)bytes);
        if (values == NULL) {
            return rr_fail(diag, RR_E_MEMORY, "out of memory for adapters");
        }
        for (int input = 0; input < RR_LORA_INPUTS; input++) {
            fill_group(model, layer, (rr_lora_input)input, &groups[input], values);
        }
        const rr_status status = rr_vk_upload(device, buffer, 0, values, bytes, diag);
        free(values);
        RR_TRY(status);
    }
    for (int input = 0; input < RR_LORA_INPUTS; input++) {
        groups[input].a += buffer->address;
        for (uint32_t i = 0; i < groups[input].n_parts; i++) {
            groups[input].parts[i].b += buffer->address;
        }
    }
    return RR_OK;
}

rr_status rr_lora_load(const rr_model *model, rr_graph_kind graph, rr_vk_device *device,
    bool no_values, rr_lora **out, rr_diag *diag) {
    (void)graph;
    if (model->adapters == NULL) {
        *out = NULL;
        return RR_OK;
    }
    rr_lora *lora = calloc(1, sizeof *lora);
    rr_status status = RR_OK;
    if (lora != NULL) {
        lora->layers = calloc(model->config.n_layers, sizeof *lora->layers);
        lora->buffers = calloc(model->config.n_layers, sizeof *lora->buffers);
    }
    if (lora == NULL || lora->layers == NULL || lora->buffers == NULL) {
        RR_TRY_GOTO(rr_fail(diag, RR_E_MEMORY, "out of memory for adapters"));
    }
    lora->n_layers = model->config.n_layers;
    for (uint32_t l = 0; l < lora->n_layers; l++) {
        RR_TRY_GOTO(load_layer(model, l, device, no_values, lora, diag));
    }
    *out = lora;
    return RR_OK;
fail:
    rr_lora_destroy(device, &lora);
    return status;
}

void rr_lora_destroy(rr_vk_device *device, rr_lora **pointer) {
    rr_lora *lora = *pointer;
    if (lora == NULL) {
        return;
    }
    for (uint32_t l = 0; l < lora->n_layers; l++) {
        rr_vk_buffer_destroy(device, &lora->buffers[l]);
    }
    free(lora->buffers);
    free(lora->layers);
    free(lora);
    *pointer = NULL;
}
