/* Status codes and diagnostics.
 * Owns: the one status enum of the tree and the text that explains a failure. Owns no I/O.
 * Every function that can fail returns rr_status and writes its results through out pointers only on RR_OK. */
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

/* Writes the text into `diag` (may be NULL) and returns `status`, so that failing is one statement. */
rr_status rr_fail(rr_diag *diag, rr_status status, const char *format, ...) RR_PRINTF(3, 4);

/* Puts "prefix: " before the text already in `diag` and returns `status`: callers add file and place. */
rr_status rr_fail_context(rr_diag *diag, rr_status status, const char *format, ...) RR_PRINTF(3, 4);

/* A short lower-case name: "input", "device", …; "?" when out of range. */
const char *rr_status_name(rr_status status);

/* Shows the compiler that the result is the status that was given: without it, it must think that rr_fail may return RR_OK
 * and warns of results that are only set on success. */
static inline rr_status rr_status_given(rr_status given, rr_status returned) {
    (void)returned;
    return given;
}
#define rr_fail(diag, status, ...) rr_status_given((status), rr_fail((diag), (status), __VA_ARGS__))
#define rr_fail_context(diag, status, ...) rr_status_given((status), rr_fail_context((diag), (status), __VA_ARGS__))

/* Forwards a failure to the caller. */
#define RR_TRY(expression)                                                                         \
    do {                                                                                           \
        rr_status rr_try_status_ = (expression);                                                   \
        if (rr_try_status_ != RR_OK) {                                                             \
            return rr_try_status_;                                                                 \
        }                                                                                          \
    } while (0)

/* Forwards a failure to the `fail:` label of a function that keeps it in `status`. */
#define RR_TRY_GOTO(expression)                                                                    \
    do {                                                                                           \
        status = (expression);                                                                     \
        if (status != RR_OK) {                                                                     \
            goto fail;                                                                             \
        }                                                                                          \
    } while (0)

#endif
