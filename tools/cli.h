/* What every verb of the `rearank` program shares: options, messages, exit codes, output, the
 * model's path. Owns: standard output (all data goes through rr_out_*) and the wording of usage
 * texts and usage errors.
 *
 * To add a verb: write tools/<verb>.c with `int rr_verb_<verb>(int argc, char **argv)` and add its
 * row to tools/verbs.def. argv[0] is the verb's name, the rest is the user's. The body has this
 * shape:
 *
 *     int rr_verb_count(int argc, char **argv) {
 *         rr_cli_engine engine;
 *         uint32_t top = 10;
 *         const rr_opt options[] = {
 *             {.name = "top", .letter = 'k', .kind = RR_OPT_U32, .target = &top, .value = "N",
 *              .help = "how many to print (default 10)", .min = 1, .max = 1000},
 *         };
 *         const rr_cli_spec spec = {
 *             .synopsis = "[FILE|-]", .about = "Counts what it reads.", .max_args = 1,
 *             .groups = {rr_cli_options(options), rr_cli_engine_group(&engine)},
 *         };
 *         rr_cli_args args;
 *         int code = rr_cli_parse(&spec, argc, argv, &args);
 *         if (code != RR_CLI_GO_ON) {
 *             return code;
 *         }
 *         rr_diag diag = {0};
 *         rr_status status = count(&diag);       (the work; data leaves through rr_out_*)
 *         return status == RR_OK ? 0 : rr_cli_fail(status, &diag);
 *     }
 *
 * A verb may return at any time; main flushes standard output and turns a failed write into exit
 * 1. */
#ifndef RR_TOOLS_CLI_H
#define RR_TOOLS_CLI_H

#include "runtime/base/memory.h"
#include "runtime/engine/engine.h"
#include "tools/terminal.h"

/* Exit codes of the program. */
enum {
    RR_EXIT_OK = 0,
    RR_EXIT_FAILURE = 1,      /* device, input/output, memory, internal */
    RR_EXIT_USAGE = 2,        /* usage, malformed or unsupported input */
    RR_EXIT_INTERRUPTED = 130 /* Ctrl-C */
};
int rr_cli_exit_code(rr_status status);

/* "rearank VERB: message\n" on standard error. */
void rr_cli_error(const char *format, ...) RR_PRINTF(1, 2);
/* The same of what is no fault. */
void rr_cli_note(const char *format, ...) RR_PRINTF(1, 2);
/* Prints the diagnostic (nothing for RR_E_CANCELLED) and gives the exit code. */
int rr_cli_fail(rr_status status, const rr_diag *diag);
/* A fault in how the verb was called: the message and a pointer to --help; gives RR_EXIT_USAGE. */
int rr_cli_usage_error(const char *format, ...) RR_PRINTF(1, 2);

/* Options */

typedef struct rr_cli_list { /* values of a repeated option, in order; the pointers are argv's */
    const char *items[256];
    size_t n;
} rr_cli_list;

typedef enum rr_opt_kind {
    RR_OPT_FLAG,   /* bool; no value */
    RR_OPT_INT,    /* int64_t */
    RR_OPT_U32,    /* uint32_t */
    RR_OPT_U64,    /* uint64_t */
    RR_OPT_FLOAT,  /* float */
    RR_OPT_SIZE,   /* uint64_t; bytes, with an optional K, M or G (powers of 1024) */
    RR_OPT_TEXT,   /* const char *; argv's own text, or NULL when not given */
    RR_OPT_CHOICE, /* int; the index in `choices` */
    RR_OPT_LIST    /* rr_cli_list; may be repeated */
} rr_opt_kind;

/* The target keeps its value when the option is absent; when it is repeated the last one counts
 * (lists keep all). */
typedef struct rr_opt {
    const char *name; /* long name without dashes */
    char letter;      /* 0 = none */
    rr_opt_kind kind;
    void *target;
    const char *value; /* what stands for the value in the usage text: "N", "FILE" */
    const char *help;
    double min, max;            /* checked when they differ; numbers only */
    const char *const *choices; /* NULL-terminated */
} rr_opt;

typedef struct rr_opt_group {
    const char *title; /* a line above its options; NULL = "Options" */
    const rr_opt *options;
    size_t n;
} rr_opt_group;

/* A group from an array. */
#define rr_cli_options(array) ((rr_opt_group){NULL, (array), sizeof(array) / sizeof((array)[0])})

enum { RR_CLI_GROUPS = 9, RR_CLI_GO_ON = -1 };

typedef struct rr_cli_spec {
    const char *synopsis;      /* after "rearank VERB [OPTIONS] " */
    const char *about;         /* what it does, a few lines */
    const char *notes;         /* after the options: examples, formats; may be NULL */
    size_t min_args, max_args; /* operands */
    /* unused ones zeroed; --help, --version and --verbose are added by the parser */
    rr_opt_group groups[RR_CLI_GROUPS];
} rr_cli_spec;

typedef struct rr_cli_args { /* operands, in order; argv's own */
    char **items;
    size_t n;
} rr_cli_args;

/* Reads `--name=value`, `--name value`, `-x value`, `-xvalue`, `--`; operands may stand between
 * options. Returns RR_CLI_GO_ON, or the code to exit with (0 after --help or --version;
 * RR_EXIT_USAGE after a message). Reorders argv. */
