/* Layers in one dispatch: the trial, the table of layers, the meeting's counters. */
#include "runtime/compute/fused_layer.h"

#include <stdlib.h>
#include <string.h>

#include "runtime/base/thread.h"
#include "runtime/compute/fast_path.h"
#include "runtime/compute/record.h"

enum { MAX_GROUPS = 64, MEETINGS = 4 };

struct rr_fused_layer {
    rr_vk_buffer meeting; /* u32 [2], as in lanes_layer.h */
    uint32_t arrivals, n_groups;
    bool on;
    bool insist;       /* for tests */
    bool together;     /* the pass at hand */
    uint64_t begin_ns; /* … began then */
    rr_fast_path path; /* what passes of one row took */
};

static void reset(rr_fused_layer *fused) {
    memset(fused->meeting.mapped, 0, 2 * sizeof(uint32_t));
    fused->arrivals = 0;
}

static void record(rr_compute *compute, rr_kern_key key, uint64_t layer) {
    rr_fused_layer *fused = compute->fused;
    rr_push_lanes_layer push = {.layer = layer,
        .meeting = fused->meeting.address,
        .arrivals = fused->arrivals,
        .n_groups = fused->n_groups};
    rr_record_op(compute, RR_OP_lanes_layer, key, &push);
    rr_record_barrier(compute);
    fused->arrivals += MEETINGS * fused->n_groups;
}

static rr_status try_to_meet(rr_compute *compute, rr_kern_key key, rr_diag *diag) {
    rr_fused_layer *fused = compute->fused;
    RR_TRY(rr_vk_begin(compute->commands, diag));
    record(compute, key, 0);
    RR_TRY(rr_record_submit(compute, diag));
    const uint32_t *words = fused->meeting.mapped;
    fused->on = words[1] == 0 && words[0] == MEETINGS * fused->n_groups;
    rr_log(
        RR_LOG_INFO, "%u workgroups side by side: %s", fused->n_groups, fused->on ? "yes" : "no");
    return RR_OK;
}

rr_status rr_fused_layer_create(rr_compute *compute, rr_kern_key key, const struct rr_layer *layers,
    uint32_t n_layers, rr_diag *diag) {
    rr_fused_layer *fused = calloc(1, sizeof *fused);
    if (fused == NULL) {
        return rr_fail(diag, RR_E_MEMORY, "out of memory");
    }
    compute->fused = fused;
    const uint64_t bytes = (uint64_t)n_layers * sizeof *layers;
    RR_TRY(rr_vk_buffer_create(
        compute->device, RR_VK_MEMORY_DEVICE, bytes, "layers", &compute->layer_table, diag));
    RR_TRY(rr_vk_upload(compute->device, &compute->layer_table, 0, layers, bytes, diag));
    RR_TRY(rr_vk_buffer_create(compute->device, RR_VK_MEMORY_READBACK, 2 * sizeof(uint32_t),
        "meeting", &fused->meeting, diag));
    unsigned n = rr_cpu_count();
    fused->n_groups = n < MAX_GROUPS ? n : MAX_GROUPS;
    reset(fused);
    return try_to_meet(compute, key, diag);
}

void rr_fused_layer_destroy(rr_compute *compute) {
    if (compute->fused != NULL) {
        rr_vk_buffer_destroy(compute->device, &compute->layer_table);
        rr_vk_buffer_destroy(compute->device, &compute->fused->meeting);
        free(compute->fused);
        compute->fused = NULL;
    }
}

bool rr_fused_layer_is_on(const rr_compute *compute) {
    return compute->fused != NULL && compute->fused->on;
}

void rr_fused_layer_begin(rr_compute *compute, const rr_pass *pass) {
    rr_fused_layer *fused = compute->fused;
    const bool alone = pass->n_rows[RR_PREFILL] == 0 && pass->n_rows[RR_DECODE] == 1;
    fused->together = alone && fused->on && (fused->insist || rr_fast_path_is_taken(&fused->path));
    /* only passes of the same work are compared: not those with a part of the head */
    fused->begin_ns = alone && fused->on && pass->head_cols == 0 ? rr_time_ns() : 0;
}

void rr_fused_layer_end(rr_compute *compute) {
    rr_fused_layer *fused = compute->fused;
    if (fused->begin_ns == 0 || fused->insist) {
        return;
    }
    const bool was_held = fused->path.n_left > 0;
    rr_fast_path_took(&fused->path, (double)(rr_time_ns() - fused->begin_ns));
    if (fused->path.n_left > 0 && !was_held) {
        rr_log(RR_LOG_INFO,
            "workgroups wait long for each other: the next %u tokens take several dispatches a layer",
            fused->path.n_left);
    }
}

bool rr_fused_layer_is_taken(const rr_compute *compute) {
    return compute->fused != NULL && compute->fused->together;
}

void rr_fused_layer_record(rr_compute *compute, rr_kern_key key, uint32_t index) {
    record(compute, key, compute->layer_table.address + index * sizeof(struct rr_layer));
}

bool rr_fused_layer_failed(rr_compute *compute) {
    rr_fused_layer *fused = compute->fused;
    if (fused == NULL || !fused->on || ((const uint32_t *)fused->meeting.mapped)[1] == 0) {
        return false;
    }
    /* no warning: a busy processor can do that to a software device, and what is computed is the
     * same */
    rr_log(RR_LOG_INFO,
        "workgroups of this device do not run side by side any more: layers take several dispatches from now on");
    fused->on = false;
    return true;
}

void rr_fused_layer_set_groups(rr_compute *compute, uint32_t n_groups) {
    compute->fused->n_groups = n_groups;
    compute->fused->insist = true;
}
