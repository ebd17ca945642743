/* Packed weights beside the model: the same logits from the file as from packing; stale, cut and
 * damaged files change nothing. */
#define _GNU_SOURCE
#include <dirent.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "runtime/base/file_out.h"
#include "runtime/compute/packed.h"
#include "tests/engine/small.h"
#include "tests/support/blocks.h"
#include "tests/support/folder.h"

enum { N_VOCAB = 400, N_PROMPT = 20, N_ANSWER = 6 };

static char folder[64], model_path[128];
static bool exact;

typedef struct outcome {
    float logits[N_VOCAB];
    int32_t ids[N_ANSWER];
    bool read, packed; /* where weights came from */
} outcome;

static void see_progress(void *user, const char *what, uint64_t done, uint64_t total) {
    (void)done, (void)total;
    outcome *seen = user;
    seen->read |= strcmp(what, "reading weights") == 0;
    seen->packed |= strcmp(what, "packing weights") == 0;
}

static rr_engine_params params_for(outcome *out) {
    return (rr_engine_params){.compute.model_path = model_path,
        .compute.n_context = 64,
        .compute.exact = exact,
        .compute.packed_min_bytes = 1,
        .compute.progress = see_progress,
        .compute.progress_user = out};
}

/* One start, a prompt and an answer. */
static void start_with(const rr_engine_params *params, outcome *out) {
    rr_diag diag = {0};
    rr_engine *engine = NULL;
    rr_session *session = NULL;
    rr_tokens ids = {0};
    rr_status status = rr_engine_open(params, &engine, &diag);
    if (status == RR_E_DEVICE) {
        CHECK_SKIP("%s", diag.text);
    }
    CHECK_OK(status, diag);
    int32_t prompt[N_PROMPT];
    for (int i = 0; i < N_PROMPT; i++) {
        prompt[i] = (i * 37 + 5) % 280;
    }
    const float *logits = NULL;
    CHECK_OK(rr_session_create(engine, &session, &diag), diag);
    CHECK_OK(rr_session_sync(session, prompt, N_PROMPT, &diag), diag);
    CHECK_OK(rr_session_logits(session, &logits, &diag), diag);
    memcpy(out->logits, logits, sizeof out->logits);
    CHECK_OK(
        rr_session_generate(session,
            &(rr_generate_params){.max_tokens = N_ANSWER, .ignore_end = true}, &ids, NULL, &diag),
        diag);
    CHECK_INT(ids.n, N_ANSWER);
    memcpy(out->ids, ids.ids, sizeof out->ids);
    rr_tokens_destroy(&ids);
    rr_session_destroy(&session);
    rr_engine_close(&engine);
}

static outcome start(void) {
    outcome out = {0};
    rr_engine_params params = params_for(&out);
    start_with(&params, &out);
    return out;
}

static void check_same(const char *what, const outcome *a, const outcome *b) {
    CHECK_MSG(memcmp(a->logits, b->logits, sizeof a->logits) == 0, "%s: logits differ", what);
    CHECK_MSG(memcmp(a->ids, b->ids, sizeof a->ids) == 0, "%s: tokens differ", what);
}

/* The packed file in the folder, and how many files there are. */
static int find_packed(char out[512]) {
    int n = 0;
    DIR *dir = opendir(folder);
    for (struct dirent *entry = dir != NULL ? readdir(dir) : NULL; entry != NULL;
         entry = readdir(dir)) {
        size_t length = strlen(entry->d_name);
        n += entry->d_name[0] != '.';
        if (length > 7 && strcmp(entry->d_name + length - 7, ".packed") == 0) {
            snprintf(out, 512, "%s/%s", folder, entry->d_name);
        }
    }
    if (dir != NULL) {
        closedir(dir);
    }
    return n;
}

