/* The start, each in a process of its own: from its first step to the first token of a prompt of
 * one. Cold: empty caches of pipelines, ours and the drivers', and the model's file not in memory
 * as far as the system lets go of it. Again: the same with what that start left behind. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <signal.h>
#include <spawn.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "runtime/base/folder.h"
#include "runtime/base/thread.h"
#include "tools/bench.h"

enum { AGAIN_ROUNDS = 3, MAX_ARGS = 16 };

/* Where drivers keep compiled shaders: Mesa's, NVIDIA's, and what follows the XDG rules. */
static const char *const folders[] = {
    "REARANK_CACHE", "MESA_SHADER_CACHE_DIR", "__GL_SHADER_DISK_CACHE_PATH", "XDG_CACHE_HOME"};
enum { N_FOLDERS = sizeof folders / sizeof folders[0] };

static int remove_entry(const char *path, const struct stat *st, int type, struct FTW *ftw) {
    (void)st, (void)type, (void)ftw;
    return remove(path);
}

static bool is_folder(const char *entry) {
    for (int i = 0; i < N_FOLDERS; i++) {
        size_t n = strlen(folders[i]);
        if (strncmp(entry, folders[i], n) == 0 && entry[n] == '=') {
            return true;
        }
    }
    return false;
}

/* Our environment with all cache folders inside `folder`, NULL-terminated; the list and the `texts`
 * are the caller's. */
static char **make_environment(const char *folder, rr_buf texts[N_FOLDERS]) {
    size_t n = 0, kept = 0;
    while (environ[n] != NULL) {
        n++;
    }
    char **list = calloc(n + N_FOLDERS + 1, sizeof *list);
    for (size_t i = 0; list != NULL && i < n; i++) {
        if (!is_folder(environ[i])) {
            list[kept++] = environ[i];
        }
    }
    for (int i = 0; list != NULL && i < N_FOLDERS; i++) {
        rr_buf_printf(&texts[i], "%s=%s/%d", folders[i], folder, i);
        list[kept++] = texts[i].data;
    }
    return list;
}

/* Clean pages of the file are dropped; the system may keep what others use. */
static void forget_file(const char *path) {
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd >= 0) {
        (void)posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED);
        close(fd);
    }
}

static _Atomic pid_t running; /* the process that is measured; 0 = none */

/* An interrupt does not end our waits, but the process that we wait for, even one that hangs in a
 * driver. */
static void on_interrupt(void *user) {
    (void)user;
    const pid_t child = atomic_load(&running);
    if (child > 0) {
        (void)kill(child, SIGKILL);
    }
}

/* Once nobody can end it any more, its number may become another's. */
static int reap(pid_t child) {
    siginfo_t info;
    int code = 0;
    while (waitid(P_PID, (id_t)child, &info, WEXITED | WNOWAIT) < 0 && errno == EINTR) {
    }
    atomic_store(&running, 0);
    while (waitpid(child, &code, 0) < 0 && errno == EINTR) {
    }
    return code;
}

static rr_status wait_for(pid_t child, int from, uint64_t begin_ns, double *out_ns, rr_diag *diag) {
    char byte;
    ssize_t got;
    atomic_store(&running, child);
    if (rr_cli_interrupted()) { /* before it was known which one */
        on_interrupt(NULL);
    }
    do {
        got = read(from, &byte, 1);
    } while (got < 0 && errno == EINTR);
    *out_ns = (double)(rr_time_ns() - begin_ns);
    const int code = reap(child);
    if (rr_cli_interrupted()) {
        return rr_fail(diag, RR_E_CANCELLED, "interrupted");
    }
    if (got != 1 || !WIFEXITED(code) || WEXITSTATUS(code) != 0) {
        return rr_fail(
            diag, RR_E_INTERNAL, "the start could not be measured: its process failed (see above)");
    }
    return RR_OK;
}

static rr_status start_once(
    char *const args[], char *const environment[], double *out_ns, rr_diag *diag) {
    int ends[2];
    pid_t child;
    posix_spawn_file_actions_t actions;
    if (pipe2(ends, O_CLOEXEC) != 0) {
        return rr_fail(diag, RR_E_IO, "cannot make a pipe: %s", strerror(errno));
    }
    int error = posix_spawn_file_actions_init(&actions);
    uint64_t begin_ns = rr_time_ns();
    if (error == 0) {
        error = posix_spawn_file_actions_adddup2(&actions, ends[1], STDOUT_FILENO);
        error = error == 0
            ? posix_spawn(&child, "/proc/self/exe", &actions, NULL, args, environment)
            : error;
        posix_spawn_file_actions_destroy(&actions);
    }
    close(ends[1]);
    rr_status status = error == 0
        ? wait_for(child, ends[0], begin_ns, out_ns, diag)
        : rr_fail(diag, RR_E_IO, "cannot start this program again: %s", strerror(error));
    close(ends[0]);
    return status;
}

