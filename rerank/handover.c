#include "rerank/handover.h"

#include <string.h>

void rr_handover_init(
    rr_handover *handover, uint32_t n, uint32_t n_wanted, bool bare, uint32_t *ids) {
    *handover = (rr_handover){.ids = ids,
        .n = n,
        .n_wanted = n_wanted,
        .bare = bare,
        .over = n_wanted == 0,
        .numbers = {.n = n}};
}

static void take_mark(rr_handover *handover, rr_mark mark, uint32_t value) {
    rr_number_reader ended;
    if (!rr_number_reader_take(&handover->numbers, mark, value, &ended) || !ended.bracketed) {
        return;
    }
    const uint32_t id = ended.number;
    if (id >= 1 && id <= handover->n && !handover->seen[id]) {
        handover->seen[id] = true;
        handover->ids[handover->n_ids++] = id;
        handover->over = handover->n_ids == handover->n_wanted;
    }
}

static void forget(rr_handover *handover) {
    handover->numbers = (rr_number_reader){.n = handover->n};
    memset(handover->seen, 0, sizeof handover->seen);
    handover->n_ids = 0;
}

/* As answer.c reads tags. */
static void take_tag(rr_handover *handover, rr_tag tag) {
    take_mark(handover, RR_MARK_OTHER, 0); /* the number before it */
    if (handover->over) {
        return;
    }
    switch (tag) {
    case RR_TAG_THINK_OPEN:
        handover->in_think = true;
        break;
    case RR_TAG_THINK_CLOSE:
        if (!handover->in_answer || !handover->in_think) {
            handover->in_answer = false;
            forget(handover);
        }
        handover->in_think = false;
        break;
    case RR_TAG_ANSWER_OPEN:
        if (!handover->in_answer && !handover->in_think) {
            handover->in_answer = true;
            forget(handover);
        }
        break;
    case RR_TAG_ANSWER_CLOSE:
        handover->over = handover->in_answer;
        break;
    case RR_TAG_NONE:
    case RR_TAG_PART:
        break;
    }
}

bool rr_handover_read(rr_handover *handover, const char *text, size_t bytes) {
    const bool was_over = handover->over;
    while (!handover->over && handover->read < bytes) {
        const char *at = text + handover->read;
        const size_t left = bytes - handover->read;
        size_t length;
        uint32_t value;
        const rr_tag tag = rr_tag_at(at, left, &length);
        if (tag == RR_TAG_PART) {
            break;
        }
        if (tag != RR_TAG_NONE) {
            take_tag(handover, tag);
        } else if (handover->in_answer || (handover->bare && !handover->in_think)) {
            const rr_mark mark = rr_mark_at(at, left, &length, &value);
            if (mark == RR_MARK_PART) {
                break;
            }
            take_mark(handover, mark, value);
        }
        handover->read += length;
    }
    return !was_over && handover->over && handover->n_ids == handover->n_wanted;
}
