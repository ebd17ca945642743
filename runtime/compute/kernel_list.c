#include "runtime/compute/kernel_list.h"

#include "runtime/compute/graph.h"

/* The kernels of one graph, and of readings: passes may be opened with them. */
static rr_status list(const rr_model *model, const rr_device_info *info, rr_graph_kind kind,
    const rr_kern_use *use, rr_diag *diag) {
    rr_weights weights = {0};
    RR_TRY(rr_weights_describe(model, kind, info, &weights, diag));
    const rr_status status = rr_graph_list_kernels(kind, model, &weights, true, use, diag);
    rr_weights_destroy(NULL, &weights);
    return status;
}

rr_status rr_kernel_list(const rr_model *model, const rr_device_info *info, bool others,
    const rr_kern_use *use, rr_diag *diag) {
    const rr_graph_kind chosen = rr_graph_choose(model, info, &(rr_compute_params){0});
    if (!others) {
        return list(model, info, chosen, use, diag);
    }
    bool listed[RR_N_GRAPHS] = {false};
    listed[chosen] = true;
    for (int i = 0; i < RR_N_GRAPHS; i++) {
        /* one that cannot run there is not chosen even when it is asked for */
        const rr_compute_params asked = {.graph = rr_graph_kind_name((rr_graph_kind)i)};
        const rr_graph_kind kind = rr_graph_choose(model, info, &asked);
        if (!listed[kind]) {
            listed[kind] = true;
            RR_TRY(list(model, info, kind, use, diag));
        }
    }
    return RR_OK;
}
