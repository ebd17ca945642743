/* `rearank rank`: the main job, from a query and passages to a ranking with its reasoning. */
#include <string.h>

#include "rerank/pool.h"
#include "runtime/base/file_out.h"
#include "runtime/base/log.h"
#include "tools/answering.h"
#include "tools/keep.h"
#include "tools/rank_view.h"
#include "tools/ranking.h"
#include "tools/tally.h"

/* For several queries, as far as the whole contexts of their sessions fit. */
enum { USUAL_JOBS = 4 };

typedef struct rank_options {
    rr_ranking_input input;
    rr_ranking_output output;
    rr_cli_engine engine;
    uint32_t jobs; /* 0 = not given */
    uint32_t kv_tokens;
    rr_answering answering;
    rr_keep keep;
    uint32_t max_tokens;
    float deadline_s; /* a query; 0 = none */
    float temperature, top_p;
    uint64_t seed;
    const char *log_path;
} rank_options;

/* A run in progress. */
typedef struct rank_job {
    rank_options *options;
    rr_pool *pool; /* NULL = there is nothing to ask */
    bool reader_gone;
    rr_rank_view view;
    rr_rank_counts counts;
    rr_tally tally;
    rr_buf log;
    size_t n_done; /* queries */
} rank_job;

static void cancel(void *user) {
    rr_pool_stop(((rank_job *)user)->pool);
}

/* From a worker's thread. */
static void tell_loss(void *user, const char *text) {
    rank_job *job = user;
    rr_rank_view_warn(&job->view, text);
}

/* Opens model and device when there is anything to ask. */
static rr_status open_pool(rank_job *job, rr_diag *diag) {
    rank_options *options = job->options;
    options->output.run.model = options->keep.model_name;
    options->output.run.device = options->keep.device_name;
    if (rr_keep_n_windows(&options->keep, &options->input) == 0) {
        return RR_OK;
    }
    RR_TRY(rr_cli_engine_ready(&options->engine, diag));
    const size_t n_queries = options->input.candidates.n;
    const uint32_t usual = n_queries < USUAL_JOBS ? (uint32_t)n_queries : USUAL_JOBS;
    rr_pool_params params = {
        .engine = options->engine.params,
        .draft_model_path = options->answering.draft_model,
        .n_workers = rr_answering_n_workers(&options->answering, options->jobs, usual),
        .may_be_fewer = options->jobs == 0,
        .one_on_caller = true,
        .on_loss = tell_loss,
        .user = job,
    };
    params.engine.kv_tokens = options->kv_tokens;
    RR_TRY(rr_pool_open(&params, &job->pool, diag));
    options->output.run.model = rr_pool_model_name(job->pool);
    options->output.run.device = rr_pool_device_name(job->pool);
    rr_cli_on_interrupt(cancel, job);
    return RR_OK;
}

static bool is_kept(void *user, size_t index) {
    const rank_job *job = user;
    return job->options->keep.is_kept != NULL && job->options->keep.is_kept[index];
}

static rr_status keep_ranking(void *user, size_t index, const rr_ranking *ranking, rr_diag *diag) {
    rank_job *job = user;
    return rr_keep_store(
        &job->options->keep, &job->options->input.candidates.queries[index], ranking, diag);
}

static rr_status take_ranking(void *user, size_t index, rr_ranking *ranking, rr_diag *diag) {
    rank_job *job = user;
    const rr_query *query = &job->options->input.candidates.queries[index];
    if (is_kept(job, index)) {
        bool found;
        RR_TRY(rr_keep_find(&job->options->keep, query, ranking, &found, diag));
        if (!found) {
            return rr_fail(diag, RR_E_INPUT,
                "query \"%.100s\": its kept ranking is gone, somebody took it out; run this again",
                query->qid);
        }
    }
    size_t n_late = rr_ranking_n_late(ranking);
    rr_rank_view_hide(&job->view);
    rr_tally_add(&job->tally, ranking);
    if (n_late > 0) {
        rr_log(RR_LOG_INFO,
            "query \"%.100s\" met its deadline: of %zu windows %zu stay as they were", query->qid,
            ranking->n_windows, n_late);
    }
    rr_status status = rr_ranking_output_add(&job->options->output, query, ranking, diag);
    if (status == RR_OK && job->options->log_path != NULL) {
        status = rr_run_record(query, ranking, &job->log, diag);
    }
    job->n_done += status == RR_OK;
    rr_rank_view_query_done(&job->view);
    job->reader_gone = rr_out_failed();
    return status == RR_OK && job->reader_gone ? rr_fail(diag, RR_E_IO, "nobody reads") : status;
}

