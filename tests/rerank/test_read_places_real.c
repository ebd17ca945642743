/* Where a prompt's parts stand in the real vocabulary, where a token may hold the end of one part
 * and the beginning of the next. */
#include "runtime/model/model.h"
#include "tests/rerank/places_checks.h"
#include "tests/support/real_model.h"

int main(void) {
    rr_diag diag = {0};
    rr_buf path = {0};
    rr_source *source = NULL;
    rr_tokenizer *tokenizer = NULL;
    if (!rr_real_model_path(&path)) {
        CHECK_SKIP("no model: set REARANK_TEST_MODEL");
    }
    CHECK_OK(rr_source_open(path.data, &source, &diag), diag);
    if (source != NULL) {
        CHECK_OK(rr_tokenizer_create(source, &tokenizer, &diag), diag);
    }
    if (tokenizer != NULL) {
        check_places(tokenizer);
    }
    rr_tokenizer_destroy(&tokenizer);
    rr_source_close(&source);
    rr_buf_destroy(&path);
    return CHECK_END();
}
