/* `rearank rank`: the main job, from a query and passages to a ranking with its reasoning. */
#include <string.h>

#include "runtime/base/file.h"
#include "tools/keep.h"
#include "tools/rank_view.h"
#include "tools/ranking.h"

typedef struct rank_options {
    rr_ranking_input input;
    rr_ranking_output output;
    rr_cli_engine engine;
    rr_keep keep;
    uint32_t max_tokens;
    float temperature, top_p;
    uint64_t seed;
    const char *log_path;
} rank_options;

/* A run in progress. */
typedef struct rank_job {
    rank_options *options;
    rr_engine *engine;
    rr_session *session;
    rr_model_responder model;
    rr_responder responder;
    rr_rank_view view;
    rr_buf log;
    size_t n_done; /* queries */
} rank_job;

static void cancel(void *user) {
    rr_session_cancel(user);
}

/* Opens model and device when there is anything to ask that is not kept from before. */
static rr_status open_model(rank_job *job, rr_diag *diag) {
    rank_options *options = job->options;
    options->output.run.model = options->keep.model_name;
    options->output.run.device = options->keep.device_name;
    if (rr_keep_n_windows(&options->keep, &options->input) == 0) {
        return RR_OK;
    }
    RR_TRY(rr_cli_engine_ready(&options->engine, diag));
    RR_TRY(rr_engine_open(&options->engine.params, &job->engine, diag));
    RR_TRY(rr_session_create(job->engine, &job->session, diag));
    job->model = (rr_model_responder){
        .engine = job->engine,
        .session = job->session,
        .style = options->input.params.style,
        .max_tokens = options->max_tokens,
        .temperature = options->temperature,
        .top_p = options->top_p,
        .seed = options->seed,
        .events = rr_rank_view_events(&job->view),
    };
    RR_TRY(rr_model_responder_make(&job->model, &job->responder, diag));
    options->output.run.model = rr_engine_model(job->engine)->name;
    options->output.run.device = rr_engine_device(job->engine)->name;
    rr_cli_on_interrupt(cancel, job->session);
    return RR_OK;
}

static rr_status rank_query(rank_job *job, const rr_query *query, rr_diag *diag) {
    rr_rank_params params = job->options->input.params;
    params.on_window = rr_rank_view_window_done;
    params.user = &job->view;
    rr_ranking ranking;
    bool found;
    RR_TRY(rr_keep_find(&job->options->keep, query, &ranking, &found, diag));
    if (!found) {
        RR_TRY(rr_rank(query, &params, &job->responder, &ranking, diag));
    }
    rr_rank_view_hide(&job->view);
    rr_status status = rr_keep_store(&job->options->keep, query, &ranking, found, diag);
    if (status == RR_OK) {
        status = rr_ranking_output_add(&job->options->output, query, &ranking, diag);
    }
    if (status == RR_OK && job->options->log_path != NULL) {
        status = rr_run_record(query, &ranking, &job->log, diag);
    }
    rr_ranking_destroy(&ranking);
    job->n_done += status == RR_OK;
    return status;
}

static rr_status rank_all(rank_job *job, rr_diag *diag) {
    const rr_ranking_input *input = &job->options->input;
    if (job->options->log_path != NULL) {
        RR_TRY(rr_file_out_check(job->options->log_path, diag));
    }
    RR_TRY(rr_ranking_output_begin(&job->options->output, input, diag));
    RR_TRY(rr_keep_open(&job->options->keep, input, &job->options->engine, job->options->output.path, diag));
    RR_TRY(open_model(job, diag));
    rr_rank_view_start(&job->view, rr_keep_n_windows(&job->options->keep, input), input->candidates.n);
    for (size_t i = 0; i < input->candidates.n && !rr_out_failed(); i++) {
        rr_rank_view_query(&job->view, i);
        RR_TRY(rank_query(job, &input->candidates.queries[i], diag));
    }
    return rr_ranking_output_end(&job->options->output, diag);
}

/* The log keeps the queries that were finished, whatever became of the rest. */
static rr_status write_log(const rank_job *job, rr_diag *diag) {
    if (job->options->log_path == NULL || job->n_done == 0) {
        return RR_OK;
    }
    return rr_file_write_atomic(job->options->log_path, job->log.data, job->log.bytes, diag);
}

/* Standard output keeps them too: a JSON list that was begun gets its end. */
static void end_early(rank_job *job) {
    rr_diag diag;
    if (job->options->output.path == NULL && job->n_done > 0) {
        (void)rr_ranking_output_end(&job->options->output, &diag); /* there is a failure to tell already */
    }
}

