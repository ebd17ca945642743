/* Text files: gzip as gzip(1) reads it, hostile gzip, what is refused by name. */
#define _GNU_SOURCE
#include "runtime/base/text_file.h"
#include "tests/check.h"
#include "tests/support/folder.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <zlib.h>

static char folder[256], path[300];

static void write_bytes(const void *data, size_t bytes) {
    FILE *file = fopen(path, "wb"); /* some thousand times: without a wait for the disk */
    CHECK(file != NULL && fwrite(data, 1, bytes, file) == bytes && fclose(file) == 0);
}

/* Appends a member. */
static void pack(const void *data, size_t bytes, rr_buf *out) {
    z_stream z = {0};
    CHECK_INT(deflateInit2(&z, 6, Z_DEFLATED, 15 + 16, 8, Z_DEFAULT_STRATEGY), Z_OK);
    size_t room = deflateBound(&z, bytes);
    unsigned char *packed = malloc(room);
    z.next_in = (unsigned char *)(uintptr_t)data;
    z.avail_in = (uInt)bytes;
    z.next_out = packed;
    z.avail_out = (uInt)room;
    CHECK_INT(deflate(&z, Z_FINISH), Z_STREAM_END);
    rr_buf_append(out, packed, room - z.avail_out);
    deflateEnd(&z);
    free(packed);
}

static rr_status read_all(uint64_t max_bytes, rr_buf *out, rr_diag *diag) {
    rr_buf_clear(out);
    return rr_text_file_read(path, max_bytes, out, diag);
}

static void holds(const char *expected) {
    rr_diag diag = {0};
    rr_buf text = {0};
    rr_text_file file = {0};
    CHECK_OK(read_all(1 << 20, &text, &diag), diag);
    CHECK(text.bytes == strlen(expected) &&
        (text.bytes == 0 || memcmp(text.data, expected, text.bytes) == 0));
    CHECK_OK(rr_text_file_open(path, 1 << 20, &file, &diag), diag);
    CHECK(file.bytes == strlen(expected) && memcmp(file.data, expected, file.bytes) == 0);
    rr_text_file_close(&file);
    rr_buf_destroy(&text);
}

static void refused(const char *message) {
    rr_diag diag = {0};
    rr_buf text = {0};
    rr_text_file file = {0};
    CHECK_INT(read_all(1 << 20, &text, &diag), RR_E_INPUT);
    CHECK_MSG(strstr(diag.text, message) != NULL, "%s", diag.text);
    CHECK_INT(rr_text_file_open(path, 1 << 20, &file, &diag), RR_E_INPUT);
    CHECK_MSG(strstr(diag.text, message) != NULL && strstr(diag.text, path) == diag.text, "%s",
        diag.text);
    rr_buf_destroy(&text);
}

static void reads_text(void) {
    write_bytes("plain\n", 6);
    holds("plain\n");
    write_bytes("", 0);
    holds("");
    write_bytes("\x1F", 1); /* half a mark is none */
    holds("\x1F");
    write_bytes("BZh, a word", 11);
    holds("BZh, a word");
}

static void reads_gzip(void) {
    rr_buf packed = {0};
    pack("one\n", 4, &packed);
    write_bytes(packed.data, packed.bytes);
    holds("one\n");
    pack("", 0, &packed);
    pack("two\n", 4, &packed);
    write_bytes(packed.data, packed.bytes);
    holds("one\ntwo\n");
    rr_buf_append(&packed, "\0\0\0", 3); /* tapes leave such */
    write_bytes(packed.data, packed.bytes);
    holds("one\ntwo\n");
    rr_buf_append(&packed, "x", 1);
    write_bytes(packed.data, packed.bytes);
    refused("something that is no gzip stands behind the end of its packed text (from byte ");
    rr_buf_clear(&packed);
    pack("", 0, &packed);
    write_bytes(packed.data, packed.bytes);
    holds("");
    rr_buf_append(&packed, "garbage", 7);
    write_bytes(packed.data, packed.bytes);
    refused("something that is no gzip");
    rr_buf_destroy(&packed);
}

/* No cut and no changed bit may pass for the text, crash or hang. */
static void bears_damage(void) {
    static const char text[] = "some lines\nof text\nof text\nof text\n";
    rr_buf packed = {0}, found = {0};
    rr_diag diag = {0};
    pack(text, sizeof text - 1, &packed);
    for (size_t cut = 2; cut < packed.bytes; cut++) {
        write_bytes(packed.data, cut);
        refused("is cut off");
    }
    for (size_t bit = 0; bit < packed.bytes * 8; bit++) {
        packed.data[bit / 8] ^= (char)(1 << bit % 8);
        write_bytes(packed.data, packed.bytes);
        rr_status status = read_all(1 << 20, &found, &diag);
        /* the header holds a time and a system, which may be any */
        CHECK(status == RR_E_INPUT || bit / 8 < 10);
        packed.data[bit / 8] ^= (char)(1 << bit % 8);
    }
    rr_buf_destroy(&packed);
    rr_buf_destroy(&found);
}

static void bounds_memory(void) {
    enum { BYTES = 32 << 20 };
    char *text = malloc(BYTES);
    rr_buf packed = {0}, found = {0};
    rr_diag diag = {0};
    memset(text, 'a', BYTES);
    pack(text, BYTES, &packed);
    CHECK(packed.bytes < 1 << 16);
    write_bytes(packed.data, packed.bytes);
    CHECK_INT(read_all(1 << 20, &found, &diag), RR_E_INPUT);
    CHECK_MSG(strstr(diag.text,
                  "longer than the 1048576 bytes that are accepted of a packed file") != NULL,
        "%s", diag.text);
    CHECK(found.bytes <= 1 << 20);
    CHECK_OK(read_all(BYTES, &found, &diag), diag);
    CHECK(found.bytes == BYTES && memcmp(found.data, text, BYTES) == 0);
    rr_buf_destroy(&packed);
    rr_buf_destroy(&found);
    free(text);
}

