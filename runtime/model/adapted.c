#include "runtime/model/adapted.h"

#include <assert.h>
#include <string.h>

#include "runtime/base/log.h"

rr_status rr_adapter_check(const rr_adapter *adapter, const rr_model *model, rr_diag *diag) {
    for (size_t i = 0; i < adapter->n_pairs; i++) {
        const rr_adapter_pair *pair = &adapter->pairs[i];
        uint32_t rows, cols;
        if (pair->layer >= model->config.n_layers) {
            return rr_fail(diag, RR_E_INPUT, "%s: %s found, but %s has %u layers", adapter->path,
                pair->module, model->name, model->config.n_layers);
        }
        rr_model_shape(&model->config, pair->role, &rows, &cols);
        if (pair->a.cols != cols || pair->b.rows != rows) {
            return rr_fail(diag, RR_E_INPUT,
                "%s: %s: lora_A [%u, %u] and lora_B [%u, %u] found, [%u, %u] and [%u, %u] expected "
                "for %s%s%s; it is another model's adapter",
                adapter->path, pair->module, pair->rank, pair->a.cols, pair->b.rows, pair->rank,
                pair->rank, cols, rows, pair->rank, model->name,
                adapter->base[0] != '\0' ? "; it says it belongs to " : "",
                rr_text_show((rr_text){adapter->base, strlen(adapter->base)}).text);
        }
    }
    const uint64_t fingerprint = rr_model_fingerprint(model);
    if (adapter->base_fingerprint != 0 && adapter->base_fingerprint != fingerprint) {
        rr_log(RR_LOG_WARN,
            "%s: made for a model with fingerprint %016llx, but %s has %016llx: it changes another "
            "model than it was trained on",
            adapter->path, (unsigned long long)adapter->base_fingerprint, model->name,
            (unsigned long long)fingerprint);
    }
    return RR_OK;
}

rr_status rr_model_adapt(rr_model *model, const rr_adapter_use *uses, size_t n, rr_diag *diag) {
    assert(model->adapters == NULL);
    if (n == 0) {
        return RR_OK;
    }
    rr_adapter_set *set = NULL;
    rr_status status = RR_OK;
    RR_TRY(rr_adapter_set_open(uses, n, &set, diag));
    for (size_t i = 0; i < rr_adapter_set_n(set); i++) {
        RR_TRY_GOTO(rr_adapter_check(rr_adapter_set_at(set, i), model, diag));
    }
    model->adapters = set;
    return RR_OK;
fail:
    rr_adapter_set_close(&set);
    return status;
}
