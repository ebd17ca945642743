#include "tools/keep.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "rerank/data/digest.h"
#include "runtime/base/file.h"
#include "runtime/base/folder.h"
#include "runtime/base/log.h"

rr_opt_group rr_keep_group(rr_keep *keep) {
    memset(keep, 0, sizeof *keep);
    const rr_opt options[] = {
        {.name = "resume",
            .kind = RR_OPT_FLAG,
            .target = &keep->resume,
            .help =
                "go on with a run that was stopped or killed; its finished queries are not ranked again, those that met a --deadline are"},
        {.name = "journal",
            .kind = RR_OPT_TEXT,
            .target = &keep->journal_path,
            .value = "FILE",
            .help =
                "keep finished queries there until the output is whole (default: OUTPUT.journal for many queries with -o)"},
        {.name = "cache",
            .kind = RR_OPT_TEXT,
            .target = &keep->cache_folder,
            .value = "FOLDER",
            .help =
                "keep rankings there for good, by model, query, passages and options, and look there first"},
    };
    _Static_assert(sizeof options <= sizeof keep->options, "rr_keep.options is too small");
    memcpy(keep->options, options, sizeof options);
    return (rr_opt_group){"Never lose work", keep->options, sizeof options / sizeof options[0]};
}

int rr_keep_check(rr_keep *keep, const rr_cli_spec *spec, const char *output_path) {
    keep->spec = spec;
    return keep->resume && keep->journal_path == NULL && output_path == NULL
        ? rr_cli_usage_error(
              "--resume needs the --output FILE or --journal FILE of the run that was stopped")
        : RR_CLI_GO_ON;
}

/* NULL without a name to put it beside, or memory. */
static const char *journal_beside(rr_keep *keep, const char *output_path) {
    rr_buf path = {0};
    if (output_path != NULL) {
        rr_buf_printf(&path, "%s.journal", output_path);
    }
    const char *copy = path.failed || path.data == NULL
        ? NULL
        : rr_arena_copy(&keep->arena, path.data, path.bytes);
    rr_buf_destroy(&path);
    return copy;
}

void rr_keep_files(rr_keep *keep, const char *output_path, rr_cli_files *files) {
    const char *beside = keep->journal_path == NULL ? journal_beside(keep, output_path) : NULL;
    files->failed =
        files->failed || (keep->journal_path == NULL && output_path != NULL && beside == NULL);
    rr_cli_writes(files, "--journal", keep->journal_path);
    rr_cli_writes(files, "the output's journal", beside);
}

/* Facts */

/* Options that change no ranking, and those that add_facts gives in another form. */
static const char *const idle[] = {
    /* what is ranked */
    "query",
    "candidates",
    "run",
    "corpus",
    "queries",
    "data",
    "limit-queries",
    "skip-missing",
    /* how it is written and made */
    "format",
    "output",
    "explain",
    "explain-all",
    "report",
    "log",
    "journal",
    "resume",
    "cache",
    "jobs",
    "no-drafts",
    "draft-model",
    "plain",
    "no-packed-cache",
    /* with the model */
    "quantize",
    "adapter",
    /* late rankings are not kept */
    "deadline",
    /* the same bits */
    "validation",
    "chunk",
    /* given apart */
    "model",
    "device",
    "window",
    "step",
    "depth",
    "no-think",
    "readout",
};

static bool is_idle(const char *name) {
    for (size_t i = 0; i < sizeof idle / sizeof idle[0]; i++) {
        if (strcmp(idle[i], name) == 0) {
            return true;
        }
    }
    return false;
}

static rr_status add_fact(rr_keep *keep, const char *name, rr_buf *value, rr_diag *diag) {
    const char *copy = value->failed
        ? NULL
        : rr_arena_copy(&keep->arena, value->data != NULL ? value->data : "", value->bytes);
    rr_buf_clear(value);
    if (copy == NULL) {
        return rr_fail(diag, RR_E_MEMORY, "out of memory");
    }
    if (keep->n_facts == RR_KEEP_FACTS) {
        return rr_fail(diag, RR_E_INTERNAL, "more than %d options", RR_KEEP_FACTS);
    }
    keep->facts[keep->n_facts++] = (rr_journal_fact){name, copy};
    return RR_OK;
}

