/* Hostile runs: refused with a reason, or made a page that holds our tags and no others. */
#include <stdlib.h>
#include <string.h>

#include "rerank/report/report.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes);

static size_t count(const char *page, const char *what) {
    size_t n = 0;
    for (const char *at = strstr(page, what); at != NULL; at = strstr(at + 1, what)) {
        n++;
    }
    return n;
}

static void must(bool condition) {
    if (!condition) {
        abort();
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes) {
    rr_report report;
    rr_buf page = {0};
    rr_diag diag = {0};
    rr_report_params params = {.many = bytes % 2 == 0};
    must(rr_report_begin(&report, &params, &diag) == RR_OK);
    rr_status status =
        rr_run_items_parse((const char *)data, bytes, "fuzz", rr_report_add, &report, &diag);
    must(status == RR_OK || diag.text[0] != '\0');
    if (status == RR_OK) {
        must(rr_report_end(&report, &page, &diag) == RR_OK);
        must(strlen(page.data) == page.bytes);
        must(count(page.data, "<script") == 1 && count(page.data, "</script") == 1 &&
            count(page.data, "<style") == 1);
        must(count(page.data, "<article class=\"card\"") == report.n_passages);
        must(count(page.data, "<article") == count(page.data, "</article>") &&
            count(page.data, "<a ") == count(page.data, "</a>"));
        must(count(page.data, "<article class=\"window\"") == report.n_windows);
    }
    rr_report_destroy(&report);
    rr_buf_destroy(&page);
    return 0;
}
