/* Scores. The file format stands in readout_file.c. */
#include "rerank/readout.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

size_t rr_readout_n_weights(const rr_read_shape *shape) {
    return rr_read_n_mass(shape, 1) + rr_read_n_states(shape, 1) + RR_READOUT_EXTRAS;
}

/* Root mean square of a window's states of one layer [n][d], each less their mean over the
 * window. */
static double spread(const float *states, uint32_t n, uint32_t d) {
    double sum = 0;
    for (uint32_t k = 0; k < d; k++) {
        double mean = 0;
        for (uint32_t i = 0; i < n; i++) {
            mean += (double)states[(size_t)i * d + k];
        }
        mean /= n;
        for (uint32_t i = 0; i < n; i++) {
            const double x = (double)states[(size_t)i * d + k] - mean;
            sum += x * x;
        }
    }
    return sqrt(sum / ((double)n * d));
}

static void put_place(uint32_t i, uint32_t n, double *out) {
    const double x = n > 1 ? (double)i / (n - 1) : 0.0;
    const double all[RR_READOUT_PLACES] = {
        x, x * x, i == 0, i + 1 == n, 1.0 / (i + 1), 1.0 / (n - i)};
    memcpy(out, all, sizeof all);
}

void rr_readout_numbers(const rr_read_shape *shape, const rr_read_features *features, double *out) {
    const uint32_t n = features->n, d = shape->d_model;
    const size_t n_mass = rr_read_n_mass(shape, 1), n_weights = rr_readout_n_weights(shape);
    for (uint32_t i = 0; i < n; i++) {
        double *to = out + i * n_weights;
        for (size_t f = 0; f < n_mass; f++) {
            to[f] = log((double)features->mass[f * n + i] + RR_READOUT_FLOOR);
        }
        put_place(i, n, to + n_weights - RR_READOUT_EXTRAS);
        to[n_weights - 1] = log((double)features->lengths[i] + 1.0);
    }
    for (uint32_t k = 0; k < shape->n_state_layers; k++) {
        const float *states = features->states + (size_t)k * n * d;
        const double all = spread(states, n, d);
        for (uint32_t i = 0; i < n; i++) {
            double *to = out + i * n_weights + n_mass + (size_t)k * d;
            for (uint32_t j = 0; j < d; j++) {
                to[j] = all > 0 ? (double)states[(size_t)i * d + j] / all : 0.0;
            }
        }
    }
}

bool rr_readout_first_stage(const double *scores, uint32_t n, double *out) {
    double mean = 0, squares = 0;
    for (uint32_t i = 0; i < n; i++) {
        mean += scores[i] / n;
    }
    for (uint32_t i = 0; i < n; i++) {
        squares += (scores[i] - mean) * (scores[i] - mean) / n;
    }
    const bool good = isfinite(squares) && squares > 0;
    for (uint32_t i = 0; i < n; i++) {
        out[i] = good ? (scores[i] - mean) / sqrt(squares) : 0.0;
    }
    return good;
}

double rr_readout_probability(const rr_readout *readout, double score) {
    return 1.0 / (1.0 + exp(-(readout->slope * score + readout->intercept)));
}

rr_status rr_readout_score(const rr_readout *readout, const rr_read_features *features,
    const double *first_stage, double *scores, double *probabilities, rr_diag *diag) {
    const size_t n_weights = rr_readout_n_weights(&readout->shape);
    const uint32_t n = features->n;
    double *numbers = malloc((n * n_weights + 1) * sizeof *numbers);
    if (numbers == NULL) {
        return rr_fail(diag, RR_E_MEMORY, "out of memory for the scores of a window");
    }
    rr_readout_numbers(&readout->shape, features, numbers);
    if (first_stage == NULL || !rr_readout_first_stage(first_stage, n, scores)) {
        memset(scores, 0, n * sizeof *scores);
    }
    double mean = 0;
    for (uint32_t i = 0; i < n; i++) {
        double sum = readout->first_stage * scores[i];
        for (size_t k = 0; k < n_weights; k++) {
            sum += readout->weights[k] * numbers[i * n_weights + k];
        }
        scores[i] = isfinite(sum) ? sum : 0.0; /* a model of random weights may give anything */
        mean += scores[i] / n;
    }
    for (uint32_t i = 0; i < n; i++) {
        scores[i] -= mean;
        probabilities[i] = rr_readout_probability(readout, scores[i]);
    }
    free(numbers);
    return RR_OK;
}
