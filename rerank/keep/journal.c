#include "rerank/keep/journal.h"

#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "rerank/data/digest.h"
#include "rerank/keep/journal_code.h"
#include "runtime/base/file.h"

enum { APPLICATION_ID = 0x52524A31, CACHE_WAIT_MS = 30000, KEY_BYTES = 16 };

static const char *const schema[] = {
    "CREATE TABLE fact (name TEXT PRIMARY KEY, value TEXT NOT NULL)",
    "CREATE TABLE ranking (key BLOB PRIMARY KEY, qid TEXT NOT NULL, content BLOB NOT NULL)",
};
enum { N_TABLES = sizeof schema / sizeof schema[0] };

struct rr_journal {
    sqlite3 *db;
    sqlite3_stmt *has, *find, *store;
    char *path;        /* as given, for messages */
    uint64_t facts[2]; /* digest of the facts */
    bool is_cache;
    bool is_ours; /* opened: an empty journal goes with it */
    size_t n_found, n_stored;
};

static void key_of(const rr_journal *journal, const rr_query *query, uint8_t key[KEY_BYTES]) {
    uint64_t hash[2] = {journal->facts[0], journal->facts[1]};
    rr_digest_query(hash, query, !journal->is_cache);
    for (int i = 0; i < KEY_BYTES; i++) {
        key[i] = (uint8_t)(hash[i / 8] >> 8 * (i % 8));
    }
}

/* SQLite */

static rr_status fail_damaged(const rr_journal *journal, const char *what, rr_diag *diag) {
    return rr_fail(diag, RR_E_INPUT,
        "%s: damaged, or no %s of rearank (%s); nothing in it was changed: move it away, or remove it to start "
        "over",
        journal->path, journal->is_cache ? "cache" : "journal", what);
}

/* What SQLite says of its last failure, as ours. */
static rr_status fail_db(const rr_journal *journal, const char *doing, rr_diag *diag) {
    int code = sqlite3_errcode(journal->db) & 0xFF, os = sqlite3_system_errno(journal->db);
    switch (code) {
    case SQLITE_NOMEM:
        return rr_fail(diag, RR_E_MEMORY, "%s: out of memory", journal->path);
    case SQLITE_NOTADB:
    case SQLITE_CORRUPT:
        return fail_damaged(journal, sqlite3_errmsg(journal->db), diag);
    case SQLITE_BUSY:
    case SQLITE_LOCKED:
        return rr_fail(diag, RR_E_IO, "%s: another process uses it", journal->path);
    default:
        return rr_fail(diag, RR_E_IO, "%s: cannot %s: %s%s%s", journal->path, doing,
            sqlite3_errmsg(journal->db), code == SQLITE_IOERR && os != 0 ? ": " : "",
            code == SQLITE_IOERR && os != 0 ? strerror(os) : "");
    }
}

static rr_status run(rr_journal *journal, const char *sql, const char *doing, rr_diag *diag) {
    return sqlite3_exec(journal->db, sql, NULL, NULL, NULL) == SQLITE_OK
        ? RR_OK
        : fail_db(journal, doing, diag);
}

/* The first column of the first row as a number; 0 when there is no row. */
static rr_status ask(rr_journal *journal, const char *sql, int64_t *out, rr_diag *diag) {
    sqlite3_stmt *statement = NULL;
    int code = sqlite3_prepare_v2(journal->db, sql, -1, &statement, NULL);
    code = code == SQLITE_OK ? sqlite3_step(statement) : code;
    *out = code == SQLITE_ROW ? sqlite3_column_int64(statement, 0) : 0;
    rr_status status =
        code == SQLITE_ROW || code == SQLITE_DONE ? RR_OK : fail_db(journal, "read", diag);
    sqlite3_finalize(statement);
    return status;
}

