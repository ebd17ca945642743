/* The journal and the cache of rankings: what comes back is what was stored; a run that is killed
 * at random moments ends with the bytes of one that was not; other runs, damage and full disks are
 * refused with nothing lost. */
#define _GNU_SOURCE
#include "runtime/base/file_out.h"
#include "tests/check.h"
#include "tests/support/folder.h"
#include "tests/support/synth.h"

#include <signal.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "rerank/data/digest.h"
#include "rerank/execute.h"
#include "rerank/keep/journal.h"
#include "rerank/keep/journal_code.h"
#include "rerank/report/run_out.h"
#include "runtime/base/file.h"

enum { N_QUERIES = 40, N_PASSAGES = 35 };
static char folder[200];
static rr_candidates candidates;
static const rr_journal_fact facts[] = {{"model", "tiny 0123"}, {"window", "20"}};

/* The path stays until the program ends. */
static const char *in_folder(const char *name) {
    static rr_arena paths;
    char path[300];
    int n = snprintf(path, sizeof path, "%s/%s", folder, name);
    return rr_arena_copy(&paths, path, (size_t)n);
}

static void make_candidates(void) {
    rr_buf text = {0};
    rr_diag diag = {0};
    for (int q = 0; q < N_QUERIES; q++) {
        rr_buf_printf(&text, "{\"qid\": \"q%d\", \"query\": \"query %d\", \"hits\": [", q, q % 7);
        for (int p = 0; p < N_PASSAGES; p++) {
            rr_buf_printf(&text, "%s{\"docid\": \"d%d\", \"text\": \"text %d of %d\"}",
                p > 0 ? ", " : "", p, p, q % 7);
        }
        rr_buf_text(&text, "]}\n");
    }
    CHECK_OK(rr_candidates_parse(text.data, text.bytes, "made", &candidates, &diag), diag);
    rr_buf_destroy(&text);
}

/* What was read of a window: every kind of number, on some passages no words. */
static rr_passage_read *make_reads(const rr_call *call) {
    rr_passage_read *reads = calloc(call->n, sizeof *reads);
    for (uint32_t i = 0; i < call->n; i++) {
        reads[i] = (rr_passage_read){
            .score = (double)call->order[i] / -3.0,
            .probability = 1.0 / (double)(call->order[i] + 1),
            .sentence = {0, i % 3 == 0 ? 0 : 6, i % 3 == 0 ? 0.0f : 1.0f / 3.0f},
            .words = {{0, 4, 0.25f}, {5, 6, 1e-20f}},
            .n_words = i % 3,
        };
    }
    return reads;
}

/* An answer that depends on the query, the window and the order, and takes a moment; some windows
 * are read too. */
static rr_status respond(void *user, const rr_call *call, rr_reply *reply, rr_diag *diag) {
    (void)diag;
    size_t *n_calls = user;
    (*n_calls)++;
    uint32_t first = (uint32_t)(call->order[0] * 7 + call->index * 3 + strlen(call->query->qid) +
                         (size_t)call->query->qid[1]) %
            call->n +
        1;
    rr_buf_printf(&reply->text,
        "<think>of %u passages [%u] is best \xF0\x9F\x8C\xB7</think>\n<answer>[%u] > [%u]%s",
        call->n, first, first, first % call->n + 1, call->index % 2 == 0 ? "</answer>" : "");
    reply->truncated = call->index % 2 != 0;
    reply->prompt_tokens = 1000 + call->index;
    reply->reused_tokens = call->index * 10;
    reply->shared_tokens = call->index * 7;
    reply->generated_tokens = first;
    reply->prompt_ns = 12345678901;
    reply->generate_ns = first;
    reply->reads = call->index % 2 == 0 ? make_reads(call) : NULL;
    const struct timespec moment = {0, 200000};
    nanosleep(&moment, NULL);
    return RR_OK;
}

static bool same_text(rr_text a, rr_text b) {
    return a.bytes == b.bytes && memcmp(a.data, b.data, a.bytes) == 0;
}

