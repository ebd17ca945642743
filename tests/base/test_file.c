#define _GNU_SOURCE
#include "runtime/base/cache.h"
#include "runtime/base/file.h"
#include "runtime/base/file_out.h"
#include "runtime/base/folder.h"
#include "tests/check.h"
#include "tests/support/folder.h"

#include <dirent.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

static char folder[256];

static const char *in_folder(const char *leaf) {
    static char path[2][512];
    static int turn;
    turn = !turn;
    snprintf(path[turn], sizeof path[turn], "%s/%s", folder, leaf);
    return path[turn];
}

static int n_entries(const char *path) {
    DIR *dir = opendir(path);
    int n = 0;
    for (struct dirent *entry = dir != NULL ? readdir(dir) : NULL; entry != NULL;
         entry = readdir(dir)) {
        n += entry->d_name[0] != '.';
    }
    if (dir != NULL) {
        closedir(dir);
    }
    return n;
}

static void keeps_a_cache(void) {
    rr_diag diag = {0};
    rr_file_out out;
    const char *path = in_folder("cache.bin");
    int before = n_entries(folder);
    rr_status status = rr_file_out_open_unnamed(path, &out, &diag);
    if (status == RR_E_IO) {
        printf("not here: %s\n", diag.text);
        return;
    }
    for (int round = 0; round < 2; round++) { /* the second replaces the first */
        CHECK_OK(round == 0 ? status : rr_file_out_open_unnamed(path, &out, &diag), diag);
        CHECK_OK(rr_file_out_skip(&out, 4, &diag), diag);
        CHECK_OK(rr_file_out_write(&out, "data", 4, &diag), diag);
        CHECK_OK(rr_file_out_rewrite(&out, 0, round == 0 ? "head" : "HEAD", 4, &diag), diag);
        CHECK_INT(n_entries(folder), before + round);
        CHECK_OK(rr_file_out_finish(&out, &diag), diag);
        rr_buf found = {0};
        CHECK_OK(rr_file_read(path, 100, &found, &diag), diag);
        CHECK_TEXT(found.data, round == 0 ? "headdata" : "HEADdata");
        rr_buf_destroy(&found);
    }
    CHECK_OK(rr_file_out_open_unnamed(path, &out, &diag), diag);
    uint64_t room = 0;
    CHECK(rr_file_out_room(&out, &room) && room > 0);
    rr_file_out_discard(&out);
    CHECK_INT(n_entries(folder), before + 1);
    CHECK(unlink(path) == 0);
    CHECK_INT(rr_file_out_open_unnamed("/nonexistent/cache.bin", &out, &diag), RR_E_IO);
}

static void writes_atomically(void) {
    rr_diag diag = {0};
    const char *path = in_folder("a.bin");
    CHECK_OK(rr_file_write_atomic(path, "first", 5, &diag), diag);
    CHECK_OK(rr_file_write_atomic(path, "second\0x", 8, &diag), diag);
    CHECK_INT(n_entries(folder), 1); /* no temporary stays behind */
    struct stat st;
    mode_t mask = umask(0);
    umask(mask);
    CHECK_INT(stat(path, &st), 0);
    CHECK_INT(st.st_mode & 0777, 0666 & ~mask);
    char hollow[600]; /* the writer borrows its path until the end */
    snprintf(hollow, sizeof hollow, "%s", in_folder("hollow.bin"));
    rr_file_out file = {0};
    rr_buf zeros = {0};
    CHECK_OK(rr_file_out_open(hollow, &file, &diag), diag);
    CHECK_OK(rr_file_out_write(&file, "a", 1, &diag), diag);
    CHECK_OK(rr_file_out_skip(&file, 0, &diag), diag);
    CHECK_OK(rr_file_out_skip(&file, 100000, &diag), diag);
    CHECK_OK(rr_file_out_finish(&file, &diag), diag);
    CHECK_OK(rr_file_read(hollow, 1 << 20, &zeros, &diag), diag);
    CHECK(zeros.bytes == 100001 && zeros.data[0] == 'a' && zeros.data[1] == 0 &&
        zeros.data[100000] == 0);
    rr_buf_destroy(&zeros);
    CHECK_INT(unlink(hollow), 0);
    CHECK_INT(rr_file_write_atomic(in_folder("none/a.bin"), "x", 1, &diag), RR_E_IO);
    CHECK(strstr(diag.text, "none/a.bin") != NULL);
    /* the target is a folder: the rename fails and cleans up */
    CHECK_OK(rr_folder_make(in_folder("dir"), &diag), diag);
    CHECK_INT(rr_file_write_atomic(in_folder("dir"), "x", 1, &diag), RR_E_IO);
    CHECK_INT(n_entries(folder), 2);
}