static uint8_t flip_byte(const char *path, off_t at) {
    uint8_t byte = 0;
    int fd = open(path, O_RDWR | O_CLOEXEC);
    CHECK(fd >= 0 && pread(fd, &byte, 1, at) == 1);
    uint8_t other = byte ^ 0x10;
    CHECK(pwrite(fd, &other, 1, at) == 1);
    close(fd);
    return byte;
}

static bool has_unnamed_files(void) {
    int fd = open(folder, O_TMPFILE | O_WRONLY | O_CLOEXEC, 0600);
    if (fd >= 0) {
        close(fd);
    }
    return fd >= 0;
}

/* Without the cache, then with it twice. */
static outcome test_starts(void) {
    char packed[512] = "";
    outcome plain = {0};
    rr_engine_params off = params_for(&plain);
    off.compute.no_packed_cache = !exact;
    off.compute.packed_min_bytes = exact ? 0 : 1; /* a little model is not kept by default */
    start_with(&off, &plain);
    CHECK(plain.packed && !plain.read);
    CHECK_INT(find_packed(packed), 1);
    outcome first = start();
    CHECK(first.packed && !first.read);
    CHECK_INT(find_packed(packed), 2);
    check_same("first start", &plain, &first);
    struct stat before, after;
    CHECK(stat(packed, &before) == 0);
    outcome second = start();
    CHECK(second.read && !second.packed);
    check_same("second start", &plain, &second);
    CHECK(stat(packed, &after) == 0 && before.st_ino == after.st_ino);
    return plain;
}

static void test_damage(const outcome *plain) {
    char packed[512] = "";
    struct stat st;
    CHECK_INT(find_packed(packed), 2);
    CHECK(stat(packed, &st) == 0);
    /* what comes before is read, what comes behind is packed, and the file is gone */
    flip_byte(packed, st.st_size / 2);
    outcome damaged = start();
    check_same("damaged file", plain, &damaged);
    CHECK(damaged.read && damaged.packed);
    CHECK_INT(find_packed(packed), 1);

    rr_diag diag = {0};
    rr_engine *engine = NULL;
    rr_engine_params dry = params_for(&damaged);
    dry.compute.no_weights = true; /* does not touch it */
    CHECK_OK(rr_engine_open(&dry, &engine, &diag), diag);
    rr_engine_close(&engine);
    CHECK_INT(find_packed(packed), 1);
}

/* Another model of the same size has another key, also when it was changed where no sample is
 * taken, or at the same time. */
static void test_keys(void) {
    struct stat model;
    CHECK(stat(model_path, &model) == 0);
    struct timespec times[2] = {model.st_atim, model.st_mtim};
    uint64_t keys[4];
    /* as it is; unsampled byte, new time; sampled byte, old time; as it was */
    for (int i = 0; i < 4; i++) {
        rr_diag diag = {0};
        rr_source *source = NULL;
        off_t at = model.st_size - (i == 1 ? 6000 : 3);
        if (i == 1 || i == 2) {
            flip_byte(model_path, at);
        }
        if (i == 2) {
            CHECK(utimensat(AT_FDCWD, model_path, times, 0) == 0);
        }
        CHECK_OK(rr_source_open(model_path, &source, &diag), diag);
        keys[i] = rr_packed_key(&(rr_packed_wish){.source = source, .layout = "plain"});
        CHECK(rr_packed_key(&(rr_packed_wish){.source = source, .layout = "lanes8"}) != keys[i]);
        CHECK(rr_packed_key(&(rr_packed_wish){.source = source, .layout = "plain", .recipe = 1}) !=
            keys[i]);
        rr_source_close(&source);
        if (i == 1 || i == 2) {
            flip_byte(model_path, at);
            CHECK(utimensat(AT_FDCWD, model_path, times, 0) == 0);
        }
    }
    CHECK(keys[1] != keys[0] && keys[2] != keys[0] && keys[2] != keys[1] && keys[3] == keys[0]);
}

