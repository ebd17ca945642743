/* BRIGHT's list of examples: queries with the passages that answer them and those that do not
 * count. Owns: that format: one JSON object a line, {"id", "query", "gold_ids": […],
 * "excluded_ids": […], …}, and the rule for what is excluded: it is taken out of a query's results
 * after they were cut to the first 100. Source: BRIGHT (arXiv 2407.12883) and its code. */
#ifndef RR_RERANK_DATA_BRIGHT_H
#define RR_RERANK_DATA_BRIGHT_H

#include "rerank/data/trec_table.h"

enum { RR_BRIGHT_CUT = 100 };

/* Whether this is such a list: its first line is a JSON object with an array "gold_ids" or
 * "excluded_ids". */
bool rr_bright_is(const char *data, size_t bytes);

/* Adds a row of level 1 for each gold id and finishes the table (which may be NULL), and one for
 * each excluded id to the other (which may be NULL, and may stay empty). "N/A" stands for none; an
 * id may repeat within a list. `data` is borrowed during the call, `label` as long as the tables
 * live. Errors: RR_E_INPUT (also when no query has a gold id), RR_E_MEMORY. */
rr_status rr_bright_parse(const char *data, size_t bytes, const char *label, rr_trec_table *gold,
    rr_trec_table *excluded, rr_diag *diag);

/* Cuts every query of a finished run to its first `cut` results (0 = all) and takes out the
 * excluded ones. What stays keeps its order; a query may end up without results. Gives how many
 * were taken out of those. */
size_t rr_bright_exclude(rr_trec_table *run, const rr_trec_table *excluded, size_t cut);

#endif
