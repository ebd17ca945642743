/* The store of what was read: found again by content, by another process too; damage is read anew;
 * other files stay as they are. */
#define _POSIX_C_SOURCE 200809L
#include "runtime/base/file_out.h"
#include "tests/check.h"

#include <signal.h>
#include <sqlite3.h>
#include <sys/wait.h>
#include <unistd.h>

#include "rerank/learn/fit_store.h"
#include "runtime/base/file.h"
#include "tests/support/folder.h"

enum { N = 3 };
static const rr_read_shape shape = {.first_layer = 1,
    .end_layer = 3,
    .n_heads = 2,
    .state_layers = {2},
    .n_state_layers = 1,
    .d_model = 5};
static char folder[200];
static rr_passage passages[N + 1];
static const rr_query query = {
    .qid = "q", .text = {"a query", 7}, .passages = passages, .n = N + 1};

static const char *in_folder(const char *name) {
    static char paths[8][300];
    static int next;
    char *path = paths[next++ % 8];
    snprintf(path, sizeof paths[0], "%s/%s", folder, name);
    return path;
}

static rr_fit_store *open_store(const char *path, const char *about) {
    rr_fit_store *store = NULL;
    rr_diag diag = {0};
    CHECK_OK(rr_fit_store_open(path, about, &shape, &store, &diag), diag);
    return store;
}

static rr_read_features make(uint32_t n, float first) {
    rr_read_features f;
    rr_diag diag = {0};
    CHECK_OK(rr_read_features_make(&shape, n, &f, &diag), diag);
    for (uint32_t i = 0; i < n; i++) {
        f.lengths[i] = i * 1000003u;
    }
    for (size_t i = 0; i < rr_read_n_mass(&shape, n); i++) {
        f.mass[i] = first + (float)i / 3;
    }
    for (size_t i = 0; i < rr_read_n_states(&shape, n); i++) {
        f.states[i] = first - (float)i * 1e20f;
    }
    return f;
}

static bool is_found(
    rr_fit_store *store, const rr_fit_window *window, const rr_read_features *expected) {
    rr_read_features found;
    rr_diag diag = {0};
    bool is = true;
    CHECK_OK(rr_fit_store_find(store, window, &found, &is, &diag), diag);
    if (is) {
        CHECK(expected != NULL && found.n == window->n &&
            memcmp(found.lengths, expected->lengths, found.n * sizeof *found.lengths) == 0 &&
            memcmp(found.mass, expected->mass,
                rr_read_n_mass(&shape, found.n) * sizeof *found.mass) == 0 &&
            memcmp(found.states, expected->states,
                rr_read_n_states(&shape, found.n) * sizeof *found.states) == 0);
    } else {
        CHECK(found.n == 0 && found.lengths == NULL && found.mass == NULL && found.states == NULL);
    }
    rr_read_features_destroy(&found);
    return is;
}

static rr_fit_window window_of(uint32_t *order, uint32_t n) {
    return (rr_fit_window){.query = &query, .n = n, .passages = order};
}

static void check_content(void) {
    const char *path = in_folder("content");
    uint32_t order[] = {0, 1, 2}, turned[] = {2, 1, 0}, same[] = {0, 1, 3}, fewer[] = {0, 1};
    const rr_fit_window w = window_of(order, N), other = window_of(turned, N),
                        less = window_of(fewer, 2);
    rr_read_features f = make(N, 0.5f), g = make(N, -7), h = make(2, 9);
    rr_diag diag = {0};
    rr_fit_store *store = open_store(path, "model a");
    CHECK(!is_found(store, &w, NULL));
    CHECK_OK(rr_fit_store_keep(store, &w, &f, &diag), diag);
    CHECK_OK(rr_fit_store_keep(store, &less, &h, &diag), diag);
    CHECK(is_found(store, &w, &f) && is_found(store, &less, &h) && !is_found(store, &other, NULL));
    CHECK_OK(rr_fit_store_keep(store, &w, &g, &diag), diag); /* in its place */
    CHECK(is_found(store, &w, &g));
    CHECK_OK(rr_fit_store_keep(store, &w, &f, &diag), diag);
    rr_fit_store_close(&store);
    CHECK(store == NULL);
    rr_fit_store_close(&store);

    store = open_store(path, "model a");
    CHECK(is_found(store, &w, &f) && is_found(store, &less, &h));
    /* ids do not count: passage 3 has the text of 2 */
    const rr_fit_window by_text = window_of(same, N);
    CHECK(is_found(store, &by_text, &f));
    rr_query asked = query;
    rr_fit_window elsewhere = w;
    elsewhere.query = &asked;
    asked.qid = "another";
    CHECK(is_found(store, &elsewhere, &f));
    asked.text = (rr_text){"a quer", 6};
    CHECK(!is_found(store, &elsewhere, NULL));
    rr_passage changed[N + 1];
    memcpy(changed, passages, sizeof changed);
    asked = query;
    asked.passages = changed;
    CHECK(is_found(store, &elsewhere, &f));
    changed[1].title = (rr_text){"t", 1};
    CHECK(!is_found(store, &elsewhere, NULL));
    changed[1].title = (rr_text){"", 0};
    changed[0].text = (rr_text){"text 0t", 7}; /* texts side by side do not run into each other */
    changed[1].text = (rr_text){"ext 1", 5};
    CHECK(!is_found(store, &elsewhere, NULL));
    rr_fit_store_close(&store);
    store = open_store(path, "model b");
    CHECK(!is_found(store, &w, NULL) && !is_found(store, &less, NULL));
    rr_fit_store_close(&store);
    store = open_store(path, "model a");
    CHECK(is_found(store, &w, &f));
    rr_fit_store_close(&store);
    rr_read_features_destroy(&f);
    rr_read_features_destroy(&g);
    rr_read_features_destroy(&h);
}

