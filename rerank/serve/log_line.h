/* One line of JSON a request, without any text of it.
 * Owns: the members of that line. Pure. */
#ifndef RR_RERANK_SERVE_LOG_LINE_H
#define RR_RERANK_SERVE_LOG_LINE_H

#include "rerank/serve/outcome.h"
#include "rerank/serve/route.h"

typedef struct rr_log_entry {
    int64_t time_s; /* when it came, since 1970 UTC */
    const char *id;
    const char *peer;   /* the client's address; NULL = not known */
    const char *method; /* as it was sent; shortened */
    rr_route route;
    unsigned status;  /* 0 = the client went away before the answer */
    uint64_t time_ns; /* until the answer was sent, or the client gone */
    size_t body_bytes, answer_bytes;
    /* of a ranking */
    const char *mode; /* NULL = there was none */
    size_t documents, windows;
    rr_serve_usage usage;
    bool is_repeat;    /* answered by the ranking of a client that had gone */
    const char *fault; /* its type; NULL = none */
} rr_log_entry;

/* Appends the line, with its end. */
void rr_log_line(const rr_log_entry *entry, rr_buf *out);

#endif