/* A changed model drops the file of the one before, a cut file is dropped as well. */
static void test_stale(const outcome *plain) {
    char packed[512] = "";
    struct stat model, st;
    CHECK(stat(model_path, &model) == 0);
    flip_byte(model_path, model.st_size - 3);
    outcome other = start();
    CHECK(other.packed && !other.read &&
        memcmp(other.logits, plain->logits, sizeof other.logits) != 0);
    CHECK_INT(find_packed(packed), 2);
    flip_byte(model_path, model.st_size - 3);
    outcome back = start();
    CHECK(back.packed && !back.read);
    check_same("the first model again", plain, &back);
    CHECK(stat(packed, &st) == 0 && truncate(packed, st.st_size / 2) == 0);
    outcome cut = start();
    CHECK(cut.packed && !cut.read);
    check_same("cut file", plain, &cut);
    CHECK(stat(packed, &st) == 0 && st.st_size > 100000); /* whole again */
}

/* Where nothing can be written, the start is as before. */
static void test_no_place(const outcome *expected) {
    char path[128];
    snprintf(path, sizeof path, "%s", model_path);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    /* a folder that even root cannot write in */
    snprintf(model_path, sizeof model_path, "/proc/self/fd/%d", fd);
    outcome out = start();
    CHECK(out.packed && !out.read);
    check_same("unwritable folder", expected, &out);
    close(fd);
    snprintf(model_path, sizeof model_path, "%s", path);
}

enum { N_ITEMS = 5 };
static const uint64_t item_bytes[N_ITEMS] = {256, 300000, 1024, 700000, 512};

static const uint64_t too_many[N_ITEMS] = {256, UINT64_C(1) << 60, 256, 256, 256};

/* True when every item that the file gives is right, and all are when `whole`. */
static bool reads_right(const rr_packed_wish *wish, uint8_t *const items[N_ITEMS], bool whole) {
    static uint8_t to[700000];
    rr_packed *packed = rr_packed_open(wish);
    bool right = packed != NULL || !whole;
    for (size_t i = 0; packed != NULL && i < N_ITEMS; i++) {
        bool read = true; /* at once, or a piece at a time */
        for (uint64_t at = 0, step = i < 3 ? item_bytes[i] : RR_PACKED_PIECE;
             read && at < item_bytes[i]; at += step) {
            read = rr_packed_read(
                packed, i, at, item_bytes[i] - at < step ? item_bytes[i] - at : step, to + at);
        }
        right &= read ? memcmp(to, items[i], item_bytes[i]) == 0 : !whole;
    }
    rr_packed_close(&packed, false);
    return right;
}

/* The disk is full in the middle. */
static void check_full_disk(const rr_packed_wish *wish, uint8_t *const items[N_ITEMS]) {
    struct rlimit limit;
    CHECK(getrlimit(RLIMIT_FSIZE, &limit) == 0);
    signal(SIGXFSZ, SIG_IGN);
    rr_packed_writer *writer = rr_packed_begin(wish);
    CHECK(writer != NULL);
    CHECK(setrlimit(RLIMIT_FSIZE, &(struct rlimit){500000, limit.rlim_max}) == 0);
    for (size_t i = 0; i < N_ITEMS; i++) {
        rr_packed_add(&writer, items[i]);
        CHECK_INT(writer == NULL, i >= 3);
    }
    rr_packed_finish(&writer);
    CHECK(setrlimit(RLIMIT_FSIZE, &limit) == 0);
}

