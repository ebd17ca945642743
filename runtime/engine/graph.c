/* Runs passes: asks the engine's graph for the ops, cuts them into submits, brings back the
 * results. Owns nothing; works on the engine's buffers. Which ops a pass has is the graph's
 * business: graph.h. */
#include "runtime/engine/graph.h"

#include <string.h>

#include "runtime/base/thread.h"
#include "runtime/engine/read_pass.h"

/* Device time a submit should stay below; half of what the house allows, since it is predicted from
 * the last passes. */
static const double SUBMIT_NS = 0.12e9;

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
    }
    return false;
}

/* The int8 graph runs on every device, but pays where integers are multiplied four at a time. */
static bool pays(rr_graph_kind kind, const rr_device_info *info) {
    return kind != RR_GRAPH_Q8 || (info->caps & (RR_CAP_DOT | RR_CAP_COOP_INT8)) != 0;
}

static const rr_graph *const graphs[] = {[RR_GRAPH_PLAIN] = &rr_graph_plain,
    [RR_GRAPH_Q8] = &rr_graph_q8,
    [RR_GRAPH_LANES] = &rr_graph_lanes};

rr_graph_kind rr_graph_choose(
    const rr_model *model, const rr_device_info *info, const rr_engine_params *params) {
    for (int kind = RR_GRAPH_LANES; kind > RR_GRAPH_PLAIN && !params->exact; kind--) {
        bool wanted = params->graph != NULL ? strcmp(params->graph, graphs[kind]->name) == 0
                                            : pays((rr_graph_kind)kind, info);
        if (wanted && can_run((rr_graph_kind)kind, model, info)) {
            return (rr_graph_kind)kind;
        }
    }
    return RR_GRAPH_PLAIN;
}

const char *rr_graph_kind_name(rr_graph_kind kind) {
    return graphs[kind]->name;
}

const char *rr_graph_name(
    const rr_model *model, const rr_device_info *info, const rr_engine_params *params) {
    return rr_graph_kind_name(rr_graph_choose(model, info, params));
}

rr_status rr_graph_prepare(rr_engine *engine, rr_diag *diag) {
    engine->graph = graphs[engine->graph_kind];
    RR_TRY(rr_reader_prepare(engine, diag));
    return engine->graph->prepare(engine, diag);
}

void rr_graph_record(rr_engine *engine, rr_op op, rr_kern_key key, const void *push) {
    rr_kern_record(engine->kern, engine->commands, op, &key, NULL, push);
}

void rr_graph_barrier(rr_engine *engine) {
    rr_vk_barrier(engine->commands);
}

uint32_t rr_pass_n_layers(const rr_engine *engine, const rr_pass *pass) {
    return pass->read != NULL ? pass->read->n_layers : engine->model->config.n_layers;
}

rr_range rr_rows_beyond_kv(const rr_engine *engine, const rr_pass *pass, uint32_t layer) {
    const bool is_last = layer + 1 == rr_pass_n_layers(engine, pass);
    if (!is_last || pass->keep_rows) {
        return rr_pass_all(pass);
    }
    return pass->read != NULL ? rr_reader_last_rows(pass->read)
                              : (rr_range){pass->head_first, pass->head_rows};
}

void rr_graph_record_reading(
    rr_engine *engine, const rr_pass *pass, uint32_t layer, uint64_t q, uint32_t q_stride) {
    if (pass->read != NULL) {
        rr_reader_record_attention(engine, pass->read, layer, q, q_stride);
    }
}

static rr_status submit_and_wait(rr_engine *engine, rr_diag *diag) {
    rr_profile_close(engine);
    RR_TRY(rr_vk_submit(engine->commands, diag));
    RR_TRY(rr_vk_wait(engine->commands, 0, diag));
    rr_profile_collect(engine);
    return RR_OK;
}

static bool is_cancelled(const rr_pass *pass) {
    return pass->cancelled != NULL && atomic_load(pass->cancelled);
}