/* Whether it is a file of ours and whole. *is_new: it holds nothing at all. */
static rr_status check_file(rr_journal *journal, bool *is_new, rr_diag *diag) {
    int64_t id, n;
    RR_TRY(ask(journal, "PRAGMA application_id", &id, diag));
    RR_TRY(ask(journal, "SELECT count(*) FROM sqlite_schema", &n, diag));
    *is_new = id == 0 && n == 0;
    if (*is_new) {
        return RR_OK;
    }
    for (size_t i = 0; i < N_TABLES && id == APPLICATION_ID; i++) {
        char *sql = sqlite3_mprintf("SELECT count(*) FROM sqlite_schema WHERE sql = %Q", schema[i]);
        rr_status status = sql != NULL
            ? ask(journal, sql, &n, diag)
            : rr_fail(diag, RR_E_MEMORY, "%s: out of memory", journal->path);
        sqlite3_free(sql);
        RR_TRY(status);
        id = n == 1 ? id : 0;
    }
    /* the tables and the indices of their keys, no triggers and views that would run when we
     * write */
    RR_TRY(ask(journal, "SELECT count(*) FROM sqlite_schema WHERE sql IS NOT NULL", &n, diag));
    if (id != APPLICATION_ID || n != N_TABLES) {
        return fail_damaged(journal, "other tables", diag);
    }
    if (!journal->is_cache) { /* a cache may be large; its rankings are checked one by one */
        RR_TRY(
            ask(journal, "SELECT integrity_check = 'ok' FROM pragma_integrity_check(1)", &n, diag));
        return n == 1 ? RR_OK : fail_damaged(journal, "its pages do not fit together", diag);
    }
    return RR_OK;
}

static rr_status make_tables(rr_journal *journal, rr_diag *diag) {
    char id[64];
    snprintf(id, sizeof id, "PRAGMA application_id = %d", APPLICATION_ID);
    RR_TRY(run(
        journal, "DROP TABLE IF EXISTS fact; DROP TABLE IF EXISTS ranking", "begin anew", diag));
    for (size_t i = 0; i < N_TABLES; i++) {
        RR_TRY(run(journal, schema[i], "begin", diag));
    }
    return run(journal, id, "begin", diag);
}

static rr_status prepare(rr_journal *journal, rr_diag *diag) {
    sqlite3 *db = journal->db;
    bool ok = sqlite3_prepare_v2(db, "SELECT 1 FROM ranking WHERE key = ?", -1, &journal->has,
                  NULL) == SQLITE_OK &&
        sqlite3_prepare_v2(db, "SELECT content FROM ranking WHERE key = ?", -1, &journal->find,
            NULL) == SQLITE_OK &&
        sqlite3_prepare_v2(db, "INSERT OR REPLACE INTO ranking VALUES (?, ?, ?)", -1,
            &journal->store, NULL) == SQLITE_OK;
    return ok ? RR_OK : fail_db(journal, "read", diag);
}

/* Opens the database and takes hold of it: a journal for as long as it is open, a cache for what is
 * being done. */
static rr_status open_db(rr_journal *journal, rr_diag *diag) {
    /* no name has a meaning of its own */
    char *name = sqlite3_mprintf("%s%s", journal->path[0] == '/' ? "" : "./", journal->path);
    int code = name != NULL
        ? sqlite3_open_v2(name, &journal->db, SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE, NULL)
        : SQLITE_NOMEM;
    sqlite3_free(name);
    if (journal->db == NULL) {
        return rr_fail(diag, RR_E_MEMORY, "%s: out of memory", journal->path);
    }
    if (code != SQLITE_OK) {
        return fail_db(journal, "open", diag);
    }
    sqlite3_extended_result_codes(journal->db, 1);
    sqlite3_busy_timeout(journal->db, journal->is_cache ? CACHE_WAIT_MS : 0);
    sqlite3_db_config(journal->db, SQLITE_DBCONFIG_DEFENSIVE, 1, NULL);
    sqlite3_db_config(journal->db, SQLITE_DBCONFIG_TRUSTED_SCHEMA, 0, NULL);
    return run(journal,
        journal->is_cache ? "PRAGMA cell_size_check = ON"
                          : "PRAGMA cell_size_check = ON; PRAGMA locking_mode = EXCLUSIVE",
        "open", diag);
}

/* Facts */

/* Of the journal that lies there: what differs from `facts`, as text; nothing when all is the
 * same. */
