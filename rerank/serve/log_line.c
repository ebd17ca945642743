#include "rerank/serve/log_line.h"

#include <string.h>

#include "rerank/data/json_out.h"

/* A time as 2026-11-30T23:59:59Z. The days are counted in eras of 400 years that begin in March, so
 * that the leap day comes last (Hinnant, "chrono-compatible low-level date algorithms"). */
static void write_time(int64_t time_s, rr_buf *out) {
    const int64_t second = time_s % 86400, days = time_s / 86400 + 719468;
    const int64_t era = days / 146097, day_of_era = days % 146097;
    const int64_t year_of_era =
        (day_of_era - day_of_era / 1460 + day_of_era / 36524 - day_of_era / 146096) / 365;
    const int64_t day_of_year =
        day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    const int64_t shifted = (5 * day_of_year + 2) / 153; /* 0 = March */
    const int64_t month = shifted < 10 ? shifted + 3 : shifted - 9;
    rr_buf_printf(out, "%04lld-%02lld-%02lldT%02lld:%02lld:%02lldZ",
        (long long)(year_of_era + era * 400 + (month <= 2)), (long long)month,
        (long long)(day_of_year - (153 * shifted + 2) / 5 + 1), (long long)(second / 3600),
        (long long)(second / 60 % 60), (long long)(second % 60));
}

void rr_log_line(const rr_log_entry *entry, rr_buf *out) {
    rr_buf_text(out, "{\"time\":\"");
    write_time(entry->time_s, out);
    rr_buf_printf(out, "\",\"id\":\"%s\",", entry->id);
    rr_json_member("peer", entry->peer != NULL ? entry->peer : "", out);
    rr_buf_text(out, ",\"method\":");
    const size_t method_bytes = strlen(entry->method);
    rr_json_quote(entry->method, method_bytes < 16 ? method_bytes : 16, out);
    rr_buf_printf(out,
        ",\"route\":\"%s\",\"status\":%u,\"ms\":%.3f,\"bytes_in\":%zu,\"bytes_out\":%zu",
        rr_route_name(entry->route), entry->status, (double)entry->time_ns * 1e-6,
        entry->body_bytes, entry->answer_bytes);
    if (entry->mode != NULL) {
        rr_buf_printf(out,
            ",\"mode\":\"%s\",\"documents\":%zu,\"windows\":%zu,\"late\":%zu,\"prompt_tokens\":%llu,"
            "\"computed_tokens\":%llu,\"generated_tokens\":%llu,\"repeat\":%s",
            entry->mode, entry->documents, entry->windows, entry->usage.n_late,
            (unsigned long long)entry->usage.prompt_tokens,
            (unsigned long long)entry->usage.computed_tokens,
            (unsigned long long)entry->usage.generated_tokens, entry->is_repeat ? "true" : "false");
    }
    if (entry->fault != NULL) {
        rr_buf_printf(out, ",\"fault\":\"%s\"", entry->fault);
    }
    rr_buf_text(out, "}\n");
}
