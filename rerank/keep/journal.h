/* Finished rankings kept on disk: the journal of a run, from which it goes on after it was killed,
 * and a cache by content. Owns: the SQLite files, what makes two runs or two questions the same,
 * what is said when they are not. Does not own how a ranking becomes bytes (rerank/keep/journal_code.h),
 * nor when to ask and to store. One object, one thread at a time. */
#ifndef RR_RERANK_KEEP_JOURNAL_H
#define RR_RERANK_KEEP_JOURNAL_H

#include "rerank/rerank.h"

/* Something that rankings depend on: the model's content, the device, an option. */
typedef struct rr_journal_fact {
    const char *name, *value;
} rr_journal_fact;

typedef struct rr_journal rr_journal;

typedef struct rr_journal_params {
    const char *path;             /* the file */
    const rr_journal_fact *facts; /* [n_facts] with different names */
    size_t n_facts;
    /* [n_queries] all of the run, borrowed as long as the journal is open */
    const rr_query *queries;
    size_t n_queries;
    bool resume; /* go on with what the file holds */
} rr_journal_params;

/* Opens or makes the journal of a run. A file that holds no finished query is begun anew. Else it
 * must be of the same run, that is the same facts and the same queries with the same passages, and
 * `resume` must be set. Nothing in a file that is refused is changed. Errors: RR_E_INPUT for a
 * journal that is another run's (names what differs), that needs `resume`, or that is damaged or no
 * journal; RR_E_IO (also while another process uses it); RR_E_MEMORY. Cost: one pass over the texts
 * of all queries, one over the file. */
rr_status rr_journal_open(const rr_journal_params *params, rr_journal **out, rr_diag *diag);

/* Opens or makes a cache of rankings by content: the facts, the query's text, its passages' titles
 * and texts in their order. Ids do not count. Any number of processes may use it at once. `path`,
 * `facts` as above; the rest is not looked at. Errors: RR_E_INPUT for what is no cache, RR_E_IO,
 * RR_E_MEMORY. */
rr_status rr_journal_open_cache(const rr_journal_params *params, rr_journal **out, rr_diag *diag);

/* Whether the query's ranking is there; looks at nothing but its key. Errors: RR_E_IO,
 * RR_E_INPUT. */
rr_status rr_journal_has(rr_journal *journal, const rr_query *query, bool *out, rr_diag *diag);
/* The ranking as it was stored, times and all; *found = false and *out zeroed when it is not there.
 * `out` must be destroyed whatever happens. Errors: RR_E_INPUT when its bytes are damaged, RR_E_IO,
 * RR_E_MEMORY. */
rr_status rr_journal_find(
    rr_journal *journal, const rr_query *query, rr_ranking *out, bool *found, rr_diag *diag);
/* Keeps it: once this returns it is on the disk, whole. Errors: RR_E_IO (what was stored before is
 * safe), RR_E_MEMORY, RR_E_USAGE for a ranking with late windows: with more time it would be
 * another. */
rr_status rr_journal_store(
    rr_journal *journal, const rr_query *query, const rr_ranking *ranking, rr_diag *diag);

/* Rankings that a journal holds. */
size_t rr_journal_n_kept(const rr_journal *journal);

/* Closes it; the file stays, unless it is a journal without a single ranking. Accepts NULL. */
void rr_journal_close(rr_journal **journal);
/* Closes the journal and removes its file: the run's output is whole. Errors: RR_E_IO. */
rr_status rr_journal_finish(rr_journal **journal, rr_diag *diag);

#endif