static void run_sql(const char *path, const char *sql) {
    sqlite3 *db = NULL;
    char *error = NULL;
    CHECK(sqlite3_open(path, &db) == SQLITE_OK);
    CHECK_MSG(sqlite3_exec(db, sql, NULL, NULL, &error) == SQLITE_OK, "%s: %s", sql,
        error != NULL ? error : "");
    sqlite3_free(error);
    sqlite3_close(db);
}

/* Contents that were changed, cut or made longer are as good as absent, and are replaced. */
static void check_damage(void) {
    static const char *const blows[] = {
        "UPDATE reading SET content = CAST(substr(content, 1, 40) || x'5A' || substr(content, 42) AS BLOB)",
        "UPDATE reading SET content = CAST(x'FFFFFFFF' || substr(content, 5) AS BLOB)",
        "UPDATE reading SET content = CAST(substr(content, 1, length(content) - 1) || x'00' AS BLOB)",
        "UPDATE reading SET content = substr(content, 1, length(content) - 4)",
        "UPDATE reading SET content = CAST(content || x'00000000' AS BLOB)",
        "UPDATE reading SET content = x''",
        "UPDATE reading SET content = 'text'",
        "UPDATE reading SET content = 17",
    };
    const char *path = in_folder("damage");
    uint32_t order[] = {1, 0, 2};
    const rr_fit_window w = window_of(order, N);
    rr_read_features f = make(N, 2);
    rr_diag diag = {0};
    for (size_t i = 0; i < sizeof blows / sizeof blows[0]; i++) {
        rr_fit_store *store = open_store(path, "a");
        CHECK_OK(rr_fit_store_keep(store, &w, &f, &diag), diag);
        CHECK(is_found(store, &w, &f));
        rr_fit_store_close(&store);
        run_sql(path, blows[i]);
        store = open_store(path, "a");
        CHECK_MSG(!is_found(store, &w, NULL), "%s", blows[i]);
        CHECK_OK(rr_fit_store_keep(store, &w, &f, &diag), diag);
        CHECK(is_found(store, &w, &f));
        rr_fit_store_close(&store);
    }
    rr_read_features_destroy(&f);
}

static void read_file(const char *path, rr_buf *out) {
    rr_diag diag = {0};
    rr_buf_clear(out);
    CHECK_OK(rr_file_read(path, 1 << 20, out, &diag), diag);
}

/* What is no store of ours is refused with the status, and stays as it was. */
static void check_refused(const char *path, rr_status expected, const char *says) {
    rr_fit_store *store = NULL;
    rr_diag diag = {0};
    rr_buf before = {0}, after = {0};
    read_file(path, &before);
    CHECK_INT(rr_fit_store_open(path, "a", &shape, &store, &diag), expected);
    CHECK(store == NULL);
    CHECK_MSG(strstr(diag.text, path) != NULL && strstr(diag.text, says) != NULL, "%s", diag.text);
    read_file(path, &after);
    CHECK(before.bytes == after.bytes && memcmp(before.data, after.data, before.bytes) == 0);
    rr_buf_destroy(&before);
    rr_buf_destroy(&after);
}