/* What working ahead was worth, and what came of the windows. */
static void tell_counts(const rank_job *job, size_t n_workers) {
    const rr_rank_counts *counts = &job->counts;
    const rr_tally *tally = &job->tally;
    rr_log(RR_LOG_INFO,
        "%llu windows with %zu jobs in %.1f s: %llu prompt tokens, of which %llu reused and %llu shared with "
        "other jobs; computed %llu when their window was next, %llu while the answer before was written; %llu ahead of %llu windows; "
        "%llu tokens generated",
        (unsigned long long)counts->n_windows, n_workers, (double)counts->time_ns * 1e-9,
        (unsigned long long)counts->prompt_tokens, (unsigned long long)counts->reused_tokens,
        (unsigned long long)counts->shared_tokens, (unsigned long long)counts->critical_tokens,
        (unsigned long long)counts->early_tokens, (unsigned long long)counts->ahead_tokens,
        (unsigned long long)counts->n_prepared, (unsigned long long)counts->generated_tokens);
    rr_log(RR_LOG_INFO, "%llu windows begun early, %llu done again (%llu tokens lost)",
        (unsigned long long)counts->n_early, (unsigned long long)counts->n_redone,
        (unsigned long long)counts->lost_tokens);
    rr_log(RR_LOG_INFO,
        "of %zu windows %zu changed the order shown (%zu turned it round), %zu repeated it, %zu are late",
        tally->n_windows, tally->n_moved, tally->n_mirrors, tally->n_echoes, tally->n_late);
    if (job->pool != NULL) {
        rr_pool_stats stats;
        rr_pool_stats_get(job->pool, &stats);
        rr_log(RR_LOG_INFO,
            "%llu passes over the model: %llu with prompt tokens, %llu with tokens of answers (%llu rows)",
            (unsigned long long)stats.engine.n_passes,
            (unsigned long long)stats.engine.n_prompt_passes,
            (unsigned long long)stats.engine.n_decode_passes,
            (unsigned long long)stats.engine.decode_rows);
        const rr_memory_plan *plan = rr_pool_plan(job->pool);
        if (plan->is_short) {
            rr_log(RR_LOG_INFO,
                "room for %llu tokens instead of %llu: windows wait for each other, nothing is begun ahead",
                (unsigned long long)plan->kv_tokens,
                (unsigned long long)plan->compute.limits.n_context * plan->n_sessions);
        }
    }
}

static rr_status check_queries(const rr_ranking_input *input, rr_diag *diag) {
    rr_schedule_params schedule = rr_rank_schedule(&input->params);
    for (size_t i = 0; i < input->candidates.n; i++) {
        RR_TRY(rr_schedule_check(
            &schedule, rr_rank_n(&input->candidates.queries[i], &input->params), diag));
    }
    return RR_OK;
}

/* How windows are ranked, and what that asks of prompts and engine; nothing where there is none. */
static rr_status choose_way(rank_options *options, rr_diag *diag) {
    rr_answering *answering = &options->answering;
    rr_rank_params *params = &options->input.params;
    if (rr_ranking_input_n_windows(&options->input, 0) == 0) {
        return RR_OK;
    }
    RR_TRY(rr_cli_engine_ready(&options->engine, diag));
    answering->no_think = params->style != RR_PROMPT_REARANK;
    RR_TRY(rr_answering_decide(answering, &options->engine.params.compute, diag));
    if (answering->mode == RR_ANSWER_READ) {
        if (params->style != RR_PROMPT_REARANK) {
            return rr_fail(diag, RR_E_USAGE,
                "--no-think is another prompt than the one that is read: leave it out, or add --score-mode answer");
        }
        params->passage_chars = answering->passage_chars != 0
            ? answering->passage_chars
            : answering->readout.form.passage_chars;
        options->engine.params.compute.readings = true;
        params->then_reason = answering->then_reason;
        rr_schedule_params schedule = rr_rank_schedule(params);
        RR_TRY(rr_schedule_check(&schedule, 0, diag));
    }
    options->keep.way = answering->fact;
    options->output.run.way = rr_answering_way(answering);
    return RR_OK;
}

