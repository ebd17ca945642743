/* Whole-model truth on synthetic models in every weight format. */
#include <unistd.h>

#include "tests/engine/truth.h"
#include "tests/support/synth.h"

/* A format in every matrix, prompt in chunks that are no multiple of any tile. Against a reference whose cache is rounded
 * to f16 like the engine's, only float32 roundings are left; against the float one the cache's roundings come on top. */
static void check_synthetic(rr_qtype type, const char *path) {
    enum { N = 90 };
    const char *name = rr_qtype_get((uint32_t)type)->name;
    const rr_synth synth = {.d_model = 256, .n_heads = 4, .n_kv_heads = 2, .head_size = 64, .d_ffn = 512,
                            .embedding = type, .output = type, .qkv = type, .o = type, .gate_up = type, .down = type,
                            .tied = type == RR_Q_Q8_0, .seed = 5};
    rr_diag diag = {0};
    CHECK_OK(rr_synth_write(&synth, path, &diag), diag);
    rr_engine *engine = truth_open_engine(path, 128, 37, false);
    if (engine == NULL) {
        return;
    }
    int32_t tokens[N];
    for (int i = 0; i < N; i++) {
        tokens[i] = (i * i * 7 + i * 131) % 320;
    }
    for (int f16 = 0; f16 < 2; f16++) {
        rr_ref_model *ref = NULL;
        char label[32];
        snprintf(label, sizeof label, "%s, %s cache", name, f16 ? "f16" : "float");
        CHECK_OK(rr_ref_model_create(rr_engine_model(engine),
                                     &(rr_ref_model_params){.n_context = N, .kv_f16 = f16 != 0}, &ref, &diag), diag);
        const truth_limits float_cache = {1.0, 1e-6, 1e-6}, f16_cache = {1.0, 1e-8, 1e-8};
        truth_check_prompt(label, engine, ref, tokens, N, f16 ? &f16_cache : &float_cache);
        rr_ref_model_destroy(&ref);
    }
    CHECK_INT(rr_engine_n_validation_messages(engine), 0);
    rr_engine_close(&engine);
}

int main(void) {
    char path[64];
    truth_need_device();
    snprintf(path, sizeof path, "/tmp/rearank_truth_%ld.gguf", (long)getpid());
    size_t n;
    const rr_qtype_info *formats = rr_qtype_all(&n);
    for (size_t f = 0; f < n; f++) {
        check_synthetic(formats[f].type, path);
    }
    unlink(path);
    return CHECK_END();
}
