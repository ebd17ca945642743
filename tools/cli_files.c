/* No file that a verb writes may be another of its files. */
#include <stdlib.h>
#include <string.h>

#include "runtime/base/file.h"
#include "tools/cli.h"

static void add(rr_cli_files *files, const char *name, const char *path, bool written) {
    if (path == NULL || files->failed) {
        return;
    }
    rr_cli_file *items = realloc(files->items, (files->n + 1) * sizeof *items);
    if (items == NULL) {
        files->failed = true;
        return;
    }
    /* by this name standard input can be told from a file that was redirected to it */
    const char *given = !written && strcmp(path, "-") == 0 ? "/dev/stdin" : path;
    files->items = items;
    files->items[files->n++] = (rr_cli_file){name, given, written};
}

void rr_cli_writes(rr_cli_files *files, const char *name, const char *path) {
    add(files, name, path, true);
}

void rr_cli_reads(rr_cli_files *files, const char *name, const char *path) {
    add(files, name, path, false);
}

static int check(const rr_cli_files *files) {
    for (size_t i = 0; i < files->n; i++) {
        const rr_cli_file *one = &files->items[i];
        for (size_t k = 0; k < files->n && one->written; k++) {
            const rr_cli_file *other = &files->items[k];
            if ((k > i || !other->written) && rr_file_same(one->path, other->path)) {
                return rr_cli_usage_error(
                    "%s and %s name the same file: %s", one->name, other->name, one->path);
            }
        }
    }
    return RR_CLI_GO_ON;
}

int rr_cli_files_check(rr_cli_files *files) {
    int code = check(files);
    if (files->failed) {
        rr_cli_error("out of memory");
        code = RR_EXIT_FAILURE;
    }
    free(files->items);
    *files = (rr_cli_files){0};
    return code;
}
