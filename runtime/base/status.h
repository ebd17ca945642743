/* Status codes and diagnostics.
 * Owns: the one status enum of the tree and the text that explains a failure. Owns no I/O.
 * Every function that can fail returns rr_status and writes its results through out pointers only
 * on RR_OK. */
#ifndef RR_BASE_STATUS_H
#define RR_BASE_STATUS_H

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef enum rr_status {
    RR_OK = 0,
    RR_E_USAGE,       /* the caller asked for something that does not exist or makes no sense */
    RR_E_INPUT,       /* a file, stream or request is malformed */
    RR_E_IO,          /* the operating system refused to read, write or map */
    RR_E_MEMORY,      /* host or device memory is exhausted, or a plan does not fit */
    RR_E_DEVICE,      /* no usable device, the device is lost, or a Vulkan call failed */
    RR_E_UNSUPPORTED, /* well formed, but this build or device cannot do it */
    RR_E_CANCELLED,   /* stopped on request */
    RR_E_INTERNAL,    /* an invariant of ours is broken */
    RR_E_DEADLINE,    /* the time that was given is over */
    RR_E_BUSY,        /* no room at the moment: ask later */
    RR_STATUS_COUNT
} rr_status;

/* The explanation of the last failure: what was found, what was expected, what to do. */
typedef struct rr_diag {
    char text[1024];
} rr_diag;

#if defined(__GNUC__)
#define RR_PRINTF(fmt_index, first_arg) __attribute__((format(printf, fmt_index, first_arg)))
#else
#define RR_PRINTF(fmt_index, first_arg)
#endif

/* Writes the text into `diag`, which may be NULL; and puts "prefix: " before the text already in
 * it. Return `diag`. */
rr_diag *rr_diag_write(rr_diag *diag, const char *format, ...) RR_PRINTF(2, 3);
rr_diag *rr_diag_prefix(rr_diag *diag, const char *format, ...) RR_PRINTF(2, 3);

/* A short lower-case name: "input", "device", …; "?" when out of range. */
const char *rr_status_name(rr_status status);

static inline rr_status rr_status_with(rr_status status, const rr_diag *diag) {
    (void)diag;
    return status;
}

/* Writes the text into `diag` (may be NULL) and returns `status`, so that failing is one statement.
 * A macro, so that the compiler sees that the status is the given one: else it must think of RR_OK,
 * and warns of results that are only set on success. */
#define rr_fail(diag, status, ...) rr_status_with((status), rr_diag_write((diag), __VA_ARGS__))

/* Puts "prefix: " before the text already in `diag` and returns `status`: callers add file and
 * place. */
#define rr_fail_context(diag, status, ...) \
    rr_status_with((status), rr_diag_prefix((diag), __VA_ARGS__))

/* Debug builds log, at the debug level, each place that forwards a failure. */
#if defined(REARANK_TRACE)
void rr_status_trace(rr_status status, const char *file, int line); /* log.c */
#define RR_STATUS_TRACE(status) rr_status_trace((status), __FILE__, __LINE__)
#else
#define RR_STATUS_TRACE(status) ((void)0)
#endif

/* Forwards a failure to the caller. */
#define RR_TRY(expression)                       \
    do {                                         \
        rr_status rr_try_status_ = (expression); \
        if (rr_try_status_ != RR_OK) {           \
            RR_STATUS_TRACE(rr_try_status_);     \
            return rr_try_status_;               \
        }                                        \
    } while (0)

/* Forwards a failure to the `fail:` label of a function that keeps it in `status`. */
#define RR_TRY_GOTO(expression)      \
    do {                             \
        status = (expression);       \
        if (status != RR_OK) {       \
            RR_STATUS_TRACE(status); \
            goto fail;               \
        }                            \
    } while (0)

#endif
