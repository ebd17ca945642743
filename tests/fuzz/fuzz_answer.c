/* The answer parser: whatever was written, a permutation comes out and the parts lie inside the
 * text. The first byte chooses the window. */
#include <stdlib.h>
#include <string.h>

#include "rerank/answer.h"
#include "rerank/windows.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes);

static void expect(bool condition) {
    if (!condition) {
        abort();
    }
}

static void check_inside(rr_text part, const char *text, size_t bytes) {
    expect(part.data >= text && part.data + part.bytes <= text + bytes);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes) {
    if (bytes == 0) {
        return 0;
    }
    uint32_t n = data[0] < 250 ? data[0] : RR_WINDOW_MAX, order[RR_WINDOW_MAX];
    const char *text = (const char *)data + 1;
    rr_answer answer;
    rr_answer_parse(text, bytes - 1, n, order, &answer);
    bool seen[RR_WINDOW_MAX + 1] = {false};
    for (uint32_t i = 0; i < n; i++) {
        expect(order[i] >= 1 && order[i] <= n && !seen[order[i]]);
        seen[order[i]] = true;
    }
    expect(answer.n_listed <= n && (answer.repaired || answer.n_listed == n));
    const bool closed = rr_answer_is_closed(text, bytes - 1),
               thinking = rr_answer_is_thinking(text, bytes - 1);
    expect(answer.closed || !closed);
    expect(!(answer.closed && answer.unclosed) && !(closed && thinking));
    check_inside(answer.reasoning, text, bytes - 1);
    check_inside(answer.answer, text, bytes - 1);
    for (int ended = 0; ended < 2; ended++) {
        const char *tags = rr_answer_finish(text, bytes - 1, n, ended);
        expect(!closed || tags == NULL);
    }
    expect(answer.dropped ? answer.repaired : answer.repaired == (answer.n_listed < n));
    expect(strlen(rr_answer_opening(text, bytes - 1)) < 32);
    return 0;
}
