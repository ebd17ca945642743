/* Ids of an answer while it is written: distinct and in range, the same however the text is cut,
 * and, once the answer is closed, those that the parser lists, unless they had no brackets. The
 * first byte chooses the window, the second the pieces. */
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

static uint32_t hear(const char *text, size_t bytes, size_t piece, uint32_t n, uint32_t n_wanted,
    bool bare, uint32_t *ids) {
    static rr_handover handover;
    size_t n_complete = 0;
    rr_handover_init(&handover, n, n_wanted, bare, ids);
    for (size_t read = 0; read < bytes;) {
        read = bytes - read < piece ? bytes : read + piece;
        n_complete += rr_handover_read(&handover, text, read);
    }
    expect(n_complete == (n_wanted > 0 && handover.n_ids == n_wanted));
    return handover.n_ids;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes) {
    if (bytes < 2) {
        return 0;
    }
    uint32_t n = data[0] < 250 ? data[0] : RR_WINDOW_MAX, ids[RR_WINDOW_MAX], again[RR_WINDOW_MAX],
             order[RR_WINDOW_MAX];
    const char *text = (const char *)data + 2;
    size_t length = bytes - 2, piece = 1 + data[1] % 16;
    uint32_t n_ids = hear(text, length, length + 1, n, n, data[1] % 2 != 0, ids);
    expect(hear(text, length, piece, n, n, data[1] % 2 != 0, again) == n_ids &&
        memcmp(ids, again, n_ids * sizeof *ids) == 0);
    bool seen[RR_WINDOW_MAX + 1] = {false};
    for (uint32_t i = 0; i < n_ids; i++) {
        expect(ids[i] >= 1 && ids[i] <= n && !seen[ids[i]]);
        seen[ids[i]] = true;
    }
    for (size_t end = 1; end <= length; end++) {
        if (text[end - 1] == '>' && rr_answer_is_closed(text, end)) {
            rr_answer answer;
            rr_answer_parse(text, end, n, order, &answer);
            /* one more than there are: it listens on behind the last one, which a </think> may yet
             * show to be thinking */
            n_ids = hear(text, end, piece, n, n + 1, false, ids);
            expect(n_ids == 0 ||
                (n_ids == answer.n_listed && memcmp(ids, order, n_ids * sizeof *ids) == 0));
            break;
        }
    }
    return 0;
}
