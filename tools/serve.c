/* `rearank serve`: ranks for others over HTTP.
 * Owns: its options, the keys, when it starts and ends. What it answers: rerank/serve. */
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "rerank/serve/http.h"
#include "rerank/serve/pool_ranker.h"
#include "runtime/base/file.h"
#include "runtime/base/thread.h"
#include "tools/answering.h"
#include "tools/cli.h"

enum { USUAL_JOBS = 4, USUAL_QUEUE = 256, MOST_KEYS = 256, KEY_FILE_BYTES = 64 << 10 };
#define WAIT_NS (UINT64_C(50) * 1000000)

typedef struct serve_options {
    const char *host;
    uint32_t port, jobs, queue, max_documents, kv_tokens, max_tokens;
    uint64_t max_body_bytes;
    float deadline_s, linger_s;
    const char *key_path;
    rr_cli_list names, origins;
    bool no_log;
    uint32_t window, step;
    int schedule;
    rr_rank_params rank; /* by set_rank */
    rr_answering answering;
    rr_cli_engine engine;
} serve_options;

/* What is opened to serve. */
typedef struct serving {
    const serve_options *options;
    rr_buf key_text;
    const char *keys[MOST_KEYS];
    size_t n_keys;
    rr_server *server;
    rr_http *http;
    rr_pool *pool;
    rr_pool_ranker over_pool;
    rr_ranker ranker;
} serving;

static atomic_bool wants_end;

static void on_interrupt(void *user) {
    (void)user;
    atomic_store(&wants_end, true);
}

/* Keys */

static rr_status add_key(serving *s, char *line, rr_diag *diag) {
    line += strspn(line, " \t");
    line[strcspn(line, "\r\n")] = '\0';
    size_t bytes = strlen(line);
    while (bytes > 0 && (line[bytes - 1] == ' ' || line[bytes - 1] == '\t')) {
        line[--bytes] = '\0';
    }
    if (bytes == 0 || line[0] == '#') {
        return RR_OK;
    }
    if (s->n_keys == MOST_KEYS) {
        return rr_fail(diag, RR_E_INPUT, "more than %d keys", MOST_KEYS);
    }
    s->keys[s->n_keys++] = line;
    return RR_OK;
}

/* A key a line from the file, else the one of the environment: never from the command line, which
 * others can see. */
static rr_status read_keys(serving *s, rr_diag *diag) {
    const char *path = s->options->key_path, *env = getenv("REARANK_API_KEY");
    if (path != NULL) {
        RR_TRY(rr_file_read(path, KEY_FILE_BYTES, &s->key_text, diag));
    } else if (env != NULL) {
        rr_buf_text(&s->key_text, env);
    }
    if (s->key_text.failed) {
        return rr_fail(diag, RR_E_MEMORY, "out of memory");
    }
    for (char *at = s->key_text.data; at != NULL && *at != '\0';) {
        char *line = at;
        at += strcspn(at, "\n");
        at += *at == '\n';
        if (at > line && at[-1] == '\n') {
            at[-1] = '\0';
        }
        RR_TRY(add_key(s, line, diag));
    }
    return path == NULL || s->n_keys > 0
        ? RR_OK
        : rr_fail(diag, RR_E_INPUT, "%s: found no key, expected one a line", path);
}

/* The server */

static void write_log(void *user, const char *line, size_t bytes) {
    (void)user;
    rr_out_write(line, bytes);
    rr_out_flush();
}

static rr_status open_server(serving *s, rr_diag *diag) {
    const serve_options *options = s->options;
    const bool has_brackets = strchr(options->host, ':') != NULL;
    const rr_server_params params = {
        .access = {.host = options->host,
            .names = options->names.items,
            .n_names = options->names.n,
            .origins = options->origins.items,
            .n_origins = options->origins.n,
            .keys = s->keys,
            .n_keys = s->n_keys},
        .max_documents = options->max_documents,
        .max_body_bytes = (size_t)options->max_body_bytes,
        .deadline_s = (double)options->deadline_s,
        .linger_s = options->linger_s > 0 ? (double)options->linger_s : -1.0,
        .log = options->no_log ? NULL : write_log,
    };
    uint16_t port = (uint16_t)options->port;
    RR_TRY(rr_server_create(&params, &s->server, diag));
    RR_TRY(rr_http_open(s->server, options->host, &port, &s->http, diag));
    rr_cli_note("listening at http://%s%s%s:%u%s", has_brackets ? "[" : "", options->host,
        has_brackets ? "]" : "", port,
        s->n_keys > 0 ? ", for those who have a key" : ", for this machine alone");
    return RR_OK;
}

