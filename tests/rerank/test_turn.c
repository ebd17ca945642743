/* Where generation ends, freely and before a strict answer, however the text comes: both go by the
 * same thinking. */
#include "tests/check.h"

#include "rerank/turn.h"

/* Gives `text` in pieces; how much of it was written when it was over, all and one more where it
 * never was. */
static size_t end_of(const char *text, size_t piece, bool (*is_over)(const rr_turn *, size_t)) {
    rr_buf written = {0};
    const rr_turn turn = {.text = &written};
    const size_t bytes = strlen(text);
    size_t end = bytes + 1;
    for (size_t at = 0; at < bytes && end > bytes; at += piece) {
        const size_t n = bytes - at < piece ? bytes - at : piece;
        rr_buf_append(&written, text + at, n);
        if (is_over(&turn, at)) {
            end = at + n;
        }
    }
    rr_buf_destroy(&written);
    return end;
}

/* `thought` and `answered`: behind which part of the text it is over, NULL = never. */
static void check_turn(const char *text, const char *thought, const char *answered) {
    for (size_t piece = 1; piece < 12; piece++) {
        const size_t ends[] = {
            end_of(text, piece, rr_turn_is_thought), end_of(text, piece, rr_turn_is_answered)};
        const char *const expected[] = {thought, answered};
        for (int i = 0; i < 2; i++) {
            const size_t least = expected[i] == NULL ? strlen(text) + 1 : strlen(expected[i]);
            CHECK_MSG(expected[i] == NULL || strncmp(text, expected[i], least) == 0,
                "\"%s\": not its beginning", text);
            CHECK_MSG(ends[i] >= least && ends[i] < least + piece,
                "\"%s\" by %zu: %s at %zu, expected %zu", text, piece,
                i == 0 ? "thought" : "answered", ends[i], least);
        }
    }
}

int main(void) {
    check_turn("<think>so</think>\n<answer>[1]</answer> x", "<think>so</think>",
        "<think>so</think>\n<answer>[1]</answer>");
    check_turn("so <answer>[1]</answer> x", "so <answer>", "so <answer>[1]</answer>");
    /* a mention is thinking */
    check_turn("<think>as <answer>[X]</answer> so</think>\n<answer>[1]</answer> x",
        "<think>as <answer>[X]</answer> so</think>",
        "<think>as <answer>[X]</answer> so</think>\n<answer>[1]</answer>");
    check_turn("<think>as <answer>[X]</answer> so on", NULL, NULL);
    check_turn("<think>as </answer> so <answer>", NULL, NULL);
    return CHECK_END();
}
