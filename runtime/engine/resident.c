/* Layers in one dispatch: the trial, the table of layers, the meeting's counters. */
#include "runtime/engine/resident.h"

#include <stdlib.h>
#include <string.h>

#include "runtime/base/thread.h"
#include "runtime/engine/two_ways.h"

enum { MAX_GROUPS = 64, MEETINGS = 4 };

struct rr_resident {
    rr_vk_buffer layers;  /* struct rr_layer [n_layers] */
    rr_vk_buffer meeting; /* u32 [2], as in lanes_layer.h */
    uint32_t arrivals, n_groups;
    bool on;
    bool insist;       /* for tests */
    bool together;     /* the pass at hand */
    uint64_t begin_ns; /* … began then */
    rr_two_ways ways;  /* what passes of one row took */
};

static void reset(rr_resident *resident) {
    memset(resident->meeting.mapped, 0, 2 * sizeof(uint32_t));
    resident->arrivals = 0;
}

static void record(rr_engine *engine, rr_kern_key key, uint64_t layer) {
    rr_resident *resident = engine->resident;
    rr_push_lanes_layer push = {.layer = layer,
        .meeting = resident->meeting.address,
        .arrivals = resident->arrivals,
        .n_groups = resident->n_groups};
    rr_graph_record(engine, RR_OP_lanes_layer, key, &push);
    rr_graph_barrier(engine);
    resident->arrivals += MEETINGS * resident->n_groups;
}

static rr_status try_to_meet(rr_engine *engine, rr_kern_key key, rr_diag *diag) {
    rr_resident *resident = engine->resident;
    RR_TRY(rr_vk_begin(engine->commands, diag));
    record(engine, key, 0);
    RR_TRY(rr_vk_submit(engine->commands, diag));
    RR_TRY(rr_vk_wait(engine->commands, 0, diag));
    const uint32_t *words = resident->meeting.mapped;
    resident->on = words[1] == 0 && words[0] == MEETINGS * resident->n_groups;
    rr_log(RR_LOG_INFO, "%u workgroups side by side: %s", resident->n_groups,
        resident->on ? "yes" : "no");
    return RR_OK;
}

rr_status rr_resident_create(rr_engine *engine, rr_kern_key key, const struct rr_layer *layers,
    uint32_t n_layers, rr_diag *diag) {
    rr_resident *resident = calloc(1, sizeof *resident);
    if (resident == NULL) {
        return rr_fail(diag, RR_E_MEMORY, "out of memory");
    }
    engine->resident = resident;
    const uint64_t bytes = (uint64_t)n_layers * sizeof *layers;
    RR_TRY(rr_vk_buffer_create(
        engine->device, RR_VK_MEMORY_DEVICE, bytes, "layers", &resident->layers, diag));
    RR_TRY(rr_vk_upload(engine->device, &resident->layers, 0, layers, bytes, diag));
    RR_TRY(rr_vk_buffer_create(engine->device, RR_VK_MEMORY_READBACK, 2 * sizeof(uint32_t),
        "meeting", &resident->meeting, diag));
    unsigned n = rr_cpu_count();
    resident->n_groups = n < MAX_GROUPS ? n : MAX_GROUPS;
    reset(resident);
    return try_to_meet(engine, key, diag);
}

void rr_resident_destroy(rr_engine *engine) {
    if (engine->resident != NULL) {
        rr_vk_buffer_destroy(engine->device, &engine->resident->layers);
        rr_vk_buffer_destroy(engine->device, &engine->resident->meeting);
        free(engine->resident);
        engine->resident = NULL;
    }
}

bool rr_resident_is_on(const rr_engine *engine) {
    return engine->resident != NULL && engine->resident->on;
}

void rr_resident_begin(rr_engine *engine, const rr_pass *pass) {
    rr_resident *resident = engine->resident;
    const bool alone = pass->n_rows[RR_PREFILL] == 0 && pass->n_rows[RR_DECODE] == 1;
    resident->together =
        alone && resident->on && (resident->insist || rr_two_ways_risk(&resident->ways));
    /* only passes of the same work are compared: not those with a part of the head */
    resident->begin_ns = alone && resident->on && pass->head_cols == 0 ? rr_time_ns() : 0;
}

void rr_resident_end(rr_engine *engine) {
    rr_resident *resident = engine->resident;
    if (resident->begin_ns == 0 || resident->insist) {
        return;
    }
    const bool was_held = resident->ways.n_left > 0;
    rr_two_ways_took(&resident->ways, (double)(rr_time_ns() - resident->begin_ns));
    if (resident->ways.n_left > 0 && !was_held) {
        rr_log(RR_LOG_INFO,
            "workgroups wait long for each other: the next %u tokens take several dispatches a layer",
            resident->ways.n_left);
    }
}

bool rr_resident_is_together(const rr_engine *engine) {
    return engine->resident != NULL && engine->resident->together;
}

void rr_resident_record(rr_engine *engine, rr_kern_key key, uint32_t index) {
    record(engine, key, engine->resident->layers.address + index * sizeof(struct rr_layer));
}

bool rr_resident_failed(rr_engine *engine) {
    rr_resident *resident = engine->resident;
    if (resident == NULL || !resident->on || ((const uint32_t *)resident->meeting.mapped)[1] == 0) {
        return false;
    }
    /* no warning: a busy processor can do that to a software device, and what is computed is the
     * same */
    rr_log(RR_LOG_INFO,
        "workgroups of this device do not run side by side any more: layers take several dispatches from now on");
    resident->on = false;
    return true;
}

void rr_resident_set_groups(rr_engine *engine, uint32_t n_groups) {
    engine->resident->n_groups = n_groups;
    engine->resident->insist = true;
}

void rr_resident_layers(const rr_engine *engine, const void **out, uint64_t *address) {
    const rr_resident *resident = engine->resident;
    *out = resident != NULL ? resident->layers.mapped : NULL;
    *address = resident != NULL ? resident->layers.address : 0;
}
