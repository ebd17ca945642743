#include "rerank/read_features.h"

#include <stdlib.h>
#include <string.h>

static uint32_t n_layers_of(const rr_read_shape *shape) {
    return shape->end_layer - shape->first_layer;
}

size_t rr_read_n_mass(const rr_read_shape *shape, uint32_t n) {
    return (size_t)n_layers_of(shape) * shape->n_heads * RR_READ_KINDS * n;
}

size_t rr_read_n_states(const rr_read_shape *shape, uint32_t n) {
    return (size_t)shape->n_state_layers * n * shape->d_model;
}

static rr_status out_of_memory(rr_diag *diag) {
    return rr_fail(diag, RR_E_MEMORY, "out of memory for what is read of a window");
}

rr_status rr_read_features_make(
    const rr_read_shape *shape, uint32_t n, rr_read_features *out, rr_diag *diag) {
    *out = (rr_read_features){
        .n = n,
        .lengths = calloc((size_t)n + 1, sizeof *out->lengths),
        .mass = calloc(rr_read_n_mass(shape, n) + 1, sizeof *out->mass),
        .states = calloc(rr_read_n_states(shape, n) + 1, sizeof *out->states),
    };
    if (out->lengths == NULL || out->mass == NULL || out->states == NULL) {
        rr_read_features_destroy(out);
        return out_of_memory(diag);
    }
    return RR_OK;
}

void rr_read_features_destroy(rr_read_features *features) {
    free(features->lengths);
    free(features->mass);
    free(features->states);
    *features = (rr_read_features){0};
}

/* Rows of the query: all but the last; a query without tokens leaves that one alone. */
static uint32_t n_query_rows(const rr_read_places *places) {
    return places->n_rows - 1;
}

/* Means over the rows of each kind, rows ascending. mass: [layers][rows][heads][n]. */
static void take_means(const rr_read_places *places, const rr_read_shape *shape, const float *mass,
    rr_read_features *out) {
    const uint32_t n = places->n, n_rows = places->n_rows;
    const size_t row = (size_t)shape->n_heads * n;
    for (uint32_t l = 0; l < n_layers_of(shape); l++) {
        for (uint32_t h = 0; h < shape->n_heads; h++) {
            for (int kind = 0; kind < RR_READ_KINDS; kind++) {
                const uint32_t begin = kind == RR_READ_QUERY && n_rows > 1 ? 0 : n_rows - 1;
                const uint32_t end =
                    kind == RR_READ_QUERY && n_rows > 1 ? n_query_rows(places) : n_rows;
                float *to = out->mass +
                    (((size_t)l * shape->n_heads + h) * RR_READ_KINDS + (size_t)kind) * n;
                for (uint32_t i = 0; i < n; i++) {
                    double sum = 0;
                    for (uint32_t r = begin; r < end; r++) {
                        sum += (double)mass[((size_t)l * n_rows + r) * row + (size_t)h * n + i];
                    }
                    to[i] = (float)(sum / (end - begin));
                }
            }
        }
    }
}

/* A factor for each row: the kinds' own, shared evenly by the rows of a kind. */
static void spread_factors(
    const rr_read_places *places, const rr_read_shape *shape, const float *factors, float *out) {
    for (uint32_t l = 0; l < n_layers_of(shape); l++) {
        for (uint32_t r = 0; r < places->n_rows; r++) {
            const bool is_last = r + 1 == places->n_rows;
            for (uint32_t h = 0; h < shape->n_heads; h++) {
                const float *of_head = factors + ((size_t)l * shape->n_heads + h) * RR_READ_KINDS;
                const float of_query = n_query_rows(places) > 0
                    ? of_head[RR_READ_QUERY] / (float)n_query_rows(places)
                    /* the last row stands for it */
                    : of_head[RR_READ_QUERY];
                out[((size_t)l * places->n_rows + r) * shape->n_heads + h] =
                    !is_last ? of_query : of_head[RR_READ_LAST] + (r == 0 ? of_query : 0);
            }
        }
    }
}

rr_status rr_read_features_get(rr_session *session, const rr_tokens *tokens,
    const rr_read_places *places, const rr_read_shape *shape, const rr_read_drawn *drawn,
    rr_read_features *out, rr_diag *diag) {
    const size_t n_factors = (size_t)n_layers_of(shape) * places->n_rows * shape->n_heads;
    const bool with_attention = n_factors > 0;
    float *mass = with_attention ? malloc(n_factors * places->n * sizeof *mass) : NULL;
    float *factors = with_attention && drawn != NULL ? malloc(n_factors * sizeof *factors) : NULL;
    rr_status status = RR_OK;
    if ((with_attention && mass == NULL) || (with_attention && drawn != NULL && factors == NULL)) {
        status = out_of_memory(diag);
        goto fail;
    }
    if (factors != NULL) {
        spread_factors(places, shape, drawn->factors, factors);
    }
    const rr_reading reading = {
        .rows = places->rows,
        .n_rows = with_attention ? places->n_rows : 0,
        .spans = places->passages,
        .n_spans = places->n,
        .first_layer = shape->first_layer,
        .end_layer = shape->end_layer,
        .mass = mass,
        .factors = factors,
        .drawn = factors != NULL ? drawn->drawn : NULL,
        .states = places->ends,
        .n_states = shape->n_state_layers > 0 ? places->n : 0,
        .state_layers = shape->state_layers,
        .n_state_layers = shape->n_state_layers,
        .hidden = out->states,
    };
    RR_TRY_GOTO(rr_session_read(session, tokens->ids, tokens->n, &reading, diag));
    for (uint32_t i = 0; i < places->n; i++) {
        out->lengths[i] = places->passages[i].end - places->passages[i].begin;
    }
    if (with_attention) {
        take_means(places, shape, mass, out);
    }
fail:
    free(mass);
    free(factors);
    return status;
}
