/* Data sets as the input of rank, replay and prompt: runs, corpora, lists of queries, folders.
 * Owns: the names of these options, and how a folder stands for the files in it. */
#ifndef RR_TOOLS_SOURCE_H
#define RR_TOOLS_SOURCE_H

#include "rerank/data/dataset.h"
#include "rerank/data/run_in.h"
#include "tools/cli.h"

typedef struct rr_source {
    const char *data, *run, *queries;
    rr_cli_list corpora;
    uint32_t limit; /* only the first queries; 0 = all. Also for --candidates */
    bool skip_missing;
    rr_dataset folder, corpus_folder, queries_folder; /* what was found where a folder was named */
    rr_opt options[8];
} rr_source;

/* --data, --run, --corpus, --queries, --limit-queries, --skip-missing. The group points into
 * `source`, which must stay where it is. */
rr_opt_group rr_source_group(rr_source *source);
/* Whether the options name a data set. */
bool rr_source_given(const rr_source *source);
/* Reads what they name; `depth` as in rr_rank_params. RR_CLI_GO_ON, or the code to exit with (the
 * message is printed). */
int rr_source_read(rr_source *source, size_t depth, rr_candidates *out);
/* The files behind these options, once they were read. */
void rr_source_files(const rr_source *source, rr_cli_files *files);
void rr_source_release(rr_source *source);

#endif