/* The command line of the child. `numbers` holds the texts of numbers. */
static void make_args(const rr_engine_params *params, char *args[MAX_ARGS], char numbers[2][16]) {
    const struct {
        const char *option, *value;
    } texts[] = {{"--model", params->compute.model_path}, {"--device", params->compute.device},
        {"--caps", params->compute.caps}};
    int n = 0;
    /* posix_spawn takes pointers to what it does not change */
#define WORD(text) (char *)(uintptr_t)(text)
    args[n++] = WORD("rearank");
    args[n++] = WORD("bench");
    args[n++] = WORD("--first-token");
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        if (texts[i].value != NULL) {
            args[n++] = WORD(texts[i].option);
            args[n++] = WORD(texts[i].value);
        }
    }
    snprintf(numbers[0], sizeof numbers[0], "%u", params->compute.n_context);
    snprintf(numbers[1], sizeof numbers[1], "%u", params->compute.prompt_chunk);
    if (params->compute.n_context != 0) {
        args[n++] = WORD("--context");
        args[n++] = numbers[0];
    }
    if (params->compute.prompt_chunk != 0) {
        args[n++] = WORD("--chunk");
        args[n++] = numbers[1];
    }
    if (params->compute.no_packed_cache) {
        args[n++] = WORD("--no-packed-cache");
    }
#undef WORD
    args[n] = NULL;
}

static rr_status measure(
    rr_bench *bench, const rr_engine_params *params, const char *folder, rr_diag *diag) {
    rr_buf texts[N_FOLDERS] = {{0}};
    char *args[MAX_ARGS], numbers[2][16];
    char **environment = make_environment(folder, texts);
    make_args(params, args, numbers);
    rr_status status = RR_OK;
    uint32_t again = bench->plan.rounds < AGAIN_ROUNDS ? bench->plan.rounds : AGAIN_ROUNDS;
    if (environment == NULL) {
        status = rr_fail(diag, RR_E_MEMORY, "out of memory");
    }
    rr_bench_point *point = NULL;
    for (uint32_t i = 0; status == RR_OK && i <= again; i++) {
        if (i < 2) {
            point = rr_bench_add(bench, RR_BENCH_START);
            snprintf(point->note, sizeof point->note, "%s", i == 0 ? "cold" : "again");
        }
        if (i == 0) {
            forget_file(params->compute.model_path);
        }
        status = start_once(args, environment, &point->times_ns[point->n], diag);
        point->n += status == RR_OK;
    }
    if (status == RR_OK) {
        rr_bench_sort(point);
    }
    free(environment);
    for (int i = 0; i < N_FOLDERS; i++) {
        rr_buf_destroy(&texts[i]);
    }
    return status;
}

rr_status rr_bench_start(rr_bench *bench, const rr_engine_params *params, rr_diag *diag) {
    rr_buf folder = {0};
    rr_buf_printf(&folder, "%s/rearank-start-XXXXXX", rr_temp_folder());
    if (folder.failed || mkdtemp(folder.data) == NULL) {
        rr_status status =
            rr_fail(diag, RR_E_IO, "cannot make a folder for empty caches: %s", strerror(errno));
        rr_buf_destroy(&folder);
        return status;
    }
    rr_cli_on_interrupt(on_interrupt, NULL);
    rr_status status = measure(bench, params, folder.data, diag);
    rr_cli_on_interrupt(NULL, NULL);
    nftw(folder.data, remove_entry, 16, FTW_DEPTH | FTW_PHYS);
    rr_buf_destroy(&folder);
    return status;
}

rr_status rr_bench_first_token(const rr_engine_params *params, rr_diag *diag) {
    rr_engine *engine = NULL;
    rr_session *session = NULL;
    rr_tokens out = {0};
    const int32_t prompt = 0;
    rr_status status = RR_OK;
    RR_TRY_GOTO(rr_engine_open(params, &engine, diag));
    RR_TRY_GOTO(rr_session_create(engine, &session, diag));
    RR_TRY_GOTO(rr_session_sync(session, &prompt, 1, diag));
    RR_TRY_GOTO(rr_session_generate(
        session, &(rr_generate_params){.max_tokens = 1, .ignore_end = true}, &out, NULL, diag));
    rr_out_text("\n"); /* what the parent waits for */
    rr_out_flush();
fail:
    rr_tokens_destroy(&out);
    rr_session_destroy(&session);
    rr_engine_close(&engine);
    return status;
}