/* Ranks what is not kept from an earlier run; where all is, nobody is asked. */
static rr_status execute(rank_job *job, rr_diag *diag) {
    const rank_options *options = job->options;
    const rr_ranking_input *input = &options->input;
    const rr_worker nobody = {0};
    rr_execute_params list = {
        .queries = input->candidates.queries,
        .n_queries = input->candidates.n,
        .rank = input->params,
        .workers = &nobody,
        .n_workers = 1,
        .is_known = is_kept,
        .on_finished = keep_ranking,
        .on_ranking = take_ranking,
        .user = job,
        .counts = &job->counts,
    };
    list.rank.on_window = rr_rank_view_window_done;
    list.rank.user = &job->view;
    rr_pool_query how = {
        .answer = {.max_tokens = options->max_tokens,
            .temperature = options->temperature,
            .top_p = options->top_p,
            .seed = options->seed},
        .events = rr_rank_view_events(&job->view),
    };
    rr_answering_apply(&options->answering, &how.answer);
    return job->pool != NULL ? rr_pool_execute(job->pool, &list, &how, diag)
                             : rr_execute(&list, diag);
}

static rr_status rank_all(rank_job *job, rr_diag *diag) {
    const rr_ranking_input *input = &job->options->input;
    RR_TRY(check_queries(input, diag));
    if (job->options->log_path != NULL) {
        RR_TRY(rr_file_out_check(job->options->log_path, diag));
    }
    RR_TRY(choose_way(job->options, diag));
    RR_TRY(rr_ranking_output_begin(&job->options->output, input, diag));
    RR_TRY(rr_keep_open(
        &job->options->keep, input, &job->options->engine, job->options->output.path, diag));
    RR_TRY(open_pool(job, diag));
    const size_t n_workers = job->pool != NULL ? rr_pool_n_workers(job->pool) : 1;
    rr_rank_view_start(&job->view, input->candidates.queries, input->candidates.n,
        rr_keep_n_windows(&job->options->keep, input), n_workers);
    const rr_status status = execute(job, diag);
    rr_rank_view_finish(&job->view);
    tell_counts(job, n_workers);
    RR_TRY(job->reader_gone ? RR_OK : status); /* main tells of a failed write */
    if (!job->reader_gone) {
        rr_tally_tell(&job->tally, (double)job->options->deadline_s,
            job->options->answering.mode == RR_ANSWER_LOGITS);
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
        /* there is a failure to tell already */
        (void)rr_ranking_output_end(&job->options->output, &diag);
    }
}

static int rank(rank_options *options) {
    rank_job job = {.options = options};
    rr_diag diag = {0}, log_diag = {0};
    rr_status status = rank_all(&job, &diag);
    rr_status log_status = write_log(&job, &log_diag);
    int code = RR_EXIT_OK;
    if (status == RR_E_CANCELLED) {
        rr_cli_error(
            "interrupted: %zu of %zu queries are done", job.n_done, options->input.candidates.n);
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
        rr_keep_tell(&options->keep, status == RR_E_CANCELLED && options->input.many);
    }
    rr_cli_on_interrupt(NULL, NULL);
    rr_pool_close(&job.pool);
    rr_buf_destroy(&job.log);
    return code;
}

static int check_files(rank_options *options, const rr_cli_args *args) {
    rr_cli_files files = {0};
    rr_keep_files(&options->keep, options->output.path, &files);
    rr_ranking_output_files(&options->output, &files);
    rr_cli_writes(&files, "--log", options->log_path);
    rr_ranking_input_files(&options->input, args, &files);
    rr_cli_reads(&files, "--readout", options->answering.readout_path);
    rr_cli_reads(&files, "--draft-model", options->answering.draft_model);
    rr_cli_engine_files(&options->engine, &files);
    return rr_cli_files_check(&files);
}