static rr_status compare_facts(
    rr_journal *journal, const rr_journal_fact *facts, size_t n, rr_buf *differs, rr_diag *diag) {
    sqlite3_stmt *statement = NULL;
    rr_status status = RR_OK;
    int64_t n_there;
    RR_TRY(ask(journal, "SELECT count(*) FROM fact", &n_there, diag));
    if (sqlite3_prepare_v2(journal->db, "SELECT value FROM fact WHERE name = ?", -1, &statement,
            NULL) != SQLITE_OK) {
        return fail_db(journal, "read", diag);
    }
    for (size_t i = 0; i < n && status == RR_OK; i++) {
        sqlite3_bind_text(statement, 1, facts[i].name, -1, SQLITE_STATIC);
        int code = sqlite3_step(statement);
        const char *value =
            code == SQLITE_ROW ? (const char *)sqlite3_column_text(statement, 0) : NULL;
        if (code != SQLITE_ROW && code != SQLITE_DONE) {
            status = fail_db(journal, "read", diag);
        } else if (value == NULL || strcmp(value, facts[i].value) != 0) {
            rr_buf_printf(differs, "%s%s: %.100s there, %.100s now", differs->bytes > 0 ? "; " : "",
                facts[i].name, value != NULL ? value : "nothing", facts[i].value);
        }
        sqlite3_reset(statement);
    }
    sqlite3_finalize(statement);
    if (status == RR_OK && differs->bytes == 0 && n_there != (int64_t)n) {
        rr_buf_printf(differs, "%lld settings there, %zu now", (long long)n_there, n);
    }
    return status == RR_OK && differs->failed
        ? rr_fail(diag, RR_E_MEMORY, "%s: out of memory", journal->path)
        : status;
}

static rr_status write_facts(
    rr_journal *journal, const rr_journal_fact *facts, size_t n, rr_diag *diag) {
    sqlite3_stmt *statement = NULL;
    bool ok = sqlite3_prepare_v2(
                  journal->db, "INSERT INTO fact VALUES (?, ?)", -1, &statement, NULL) == SQLITE_OK;
    for (size_t i = 0; i < n && ok; i++) {
        ok = sqlite3_bind_text(statement, 1, facts[i].name, -1, SQLITE_STATIC) == SQLITE_OK &&
            sqlite3_bind_text(statement, 2, facts[i].value, -1, SQLITE_STATIC) == SQLITE_OK &&
            sqlite3_step(statement) == SQLITE_DONE;
        sqlite3_reset(statement);
    }
    rr_status status = ok ? RR_OK : fail_db(journal, "write", diag);
    sqlite3_finalize(statement);
    return status;
}

/* A journal with finished queries: may this run go on with it? */
static rr_status check_run(rr_journal *journal, const rr_journal_params *params,
    const rr_journal_fact *facts, size_t n, rr_diag *diag) {
    rr_buf differs = {0};
    rr_status status = compare_facts(journal, facts, n, &differs, diag);
    if (status == RR_OK && differs.bytes > 0) {
        status = rr_fail(diag, RR_E_INPUT,
            "%s: holds %zu finished queries of another run (%.600s): name another --journal or --output, or "
            "remove it",
            journal->path, journal->n_found, differs.data);
    } else if (status == RR_OK && !params->resume) {
        status = rr_fail(diag, RR_E_INPUT,
            "%s: holds %zu of %zu queries of this very run, finished before it was stopped: --resume goes on "
            "from there; remove the file to start over",
            journal->path, journal->n_found, params->n_queries);
    }
    rr_buf_destroy(&differs);
    return status;
}

/* Looks at what lies there, and makes the tables where nothing does. */
static rr_status take_up(rr_journal *journal, const rr_journal_params *params,
    const rr_journal_fact *facts, size_t n, rr_diag *diag) {
    bool is_new;
    int64_t n_rankings = 0;
    RR_TRY(check_file(journal, &is_new, diag));
    if (!is_new && !journal->is_cache) {
        RR_TRY(ask(journal, "SELECT count(*) FROM ranking", &n_rankings, diag));
    }
    journal->n_found = (size_t)n_rankings;
    if (n_rankings > 0) {
        return check_run(journal, params, facts, n, diag);
    }
    if (is_new || !journal->is_cache) {
        RR_TRY(make_tables(journal, diag));
    }
    return journal->is_cache ? RR_OK : write_facts(journal, facts, n, diag);
}