static void test_hostile(void) {
    rr_diag diag = {0};
    rr_source *source = NULL;
    rr_buf path = {0};
    CHECK_OK(rr_source_open(model_path, &source, &diag), diag);
    rr_packed_wish wish = {
        .source = source, .layout = "test", .recipe = 1, .item_bytes = item_bytes, .n = N_ITEMS};
    rr_packed_path(model_path, "test", &path);
    uint8_t *items[N_ITEMS];
    rr_packed_writer *writer = rr_packed_begin(&wish);
    CHECK(writer != NULL);
    for (size_t i = 0; i < N_ITEMS; i++) {
        items[i] = malloc(item_bytes[i]);
        rr_random_bytes(i, item_bytes[i], items[i]);
        CHECK(access(path.data, F_OK) != 0); /* no name before the end */
        rr_packed_add(&writer, items[i]);
    }
    rr_packed_finish(&writer);
    CHECK(writer == NULL && reads_right(&wish, items, true));

    struct stat st;
    CHECK(stat(path.data, &st) == 0);
    for (off_t at = 0; at < st.st_size; at += at < 200 ? 1 : 9973) {
        uint8_t byte = flip_byte(path.data, at);
        CHECK_MSG(reads_right(&wish, items, false), "byte %lld flipped", (long long)at);
        rr_packed *packed = rr_packed_open(&wish);
        CHECK_MSG(at >= 32 + N_ITEMS * 24 || packed == NULL, "byte %lld flipped: not noticed",
            (long long)at);
        rr_packed_close(&packed, false);
        CHECK_INT(flip_byte(path.data, at) ^ 0x10, byte);
    }
    CHECK(reads_right(&wish, items, true));

    wish.recipe = 2;
    CHECK(!reads_right(&wish, items, true) && reads_right(&wish, items, false));
    wish.recipe = 1;
    for (off_t length = st.st_size - 1; length >= 0;
         length = length > 200 ? length * 3 / 4 : length - 1) {
        CHECK(truncate(path.data, length) == 0);
        rr_packed *packed = rr_packed_open(&wish);
        CHECK_MSG(packed == NULL, "cut to %lld bytes: not noticed", (long long)length);
        rr_packed_close(&packed, false);
    }
    /* somebody else's file is left alone, ours in any state is replaced */
    CHECK_OK(rr_file_write_atomic(path.data, "somebody's file", 15, &diag), diag);
    writer = rr_packed_begin(&wish);
    CHECK(writer == NULL && access(path.data, F_OK) == 0);
    CHECK_OK(rr_file_write_atomic(path.data, "RRPACK00", 8, &diag), diag);
    writer = rr_packed_begin(&wish);
    CHECK(writer != NULL);
    for (size_t i = 0; i < N_ITEMS; i++) {
        rr_packed_add(&writer, items[i]);
    }
    rr_packed_discard(&writer); /* as when the start fails: what was there stays */
    CHECK(writer == NULL && stat(path.data, &st) == 0 && st.st_size == 8);
    check_full_disk(&wish, items);
    CHECK(stat(path.data, &st) == 0 && st.st_size == 8);
    wish.item_bytes = too_many; /* no room, long before anything is written */
    CHECK((writer = rr_packed_begin(&wish)) == NULL);
    CHECK(unlink(path.data) == 0);
    for (size_t i = 0; i < N_ITEMS; i++) {
        free(items[i]);
    }
    rr_buf_destroy(&path);
    rr_source_close(&source);
}

int main(void) {
    rr_diag diag = {0};
    rr_test_folder(folder, sizeof folder);
    snprintf(model_path, sizeof model_path, "%s/model.gguf", folder);
    CHECK_INT(small_model.n_vocab, N_VOCAB);
    CHECK_OK(rr_synth_write(&small_model, model_path, &diag), diag);
    if (has_unnamed_files()) {
        test_hostile();
        test_keys();
        outcome plain = test_starts();
        test_damage(&plain);
        test_stale(&plain);
        test_no_place(&plain);
        char packed[512] = "";
        CHECK_INT(find_packed(packed), 2);
        CHECK(unlink(packed) == 0);
        exact = true; /* planes instead of the layout of software devices */
        (void)test_starts();
        CHECK_INT(find_packed(packed), 2);
        CHECK(unlink(packed) == 0);
    } else {
        puts("files without a name cannot be made here: nothing is kept");
        start();
    }
    unlink(model_path);
    CHECK(rmdir(folder) == 0);
    return CHECK_END();
}