/* In pieces of any size, through a pipe or not, the text is the same. */
static void streams(void) {
    enum { BYTES = 200000 };
    char *text = malloc(BYTES), *found = malloc(BYTES + 1);
    rr_buf packed = {0};
    rr_diag diag = {0};
    for (size_t i = 0; i < BYTES; i++) {
        text[i] = (char)('a' + i * i % 23);
    }
    pack(text, BYTES / 2, &packed);
    pack(text + BYTES / 2, BYTES - BYTES / 2, &packed);
    static const size_t rooms[] = {1, 7, 4096, 65536, BYTES + 1};
    for (size_t turn = 0; turn < 2 * sizeof rooms / sizeof rooms[0]; turn++) {
        const size_t room = rooms[turn / 2];
        write_bytes(
            turn % 2 == 0 ? text : packed.data, turn % 2 == 0 ? (size_t)BYTES : packed.bytes);
        rr_text_stream *stream = NULL;
        CHECK_OK(rr_text_stream_open(path, &stream, &diag), diag);
        size_t n = room, total = 0;
        while (n == room && total <= BYTES) {
            CHECK_OK(rr_text_stream_read(stream, found + total,
                         room < BYTES + 1 - total ? room : BYTES + 1 - total, &n, &diag),
                diag);
            total += n;
        }
        CHECK(total == BYTES && memcmp(found, text, BYTES) == 0);
        rr_text_stream_close(&stream);
    }
    rr_buf_destroy(&packed);
    free(text);
    free(found);
}

static void refuses_by_name(void) {
    static const struct {
        const char *head;
        size_t n;
        const char *message;
    } kinds[] = {
        {"\x28\xB5\x2F\xFD and so on", 14,
            "is packed with zstd, expected text, as it is or packed with gzip"},
        {"\xFD"
         "7zXZ\0 and so on",
            16, "is packed with xz"},
        {"BZh91AY&SY and so on", 20, "is packed with bzip2"},
        {"PK\x03\x04 and so on", 14, "is packed with zip"},
        {"PAR1 and so on", 14, "is a Parquet file, expected text in UTF-8"},
        {"\xFF\xFEr\0o\0s\0e\0s\0", 12, "is UTF-16 text, expected text in UTF-8"},
        {"\xFE\xFF\0r\0o\0s\0e\0s", 12, "is UTF-16 text, expected text in UTF-8"},
        {"\xFF\xFE\0\0r\0\0\0", 8, "is UTF-32 text, expected text in UTF-8"},
        {"r\0o\0s\0e\0s\0", 10, "holds a NUL byte (at byte 1), expected text in UTF-8"},
        {"roses\n\0\n", 8, "holds a NUL byte (at byte 6)"},
    };
    for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++) {
        write_bytes(kinds[i].head, kinds[i].n);
        refused(kinds[i].message);
        rr_buf packed = {0};
        pack(kinds[i].head, kinds[i].n, &packed); /* and so it is under a cover of gzip */
        write_bytes(packed.data, packed.bytes);
        refused(kinds[i].message);
        rr_buf_destroy(&packed);
    }
    rr_buf once = {0}, twice = {0};
    pack("text", 4, &once);
    pack(once.data, once.bytes, &twice);
    write_bytes(twice.data, twice.bytes);
    refused("is packed with gzip, expected text, as it is or packed with gzip once");
    rr_buf_destroy(&once);
    rr_buf_destroy(&twice);
}

static void reads_standard_input(void) {
    rr_diag diag = {0};
    rr_buf packed = {0}, found = {0};
    pack("packed", 6, &packed);
    int saved = dup(STDIN_FILENO), ends[2];
    CHECK_INT(pipe(ends), 0);
    CHECK_INT(write(ends[1], packed.data, packed.bytes), packed.bytes);
    close(ends[1]);
    dup2(ends[0], STDIN_FILENO);
    close(ends[0]);
    CHECK_OK(rr_text_file_read("-", 100, &found, &diag), diag);
    CHECK_TEXT(found.data != NULL ? found.data : "", "packed");
    close(STDIN_FILENO);
    CHECK_INT(rr_text_file_read("-", 100, &found, &diag), RR_E_IO);
    CHECK_TEXT(diag.text, "standard input: is closed, expected something to read");
    dup2(saved, STDIN_FILENO);
    close(saved);
    CHECK_INT(rr_text_file_read(folder, 100, &found, &diag), RR_E_INPUT);
    CHECK_MSG(strstr(diag.text, "found a folder") != NULL, "%s", diag.text);
    CHECK_INT(rr_text_file_read("", 100, &found, &diag), RR_E_USAGE);
    rr_buf_destroy(&packed);
    rr_buf_destroy(&found);
}

int main(void) {
    rr_test_folder(folder, sizeof folder);
    snprintf(path, sizeof path, "%s/text", folder);
    reads_text();
    reads_gzip();
    bears_damage();
    bounds_memory();
    streams();
    refuses_by_name();
    reads_standard_input();
    CHECK_INT(unlink(path), 0);
    CHECK_INT(rmdir(folder), 0);
    return CHECK_END();
}
