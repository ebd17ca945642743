/* What an interrupted run says: how to go on. */
#define _POSIX_C_SOURCE 200809L
#include "tests/check.h"
#include "tools/keep.h"

#include <signal.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

static void nothing(void *user) {
    (void)user;
}

/* Each in a process of its own: what it says on standard error; *code gets its exit status. */
static void said_by(void (*body)(void), char *said, size_t room, int *code) {
    int ends[2], status = 0;
    CHECK_INT(pipe(ends), 0);
    pid_t child = fork();
    if (child == 0) {
        dup2(ends[1], STDERR_FILENO);
        body();
        _exit(0);
    }
    close(ends[1]);
    size_t n = 0;
    for (ssize_t got = 1; got > 0; n += got > 0 ? (size_t)got : 0) {
        got = read(ends[0], said + n, room - 1 - n);
    }
    said[n] = '\0';
    close(ends[0]);
    CHECK_INT(waitpid(child, &status, 0), child);
    *code = WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

static const char hint[] = "go on with --resume\n";

static void before_there_is_work(void) {
    rr_cli_interrupt_hint(hint);
    raise(SIGINT);
}

static void the_second_time(void) {
    rr_cli_interrupt_hint(hint);
    rr_cli_on_interrupt(nothing, NULL);
    raise(SIGTERM);
    raise(SIGINT);
}

static void once_in_the_work(void) {
    rr_cli_interrupt_hint(hint);
    rr_cli_on_interrupt(nothing, NULL);
    raise(SIGINT);
}

static void taken_back(void) {
    rr_cli_on_interrupt(nothing, NULL);
    rr_cli_interrupt_hint(hint);
    rr_cli_interrupt_hint(NULL);
    raise(SIGINT);
    raise(SIGINT);
}

static void nothing_kept(void) {
    rr_keep_tell(&(rr_keep){0}, true);
}

static void one_query(void) {
    rr_keep_tell(&(rr_keep){0}, false);
}

int main(void) {
    static const struct {
        void (*body)(void);
        int code;
        const char *said;
    } cases[] = {
        {before_there_is_work, RR_EXIT_INTERRUPTED, hint},
        {the_second_time, RR_EXIT_INTERRUPTED, hint},
        {once_in_the_work, 0, ""},
        {taken_back, RR_EXIT_INTERRUPTED, ""},
        {nothing_kept, 0,
            "rearank: nothing is kept: with --output FILE or --journal FILE a run that was stopped goes on with --resume\n"},
        {one_query, 0, ""},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char said[500];
        int code;
        said_by(cases[i].body, said, sizeof said, &code);
        CHECK_INT(code, cases[i].code);
        CHECK_TEXT(said, cases[i].said);
    }
    return CHECK_END();
}
