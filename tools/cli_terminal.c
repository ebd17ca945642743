/* What the program does when it is told to end, and its progress bar.
 * Owns: the handlers of signals and the progress line on standard error. */
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>

#include "runtime/base/attempt.h"
#include "tools/cli.h"

static void (*_Atomic interrupt_fn)(void *user);
static void *_Atomic interrupt_user;
static const char *_Atomic interrupt_hint;
static atomic_bool is_interrupted;

/* With nothing to cancel: the default, but for a driver that was making kernels, which is not to
 * blame. */
static void on_end(int signal_number) {
    rr_attempt_forgive_all();
    rr_signals_die_of(signal_number);
}

static void on_interrupt(int signal_number) {
    (void)signal_number;
    void (*fn)(void *) = atomic_load(&interrupt_fn);
    if (fn == NULL || atomic_exchange(&is_interrupted, true)) {
        const char *hint = atomic_load(&interrupt_hint);
        if (hint != NULL) {
            (void)rr_stream_write(RR_STREAM_ERROR, hint, strlen(hint));
        }
        rr_attempt_forgive_all();
        rr_end_now(RR_EXIT_INTERRUPTED);
    }
    fn(atomic_load(&interrupt_user));
}

static void on_lost_page(int signal_number) {
    (void)signal_number;
    static const char text[] =
        "rearank: a file was cut or its disk went away while it was read (SIGBUS)\n";
    (void)rr_stream_write(RR_STREAM_ERROR, text, sizeof text - 1);
    rr_end_now(RR_EXIT_FAILURE);
}

void rr_cli_on_interrupt(void (*fn)(void *user), void *user) {
    atomic_store(&interrupt_fn, NULL);
    atomic_store(&interrupt_user, user);
    atomic_store(&interrupt_fn, fn);
    rr_signals_on_end(fn != NULL ? on_interrupt : on_end, false);
}

void rr_cli_interrupt_hint(const char *text) {
    atomic_store(&interrupt_hint, text);
    if (text != NULL && atomic_load(&interrupt_fn) == NULL) {
        rr_signals_on_end(on_interrupt, false);
    }
}

bool rr_cli_interrupted(void) {
    return atomic_load(&is_interrupted);
}

void rr_cli_signals_setup(void) {
    rr_signals_let_writes_fail();
    rr_signals_on_lost_page(on_lost_page);
    rr_signals_on_end(on_end, true);
    if (!rr_streams_reserve()) {
        rr_end_now(RR_EXIT_FAILURE);
    }
}

void rr_cli_progress(void *user, const char *what, uint64_t done, uint64_t total) {
    (void)user;
    static int drawn = -1; /* percent on the screen */
    if (!rr_terminal_is(RR_STREAM_ERROR) || total == 0) {
        return;
    }
    int percent = done >= total ? 100 : (int)((double)done / (double)total * 100.0);
    if (percent == drawn) {
        return;
    }
    drawn = percent;
    char bar[26];
    for (int i = 0; i < 25; i++) {
        bar[i] = i < percent / 4 ? '#' : '.';
    }
    bar[25] = '\0';
    fprintf(stderr, "\r%-10s [%s] %3d %%", what, bar, percent);
    if (percent == 100) {
        fputs("\r\033[K", stderr);
        drawn = -1;
    }
    fflush(stderr);
}