static bool same_part(const rr_read_part *a, const rr_read_part *b) {
    return a->begin == b->begin && a->end == b->end && a->share == b->share;
}

static bool same_reads(const rr_passage_read *a, const rr_passage_read *b, uint32_t n) {
    bool same = (a == NULL) == (b == NULL);
    for (uint32_t i = 0; i < n && a != NULL && same; i++) {
        same = a[i].score == b[i].score && a[i].probability == b[i].probability &&
            same_part(&a[i].sentence, &b[i].sentence) && a[i].n_words == b[i].n_words;
        for (uint32_t k = 0; k < a[i].n_words && same; k++) {
            same = same_part(&a[i].words[k], &b[i].words[k]);
        }
    }
    return same;
}

static void check_same(const rr_ranking *a, const rr_ranking *b) {
    CHECK_INT(a->n, b->n);
    CHECK_INT(a->n_windows, b->n_windows);
    CHECK(a->time_ns == b->time_ns && memcmp(a->order, b->order, a->n * sizeof *a->order) == 0);
    CHECK((a->scores == NULL) == (b->scores == NULL));
    CHECK(a->scores == NULL || memcmp(a->scores, b->scores, a->n * sizeof *a->scores) == 0);
    for (size_t i = 0; i < a->n_windows && i < b->n_windows; i++) {
        const rr_window_result *x = &a->windows[i], *y = &b->windows[i];
        CHECK(x->window.begin == y->window.begin && x->window.end == y->window.end &&
            x->n == y->n && x->n_listed == y->n_listed);
        CHECK(memcmp(x->passages, y->passages, x->n * sizeof *x->passages) == 0);
        CHECK(memcmp(x->permutation, y->permutation, x->n * sizeof *x->permutation) == 0);
        CHECK(same_reads(x->reads, y->reads, x->n));
        CHECK(x->repaired == y->repaired && x->truncated == y->truncated);
        CHECK(same_text(x->response, y->response) && same_text(x->reasoning, y->reasoning) &&
            same_text(x->answer, y->answer));
        CHECK(x->reasoning.data - x->response.data == y->reasoning.data - y->response.data);
        CHECK(x->prompt_tokens == y->prompt_tokens && x->reused_tokens == y->reused_tokens &&
            x->shared_tokens == y->shared_tokens && x->generated_tokens == y->generated_tokens);
        CHECK(x->prompt_ns == y->prompt_ns && x->generate_ns == y->generate_ns &&
            x->time_ns == y->time_ns);
    }
}

static rr_ranking rank_one(size_t query) {
    size_t n_calls = 0;
    rr_responder responder = {respond, &n_calls};
    rr_ranking ranking;
    rr_diag diag = {0};
    CHECK_OK(rr_rank(&candidates.queries[query], &(rr_rank_params){0}, &responder, &ranking, &diag),
        diag);
    return ranking;
}

/* A ranking that met its deadline is not kept: whoever gives it more time gets another. */
static void test_late(void) {
    rr_ranking ranking = rank_one(3);
    rr_diag diag = {0};
    rr_journal *cache = NULL;
    bool has = true;
    const rr_journal_params params = {
        .path = in_folder("late.sqlite"), .facts = facts, .n_facts = 2};
    CHECK_OK(rr_journal_open_cache(&params, &cache, &diag), diag);
    ranking.windows[1].late = true;
    CHECK_INT(rr_journal_store(cache, &candidates.queries[3], &ranking, &diag), RR_E_USAGE);
    CHECK_OK(rr_journal_has(cache, &candidates.queries[3], &has, &diag), diag);
    CHECK(!has);
    rr_journal_close(&cache);
    rr_ranking_destroy(&ranking);
}