int rr_verb_rank(int argc, char **argv) {
    rank_options options = {.max_tokens = RR_RESPONDER_MAX_TOKENS};
    const rr_opt generation[] = {
        {.name = "jobs",
            .letter = 'j',
            .kind = RR_OPT_U32,
            .target = &options.jobs,
            .value = "N",
            .help =
                "windows at once, of the same query or of several; where memory is short they wait for each other; the rankings "
                "are the same (default 1 for one query, for several up to 4, as far as memory goes)",
            .min = 1,
            .max = RR_POOL_WORKERS},
        {.name = "kv-tokens",
            .kind = RR_OPT_U32,
            .target = &options.kv_tokens,
            .value = "N",
            .help =
                "tokens of prompts and answers whose keys and values are kept on the device, of all jobs together, at least "
                "--context (default: what the jobs can fill; with --jobs as much of it as memory allows)",
            .min = 1,
            .max = UINT32_MAX - 1},
        {.name = "max-tokens",
            .kind = RR_OPT_U32,
            .target = &options.max_tokens,
            .value = "N",
            .help =
                "tokens a window may take before its answer is finished by force (default 2048)",
            .min = 1,
            .max = 1 << 20},
        {.name = "deadline",
            .kind = RR_OPT_FLOAT,
            .target = &options.deadline_s,
            .value = "SECONDS",
            .help =
                "time each query may take from its first window on; what is not ranked by then keeps its order and is flagged late "
                "(default 0 = any)",
            .min = 0,
            .max = 1e9},
        {.name = "temperature",
            .kind = RR_OPT_FLOAT,
            .target = &options.temperature,
            .value = "T",
            .help = "0 = always the likeliest token (default)",
            .min = 0,
            .max = 10},
        {.name = "top-p",
            .kind = RR_OPT_FLOAT,
            .target = &options.top_p,
            .value = "P",
            .help = "with a temperature: draw from the likeliest tokens that hold this share",
            .min = 0,
            .max = 1},
        {.name = "seed",
            .kind = RR_OPT_U64,
            .target = &options.seed,
            .value = "N",
            .help = "with a temperature: same seed, same answers (default 0)"},
        {.name = "log",
            .kind = RR_OPT_TEXT,
            .target = &options.log_path,
            .value = "FILE",
            .help = "write the answers there, for `rearank replay`"},
    };
    const rr_opt_group what = rr_ranking_input_group(&options.input, true);
    const rr_cli_spec spec = {
        .synopsis =
            "-q QUERY [FILE...|-] | --candidates FILE | --run FILE --corpus FILE --queries FILE",
        .about =
            "Ranks passages for a query: a model reads them window by window, reasons, and orders them.\n"
            "One file or standard input holds a passage a line, JSON Lines {\"text\", \"title\"?, \"id\"?} or one\n"
            "JSON array of such objects; of several files each is a passage. Inputs may be packed with gzip.",
        .notes =
            "Scores only say the order: a ranking by comparison has no calibrated relevance.\n"
            "While it works, a terminal shows the reasoning, with several jobs their progress; rankings go to\n"
            "standard output. -v tells what working ahead saved.",
        .max_args = SIZE_MAX,
        .groups = {what, rr_source_group(&options.input.source),
            rr_answering_group(&options.answering),
            {"Generation", generation, sizeof generation / sizeof generation[0]},
            rr_ranking_output_group(&options.output), rr_keep_group(&options.keep),
            rr_cli_engine_group(&options.engine)},
    };
    rr_cli_args args;
    int code = rr_cli_parse(&spec, argc, argv, &args);
    if (code == RR_CLI_GO_ON) {
        code = rr_keep_check(&options.keep, &spec, options.output.path);
    }
    if (code == RR_CLI_GO_ON) {
        code = rr_answering_check(&options.answering, options.temperature, options.jobs);
    }
    if (code == RR_CLI_GO_ON) {
        code = rr_ranking_input_read(&options.input, &args);
    }
    if (code == RR_CLI_GO_ON) {
        code = check_files(&options, &args);
    }
    if (code == RR_CLI_GO_ON) {
        options.input.params.deadline_after_ns = rr_rank_deadline((double)options.deadline_s);
        code = rank(&options);
    }
    rr_keep_release(&options.keep);
    rr_answering_release(&options.answering);
    rr_cli_engine_release(&options.engine);
    rr_ranking_input_release(&options.input);
    rr_ranking_output_release(&options.output);
    return code;
}