static int rank(rank_options *options) {
    rank_job job = {.options = options};
    rr_diag diag = {0}, log_diag = {0};
    rr_status status = rank_all(&job, &diag);
    rr_rank_view_finish(&job.view);
    rr_status log_status = write_log(&job, &log_diag);
    int code = RR_EXIT_OK;
    if (status == RR_E_CANCELLED) {
        rr_cli_error("interrupted: %zu of %zu queries are done", job.n_done, options->input.candidates.n);
    }
    if (status != RR_OK) {
        end_early(&job);
        code = rr_cli_fail(status, &diag);
    }
    if (log_status != RR_OK) {
        int log_code = rr_cli_fail(log_status, &log_diag);
        code = code == RR_EXIT_OK ? log_code : code;
    }
    if (code == RR_EXIT_OK && !rr_out_failed()) { /* output and log are whole */
        status = rr_keep_finish(&options->keep, &diag);
        code = status == RR_OK ? RR_EXIT_OK : rr_cli_fail(status, &diag);
    } else {
        rr_keep_tell(&options->keep);
    }
    rr_cli_on_interrupt(NULL, NULL);
    rr_session_destroy(&job.session);
    rr_engine_close(&job.engine);
    rr_buf_destroy(&job.log);
    return code;
}

int rr_verb_rank(int argc, char **argv) {
    rank_options options = {.max_tokens = RR_RESPONDER_MAX_TOKENS};
    const rr_opt generation[] = {
        {.name = "max-tokens", .kind = RR_OPT_U32, .target = &options.max_tokens, .value = "N",
         .help = "tokens a window may take before its answer is finished by force (default 2048)", .min = 1, .max = 1 << 20},
        {.name = "temperature", .kind = RR_OPT_FLOAT, .target = &options.temperature, .value = "T",
         .help = "0 = always the likeliest token (default)", .min = 0, .max = 10},
        {.name = "top-p", .kind = RR_OPT_FLOAT, .target = &options.top_p, .value = "P",
         .help = "with a temperature: draw from the likeliest tokens that hold this share", .min = 0, .max = 1},
        {.name = "seed", .kind = RR_OPT_U64, .target = &options.seed, .value = "N",
         .help = "with a temperature: same seed, same answers (default 0)"},
        {.name = "log", .kind = RR_OPT_TEXT, .target = &options.log_path, .value = "FILE",
         .help = "write the answers there, for `rearank replay`"},
    };
    const rr_opt_group what = rr_ranking_input_group(&options.input, true);
    const rr_cli_spec spec = {
        .synopsis = "-q QUERY [FILE...|-] | --candidates FILE | --run FILE --corpus FILE --queries FILE",
        .about = "Ranks passages for a query: a model reads them window by window, reasons, and orders them.\n"
                 "One file or standard input holds a passage a line, or JSON Lines {\"text\", \"title\"?, \"id\"?};\n"
                 "of several files each is a passage.",
        .notes = "Scores only say the order: a ranking by comparison has no calibrated relevance.\n"
                 "While it works, a terminal shows the reasoning; rankings go to standard output.",
        .max_args = SIZE_MAX,
        .groups = {what, rr_source_group(&options.input.source),
                   {"Generation", generation, sizeof generation / sizeof generation[0]},
                   rr_ranking_output_group(&options.output),
                   rr_keep_group(&options.keep),
                   rr_cli_engine_group(&options.engine)},
    };
    rr_cli_args args;
    int code = rr_cli_parse(&spec, argc, argv, &args);
    if (code == RR_CLI_GO_ON && options.log_path != NULL && options.output.path != NULL &&
        rr_file_same(options.log_path, options.output.path)) {
        code = rr_cli_usage_error("--output and --log name the same file: %s", options.log_path);
    }
    if (code == RR_CLI_GO_ON) {
        code = rr_keep_check(&options.keep, &spec, options.output.path, options.log_path);
    }
    if (code == RR_CLI_GO_ON) {
        code = rr_ranking_input_read(&options.input, &args);
    }
    if (code == RR_CLI_GO_ON) {
        code = rank(&options);
    }
    rr_keep_release(&options.keep);
    rr_cli_engine_release(&options.engine);
    rr_ranking_input_release(&options.input);
    rr_ranking_output_release(&options.output);
    return code;
}
