#include "rerank/report/page_query.h"

#include <stdio.h>

const char *rr_report_count(uint64_t n, char *out) {
    char digits[24];
    int length = snprintf(digits, sizeof digits, "%llu", (unsigned long long)n);
    char *to = out;
    for (int i = 0; i < length; i++) {
        if (i > 0 && (length - i) % 3 == 0) {
            *to++ = ',';
        }
        *to++ = digits[i];
    }
    *to = '\0';
    return out;
}

const char *rr_report_time(uint64_t ns, char *out) {
    uint64_t ms = ns / 1000000, s = ms / 1000;
    if (ms < 1000) {
        snprintf(out, 32, "%llu ms", (unsigned long long)ms);
    } else if (s < 60) {
        snprintf(out, 32, "%.1f s", (double)ms / 1000.0);
    } else if (s < 3600) {
        snprintf(
            out, 32, "%llu min %llu s", (unsigned long long)(s / 60), (unsigned long long)(s % 60));
    } else {
        snprintf(out, 32, "%llu h %llu min", (unsigned long long)(s / 3600),
            (unsigned long long)(s / 60 % 60));
    }
    return out;
}

const char *rr_report_way(const rr_report_query *query, size_t passage) {
    return query->rank[passage] < passage ? "up" : query->rank[passage] > passage ? "down" : "same";
}

void rr_report_level(const rr_report_query *query, size_t passage) {
    if (query->levels != NULL && query->levels[passage] >= 0) {
        rr_values v = {0};
        rr_values_printf(&v, "good", "%s", query->levels[passage] > 0 ? " good" : "");
        rr_values_printf(&v, "level", "%d", (int)query->levels[passage]);
        rr_parts_write(query->parts, "row-level", &v, query->out);
    }
}