static rr_status open_ranker(serving *s, serve_options *options, rr_diag *diag) {
    rr_answering *answering = &options->answering;
    RR_TRY(rr_cli_engine_ready(&options->engine, diag));
    answering->finds_readout = true;
    RR_TRY(rr_answering_decide(answering, &options->engine.params.compute, diag));
    rr_pool_params params = {
        .engine = options->engine.params,
        .draft_model_path = answering->draft_model,
        .n_workers = rr_answering_n_workers(answering, options->jobs, USUAL_JOBS),
        .may_be_fewer = options->jobs == 0,
        .queue = options->queue,
    };
    params.engine.kv_tokens = options->kv_tokens;
    params.engine.compute.readings = answering->has_readout;
    RR_TRY(rr_pool_open(&params, &s->pool, diag));
    s->over_pool = (rr_pool_ranker){
        .pool = s->pool,
        .readout = answering->has_readout ? &answering->readout : NULL,
        .rank = options->rank,
        .answer = {.max_tokens = options->max_tokens},
    };
    rr_answering_apply(answering, &s->over_pool.answer);
    s->ranker = rr_pool_ranker_make(&s->over_pool);
    return RR_OK;
}

/* Until a signal comes, and then until what was taken is answered. */
static void run(serving *s) {
    rr_server_open(s->server, &s->ranker);
    rr_cli_note("ready: %s on %s, %zu windows at once", rr_pool_model_name(s->pool),
        rr_pool_device_name(s->pool), rr_pool_n_workers(s->pool));
    while (!atomic_load(&wants_end)) {
        rr_sleep_ns(WAIT_NS);
    }
    rr_server_drain(s->server);
    if (!rr_server_is_idle(s->server)) {
        rr_cli_note("finishing what was asked; another signal ends at once");
    }
    while (!rr_server_is_idle(s->server)) {
        rr_sleep_ns(WAIT_NS);
    }
}

static rr_status serve(serving *s, serve_options *options, rr_diag *diag) {
    RR_TRY(read_keys(s, diag));
    RR_TRY(open_server(s, diag));
    rr_cli_on_interrupt(on_interrupt, NULL);
    RR_TRY(open_ranker(s, options, diag));
    run(s);
    return RR_OK;
}

static int serve_and_end(serve_options *options) {
    serving s = {.options = options};
    rr_diag diag = {0};
    const rr_status status = serve(&s, options, &diag);
    if (s.server != NULL) {
        rr_server_close(s.server);
    }
    rr_http_close(&s.http);
    rr_pool_close(&s.pool);
    rr_server_destroy(&s.server);
    rr_buf_destroy(&s.key_text);
    rr_cli_on_interrupt(NULL, NULL);
    return status == RR_OK ? RR_EXIT_OK : rr_cli_fail(status, &diag);
}

/* Takes the options of windows together, before anything is opened. */
static int set_rank(serve_options *options) {
    rr_diag diag = {0};
    options->rank = (rr_rank_params){
        .window = options->window,
        .step = options->step,
        .schedule = (rr_schedule_kind)options->schedule,
        .passage_chars = options->answering.passage_chars,
        .then_reason = options->answering.then_reason,
    };
    return rr_rank_params_check(&options->rank, &options->rank, &diag) == RR_OK
        ? RR_CLI_GO_ON
        : rr_cli_usage_error("--%s", diag.text);
}

static const char about[] =
    "Ranks for others over HTTP, in the shapes that clients of Cohere, Jina, llama-server, vLLM, Infinity and\n"
    "Text Embeddings Inference send: POST /v1/rerank, /v2/rerank, /rerank. POST /v1/rank/stream tells while it\n"
    "ranks. GET /health, /ready, /v1/models, /info, /metrics, /openapi.json.";
static const char notes[] =
    "It listens to this machine alone. --host ADDRESS lets others in, who then need a key: one a line in\n"
    "--api-key-file, or one in REARANK_API_KEY. Each request leaves a line of JSON on standard output, without\n"
    "its texts. SIGTERM ends it once what was asked is answered; a second one at once. docs/serve.md tells the rest.";

