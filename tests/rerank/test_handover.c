/* Ids of an answer as it is written, however the text is cut into pieces. */
#include "tests/check.h"

#include "rerank/handover.h"

typedef struct handover_case {
    const char *text;
    uint32_t n, n_wanted;
    bool bare;
    const char *expected; /* ids, and "!" where they were complete */
} handover_case;

static const handover_case cases[] = {
    {"<think>[1] [2]</think><answer>[3] > [1] > [2]</answer>", 3, 2, false, "3 1 !"},
    {"<answer>[3] > [3] > [9] > [2] > [1]", 3, 2, false, "3 2 !"},
    {"<answer>[12] > [1]", 12, 2, false, "12 1 !"},
    {"<answer>[1", 12, 1, false, ""}, /* it may become 12 */
    {"<answer>99999999999999999999 [2]", 5, 1, false, "2 !"},
    {"<answer>0 [00002] x", 5, 1, false, "2 !"},
    {"[2] > [1] >", 5, 2, false, ""},
    {"[2] > [1] >", 5, 2, true, "2 1 !"},
    {"<answ<answer>[4]", 5, 1, false, "4 !"},
    {"<answer", 5, 1, false, ""},
    {"<answer></answer>", 5, 1, false, ""},
    /* thinking is not heard, and forgotten where it shows late */
    {"<think><answer>[1] > [2]</answer></think><answer>[3] > [1] >", 3, 2, false, "3 1 !"},
    {"<answer>[1]</think><answer>[3] > [2] >", 3, 2, false, "3 2 !"},
    {"<think>[1] or [2]</think>[3] > [1] >", 3, 2, true, "3 1 !"},
    {"[1] or <answer>[3] > [2] >", 3, 2, true, "3 2 !"},
    {"<answer>[3]</answer> [1]", 3, 2, false, "3 "},
    {"<answer>[3</answer>", 3, 1, false, "3 !"},
    /* only what stands in brackets */
    {"<answer>Rank 1: [3]\nRank 2: [5]\n", 5, 2, false, "3 5 !"},
    {"<answer>3 > 5 > 1</answer>", 5, 2, false, ""},
    {"<answer>[\uff13] > \uff3b\u2461\uff3d\u3010\u00b9\u3011", 5, 3, false, "3 2 1 !"},
};

int main(void) {
    for (size_t c = 0; c < sizeof cases / sizeof cases[0]; c++) {
        const handover_case *at = &cases[c];
        size_t bytes = strlen(at->text);
        for (size_t piece = 1; piece <= bytes; piece++) {
            static rr_handover handover;
            uint32_t ids[RR_WINDOW_MAX];
            char found[200] = "";
            size_t n_true = 0;
            rr_handover_init(&handover, at->n, at->n_wanted, at->bare, ids);
            for (size_t read = 0; read < bytes;) {
                read = bytes - read < piece ? bytes : read + piece;
                n_true += rr_handover_read(&handover, at->text, read);
            }
            for (uint32_t i = 0; i < handover.n_ids; i++) {
                snprintf(found + strlen(found), sizeof found - strlen(found), "%u ", ids[i]);
            }
            strcat(found, n_true == 1 ? "!" : n_true == 0 ? "" : "?");
            CHECK_TEXT(found, at->expected);
        }
    }
    return CHECK_END();
}
