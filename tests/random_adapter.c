/* Writes an adapter of random values that fits a model; for tests and measurements of the program.
 * Usage: random_adapter MODEL OUT [RANK] [STRENGTH] */
#include <stdio.h>
#include <stdlib.h>

#include "tests/support/random_adapter.h"

int main(int argc, char **argv) {
    rr_diag diag = {0};
    rr_model *model = NULL;
    if (argc < 3 || argc > 5) {
        fputs("usage: random_adapter MODEL OUT [RANK] [STRENGTH]\n", stderr);
        return 2;
    }
    const rr_random_adapter params = {.rank = argc > 3 ? (uint32_t)strtoul(argv[3], NULL, 10) : 0,
        .strength = argc > 4 ? strtod(argv[4], NULL) : 0.0,
        .seed = 1};
    rr_status status = rr_model_open(argv[1], &model, &diag);
    if (status == RR_OK) {
        status = rr_random_adapter_write(&params, &model->config, argv[2], &diag);
    }
    rr_model_close(&model);
    if (status != RR_OK) {
        fprintf(stderr, "random_adapter: %s\n", diag.text);
        return 1;
    }
    return 0;
}
