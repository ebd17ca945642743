#include "tests/support/real_model.h"

#include <stdio.h>
#include <stdlib.h>

#include "runtime/base/cache.h"

static bool can_read(const char *path) {
    FILE *file = fopen(path, "rb");
    if (file != NULL) {
        fclose(file);
    }
    return file != NULL;
}

bool rr_real_model_path(rr_buf *out) {
    const char *env = getenv("REARANK_TEST_MODEL");
    if (env != NULL && env[0] != '\0') {
        /* taken even when it cannot be opened: the test then fails and says why */
        rr_buf_text(out, env);
        return true;
    }
    return rr_cache_path("models/qwen2.5-coder-0.5b-instruct-q4_k_m.gguf", out, NULL) == RR_OK &&
        can_read(out->data);
}