int rr_cli_parse(const rr_cli_spec *spec, int argc, char **argv, rr_cli_args *args);

/* The candidate nearest to a mistyped word, NULL when none is near. `candidates` is
 * NULL-terminated. */
const char *rr_cli_nearest(const char *word, const char *const *candidates);

/* Files */

typedef struct rr_cli_file {
    const char *name, *path; /* borrowed; the name is the option's or the operand's */
    bool written;
} rr_cli_file;

/* The files of one run of a verb. Zero-initialise. */
typedef struct rr_cli_files {
    rr_cli_file *items;
    size_t n;
    bool failed; /* memory ran out */
} rr_cli_files;

/* NULL as path = not given; "-" to read = standard input. */
void rr_cli_writes(rr_cli_files *files, const char *name, const char *path);
void rr_cli_reads(rr_cli_files *files, const char *name, const char *path);
/* Before anything is written: whatever is written must be a file of its own, by any name and
 * through any link. Frees the list. RR_CLI_GO_ON, or the code to exit with (the message is
 * printed). */
int rr_cli_files_check(rr_cli_files *files);

/* Model and engine */

/* The model that `rearank pull` fetches when no name is given, as it lies in the cache folder. */
#define RR_CLI_DEFAULT_MODEL "models/qwen2.5-coder-0.5b-instruct-q4_k_m.gguf"

/* A row for -m; `path` is a const char **. */
#define RR_CLI_OPT_MODEL(path)                                                                                     \
    {                                                                                                              \
        .name = "model", .letter = 'm', .kind = RR_OPT_TEXT, .target = (path), .value = "FILE",                    \
        .help =                                                                                                    \
            "GGUF file or Hugging Face folder (default: $REARANK_MODEL, else the one that `rearank pull` fetched)" \
    }

/* Writes into `out` the path `given`, else $REARANK_MODEL, else the default model of the cache
 * folder. Errors: RR_E_INPUT when there is none (says `rearank pull`), RR_E_IO, RR_E_MEMORY. */
rr_status rr_cli_model_path(const char *given, rr_buf *out, rr_diag *diag);

enum { RR_CLI_ADAPTERS = 16 };

/* The options that every verb with an engine takes: --model, --adapter, --device, --caps,
 * --context, --chunk, --exact, --validation. */
typedef struct rr_cli_engine {
    rr_engine_params params; /* by rr_cli_parse; model_path and adapters by rr_cli_engine_ready */
    const char *model;
    rr_buf path;
    rr_cli_list adapters; /* as given */
    rr_adapter_use uses[RR_CLI_ADAPTERS];
    rr_arena arena; /* of the adapters' paths */
    rr_opt options[10];
} rr_cli_engine;

/* Initialises `engine` (progress goes to the terminal) and gives its group; `engine` must stay
 * where it is. */
rr_opt_group rr_cli_engine_group(rr_cli_engine *engine);
/* The model, where there is one, and its adapters, as files that are read. After parsing; `engine`
 * must outlive the list. */
void rr_cli_engine_files(rr_cli_engine *engine, rr_cli_files *files);
/* After parsing, once or more: finds the model's path and splits PATH:FACTOR of the adapters. A path
 * that is there with its colon is a path. Errors: as rr_cli_model_path; RR_E_USAGE for a factor that
 * is no finite number, or too many adapters. */
rr_status rr_cli_engine_ready(rr_cli_engine *engine, rr_diag *diag);
/* Appends the names of the device that the engine would take and of the graph that it would run
 * there, without opening it: another one computes other bits. Errors: those of
 * rr_vk_instance_create and rr_vk_pick. */
rr_status rr_cli_engine_device(const rr_engine_params *params, const rr_model *model, rr_buf *name,
    rr_buf *graph, rr_diag *diag);
void rr_cli_engine_release(rr_cli_engine *engine);

/* Terminal and signals; see also terminal.h */

/* A progress bar on standard error when that is a terminal, else nothing. Fits rr_progress_fn. */
void rr_cli_progress(void *user, const char *what, uint64_t done, uint64_t total);

/* From now on the first SIGINT or SIGTERM calls `fn(user)` (which must be signal-safe:
 * rr_session_cancel is), the second ends the program with 130. NULL restores the default. */
void rr_cli_on_interrupt(void (*fn)(void *user), void *user);
/* What a signal that ends the program at once says on standard error before: a whole line that
 * lives until NULL takes it back. */
void rr_cli_interrupt_hint(const char *text);
bool rr_cli_interrupted(void);

/* Standard output */

void rr_out_write(const void *data, size_t bytes);
void rr_out_text(const char *text);
void rr_out_printf(const char *format, ...) RR_PRINTF(1, 2);
/* Sends what is buffered; for text that is streamed to a reader. */
void rr_out_flush(void);
/* A write failed (full disk, closed pipe): long work may stop, what follows is dropped. */
bool rr_out_failed(void);
/* Flushes; the exit code of the program when the verb ended with `code`. A closed pipe is no news
 * to its reader and gives no message. Called by main. */
int rr_out_finish(int code);

/* Called by main. */
void rr_cli_set_verb(const char *verb);
void rr_cli_signals_setup(void);

#endif
