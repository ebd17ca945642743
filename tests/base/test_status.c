#include "runtime/base/status.h"
#include "tests/check.h"

static void fails_with_text(void) {
    rr_diag diag;
    CHECK_INT(rr_fail(&diag, RR_E_INPUT, "found %d, expected %s", 3, "four"), RR_E_INPUT);
    CHECK_TEXT(diag.text, "found 3, expected four");
    CHECK_INT(rr_fail_context(&diag, RR_E_INPUT, "%s: line %d", "a.json", 7), RR_E_INPUT);
    CHECK_TEXT(diag.text, "a.json: line 7: found 3, expected four");
    CHECK_INT(rr_fail(NULL, RR_E_IO, "nobody reads this"), RR_E_IO);
    CHECK_INT(rr_fail_context(NULL, RR_E_IO, "nor this"), RR_E_IO);
}

static rr_status next_status(int *n) {
    ++*n;
    return RR_E_IO;
}

static rr_diag *next_diag(rr_diag *diag, int *n) {
    ++*n;
    return diag;
}

/* They are macros, and arguments may do something. */
static void looks_at_arguments_once(void) {
    rr_diag diag;
    int n_statuses = 0, n_diags = 0, n_values = 0;
    CHECK_INT(
        rr_fail(next_diag(&diag, &n_diags), next_status(&n_statuses), "%d", ++n_values), RR_E_IO);
    CHECK(n_statuses == 1 && n_diags == 1 && n_values == 1);
    CHECK_INT(
        rr_fail_context(next_diag(&diag, &n_diags), next_status(&n_statuses), "%d", ++n_values),
        RR_E_IO);
    CHECK(n_statuses == 2 && n_diags == 2 && n_values == 2);
    CHECK_TEXT(diag.text, "2: 1");
}

/* Long texts are cut, never written past the end, and stay terminated. */
static void cuts_long_texts(void) {
    char text[4000];
    for (size_t n = 0; n < sizeof text; n += n < 1000 || n > 1100 ? 97 : 1) {
        struct {
            rr_diag diag;
            unsigned char canary[16];
        } box;
        memset(&box, 0xA5, sizeof box);
        memset(text, 'x', n);
        text[n] = '\0';
        rr_fail(&box.diag, RR_E_INPUT, "%s", "inner");
        rr_fail_context(&box.diag, RR_E_INPUT, "%s", text);
        CHECK(memchr(box.diag.text, '\0', sizeof box.diag.text) != NULL);
        size_t kept = n < sizeof box.diag.text - 1 ? n : sizeof box.diag.text - 1;
        CHECK_MSG(
            strspn(box.diag.text, "x") == kept, "%zu: %zu kept", n, strspn(box.diag.text, "x"));
        rr_fail_context(&box.diag, RR_E_INPUT, "outer");
        CHECK(strncmp(box.diag.text, "outer: ", 7) == 0);
        for (size_t i = 0; i < sizeof box.canary; i++) {
            CHECK_INT(box.canary[i], 0xA5);
        }
    }
}

static void names_every_status(void) {
    for (int s = 0; s < RR_STATUS_COUNT; s++) {
        CHECK(strlen(rr_status_name((rr_status)s)) > 1);
        for (int other = 0; other < s; other++) {
            CHECK(strcmp(rr_status_name((rr_status)s), rr_status_name((rr_status)other)) != 0);
        }
    }
    CHECK_TEXT(rr_status_name(RR_OK), "ok");
    CHECK_TEXT(rr_status_name(RR_STATUS_COUNT), "?");
    CHECK_TEXT(rr_status_name((rr_status)-1), "?");
}

static rr_status forwards(rr_status inner, int *reached) {
    RR_TRY(inner);
    *reached = 1;
    return RR_OK;
}

static rr_status forwards_to_label(rr_status inner, int *cleaned) {
    rr_status status;
    RR_TRY_GOTO(inner);
    return RR_OK;
fail:
    *cleaned = 1;
    return status;
}

int main(void) {
    fails_with_text();
    looks_at_arguments_once();
    cuts_long_texts();
    names_every_status();
    int flag = 0;
    CHECK_INT(forwards(RR_E_DEVICE, &flag), RR_E_DEVICE);
    CHECK_INT(flag, 0);
    CHECK_INT(forwards(RR_OK, &flag), RR_OK);
    CHECK_INT(flag, 1);
    flag = 0;
    CHECK_INT(forwards_to_label(RR_OK, &flag), RR_OK);
    CHECK_INT(flag, 0);
    CHECK_INT(forwards_to_label(RR_E_MEMORY, &flag), RR_E_MEMORY);
    CHECK_INT(flag, 1);
    return CHECK_END();
}
