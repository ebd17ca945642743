/* Lets the graph prepare itself in an engine that has weights' layouts and a kernel table that only lists. */
#include "runtime/engine/uses.h"

#include <stdlib.h>

#include "runtime/engine/internal.h"

rr_status rr_kern_uses(const rr_model *model, rr_vk_device *device, bool exact, rr_kern_use_fn fn, void *user,
                       rr_diag *diag) {
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
    engine->graph_kind = rr_graph_choose(model, rr_vk_info(device), &(rr_engine_params){.exact = exact});
    RR_TRY_GOTO(rr_weights_describe(model, engine->graph_kind, rr_vk_info(device), &engine->weights, diag));
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