static void test_code(void) {
    rr_ranking ranking = rank_one(3), back;
    rr_diag diag = {0};
    rr_buf bytes = {0}, again = {0};
    /* a text that is no part of the response */
    ranking.windows[0].answer = (rr_text){"elsewhere", 9};
    CHECK(ranking.n_windows == 3 && ranking.windows[0].reads != NULL &&
        ranking.windows[1].reads == NULL && ranking.scores != NULL);
    rr_journal_encode(&ranking, &bytes);
    CHECK_OK(rr_journal_decode(bytes.data, bytes.bytes, N_PASSAGES, &back, &diag), diag);
    check_same(&ranking, &back);
    rr_journal_encode(&back, &again);
    CHECK(again.bytes == bytes.bytes && memcmp(again.data, bytes.data, bytes.bytes) == 0);
    rr_ranking_destroy(&back);
    rr_ranking none;
    CHECK_INT(rr_journal_decode(bytes.data, bytes.bytes, N_PASSAGES + 1, &none, &diag), RR_E_INPUT);
    size_t n_accepted = 0;
    for (size_t cut = 0; cut < bytes.bytes; cut++) {
        n_accepted += rr_journal_decode(bytes.data, cut, N_PASSAGES, &none, &diag) == RR_OK;
    }
    for (size_t i = 0; i < bytes.bytes * 8; i += 7) { /* every flipped bit is noticed */
        bytes.data[i / 8] = (char)(bytes.data[i / 8] ^ 1 << i % 8);
        n_accepted += rr_journal_decode(bytes.data, bytes.bytes, N_PASSAGES, &none, &diag) == RR_OK;
        bytes.data[i / 8] = (char)(bytes.data[i / 8] ^ 1 << i % 8);
    }
    CHECK_INT(n_accepted, 0);
    /* what no responder may say is not read back */
    rr_passage_read *read = (rr_passage_read *)(uintptr_t)&ranking.windows[0].reads[2];
    read->words[1].begin = 3;
    rr_buf_clear(&bytes);
    rr_journal_encode(&ranking, &bytes);
    CHECK_INT(rr_journal_decode(bytes.data, bytes.bytes, N_PASSAGES, &none, &diag), RR_E_INPUT);
    CHECK(strstr(diag.text, "found what is no ranking of 35 passages") != NULL);
    rr_buf_destroy(&bytes);
    rr_buf_destroy(&again);
    rr_ranking_destroy(&ranking);
}

static rr_journal_params params_of(const char *path, bool resume) {
    return (rr_journal_params){.path = path,
        .facts = facts,
        .n_facts = 2,
        .queries = candidates.queries,
        .n_queries = candidates.n,
        .resume = resume};
}

/* Ranks all queries through a journal as `rank` does; the run and the log as text. */
static rr_status run(const char *journal_path, bool resume, rr_run_format format, rr_buf *out,
    rr_buf *log, size_t *n_calls, rr_diag *diag) {
    rr_journal *journal = NULL;
    const rr_journal_params params = params_of(journal_path, resume);
    const rr_run_out output = {.format = format, .many = true, .explain = true};
    rr_responder responder = {respond, n_calls};
    rr_status status = RR_OK;
    RR_TRY(rr_journal_open(&params, &journal, diag));
    RR_TRY_GOTO(rr_run_begin(&output, out, diag));
    for (size_t i = 0; i < candidates.n; i++) {
        const rr_query *query = &candidates.queries[i];
        rr_ranking ranking;
        bool found;
        RR_TRY_GOTO(rr_journal_find(journal, query, &ranking, &found, diag));
        if (!found) {
            RR_TRY_GOTO(rr_rank(query, &(rr_rank_params){0}, &responder, &ranking, diag));
            status = rr_journal_store(journal, query, &ranking, diag);
        }
        status = status == RR_OK ? rr_run_query(&output, query, &ranking, i, out, diag) : status;
        status = status == RR_OK ? rr_run_record(query, &ranking, log, diag) : status;
        rr_ranking_destroy(&ranking);
        RR_TRY_GOTO(status);
    }
    RR_TRY_GOTO(rr_run_end(&output, out, diag));
    return rr_journal_finish(&journal, diag);
fail:
    rr_journal_close(&journal);
    return status;
}

/* A child that runs and writes; killed after `us` microseconds unless it was faster. True when it
 * ended by itself. */
