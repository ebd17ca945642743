/* Messages for people, on standard error only.
 * Owns: the process-wide level. The library never writes to standard output. */
#ifndef RR_BASE_LOG_H
#define RR_BASE_LOG_H

#include "runtime/base/status.h"

typedef enum rr_log_level { RR_LOG_ERROR, RR_LOG_WARN, RR_LOG_INFO, RR_LOG_DEBUG } rr_log_level;

void rr_log_set_level(rr_log_level level); /* default RR_LOG_WARN */
void rr_log(rr_log_level level, const char *format, ...) RR_PRINTF(2, 3);

/* Progress of a long step: `done` of `total` units of `what` ("pack", "fetch", …). May be called
 * from any thread, but never from two at once. */
typedef void (*rr_progress_fn)(void *user, const char *what, uint64_t done, uint64_t total);

#endif
