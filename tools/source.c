#include "tools/source.h"

#include <string.h>

#include "runtime/base/log.h"

rr_opt_group rr_source_group(rr_source *source) {
    memset(source, 0, sizeof *source);
    const rr_opt options[] = {
        {.name = "run",
            .kind = RR_OPT_TEXT,
            .target = &source->run,
            .value = "FILE",
            .help =
                "rank what a run found, by score, ties as in the file: \"qid Q0 docid rank score tag\", or another form that `rearank "
                "eval` reads"},
        {.name = "corpus",
            .kind = RR_OPT_LIST,
            .target = &source->corpora,
            .value = "FILE",
            .help =
                "its passages: BEIR's corpus.jsonl, BRIGHT's documents, id<tab>text, or a folder; again for more files. Of an id that "
                "comes again in a file the last text counts"},
        {.name = "queries",
            .kind = RR_OPT_TEXT,
            .target = &source->queries,
            .value = "FILE",
            .help =
                "its queries: BEIR's queries.jsonl, BRIGHT's examples, qid<tab>query, or a folder"},
        {.name = "data",
            .kind = RR_OPT_TEXT,
            .target = &source->data,
            .value = "FOLDER",
            .help =
                "a folder with all of them: run.trec or bm25.trec, corpus.jsonl, queries.jsonl, ... (docs/data.md)"},
        {.name = "limit-queries",
            .kind = RR_OPT_U32,
            .target = &source->limit,
            .value = "N",
            .help = "only the first N queries",
            .min = 1,
            .max = UINT32_MAX},
        {.name = "skip-missing",
            .kind = RR_OPT_FLAG,
            .target = &source->skip_missing,
            .help =
                "leave out what the corpus or the queries lack, and passages whose text is null, instead of stopping"},
    };
    _Static_assert(sizeof options <= sizeof source->options, "rr_source.options is too small");
    memcpy(source->options, options, sizeof options);
    return (rr_opt_group){"Data sets", source->options, sizeof options / sizeof options[0]};
}

bool rr_source_given(const rr_source *source) {
    return source->data != NULL || source->run != NULL || source->queries != NULL ||
        source->corpora.n > 0;
}

static rr_status missing_part(
    const char *folder, rr_dataset_part part, const char *option, rr_diag *diag) {
    rr_buf names = {0};
    rr_dataset_names(part, &names);
    rr_status status = rr_fail(diag, RR_E_INPUT, "%s: found none of %s; --%s FILE names one",
        folder, names.data != NULL ? names.data : "", option);
    rr_buf_destroy(&names);
    return status;
}

/* A folder that was named as the corpus or the queries stands for its file. */
static rr_status look_into(const char **path, rr_dataset *folder, rr_dataset_part part,
    const char *option, rr_diag *diag) {
    if (!rr_dataset_is_folder(*path)) {
        return RR_OK;
    }
    RR_TRY(rr_dataset_find(*path, folder, diag));
    const char *found = part == RR_DATASET_CORPUS ? folder->corpus : folder->queries;
    if (found == NULL) {
        return missing_part(*path, part, option, diag);
    }
    *path = found;
    return RR_OK;
}

/* Fills in what only --data names. */
static rr_status resolve(rr_source *source, rr_diag *diag) {
    if (source->data != NULL) {
        RR_TRY(rr_dataset_find(source->data, &source->folder, diag));
        if (source->run == NULL && source->folder.run == NULL) {
            return missing_part(source->data, RR_DATASET_RUN, "run", diag);
        }
        if (source->corpora.n == 0 && source->folder.corpus == NULL) {
            return missing_part(source->data, RR_DATASET_CORPUS, "corpus", diag);
        }
        if (source->queries == NULL && source->folder.queries == NULL) {
            return missing_part(source->data, RR_DATASET_QUERIES, "queries", diag);
        }
        source->run = source->run != NULL ? source->run : source->folder.run;
        source->queries = source->queries != NULL ? source->queries : source->folder.queries;
        if (source->corpora.n == 0) {
            source->corpora.items[source->corpora.n++] = source->folder.corpus;
        }
    }
    RR_TRY(look_into(
        &source->corpora.items[0], &source->corpus_folder, RR_DATASET_CORPUS, "corpus", diag));
    return look_into(
        &source->queries, &source->queries_folder, RR_DATASET_QUERIES, "queries", diag);
}

static int check(const rr_source *source) {
    if (source->data == NULL &&
        (source->run == NULL || source->corpora.n == 0 || source->queries == NULL)) {
        return rr_cli_usage_error(
            "--%s FILE is missing: a run needs its passages and its queries, or --data a folder with all",
            source->run == NULL          ? "run"
                : source->corpora.n == 0 ? "corpus"
                                         : "queries");
    }
    return RR_CLI_GO_ON;
}

int rr_source_read(rr_source *source, size_t depth, rr_candidates *out) {
    rr_diag diag = {0};
    int code = check(source);
    if (code != RR_CLI_GO_ON) {
        return code;
    }
    rr_run_in_counts counts;
    rr_status status = resolve(source, &diag);
    if (status == RR_OK) {
        const rr_run_in params = {
            .run = source->run,
            .corpora = source->corpora.items,
            .n_corpora = source->corpora.n,
            .queries = source->queries,
            .depth = depth,
            .max_queries = source->limit,
            .skip_missing = source->skip_missing,
        };
        status = rr_run_in_read(&params, out, &counts, &diag);
    }
    if (status != RR_OK) {
        return rr_cli_fail(status, &diag);
    }
    if (counts.n_missing_queries > 0 || counts.n_missing_passages > 0) {
        rr_log(RR_LOG_WARN,
            "left out, since their texts are missing: %zu queries, %zu passages; %s",
            counts.n_missing_queries, counts.n_missing_passages, counts.first_missing);
    }
    if (counts.n_replaced > 0) {
        rr_log(RR_LOG_WARN,
            "ids that come again with another text, of which the last counts: %zu (such as %s)",
            counts.n_replaced, counts.first_replaced);
    }
    rr_log(RR_LOG_INFO, "%s: %zu queries, %zu passages read, %zu results excluded", source->run,
        out->n, counts.n_passages - counts.n_missing_passages, counts.n_excluded);
    return RR_CLI_GO_ON;
}

void rr_source_files(const rr_source *source, rr_cli_files *files) {
    rr_cli_reads(files, "--run", source->run);
    rr_cli_reads(files, "--queries", source->queries);
    for (size_t i = 0; i < source->corpora.n; i++) {
        rr_cli_reads(files, "--corpus", source->corpora.items[i]);
    }
}

void rr_source_release(rr_source *source) {
    rr_dataset_destroy(&source->folder);
    rr_dataset_destroy(&source->corpus_folder);
    rr_dataset_destroy(&source->queries_folder);
}
