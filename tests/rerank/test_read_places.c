/* Where a prompt's parts stand, in a vocabulary of bytes. */
#include "runtime/model/model.h"
#include "tests/rerank/places_checks.h"
#include "tests/support/synth.h"

int main(void) {
    rr_diag diag = {0};
    rr_buf file = {0};
    rr_gguf *gguf = NULL;
    rr_tokenizer *tokenizer = NULL;
    CHECK_OK(rr_synth_build(&(rr_synth){.with_vocabulary = true}, &file, &diag), diag);
    CHECK_OK(rr_gguf_parse(file.data, file.bytes, "synthetic", &gguf, &diag), diag);
    CHECK_OK(rr_tokenizer_create(gguf, &tokenizer, &diag), diag);
    if (tokenizer != NULL) {
        check_places(tokenizer);
    }
    rr_tokenizer_destroy(&tokenizer);
    rr_gguf_close(&gguf);
    rr_buf_destroy(&file);
    return CHECK_END();
}
