/* What is to be measured on what: the device and the model, before anything is allocated. */
#include <stdio.h>
#include <stdlib.h>

#include "tools/bench.h"

static rr_status look_at_device(
    const rr_engine_params *params, rr_device_info *out, rr_diag *diag) {
    rr_vk_instance *instance = NULL;
    RR_TRY(rr_vk_instance_create(
        &(rr_vk_instance_params){.validation = params->compute.validation}, &instance, diag));
    size_t index = 0;
    const char *mask = params->compute.caps != NULL ? params->compute.caps : getenv("REARANK_CAPS");
    rr_status status = RR_OK;
    RR_TRY_GOTO(rr_vk_pick(rr_vk_device_info_at(instance, 0), rr_vk_n_devices(instance),
        params->compute.device, &index, diag));
    rr_device_info found = *rr_vk_device_info_at(instance, index);
    RR_TRY_GOTO(rr_caps_lift(&found, mask, diag));
    *out = found;
fail:
    rr_vk_instance_destroy(&instance);
    return status;
}

rr_status rr_bench_look(
    rr_bench *bench, const rr_engine_params *params, bool must_fit, rr_diag *diag) {
    rr_model *model = NULL;
    RR_TRY(look_at_device(params, &bench->device, diag));
    RR_TRY(rr_compute_open_model(&params->compute, &model, diag));
    snprintf(bench->model_name, sizeof bench->model_name, "%s", model->name);
    bench->weight_bytes = rr_model_weight_bytes(model);
    bench->n_parameters = rr_model_n_parameters(model);
    rr_status status = rr_memory_plan_make(model, &bench->device, params, &bench->memory, diag);
    rr_model_close(&model);
    return status == RR_E_MEMORY && !must_fit ? RR_OK : status;
}
