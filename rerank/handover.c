#include "rerank/handover.h"

#include <string.h>

static const char answer_open[] = "<answer>";

void rr_handover_init(rr_handover *handover, uint32_t n, uint32_t n_wanted, bool bare, uint32_t *ids) {
    *handover = (rr_handover){.ids = ids, .n = n, .n_wanted = n_wanted, .bare = bare, .in_answer = bare};
}

/* Goes behind the opening tag, or to where it may yet begin. */
static void find_answer(rr_handover *handover, const char *text, size_t bytes) {
    size_t length = strlen(answer_open);
    for (size_t i = handover->read; i < bytes; i++) {
        size_t left = bytes - i < length ? bytes - i : length;
        if (text[i] == '<' && memcmp(text + i, answer_open, left) == 0) {
            handover->in_answer = left == length;
            handover->read = handover->in_answer ? i + length : i;
            return;
        }
    }
    handover->read = bytes;
}

static void end_number(rr_handover *handover) {
    uint32_t id = handover->number;
    if (handover->in_number && id >= 1 && id <= handover->n && !handover->seen[id] &&
        handover->n_ids < handover->n_wanted) {
        handover->seen[id] = true;
        handover->ids[handover->n_ids++] = id;
    }
    handover->in_number = false;
    handover->number = 0;
}

bool rr_handover_read(rr_handover *handover, const char *text, size_t bytes) {
    uint32_t before = handover->n_ids;
    if (!handover->in_answer) {
        find_answer(handover, text, bytes);
    }
    for (; handover->in_answer && handover->read < bytes; handover->read++) {
        char c = text[handover->read];
        if (c < '0' || c > '9') {
            end_number(handover);
        } else {
            handover->in_number = true;
            uint32_t number = handover->number; /* past n it stays past n */
            handover->number = number > handover->n ? number : number * 10 + (uint32_t)(c - '0');
        }
    }
    return before < handover->n_ids && handover->n_ids == handover->n_wanted;
}
