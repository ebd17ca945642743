/* Lets the graph prepare itself in an engine that has weights' layouts and a kernel table that only
 * lists. */
#include "runtime/engine/uses.h"

#include <stdlib.h>

#include "runtime/engine/graph.h"

static const rr_graph *const graphs[] = {&rr_graph_plain, &rr_graph_q8, &rr_graph_lanes};

/* The uses of one graph. */
static rr_status list_uses(const rr_model *model, rr_vk_device *device, rr_graph_kind kind,
    rr_kern_use_fn fn, void *user, rr_diag *diag) {
    rr_engine *engine = calloc(1, sizeof *engine);
    rr_model *borrowed = malloc(sizeof *borrowed);
    rr_status status = RR_OK;
    if (engine == NULL || borrowed == NULL) {
        status = rr_fail(diag, RR_E_MEMORY, "out of memory");
        goto fail;
    }
    *borrowed = *model;
    engine->model = borrowed;
    engine->device = device;
    engine->graph_kind = kind;
    engine->limits.readings = true; /* an engine may be opened with them */
    RR_TRY_GOTO(rr_weights_describe(model, kind, rr_vk_info(device), &engine->weights, diag));
    RR_TRY_GOTO(rr_kern_create_list(fn, user, &engine->kern, diag));
    status = rr_graph_prepare(engine, diag);
fail:
    if (engine != NULL) {
        rr_kern_destroy(&engine->kern);
        rr_weights_destroy(device, &engine->weights);
    }
    free(borrowed);
    free(engine);
    return status;
}

rr_status rr_kern_uses(const rr_model *model, rr_vk_device *device, bool others, rr_kern_use_fn fn,
    void *user, rr_diag *diag) {
    const rr_graph_kind chosen = rr_graph_choose(model, rr_vk_info(device), &(rr_engine_params){0});
    if (!others) {
        return list_uses(model, device, chosen, fn, user, diag);
    }
    bool listed[sizeof graphs / sizeof graphs[0]] = {false};
    listed[chosen] = true;
    for (size_t i = 0; i < sizeof graphs / sizeof graphs[0]; i++) {
        /* one that cannot run there is not chosen even when it is asked for */
        rr_graph_kind kind = rr_graph_choose(
            model, rr_vk_info(device), &(rr_engine_params){.graph = graphs[i]->name});
        if (!listed[kind]) {
            listed[kind] = true;
            RR_TRY(list_uses(model, device, kind, fn, user, diag));
        }
    }
    return RR_OK;
}
