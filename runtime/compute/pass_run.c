/* Runs passes: asks the graph for the ops, cuts them into submits, brings back the results. Which
 * ops a pass has is the graph's business: graph.h. */
#include "runtime/base/thread.h"
#include "runtime/compute/graph.h"
#include "runtime/compute/reader.h"
#include "shaders/argmax.h"

/* Device time a submit should stay below; half of what the house allows, since it is predicted from
 * the last passes. */
static const double SUBMIT_NS = 0.12e9;

rr_status rr_deadline_check(uint64_t deadline_ns, rr_diag *diag) {
    return deadline_ns != 0 && rr_time_ns() >= deadline_ns
        ? rr_fail(diag, RR_E_DEADLINE, "the deadline is over")
        : RR_OK;
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

/* Where ids begin in the readback buffer. */
static uint64_t ids_offset(const rr_compute *compute) {
    return (uint64_t)compute->limits.logits_rows * compute->model->config.n_vocab * 4;
}

/* Arg max of logits, which have `n_terms` (rr_graph). */
static void record_argmax(
    rr_compute *compute, const rr_head_part *part, uint64_t ids, uint32_t n_terms) {
    const rr_push_argmax push = {.x = part->logits,
        .y = ids,
        .cols = part->n_cols,
        .n_rows = part->n_rows,
        .n_terms = n_terms};
    rr_record_op(compute, RR_OP_argmax, (rr_kern_key){0}, &push);
    rr_record_barrier(compute);
}

/* Head rows [begin, end) and the copies of their results. */
static void record_head(rr_compute *compute, const rr_pass *pass, uint32_t begin, uint32_t end) {
    const uint64_t base = compute->activations.address;
    const uint64_t row_bytes = (uint64_t)rr_head_cols(compute, pass) * 4;
    const uint64_t logits = compute->at.logits + begin * row_bytes,
                   ids = compute->at.ids + (uint64_t)begin * 4;
    const rr_head_part part = {.family = pass->head_family,
        .begin = begin,
        .row = pass->head_first + begin,
        .n_rows = end - begin,
        .n_cols = rr_head_cols(compute, pass),
        .logits = base + logits};
    compute->graph->record_head(compute, &part);
    record_argmax(compute, &part, base + ids, compute->graph->head_terms);
    compute->head_cols = part.n_cols;
    if (pass->read_logits) {
        rr_vk_copy(compute->commands, &compute->activations, logits, &compute->readback,
            begin * row_bytes, part.n_rows * row_bytes);
    }
    rr_vk_copy(compute->commands, &compute->activations, ids, &compute->readback,
        ids_offset(compute) + (uint64_t)begin * 4, (uint64_t)part.n_rows * 4);
}

rr_status rr_pass_run_head(rr_compute *compute, const rr_pass *pass, rr_diag *diag) {
    const uint32_t unit = head_unit(pass);
    double *unit_ns = &compute->times.head_unit_ns[pass->head_family];
    for (uint32_t begin = 0; begin < pass->head_rows;) {
        uint32_t left = pass->head_rows - begin;
        uint32_t n_units = parts_per_submit(*unit_ns, rr_div_up(left, unit));
        uint32_t n = n_units * unit < left ? n_units * unit : left;
        RR_TRY(rr_vk_begin(compute->commands, diag));
        record_head(compute, pass, begin, begin + n);
        uint64_t begin_ns = rr_time_ns();
        RR_TRY(rr_record_submit(compute, diag));
        if (pass->head_cols == 0) { /* a part of the vocabulary says nothing about the whole */
            *unit_ns = (double)(rr_time_ns() - begin_ns) / (double)n_units;
        }
        begin += n;
    }
    return RR_OK;
}

/* What the head will take, 0 when it is not known or there is none. */
static double head_ns(const rr_compute *compute, const rr_pass *pass) {
    const double share =
        (double)rr_head_cols(compute, pass) / (double)compute->model->config.n_vocab;
    return share * compute->times.head_unit_ns[pass->head_family] *
        (double)rr_div_up(pass->head_rows, head_unit(pass));
}

/* What a layer will take, 0 when it is not known. */
static double layer_ns(const rr_compute *compute, const rr_pass *pass) {
    double sum = 0.0;
    for (int f = 0; f < RR_N_FAMILIES; f++) {
        if (pass->n_rows[f] > 0 && compute->times.layer_row_ns[f] <= 0.0) {
            return 0.0;
        }
        sum += compute->times.layer_row_ns[f] * pass->n_rows[f];
    }
    return sum;
}

/* A layer took `took_ns`. Families that share a pass cost less together than apart, so such a pass
 * shows no family's cost but one that is not known yet, and that what is known is too little. */
static void learn_layer(rr_compute *compute, const rr_pass *pass, double took_ns) {
    double *row_ns = compute->times.layer_row_ns;
    const uint32_t *n = pass->n_rows;
    const bool shared = n[RR_PREFILL] > 0 && n[RR_DECODE] > 0;
    const double known = layer_ns(compute, pass);
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

static rr_status run_layers(rr_compute *compute, const rr_pass *pass, rr_diag *diag) {
    const uint32_t n_layers = rr_pass_n_layers(compute, pass);
    const double head = head_ns(compute, pass);
    bool with_head = false;
    for (uint32_t l = 0; l < n_layers;) {
        if (is_cancelled(pass)) {
            return rr_fail(diag, RR_E_CANCELLED, "cancelled");
        }
        RR_TRY(rr_deadline_check(pass->deadline_ns, diag));
        const double each_ns = layer_ns(compute, pass);
        uint32_t n = parts_per_submit(each_ns, n_layers - l);
        uint32_t end = l + n;
        RR_TRY(rr_vk_begin(compute->commands, diag));
        if (l == 0) {
            compute->graph->record_embed(compute, pass);
        }
        for (uint32_t i = l; i < end; i++) {
            compute->graph->record_layer(compute, pass, i);
            if (pass->read != NULL) {
                rr_reader_record_layer(compute, pass->read, i);
            }
        }
        /* a submit costs as much as some kernels: the head goes with the last layers where both
         * fit */
        with_head = end == n_layers && head > 0.0 && each_ns * (double)n + head <= SUBMIT_NS;
        if (with_head) {
            record_head(compute, pass, 0, pass->head_rows);
        }
        uint64_t begin_ns = rr_time_ns();
        RR_TRY(rr_record_submit(compute, diag));
        /* the first pass may include the driver's own compilation; the next one corrects it */
        double took = (double)(rr_time_ns() - begin_ns), share = with_head ? took - head : took;
        learn_layer(compute, pass, (share > 0.1 * took ? share : 0.1 * took) / (double)n);
        l = end;
    }
    return pass->head_rows > 0 && !with_head ? rr_pass_run_head(compute, pass, diag) : RR_OK;
}

static rr_status run_once(rr_compute *compute, const rr_pass *pass, rr_diag *diag) {
    if (compute->graph->begin_pass != NULL) {
        compute->graph->begin_pass(compute, pass);
    }
    return run_layers(compute, pass, diag);
}

/* Ops that overlapped may have left any count. */
static rr_status clear_counters(rr_compute *compute, rr_diag *diag) {
    if (compute->counters_dirty) {
        RR_TRY(rr_compute_clear_counters(compute, diag));
        compute->counters_dirty = false;
    }
    return RR_OK;
}

rr_status rr_pass_run(rr_compute *compute, const rr_pass *pass, rr_diag *diag) {
    const rr_graph *graph = compute->graph;
    RR_TRY(clear_counters(compute, diag));
    RR_TRY(run_once(compute, pass, diag));
    if (graph->must_repeat != NULL && graph->must_repeat(compute)) {
        compute->counters_dirty = true;
        RR_TRY(clear_counters(compute, diag));
        RR_TRY(run_once(compute, pass, diag));
    }
    if (graph->end_pass != NULL) {
        graph->end_pass(compute);
    }
    return RR_OK;
}

const float *rr_pass_logits(const rr_compute *compute, uint32_t head_row) {
    return (const float *)compute->readback.mapped + (uint64_t)head_row * compute->head_cols;
}

int32_t rr_pass_best(const rr_compute *compute, uint32_t head_row) {
    const uint32_t *ids = (const uint32_t *)(const void *)((const char *)compute->readback.mapped +
        ids_offset(compute));
    return (int32_t)ids[head_row];
}
