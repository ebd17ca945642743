/* Checks for test programs: count, report the place, go on; CHECK_END gives the exit status. */
#ifndef RR_TESTS_CHECK_H
#define RR_TESTS_CHECK_H

#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int check_n_done, check_n_failed;

#define CHECK(condition) CHECK_MSG(condition, "%s", #condition)
/* The message (printf style) should hold the values that explain the failure. */
#define CHECK_MSG(condition, ...)                                   \
    do {                                                            \
        check_n_done++;                                             \
        if (!(condition)) {                                         \
            check_n_failed++;                                       \
            fprintf(stderr, "%s:%d: failed: ", __FILE__, __LINE__); \
            fprintf(stderr, __VA_ARGS__);                           \
            fputc('\n', stderr);                                    \
        }                                                           \
    } while (0)
#define CHECK_INT(found, expected)                                                              \
    do {                                                                                        \
        long long check_a_ = (long long)(found), check_b_ = (long long)(expected);              \
        CHECK_MSG(                                                                              \
            check_a_ == check_b_, "%s: found %lld, expected %lld", #found, check_a_, check_b_); \
    } while (0)
#define CHECK_TEXT(found, expected)                                                             \
    do {                                                                                        \
        const char *check_a_ = (found), *check_b_ = (expected);                                 \
        CHECK_MSG(strcmp(check_a_, check_b_) == 0, "%s: found \"%s\", expected \"%s\"", #found, \
            check_a_, check_b_);                                                                \
    } while (0)
/* An rr_status that must be OK, with its diagnostic. */
#define CHECK_OK(call, diag)                                                         \
    do {                                                                             \
        int check_s_ = (int)(call);                                                  \
        CHECK_MSG(check_s_ == 0, "%s: status %d: %s", #call, check_s_, (diag).text); \
    } while (0)
#define CHECK_SKIP(...)      \
    do {                     \
        printf("skipped: "); \
        printf(__VA_ARGS__); \
        putchar('\n');       \
        exit(77);            \
    } while (0)
#define CHECK_END()                                                  \
    (printf("%d checks, %d failed\n", check_n_done, check_n_failed), \
        check_n_failed == 0 && check_n_done > 0 ? 0 : 1)

/* REARANK_TEST_FAST=1: this device would take minutes where others take seconds; tests leave out
 * what is long. */
static inline bool check_is_fast(void) {
    const char *fast = getenv("REARANK_TEST_FAST");
    return fast != NULL && strcmp(fast, "1") == 0;
}

/* The folder of optional shared test data: $REARANK_SHARED, else ../shared; NULL when absent. */
static inline const char *check_shared(void) {
    const char *path = getenv("REARANK_SHARED");
    if (path == NULL) {
        path = "../shared";
    }
    char probe[4096];
    snprintf(probe, sizeof probe, "%s/data/README.md", path);
    FILE *file = fopen(probe, "rb");
    if (file != NULL) {
        fclose(file);
        return path;
    }
    return NULL;
}

#endif
