/* Signals and the terminal.
 * Owns: the handlers of SIGINT, SIGTERM, SIGPIPE, SIGXFSZ and SIGBUS, and the progress line on
 * standard error. */
#define _POSIX_C_SOURCE 200809L
#include <fcntl.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

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
    signal(signal_number, SIG_DFL);
    raise(signal_number);
}

static void on_interrupt(int signal_number) {
    (void)signal_number;
    void (*fn)(void *) = atomic_load(&interrupt_fn);
    if (fn == NULL || atomic_exchange(&is_interrupted, true)) {
        const char *hint = atomic_load(&interrupt_hint);
        if (hint != NULL) {
            (void)!write(STDERR_FILENO, hint, strlen(hint));
        }
        rr_attempt_forgive_all();
        _exit(RR_EXIT_INTERRUPTED);
    }
    fn(atomic_load(&interrupt_user));
}

static void on_failed_write(int signal_number) {
    (void)signal_number; /* the write fails with EPIPE or EFBIG and its caller sees that */
}

/* A mapped file that shrank, or whose disk went away: there is no page to read and no way on. */
static void on_lost_page(int signal_number) {
    (void)signal_number;
    static const char text[] =
        "rearank: a file was cut or its disk went away while it was read (SIGBUS)\n";
    (void)!write(STDERR_FILENO, text, sizeof text - 1);
    _exit(RR_EXIT_FAILURE);
}

static void handle(int signal_number, void (*handler)(int)) {
    struct sigaction action;
    memset(&action, 0, sizeof action);
    action.sa_handler = handler;
    action.sa_flags = SA_RESTART;
    sigemptyset(&action.sa_mask);
    sigaction(signal_number, &action, NULL);
}

static void handle_unless_ignored(int signal_number, void (*handler)(int)) {
    struct sigaction action;
    if (sigaction(signal_number, NULL, &action) == 0 && action.sa_handler != SIG_IGN) {
        handle(signal_number, handler);
    }
}

void rr_cli_on_interrupt(void (*fn)(void *user), void *user) {
    atomic_store(&interrupt_fn, NULL);
    atomic_store(&interrupt_user, user);
    atomic_store(&interrupt_fn, fn);
    handle(SIGINT, fn != NULL ? on_interrupt : on_end);
    handle(SIGTERM, fn != NULL ? on_interrupt : on_end);
}

void rr_cli_interrupt_hint(const char *text) {
    atomic_store(&interrupt_hint, text);
    if (text != NULL && atomic_load(&interrupt_fn) == NULL) {
        handle(SIGINT, on_interrupt);
        handle(SIGTERM, on_interrupt);
    }
}

bool rr_cli_interrupted(void) {
    return atomic_load(&is_interrupted);
}

void rr_cli_signals_setup(void) {
    /* a handler and not SIG_IGN: programs that we start get the default back */
    handle(SIGPIPE, on_failed_write);
    handle(SIGXFSZ, on_failed_write);
    handle(SIGBUS, on_lost_page);
    handle_unless_ignored(SIGINT, on_end); /* a shell's background job does not hear of Ctrl-C */
    handle_unless_ignored(SIGTERM, on_end);
    /* a closed standard stream must not lend its number to a file of ours; using it then fails, as
     * it should */
    for (int fd = 0; fd <= 2; fd++) {
        if (fcntl(fd, F_GETFD) == -1 &&
            open("/dev/null", fd == STDIN_FILENO ? O_WRONLY : O_RDONLY) != fd) {
            _exit(RR_EXIT_FAILURE);
        }
    }
}

bool rr_cli_is_terminal(int fd) {
    return isatty(fd) == 1;
}

void rr_cli_progress(void *user, const char *what, uint64_t done, uint64_t total) {
    (void)user;
    static int drawn = -1; /* percent on the screen */
    if (!rr_cli_is_terminal(STDERR_FILENO) || total == 0) {
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
