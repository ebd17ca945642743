/* Whole-model truth on synthetic models in every weight format, with float activations and as the
 * device would have it. */
#include <unistd.h>

#include "runtime/engine/internal.h"
#include "tests/engine/truth.h"
#include "tests/support/folder.h"
#include "tests/support/synth.h"

enum { N = 90, N_LONG = 300 }; /* the longer one goes over several pages of the cache */

/* Against a reference whose cache is rounded to f16 like the engine's, only float32 roundings are
 * left; against the float one the cache's roundings come on top. */
static const truth_limits float_cache = {1.0, 1e-6, 1e-6}, f16_cache = {1.0, 1e-8, 1e-8};

/* With int8 activations a product's error is that of its activations. A group of 32 values, about
 * normal, has its largest at some 2.3 deviations, so a step is 2.3 / 127 of one and the rounding's
 * mean square 1/12 step² = 2.7e-5 of the values'. Each of two layers adds that four times (qkv, o,
 * gate_up, down), in part to a stream that holds the embedding too, and the head once: some 2.5e-4
 * of the logits' squares. The logits have a deviation of about 2.2 and, the weights being random,
 * flat tops: half the variance of the difference, 5 · 2.5e-4 / 2, is a KL of 6e-4, and at one
 * position in twenty another of 320 logits is the largest. Half as much again is allowed, and two
 * positions in twenty. 12 bits are 16 times finer, 256 times in squares. */
static const truth_limits bits8 = {0.9, 1.2e-3, 4e-4}, bits12 = {0.95, 5e-6, 2e-6};

static void check_graphs(const char *name, const char *path, const int32_t *tokens, uint32_t n) {
    rr_engine *exact = truth_open_engine(path, n, 37, true),
              *fast = truth_open_engine(path, n, 37, false);
    rr_diag diag = {0};
    for (int f16 = 0; exact != NULL && fast != NULL && f16 < 2; f16++) {
        rr_ref_model *ref = NULL;
        const rr_ref_model_params params = {.n_context = n, .kv_f16 = f16 != 0};
        char label[48];
        CHECK_OK(rr_ref_model_create(rr_engine_model(exact), &params, &ref, &diag), diag);
        truth_comparison truth =
            truth_reference(ref, tokens, n, rr_engine_model(exact)->config.n_vocab);
        snprintf(label, sizeof label, "%s, %s cache", name, f16 ? "f16" : "float");
        CHECK(exact->compute->graph_kind == RR_GRAPH_PLAIN);
        truth_check(label, exact, tokens, &truth, f16 ? &f16_cache : &float_cache);
        if (f16 && fast->compute->graph_kind != RR_GRAPH_PLAIN) {
            snprintf(label, sizeof label, "%s, f16 cache, quantized", name);
            truth_check(label, fast, tokens, &truth,
                fast->compute->graph_kind == RR_GRAPH_Q8 ? &bits8 : &bits12);
        }
        truth_forget(&truth);
        rr_ref_model_destroy(&ref);
    }
    CHECK(exact == NULL || rr_engine_n_validation_messages(exact) == 0);
    CHECK(fast == NULL || rr_engine_n_validation_messages(fast) == 0);
    rr_engine_close(&exact);
    rr_engine_close(&fast);
}

/* A format in every matrix, and in norms and biases where they may have it; prompt in chunks that
 * are no multiple of any tile. */
static void check_synthetic(rr_qtype type, const char *path) {
    const rr_synth synth = {.d_model = 256,
        .n_heads = 4,
        .n_kv_heads = 2,
        .head_size = 64,
        .d_ffn = 512,
        .embedding = type,
        .output = type,
        .qkv = type,
        .o = type,
        .gate_up = type,
        .down = type,
        .vectors = type == RR_Q_F16 || type == RR_Q_BF16 ? type : RR_Q_F32,
        .tied = type == RR_Q_Q8_0,
        .seed = 5};
    rr_diag diag = {0};
    CHECK_OK(rr_synth_write(&synth, path, &diag), diag);
    int32_t tokens[N_LONG];
    for (int i = 0; i < N_LONG; i++) {
        tokens[i] = (i * i * 7 + i * 131) % 320;
    }
    check_graphs(rr_qtype_get((uint32_t)type)->name, path, tokens, type == RR_Q_Q4_K ? N_LONG : N);
}

int main(void) {
    char path[256];
    truth_need_device();
    rr_test_file(path, sizeof path);
    size_t n;
    const rr_qtype_info *formats = rr_qtype_all(&n);
    for (size_t f = 0; f < n; f++) {
        check_synthetic(formats[f].type, path);
    }
    unlink(path);
    return CHECK_END();
}