int rr_verb_serve(int argc, char **argv) {
    serve_options options = {.host = "127.0.0.1",
        .port = 8080,
        .queue = USUAL_QUEUE,
        .linger_s = 10,
        .max_tokens = RR_RESPONDER_MAX_TOKENS};
    const rr_opt listening[] = {
        {.name = "host",
            .kind = RR_OPT_TEXT,
            .target = &options.host,
            .value = "ADDRESS",
            .help = "where to listen (default 127.0.0.1: this machine alone)"},
        {.name = "port",
            .letter = 'p',
            .kind = RR_OPT_U32,
            .target = &options.port,
            .value = "N",
            .help = "0 = any that is free (default 8080)",
            .max = 65535},
        {.name = "api-key-file",
            .kind = RR_OPT_TEXT,
            .target = &options.key_path,
            .value = "FILE",
            .help =
                "the API keys that clients may use, one a line (default: $REARANK_API_KEY, else none)"},
        {.name = "allow-host",
            .kind = RR_OPT_LIST,
            .target = &options.names,
            .value = "NAME",
            .help = "a further name that the header Host may have, as behind a proxy"},
        {.name = "allow-origin",
            .kind = RR_OPT_LIST,
            .target = &options.origins,
            .value = "ORIGIN",
            .help = "a web page that may use the server, as https://app.example (default: none)"},
        {.name = "max-body",
            .kind = RR_OPT_SIZE,
            .target = &options.max_body_bytes,
            .value = "BYTES",
            .help = "the largest body of a request (default 32M)"},
        {.name = "max-documents",
            .kind = RR_OPT_U32,
            .target = &options.max_documents,
            .value = "N",
            .help = "the most documents of a request (default 1000)",
            .max = 100000},
        {.name = "no-log",
            .kind = RR_OPT_FLAG,
            .target = &options.no_log,
            .help = "write no line for each request to standard output"},
    };
    const rr_opt work[] = {
        {.name = "jobs",
            .letter = 'j',
            .kind = RR_OPT_U32,
            .target = &options.jobs,
            .value = "N",
            .help =
                "windows at once; where memory is short they wait for each other (default 4, as far as memory goes)",
            .min = 1,
            .max = RR_POOL_WORKERS},
        {.name = "kv-tokens",
            .kind = RR_OPT_U32,
            .target = &options.kv_tokens,
            .value = "N",
            .help =
                "tokens of prompts and answers whose keys and values are kept on the device, of all jobs together",
            .max = UINT32_MAX - 1},
        {.name = "queue",
            .kind = RR_OPT_U32,
            .target = &options.queue,
            .value = "N",
            .help = "requests that may wait; further ones get 429, come again later (default 256)",
            .min = 1,
            .max = 1 << 20},
        {.name = "deadline",
            .kind = RR_OPT_FLOAT,
            .target = &options.deadline_s,
            .value = "SECONDS",
            .help =
                "time from a request to its answer; what is not ranked by then keeps its order (default 0 = any)",
            .min = 0,
            .max = 1e9},
        {.name = "linger",
            .kind = RR_OPT_FLOAT,
            .target = &options.linger_s,
            .value = "SECONDS",
            .help =
                "how long a ranking goes on when its client has gone, in case it asks again (default 10)",
            .min = 0,
            .max = 1e9},
        {.name = "max-tokens",
            .kind = RR_OPT_U32,
            .target = &options.max_tokens,
            .value = "N",
            .help =
                "tokens a window may take before its answer is finished by force (default 2048)",
            .min = 1,
            .max = 1 << 20},
        {.name = "window",
            .kind = RR_OPT_U32,
            .target = &options.window,
            .value = "N",
            .help = "documents ranked at once (default 20)",
            .min = 2,
            .max = RR_WINDOW_MAX},
        {.name = "step",
            .kind = RR_OPT_U32,
            .target = &options.step,
            .value = "N",
            .help = "how far the window moves up each time (default 10)",
            .min = 1,
            .max = RR_WINDOW_MAX},
        {.name = "schedule",
            .kind = RR_OPT_CHOICE,
            .target = &options.schedule,
            .choices = rr_schedule_names,
            .help = "which windows, as of `rearank rank` (default sliding)"},
    };
    const rr_cli_spec spec = {
        .synopsis = "",
        .about = about,
        .notes = notes,
        .groups = {{"Listening", listening, sizeof listening / sizeof listening[0]},
            {"Work", work, sizeof work / sizeof work[0]}, rr_answering_group(&options.answering),
            rr_cli_engine_group(&options.engine)},
    };
    rr_cli_args args;
    int code = rr_cli_parse(&spec, argc, argv, &args);
    if (code == RR_CLI_GO_ON) {
        code = rr_answering_check(&options.answering, 0.0f, options.jobs);
    }
    if (code == RR_CLI_GO_ON) {
        code = set_rank(&options);
    }
    if (code == RR_CLI_GO_ON) {
        code = serve_and_end(&options);
    }
    rr_answering_release(&options.answering);
    rr_cli_engine_release(&options.engine);
    return code;
}
