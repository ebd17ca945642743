/* Where the Qwen2 regex cuts: texts written with "|" at each expected cut. */
#include "runtime/model/pretokenize.h"

#include "runtime/base/memory.h"
#include "tests/check.h"

static const char *const cases[] = {
    "Hello| world|!",
    "I|'m| sure| they|'LL| say|'Re|'ve|'D|'t|'S",
    "''|s",
    "x|''|tis",
    "don|'t|'xyz",
    "1|2|3|a|4",
    " |1| |2",
    "a| |1",
    "   | two",
    "  | three",
    " four",
    "tab|\t|\tx",
    "a|  \n|b",
    "a|\n\n|  | b",
    "end|  ",
    "end|\n \n",
    "...\n\n|x",
    " ...\r\n\n|x",
    "a|...\n|\tb",
    "(a|)",
    " (|a",
    "中文|，你好",
    "é|1|ü",
    "½|x", /* a number that is no digit */
    "Ⅷ|٣", /* letter number, Arabic digit */
    "a|\xCC\x81"
    "b",                            /* a mark is no letter: it joins what follows */
    "a|\xC2\xA0|\xC2\xA0x",         /* no-break space is a space */
    "a|\xC2\x85|\xC2\x85x",         /* so is NEXT LINE, but it is carriage return or line feed */
    "a|\xE2\x80\xA8|\xE2\x80\xA8x", /* and LINE SEPARATOR */
    "a|\xE3\x80\x80|\xE3\x80\x80x",
    "a|\xE1\xA0\x8E\xE1\xA0\x8E|1", /* U+180E is none: two of them are one run of symbols */
    "a|\xE2\x80\x8B\xE2\x80\x8B|1", /* nor is the zero-width space */
    "🙂🙂| 🙂| x",
    "[|1|]| >| [|2|]",
    "</|answer|>",
    "<think|>\n|x",
};

typedef struct cutting {
    rr_buf out;
} cutting;

static rr_status add_piece(void *user, const char *piece, size_t bytes, rr_diag *diag) {
    (void)diag;
    cutting *cut = user;
    if (cut->out.bytes > 0) {
        rr_buf_text(&cut->out, "|");
    }
    rr_buf_append(&cut->out, piece, bytes);
    return RR_OK;
}

static rr_status refuse(void *user, const char *piece, size_t bytes, rr_diag *diag) {
    (void)piece;
    (void)bytes;
    int *n_left = user;
    return --*n_left > 0 ? RR_OK : rr_fail(diag, RR_E_CANCELLED, "enough");
}

int main(void) {
    rr_diag diag = {0};
    rr_pretokenizer *pretokenizer = NULL;
    CHECK_OK(rr_pretokenizer_create(&pretokenizer, &diag), diag);
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        rr_buf text = {0};
        for (const char *c = cases[i]; *c != '\0'; c++) {
            rr_buf_append(&text, c, *c == '|' ? 0 : 1);
        }
        cutting cut = {0};
        CHECK_OK(rr_pretokenize(pretokenizer, text.data, text.bytes, add_piece, &cut, &diag), diag);
        CHECK_TEXT(cut.out.data, cases[i]);
        rr_buf_destroy(&cut.out);
        rr_buf_destroy(&text);
    }
    int n_left = 2;
    CHECK_INT(rr_pretokenize(pretokenizer, "a b c", 5, refuse, &n_left, &diag), RR_E_CANCELLED);
    CHECK_INT(n_left, 0);
    CHECK_OK(rr_pretokenize(pretokenizer, "", 0, refuse, NULL, &diag), diag);
    rr_pretokenizer_destroy(&pretokenizer);
    rr_pretokenizer_destroy(&pretokenizer);
    return CHECK_END();
}