/* How many of `n` equal parts go into a submit when each is likely to take `part_ns`. Unknown costs
 * (0) go one part at a time. */
static uint32_t parts_per_submit(double part_ns, uint32_t n) {
    if (part_ns <= 0.0) {
        return 1;
    }
    double fit = SUBMIT_NS / part_ns;
    return fit < 1.0 ? 1 : fit > (double)n ? n : (uint32_t)fit;
}

/* A workgroup of the prefill family takes 8 tokens at once: fewer would cost as much. */
static uint32_t head_unit(const rr_pass *pass) {
    return pass->head_family == RR_PREFILL ? 8 : 1;
}

/* Head rows [begin, end) and the copies of their results. */
static void record_head(rr_engine *engine, const rr_pass *pass, uint32_t begin, uint32_t end) {
    const uint64_t row_bytes = (uint64_t)rr_head_cols(engine, pass) * 4;
    const uint64_t ids_at =
        (uint64_t)engine->limits.logits_rows * engine->model->config.n_vocab * 4;
    engine->graph->record_head(engine, pass, begin, end);
    engine->head_cols = rr_head_cols(engine, pass);
    if (pass->read_logits) {
        rr_vk_copy(engine->commands, &engine->activations, engine->at.logits + begin * row_bytes,
            &engine->readback, begin * row_bytes, (end - begin) * row_bytes);
    }
    rr_vk_copy(engine->commands, &engine->activations, engine->at.ids + (uint64_t)begin * 4,
        &engine->readback, ids_at + (uint64_t)begin * 4, (uint64_t)(end - begin) * 4);
}

rr_status rr_graph_head(rr_engine *engine, const rr_pass *pass, rr_diag *diag) {
    const uint32_t unit = head_unit(pass);
    double *unit_ns = &engine->head_unit_ns[pass->head_family];
    for (uint32_t begin = 0; begin < pass->head_rows;) {
        uint32_t left = pass->head_rows - begin;
        uint32_t n_units = parts_per_submit(*unit_ns, rr_div_up(left, unit));
        uint32_t n = n_units * unit < left ? n_units * unit : left;
        RR_TRY(rr_vk_begin(engine->commands, diag));
        record_head(engine, pass, begin, begin + n);
        uint64_t begin_ns = rr_time_ns();
        RR_TRY(submit_and_wait(engine, diag));
        if (pass->head_cols == 0) { /* a part of the vocabulary says nothing about the whole */
            *unit_ns = (double)(rr_time_ns() - begin_ns) / (double)n_units;
        }
        begin += n;
    }
    return RR_OK;
}

/* What the head will take, 0 when it is not known or there is none. */
static double head_ns(const rr_engine *engine, const rr_pass *pass) {
    const double share = (double)rr_head_cols(engine, pass) / (double)engine->model->config.n_vocab;
    return share * engine->head_unit_ns[pass->head_family] *
        (double)rr_div_up(pass->head_rows, head_unit(pass));
}

/* What a layer will take, 0 when it is not known. */
static double layer_ns(const rr_engine *engine, const rr_pass *pass) {
    double sum = 0.0;
    for (int f = 0; f < RR_N_FAMILIES; f++) {
        if (pass->n_rows[f] > 0 && engine->layer_row_ns[f] <= 0.0) {
            return 0.0;
        }
        sum += engine->layer_row_ns[f] * pass->n_rows[f];
    }
    return sum;
}

/* A layer took `took_ns`. Families that share a pass cost less together than apart, so such a pass
 * shows no family's cost but one that is not known yet, and that what is known is too little. */
