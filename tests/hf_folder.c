/* Writes a model as a Hugging Face folder, its weights unpacked and rounded to a float type; for
 * tests of the program. Usage: hf_folder MODEL FOLDER F32|F16|BF16 [SHARDS] */
#include <stdio.h>
#include <stdlib.h>

#include "tests/support/hf_folder.h"

int main(int argc, char **argv) {
    rr_diag diag = {0};
    rr_model *model = NULL;
    rr_hf_form form = {0};
    if (argc < 4 || argc > 5 || !rr_qtype_named(argv[3], &form.type)) {
        fputs("usage: hf_folder MODEL FOLDER F32|F16|BF16 [SHARDS]\n", stderr);
        return 2;
    }
    form.n_shards = argc > 4 ? (uint32_t)strtoul(argv[4], NULL, 10) : 1;
    form.rope_parameters = form.n_shards > 1;
    rr_status status = rr_model_open(argv[1], &model, &diag);
    if (status == RR_OK) {
        status = rr_hf_write(model, argv[2], &form, &diag);
    }
    rr_model_close(&model);
    if (status != RR_OK) {
        fprintf(stderr, "hf_folder: %s\n", diag.text);
        return 1;
    }
    return 0;
}