/* The facts of the run and what stands for all of its queries. */
static rr_status open_with(const rr_journal_params *params, const rr_journal_fact *facts, size_t n,
    rr_journal *journal, rr_diag *diag) {
    /* not the queries: another set of them changes no ranking */
    for (size_t i = 0; i < params->n_facts; i++) {
        rr_digest_text(journal->facts, (rr_text){facts[i].name, strlen(facts[i].name)});
        rr_digest_text(journal->facts, (rr_text){facts[i].value, strlen(facts[i].value)});
    }
    uint64_t version = rr_journal_code_version();
    rr_digest(journal->facts, &version, sizeof version);
    bool is_new;
    RR_TRY(open_db(journal, diag));
    /* before anything that could change a file that is not ours */
    RR_TRY(check_file(journal, &is_new, diag));
    RR_TRY(run(journal, "PRAGMA journal_mode = TRUNCATE; PRAGMA synchronous = FULL", "open", diag));
    /* at once: whoever else has it open is noticed now, and nobody comes between the look and the
     * first write */
    RR_TRY(run(journal, journal->is_cache ? "BEGIN IMMEDIATE" : "BEGIN EXCLUSIVE", "open", diag));
    rr_status status = take_up(journal, params, facts, n, diag);
    if (status != RR_OK) {
        sqlite3_exec(journal->db, "ROLLBACK", NULL, NULL, NULL);
        return status;
    }
    RR_TRY(run(journal, "COMMIT", "write", diag));
    return prepare(journal, diag);
}

static rr_status open_file(
    const rr_journal_params *params, bool is_cache, rr_journal **out, rr_diag *diag) {
    rr_journal *journal = calloc(1, sizeof *journal);
    rr_journal_fact *facts = calloc(params->n_facts + 2, sizeof *facts);
    char *path = params->path[0] != '\0' ? rr_text_copy(params->path) : NULL;
    if (journal == NULL || facts == NULL || path == NULL) {
        free(journal);
        free(facts);
        free(path);
        return params->path[0] == '\0'
            ? rr_fail(diag, RR_E_USAGE, "found an empty name, expected the name of a journal")
            : rr_fail(diag, RR_E_MEMORY, "%s: out of memory", params->path);
    }
    journal->path = path;
    journal->is_cache = is_cache;
    memcpy(facts, params->facts, params->n_facts * sizeof *facts);
    char queries[64], version[32];
    uint64_t hash[2] = {0};
    for (size_t i = 0; i < params->n_queries && !is_cache; i++) {
        rr_digest_query(hash, &params->queries[i], true);
    }
    snprintf(queries, sizeof queries, "%zu queries %016llx", params->n_queries,
        (unsigned long long)hash[0]);
    snprintf(version, sizeof version, "%016llx", (unsigned long long)rr_journal_code_version());
    facts[params->n_facts] = (rr_journal_fact){"candidates", queries};
    facts[params->n_facts + 1] = (rr_journal_fact){"journal format", version};
    rr_status status = open_with(params, facts, params->n_facts + 2, journal, diag);
    free(facts);
    if (status == RR_OK) {
        journal->is_ours = true;
        *out = journal;
    } else {
        rr_journal_close(&journal); /* what was refused is left alone */
    }
    return status;
}

rr_status rr_journal_open(const rr_journal_params *params, rr_journal **out, rr_diag *diag) {
    return open_file(params, false, out, diag);
}

rr_status rr_journal_open_cache(const rr_journal_params *params, rr_journal **out, rr_diag *diag) {
    return open_file(params, true, out, diag);
}

/* Rankings */

rr_status rr_journal_has(rr_journal *journal, const rr_query *query, bool *out, rr_diag *diag) {
    uint8_t key[KEY_BYTES];
    key_of(journal, query, key);
    sqlite3_bind_blob(journal->has, 1, key, sizeof key, SQLITE_STATIC);
    int code = sqlite3_step(journal->has);
    rr_status status =
        code == SQLITE_ROW || code == SQLITE_DONE ? RR_OK : fail_db(journal, "read", diag);
    sqlite3_reset(journal->has);
    *out = code == SQLITE_ROW;
    return status;
}

