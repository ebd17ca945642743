#include "runtime/base/log.h"

#include <stdatomic.h>
#include <stdio.h>

static atomic_int current_level = RR_LOG_WARN;

void rr_log_set_level(rr_log_level level) {
    atomic_store(&current_level, (int)level);
}

void rr_log(rr_log_level level, const char *format, ...) {
    if ((int)level > atomic_load(&current_level)) {
        return;
    }
    char line[2048];
    va_list args;
    va_start(args, format);
    vsnprintf(line, sizeof line, format, args);
    va_end(args);
    static const char *const names[] = {"error", "warning", "info", "debug"};
    fprintf(stderr, "rearank: %s: %s\n", names[level], line);
}

#if defined(REARANK_TRACE)
void rr_status_trace(rr_status status, const char *file, int line) {
    rr_log(RR_LOG_DEBUG, "%s:%d: %s", file, line, rr_status_name(status));
}
#endif
