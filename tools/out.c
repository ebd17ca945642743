/* Standard output: one buffer, every failed write noticed.
 * Owns: standard output. */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tools/cli.h"

static struct {
    char data[1 << 16];
    size_t n;
    int error; /* errno of the first failed write, 0 = none */
} out;

void rr_out_flush(void) {
    if (out.error == 0) {
        out.error = rr_stream_write(RR_STREAM_OUT, out.data, out.n);
    }
    out.n = 0;
}

void rr_out_write(const void *data, size_t bytes) {
    const char *from = data;
    while (bytes > 0 && out.error == 0) {
        if (out.n == sizeof out.data) {
            rr_out_flush();
        }
        size_t room = sizeof out.data - out.n;
        size_t n = bytes < room ? bytes : room;
        memcpy(out.data + out.n, from, n);
        out.n += n;
        from += n;
        bytes -= n;
    }
}

void rr_out_text(const char *text) {
    rr_out_write(text, strlen(text));
}

void rr_out_printf(const char *format, ...) {
    va_list args, again;
    va_start(args, format);
    va_copy(again, args);
    char small[512];
    int n = vsnprintf(small, sizeof small, format, args);
    if (n >= 0 && (size_t)n < sizeof small) {
        rr_out_write(small, (size_t)n);
    } else if (n >= 0) {
        char *large = malloc((size_t)n + 1);
        if (large != NULL) {
            vsnprintf(large, (size_t)n + 1, format, again);
            rr_out_write(large, (size_t)n);
            free(large);
        } else if (out.error == 0) {
            out.error = ENOMEM;
        }
    }
    va_end(again);
    va_end(args);
}

bool rr_out_failed(void) {
    return out.error != 0;
}

int rr_out_finish(int code) {
    rr_out_flush();
    if (out.error == 0) {
        return code;
    }
    if (out.error != EPIPE) {
        rr_cli_error("cannot write to standard output: %s", strerror(out.error));
    }
    return code == RR_EXIT_OK ? RR_EXIT_FAILURE : code;
}
