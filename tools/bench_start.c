/* The start, each in a process of its own: from its first step to the first token of a prompt of
 * one. Cold: empty caches of pipelines, ours and the drivers', and the model's file not in memory
 * as far as the system lets go of it. Again: the same with what that start left behind. */
#include <stdio.h>
#include <string.h>

#include "runtime/base/file.h"
#include "runtime/base/folder.h"
#include "runtime/base/process.h"
#include "runtime/base/thread.h"
#include "tools/bench.h"

enum { AGAIN_ROUNDS = 3, MAX_ARGS = 20 + 2 * RR_CLI_ADAPTERS };

/* Where drivers keep compiled shaders: Mesa's, NVIDIA's, and what follows the XDG rules. */
static const char *const folders[] = {
    "REARANK_CACHE", "MESA_SHADER_CACHE_DIR", "__GL_SHADER_DISK_CACHE_PATH", "XDG_CACHE_HOME"};
enum { N_FOLDERS = sizeof folders / sizeof folders[0] };

/* Those that the model is read from. */
static void forget_model(const char *path) {
    rr_source *source = NULL;
    rr_source_file file;
    if (rr_source_open(path, &source, NULL) == RR_OK) {
        for (size_t i = 0; rr_source_file_at(source, i, &file); i++) {
            rr_file_forget(file.path);
        }
    }
    rr_source_close(&source);
}

static rr_process child; /* the process that is measured */

/* An interrupt does not end our waits, but the process that we wait for, even one that hangs in a
 * driver. */
static void on_interrupt(void *user) {
    (void)user;
    rr_process_kill(&child);
}

/* The time from the start of a process until it writes a byte. */
static rr_status start_once(const rr_process_params *params, double *out_ns, rr_diag *diag) {
    char byte;
    const uint64_t begin_ns = rr_time_ns();
    RR_TRY(rr_process_start(params, &child, diag));
    if (rr_cli_interrupted()) { /* before it was known which one */
        on_interrupt(NULL);
    }
    const size_t got = rr_process_read(&child, &byte, 1);
    *out_ns = (double)(rr_time_ns() - begin_ns);
    const int code = rr_process_wait(&child);
    rr_process_close(&child);
    if (rr_cli_interrupted()) {
        return rr_fail(diag, RR_E_CANCELLED, "interrupted");
    }
    return got == 1 && code == 0
        ? RR_OK
        : rr_fail(diag, RR_E_INTERNAL,
              "the start could not be measured: its process failed (see above)");
}

/* Arguments of the child that are made for it. */
typedef struct child_texts {
    char numbers[2][16];
    rr_buf adapters[RR_CLI_ADAPTERS];
} child_texts;

/* The command line of the child, whose made texts `own` holds. */
static void make_args(
    const rr_engine_params *params, const char *args[MAX_ARGS], child_texts *own) {
    const struct {
        const char *option, *value;
    } texts[] = {{"--model", params->compute.model_path}, {"--quantize", params->compute.quantize},
        {"--device", params->compute.device}, {"--caps", params->compute.caps}};
    int n = 0;
    args[n++] = "rearank";
    args[n++] = "bench";
    args[n++] = "--first-token";
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        if (texts[i].value != NULL) {
            args[n++] = texts[i].option;
            args[n++] = texts[i].value;
        }
    }
    for (size_t i = 0; i < params->compute.n_adapters; i++) {
        const rr_adapter_use *use = &params->compute.adapters[i];
        rr_buf_clear(&own->adapters[i]);
        rr_buf_printf(&own->adapters[i], "%s:%.17g", use->path, use->factor);
        args[n++] = "--adapter";
        args[n++] = own->adapters[i].failed ? use->path : own->adapters[i].data;
    }
    snprintf(own->numbers[0], sizeof own->numbers[0], "%u", params->compute.n_context);
    snprintf(own->numbers[1], sizeof own->numbers[1], "%u", params->compute.prompt_chunk);
    if (params->compute.n_context != 0) {
        args[n++] = "--context";
        args[n++] = own->numbers[0];
    }
    if (params->compute.prompt_chunk != 0) {
        args[n++] = "--chunk";
        args[n++] = own->numbers[1];
    }
    if (params->compute.no_packed_cache) {
        args[n++] = "--no-packed-cache";
    }
    args[n] = NULL;
}

static rr_status measure(
    rr_bench *bench, const rr_engine_params *params, const char *folder, rr_diag *diag) {
    rr_buf paths[N_FOLDERS] = {{0}};
    rr_process_variable variables[N_FOLDERS];
    const char *args[MAX_ARGS];
    child_texts own = {0};
    rr_status status = RR_OK;
    for (int i = 0; i < N_FOLDERS; i++) {
        rr_buf_printf(&paths[i], "%s/%d", folder, i);
        variables[i] = (rr_process_variable){folders[i], paths[i].data};
        status = paths[i].failed ? rr_fail(diag, RR_E_MEMORY, "out of memory") : status;
    }
    make_args(params, args, &own);
    const rr_process_params process = {
        .args = args, .variables = variables, .n_variables = N_FOLDERS, .reads_output = true};
    uint32_t again = bench->plan.rounds < AGAIN_ROUNDS ? bench->plan.rounds : AGAIN_ROUNDS;
    rr_bench_point *point = NULL;
    for (uint32_t i = 0; status == RR_OK && i <= again; i++) {
        if (i < 2) {
            point = rr_bench_add(bench, RR_BENCH_START);
            snprintf(point->note, sizeof point->note, "%s", i == 0 ? "cold" : "again");
        }
        if (i == 0) {
            forget_model(params->compute.model_path);
        }
        status = start_once(&process, &point->times_ns[point->n], diag);
        point->n += status == RR_OK;
    }
    if (status == RR_OK) {
        rr_bench_sort(point);
    }
    for (int i = 0; i < N_FOLDERS; i++) {
        rr_buf_destroy(&paths[i]);
    }
    for (size_t i = 0; i < RR_CLI_ADAPTERS; i++) {
        rr_buf_destroy(&own.adapters[i]);
    }
    return status;
}

rr_status rr_bench_start(rr_bench *bench, const rr_engine_params *params, rr_diag *diag) {
    rr_buf folder = {0};
    rr_status status = rr_temp_folder_make("rearank-start", &folder, diag);
    if (status == RR_OK) {
        rr_cli_on_interrupt(on_interrupt, NULL);
        status = measure(bench, params, folder.data, diag);
        rr_cli_on_interrupt(NULL, NULL);
        rr_folder_remove(folder.data);
    }
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
