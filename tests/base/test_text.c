/* Letters without their case. */
#include "runtime/base/text.h"
#include "tests/check.h"

#include <stdint.h>

int main(void) {
    CHECK(rr_ascii_same("NDCG@10", "nDcG@10x", 7));
    CHECK(!rr_ascii_same("NDCG@10", "nDcG@10x", 8));
    CHECK(rr_ascii_same("Abc", "aBC", SIZE_MAX));
    CHECK(!rr_ascii_same("abc", "ab", SIZE_MAX) && !rr_ascii_same("ab", "abc", SIZE_MAX));
    CHECK(rr_ascii_same("x", "y", 0) && rr_ascii_same("", "", 1));
    CHECK(!rr_ascii_same("[", "{", 1) && !rr_ascii_same("@", "`", 1)); /* 32 apart, no letters */
    CHECK(!rr_ascii_same("\xC3\x84", "\xC3\xA4", 2));                  /* no ASCII: another text */

    const char *text = "Qwen-REARank-7B";
    CHECK(rr_ascii_find(text, "rearank") == text + 5);
    CHECK(rr_ascii_find(text, "7b") == text + 13);
    CHECK(rr_ascii_find(text, "") == text);
    CHECK(rr_ascii_find(text, "7Bx") == NULL && rr_ascii_find("", "a") == NULL);
    CHECK(rr_text_is((rr_text){"ab", 2}, "ab") && !rr_text_is((rr_text){"ab", 2}, "abc"));
    return CHECK_END();
}
