/* Standard streams, terminals and signals of POSIX. */
#define _DEFAULT_SOURCE /* TIOCGWINSZ, setenv */
#include "tools/terminal.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

static int fd_of(rr_stream stream) {
    return stream == RR_STREAM_IN ? STDIN_FILENO
        : stream == RR_STREAM_OUT ? STDOUT_FILENO
                                  : STDERR_FILENO;
}

bool rr_terminal_is(rr_stream stream) {
    return isatty(fd_of(stream)) == 1;
}

bool rr_terminal_redraws(rr_stream stream) {
    const char *term = getenv("TERM");
    return rr_terminal_is(stream) && term != NULL && strcmp(term, "dumb") != 0;
}

size_t rr_terminal_columns(rr_stream stream) {
    struct winsize size;
    return ioctl(fd_of(stream), TIOCGWINSZ, &size) == 0 ? size.ws_col : 0;
}

int rr_stream_write(rr_stream stream, const void *data, size_t bytes) {
    const int saved = errno;
    int error = 0;
    for (size_t sent = 0; sent < bytes && error == 0;) {
        const ssize_t put = write(fd_of(stream), (const char *)data + sent, bytes - sent);
        if (put >= 0) {
            sent += (size_t)put;
        } else if (errno != EINTR) {
            error = errno;
        }
    }
    errno = saved;
    return error;
}

bool rr_streams_reserve(void) {
    for (int fd = 0; fd <= 2; fd++) {
        if (fcntl(fd, F_GETFD) == -1 &&
            open("/dev/null", fd == STDIN_FILENO ? O_WRONLY : O_RDONLY) != fd) {
            return false;
        }
    }
    return true;
}

static void handle(int signal_number, rr_signal_fn handler) {
    struct sigaction action;
    memset(&action, 0, sizeof action);
    action.sa_handler = handler;
    action.sa_flags = SA_RESTART;
    sigemptyset(&action.sa_mask);
    sigaction(signal_number, &action, NULL);
}

void rr_signals_on_end(rr_signal_fn handler, bool by_default) {
    static const int numbers[] = {SIGINT, SIGTERM};
    for (size_t i = 0; i < sizeof numbers / sizeof numbers[0]; i++) {
        struct sigaction found;
        if (!by_default ||
            (sigaction(numbers[i], NULL, &found) == 0 && found.sa_handler != SIG_IGN)) {
            handle(numbers[i], handler);
        }
    }
}

static void do_nothing(int signal_number) {
    (void)signal_number; /* the write fails with EPIPE or EFBIG and its caller sees that */
}

void rr_signals_let_writes_fail(void) {
    /* a handler and not SIG_IGN: programs that we start get the default back */
    handle(SIGPIPE, do_nothing);
    handle(SIGXFSZ, do_nothing);
}

void rr_signals_on_lost_page(rr_signal_fn handler) {
    handle(SIGBUS, handler);
}

void rr_signals_die_of(int signal_number) {
    signal(signal_number, SIG_DFL);
    raise(signal_number);
}

void rr_end_now(int code) {
    _exit(code);
}

bool rr_environment_set(const char *name, const char *value) {
    return setenv(name, value, 0) == 0;
}
