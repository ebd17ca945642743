/* Bytes and operations of a pass, from the model's shapes. */
#include "tools/bench.h"

static double matrix_bytes(const rr_weight *w) {
    return (double)w->bytes;
}

static double matrix_weights(const rr_weight *w) {
    return (double)w->rows * (double)w->cols;
}

/* Sum over the matrices of all layers. */
static double over_layers(const rr_model *model, double (*of)(const rr_weight *)) {
    double sum = 0.0;
    for (uint32_t l = 0; l < model->config.n_layers; l++) {
        const rr_model_layer *layer = &model->layers[l];
        sum += of(&layer->q) + of(&layer->k) + of(&layer->v) + of(&layer->o) + of(&layer->gate) +
            of(&layer->up) + of(&layer->down);
    }
    return sum;
}

double rr_bench_pass_bytes(const rr_model *model) {
    /* of the embedding only a row a token is read */
    return over_layers(model, matrix_bytes) + matrix_bytes(&model->output);
}

double rr_bench_pass_flops(const rr_model *model, double n, double before, double heads) {
    const rr_model_config *c = &model->config;
    /* pairs of a new token and a key that it sees */
    double keys = n * before + n * (n + 1.0) / 2.0;
    double attention = 4.0 * keys * c->n_heads * c->head_size * c->n_layers;
    return 2.0 * n * over_layers(model, matrix_weights) + attention +
        2.0 * heads * matrix_weights(&model->output);
}