static bool run_and_kill(const char *journal_path, const char *out_path, const char *log_path,
    unsigned us, bool kill_it) {
    pid_t child = fork();
    if (child == 0) {
        rr_buf out = {0}, log = {0};
        rr_diag diag = {0};
        size_t n_calls = 0;
        rr_status status = run(journal_path, true, RR_RUN_TABLE, &out, &log, &n_calls, &diag);
        if (status == RR_OK) {
            status = rr_file_write_atomic(out_path, out.data, out.bytes, &diag);
        }
        if (status == RR_OK) {
            status = rr_file_write_atomic(log_path, log.data, log.bytes, &diag);
        }
        if (status != RR_OK) {
            fprintf(stderr, "child: %s\n", diag.text);
        }
        _exit(status == RR_OK ? 0 : 1);
    }
    if (kill_it) {
        usleep(us);
        kill(child, SIGKILL);
    }
    int state = 0;
    CHECK(waitpid(child, &state, 0) == child);
    CHECK_MSG(WIFSIGNALED(state) || WEXITSTATUS(state) == 0, "the child ended with %d",
        WEXITSTATUS(state));
    return WIFEXITED(state);
}

static size_t n_in_journal(const char *path) {
    rr_journal *journal = NULL;
    const rr_journal_params params = params_of(path, true);
    rr_diag diag = {0};
    CHECK_OK(rr_journal_open(&params, &journal, &diag), diag);
    size_t n = journal != NULL ? rr_journal_n_kept(journal) : 0;
    rr_journal_close(&journal);
    return n;
}

static void test_kill(void) {
    rr_buf plain = {0}, plain_log = {0}, out = {0}, log = {0};
    rr_diag diag = {0};
    size_t n_calls = 0, n_kills = 0, n_partial = 0;
    CHECK_OK(
        run(in_folder("plain"), false, RR_RUN_TABLE, &plain, &plain_log, &n_calls, &diag), diag);
    CHECK(access(in_folder("plain"), F_OK) != 0); /* gone with the whole output */
    CHECK(access(in_folder("plain-journal"), F_OK) != 0);
    /* moves to where queries are stored, however fast the machine */
    unsigned seed = 20, most_us = 30000;
    const char *journal = in_folder("killed");
    while (n_kills < 20 || (n_partial < 10 && n_kills < 500)) {
        unsigned us = (unsigned)rand_r(&seed) % most_us;
        if (run_and_kill(journal, in_folder("out"), in_folder("log"), us, true)) {
            most_us -= most_us / 8; /* faster than the blow: the next round starts anew */
            continue;
        }
        n_kills++;
        size_t n = access(journal, F_OK) == 0 ? n_in_journal(journal) : 0;
        n_partial += n > 0 && n < N_QUERIES;
        most_us += n == 0 ? most_us / 8 : 0;
    }
    CHECK_MSG(
        n_partial >= 10, "%zu of %zu kills came while some queries were done", n_partial, n_kills);
    CHECK(run_and_kill(journal, in_folder("out"), in_folder("log"), 0, false));
    CHECK_OK(rr_file_read(in_folder("out"), 1 << 26, &out, &diag), diag);
    CHECK_OK(rr_file_read(in_folder("log"), 1 << 26, &log, &diag), diag);
    CHECK(out.bytes == plain.bytes && memcmp(out.data, plain.data, out.bytes) == 0);
    CHECK(log.bytes == plain_log.bytes && memcmp(log.data, plain_log.data, log.bytes) == 0);
    CHECK(access(journal, F_OK) != 0);
    printf("%zu kills, %zu of them with some queries done\n", n_kills, n_partial);
    rr_buf_destroy(&plain);
    rr_buf_destroy(&plain_log);
    rr_buf_destroy(&out);
    rr_buf_destroy(&log);
}

/* A journal with the first `n` queries. */
static void fill(const char *path, size_t n) {
    rr_journal *journal = NULL;
    rr_diag diag = {0};
    const rr_journal_params params = params_of(path, false);
    CHECK_OK(rr_journal_open(&params, &journal, &diag), diag);
    for (size_t i = 0; i < n; i++) {
        rr_ranking ranking = rank_one(i);
        CHECK_OK(rr_journal_store(journal, &candidates.queries[i], &ranking, &diag), diag);
        rr_ranking_destroy(&ranking);
    }
    rr_journal_close(&journal);
}