/* What stands at the target stays what it is: a pipe a pipe, a link a link, a private file
 * private. */
static void keeps_what_it_writes_to(void) {
    rr_diag diag = {0};
    char path[512], other[512], found[16] = "";
    struct stat st;
    int before = n_entries(folder);
    snprintf(path, sizeof path, "%s/kept", folder);
    snprintf(other, sizeof other, "%s/link", folder);

    CHECK_INT(mkfifo(path, 0600), 0);
    int reader = open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
    CHECK_OK(rr_file_write_atomic(path, "through", 7, &diag), diag);
    CHECK_INT(read(reader, found, sizeof found - 1), 7);
    CHECK_TEXT(found, "through");
    CHECK(lstat(path, &st) == 0 && S_ISFIFO(st.st_mode));
    close(reader);
    CHECK_INT(unlink(path), 0);

    CHECK_OK(rr_file_write_atomic(path, "old", 3, &diag), diag);
    CHECK_INT(chmod(path, 0640), 0);
    CHECK_INT(symlink("kept", other), 0);
    CHECK_OK(rr_file_write_atomic(other, "new", 3, &diag), diag);
    CHECK(lstat(other, &st) == 0 && S_ISLNK(st.st_mode));
    CHECK(lstat(path, &st) == 0 && S_ISREG(st.st_mode) && st.st_size == 3);
    CHECK_INT(st.st_mode & 0777, 0640);
    rr_buf text = {0};
    CHECK_OK(rr_file_read(path, 16, &text, &diag), diag);
    CHECK_TEXT(text.data != NULL ? text.data : "", "new");
    rr_buf_destroy(&text);

    CHECK_INT(unlink(path), 0); /* now the link leads nowhere */
    CHECK_INT(rr_file_write_atomic(other, "x", 1, &diag), RR_E_IO);
    CHECK_MSG(strstr(diag.text, "where this link leads") != NULL, "%s", diag.text);
    CHECK_INT(unlink(other), 0);
    CHECK_INT(n_entries(folder), before);
}

/* What another part of the program does meanwhile: it makes files, which are as private as the
 * process wants them. */
typedef struct maker {
    char path[512];
    atomic_bool stop;
    size_t n_made, n_open; /* … with rights for others */
} maker;