static void print_value(const rr_opt *opt, rr_buf *out) {
    switch (opt->kind) {
    case RR_OPT_FLAG:
        rr_buf_text(out, *(const bool *)opt->target ? "yes" : "no");
        break;
    case RR_OPT_INT:
        rr_buf_printf(out, "%" PRId64, *(const int64_t *)opt->target);
        break;
    case RR_OPT_U32:
        rr_buf_printf(out, "%" PRIu32, *(const uint32_t *)opt->target);
        break;
    case RR_OPT_U64:
    case RR_OPT_SIZE:
        rr_buf_printf(out, "%" PRIu64, *(const uint64_t *)opt->target);
        break;
    case RR_OPT_FLOAT:
        rr_buf_printf(out, "%.9g", (double)*(const float *)opt->target);
        break;
    case RR_OPT_CHOICE:
        rr_buf_printf(out, "%d", *(const int *)opt->target);
        break;
    case RR_OPT_TEXT: {
        const char *text = *(const char *const *)opt->target;
        rr_buf_text(out, text != NULL ? text : "not given");
        break;
    }
    case RR_OPT_LIST: {
        const rr_cli_list *list = opt->target;
        for (size_t i = 0; i < list->n; i++) {
            rr_buf_printf(out, "%s%s", i > 0 ? "," : "", list->items[i]);
        }
        break;
    }
    }
}

static rr_status add_options(rr_keep *keep, rr_buf *value, rr_diag *diag) {
    for (size_t g = 0; g < RR_CLI_GROUPS; g++) {
        const rr_opt_group *group = &keep->spec->groups[g];
        for (size_t i = 0; i < group->n; i++) {
            if (!is_idle(group->options[i].name)) {
                print_value(&group->options[i], value);
                RR_TRY(add_fact(keep, group->options[i].name, value, diag));
            }
        }
    }
    return RR_OK;
}

static rr_status add_machine(rr_keep *keep, rr_cli_engine *engine, rr_buf *value, rr_diag *diag) {
    rr_model *model = NULL;
    rr_buf graph = {0};
    RR_TRY(rr_cli_engine_ready(engine, diag));
    rr_status status = rr_compute_open_model(&engine->params.compute, &model, diag);
    RR_TRY_GOTO(status);
    keep->model_name = rr_arena_copy(&keep->arena, model->name, strlen(model->name));
    rr_buf_printf(value, "%s ", model->name);
    RR_TRY_GOTO(rr_digest_model(model->source, value, diag));
    if (engine->params.compute.quantize != NULL) {
        rr_buf_printf(value, " as %s", engine->params.compute.quantize);
    }
    if (model->adapters != NULL) {
        rr_buf_printf(value, " with adapters %016llx",
            (unsigned long long)rr_adapter_set_digest(model->adapters));
    }
    RR_TRY_GOTO(add_fact(keep, "model", value, diag));
    RR_TRY_GOTO(rr_cli_engine_device(&engine->params, model, value, &graph, diag));
    keep->device_name = rr_arena_copy(&keep->arena, value->data, value->bytes);
    RR_TRY_GOTO(add_fact(keep, "device", value, diag));
    RR_TRY_GOTO(add_fact(keep, "graph", &graph, diag));
    if (keep->model_name == NULL || keep->device_name == NULL) {
        status = rr_fail(diag, RR_E_MEMORY, "out of memory");
    }
fail:
    rr_buf_destroy(&graph);
    rr_model_close(&model);
    return status;
}

