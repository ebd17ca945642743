#include "rerank/learn/fit_store.h"

#include <sqlite3.h>
#include <stdlib.h>
#include <string.h>

#include "rerank/data/digest.h"
#include "runtime/base/hash.h"

enum { APPLICATION_ID = 0x52524631, KEY_BYTES = 16 };

static const char schema[] = "CREATE TABLE reading (key BLOB PRIMARY KEY, content BLOB NOT NULL)";

struct rr_fit_store {
    sqlite3 *db;
    sqlite3_stmt *find, *keep;
    char *path;
    uint64_t about[2]; /* digest */
    rr_read_shape shape;
};

static rr_status fail_db(const rr_fit_store *store, const char *doing, rr_diag *diag) {
    const int code = sqlite3_errcode(store->db) & 0xFF;
    switch (code) {
    case SQLITE_NOMEM:
        return rr_fail(diag, RR_E_MEMORY, "%s: out of memory", store->path);
    case SQLITE_NOTADB:
    case SQLITE_CORRUPT:
        return rr_fail(diag, RR_E_INPUT,
            "%s: damaged, or no file of readings (%s): move it away, or remove it to start over",
            store->path, sqlite3_errmsg(store->db));
    case SQLITE_BUSY:
    case SQLITE_LOCKED:
        return rr_fail(diag, RR_E_IO, "%s: another process uses it", store->path);
    default:
        return rr_fail(
            diag, RR_E_IO, "%s: cannot %s: %s", store->path, doing, sqlite3_errmsg(store->db));
    }
}

static rr_status run(rr_fit_store *store, const char *sql, const char *doing, rr_diag *diag) {
    return sqlite3_exec(store->db, sql, NULL, NULL, NULL) == SQLITE_OK
        ? RR_OK
        : fail_db(store, doing, diag);
}

static rr_status ask(rr_fit_store *store, const char *sql, int64_t *out, rr_diag *diag) {
    sqlite3_stmt *statement = NULL;
    int code = sqlite3_prepare_v2(store->db, sql, -1, &statement, NULL);
    code = code == SQLITE_OK ? sqlite3_step(statement) : code;
    *out = code == SQLITE_ROW ? sqlite3_column_int64(statement, 0) : 0;
    const rr_status status =
        code == SQLITE_ROW || code == SQLITE_DONE ? RR_OK : fail_db(store, "read", diag);
    sqlite3_finalize(statement);
    return status;
}

/* Makes the table in a new file, refuses a file that is something else. Within a transaction: a
 * file that is killed here is new again. */
static rr_status check_file(rr_fit_store *store, rr_diag *diag) {
    int64_t id, n;
    RR_TRY(ask(store, "PRAGMA application_id", &id, diag));
    RR_TRY(ask(store, "SELECT count(*) FROM sqlite_schema WHERE sql IS NOT NULL", &n, diag));
    if (id == 0 && n == 0) {
        char *sql = sqlite3_mprintf("%s; PRAGMA application_id = %d", schema, APPLICATION_ID);
        const rr_status status = sql != NULL
            ? run(store, sql, "begin", diag)
            : rr_fail(diag, RR_E_MEMORY, "%s: out of memory", store->path);
        sqlite3_free(sql);
        return status;
    }
    char *sql = sqlite3_mprintf("SELECT count(*) FROM sqlite_schema WHERE sql = %Q", schema);
    int64_t n_ours = 0;
    rr_status status = sql != NULL ? ask(store, sql, &n_ours, diag)
                                   : rr_fail(diag, RR_E_MEMORY, "%s: out of memory", store->path);
    sqlite3_free(sql);
    if (status == RR_OK && (id != APPLICATION_ID || n != 1 || n_ours != 1)) {
        status = rr_fail(diag, RR_E_INPUT,
            "%s: not a file of readings of rearank: move it away, or name another", store->path);
    }
    return status;
}

static rr_status open_db(rr_fit_store *store, rr_diag *diag) {
    /* no name has a meaning of its own */
    char *name = sqlite3_mprintf("%s%s", store->path[0] == '/' ? "" : "./", store->path);
    const int code = name != NULL
        ? sqlite3_open_v2(name, &store->db, SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE, NULL)
        : SQLITE_NOMEM;
    sqlite3_free(name);
    if (store->db == NULL) {
        return rr_fail(diag, RR_E_MEMORY, "%s: out of memory", store->path);
    }
    if (code != SQLITE_OK) {
        return fail_db(store, "open", diag);
    }
    sqlite3_db_config(store->db, SQLITE_DBCONFIG_DEFENSIVE, 1, NULL);
    sqlite3_db_config(store->db, SQLITE_DBCONFIG_TRUSTED_SCHEMA, 0, NULL);
    /* the lock that the transaction takes stays until the file is closed */
    RR_TRY(
        run(store, "PRAGMA cell_size_check = ON; PRAGMA locking_mode = EXCLUSIVE; BEGIN EXCLUSIVE",
            "open", diag));
    RR_TRY(check_file(store, diag));
    RR_TRY(run(store, "COMMIT", "begin", diag));
    const bool ok = sqlite3_prepare_v2(store->db, "SELECT content FROM reading WHERE key = ?", -1,
                        &store->find, NULL) == SQLITE_OK &&
        sqlite3_prepare_v2(store->db, "INSERT OR REPLACE INTO reading VALUES (?, ?)", -1,
            &store->keep, NULL) == SQLITE_OK;
    return ok ? RR_OK : fail_db(store, "read", diag);
}

