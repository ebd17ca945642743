#include "runtime/base/status.h"

#include <stdio.h>
#include <string.h>

rr_diag *rr_diag_write(rr_diag *diag, const char *format, ...) {
    if (diag != NULL) {
        va_list args;
        va_start(args, format);
        vsnprintf(diag->text, sizeof diag->text, format, args);
        va_end(args);
    }
    return diag;
}

rr_diag *rr_diag_prefix(rr_diag *diag, const char *format, ...) {
    if (diag != NULL) {
        char inner[sizeof diag->text];
        memcpy(inner, diag->text, sizeof inner);
        va_list args;
        va_start(args, format);
        int used = vsnprintf(diag->text, sizeof diag->text, format, args);
        va_end(args);
        if (used >= 0 && (size_t)used < sizeof diag->text) {
            size_t room = sizeof diag->text - (size_t)used;
            size_t tail = strlen(inner);
            if (room > 3) {
                size_t keep = tail < room - 3 ? tail : room - 3;
                memcpy(diag->text + used, ": ", 2);
                memcpy(diag->text + used + 2, inner, keep);
                diag->text[(size_t)used + 2 + keep] = '\0';
            }
        }
    }
    return diag;
}

const char *rr_status_name(rr_status status) {
    static const char *const names[RR_STATUS_COUNT] = {"ok", "usage", "input", "io", "memory",
        "device", "unsupported", "cancelled", "internal", "deadline", "busy"};
    return (unsigned)status < RR_STATUS_COUNT ? names[status] : "?";
}
