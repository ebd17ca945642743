/* Ids of an answer while it is written: distinct and in range, the same however the text is cut, and those that the parser of
 * the whole text lists first once the answer is closed. The first byte chooses the window, the second the pieces. */
#include <stdlib.h>
#include <string.h>

#include "rerank/answer.h"
#include "rerank/handover.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes);

static void expect(bool condition) {
    if (!condition) {
        abort();
    }
}

static uint32_t hear(const char *text, size_t bytes, size_t piece, uint32_t n, bool bare, uint32_t *ids) {
    static rr_handover handover;
    size_t n_complete = 0;
    rr_handover_init(&handover, n, n, bare, ids);
    for (size_t read = 0; read < bytes;) {
        read = bytes - read < piece ? bytes : read + piece;
        n_complete += rr_handover_read(&handover, text, read);
    }
    expect(n_complete == (n > 0 && handover.n_ids == n));
    return handover.n_ids;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes) {
    if (bytes < 2) {
        return 0;
    }
    uint32_t n = data[0] < 250 ? data[0] : RR_WINDOW_MAX, ids[RR_WINDOW_MAX], again[RR_WINDOW_MAX], order[RR_WINDOW_MAX];
    const char *text = (const char *)data + 2;
    size_t length = bytes - 2, piece = 1 + data[1] % 16;
    uint32_t n_ids = hear(text, length, length + 1, n, data[1] % 2 != 0, ids);
    expect(hear(text, length, piece, n, data[1] % 2 != 0, again) == n_ids && memcmp(ids, again, n_ids * sizeof *ids) == 0);
    bool seen[RR_WINDOW_MAX + 1] = {false};
    for (uint32_t i = 0; i < n_ids; i++) {
        expect(ids[i] >= 1 && ids[i] <= n && !seen[ids[i]]);
        seen[ids[i]] = true;
    }
    rr_answer answer;
    rr_answer_parse(text, length, n, order, &answer);
    if (answer.closed) {
        n_ids = hear(text, length, piece, n, false, ids);
        expect(n_ids >= answer.n_listed && memcmp(ids, order, answer.n_listed * sizeof *ids) == 0);
    }
    return 0;
}
