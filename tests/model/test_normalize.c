/* NFC of valid and broken text. Expected forms: Unicode's NormalizationTest and the composition
 * rules. */
#include "runtime/model/normalize.h"

#include "tests/check.h"

static rr_diag diag;

static void check_nfc(const char *text, size_t bytes, const char *expected) {
    rr_buf out = {0};
    CHECK_OK(rr_nfc_append(text, bytes, &out, &diag), diag);
    CHECK_TEXT(out.data, expected);
    rr_buf_destroy(&out);
}

/* Whole text at once = its pieces one by one, where pieces begin with a character that never
 * combines. */
static void check_stretches(void) {
    static const char *const parts[] = {"a", "bc", "e\xCC\x81", "\xC3\xA9", "\xC3\xA9\xCC\xA3",
        "q\xCC\x87\xCC\xA3", "x\xE4\xB8\xAD", "1", " ", "o\xCC\x82\xCC\x81", "z\xFF",
        "u\xF0\x9F\x99\x82"};
    uint32_t seed = 7;
    for (int round = 0; round < 500; round++) {
        rr_buf all = {0}, whole = {0}, joined = {0};
        for (int i = 0; i < 12; i++) {
            seed = seed * 1664525u + 1013904223u;
            const char *part = parts[(seed >> 16) % (sizeof parts / sizeof parts[0])];
            rr_buf_text(&all, part);
            CHECK_OK(rr_nfc_append(part, strlen(part), &joined, &diag), diag);
        }
        CHECK_OK(rr_nfc_append(all.data, all.bytes, &whole, &diag), diag);
        CHECK_TEXT(whole.data, joined.data);
        rr_buf again = {0};
        CHECK_OK(rr_nfc_append(whole.data, whole.bytes, &again, &diag), diag);
        CHECK_TEXT(again.data, whole.data); /* normal text stays */
        rr_buf_destroy(&again);
        rr_buf_destroy(&all);
        rr_buf_destroy(&whole);
        rr_buf_destroy(&joined);
    }
}

int main(void) {
    static const struct {
        const char *text, *expected;
    } cases[] = {
        {"plain ASCII\n", "plain ASCII\n"},
        {"\xC3\xA9t\xC3\xA9", "\xC3\xA9t\xC3\xA9"},
        {"e\xCC\x81t", "\xC3\xA9t"},
        {"ae\xCC\x81", "a\xC3\xA9"},
        {"\xCC\x81", "\xCC\x81"},
        {"\xE2\x84\xAB", "\xC3\x85"},                             /* Ångström sign */
        {"\xE2\x84\xA6", "\xCE\xA9"},                             /* ohm sign */
        {"q\xCC\x87\xCC\xA3", "q\xCC\xA3\xCC\x87"},               /* marks change places */
        {"\xC3\xA9\xCC\xA3", "\xE1\xBA\xB9\xCC\x81"},             /* é + dot below */
        {"s\xCC\x87\xCC\xA3", "\xE1\xB9\xA9"},                    /* ṩ from both */
        {"\xE1\x84\x92\xE1\x85\xA1\xE1\x86\xAB", "\xED\x95\x9C"}, /* Hangul jamo */
        {"\xED\x95\x98\xE1\x86\xAB", "\xED\x95\x9C"},
        {"\xE0\xA4\x95\xE0\xA4\xBC", "\xE0\xA4\x95\xE0\xA4\xBC"}, /* composition exclusion */
        {"\xE0\xA5\x98", "\xE0\xA4\x95\xE0\xA4\xBC"},
        /* ligature fi: not compatibility */
        {"\xEF\xAC\x81", "\xEF\xAC\x81"},
        /* CJK compatibility ideograph */
        {"\xEF\xA4\x80", "\xE8\xB1\x88"},
        /* musical half note: excluded */
        {"\xF0\x9D\x85\x9E", "\xF0\x9D\x85\x97\xF0\x9D\x85\xA5"},
        {"\xCD\x84", "\xCC\x88\xCC\x81"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        check_nfc(cases[i].text, strlen(cases[i].text), cases[i].expected);
    }
    /* invalid sequences, by maximal subpart */
#define BAD "\xEF\xBF\xBD"
    static const struct {
        const char *text, *expected;
    } broken[] = {
        {"a\xFFz", "a" BAD "z"},
        {"\x80", BAD},
        {"\xC0\x80", BAD BAD},
        {"\xE0\x80\x80", BAD BAD BAD},
        {"\xED\xA0\x80", BAD BAD BAD},
        {"\xF4\x90\x80\x80", BAD BAD BAD BAD},
        {"\xE1\x80z", BAD "z"},
        {"\xF1\x80\x80z", BAD "z"},
        {"\xF1\x80\xE1\x80\xC2"
         "a",
            BAD BAD BAD "a"},
        {"\xC2", BAD},
        {"x\xF0\x9F\x99", "x" BAD},
        {"\xE1\x80\xCC\x81", BAD "\xCC\x81"},
    };
    for (size_t i = 0; i < sizeof broken / sizeof broken[0]; i++) {
        check_nfc(broken[i].text, strlen(broken[i].text), broken[i].expected);
    }
    rr_buf nul = {0};
    CHECK_OK(rr_nfc_append("a\0e\xCC\x81", 5, &nul, &diag), diag);
    CHECK(nul.bytes == 4 && memcmp(nul.data, "a\0\xC3\xA9", 4) == 0);
    rr_buf_destroy(&nul);
    check_stretches();
    return CHECK_END();
}
