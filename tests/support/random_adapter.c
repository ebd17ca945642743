#include "tests/support/random_adapter.h"

#include <math.h>
#include <stdlib.h>

static const rr_role all[] = {
    RR_ROLE_Q, RR_ROLE_K, RR_ROLE_V, RR_ROLE_O, RR_ROLE_GATE, RR_ROLE_UP, RR_ROLE_DOWN};

/* Uniform, with this standard deviation. */
static float *random_floats(rr_arena *arena, size_t n, double deviation, uint64_t *state) {
    float *out = rr_arena_alloc(arena, n, sizeof *out);
    for (size_t i = 0; out != NULL && i < n; i++) {
        *state = *state * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
        out[i] = (float)((double)(int32_t)(*state >> 32) / 2147483648.0 * sqrt(3.0) * deviation);
    }
    return out;
}

static bool make_pair(const rr_random_adapter *p, const rr_model_config *config, rr_arena *arena,
    uint64_t *state, rr_adapter_pair *pair) {
    uint32_t rows, cols;
    rr_model_shape(config, pair->role, &rows, &cols);
    const double strength = p->strength != 0.0 ? p->strength : 0.5;
    const float *a =
        random_floats(arena, (size_t)pair->rank * cols, 1.0 / sqrt((double)cols), state);
    const float *b =
        random_floats(arena, (size_t)rows * pair->rank, strength / sqrt((double)pair->rank), state);
    pair->a =
        (rr_weight){.type = RR_Q_F32, .rows = pair->rank, .cols = cols, .data = (const uint8_t *)a};
    pair->b =
        (rr_weight){.type = RR_Q_F32, .rows = rows, .cols = pair->rank, .data = (const uint8_t *)b};
    pair->scale = 1.0;
    return a != NULL && b != NULL;
}

rr_status rr_random_adapter_write(const rr_random_adapter *params, const rr_model_config *config,
    const char *path, rr_diag *diag) {
    rr_arena arena = {0};
    uint64_t state = params->seed;
    const size_t n_roles = sizeof all / sizeof all[0];
    rr_adapter adapter = {.base = ""};
    adapter.pairs = rr_arena_alloc(&arena, config->n_layers * n_roles, sizeof *adapter.pairs);
    bool ok = adapter.pairs != NULL;
    for (size_t i = 0; i < config->n_layers * n_roles && ok; i++) {
        const uint32_t layer = (uint32_t)(i / n_roles);
        const rr_role role = all[i % n_roles];
        const bool wanted = (params->roles == 0 || (params->roles >> role & 1) != 0) &&
            (params->layers == 0 || (params->layers >> (layer < 31 ? layer : 31) & 1) != 0);
        if (wanted) {
            rr_adapter_pair *pair = &adapter.pairs[adapter.n_pairs++];
            pair->layer = layer;
            pair->role = role;
            pair->rank = params->rank != 0 ? params->rank : 16;
            ok = make_pair(params, config, &arena, &state, pair);
        }
    }
    const rr_status status = ok ? rr_adapter_write(&adapter, path, diag)
                                : rr_fail(diag, RR_E_MEMORY, "out of memory for an adapter");
    rr_arena_destroy(&arena);
    return status;
}
