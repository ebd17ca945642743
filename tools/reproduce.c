/* `rearank reproduce`: one row of the paper's table of results, from a folder of data to a report.
 * Owns: which files of the folder are used and with which settings they are ranked. Ranking itself
 * is `rank`'s: this verb calls it with the command line that it prints. */
#include "tools/reproduce.h"

#include <stdlib.h>
#include <string.h>

#include "rerank/data/dataset.h"
#include "runtime/base/folder.h"
#include "tools/cli.h"

int rr_verb_rank(int argc, char **argv);

static const rr_published rows[] = {
#define X(name, title, queries, bm25, zero_shot, rankgpt4, rearank) \
    {name, title, queries, bm25, zero_shot, rankgpt4, rearank},
#include "tools/published.def"
#undef X
};
enum { N_ROWS = sizeof rows / sizeof rows[0], MAX_ARGUMENTS = 64 };

typedef struct job {
    const rr_published *row;
    const char *data, *folder, *model, *device;
    uint32_t limit;
    bool dry_run;
    rr_dataset set;
    const char *first_stage; /* the run, or the candidates */
    rr_arena arena;
    char *arguments[MAX_ARGUMENTS + 1]; /* of `rank` */
    int n_arguments;
    rr_buf command; /* the same as text */
    char *ranked;   /* what it writes */
} job;

static const rr_published *find_row(const char *name) {
    const char *names[N_ROWS + 1] = {0};
    for (size_t i = 0; i < N_ROWS; i++) {
        if (strcmp(rows[i].name, name) == 0) {
            return &rows[i];
        }
        names[i] = rows[i].name;
    }
    const char *near = rr_cli_nearest(name, names);
    rr_cli_usage_error("there is no result \"%s\" to reproduce%s%s%s; --help lists them", name,
        near != NULL ? "; did you mean \"" : "", near != NULL ? near : "",
        near != NULL ? "\"?" : "");
    return NULL;
}

/* The command */

static bool is_plain(const char *text) {
    return text[0] != '\0' &&
        text[strspn(text,
            "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_./:=,+%@")] == '\0';
}

static void put_argument(job *j, const char *text) {
    char *copy = rr_arena_copy(&j->arena, text, strlen(text));
    if (copy == NULL || j->n_arguments == MAX_ARGUMENTS) {
        j->command.failed = true;
        return;
    }
    j->arguments[j->n_arguments++] = copy;
    rr_buf_text(&j->command, j->n_arguments > 1 ? " " : "rearank ");
    if (is_plain(text)) {
        rr_buf_text(&j->command, text);
        return;
    }
    rr_buf_text(&j->command, "'");
    for (; *text != '\0'; text++) {
        rr_buf_printf(&j->command, *text == '\'' ? "'\\''" : "%c", *text);
    }
    rr_buf_text(&j->command, "'");
}

static void put_option(job *j, const char *name, const char *value) {
    if (value != NULL) {
        put_argument(j, name);
        put_argument(j, value);
    }
}

static void put_number(job *j, const char *name, uint32_t value) {
    rr_buf text = {0};
    rr_buf_printf(&text, "%u", value);
    put_option(j, name, text.data);
    rr_buf_destroy(&text);
}

static char *in_folder(job *j, const char *name) {
    rr_buf path = {0};
    rr_buf_printf(&path, "%s/%s", j->folder, name);
    char *copy = path.failed ? NULL : rr_arena_copy(&j->arena, path.data, path.bytes);
    j->command.failed = j->command.failed || copy == NULL;
    rr_buf_destroy(&path);
    return copy;
}

/* Whether what the user wants besides asks for another way to rank than by answers. */
static bool chooses_way(char *const *extra, size_t n_extra) {
    static const char *const names[] = {
        "--score-mode", "--readout", "--orders", "--passage-chars", "--then-reason"};
    bool chooses = false;
    for (size_t i = 0; i < n_extra; i++) {
        for (size_t k = 0; k < sizeof names / sizeof names[0]; k++) {
            const size_t n = strlen(names[k]);
            chooses = chooses ||
                (strncmp(extra[i], names[k], n) == 0 &&
                    (extra[i][n] == '\0' || extra[i][n] == '='));
        }
    }
    return chooses;
}

/* `extra`: what the user wants of `rank` besides. The paper's models reason; so does any other
 * here, unless that is said. */
