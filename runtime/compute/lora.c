#include "runtime/compute/lora.h"

#include <stdlib.h>

/* The matmul kernels take columns in groups of 32; those of the lanes graph take ranks in pairs, one
 * for each of the 8 or 16 lanes of a subgroup, and B's by 8. */
enum { PAD = 32, LANES_PAD = 16, MOST_BLOCK = 32, UNIT = 32, ALIGNMENT = 256 };

static const rr_role roles[RR_LORA_INPUTS][RR_LORA_PARTS] = {
    [RR_LORA_QKV] = {RR_ROLE_Q, RR_ROLE_K, RR_ROLE_V},
    [RR_LORA_O] = {RR_ROLE_O},
    [RR_LORA_GATE_UP] = {RR_ROLE_GATE, RR_ROLE_UP},
    [RR_LORA_DOWN] = {RR_ROLE_DOWN},
};
static const uint32_t n_parts[RR_LORA_INPUTS] = {
    [RR_LORA_QKV] = 3, [RR_LORA_O] = 1, [RR_LORA_GATE_UP] = 2, [RR_LORA_DOWN] = 1};

/* Sizes, and addresses from 0 on; *end grows by what the group takes. */
static rr_lora_group plan_group(const rr_model *model, rr_graph_kind graph, uint32_t layer,
    rr_lora_input input, uint64_t *end) {
    rr_lora_group group = {.n_parts = n_parts[input]};
    for (uint32_t i = 0; i < group.n_parts; i++) {
        rr_lora_part *part = &group.parts[i];
        const uint32_t rank = rr_adapter_set_rank(model->adapters, layer, roles[input][i]);
        rr_model_shape(&model->config, roles[input][i], &part->rows, &group.cols);
        part->first = group.rank;
        part->rank = (uint32_t)rr_round_up(rank, graph == RR_GRAPH_LANES ? LANES_PAD : PAD);
        group.rank += part->rank;
        part->b = *end;
        *end += rr_round_up((uint64_t)part->rows * part->rank * sizeof(float), ALIGNMENT);
    }
    group.a = *end; /* in blocks of two ranks a lane: the least that any number of lanes needs */
    const uint64_t most = rr_round_up(group.rank, MOST_BLOCK);
    *end += rr_round_up(most * group.cols * sizeof(float), ALIGNMENT);
    return group;
}

