/* Which reader takes a path. */
#include <string.h>

#include "runtime/model/folder.h"
#include "runtime/model/gguf_source.h"
#include "runtime/model/safetensors.h"

/* A file of weights alone. What is wrong with it is said first, then what is expected. */
static rr_status refuse_safetensors(const char *path, rr_diag *diag) {
    rr_safetensors *file = NULL;
    RR_TRY(rr_safetensors_open(path, &file, diag));
    rr_safetensors_close(&file);
    return rr_fail(diag, RR_E_INPUT,
        "%s: weights without their config.json and vocabulary; name the model's folder", path);
}

rr_status rr_source_open(const char *path, rr_source **out, rr_diag *diag) {
    static const char ending[] = ".safetensors";
    const size_t n = strlen(path), n_ending = sizeof ending - 1;
    if (rr_is_folder(path)) {
        return rr_source_open_folder(path, out, diag);
    }
    if (n > n_ending && strcmp(path + n - n_ending, ending) == 0) {
        return refuse_safetensors(path, diag);
    }
    return rr_source_open_gguf(path, out, diag);
}
