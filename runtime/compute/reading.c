/* Which readings are valid, and how many layers they run. */
#include "runtime/compute/reading.h"

uint32_t rr_reading_n_layers(const rr_reading *reading) {
    uint32_t n = reading->n_rows > 0 ? reading->end_layer : 0;
    if (reading->n_states > 0 && reading->n_state_layers > 0 &&
        reading->state_layers[reading->n_state_layers - 1] > n) {
        n = reading->state_layers[reading->n_state_layers - 1];
    }
    return n;
}

static bool ascends(const uint32_t *values, uint32_t n, uint32_t limit) {
    for (uint32_t i = 0; i < n; i++) {
        if (values[i] >= limit || (i > 0 && values[i] <= values[i - 1])) {
            return false;
        }
    }
    return true;
}

static rr_status check_attention(const rr_reading *r, uint32_t n_layers, size_t n, rr_diag *diag) {
    if (r->n_rows > RR_READ_ROWS || r->n_spans > RR_READ_SPANS) {
        return rr_fail(diag, RR_E_USAGE, "a reading of %u rows and %u spans: at most %d and %d",
            r->n_rows, r->n_spans, RR_READ_ROWS, RR_READ_SPANS);
    }
    if (r->n_rows == 0) {
        return RR_OK;
    }
    if (r->first_layer >= r->end_layer || r->end_layer > n_layers) {
        return rr_fail(diag, RR_E_USAGE, "a reading of layers %u to %u: this model has %u",
            r->first_layer, r->end_layer, n_layers);
    }
    bool good = r->n_spans > 0 && r->mass != NULL && (r->factors == NULL || r->drawn != NULL) &&
        ascends(r->rows, r->n_rows, (uint32_t)n);
    for (uint32_t i = 0; i < r->n_spans && good; i++) {
        good = r->spans[i].begin <= r->spans[i].end && r->spans[i].end <= n;
    }
    return good
        ? RR_OK
        : rr_fail(diag, RR_E_USAGE,
              "a reading's rows must ascend, and rows and spans lie in a prompt of %zu tokens", n);
}

static rr_status check_states(const rr_reading *r, uint32_t n_layers, size_t n, rr_diag *diag) {
    if (r->n_states > RR_READ_SPANS || r->n_state_layers > RR_READ_LAYERS) {
        return rr_fail(diag, RR_E_USAGE,
            "hidden states of %u tokens behind %u layers: at most %d and %d", r->n_states,
            r->n_state_layers, RR_READ_SPANS, RR_READ_LAYERS);
    }
    bool good = (r->n_states > 0) == (r->n_state_layers > 0) &&
        (r->n_states == 0 || r->hidden != NULL) && ascends(r->states, r->n_states, (uint32_t)n) &&
        ascends(r->state_layers, r->n_state_layers, n_layers + 1) &&
        (r->n_state_layers == 0 || r->state_layers[0] > 0);
    return good ? RR_OK
                : rr_fail(diag, RR_E_USAGE,
                      "hidden states: tokens must ascend in a prompt of %zu, layers from 1 to %u",
                      n, n_layers);
}

rr_status rr_reading_check(const rr_reading *reading, uint32_t n_layers, size_t n, rr_diag *diag) {
    RR_TRY(check_attention(reading, n_layers, n, diag));
    RR_TRY(check_states(reading, n_layers, n, diag));
    return reading->n_rows == 0 && reading->n_states == 0
        ? rr_fail(diag, RR_E_USAGE, "a reading of nothing")
        : RR_OK;
}
