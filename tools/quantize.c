/* `rearank quantize`: writes a model as a GGUF file with its matrices in another type.
 * Owns: the options, the progress line and the summary. The work: runtime/model/export.h. */
#include <stdio.h>
#include <stdlib.h>

#include "runtime/base/file.h"
#include "runtime/base/thread.h"
#include "runtime/model/export.h"
#include "tools/cli.h"

static const char *const type_names[] = {
    "q4_0", "q4_1", "q5_0", "q5_1", "q8_0", "q4_k", "q5_k", "q6_k", "f16", "bf16", "f32", NULL};

typedef struct quantize_request {
    const char *from, *to;
    int type, embedding, output; /* indices of type_names; -1 = not given */
    uint32_t n_threads;
} quantize_request;

typedef struct progress_line {
    uint64_t began_ns;
    int drawn; /* percent on the screen */
} progress_line;

static bool show_progress(void *user, uint64_t done, uint64_t total) {
    progress_line *line = user;
    const int percent = (int)((double)done / (double)total * 100.0);
    if (rr_terminal_is(RR_STREAM_ERROR) && percent != line->drawn) {
        const double seconds = (double)(rr_time_ns() - line->began_ns) * 1e-9;
        const double left = seconds * (double)(total - done) / (double)done;
        line->drawn = percent;
        fprintf(stderr, "\rquantize   %3d %%, %.0f s left\033[K", percent, left);
        fputs(done == total ? "\r\033[K" : "", stderr);
        fflush(stderr);
    }
    return !rr_cli_interrupted();
}

static rr_qtype type_at(int index) {
    rr_qtype type = RR_Q_F32;
    (void)rr_qtype_named(type_names[index], &type);
    return type;
}

/* Embedding and output suffer most from few bits, and are few: Q8_0 unless all are floats. */
static rr_export_params params_of(const quantize_request *request, bool tied) {
    const rr_qtype type = type_at(request->type);
    const bool is_float = type == RR_Q_F32 || type == RR_Q_F16 || type == RR_Q_BF16;
    const rr_qtype outer = is_float ? type : RR_Q_Q8_0;
    const int embedding = tied && request->embedding < 0 ? request->output : request->embedding;
    return (rr_export_params){.type = type,
        .embedding = embedding >= 0 ? type_at(embedding) : outer,
        .output = request->output >= 0 ? type_at(request->output) : outer,
        .n_threads = request->n_threads};
}

static void tell_plan(const rr_export_plan *plan) {
    if (plan->n_rounded_again > 0) {
        rr_cli_note("%zu matrices are quantized already: rounding them again adds to what they "
                    "lost; quantize the original where you can",
            plan->n_rounded_again);
    }
    if (plan->n_other > 0) {
        const rr_qtype type = rr_export_type(plan->params.type, 32);
        rr_cli_note("%zu matrices have rows that are no multiple of 256: they get %s",
            plan->n_other, rr_qtype_get((uint32_t)type)->name);
    }
}

static rr_status quantize(const quantize_request *request, rr_diag *diag) {
    rr_model *model = NULL;
    rr_export_plan plan = {0};
    progress_line line = {.began_ns = rr_time_ns(), .drawn = -1};
    rr_status status = RR_OK;
    RR_TRY_GOTO(rr_model_open(request->from, &model, diag));
    if (model->config.tied && request->embedding >= 0 && request->output >= 0 &&
        request->embedding != request->output) {
        RR_TRY_GOTO(rr_fail(diag, RR_E_USAGE,
            "the output of this model is its embedding: give --embedding-type or --output-type, or "
            "the same for both"));
    }
    rr_export_params params = params_of(request, model->config.tied);
    params.progress = show_progress;
    params.progress_user = &line;
    RR_TRY_GOTO(rr_export_plan_make(model, &params, &plan, diag));
    tell_plan(&plan);
    status = rr_export_write(&plan, request->to, diag);
    if (status != RR_OK) {
        if (line.drawn >= 0) {
            fputs("\r\033[K", stderr);
        }
        (void)rr_fail_context(diag, status, "%s", request->from);
        goto fail;
    }
    rr_out_printf("%s: %.1f MiB, %.2f bits a weight (matrices %.2f), %.1f s\n", request->to,
        (double)plan.bytes / (1 << 20), 8.0 * (double)plan.bytes / (double)plan.n_weights,
        8.0 * (double)plan.matrix_bytes / (double)plan.n_matrix_weights,
        (double)(rr_time_ns() - line.began_ns) * 1e-9);
fail:
    rr_export_plan_destroy(&plan);
    rr_model_close(&model);
    return status;
}

static void on_interrupt(void *user) {
    (void)user; /* rr_cli_interrupted() is asked between pieces */
}

int rr_verb_quantize(int argc, char **argv) {
    quantize_request request = {.embedding = -1, .output = -1};
    const rr_opt options[] = {
        {.name = "type",
            .letter = 't',
            .kind = RR_OPT_CHOICE,
            .target = &request.type,
            .choices = type_names,
            .help = "how the layers' matrices are stored (default q4_0)"},
        {.name = "embedding-type",
            .kind = RR_OPT_CHOICE,
            .target = &request.embedding,
            .choices = type_names,
            .help = "the embedding (default q8_0; as --type where that is a float type)"},
        {.name = "output-type",
            .kind = RR_OPT_CHOICE,
            .target = &request.output,
            .choices = type_names,
            .help = "the output matrix (default as for the embedding)"},
        {.name = "threads",
            .kind = RR_OPT_U32,
            .target = &request.n_threads,
            .value = "N",
            .help = "threads (default: all processors); the file is the same",
            .min = 1,
            .max = 1024},
    };
    const rr_cli_spec spec = {
        .synopsis = "MODEL OUT.gguf",
        .about =
            "Writes a model (a GGUF file or a Hugging Face folder) as a GGUF file with its matrices in another type.\n"
            "Scales are searched for the least error. llama.cpp reads the file, too.",
        .min_args = 2,
        .max_args = 2,
        .groups = {rr_cli_options(options)},
    };
    rr_cli_args args;
    int code = rr_cli_parse(&spec, argc, argv, &args);
    if (code != RR_CLI_GO_ON) {
        return code;
    }
    request.from = args.items[0];
    request.to = args.items[1];
    rr_cli_files files = {0};
    rr_cli_writes(&files, "OUT", request.to);
    if (rr_file_look(request.from, NULL) != RR_FILE_FOLDER) {
        rr_cli_reads(&files, "MODEL", request.from);
    }
    code = rr_cli_files_check(&files);
    if (code != RR_CLI_GO_ON) {
        return code;
    }
    rr_diag diag = {0};
    rr_cli_on_interrupt(on_interrupt, NULL);
    const rr_status status = quantize(&request, &diag);
    return status == RR_OK ? RR_EXIT_OK : rr_cli_fail(status, &diag);
}