uint32_t rr_lora_width(const rr_model *model, rr_graph_kind graph, rr_lora_input input) {
    uint32_t most = 0;
    for (uint32_t l = 0; l < model->config.n_layers && model->adapters != NULL; l++) {
        uint64_t end = 0;
        const uint32_t rank = plan_group(model, graph, l, input, &end).rank;
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
    const rr_model *model, rr_graph_kind graph, uint32_t layer, rr_lora_group out[RR_LORA_INPUTS]) {
    uint64_t end = 0;
    for (int input = 0; input < RR_LORA_INPUTS; input++) {
        out[input] = plan_group(model, graph, layer, (rr_lora_input)input, &end);
    }
    return end;
}

uint64_t rr_lora_bytes(const rr_model *model, rr_graph_kind graph) {
    uint64_t sum = 0;
    for (uint32_t l = 0; l < model->config.n_layers && model->adapters != NULL; l++) {
        rr_lora_group groups[RR_LORA_INPUTS];
        sum += plan_layer(model, graph, l, groups);
    }
    return sum;
}

/* A of a group [rank][cols], padding left as it is. */
static void read_a(const rr_model *model, uint32_t layer, rr_lora_input input,
    const rr_lora_group *group, float *out) {
    for (uint32_t i = 0; i < group->n_parts; i++) {
        const size_t before = (size_t)group->parts[i].first * group->cols;
        rr_adapter_set_a(model->adapters, layer, roles[input][i], out + before);
    }
}

/* B of a part [rows][rank], padding left as it is. */
static void read_b(
    const rr_model *model, uint32_t layer, rr_role role, const rr_lora_part *part, float *out) {
    for (uint32_t r = 0; r < part->rows && part->rank != 0; r++) {
        rr_adapter_set_b(model->adapters, layer, role, r, out + (size_t)r * part->rank);
    }
}

/* The layouts of shaders/lanes_lora.h, with `lanes` lanes. */
static void lay_out_a(const rr_lora_group *group, uint32_t lanes, const float *from, float *to) {
    const uint32_t block = 2 * lanes, width = rr_div_up(group->rank, block) * block;
    for (uint32_t k = 0; k < group->rank; k++) {
        for (uint32_t c = 0; c < group->cols; c++) {
            const size_t at = (size_t)(c / UNIT) * UNIT * width +
                ((size_t)(k / block) * UNIT + c % UNIT) * block + k % block;
            to[at] = from[(size_t)k * group->cols + c];
        }
    }
}

static void lay_out_b(const rr_lora_part *part, const float *from, float *to) {
    for (uint32_t r = 0; r < part->rows; r++) {
        for (uint32_t k = 0; k < part->rank; k++) {
            const size_t at = (size_t)(r / UNIT) * UNIT * part->rank + k * UNIT + r % UNIT;
            to[at] = from[(size_t)r * part->rank + k];
        }
    }
}

/* A and B of a group to `to`, which is zeroed and where the layer's memory begins. False when out
 * of memory. */
static bool fill_group(const rr_model *model, uint32_t layer, rr_lora_input input,
    const rr_lora_group *group, uint32_t lanes, uint8_t *to) {
    float *a = (float *)(void *)(to + group->a);
    float *rows = lanes != 0 ? calloc((size_t)group->rank * group->cols + 1, sizeof *rows) : a;
    bool ok = rows != NULL;
    if (ok) {
        read_a(model, layer, input, group, rows);
    }
    if (ok && lanes != 0) {
        lay_out_a(group, lanes, rows, a);
        free(rows);
    }
    for (uint32_t i = 0; i < group->n_parts && ok; i++) {
        const rr_lora_part *part = &group->parts[i];
        float *b = (float *)(void *)(to + part->b);
        rows = lanes != 0 ? calloc((size_t)part->rows * part->rank + 1, sizeof *rows) : b;
        ok = rows != NULL;
        if (ok) {
            read_b(model, layer, roles[input][i], part, rows);
        }
        if (ok && lanes != 0) {
            lay_out_b(part, rows, b);
            free(rows);
        }
    }
    return ok;
}

/* `lanes`: 0 = rows as the matmul kernels take them. */
static rr_status fill_layer(const rr_model *model, uint32_t layer, rr_vk_device *device,
    const rr_lora_group *groups, uint32_t lanes, rr_vk_buffer *buffer, uint64_t bytes,
    rr_diag *diag) {
    uint8_t *values = calloc(1, (size_t)bytes);
    bool ok = values != NULL;
    for (int input = 0; input < RR_LORA_INPUTS && ok; input++) {
        ok = fill_group(model, layer, (rr_lora_input)input, &groups[input], lanes, values);
    }
    const rr_status status = ok ? rr_vk_upload(device, buffer, 0, values, bytes, diag)
                                : rr_fail(diag, RR_E_MEMORY, "out of memory for adapters");
    free(values);
    return status;
}

static rr_status load_layer(const rr_model *model, rr_graph_kind graph, uint32_t layer,
    rr_vk_device *device, bool no_values, rr_lora *lora, rr_diag *diag) {
    rr_lora_group *groups = lora->layers[layer];
    rr_vk_buffer *buffer = &lora->buffers[layer];
    const uint64_t bytes = plan_layer(model, graph, layer, groups);
    const uint32_t lanes = graph == RR_GRAPH_LANES ? rr_vk_info(device)->subgroup_size : 0;
    if (bytes == 0) {
        return RR_OK;
    }
    RR_TRY(rr_vk_buffer_create(device, RR_VK_MEMORY_DEVICE, bytes, "adapters", buffer, diag));
    RR_TRY(
        no_values ? RR_OK : fill_layer(model, layer, device, groups, lanes, buffer, bytes, diag));
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
        RR_TRY_GOTO(load_layer(model, graph, l, device, no_values, lora, diag));
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
    rr_vk_buffer_destroy(device, &lora->table);
    free(lora->buffers);
    free(lora->layers);
    free(lora);
    *pointer = NULL;
}