static rr_status add_facts(
    rr_keep *keep, const rr_ranking_input *input, rr_cli_engine *engine, rr_diag *diag) {
    rr_buf value = {0};
    rr_status status = RR_OK;
    rr_buf_text(&value, REARANK_VERSION);
    RR_TRY_GOTO(add_fact(keep, "version", &value, diag));
    RR_TRY_GOTO(add_machine(keep, engine, &value, diag));
    RR_TRY_GOTO(rr_prompt_fact(input->params.style, &value, diag));
    RR_TRY_GOTO(add_fact(keep, "prompt", &value, diag));
    rr_buf_text(&value, keep->way != NULL ? keep->way : "not chosen");
    RR_TRY_GOTO(add_fact(keep, "way", &value, diag));
    rr_buf_text(&value, getenv("REARANK_CAPS") != NULL ? getenv("REARANK_CAPS") : "not given");
    RR_TRY_GOTO(add_fact(keep, "REARANK_CAPS", &value, diag));
    rr_buf_printf(&value, "%zu", input->params.window);
    RR_TRY_GOTO(add_fact(keep, "window", &value, diag));
    rr_buf_printf(&value, "%zu", input->params.step);
    RR_TRY_GOTO(add_fact(keep, "step", &value, diag));
    rr_buf_printf(&value, "%zu", input->params.depth);
    RR_TRY_GOTO(add_fact(keep, "depth", &value, diag));
    RR_TRY_GOTO(add_options(keep, &value, diag));
fail:
    rr_buf_destroy(&value);
    return status;
}

/* Opening */

/* The journal of many queries that go to a file lies beside it. */
static rr_status choose_journal(
    rr_keep *keep, const rr_ranking_input *input, const char *output_path, rr_diag *diag) {
    const rr_file_kind kind = output_path != NULL ? rr_file_look(output_path, NULL) : RR_FILE_OTHER;
    bool to_file = kind == RR_FILE_NONE || kind == RR_FILE_REGULAR;
    if (keep->journal_path != NULL || !to_file || (!input->many && !keep->resume)) {
        return RR_OK;
    }
    keep->journal_path = journal_beside(keep, output_path);
    return keep->journal_path != NULL ? RR_OK : rr_fail(diag, RR_E_MEMORY, "out of memory");
}

static rr_status open_cache(rr_keep *keep, rr_diag *diag) {
    rr_buf path = {0};
    rr_status status = rr_folder_make(keep->cache_folder, diag);
    rr_buf_printf(&path, "%s/rankings.sqlite", keep->cache_folder);
    if (status == RR_OK && path.failed) {
        status = rr_fail(diag, RR_E_MEMORY, "out of memory");
    }
    if (status == RR_OK) {
        const rr_journal_params params = {
            .path = path.data, .facts = keep->facts, .n_facts = keep->n_facts};
        status = rr_journal_open_cache(&params, &keep->cache, diag);
    }
    rr_buf_destroy(&path);
    return status;
}

/* A damaged ranking is as none: it is made and kept again. */
static rr_status look_into_cache(rr_keep *keep, const rr_query *query, bool *kept, rr_diag *diag) {
    rr_ranking ranking;
    rr_status status = rr_journal_find(keep->cache, query, &ranking, kept, diag);
    rr_ranking_destroy(&ranking);
    if (status == RR_E_INPUT) {
        rr_log(RR_LOG_WARN, "%s: ranked again", diag->text);
        *kept = false;
        status = RR_OK;
    }
    return status;
}

/* Which queries are there already. */
static rr_status look_for_kept(rr_keep *keep, const rr_candidates *candidates, rr_diag *diag) {
    keep->is_kept = calloc(candidates->n + 1, sizeof *keep->is_kept);
    if (keep->is_kept == NULL) {
        return rr_fail(diag, RR_E_MEMORY, "out of memory");
    }
    size_t n_kept = 0;
    for (size_t i = 0; i < candidates->n; i++) {
        bool *kept = &keep->is_kept[i];
        if (keep->journal != NULL) {
            RR_TRY(rr_journal_has(keep->journal, &candidates->queries[i], kept, diag));
        }
        if (keep->cache != NULL && !*kept) {
            RR_TRY(look_into_cache(keep, &candidates->queries[i], kept, diag));
        }
        n_kept += *kept;
    }
    if (n_kept > 0) {
        rr_log(RR_LOG_INFO, "%zu of %zu queries are ranked already", n_kept, candidates->n);
    }
    return RR_OK;
}

