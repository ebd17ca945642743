/* A model with adapters beside its weights. Owns: whether they fit each other. */
#ifndef RR_MODEL_ADAPTED_H
#define RR_MODEL_ADAPTED_H

#include "runtime/model/model.h"

/* Whether every pair fits a layer of the model. One that records another base is told by a warning.
 * Errors: RR_E_INPUT, with both shapes and what the adapter says of its base. */
rr_status rr_adapter_check(const rr_adapter *adapter, const rr_model *model, rr_diag *diag);

/* Opens adapters, which must fit the model, and has it computed with them from now on: what is
 * computed changes, the weights do not. Once a model; n = 0 does nothing. Errors: those of
 * rr_adapter_set_open and rr_adapter_check. */
rr_status rr_model_adapt(rr_model *model, const rr_adapter_use *uses, size_t n, rr_diag *diag);

#endif
