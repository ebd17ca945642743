/* Runs a fuzzer's entry point over every file of its corpus folder, so that what a fuzzer once
 * found stays found. Fails when the folder is absent or empty. */
#define _GNU_SOURCE
#include "runtime/base/file.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes);

static int is_visible(const struct dirent *entry) {
    return entry->d_name[0] != '.';
}

/* False when the file cannot be read. The input is copied to its exact size: the sanitizer sees any
 * step past it. */
static bool replay(const char *path) {
    rr_diag diag = {0};
    rr_buf file = {0};
    rr_status status = rr_file_read(path, 64u << 20, &file, &diag);
    if (status != RR_OK) {
        fprintf(stderr, "%s\n", diag.text);
    } else {
        uint8_t *exact = malloc(file.bytes > 0 ? file.bytes : 1);
        if (exact == NULL) {
            abort();
        }
        if (file.bytes > 0) {
            memcpy(exact, file.data, file.bytes);
        }
        fprintf(stderr, "replay %s\n", path); /* names the culprit when the next line crashes */
        LLVMFuzzerTestOneInput(exact, file.bytes);
        free(exact);
    }
    rr_buf_destroy(&file);
    return status == RR_OK;
}

int main(int argc, char **argv) {
    if (argc != 2) {
        fprintf(stderr, "usage: %s FOLDER\n", argv[0]);
        return 2;
    }
    struct dirent **entries = NULL;
    int n = scandir(argv[1], &entries, is_visible, alphasort);
    if (n <= 0) {
        fprintf(stderr, "%s: found no corpus files, expected at least one\n", argv[1]);
        free(entries);
        return 1;
    }
    int n_failed = 0;
    for (int i = 0; i < n; i++) {
        char path[4096];
        snprintf(path, sizeof path, "%s/%s", argv[1], entries[i]->d_name);
        n_failed += !replay(path);
        free(entries[i]);
    }
    free(entries);
    printf("%d inputs replayed, %d failed\n", n, n_failed);
    return n_failed == 0 ? 0 : 1;
}
