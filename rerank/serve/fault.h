/* What a server answers when it does not do what was asked.
 * Owns: which HTTP status a fault has, its name in the error bodies, and those bodies: one that
 * suits the clients of all servers that take `documents`, and Text Embeddings Inference's for
 * `texts`. */
#ifndef RR_RERANK_SERVE_FAULT_H
#define RR_RERANK_SERVE_FAULT_H

#include "runtime/base/memory.h"

/* Zero-initialise: no fault. */
typedef struct rr_fault {
    unsigned status;        /* of HTTP; 0 = none */
    unsigned retry_after_s; /* of 429 and 503 */
    bool is_empty;          /* a list without items: has a name of its own in one of the bodies */
    bool is_tei;            /* the body is Text Embeddings Inference's */
    const char *allow;      /* of 405: the methods; static */
    char text[1000];
} rr_fault;

/* Fills in status and text; returns false, so that failing is one statement. A fault that is there
 * already stays. */
bool rr_fault_set(rr_fault *fault, unsigned status, const char *format, ...) RR_PRINTF(3, 4);
/* The same of a status of the library: RR_E_INPUT, RR_E_USAGE and RR_E_UNSUPPORTED are the client's
 * faults (400), RR_E_MEMORY and RR_E_CANCELLED may pass (503), RR_E_DEADLINE is 504, the rest is
 * 500. RR_E_BUSY is not for here: 429 says when to come again. */
bool rr_fault_set_status(rr_fault *fault, rr_status status, const rr_diag *diag);

/* Forwards a fault that is set. */
#define RR_FAULT_TRY(expression) \
    do {                         \
        if (!(expression)) {     \
            return false;        \
        }                        \
    } while (0)

/* The name of a status in error bodies: "invalid_request_error", … */
const char *rr_fault_type(unsigned status);

/* Appends the JSON body. Failure shows in out->failed. */
void rr_fault_body(const rr_fault *fault, rr_buf *out);

#endif
