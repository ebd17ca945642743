#define _GNU_SOURCE
#include "tests/support/folder.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "runtime/base/folder.h"

static bool name(char *path, size_t room) {
    int length = snprintf(path, room, "%s/rearank_test_XXXXXX", rr_temp_folder());
    return length >= 0 && (size_t)length < room;
}

static void give_up(const char *path) {
    perror(path);
    exit(1);
}

void rr_test_folder(char *path, size_t room) {
    if (!name(path, room) || mkdtemp(path) == NULL) {
        give_up(path);
    }
}

void rr_test_file(char *path, size_t room) {
    int fd = name(path, room) ? mkstemp(path) : -1;
    if (fd < 0) {
        give_up(path);
    }
    close(fd);
}
