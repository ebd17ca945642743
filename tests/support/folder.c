#define _GNU_SOURCE
#include "tests/support/folder.h"

#include <stdio.h>
#include <stdlib.h>

void rr_test_folder(char *path, size_t room) {
    const char *temp = getenv("TMPDIR");
    int length = snprintf(path, room, "%s/rearank_test_XXXXXX", temp != NULL ? temp : "/tmp");
    if (length < 0 || (size_t)length >= room || mkdtemp(path) == NULL) {
        perror(path);
        exit(1);
    }
}
