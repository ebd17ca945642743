/* What rank, replay and prompt share: what to rank and how, and where the rankings go.
 * Owns: the option names of the window loop and of its output; the rule that an output file is
 * whole or absent. */
#ifndef RR_TOOLS_RANKING_H
#define RR_TOOLS_RANKING_H

#include "rerank/report/report.h"
#include "rerank/report/run_out.h"
#include "tools/cli.h"
#include "tools/source.h"

typedef struct rr_ranking_input { /* options and what they name */
    const char *query;
    const char *candidates_path;
    rr_source source; /* its group is given apart: rr_source_group(&input.source), in a statement
                       * after rr_ranking_input_group, which zeroes all */
    rr_candidates candidates;
    bool many; /* --candidates or a data set: a run of queries that bring their qids */
    rr_rank_params params;
    uint32_t window, step, depth, passes;
    int schedule;
    bool no_think;
    rr_opt options[10];
} rr_ranking_input;

/* -q, --candidates, --window, --step, --depth, --schedule, --passes, --no-think; without -q when
 * `with_query` is false. The group points into `input`, which must stay where it is. */
rr_opt_group rr_ranking_input_group(rr_ranking_input *input, bool with_query);

/* Reads what the options and operands name: --candidates, a data set, or -q with files or standard
 * input. RR_CLI_GO_ON, or the code to exit with (the message is printed). */
int rr_ranking_input_read(rr_ranking_input *input, const rr_cli_args *args);
/* The files that were read. */
void rr_ranking_input_files(
    const rr_ranking_input *input, const rr_cli_args *args, rr_cli_files *files);
void rr_ranking_input_release(rr_ranking_input *input);

/* Windows over all queries from number `from` on; with top-down partitioning the fewest there can
 * be. */
size_t rr_ranking_input_n_windows(const rr_ranking_input *input, size_t from);

typedef struct rr_ranking_output {
    rr_run_out run;
    const char *path; /* NULL = standard output */
    int format;       /* −1 = a table on a terminal, else JSON */
    size_t n_written;
    bool ended;              /* nothing is sent any more */
    rr_buf text;             /* not yet sent */
    const char *report_path; /* NULL = none */
    rr_report report;
    rr_opt options[5];
} rr_ranking_output;

/* --format, --output, --explain, --explain-all, --report. */
rr_opt_group rr_ranking_output_group(rr_ranking_output *output);

/* The files that are to be written; none of the functions below looks whether they are others than
 * those that are read. */
void rr_ranking_output_files(const rr_ranking_output *output, rr_cli_files *files);

/* Decides the format and checks that every id can be written in it, before any work. Errors: as
 * rr_run_check and rr_file_out_check. */
rr_status rr_ranking_output_begin(
    rr_ranking_output *output, const rr_ranking_input *input, rr_diag *diag);
/* One query. On standard output all formats but JSON are sent at once. */
rr_status rr_ranking_output_add(
    rr_ranking_output *output, const rr_query *query, const rr_ranking *ranking, rr_diag *diag);
/* Sends the rest; a file appears here, whole, and so does the report. */
rr_status rr_ranking_output_end(rr_ranking_output *output, rr_diag *diag);
void rr_ranking_output_release(rr_ranking_output *output);

#endif