static void refuses(const rr_journal_params *params, rr_status expected, const char *says) {
    rr_journal *journal = NULL;
    rr_diag diag = {0};
    CHECK_INT(rr_journal_open(params, &journal, &diag), expected);
    CHECK_MSG(strstr(diag.text, says) != NULL, "found \"%s\", expected \"%s\"", diag.text, says);
    CHECK(journal == NULL);
    rr_journal_close(&journal);
}

static void test_other_runs(void) {
    const char *path = in_folder("other");
    fill(path, 3);
    rr_journal_params params = params_of(path, false);
    refuses(&params, RR_E_INPUT,
        "holds 3 of 40 queries of this very run, finished before it was stopped: --resume goes on");
    const rr_journal_fact changed[] = {{"model", "tiny 4567"}, {"window", "20"}};
    params = params_of(path, true);
    params.facts = changed;
    refuses(&params, RR_E_INPUT,
        "holds 3 finished queries of another run (model: tiny 0123 there, tiny 4567 now): name another");
    const rr_journal_fact more[] = {{"model", "tiny 0123"}, {"window", "20"}, {"seed", "1"}};
    params.facts = more;
    params.n_facts = 3;
    refuses(&params, RR_E_INPUT, "(seed: nothing there, 1 now)");
    params.facts = facts;
    params.n_facts = 1;
    refuses(&params, RR_E_INPUT, "(4 settings there, 3 now)");
    params = params_of(path, true);
    params.n_queries = 39;
    refuses(&params, RR_E_INPUT, "candidates: 40 queries ");
    rr_query other[N_QUERIES];
    memcpy(other, candidates.queries, sizeof other);
    other[39].text = (rr_text){"another question", 16};
    params = params_of(path, true);
    params.queries = other;
    refuses(&params, RR_E_INPUT, "candidates: 40 queries ");
    params.path = "";
    refuses(&params, RR_E_USAGE, "empty name");
    params.path = in_folder("nowhere/journal");
    refuses(&params, RR_E_IO, "nowhere/journal: cannot open: unable to open database file");

    /* two at once */
    rr_journal *first = NULL;
    rr_diag diag = {0};
    params = params_of(path, true);
    CHECK_OK(rr_journal_open(&params, &first, &diag), diag);
    refuses(&params, RR_E_IO, "another process uses it");
    rr_journal_close(&first);
    CHECK_INT(n_in_journal(path), 3);

    /* a journal in which nothing is finished holds nobody up, and is not left behind */
    const char *empty = in_folder("empty");
    params = params_of(empty, false);
    CHECK_OK(rr_journal_open(&params, &first, &diag), diag);
    rr_journal_close(&first);
    CHECK(access(empty, F_OK) != 0);
    CHECK_OK(rr_file_write_atomic(empty, "", 0, &diag), diag);
    CHECK_OK(rr_journal_open(&params, &first, &diag), diag);
    rr_journal_close(&first);
}

static void write_bytes(const char *path, const rr_buf *bytes, size_t n) {
    rr_diag diag = {0};
    CHECK_OK(rr_file_write_atomic(path, bytes->data, n, &diag), diag);
}

/* Opens and reads all: RR_OK only with every ranking right. */
static rr_status read_back(const char *path, size_t n_stored, rr_diag *diag) {
    rr_journal *journal = NULL;
    const rr_journal_params params = params_of(path, true);
    RR_TRY(rr_journal_open(&params, &journal, diag));
    rr_status status = RR_OK;
    size_t n_found = 0;
    for (size_t i = 0; i < n_stored && status == RR_OK; i++) {
        rr_ranking ranking;
        bool found;
        status = rr_journal_find(journal, &candidates.queries[i], &ranking, &found, diag);
        n_found += found;
        rr_ranking_destroy(&ranking);
    }
    CHECK_MSG(status != RR_OK || n_found == n_stored || n_found < n_stored, "%zu found", n_found);
    if (status == RR_OK && n_found < n_stored) {
        status = RR_E_CANCELLED; /* lost without a word */
    }
    rr_journal_close(&journal);
    return status;
}

