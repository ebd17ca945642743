/* What a server has done, in numbers.
 * Owns: the counters, and their text for Prometheus (text format 0.0.4). Any thread. */
#ifndef RR_RERANK_SERVE_METRICS_H
#define RR_RERANK_SERVE_METRICS_H

#include <stdatomic.h>

#include "rerank/serve/outcome.h"
#include "rerank/serve/route.h"

enum { RR_METRICS_CLASSES = 6, RR_METRICS_BUCKETS = 12 };

/* Zero-initialise. Counts of the past. */
typedef struct rr_metrics {
    /* by route and by the hundreds of the status; 0 = the client went away before an answer */
    atomic_ullong requests[RR_ROUTE_COUNT][RR_METRICS_CLASSES];
    atomic_ullong refused; /* for a full queue */
    atomic_ullong gone;    /* rankings whose client went away */
    atomic_ullong repeats; /* … that were answered when it came back */
    atomic_ullong documents, rankings, windows, late;
    atomic_ullong prompt_tokens, computed_tokens, generated_tokens, window_ns;
    /* rankings by their seconds from request to answer; the last one has no upper end */
    atomic_ullong seconds[RR_METRICS_BUCKETS];
    atomic_ullong time_ns;
} rr_metrics;

/* How things stand when the text is written. */
typedef struct rr_metrics_now {
    uint64_t queued, running, connections, held_bytes;
    uint64_t device_bytes; /* that the engine planned */
    bool ready;
    double uptime_s;
} rr_metrics_now;

void rr_metrics_request(rr_metrics *metrics, rr_route route, unsigned status);
/* A ranking of `documents` that took `time_ns` from request to answer. */
void rr_metrics_ranking(rr_metrics *metrics, size_t documents, size_t windows,
    const rr_serve_usage *usage, uint64_t time_ns);
/* Appends the text. */
void rr_metrics_write(rr_metrics *metrics, const rr_metrics_now *now, rr_buf *out);

#endif