static rr_status make_command(job *j, char *const *extra, size_t n_extra, rr_diag *diag) {
    j->ranked = in_folder(j, "ranked.jsonl");
    put_argument(j, "rank");
    if (j->set.run != NULL) {
        put_option(j, "--run", j->set.run);
        put_option(j, "--corpus", j->set.corpus);
        put_option(j, "--queries", j->set.queries);
    } else {
        put_option(j, "--candidates", j->set.candidates);
    }
    put_number(j, "--depth", RR_REPRODUCE_DEPTH);
    put_number(j, "--window", RR_REPRODUCE_WINDOW);
    put_number(j, "--step", RR_REPRODUCE_STEP);
    put_number(j, "--max-tokens", RR_REPRODUCE_TOKENS);
    if (j->limit > 0) {
        put_number(j, "--limit-queries", j->limit);
    }
    put_option(j, "--model", j->model);
    put_option(j, "--device", j->device);
    put_option(j, "--format", "jsonl");
    put_option(j, "--output", j->ranked);
    put_option(j, "--log", in_folder(j, "answers.jsonl"));
    /* so that a whole run is not asked again for its report */
    put_option(j, "--cache", in_folder(j, "cache"));
    put_argument(j, "--resume");
    if (!chooses_way(extra, n_extra)) {
        put_argument(j, "--reason");
    }
    for (size_t i = 0; i < n_extra; i++) {
        put_argument(j, extra[i]);
    }
    return j->command.failed
        ? rr_fail(diag, RR_E_USAGE, "more than %d arguments, or out of memory", MAX_ARGUMENTS)
        : RR_OK;
}

/* What is there */

/* One line of the plan; gives whether the part is there. */
static bool show_part(const char *what, const char *found, rr_dataset_part part) {
    if (found != NULL) {
        rr_out_printf("%-12s %s\n", what, found);
        return true;
    }
    rr_buf names = {0};
    rr_dataset_names(part, &names);
    rr_out_printf("%-12s MISSING: none of %s\n", what, names.data != NULL ? names.data : "");
    rr_buf_destroy(&names);
    return false;
}

/* A run with its texts counts before candidates: it is what the paper had. */
static void choose_source(job *j) {
    bool whole = j->set.run != NULL && j->set.corpus != NULL && j->set.queries != NULL;
    if (!whole && j->set.candidates != NULL) {
        j->set.run = NULL;
    }
    j->first_stage = j->set.run != NULL ? j->set.run : j->set.candidates;
}

static rr_status check_parts(const job *j, rr_diag *diag) {
    const char *missing = j->first_stage == NULL ? "run.trec, bm25.trec or candidates.jsonl"
        : j->set.run != NULL && j->set.corpus == NULL
        ? "corpus.jsonl, documents.jsonl or collection.tsv"
        : j->set.run != NULL && j->set.queries == NULL
        ? "queries.jsonl, examples.jsonl or queries.tsv"
        : j->set.qrels == NULL ? "qrels/test.tsv, qrels.tsv, qrels.txt or examples.jsonl"
                               : NULL;
    return missing == NULL
        ? RR_OK
        : rr_fail(diag, RR_E_INPUT, "%s: found no %s; --dry-run shows all that is looked for",
              j->data, missing);
}

static int show_plan(job *j) {
    rr_diag diag = {0};
    rr_buf model = {0};
    rr_out_printf("%s (%s)\n\n", j->row->title, j->row->name);
    bool whole = true;
    if (j->set.run == NULL && j->set.candidates != NULL) {
        rr_out_printf("%-12s %s\n", "candidates", j->set.candidates);
    } else {
        whole = show_part("run", j->set.run, RR_DATASET_RUN);
        whole = show_part("corpus", j->set.corpus, RR_DATASET_CORPUS) && whole;
        whole = show_part("queries", j->set.queries, RR_DATASET_QUERIES) && whole;
    }
    whole = show_part("judgements", j->set.qrels, RR_DATASET_QRELS) && whole;
    bool has_model = rr_cli_model_path(j->model, &model, &diag) == RR_OK;
    rr_out_printf("%-12s %s\n", "model", has_model ? model.data : "MISSING: name one with -m");
    rr_out_printf("%-12s %s\n", "output", j->folder);
    double ndcg;
    size_t n_queries;
    rr_status status = RR_OK;
    if (j->first_stage != NULL && j->set.qrels != NULL) {
        status = rr_reproduce_first_stage(j->first_stage, j->set.qrels, &ndcg, &n_queries, &diag);
        if (status == RR_OK) {
            rr_out_printf("\nfirst stage  nDCG@10 %.2f over %zu queries", ndcg, n_queries);
            rr_out_printf(j->row->bm25 > 0 ? "; published: BM25 %.2f over %zu\n" : "\n",
                j->row->bm25, j->row->n_queries);
        }
    }
    if (j->row->rearank > 0) {
        rr_out_printf("%spublished    REARANK-7B %.2f, RankGPT-4 %.2f, Qwen2.5-7B %.2f\n",
            j->first_stage == NULL ? "\n" : "", j->row->rearank, j->row->rankgpt4,
            j->row->zero_shot);
    }
    if (whole) {
        rr_out_printf("\n%s\n", j->command.data);
    }
    rr_buf_destroy(&model);
    if (status != RR_OK) {
        return rr_cli_fail(status, &diag);
    }
    if (!whole || !has_model) {
        rr_cli_error("something is missing");
        return RR_EXIT_USAGE;
    }
    return RR_EXIT_OK;
}

