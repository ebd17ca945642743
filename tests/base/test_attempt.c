/* Attempts: deaths in the middle of one are counted, in a row; ends, live processes beside and
 * broken files are not. */
#define _POSIX_C_SOURCE 200809L
#include "runtime/base/attempt.h"
#include "runtime/base/file_out.h"
#include "tests/check.h"

#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/support/folder.h"

static char path[256];

typedef enum how {
    DIES_BEFORE,
    DIES_WITHIN,
    DIES_AFTER,
    CLOSES_WITHIN,
    ENDS_ANOTHER,
    FORGIVEN
} how;

/* A process of its own that opens the count and ends in some way. */
static void process(how way) {
    const pid_t child = fork();
    if (child == 0) {
        rr_attempt *attempt = NULL;
        rr_diag diag = {0};
        if (rr_attempt_open(path, &attempt, &diag) != RR_OK) {
            _exit(1);
        }
        if (way != DIES_BEFORE) {
            rr_attempt_begin(attempt);
        }
        if (way == DIES_AFTER || way == ENDS_ANOTHER) {
            rr_attempt_end(attempt);
        }
        if (way == ENDS_ANOTHER) {
            rr_attempt_begin(attempt); /* another one later */
        }
        if (way == FORGIVEN) {
            rr_attempt_forgive_all();
        }
        if (way == CLOSES_WITHIN) {
            rr_attempt_close(&attempt);
            _exit(0);
        }
        raise(SIGKILL);
    }
    int ended = 0;
    CHECK(child > 0 && waitpid(child, &ended, 0) == child);
    CHECK(way == CLOSES_WITHIN ? WIFEXITED(ended) && WEXITSTATUS(ended) == 0 : WIFSIGNALED(ended));
}

static uint32_t n_died(void) {
    rr_attempt *attempt = NULL;
    rr_diag diag = {0};
    CHECK_OK(rr_attempt_open(path, &attempt, &diag), diag);
    const uint32_t n = attempt != NULL ? rr_attempt_n_died(attempt) : 99;
    rr_attempt_close(&attempt);
    rr_attempt_close(&attempt);
    return n;
}

static void check_file(const char *content, uint32_t expected) {
    rr_diag diag = {0};
    CHECK_OK(rr_file_write_atomic(path, content, strlen(content), &diag), diag);
    CHECK_MSG(n_died() == expected, "a file that holds \"%s\"", content);
}

int main(void) {
    rr_attempt *attempt = NULL;
    rr_diag diag = {0};
    rr_test_file(path, sizeof path);
    unlink(path);
    CHECK_INT(n_died(), 0);
    process(DIES_BEFORE);
    CHECK_INT(n_died(), 0);
    process(DIES_WITHIN);
    CHECK_INT(n_died(), 1);
    CHECK_INT(n_died(), 1); /* looking changes nothing */
    process(DIES_WITHIN);
    CHECK_INT(n_died(), 2);
    process(DIES_BEFORE);
    CHECK_INT(n_died(), 2);
    process(FORGIVEN); /* its own death alone */
    CHECK_INT(n_died(), 2);
    process(ENDS_ANOTHER); /* an end forgets what was before, a begin counts anew */
    CHECK_INT(n_died(), 1);
    process(DIES_AFTER);
    CHECK_INT(n_died(), 0);
    process(DIES_WITHIN);
    process(CLOSES_WITHIN);
    CHECK_INT(n_died(), 0);
    for (int i = 0; i < 12; i++) {
        process(DIES_WITHIN);
    }
    CHECK_INT(n_died(), 9);

    /* One that lives has begun: no crash. */
    unlink(path);
    CHECK_OK(rr_attempt_open(path, &attempt, &diag), diag);
    rr_attempt_begin(attempt);
    rr_attempt_begin(attempt);
    CHECK_INT(n_died(), 0);
    rr_attempt_close(&attempt);
    CHECK_INT(n_died(), 0);
    rr_attempt_begin(NULL);
    rr_attempt_end(NULL);

    /* Told once; where nobody died, nothing is made. */
    CHECK_INT(rr_attempt_take_deaths(path), 0);
    process(DIES_WITHIN);
    process(DIES_WITHIN);
    CHECK_INT(rr_attempt_take_deaths(path), 2);
    CHECK_INT(rr_attempt_take_deaths(path), 0);
    CHECK_INT(n_died(), 0);
    unlink(path);
    CHECK_INT(rr_attempt_take_deaths(path), 0);
    CHECK(access(path, F_OK) != 0);

    check_file("", 0);
    check_file("x", 0);
    check_file("7 and more", 7);
    unlink(path);
    CHECK_INT(rr_attempt_open("/nowhere/at/all", &attempt, &diag), RR_E_IO);
    CHECK_MSG(strstr(diag.text, "/nowhere/at/all") != NULL, "%s", diag.text);
    return CHECK_END();
}