static void *make_files(void *argument) {
    maker *m = argument;
    while (!atomic_load(&m->stop)) {
        struct stat st;
        int fd = open(m->path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
        m->n_made += fd >= 0;
        m->n_open += fd < 0 || fstat(fd, &st) != 0 || (st.st_mode & 077) != 0;
        close(fd);
        unlink(m->path);
    }
    return NULL;
}

static void leaves_the_process_its_umask(void) {
    enum { ROUNDS = 20000 };
    maker m = {.n_made = 0};
    rr_diag diag = {0};
    rr_file_out out;
    struct stat st;
    pthread_t thread;
    char path[512];
    mode_t before = umask(077);
    snprintf(m.path, sizeof m.path, "%s/made", folder);
    snprintf(path, sizeof path, "%s/written", folder);
    CHECK_INT(pthread_create(&thread, NULL, make_files, &m), 0);
    for (int i = 0; i < ROUNDS; i++) {
        CHECK_OK(rr_file_out_check(path, &diag), diag);
        CHECK_OK(rr_file_out_open(path, &out, &diag), diag);
        rr_file_out_discard(&out);
    }
    CHECK_OK(rr_file_write_atomic(path, "x", 1, &diag), diag);
    atomic_store(&m.stop, true);
    CHECK_INT(pthread_join(thread, NULL), 0);
    CHECK_MSG(
        m.n_made > 0 && m.n_open == 0, "of %zu files %zu are open to others", m.n_made, m.n_open);
    CHECK(stat(path, &st) == 0 && (st.st_mode & 0777) == 0600);
    CHECK_INT(unlink(path), 0);
    CHECK_INT(umask(before), 077);
}

static void leaves_nothing_half(void) {
    rr_diag diag = {0};
    struct rlimit limit, small;
    char path[512];
    rr_file_out out;
    int before = n_entries(folder);
    snprintf(path, sizeof path, "%s/whole", folder);

    CHECK_OK(rr_file_out_open(path, &out, &diag), diag);
    CHECK_OK(rr_file_out_write(&out, "12", 2, &diag), diag);
    CHECK_INT(access(path, F_OK), -1);
    rr_file_out_discard(&out);
    rr_file_out_discard(&out); /* and again does nothing */
    CHECK_INT(n_entries(folder), before);

    CHECK_OK(rr_file_write_atomic(path, "1234", 4, &diag), diag);
    CHECK_INT(getrlimit(RLIMIT_FSIZE, &limit), 0);
    small = (struct rlimit){4, limit.rlim_max};
    signal(SIGXFSZ, SIG_IGN);
    CHECK_INT(setrlimit(RLIMIT_FSIZE, &small), 0); /* stands for a full disk */
    CHECK_INT(rr_file_write_atomic(path, "56789", 5, &diag), RR_E_IO);
    CHECK_INT(setrlimit(RLIMIT_FSIZE, &limit), 0);
    CHECK_MSG(strstr(diag.text, "whole: cannot write: File too large") != NULL, "%s", diag.text);
    rr_buf text = {0};
    CHECK_OK(rr_file_read(path, 16, &text, &diag), diag);
    CHECK_TEXT(text.data != NULL ? text.data : "", "1234"); /* the old content stands */
    rr_buf_destroy(&text);
    CHECK_INT(unlink(path), 0);
    CHECK_INT(n_entries(folder), before);
}

static void refuses_what_cannot_be_written(void) {
    rr_diag diag = {0};
    CHECK_OK(rr_file_out_check(in_folder("new.bin"), &diag), diag);
    CHECK_OK(rr_file_out_check("/dev/null", &diag), diag);
    CHECK_INT(rr_file_out_check("", &diag), RR_E_USAGE);
    CHECK_INT(rr_file_write_atomic("", "x", 1, &diag), RR_E_USAGE);
    CHECK_INT(rr_file_out_check(folder, &diag), RR_E_IO);
    CHECK_MSG(strstr(diag.text, "is a folder") != NULL, "%s", diag.text);
    CHECK_INT(rr_file_out_check(in_folder("none/a.bin"), &diag), RR_E_IO);
    CHECK_MSG(strstr(diag.text, "cannot write in ") != NULL, "%s", diag.text);
    if (geteuid() != 0) { /* root may write anywhere */
        const char *path = in_folder("read_only");
        CHECK_OK(rr_file_write_atomic(path, "x", 1, &diag), diag);
        CHECK_INT(chmod(path, 0400), 0);
        CHECK_INT(rr_file_write_atomic(path, "y", 1, &diag), RR_E_IO);
        CHECK_INT(unlink(path), 0);
    }
}

static void maps_and_reads(void) {
    rr_diag diag = {0};
    rr_mapping map = {0};
    CHECK_OK(rr_file_map(in_folder("a.bin"), &map, &diag), diag);
    CHECK_INT(map.bytes, 8);
    CHECK(map.data != NULL && memcmp(map.data, "second\0x", 8) == 0);
    const uint8_t first = map.data[0], last = map.data[map.bytes - 1];
    rr_file_drop_pages(&map); /* and they come back */
    CHECK(map.data[0] == first && map.data[map.bytes - 1] == last);
    rr_file_unmap(&map);
    CHECK(map.data == NULL && map.bytes == 0);
    rr_file_unmap(&map);

    rr_buf buf = {0};
    rr_buf_text(&buf, ">");
    CHECK_OK(rr_file_read(in_folder("a.bin"), 8, &buf, &diag), diag);
    CHECK(buf.bytes == 9 && memcmp(buf.data, ">second\0x", 9) == 0);
    CHECK_INT(rr_file_read(in_folder("a.bin"), 7, &buf, &diag), RR_E_INPUT);
    CHECK(strstr(diag.text, "a.bin") != NULL);
    rr_buf_destroy(&buf);

    CHECK_OK(rr_file_write_atomic(in_folder("empty"), "", 0, &diag), diag);
    CHECK_OK(rr_file_map(in_folder("empty"), &map, &diag), diag);
    CHECK(map.data == NULL && map.bytes == 0);
    CHECK_OK(rr_file_read(in_folder("empty"), 0, &buf, &diag), diag);
    CHECK_INT(buf.bytes, 0);
    rr_buf_destroy(&buf);
}

static void reads_here_and_there(void) {
    rr_diag diag = {0};
    rr_file_in file;
    char bytes[8] = "";
    CHECK_OK(rr_file_in_open(in_folder("a.bin"), &file, &diag), diag);
    CHECK_INT(file.bytes, 8);
    rr_file_in_will_read(&file, 0, 8);
    rr_file_in_will_read(&file, 5, UINT64_MAX); /* past the end: no harm */
    rr_file_in_will_read(&file, 99, 1);
    CHECK(rr_file_in_read(&file, 3, bytes, 5) && memcmp(bytes, "ond\0x", 5) == 0);
    CHECK(rr_file_in_read(&file, 0, bytes, 3) && memcmp(bytes, "sec", 3) == 0);
    CHECK(rr_file_in_read(&file, 8, bytes, 0));
    CHECK(!rr_file_in_read(&file, 7, bytes, 2) && !rr_file_in_read(&file, 8, bytes, 1));
    rr_file_in_close(&file);
    CHECK(!file.is_open);
    rr_file_in_close(&file);
    CHECK_INT(rr_file_in_open(in_folder("absent"), &file, &diag), RR_E_IO);
    CHECK(!file.is_open);
    CHECK_INT(rr_file_in_open(folder, &file, &diag), RR_E_INPUT);
}

static bool count_entry(void *user, const char *name) {
    ++*(int *)user;
    return strcmp(name, "last") != 0;
}

static void looks_and_moves(void) {
    rr_diag diag = {0};
    rr_buf made = {0};
    char path[512], other[512];
    uint64_t bytes = 99;
    CHECK_OK(rr_temp_folder_make("rearank-test", &made, &diag), diag);
    CHECK(strstr(made.data, "/rearank-test-") != NULL);
    CHECK_INT(rr_file_look(made.data, NULL), RR_FILE_FOLDER);
    snprintf(path, sizeof path, "%s/a", made.data);
    snprintf(other, sizeof other, "%s/b", made.data);
    CHECK_INT(rr_file_look(path, &bytes), RR_FILE_NONE);
    CHECK_INT(bytes, 0);
    CHECK_OK(rr_file_write_atomic(path, "four", 4, &diag), diag);
    CHECK_INT(rr_file_look(path, &bytes), RR_FILE_REGULAR);
    CHECK_INT(bytes, 4);
    CHECK_INT(rr_file_look("/dev/null", NULL), RR_FILE_OTHER);
    rr_file_forget(path);
    CHECK_OK(rr_file_write_atomic(other, "old", 3, &diag), diag);
    CHECK_OK(rr_file_rename(path, other, &diag), diag);
    CHECK_INT(rr_file_look(path, NULL), RR_FILE_NONE);
    CHECK_INT(rr_file_look(other, &bytes), RR_FILE_REGULAR);
    CHECK_INT(bytes, 4);
    CHECK_INT(rr_file_rename(path, other, &diag), RR_E_IO);
    CHECK(strstr(diag.text, path) != NULL);
    CHECK_OK(rr_file_remove(path, &diag), diag); /* there is none */
    CHECK_INT(rr_file_remove(made.data, &diag), RR_E_IO);

    int n = 0;
    CHECK_OK(rr_folder_list(made.data, count_entry, &n, &diag), diag);
    CHECK_INT(n, 1);
    snprintf(path, sizeof path, "%s/inner/last", made.data);
    CHECK_OK(rr_folder_make(path, &diag), diag);
    CHECK_OK(rr_folder_check(path, &diag), diag);
    CHECK_INT(rr_folder_list(other, count_entry, &n, &diag), RR_E_IO);
    rr_folder_remove(made.data);
    CHECK_INT(rr_file_look(made.data, NULL), RR_FILE_NONE);
    CHECK_INT(rr_folder_list(made.data, count_entry, &n, &diag), RR_E_IO);
    CHECK_INT(rr_folder_check(made.data, &diag), RR_E_IO);
    rr_buf_destroy(&made);
}

static void refuses_what_is_no_file(void) {
    rr_diag diag = {0};
    rr_mapping map = {.data = (const uint8_t *)"", .bytes = 77};
    rr_buf buf = {0};
    CHECK_INT(rr_file_map(in_folder("absent"), &map, &diag), RR_E_IO);
    CHECK(strstr(diag.text, "absent") != NULL);
    CHECK_INT(rr_file_map(folder, &map, &diag), RR_E_INPUT);
    CHECK(strstr(diag.text, "folder") != NULL);
    CHECK_INT(rr_file_map("/dev/null", &map, &diag), RR_E_INPUT);
    CHECK_INT(mkfifo(in_folder("pipe"), 0600), 0);
    CHECK_INT(rr_file_map(in_folder("pipe"), &map, &diag), RR_E_INPUT); /* nobody writes to it */
    CHECK_INT(unlink(in_folder("pipe")), 0);
    CHECK_INT(map.bytes, 77); /* results only on success */
    CHECK_INT(rr_file_read(in_folder("absent"), 10, &buf, &diag), RR_E_IO);
    CHECK_INT(rr_file_read(folder, 10, &buf, &diag), RR_E_INPUT);
    CHECK_MSG(strstr(diag.text, "found a folder") != NULL, "%s", diag.text);
    CHECK_INT(rr_file_read("", 10, &buf, &diag), RR_E_USAGE);
    CHECK_INT(rr_file_map("", &map, &diag), RR_E_USAGE);
    rr_buf_destroy(&buf);
}

/* A pipe as standard input: a stream in pieces. */
static void reads_standard_input(void) {
    int ends[2];
    CHECK_INT(pipe(ends), 0);
    CHECK_INT(write(ends[1], "from a pipe", 11), 11);
    close(ends[1]);
    int saved = dup(STDIN_FILENO);
    dup2(ends[0], STDIN_FILENO);
    close(ends[0]);
    rr_diag diag = {0};
    rr_buf buf = {0};
    CHECK_OK(rr_file_read("-", 100, &buf, &diag), diag);
    CHECK_TEXT(buf.data != NULL ? buf.data : "", "from a pipe");
    rr_buf_destroy(&buf);
    dup2(saved, STDIN_FILENO);
    close(saved);
}

static void finds_the_cache_folder(void) {
    rr_diag diag = {0};
    rr_buf path = {0};
    struct stat st;
    setenv("REARANK_CACHE", in_folder("own/deep/cache"), 1);
    CHECK_OK(rr_cache_path("pipelines.bin", &path, &diag), diag);
    CHECK_TEXT(path.data, in_folder("own/deep/cache/pipelines.bin"));
    CHECK(stat(in_folder("own"), &st) != 0); /* a look makes nothing */
    static const uint8_t uuid[16] = {0x01, 0xab, [15] = 0xf0};
    rr_buf_clear(&path);
    CHECK_OK(rr_cache_path_of("kind", uuid, ".bin", &path, &diag), diag);
    CHECK_TEXT(path.data, in_folder("own/deep/cache/kind/01ab00000000000000000000000000f0.bin"));
    CHECK_OK(rr_cache_write(path.data, "kept", 4, &diag), diag);
    CHECK(stat(path.data, &st) == 0 && st.st_size == 4);
    static const char *const folders[][2] = {
        {"a", "."}, {"/a", "/"}, {"b/a", "b"}, {"/c/b/a", "/c/b"}};
    for (size_t i = 0; i < sizeof folders / sizeof folders[0]; i++) {
        rr_buf_clear(&path);
        rr_folder_of(folders[i][0], &path);
        CHECK_TEXT(path.data, folders[i][1]);
    }
    unsetenv("REARANK_CACHE");
    setenv("XDG_CACHE_HOME", in_folder("xdg"), 1);
    rr_buf_clear(&path);
    CHECK_OK(rr_cache_path(NULL, &path, &diag), diag);
    CHECK_TEXT(path.data, in_folder("xdg/rearank"));
    setenv("XDG_CACHE_HOME", "relative", 1); /* the specification says: ignore it */
    setenv("HOME", in_folder("home"), 1);
    rr_buf_clear(&path);
    CHECK_OK(rr_cache_path(NULL, &path, &diag), diag);
    CHECK_TEXT(path.data, in_folder("home/.cache/rearank"));
    CHECK_INT(rr_cache_write(path.data, "x", 1, &diag), RR_E_IO); /* nor does a write make a home */
    CHECK_MSG(strstr(diag.text, "set REARANK_CACHE to a writable folder") != NULL, "%s", diag.text);
    CHECK(stat(in_folder("home"), &st) != 0);
    CHECK_INT(mkdir(in_folder("home"), 0700), 0);
    CHECK_OK(rr_cache_write(path.data, "x", 1, &diag), diag);
    unsetenv("XDG_CACHE_HOME");
    unsetenv("HOME");
    CHECK_INT(rr_cache_path(NULL, &path, &diag), RR_E_IO);
    CHECK(strstr(diag.text, "REARANK_CACHE") != NULL);
    static const char *const in_the_way[] = {"a.bin", "a.bin/below"}; /* a file */
    for (size_t i = 0; i < 2; i++) {
        setenv("REARANK_CACHE", in_folder(in_the_way[i]), 1);
        rr_buf_clear(&path);
        CHECK_OK(rr_cache_path("leaf", &path, &diag), diag);
        CHECK_INT(rr_cache_write(path.data, "x", 1, &diag), RR_E_IO);
    }
    rr_buf_destroy(&path);
}

static void remove_tree(const char *path) {
    DIR *dir = opendir(path);
    for (struct dirent *entry = dir != NULL ? readdir(dir) : NULL; entry != NULL;
         entry = readdir(dir)) {
        if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0) {
            char inner[1024];
            snprintf(inner, sizeof inner, "%s/%s", path, entry->d_name);
            remove_tree(inner);
        }
    }
    if (dir != NULL) {
        closedir(dir);
    }
    remove(path);
}