static void test_damage(void) {
    const char *path = in_folder("damaged");
    fill(path, 12);
    rr_buf whole = {0}, after = {0};
    rr_diag diag = {0};
    CHECK_OK(rr_file_read(path, 1 << 26, &whole, &diag), diag);
    size_t n_refused = 0, n_read = 0, n_lost = 0;
    unsigned seed = 7;
    for (int round = 0; round < 120; round++) {
        rr_buf copy = {0};
        rr_buf_append(&copy, whole.data, whole.bytes);
        size_t n = whole.bytes;
        if (round % 3 == 0) { /* cut */
            n = 1 + (size_t)rand_r(&seed) % (whole.bytes - 1);
        } else if (round % 3 == 1) { /* a run of random bytes */
            size_t at = (size_t)rand_r(&seed) % (whole.bytes - 64);
            for (size_t i = 0; i < 64; i++) {
                copy.data[at + i] = (char)rand_r(&seed);
            }
        } else { /* one bit */
            size_t at = (size_t)rand_r(&seed) % whole.bytes;
            copy.data[at] = (char)(copy.data[at] ^ 1 << rand_r(&seed) % 8);
        }
        write_bytes(path, &copy, n);
        rr_status status = read_back(path, 12, &diag);
        if (status == RR_E_INPUT) {
            n_refused++;
            CHECK_MSG(strstr(diag.text, "damaged") != NULL, "found \"%s\"", diag.text);
            rr_buf_clear(&after);
            CHECK_OK(rr_file_read(path, 1 << 26, &after, &diag), diag);
            CHECK(after.bytes == n && memcmp(after.data, copy.data, n) == 0); /* left as it was */
        } else if (status == RR_OK) {
            n_read++; /* where nothing is kept */
        } else {
            n_lost++;
            printf("round %d: status %d, %s\n", round, (int)status, diag.text);
        }
        rr_buf_destroy(&copy);
        unlink(path);
    }
    printf("damaged 120 times: %zu refused, %zu read whole, %zu lost\n", n_refused, n_read, n_lost);
    CHECK_INT(n_lost, 0);
    CHECK(n_refused >= 40); /* every cut, at the least */
    const rr_journal_params params = params_of(path, true);
    CHECK_OK(rr_file_write_atomic(path, "this is a text of mine\n", 23, &diag), diag);
    refuses(&params, RR_E_INPUT, "damaged, or no journal of rearank (file is not a database)");
    rr_buf_destroy(&whole);
    rr_buf_destroy(&after);
}

/* As on a full disk: the child may write no file beyond a limit. What it had stored is read
 * here. */
static void test_full_disk(void) {
    const char *path = in_folder("full");
    int told[2];
    CHECK(pipe(told) == 0);
    pid_t child = fork();
    if (child == 0) {
        signal(SIGXFSZ, SIG_IGN);
        const struct rlimit limit = {60000, 60000};
        setrlimit(RLIMIT_FSIZE, &limit);
        rr_buf out = {0}, log = {0};
        rr_diag diag = {0};
        size_t n_calls = 0;
        rr_status status = run(path, false, RR_RUN_TREC, &out, &log, &n_calls, &diag);
        bool ok = write(told[1], diag.text, sizeof diag.text) == (ssize_t)sizeof diag.text;
        _exit(ok ? (int)status : 99);
    }
    char message[1024] = "";
    CHECK(read(told[0], message, sizeof message) == (ssize_t)sizeof message);
    int state = 0;
    CHECK(waitpid(child, &state, 0) == child);
    CHECK_INT(WEXITSTATUS(state), RR_E_IO);
    CHECK_MSG(strstr(message, "full: cannot keep a ranking: ") != NULL, "found \"%s\"", message);
    size_t n = n_in_journal(path);
    rr_diag diag = {0};
    CHECK_MSG(n > 0 && n < N_QUERIES, "%zu queries", n);
    CHECK_OK(read_back(path, n, &diag), diag);
    close(told[0]);
    close(told[1]);
}

