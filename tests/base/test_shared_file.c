/* Files that processes share: what is written, and who has the lock. */
#include "runtime/base/file.h"
#include "runtime/base/folder.h"
#include "runtime/base/shared_file.h"
#include "tests/check.h"

#include <string.h>

/* A second opening stands for another process: the lock is the opened file's. */
static void check_locks(const char *path) {
    rr_diag diag = {0};
    rr_shared_file one = {0}, other = {0};
    CHECK_OK(rr_shared_file_open(path, false, &one, &diag), diag);
    CHECK_OK(rr_shared_file_open(path, false, &other, &diag), diag);
    if (rr_shared_file_lock(&one, true) == RR_LOCK_NONE) {
        printf("not here: no locks\n");
    } else {
        CHECK_INT(rr_shared_file_lock(&other, true), RR_LOCK_BUSY);
        CHECK_INT(rr_shared_file_lock(&other, false), RR_LOCK_BUSY);
        CHECK_INT(rr_shared_file_lock(&one, false), RR_LOCK_HELD);
        CHECK_INT(rr_shared_file_lock(&other, false), RR_LOCK_HELD);
        CHECK_INT(rr_shared_file_lock(&other, true), RR_LOCK_BUSY);
        rr_shared_file_close(&one);
        CHECK_INT(rr_shared_file_lock(&other, true), RR_LOCK_HELD);
    }
    rr_shared_file_close(&one);
    rr_shared_file_close(&other);
}

int main(void) {
    rr_diag diag = {0};
    rr_buf path = {0}, aside = {0};
    rr_shared_file file = {0};
    char found[8] = "";
    size_t n;
    uint64_t bytes;
    bool is_regular;
    CHECK_OK(rr_temp_folder_make("rearank-test", &path, &diag), diag);
    CHECK_INT(rr_shared_file_open(path.data, true, &file, &diag), RR_E_IO);
    rr_buf_text(&path, "/shared");
    rr_buf_printf(&aside, "%s.aside", path.data);
    CHECK_INT(rr_shared_file_open(path.data, false, &file, &diag), RR_E_IO);
    CHECK(strstr(diag.text, path.data) != NULL);
    CHECK(!file.is_open);
    CHECK_OK(rr_shared_file_open(path.data, true, &file, &diag), diag);
    CHECK_OK(rr_shared_file_write(&file, 2, "cdef", 4, &diag), diag);
    CHECK_OK(rr_shared_file_write(&file, 0, "ab", 2, NULL), diag);
    CHECK_OK(rr_shared_file_flush(&file, &diag), diag);
    CHECK_OK(rr_shared_file_size(&file, &is_regular, &bytes, &diag), diag);
    CHECK(is_regular && bytes == 6);
    CHECK_OK(rr_shared_file_read(&file, 1, found, sizeof found, &n, &diag), diag);
    CHECK(n == 5 && memcmp(found, "bcdef", 5) == 0);
    CHECK(rr_shared_file_room(&file, &bytes));
    check_locks(path.data);

    CHECK(rr_shared_file_is_at(&file, path.data));
    CHECK_OK(rr_file_rename(path.data, aside.data, &diag), diag);
    CHECK(!rr_shared_file_is_at(&file, path.data) && rr_shared_file_is_at(&file, aside.data));
    CHECK_OK(rr_shared_file_empty(&file, &diag), diag);
    CHECK_INT(rr_file_look(aside.data, &bytes), RR_FILE_REGULAR);
    CHECK_INT(bytes, 0);
    rr_shared_file_close(&file);
    rr_shared_file_close(&file);

    rr_buf_clear(&aside);
    rr_folder_of(path.data, &aside);
    rr_folder_remove(aside.data);
    rr_buf_destroy(&aside);
    rr_buf_destroy(&path);
    return CHECK_END();
}