rr_status rr_fit_store_open(const char *path, const char *about, const rr_read_shape *shape,
    rr_fit_store **out, rr_diag *diag) {
    rr_fit_store *store = calloc(1, sizeof *store);
    char *copy = rr_text_copy(path);
    if (store == NULL || copy == NULL) {
        free(store);
        free(copy);
        return rr_fail(diag, RR_E_MEMORY, "out of memory");
    }
    store->path = copy;
    store->shape = *shape;
    rr_digest_text(store->about, (rr_text){about, strlen(about)});
    const rr_status status = open_db(store, diag);
    if (status != RR_OK) {
        rr_fit_store_close(&store);
        return status;
    }
    *out = store;
    return RR_OK;
}

void rr_fit_store_close(rr_fit_store **pointer) {
    rr_fit_store *store = *pointer;
    if (store == NULL) {
        return;
    }
    sqlite3_finalize(store->find);
    sqlite3_finalize(store->keep);
    sqlite3_close(store->db);
    free(store->path);
    free(store);
    *pointer = NULL;
}

static void key_of(const rr_fit_store *store, const rr_fit_window *window, uint8_t key[KEY_BYTES]) {
    uint64_t hash[2] = {store->about[0], store->about[1]};
    rr_digest_text(hash, window->query->text);
    for (uint32_t i = 0; i < window->n; i++) {
        const rr_passage *passage = &window->query->passages[window->passages[i]];
        rr_digest_text(hash, passage->title);
        rr_digest_text(hash, passage->text);
    }
    for (int i = 0; i < KEY_BYTES; i++) {
        key[i] = (uint8_t)(hash[i / 8] >> 8 * (i % 8));
    }
}

/* An entry: lengths, masses, states, then a checksum of them. Little-endian machines only write
 * what they read. */
static size_t entry_bytes(const rr_fit_store *store, uint32_t n) {
    return (n + rr_read_n_mass(&store->shape, n) + rr_read_n_states(&store->shape, n)) * 4;
}

rr_status rr_fit_store_find(rr_fit_store *store, const rr_fit_window *window, rr_read_features *out,
    bool *found, rr_diag *diag) {
    uint8_t key[KEY_BYTES];
    *found = false;
    *out = (rr_read_features){0};
    key_of(store, window, key);
    sqlite3_bind_blob(store->find, 1, key, KEY_BYTES, SQLITE_STATIC);
    const int code = sqlite3_step(store->find);
    rr_status status =
        code == SQLITE_ROW || code == SQLITE_DONE ? RR_OK : fail_db(store, "read", diag);
    const size_t bytes = entry_bytes(store, window->n);
    if (code == SQLITE_ROW &&
        (size_t)sqlite3_column_bytes(store->find, 0) == bytes + sizeof(uint64_t)) {
        const char *at = sqlite3_column_blob(store->find, 0);
        uint64_t sum;
        memcpy(&sum, at + bytes, sizeof sum);
        if (sum == rr_hash(0, at, bytes)) {
            status = rr_read_features_make(&store->shape, window->n, out, diag);
            *found = status == RR_OK;
        }
        if (*found) {
            memcpy(out->lengths, at, window->n * 4);
            memcpy(out->mass, at += window->n * 4, rr_read_n_mass(&store->shape, window->n) * 4);
            memcpy(out->states, at + rr_read_n_mass(&store->shape, window->n) * 4,
                rr_read_n_states(&store->shape, window->n) * 4);
        }
    }
    sqlite3_reset(store->find);
    return status;
}

rr_status rr_fit_store_keep(rr_fit_store *store, const rr_fit_window *window,
    const rr_read_features *features, rr_diag *diag) {
    uint8_t key[KEY_BYTES];
    rr_buf content = {0};
    key_of(store, window, key);
    rr_buf_append(&content, features->lengths, features->n * sizeof *features->lengths);
    rr_buf_append(&content, features->mass,
        rr_read_n_mass(&store->shape, features->n) * sizeof *features->mass);
    rr_buf_append(&content, features->states,
        rr_read_n_states(&store->shape, features->n) * sizeof *features->states);
    const uint64_t sum = content.failed ? 0 : rr_hash(0, content.data, content.bytes);
    rr_buf_append(&content, &sum, sizeof sum);
    rr_status status = RR_OK;
    if (content.failed) {
        status = rr_fail(diag, RR_E_MEMORY, "out of memory for what is read of a window");
        goto fail;
    }
    sqlite3_bind_blob(store->keep, 1, key, KEY_BYTES, SQLITE_STATIC);
    sqlite3_bind_blob(store->keep, 2, content.data, (int)content.bytes, SQLITE_STATIC);
    status = sqlite3_step(store->keep) == SQLITE_DONE ? RR_OK : fail_db(store, "write", diag);
    sqlite3_reset(store->keep);
    sqlite3_clear_bindings(store->keep);
fail:
    rr_buf_destroy(&content);
    return status;
}
