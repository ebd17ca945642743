/* Finished rankings that `rank` keeps on disk: the journal of a run and the cache by content.
 * Owns: the options --journal, --resume and --cache, and which options of the program a ranking
 * depends on: all that are not known to leave it alone, so that a new option counts until it is
 * named here. */
#ifndef RR_TOOLS_KEEP_H
#define RR_TOOLS_KEEP_H

#include "rerank/keep/journal.h"
#include "tools/ranking.h"

enum { RR_KEEP_FACTS = 64 };

typedef struct rr_keep {
    const char *journal_path, *cache_folder;
    bool resume;
    rr_journal *journal, *cache; /* NULL when not wanted */
    const rr_cli_spec *spec;
    rr_arena arena; /* names and values of the facts */
    rr_journal_fact facts[RR_KEEP_FACTS];
    size_t n_facts;
    const char *way; /* how windows are ranked, as a fact; borrowed, set before rr_keep_open */
    const char *model_name, *device_name; /* NULL while neither is open */
    bool *is_kept;                        /* [queries] there already */
    size_t n_late; /* rankings that were not kept, since they met their deadline */
    rr_opt options[4];
} rr_keep;

rr_opt_group rr_keep_group(rr_keep *keep);
/* After parsing, before any work. `spec` (borrowed) brings the options whose values count.
 * RR_CLI_GO_ON, or the code to exit with (the message is printed). */
int rr_keep_check(rr_keep *keep, const rr_cli_spec *spec, const char *output_path);
/* The journal as a file that is written: the one named, else OUT.journal, where that of an --output
 * of many queries goes. */
void rr_keep_files(rr_keep *keep, const char *output_path, rr_cli_files *files);

/* Opens what is wanted, once the input is read; nothing when no window is to be ranked. Errors: as
 * rr_journal_open, rr_cli_model_path, and those of finding model and device. Cost: reads the
 * model's file once. */
rr_status rr_keep_open(rr_keep *keep, const rr_ranking_input *input, rr_cli_engine *engine,
    const char *output_path, rr_diag *diag);
/* Windows that are still to be asked about. */
size_t rr_keep_n_windows(const rr_keep *keep, const rr_ranking_input *input);
/* The ranking of a query from journal or cache, into the journal too when only the cache had it;
 * *found = false and *out zeroed when there is none. */
rr_status rr_keep_find(
    rr_keep *keep, const rr_query *query, rr_ranking *out, bool *found, rr_diag *diag);
/* Keeps a ranking that rr_keep_find did not give, unless it met its deadline: whoever gives it more
 * time gets another. */
rr_status rr_keep_store(
    rr_keep *keep, const rr_query *query, const rr_ranking *ranking, rr_diag *diag);
/* After a failure: tells what is kept and how to go on; where a run of many queries was interrupted
 * and nothing is, how it would have been. */
void rr_keep_tell(const rr_keep *keep, bool many_interrupted);
/* The output is whole: the journal goes. When rankings met their deadline it stays with the others,
 * so that --resume ranks those anew, and this is said. */
rr_status rr_keep_finish(rr_keep *keep, rr_diag *diag);
void rr_keep_release(rr_keep *keep);

#endif
