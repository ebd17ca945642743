#include "rerank/serve/fault.h"

#include <stdio.h>
#include <string.h>

#include "rerank/data/json_out.h"

enum { RETRY_AFTER_S = 5 };

bool rr_fault_set(rr_fault *fault, unsigned status, const char *format, ...) {
    if (fault->status == 0) {
        va_list args;
        va_start(args, format);
        vsnprintf(fault->text, sizeof fault->text, format, args);
        va_end(args);
        fault->status = status;
    }
    return false;
}

bool rr_fault_set_status(rr_fault *fault, rr_status status, const rr_diag *diag) {
    const char *text = diag != NULL && diag->text[0] != '\0' ? diag->text : rr_status_name(status);
    switch (status) {
    case RR_E_INPUT:
    case RR_E_USAGE:
    case RR_E_UNSUPPORTED:
        return rr_fault_set(fault, 400, "%s", text);
    case RR_E_MEMORY:
        fault->retry_after_s = RETRY_AFTER_S;
        return rr_fault_set(fault, 503, "%s", text);
    case RR_E_CANCELLED:
        fault->retry_after_s = RETRY_AFTER_S;
        return rr_fault_set(fault, 503, "the ranking was stopped");
    case RR_E_DEADLINE:
        return rr_fault_set(fault, 504, "%s", text);
    default:
        return rr_fault_set(fault, 500, "%s", text);
    }
}

const char *rr_fault_type(unsigned status) {
    switch (status) {
    case 401:
        return "authentication_error";
    case 403:
        return "permission_error";
    case 404:
        return "not_found_error";
    case 429:
        return "rate_limit_error";
    case 503:
        return "unavailable_error";
    case 504:
        return "timeout_error";
    default:
        return status >= 500 ? "server_error" : "invalid_request_error";
    }
}

/* As Text Embeddings Inference has it on the wire. */
static const char *tei_type(const rr_fault *fault) {
    return fault->is_empty     ? "Empty"
        : fault->status == 429 ? "Overloaded"
        : fault->status == 503 ? "Unhealthy"
        : fault->status >= 500 ? "Backend"
                               : "Validation";
}

void rr_fault_body(const rr_fault *fault, rr_buf *out) {
    rr_buf quoted = {0};
    rr_json_quote(fault->text, strlen(fault->text), &quoted);
    const char *text = quoted.data != NULL ? quoted.data : "\"\"";
    if (fault->is_tei) {
        rr_buf_printf(out, "{\"error\":%s,\"error_type\":\"%s\"}", text, tei_type(fault));
    } else {
        rr_buf_printf(out,
            "{\"error\":{\"code\":%u,\"message\":%s,\"type\":\"%s\"},\"message\":%s,\"detail\":%s}",
            fault->status, text, rr_fault_type(fault->status), text, text);
    }
    out->failed = out->failed || quoted.failed;
    rr_buf_destroy(&quoted);
}