static void check_others(void) {
    rr_diag diag = {0};
    rr_fit_store *store = NULL;
    char junk[2000];
    memset(junk, 'x', sizeof junk);
    const char *path = in_folder("junk");
    CHECK_OK(rr_file_write_atomic(path, junk, sizeof junk, &diag), diag);
    check_refused(path, RR_E_INPUT, "damaged, or no file of readings");
    path = in_folder("other.sqlite");
    run_sql(path, "CREATE TABLE mine (a); INSERT INTO mine VALUES (1)");
    check_refused(path, RR_E_INPUT, "not a file of readings of rearank");
    path = in_folder("marked.sqlite");
    run_sql(path, "PRAGMA application_id = 1234");
    check_refused(path, RR_E_INPUT, "not a file of readings of rearank");
    path = in_folder("trigger");
    store = open_store(path, "a");
    rr_fit_store_close(&store);
    run_sql(path, "CREATE TRIGGER t AFTER INSERT ON reading BEGIN DELETE FROM reading; END");
    check_refused(path, RR_E_INPUT, "not a file of readings of rearank");
    path = in_folder("view");
    /* 0x52524631 */
    run_sql(path,
        "PRAGMA application_id = 1381124657; CREATE VIEW reading AS SELECT 1 AS key, 2 AS content");
    check_refused(path, RR_E_INPUT, "not a file of readings of rearank");
    path = in_folder("cut");
    store = open_store(path, "a");
    rr_fit_store_close(&store);
    CHECK(truncate(path, 700) == 0);
    check_refused(path, RR_E_INPUT, "");
    CHECK_INT(rr_fit_store_open(in_folder("nowhere/store"), "a", &shape, &store, &diag), RR_E_IO);
    CHECK_MSG(strstr(diag.text, "nowhere/store") != NULL, "%s", diag.text);
    CHECK_INT(rr_fit_store_open(folder, "a", &shape, &store, &diag), RR_E_IO);
    path = in_folder("empty"); /* an empty file is a new one */
    CHECK_OK(rr_file_write_atomic(path, "", 0, &diag), diag);
    store = open_store(path, "a");
    rr_fit_store_close(&store);
}

/* One process at a time: the second is told at once. */
static void check_alone(void) {
    const char *path = in_folder("alone");
    rr_fit_store *store = open_store(path, "a"), *second = NULL;
    rr_fit_store_close(&store);
    store = open_store(path, "a"); /* now the file is there already, and nothing is written to it */
    const pid_t child = fork();
    if (child == 0) {
        rr_diag diag = {0};
        const rr_status status = rr_fit_store_open(path, "a", &shape, &second, &diag);
        _exit(status == RR_E_IO && strstr(diag.text, "another process uses it") != NULL ? 0 : 1);
    }
    int code = 1;
    CHECK(child > 0 && waitpid(child, &code, 0) == child);
    CHECK_INT(code, 0);
    uint32_t order[] = {0, 1, 2};
    const rr_fit_window w = window_of(order, N);
    rr_read_features f = make(N, 3);
    rr_diag diag = {0};
    CHECK_OK(rr_fit_store_keep(store, &w, &f, &diag), diag);
    CHECK(is_found(store, &w, &f));
    rr_fit_store_close(&store);
    rr_read_features_destroy(&f);
}

/* What was kept before a process was killed is there; the file opens. */
static void check_killed(void) {
    const char *path = in_folder("killed");
    enum { MOST = 60 };
    uint32_t orders[MOST][N];
    rr_read_features f = make(N, 4);
    for (uint32_t i = 0; i < MOST; i++) {
        orders[i][0] = i % 3;
        orders[i][1] = i / 3 % 3;
        orders[i][2] = i / 9 % 3;
    }
    for (int round = 0; round < 10; round++) {
        int pipes[2];
        CHECK(pipe(pipes) == 0);
        const pid_t child = fork();
        if (child == 0) {
            rr_diag diag = {0};
            rr_fit_store *store = NULL;
            rr_status status = rr_fit_store_open(path, "a", &shape, &store, &diag);
            for (uint32_t i = 0; i < MOST && status == RR_OK; i++) {
                const rr_fit_window w = window_of(orders[i], N);
                status = rr_fit_store_keep(store, &w, &f, &diag);
                if (status == RR_OK && write(pipes[1], "k", 1) != 1) {
                    status = RR_E_IO;
                }
            }
            _exit(status == RR_OK ? 0 : 1);
        }
        close(pipes[1]);
        uint32_t n_kept = 0;
        char byte;
        while (n_kept < (uint32_t)round * 2 && read(pipes[0], &byte, 1) == 1) {
            n_kept++;
        }
        kill(child, SIGKILL);
        while (read(pipes[0], &byte, 1) == 1) {
            n_kept++;
        }
        int code;
        CHECK(waitpid(child, &code, 0) == child);
        close(pipes[0]);
        rr_fit_store *store = open_store(path, "a");
        for (uint32_t i = 0; i < n_kept; i++) {
            const rr_fit_window w = window_of(orders[i], N);
            CHECK_MSG(
                is_found(store, &w, &f), "round %d: entry %u of %u is gone", round, i, n_kept);
        }
        rr_fit_store_close(&store);
    }
    rr_read_features_destroy(&f);
}

int main(void) {
    char command[300];
    static const char *const texts[] = {"text 0", "text 1", "text 2", "text 2"};
    static const char *const ids[] = {"a", "b", "c", "d"};
    for (int i = 0; i <= N; i++) {
        passages[i] = (rr_passage){.id = ids[i], .title = {"", 0}, .text = {texts[i], 6}};
    }
    rr_test_folder(folder, sizeof folder);
    check_content();
    check_damage();
    check_others();
    check_alone();
    check_killed();
    snprintf(command, sizeof command, "rm -rf '%s'", folder);
    CHECK(system(command) == 0);
    return CHECK_END();
}
