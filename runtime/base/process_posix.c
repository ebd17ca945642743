/* Processes of POSIX, by posix_spawn. */
#define _GNU_SOURCE /* environ, pipe2 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "runtime/base/memory.h"
#include "runtime/base/process.h"

/* Our environment but for what is set anew. */
static bool is_set_anew(const char *entry, const rr_process_params *params) {
    for (size_t i = 0; i < params->n_variables; i++) {
        const char *name = params->variables[i].name;
        const size_t n = strlen(name);
        if (strncmp(entry, name, n) == 0 && entry[n] == '=') {
            return true;
        }
    }
    return false;
}

/* NULL-terminated, in `arena`; NULL when memory is exhausted. */
static char **make_environment(const rr_process_params *params, rr_arena *arena) {
    size_t n = 0, kept = 0;
    while (environ[n] != NULL) {
        n++;
    }
    char **list = rr_arena_alloc(arena, n + params->n_variables + 1, sizeof *list);
    if (list == NULL) {
        return NULL;
    }
    for (size_t i = 0; i < n; i++) {
        if (!is_set_anew(environ[i], params)) {
            list[kept++] = environ[i];
        }
    }
    rr_buf entry = {0};
    for (size_t i = 0; i < params->n_variables; i++) {
        rr_buf_clear(&entry);
        rr_buf_printf(&entry, "%s=%s", params->variables[i].name, params->variables[i].value);
        list[kept] = entry.failed ? NULL : rr_arena_copy(arena, entry.data, entry.bytes);
        if (list[kept++] == NULL) {
            list = NULL;
            break;
        }
    }
    rr_buf_destroy(&entry);
    return list;
}

/* 0, or an error's number. `output` is the writing end of a pipe, or below 0. */
static int add_actions(
    posix_spawn_file_actions_t *actions, const rr_process_params *params, int output) {
    int error = 0;
    if (params->log_path != NULL) {
        error = posix_spawn_file_actions_addopen(actions, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
        error = error != 0 ? error
                           : posix_spawn_file_actions_addopen(actions, STDOUT_FILENO,
                                 params->log_path, O_WRONLY | O_CREAT | O_TRUNC, 0600);
        error = error != 0
            ? error
            : posix_spawn_file_actions_adddup2(actions, STDOUT_FILENO, STDERR_FILENO);
    }
    if (error == 0 && output >= 0) {
        error = posix_spawn_file_actions_adddup2(actions, output, STDOUT_FILENO);
    }
    return error;
}

/* 0, or an error's number. */
static int spawn(const rr_process_params *params, char **environment, int output, pid_t *pid) {
    posix_spawn_file_actions_t actions;
    int error = posix_spawn_file_actions_init(&actions);
    if (error != 0) {
        return error;
    }
    error = add_actions(&actions, params, output);
    /* it takes pointers to what it does not change */
    char *const *args = (char *const *)(uintptr_t)params->args;
    if (error == 0) {
        error = params->program != NULL
            ? posix_spawnp(pid, params->program, &actions, NULL, args, environment)
            : posix_spawn(pid, "/proc/self/exe", &actions, NULL, args, environment);
    }
    posix_spawn_file_actions_destroy(&actions);
    return error;
}

rr_status rr_process_start(const rr_process_params *params, rr_process *process, rr_diag *diag) {
    int ends[2] = {-1, -1}, error = 0;
    pid_t pid = 0;
    rr_arena arena = {0};
    char **environment = make_environment(params, &arena);
    rr_status status = RR_OK;
    if (environment == NULL) {
        status = rr_fail(diag, RR_E_MEMORY, "out of memory");
        goto fail;
    }
    error = params->reads_output && pipe2(ends, O_CLOEXEC) != 0 ? errno : 0;
    error = error != 0 ? error : spawn(params, environment, ends[1], &pid);
    if (error != 0) {
        status = rr_fail(diag, RR_E_IO, "cannot start %s: %s",
            params->program != NULL ? params->program : "this program again", strerror(error));
        goto fail;
    }
    process->code = 0;
    process->output = ends[0];
    process->has_output = ends[0] >= 0;
    atomic_store(&process->id, pid);
    ends[0] = -1;
fail:
    for (int i = 0; i < 2; i++) {
        if (ends[i] >= 0) {
            close(ends[i]);
        }
    }
    rr_arena_destroy(&arena);
    return status;
}

size_t rr_process_read(rr_process *process, void *to, size_t bytes) {
    ssize_t got;
    do {
        got = read((int)process->output, to, bytes);
    } while (got < 0 && errno == EINTR);
    return got > 0 ? (size_t)got : 0;
}

/* Whether it has ended, or `flags` says to wait for that. */
static bool see_end(rr_process *process, int flags) {
    const pid_t pid = (pid_t)atomic_load(&process->id);
    siginfo_t info;
    int state = 0, error;
    if (pid == 0) {
        return true;
    }
    do {
        info.si_pid = 0;
        error = waitid(P_PID, (id_t)pid, &info, WEXITED | WNOWAIT | flags) < 0 ? errno : 0;
    } while (error == EINTR);
    if (error == 0 && info.si_pid == 0) {
        return false;
    }
    atomic_store(&process->id, 0); /* from here on nobody can end it */
    while (waitpid(pid, &state, 0) < 0 && errno == EINTR) {
    }
    process->code = error == 0 && WIFEXITED(state) ? WEXITSTATUS(state) : RR_PROCESS_KILLED;
    return true;
}

bool rr_process_has_ended(rr_process *process, int *code) {
    const bool ended = see_end(process, WNOHANG);
    if (ended) {
        *code = process->code;
    }
    return ended;
}

int rr_process_wait(rr_process *process) {
    see_end(process, 0);
    return process->code;
}

static void send_signal(rr_process *process, int number) {
    const pid_t pid = (pid_t)atomic_load(&process->id);
    if (pid > 0) {
        (void)kill(pid, number);
    }
}

void rr_process_stop(rr_process *process) {
    send_signal(process, SIGTERM);
}

void rr_process_kill(rr_process *process) {
    send_signal(process, SIGKILL);
}

void rr_process_close(rr_process *process) {
    if (process->has_output) {
        close((int)process->output);
        process->has_output = false;
    }
}
