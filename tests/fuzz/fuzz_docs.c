/* The readers of corpora and lists of queries: the first byte chooses which ('q' = queries, 'b' =
 * BRIGHT's examples as judgements, else a corpus). Whatever the input, only ids that were asked for
 * are kept, and every failure says why. */
#include <stdlib.h>
#include <string.h>

#include "rerank/data/bright.h"
#include "rerank/data/docs.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes);

static void read_bright(const char *text, size_t bytes) {
    rr_trec_table gold = {0}, excluded = {0};
    rr_diag diag = {0};
    rr_status status = rr_bright_parse(text, bytes, "fuzz", &gold, &excluded, &diag);
    if (status == RR_OK ? gold.n_rows == 0 : diag.text[0] == '\0') {
        abort();
    }
    if (status == RR_OK) {
        size_t n_rows = 0, n = gold.n_queries > 0 ? gold.queries[0].n : 0;
        size_t n_taken = rr_bright_exclude(&gold, &excluded, 2);
        for (size_t i = 0; i < gold.n_queries; i++) {
            n_rows += gold.queries[i].n;
        }
        if (n_rows + n_taken > gold.n_rows || (gold.n_queries > 0 && gold.queries[0].n > n)) {
            abort();
        }
    }
    rr_trec_table_destroy(&gold);
    rr_trec_table_destroy(&excluded);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes) {
    static const char *const wanted[] = {"a", "1", "d\xC3\xA9", "a b"};
    enum { N_WANTED = sizeof wanted / sizeof wanted[0] };
    if (bytes == 0) {
        return 0;
    }
    const char *text = (const char *)data + 1;
    if (data[0] == 'b') {
        read_bright(text, bytes - 1);
        return 0;
    }
    rr_docs docs = {0};
    rr_diag diag = {0};
    for (size_t i = 0; i < N_WANTED; i++) {
        if (rr_docs_want(&docs, (rr_text){wanted[i], strlen(wanted[i])}, &diag) != RR_OK) {
            abort();
        }
    }
    rr_status status = rr_docs_parse(
        &docs, data[0] == 'q' ? RR_DOCS_QUERIES : RR_DOCS_CORPUS, text, bytes - 1, "fuzz", &diag);
    size_t n_found = 0, n_bytes = 0;
    for (size_t i = 0; i < docs.n; i++) {
        n_found += docs.items[i].label != NULL;
        for (size_t k = 0; k < docs.items[i].text.bytes; k++) {
            n_bytes += docs.items[i].text.data[k] != '\0';
        }
    }
    if (docs.n != N_WANTED || n_found != docs.n_found || n_bytes > bytes ||
        (status != RR_OK && diag.text[0] == '\0')) {
        abort();
    }
    rr_docs_destroy(&docs);
    return 0;
}
