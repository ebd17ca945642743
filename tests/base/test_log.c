#define _GNU_SOURCE
#include "runtime/base/log.h"
#include "tests/check.h"

#include <unistd.h>

static char captured[8192];

/* What four messages, one a level, put on standard error. */
static const char *capture(const char *long_text) {
    FILE *file = tmpfile();
    int saved = dup(STDERR_FILENO);
    fflush(stderr);
    dup2(fileno(file), STDERR_FILENO);
    rr_log(RR_LOG_ERROR, "e %d", 1);
    rr_log(RR_LOG_WARN, "w %d", 2);
    rr_log(RR_LOG_INFO, "i %d", 3);
    rr_log(RR_LOG_DEBUG, "d %s", long_text);
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
    return CHECK_END();
}