rr_status rr_journal_find(
    rr_journal *journal, const rr_query *query, rr_ranking *out, bool *found, rr_diag *diag) {
    uint8_t key[KEY_BYTES];
    *out = (rr_ranking){0};
    key_of(journal, query, key);
    sqlite3_bind_blob(journal->find, 1, key, sizeof key, SQLITE_STATIC);
    int code = sqlite3_step(journal->find);
    rr_status status =
        code == SQLITE_ROW || code == SQLITE_DONE ? RR_OK : fail_db(journal, "read", diag);
    *found = false;
    if (code == SQLITE_ROW) {
        const void *content = sqlite3_column_blob(journal->find, 0);
        size_t bytes = (size_t)sqlite3_column_bytes(journal->find, 0);
        status = rr_journal_decode(content != NULL ? content : "", bytes, query->n, out, diag);
        *found = status == RR_OK;
        if (status == RR_E_INPUT) {
            status =
                rr_fail_context(diag, status, "%s: query \"%.100s\"", journal->path, query->qid);
        }
    }
    sqlite3_reset(journal->find);
    return status;
}

rr_status rr_journal_store(
    rr_journal *journal, const rr_query *query, const rr_ranking *ranking, rr_diag *diag) {
    uint8_t key[KEY_BYTES];
    rr_buf content = {0};
    if (rr_ranking_n_late(ranking) > 0) { /* nor does its form have a place for them */
        return rr_fail(diag, RR_E_USAGE,
            "%s: query \"%.100s\" met its deadline: such a ranking is not kept", journal->path,
            query->qid);
    }
    key_of(journal, query, key);
    rr_journal_encode(ranking, &content);
    if (content.failed) {
        rr_buf_destroy(&content);
        return rr_fail(diag, RR_E_MEMORY, "%s: out of memory", journal->path);
    }
    bool ok = sqlite3_bind_blob(journal->store, 1, key, sizeof key, SQLITE_STATIC) == SQLITE_OK &&
        sqlite3_bind_text(journal->store, 2, query->qid, -1, SQLITE_STATIC) == SQLITE_OK &&
        sqlite3_bind_blob64(journal->store, 3, content.data, content.bytes, SQLITE_STATIC) ==
            SQLITE_OK &&
        sqlite3_step(journal->store) == SQLITE_DONE;
    rr_status status = ok ? RR_OK : fail_db(journal, "keep a ranking", diag);
    sqlite3_reset(journal->store);
    sqlite3_clear_bindings(journal->store);
    rr_buf_destroy(&content);
    journal->n_stored += ok;
    return status;
}

size_t rr_journal_n_kept(const rr_journal *journal) {
    return journal->n_found + journal->n_stored;
}

/* Removes the file and what SQLite leaves beside it. */
static rr_status remove_file(const char *path, rr_diag *diag) {
    rr_buf beside = {0};
    rr_buf_printf(&beside, "%s-journal", path);
    rr_status status = beside.failed ? rr_fail(diag, RR_E_MEMORY, "out of memory")
                                     : rr_file_remove(beside.data, diag);
    rr_buf_destroy(&beside);
    return status == RR_OK ? rr_file_remove(path, diag) : status;
}

void rr_journal_close(rr_journal **journal) {
    rr_journal *old = *journal;
    if (old == NULL) {
        return;
    }
    *journal = NULL;
    sqlite3_finalize(old->has);
    sqlite3_finalize(old->find);
    sqlite3_finalize(old->store);
    sqlite3_close(old->db);
    if (old->is_ours && !old->is_cache && old->n_found + old->n_stored == 0) {
        (void)remove_file(old->path, NULL);
    } else if (old->is_ours && !old->is_cache) { /* of a cache it may be another process's */
        rr_buf beside = {0};                     /* empty: what was to be undone was undone */
        uint64_t bytes = 0;
        rr_buf_printf(&beside, "%s-journal", old->path);
        if (!beside.failed && rr_file_look(beside.data, &bytes) == RR_FILE_REGULAR && bytes == 0) {
            (void)rr_file_remove(beside.data, NULL);
        }
        rr_buf_destroy(&beside);
    }
    free(old->path);
    free(old);
}

rr_status rr_journal_finish(rr_journal **journal, rr_diag *diag) {
    rr_journal *old = *journal;
    char *path = rr_text_copy(old->path);
    rr_journal_close(journal);
    rr_status status =
        path == NULL ? rr_fail(diag, RR_E_MEMORY, "out of memory") : remove_file(path, diag);
    free(path);
    return status;
}