static void test_cache(void) {
    rr_journal *cache = NULL, *other = NULL;
    rr_diag diag = {0};
    rr_journal_params params = {.path = in_folder("cache"), .facts = facts, .n_facts = 2};
    CHECK_OK(rr_journal_open_cache(&params, &cache, &diag), diag);
    rr_ranking ranking = rank_one(0), back;
    bool found = true;
    CHECK_OK(rr_journal_find(cache, &candidates.queries[0], &back, &found, &diag), diag);
    CHECK(!found && back.n == 0);
    CHECK_OK(rr_journal_store(cache, &candidates.queries[0], &ranking, &diag), diag);
    /* by another process at the same time */
    CHECK_OK(rr_journal_open_cache(&params, &other, &diag), diag);
    /* the same question under another qid */
    CHECK_OK(rr_journal_find(other, &candidates.queries[7], &back, &found, &diag), diag);
    CHECK(found);
    check_same(&ranking, &back);
    rr_ranking_destroy(&back);
    CHECK_OK(rr_journal_has(other, &candidates.queries[0], &found, &diag), diag);
    CHECK(found);
    CHECK_OK(rr_journal_has(other, &candidates.queries[1], &found, &diag), diag);
    CHECK(!found);
    CHECK_OK(rr_journal_store(other, &candidates.queries[1], &ranking, &diag), diag);
    CHECK_OK(rr_journal_has(cache, &candidates.queries[1], &found, &diag), diag);
    CHECK(found);
    rr_query swapped = candidates.queries[0];
    rr_passage passages[N_PASSAGES];
    memcpy(passages, swapped.passages, sizeof passages);
    passages[0] = swapped.passages[1];
    passages[1] = swapped.passages[0];
    swapped.passages = passages;
    CHECK_OK(rr_journal_has(cache, &swapped, &found, &diag), diag);
    CHECK(!found);
    rr_journal_close(&other);
    const rr_journal_fact changed[] = {{"model", "tiny 4567"}, {"window", "20"}};
    params.facts = changed;
    CHECK_OK(rr_journal_open_cache(&params, &other, &diag), diag);
    CHECK_OK(rr_journal_has(other, &candidates.queries[0], &found, &diag), diag);
    CHECK(!found);
    rr_journal_close(&other);
    rr_journal_close(&cache);
    CHECK(access(in_folder("cache"), F_OK) == 0);
    rr_ranking_destroy(&ranking);
}

static void test_facts(void) {
    rr_buf one = {0}, other = {0};
    rr_diag diag = {0};
    CHECK_OK(rr_prompt_fact(RR_PROMPT_REARANK, &one, &diag), diag);
    CHECK_OK(rr_prompt_fact(RR_PROMPT_RANKGPT, &other, &diag), diag);
    CHECK(strcmp(one.data, other.data) != 0);
    rr_buf_clear(&one);
    rr_buf_clear(&other);
    const char *path = in_folder("model");
    for (uint64_t seed = 0; seed < 2; seed++) {
        rr_source *source = NULL;
        CHECK_OK(rr_synth_write(&(rr_synth){.seed = seed}, path, &diag), diag);
        CHECK_OK(rr_source_open(path, &source, &diag), diag);
        CHECK_OK(rr_digest_model(source, seed == 0 ? &one : &other, &diag), diag);
        rr_source_close(&source);
    }
    CHECK(strcmp(one.data, other.data) != 0);
    rr_buf_destroy(&one);
    rr_buf_destroy(&other);
}

int main(void) {
    rr_test_folder(folder, sizeof folder);
    make_candidates();
    test_code();
    test_late();
    test_facts();
    test_other_runs();
    test_cache();
    test_damage();
    test_full_disk();
    test_kill();
    rr_candidates_destroy(&candidates);
    char command[300];
    snprintf(command, sizeof command, "rm -r '%s'", folder);
    CHECK(system(command) == 0);
    return CHECK_END();
}