static void learn_layer(rr_engine *engine, const rr_pass *pass, double took_ns) {
    double *row_ns = engine->layer_row_ns;
    const uint32_t *n = pass->n_rows;
    const bool shared = n[RR_PREFILL] > 0 && n[RR_DECODE] > 0;
    const double known = layer_ns(engine, pass);
    for (int f = 0; f < RR_N_FAMILIES; f++) {
        if (n[f] == 0) {
            continue;
        }
        if (!shared || row_ns[f] <= 0.0) {
            row_ns[f] = took_ns / rr_pass_n_rows(pass);
        } else if (known > 0.0 && took_ns > known) {
            row_ns[f] *= took_ns / known;
        }
    }
}

static rr_status run_layers(rr_engine *engine, const rr_pass *pass, rr_diag *diag) {
    const uint32_t n_layers = rr_pass_n_layers(engine, pass);
    const double head = head_ns(engine, pass);
    bool with_head = false;
    for (uint32_t l = 0; l < n_layers;) {
        if (is_cancelled(pass)) {
            return rr_fail(diag, RR_E_CANCELLED, "cancelled");
        }
        RR_TRY(rr_deadline_check(pass->deadline_ns, diag));
        const double each_ns = layer_ns(engine, pass);
        uint32_t n = parts_per_submit(each_ns, n_layers - l);
        uint32_t end = l + n;
        RR_TRY(rr_vk_begin(engine->commands, diag));
        if (l == 0) {
            engine->graph->record_embed(engine, pass);
        }
        for (uint32_t i = l; i < end; i++) {
            engine->graph->record_layer(engine, pass, i);
            if (pass->read != NULL) {
                rr_reader_record_layer(engine, pass->read, i);
            }
        }
        /* a submit costs as much as some kernels: the head goes with the last layers where both
         * fit */
        with_head = end == n_layers && head > 0.0 && each_ns * (double)n + head <= SUBMIT_NS;
        if (with_head) {
            record_head(engine, pass, 0, pass->head_rows);
        }
        uint64_t begin_ns = rr_time_ns();
        RR_TRY(submit_and_wait(engine, diag));
        /* the first pass may include the driver's own compilation; the next one corrects it */
        double took = (double)(rr_time_ns() - begin_ns), share = with_head ? took - head : took;
        learn_layer(engine, pass, (share > 0.1 * took ? share : 0.1 * took) / (double)n);
        l = end;
    }
    return pass->head_rows > 0 && !with_head ? rr_graph_head(engine, pass, diag) : RR_OK;
}

static rr_status run_once(rr_engine *engine, const rr_pass *pass, rr_diag *diag) {
    if (engine->graph->begin_pass != NULL) {
        engine->graph->begin_pass(engine, pass);
    }
    return run_layers(engine, pass, diag);
}

/* Ops that overlapped may have left any count. */
static rr_status clear_counters(rr_engine *engine, rr_diag *diag) {
    if (engine->counters_dirty) {
        RR_TRY(rr_engine_clear_counters(engine, diag));
        engine->counters_dirty = false;
    }
    return RR_OK;
}

rr_status rr_graph_run(rr_engine *engine, const rr_pass *pass, rr_diag *diag) {
    const rr_graph *graph = engine->graph;
    RR_TRY(clear_counters(engine, diag));
    RR_TRY(run_once(engine, pass, diag));
    if (graph->must_repeat != NULL && graph->must_repeat(engine)) {
        engine->counters_dirty = true;
        RR_TRY(clear_counters(engine, diag));
        RR_TRY(run_once(engine, pass, diag));
    }
    if (graph->end_pass != NULL) {
        graph->end_pass(engine);
    }
    return RR_OK;
}

const float *rr_graph_logits(const rr_engine *engine, uint32_t head_row) {
    return (const float *)engine->readback.mapped + (uint64_t)head_row * engine->head_cols;
}

int32_t rr_graph_best(const rr_engine *engine, uint32_t head_row) {
    const uint32_t *ids = (const uint32_t *)((const char *)engine->readback.mapped +
        (uint64_t)engine->limits.logits_rows * engine->model->config.n_vocab * 4);
    return (int32_t)ids[head_row];
}
