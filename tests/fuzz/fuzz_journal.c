/* The bytes of a ranking in a journal. The checksum at the end is mended first, so that what stands
 * behind it is reached; what is accepted must be written as it was read. */
#include <stdlib.h>
#include <string.h>

#include "rerank/keep/journal_code.h"
#include "runtime/base/hash.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes);

/* The first byte is the number of passages; the version's eight bytes and the checksum's are
 * ours. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes) {
    if (bytes == 0) {
        return 0;
    }
    rr_diag diag = {0};
    rr_ranking ranking = {0};
    size_t n = bytes - 1 + 16;
    uint8_t *whole = malloc(n);
    if (whole == NULL) {
        abort();
    }
    uint64_t version = rr_journal_code_version();
    for (size_t i = 0; i < 8; i++) {
        whole[i] = (uint8_t)(version >> 8 * i);
    }
    memcpy(whole + 8, data + 1, bytes - 1);
    uint64_t hash = rr_hash(0, whole, n - 8);
    for (size_t i = 0; i < 8; i++) {
        whole[n - 8 + i] = (uint8_t)(hash >> 8 * i);
    }
    rr_status status = rr_journal_decode(whole, n, data[0], &ranking, &diag);
    if (status != RR_OK && diag.text[0] == '\0') {
        abort();
    }
    if (status == RR_OK) {
        rr_buf again = {0};
        rr_journal_encode(&ranking, &again);
        if (again.failed || again.bytes != n || memcmp(again.data, whole, n) != 0) {
            abort();
        }
        rr_buf_destroy(&again);
        rr_ranking_destroy(&ranking);
    }
    free(whole);
    return 0;
}
