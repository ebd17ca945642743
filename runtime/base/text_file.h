/* Text files that people give: as they stand, or packed with gzip. What is no text in UTF-8 is
 * refused by name. Owns: which kinds of file are told apart by their first bytes, and the reading
 * of gzip. Owns no format of text.
 *
 * A packed file is read as gzip(1) reads it: several members are one text, zeros behind the last
 * one are padding. Unlike there, anything else behind it is an error, as is a file that is cut off.
 * "-" is standard input. Errors of all functions here: RR_E_IO; RR_E_INPUT for a folder, another
 * packing, UTF-16 or UTF-32, a NUL byte, damaged or cut gzip and a text that is too long;
 * RR_E_USAGE for an empty path; RR_E_MEMORY. */
#ifndef RR_BASE_TEXT_FILE_H
#define RR_BASE_TEXT_FILE_H

#include "runtime/base/file.h"

/* A whole text. */
typedef struct rr_text_file {
    const char *data; /* never NULL once opened */
    size_t bytes;
    rr_mapping map; /* where the file could be mapped */
    rr_buf text;    /* else */
} rr_text_file;

/* The most that a packed file may hold where it is kept in memory as a whole: a few megabytes can
 * claim to be terabytes. */
#define RR_TEXT_MAX_UNPACKED ((uint64_t)4 << 30)

/* Maps the file, or reads it where it is packed or no regular file; then it may hold `max_bytes`,
 * packed at most RR_TEXT_MAX_UNPACKED too. Of a mapped file only the first megabyte is looked at
 * for NUL bytes. */
rr_status rr_text_file_open(const char *path, uint64_t max_bytes, rr_text_file *out, rr_diag *diag);
void rr_text_file_close(rr_text_file *file); /* accepts a zeroed one */

/* Appends the whole text, at most `max_bytes`, to `out`. */
rr_status rr_text_file_read(const char *path, uint64_t max_bytes, rr_buf *out, rr_diag *diag);

/* A text that comes piece by piece. One thread at a time. Memory: some 130 KB, whatever the file
 * holds. */
typedef struct rr_text_stream rr_text_stream;

/* `path` must live as long as the stream: it stands in messages. */
rr_status rr_text_stream_open(const char *path, rr_text_stream **out, rr_diag *diag);
/* Fills to[room]; *n is less only at the end of the text. */
rr_status rr_text_stream_read(
    rr_text_stream *stream, void *to, size_t room, size_t *n, rr_diag *diag);
void rr_text_stream_close(rr_text_stream **stream);

/* What messages call the file: its path, or "standard input". Borrows the path. */
const char *rr_text_label(const char *path);

/* What these first bytes of a file say that it is packed with ("gzip", "zstd", …); NULL = none that
 * is known. */
const char *rr_text_packing(const void *data, size_t bytes);

#endif
