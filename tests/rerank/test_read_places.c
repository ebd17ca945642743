/* Where a prompt's parts stand, in a vocabulary of bytes. */
#include "runtime/model/gguf_source.h"
#include "runtime/model/model.h"
#include "tests/rerank/places_checks.h"
#include "tests/support/synth.h"

int main(void) {
    rr_diag diag = {0};
    rr_buf file = {0};
    rr_source *source = NULL;
    rr_tokenizer *tokenizer = NULL;
    CHECK_OK(rr_synth_build(&(rr_synth){.with_vocabulary = true}, &file, &diag), diag);
    CHECK_OK(rr_source_parse_gguf(file.data, file.bytes, "synthetic", &source, &diag), diag);
    CHECK_OK(rr_tokenizer_create(source, &tokenizer, &diag), diag);
    if (tokenizer != NULL) {
        check_places(tokenizer);
    }
    rr_tokenizer_destroy(&tokenizer);
    rr_source_close(&source);
    rr_buf_destroy(&file);
    return CHECK_END();
}