static int reproduce(job *j, char *const *extra, size_t n_extra) {
    rr_diag diag = {0};
    rr_status status = rr_dataset_find(j->data, &j->set, &diag);
    if (status == RR_OK) {
        choose_source(j);
        status = make_command(j, extra, n_extra, &diag);
    }
    if (status == RR_OK && j->dry_run) {
        return show_plan(j);
    }
    if (status == RR_OK) {
        status = check_parts(j, &diag);
    }
    if (status == RR_OK) {
        status = rr_folder_make(j->folder, &diag);
    }
    if (status != RR_OK) {
        return rr_cli_fail(status, &diag);
    }
    int code = rr_verb_rank(j->n_arguments, j->arguments);
    if (code != RR_EXIT_OK) {
        return code;
    }
    rr_reproduced found = {.row = j->row, .command = j->command.data, .limit = j->limit};
    status = rr_reproduce_measure(j->ranked, j->first_stage, j->set.qrels, &found, &diag);
    if (status == RR_OK) {
        status = rr_reproduce_report(&found, j->folder, &diag);
    }
    rr_reproduced_destroy(&found);
    return status == RR_OK ? RR_EXIT_OK : rr_cli_fail(status, &diag);
}

static void make_notes(rr_buf *notes) {
    rr_buf_text(notes, "Results:");
    size_t column = 8;
    for (size_t i = 0; i < N_ROWS; i++) {
        size_t width = strlen(rows[i].name) + 2;
        bool next = column + width > 100;
        rr_buf_printf(
            notes, "%s%s%s", next ? "\n  " : " ", rows[i].name, i + 1 < N_ROWS ? "," : "");
        column = next ? width + 2 : column + width;
    }
    rr_buf_text(notes,
        "\n\nThe folder holds a first-stage run with its texts and judgements: run.trec or bm25.trec; corpus.jsonl, documents.jsonl or\n"
        "collection.tsv; queries.jsonl, examples.jsonl or queries.tsv; qrels/test.tsv, qrels.tsv or qrels.txt; or candidates.jsonl\n"
        "instead of run, corpus and queries. The same command goes on with what was stopped. What stands behind \"--\" goes to `rank`.");
}

int rr_verb_reproduce(int argc, char **argv) {
    job j = {0};
    const rr_opt options[] = {
        {.name = "data",
            .kind = RR_OPT_TEXT,
            .target = &j.data,
            .value = "FOLDER",
            .help = "where the data set lies"},
        {.name = "output",
            .letter = 'o',
            .kind = RR_OPT_TEXT,
            .target = &j.folder,
            .value = "FOLDER",
            .help =
                "for the ranking, the answers and report.md, report.json (default: reproduce-NAME)"},
        RR_CLI_OPT_MODEL(&j.model),
        {.name = "device",
            .letter = 'd',
            .kind = RR_OPT_TEXT,
            .target = &j.device,
            .value = "DEVICE",
            .help = "as for `rank`"},
        {.name = "limit-queries",
            .kind = RR_OPT_U32,
            .target = &j.limit,
            .value = "N",
            .min = 1,
            .max = UINT32_MAX,
            .help = "only the first N queries: tells whether all works, not how good the model is"},
        {.name = "dry-run",
            .kind = RR_OPT_FLAG,
            .target = &j.dry_run,
            .help = "say what would be done, what is missing, and how good the first stage is"},
    };
    rr_buf notes = {0}, folder = {0};
    make_notes(&notes);
    const rr_cli_spec spec = {
        .synopsis = "NAME --data FOLDER [-- OPTIONS OF RANK]",
        .about =
            "Ranks a data set of the REARANK paper with its settings, measures, and compares with the published figure.",
        .notes = notes.data,
        .min_args = 1,
        .max_args = MAX_ARGUMENTS,
        .groups = {rr_cli_options(options)},
    };
    rr_cli_args args;
    int code = rr_cli_parse(&spec, argc, argv, &args);
    rr_buf_destroy(&notes);
    if (code == RR_CLI_GO_ON) {
        j.row = find_row(args.items[0]);
        code = j.row == NULL ? RR_EXIT_USAGE
            : j.data == NULL ? rr_cli_usage_error("--data FOLDER is missing")
                             : RR_CLI_GO_ON;
    }
    if (code == RR_CLI_GO_ON) {
        rr_buf_printf(&folder, "reproduce-%s", j.row->name);
        j.folder = j.folder != NULL ? j.folder : folder.data;
        code = reproduce(&j, args.items + 1, args.n - 1);
    }
    rr_buf_destroy(&folder);
    rr_buf_destroy(&j.command);
    rr_dataset_destroy(&j.set);
    rr_arena_destroy(&j.arena);
    return code;
}
