#define _GNU_SOURCE
#include "runtime/base/log.h"
#include "tests/check.h"

#include <unistd.h>

static char captured[8192];

/* Where a failure is forwarded, and where it goes on. */
static rr_status forward(void) {
    RR_TRY(RR_OK);
    RR_TRY(RR_E_INPUT);
    return RR_OK;
}

static rr_status forward_again(void) {
    rr_status status = RR_OK;
    RR_TRY_GOTO(forward());
fail:
    return status;
}

/* Four messages, one a level. */
static void log_all(const char *long_text) {
    rr_log(RR_LOG_ERROR, "e %d", 1);
    rr_log(RR_LOG_WARN, "w %d", 2);
    rr_log(RR_LOG_INFO, "i %d", 3);
    rr_log(RR_LOG_DEBUG, "d %s", long_text);
}

/* What they put on standard error; NULL = a failure that is forwarded twice. */
static const char *capture(const char *long_text) {
    FILE *file = tmpfile();
    int saved = dup(STDERR_FILENO);
    fflush(stderr);
    dup2(fileno(file), STDERR_FILENO);
    if (long_text != NULL) {
        log_all(long_text);
    } else {
        CHECK_INT(forward_again(), RR_E_INPUT);
    }
    fflush(stderr);
    dup2(saved, STDERR_FILENO);
    close(saved);
    rewind(file);
    captured[fread(captured, 1, sizeof captured - 1, file)] = '\0';
    fclose(file);
    return captured;
}

int main(void) {
    CHECK_TEXT(capture(""), "rearank: error: e 1\nrearank: warning: w 2\n");
    rr_log_set_level(RR_LOG_ERROR);
    CHECK_TEXT(capture(""), "rearank: error: e 1\n");
    rr_log_set_level(RR_LOG_INFO);
    CHECK_TEXT(capture(""), "rearank: error: e 1\nrearank: warning: w 2\nrearank: info: i 3\n");
    rr_log_set_level(RR_LOG_DEBUG);
    char text[5000];
    memset(text, 'x', sizeof text - 1);
    text[sizeof text - 1] = '\0';
    size_t n = strlen(capture(text)); /* a very long line is cut, and still ends */
    CHECK_MSG(n > 2000 && n < 2300, "%zu bytes", n);
    CHECK_INT(captured[n - 1], '\n');
    const char *traced = capture(NULL);
#if defined(REARANK_TRACE)
    const char *second = strchr(traced, '\n');
    CHECK(strncmp(traced, "rearank: debug: ", 16) == 0);
    CHECK(strstr(traced, "test_log.c:") < second && strstr(traced, ": input\n") < second);
    CHECK(second != NULL && strstr(second, "test_log.c:") != NULL);
#else
    CHECK_TEXT(traced, "");
#endif
    return CHECK_END();
}