rr_status rr_keep_open(rr_keep *keep, const rr_ranking_input *input, rr_cli_engine *engine,
    const char *output_path, rr_diag *diag) {
    RR_TRY(choose_journal(keep, input, output_path, diag));
    if ((keep->journal_path == NULL && keep->cache_folder == NULL) ||
        rr_ranking_input_n_windows(input, 0) == 0) {
        return RR_OK;
    }
    RR_TRY(add_facts(keep, input, engine, diag));
    if (keep->journal_path != NULL) {
        const rr_journal_params params = {
            .path = keep->journal_path,
            .facts = keep->facts,
            .n_facts = keep->n_facts,
            .queries = input->candidates.queries,
            .n_queries = input->candidates.n,
            .resume = keep->resume,
        };
        RR_TRY(rr_journal_open(&params, &keep->journal, diag));
        rr_buf hint = {0};
        rr_buf_printf(&hint,
            "rearank rank: ended at once; the same command%s goes on with what %s keeps\n",
            keep->resume ? "" : " with --resume", keep->journal_path);
        rr_cli_interrupt_hint(
            hint.failed ? NULL : rr_arena_copy(&keep->arena, hint.data, hint.bytes));
        rr_buf_destroy(&hint);
    }
    if (keep->cache_folder != NULL) {
        RR_TRY(open_cache(keep, diag));
    }
    return look_for_kept(keep, &input->candidates, diag);
}

size_t rr_keep_n_windows(const rr_keep *keep, const rr_ranking_input *input) {
    size_t n_windows = rr_ranking_input_n_windows(input, 0);
    rr_ranking_input up_to = *input;
    for (size_t i = 0; i < input->candidates.n && keep->is_kept != NULL; i++) {
        up_to.candidates.n = i + 1;
        n_windows -= keep->is_kept[i] ? rr_ranking_input_n_windows(&up_to, i) : 0;
    }
    return n_windows;
}

/* Rankings */

rr_status rr_keep_find(
    rr_keep *keep, const rr_query *query, rr_ranking *out, bool *found, rr_diag *diag) {
    *out = (rr_ranking){0};
    *found = false;
    if (keep->journal != NULL) {
        RR_TRY(rr_journal_find(keep->journal, query, out, found, diag));
    }
    if (*found || keep->cache == NULL) {
        return RR_OK;
    }
    RR_TRY(rr_journal_find(keep->cache, query, out, found, diag));
    rr_status status =
        *found && keep->journal != NULL ? rr_journal_store(keep->journal, query, out, diag) : RR_OK;
    if (status != RR_OK) {
        rr_ranking_destroy(out);
    }
    return status;
}

rr_status rr_keep_store(
    rr_keep *keep, const rr_query *query, const rr_ranking *ranking, rr_diag *diag) {
    if (rr_ranking_n_late(ranking) > 0) {
        keep->n_late++;
        return RR_OK;
    }
    if (keep->journal != NULL) {
        RR_TRY(rr_journal_store(keep->journal, query, ranking, diag));
    }
    return keep->cache != NULL ? rr_journal_store(keep->cache, query, ranking, diag) : RR_OK;
}

void rr_keep_tell(const rr_keep *keep, bool many_interrupted) {
    if (many_interrupted && keep->journal == NULL && keep->cache == NULL) {
        rr_cli_note(
            "nothing is kept: with --output FILE or --journal FILE a run that was stopped goes on with --resume");
    }
    if (keep->journal != NULL && rr_journal_n_kept(keep->journal) > 0) {
        rr_cli_error("finished queries that %s keeps: %zu; the same command%s goes on from there",
            keep->journal_path, rr_journal_n_kept(keep->journal),
            keep->resume ? "" : " with --resume");
    }
}

rr_status rr_keep_finish(rr_keep *keep, rr_diag *diag) {
    rr_cli_interrupt_hint(NULL);
    if (keep->n_late > 0) {
        if (keep->journal != NULL && rr_journal_n_kept(keep->journal) > 0) {
            rr_log(RR_LOG_WARN,
                "%s keeps the %zu queries that had time enough: the same command with --resume and another --deadline ranks "
                "the %zu others anew; remove it when they may stay as they are",
                keep->journal_path, rr_journal_n_kept(keep->journal), keep->n_late);
        }
        rr_journal_close(&keep->journal);
        return RR_OK;
    }
    return keep->journal != NULL ? rr_journal_finish(&keep->journal, diag) : RR_OK;
}

void rr_keep_release(rr_keep *keep) {
    rr_cli_interrupt_hint(NULL);
    rr_journal_close(&keep->journal);
    rr_journal_close(&keep->cache);
    rr_arena_destroy(&keep->arena);
    free(keep->is_kept);
    keep->is_kept = NULL;
}
