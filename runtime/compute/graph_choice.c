/* Which graphs can run a model on a device, and which is worth it. */
#include "runtime/compute/graph_choice.h"

#include <string.h>

#include "quant/lanes.h"
#include "runtime/compute/kern.h"

static const char *const names[RR_N_GRAPHS] = {
    [RR_GRAPH_PLAIN] = "plain", [RR_GRAPH_Q8] = "q8", [RR_GRAPH_LANES] = "lanes"};

/* All matrices must have a lane layout, and half a head must be whole units of it. */
static bool lanes_hold(const rr_model *model) {
    rr_lanes_format format;
    bool all = rr_lanes_format_of(
                   model->config.tied ? model->embedding.type : model->output.type, &format) &&
        model->config.head_size % (2 * RR_LANES_UNIT) == 0;
    for (uint32_t l = 0; l < model->config.n_layers && all; l++) {
        const rr_model_layer *layer = &model->layers[l];
        const rr_weight *weights[] = {
            &layer->q, &layer->k, &layer->v, &layer->o, &layer->gate, &layer->up, &layer->down};
        for (size_t i = 0; i < sizeof weights / sizeof weights[0]; i++) {
            all = all && rr_lanes_format_of(weights[i]->type, &format);
        }
    }
    return all;
}

/* All matrices must have groups; gate and up, which are one product, the same format. */
static bool q8_holds(const rr_model *model) {
    const rr_model_config *c = &model->config;
    const rr_weight *output = c->tied ? &model->embedding : &model->output;
    bool all =
        c->head_size % 8 == 0 && c->d_ffn % 32 == 0 && rr_qtype_get(output->type)->scale_bytes != 0;
    for (uint32_t l = 0; l < c->n_layers && all; l++) {
        const rr_model_layer *layer = &model->layers[l];
        const rr_weight *weights[] = {
            &layer->q, &layer->k, &layer->v, &layer->o, &layer->gate, &layer->up, &layer->down};
        all = layer->gate.type == layer->up.type;
        for (size_t i = 0; i < sizeof weights / sizeof weights[0]; i++) {
            all = all && rr_qtype_get(weights[i]->type)->scale_bytes != 0;
        }
    }
    return all;
}

/* Whether a graph can run at all: every op has a row for this device, every matrix a layout. */
static bool can_run(rr_graph_kind kind, const rr_model *model, const rr_device_info *info) {
    const rr_kern_key key = {0};
    switch (kind) {
    case RR_GRAPH_LANES:
        return rr_pick(RR_OP_lanes_qkv, &key, info) != NULL && lanes_hold(model);
    case RR_GRAPH_Q8:
        return rr_pick(RR_OP_matmul_q8_prefill, &key, info) != NULL &&
            rr_pick(RR_OP_matmul_q8_decode, &key, info) != NULL && q8_holds(model);
    case RR_GRAPH_PLAIN:
        return true;
    case RR_N_GRAPHS:
        break;
    }
    return false;
}

/* The int8 graph runs on every device, but pays where integers are multiplied four at a time. */
static bool pays(rr_graph_kind kind, const rr_device_info *info) {
    return kind != RR_GRAPH_Q8 || (info->caps & (RR_CAP_DOT | RR_CAP_COOP_INT8)) != 0;
}

rr_graph_kind rr_graph_choose(
    const rr_model *model, const rr_device_info *info, const rr_compute_params *params) {
    for (int kind = RR_N_GRAPHS - 1; kind > RR_GRAPH_PLAIN && !params->exact; kind--) {
        bool wanted = params->graph != NULL ? strcmp(params->graph, names[kind]) == 0
                                            : pays((rr_graph_kind)kind, info);
        if (wanted && can_run((rr_graph_kind)kind, model, info)) {
            return (rr_graph_kind)kind;
        }
    }
    return RR_GRAPH_PLAIN;
}

const char *rr_graph_kind_name(rr_graph_kind kind) {
    return names[kind];
}

const char *rr_graph_name(
    const rr_model *model, const rr_device_info *info, const rr_compute_params *params) {
    return rr_graph_kind_name(rr_graph_choose(model, info, params));
}
