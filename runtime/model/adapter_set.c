#include "runtime/model/adapter_set.h"

#include <math.h>
#include <stdlib.h>

#include "runtime/base/hash.h"

struct rr_adapter_set {
    rr_adapter **adapters; /* [n] */
    double *factors;       /* [n] */
    size_t n;
    uint64_t digest;
};

/* The pair of an adapter that belongs to a weight, NULL when there is none. */
static const rr_adapter_pair *find_pair(const rr_adapter *adapter, uint32_t layer, rr_role role) {
    size_t begin = 0, end = adapter->n_pairs;
    while (begin < end) { /* by layer, then role */
        const size_t middle = begin + (end - begin) / 2;
        const rr_adapter_pair *pair = &adapter->pairs[middle];
        if (pair->layer == layer && pair->role == role) {
            return pair;
        }
        if (pair->layer < layer || (pair->layer == layer && pair->role < role)) {
            begin = middle + 1;
        } else {
            end = middle;
        }
    }
    return NULL;
}

/* The floats of `weight`, each times `scale` a finite one; adds them to the digest. `row` has room
 * for one. */
static rr_status read_values(const rr_adapter *adapter, const rr_adapter_pair *pair,
    const rr_weight *weight, double scale, float *row, uint64_t *digest, rr_diag *diag) {
    for (uint32_t r = 0; r < weight->rows; r++) {
        rr_weight_unpack(weight, r, 1, row);
        *digest = rr_hash(*digest, row, weight->cols * sizeof *row);
        for (uint32_t c = 0; c < weight->cols; c++) {
            if (!isfinite((float)(scale * (double)row[c]))) {
                return rr_fail(diag, RR_E_INPUT,
                    "%s: %s: lora_%c has the value %g, times %g, at [%u, %u]: a finite number "
                    "expected",
                    adapter->path, pair->module, weight == &pair->a ? 'A' : 'B', (double)row[c],
                    scale, r, c);
            }
        }
    }
    return RR_OK;
}

static rr_status read_pair(
    rr_adapter_set *set, size_t index, const rr_adapter_pair *pair, rr_diag *diag) {
    const rr_adapter *adapter = set->adapters[index];
    const double scale = pair->scale * set->factors[index];
    const uint64_t place[] = {pair->layer, (uint64_t)pair->role, pair->rank};
    const uint32_t cols = pair->a.cols > pair->rank ? pair->a.cols : pair->rank;
    float *row = malloc((size_t)cols * sizeof *row);
    if (row == NULL) {
        return rr_fail(diag, RR_E_MEMORY, "%s: out of memory", adapter->path);
    }
    set->digest = rr_hash(set->digest, place, sizeof place);
    set->digest = rr_hash(set->digest, &scale, sizeof scale);
    rr_status status = read_values(adapter, pair, &pair->a, 1.0, row, &set->digest, diag);
    if (status == RR_OK) {
        status = read_values(adapter, pair, &pair->b, scale, row, &set->digest, diag);
    }
    free(row);
    RR_TRY(status);
    const uint32_t rank = rr_adapter_set_rank(set, pair->layer, pair->role);
    return rank <= RR_ADAPTER_MAX_RANK
        ? RR_OK
        : rr_fail(diag, RR_E_INPUT, "%s: %s: %u ranks of all adapters found, at most %d expected",
              adapter->path, pair->module, rank, RR_ADAPTER_MAX_RANK);
}

rr_status rr_adapter_set_open(
    const rr_adapter_use *uses, size_t n, rr_adapter_set **out, rr_diag *diag) {
    rr_adapter_set *set = calloc(1, sizeof *set);
    if (set == NULL) {
        return rr_fail(diag, RR_E_MEMORY, "out of memory for adapters");
    }
    rr_status status = RR_OK;
    set->adapters = calloc(n, sizeof(rr_adapter *));
    set->factors = calloc(n, sizeof *set->factors);
    if (set->adapters == NULL || set->factors == NULL) {
        RR_TRY_GOTO(rr_fail(diag, RR_E_MEMORY, "out of memory for adapters"));
    }
    for (; set->n < n; set->n++) {
        RR_TRY_GOTO(rr_adapter_open(uses[set->n].path, &set->adapters[set->n], diag));
        set->factors[set->n] = uses[set->n].factor;
    }
    for (size_t i = 0; i < n; i++) {
        for (size_t p = 0; p < set->adapters[i]->n_pairs; p++) {
            RR_TRY_GOTO(read_pair(set, i, &set->adapters[i]->pairs[p], diag));
        }
    }
    *out = set;
    return RR_OK;
fail:
    rr_adapter_set_close(&set);
    return status;
}

void rr_adapter_set_close(rr_adapter_set **pointer) {
    rr_adapter_set *set = *pointer;
    if (set == NULL) {
        return;
    }
    for (size_t i = 0; i < set->n; i++) {
        rr_adapter_close(&set->adapters[i]);
    }
    free(set->adapters);
    free(set->factors);
    free(set);
    *pointer = NULL;
}

size_t rr_adapter_set_n(const rr_adapter_set *set) {
    return set != NULL ? set->n : 0;
}

const rr_adapter *rr_adapter_set_at(const rr_adapter_set *set, size_t index) {
    return set->adapters[index];
}

double rr_adapter_set_factor(const rr_adapter_set *set, size_t index) {
    return set->factors[index];
}

uint32_t rr_adapter_set_rank(const rr_adapter_set *set, uint32_t layer, rr_role role) {
    uint64_t rank = 0;
    for (size_t i = 0; i < rr_adapter_set_n(set); i++) {
        const rr_adapter_pair *pair = find_pair(set->adapters[i], layer, role);
        rank += pair != NULL ? pair->rank : 0;
    }
    return rank < UINT32_MAX ? (uint32_t)rank : UINT32_MAX;
}

void rr_adapter_set_a(const rr_adapter_set *set, uint32_t layer, rr_role role, float *out) {
    for (size_t i = 0; i < set->n; i++) {
        const rr_adapter_pair *pair = find_pair(set->adapters[i], layer, role);
        if (pair != NULL) {
            rr_weight_unpack(&pair->a, 0, pair->rank, out);
            out += (size_t)pair->rank * pair->a.cols;
        }
    }
}

void rr_adapter_set_b(
    const rr_adapter_set *set, uint32_t layer, rr_role role, uint32_t row, float *out) {
    for (size_t i = 0; i < set->n; i++) {
        const rr_adapter_pair *pair = find_pair(set->adapters[i], layer, role);
        if (pair == NULL) {
            continue;
        }
        const double scale = pair->scale * set->factors[i];
        rr_weight_unpack(&pair->b, row, 1, out);
        for (uint32_t k = 0; k < pair->rank; k++) {
            out[k] = (float)(scale * (double)out[k]);
        }
        out += pair->rank;
    }
}

uint64_t rr_adapter_set_digest(const rr_adapter_set *set) {
    return set == NULL ? 0 : set->digest != 0 ? set->digest : 1;
}