static void tells_one_file_from_two(void) {
    char a[300], again[300], other[300];
    snprintf(a, sizeof a, "%s/same", folder);
    snprintf(again, sizeof again, "%s/./same", folder);
    snprintf(other, sizeof other, "%s/other", folder);
    CHECK(rr_file_same(a, again)); /* neither exists */
    CHECK(!rr_file_same(a, other));
    rr_diag diag = {0};
    CHECK_OK(rr_file_write_atomic(a, "x", 1, &diag), diag);
    CHECK(rr_file_same(a, again));
    CHECK(!rr_file_same(a, other));
    CHECK(link(a, other) == 0 && rr_file_same(a, other));
    CHECK(!rr_file_same("/dev/null", "/dev/null"));
    CHECK(!rr_file_same("/nowhere/at/all", "/nowhere/at/all"));
}

int main(void) {
    rr_test_folder(folder, sizeof folder);
    keeps_a_cache();
    writes_atomically();
    keeps_what_it_writes_to();
    leaves_the_process_its_umask();
    leaves_nothing_half();
    refuses_what_cannot_be_written();
    maps_and_reads();
    reads_here_and_there();
    looks_and_moves();
    refuses_what_is_no_file();
    reads_standard_input();
    tells_one_file_from_two();
    finds_the_cache_folder();
    remove_tree(folder);
    return CHECK_END();
}
