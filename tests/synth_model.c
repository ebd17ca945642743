/* Writes a small synthetic model with a vocabulary, for tests of the program that need no real one;
 * another SEED (1) makes other weights, `flat` one whose logits are all equal. Usage: synth_model
 * FILE [SEED|flat] */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/support/synth.h"

int main(int argc, char **argv) {
    if (argc < 2 || argc > 3) {
        fputs("usage: synth_model FILE [SEED|flat]\n", stderr);
        return 2;
    }
    const rr_synth params = {
        .d_model = 256,
        .n_heads = 4,
        .n_kv_heads = 2,
        .head_size = 64,
        .d_ffn = 512,
        .n_context = 8192,
        .embedding = RR_Q_Q8_0,
        .output = RR_Q_Q6_K,
        .qkv = RR_Q_Q4_K,
        .o = RR_Q_Q5_0,
        .gate_up = RR_Q_Q4_K,
        .down = RR_Q_Q6_K,
        .with_vocabulary = true,
        .flat = argc > 2 && strcmp(argv[2], "flat") == 0,
        .seed = argc > 2 ? strtoull(argv[2], NULL, 10) : 1,
    };
    rr_diag diag = {0};
    if (rr_synth_write(&params, argv[1], &diag) != RR_OK) {
        fprintf(stderr, "synth_model: %s\n", diag.text);
        return 1;
    }
    return 0;
}
