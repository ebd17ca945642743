#include "runtime/base/text_file.h"

#include <stdlib.h>
#include <string.h>
#include <zlib.h>

enum {
    PIECE_BYTES = 1 << 16, /* read from the file at once */
    HEAD_BYTES = 16,       /* what tells a kind of file */
    LOOK_BYTES = 1 << 20   /* of a mapped file: a look at all of it would cost a pass of its own */
};

/* Kinds */

typedef struct kind {
    const char *head;
    size_t n;
    const char *name;
} kind;

static const char gzip[] = "gzip";
static const kind packings[] = {
    {"\x1F\x8B", 2, gzip},
    {"\x28\xB5\x2F\xFD", 4, "zstd"},
    {"\xFD"
     "7zXZ",
        5, "xz"},
    {"BZh", 3, "bzip2"},
    {"PK\x03\x04", 4, "zip"},
    {"7z\xBC\xAF\x27\x1C", 6, "7z"},
    {"\x04\x22\x4D\x18", 4, "lz4"},
};
static const kind others[] = {
    {"PAR1", 4, "a Parquet file"},
    {"%PDF-", 5, "a PDF"},
    {"GGUF", 4, "a model (GGUF)"},
    {"SQLite format 3", 16, "an SQLite database"},
    {"\xFF\xFE\0\0", 4, "UTF-32 text"},
    {"\0\0\xFE\xFF", 4, "UTF-32 text"},
    {"\xFF\xFE", 2, "UTF-16 text"},
    {"\xFE\xFF", 2, "UTF-16 text"},
};

static const char *name_of(const kind *kinds, size_t n_kinds, const void *data, size_t bytes) {
    for (size_t i = 0; i < n_kinds; i++) {
        if (bytes >= kinds[i].n && memcmp(data, kinds[i].head, kinds[i].n) == 0) {
            return kinds[i].name;
        }
    }
    return NULL;
}

const char *rr_text_packing(const void *data, size_t bytes) {
    const char *name = name_of(packings, sizeof packings / sizeof packings[0], data, bytes);
    /* a text may well begin with these three letters; what is packed has the size of its blocks and
     * a mark behind them */
    bool is_word = name != NULL && strcmp(name, "bzip2") == 0 &&
        (bytes < 10 || memcmp((const char *)data + 4, "1AY&SY", 6) != 0);
    return is_word ? NULL : name;
}

const char *rr_text_label(const char *path) {
    return strcmp(path, "-") == 0 ? "standard input" : path;
}

/* The first bytes of what should be text by now. */
static rr_status check_head(const char *label, const void *data, size_t bytes, rr_diag *diag) {
    const char *packing = rr_text_packing(data, bytes);
    if (packing != NULL) {
        return rr_fail(diag, RR_E_INPUT,
            "%s: is packed with %s, expected text, as it is or packed with gzip once: unpack it first",
            label, packing);
    }
    const char *name = name_of(others, sizeof others / sizeof others[0], data, bytes);
    if (name != NULL) {
        return rr_fail(diag, RR_E_INPUT, "%s: is %s, expected text in UTF-8%s", label, name,
            strncmp(name, "UTF", 3) == 0 ? " (iconv turns it into that)" : "");
    }
    return RR_OK;
}

/* `offset` is that of the bytes in the text. */
static rr_status check_nul(
    const char *label, const void *data, size_t bytes, uint64_t offset, rr_diag *diag) {
    const char *nul = bytes > 0 ? memchr(data, '\0', bytes) : NULL;
    if (nul == NULL) {
        return RR_OK;
    }
    return rr_fail(diag, RR_E_INPUT,
        "%s: holds a NUL byte (at byte %llu), expected text in UTF-8; is it UTF-16 or no text at all?",
        label, (unsigned long long)(offset + (uint64_t)(nul - (const char *)data)));
}

/* Streams */

struct rr_text_stream {
    const char *label;
    rr_stream_in file;
    bool file_ended, packed;
    bool between; /* packed: behind the end of a member */
    bool padded;  /* zeros were found there */
    z_stream z;
    uint64_t n_read, n_given;
    size_t begin, end; /* in piece[] */
    unsigned char piece[PIECE_BYTES];
};

/* Reads until `n` bytes are at hand or the file ends. */
static rr_status need(rr_text_stream *s, size_t n, rr_diag *diag) {
    if (s->end - s->begin >= n) {
        return RR_OK;
    }
    memmove(s->piece, s->piece + s->begin, s->end - s->begin);
    s->end -= s->begin;
    s->begin = 0;
    while (s->end < n && !s->file_ended) {
        size_t got;
        RR_TRY(rr_stream_in_read(
            &s->file, s->label, s->piece + s->end, sizeof s->piece - s->end, &got, diag));
        s->file_ended = got == 0;
        s->end += got;
        s->n_read += got;
    }
    return RR_OK;
}

static unsigned long long place(const rr_text_stream *s) {
    return (unsigned long long)(s->n_read - (s->end - s->begin));
}

/* Another member begins, or the text is at its end. */
static rr_status leave_member(rr_text_stream *s, bool *ended, rr_diag *diag) {
    for (;;) {
        RR_TRY(need(s, 2, diag));
        if (s->begin == s->end || s->piece[s->begin] != 0) {
            break;
        }
        s->padded = true;
        s->begin++;
    }
    *ended = s->begin == s->end;
    if (*ended) {
        return RR_OK;
    }
    if (s->padded || rr_text_packing(s->piece + s->begin, s->end - s->begin) != gzip) {
        return rr_fail(diag, RR_E_INPUT,
            "%s: something that is no gzip stands behind the end of its packed text (from byte %llu on)",
            s->label, place(s));
    }
    s->between = false;
    return inflateReset(&s->z) == Z_OK ? RR_OK
                                       : rr_fail(diag, RR_E_MEMORY, "%s: out of memory", s->label);
}

static rr_status unpack(
    rr_text_stream *s, unsigned char *to, size_t room, size_t *n, rr_diag *diag) {
    while (*n < room) {
        if (s->between) {
            bool ended;
            RR_TRY(leave_member(s, &ended, diag));
            if (ended) {
                return RR_OK;
            }
        }
        RR_TRY(need(s, 1, diag));
        const size_t left = room - *n < ((size_t)1 << 30) ? room - *n : (size_t)1 << 30;
        s->z.next_in = s->piece + s->begin;
        s->z.avail_in = (uInt)(s->end - s->begin);
        s->z.next_out = to + *n;
        s->z.avail_out = (uInt)left;
        int code = inflate(&s->z, Z_NO_FLUSH);
        s->begin = s->end - s->z.avail_in;
        *n += left - s->z.avail_out;
        if (code == Z_MEM_ERROR) {
            return rr_fail(diag, RR_E_MEMORY, "%s: out of memory", s->label);
        }
        if (code == Z_BUF_ERROR) { /* there was nothing left to read */
            return rr_fail(diag, RR_E_INPUT,
                "%s: is cut off: its gzip data end in the middle, after %llu bytes", s->label,
                place(s));
        }
        if (code != Z_OK && code != Z_STREAM_END) {
            return rr_fail(diag, RR_E_INPUT, "%s: its gzip data are damaged before byte %llu: %s",
                s->label, place(s), s->z.msg != NULL ? s->z.msg : "no gzip");
        }
        s->between = code == Z_STREAM_END;
        s->padded = false;
    }
    return RR_OK;
}

static rr_status copy(rr_text_stream *s, unsigned char *to, size_t room, size_t *n, rr_diag *diag) {
    while (*n < room) {
        RR_TRY(need(s, 1, diag));
        size_t at_hand = s->end - s->begin, taken = at_hand < room - *n ? at_hand : room - *n;
        if (taken == 0) {
            return RR_OK;
        }
        memcpy(to + *n, s->piece + s->begin, taken);
        s->begin += taken;
        *n += taken;
    }
    return RR_OK;
}

rr_status rr_text_stream_read(rr_text_stream *s, void *to, size_t room, size_t *n, rr_diag *diag) {
    *n = 0;
    RR_TRY(s->packed ? unpack(s, to, room, n, diag) : copy(s, to, room, n, diag));
    if (s->n_given == 0) {
        RR_TRY(check_head(s->label, to, *n, diag));
    }
    RR_TRY(check_nul(s->label, to, *n, s->n_given, diag));
    s->n_given += *n;
    return RR_OK;
}

rr_status rr_text_stream_open(const char *path, rr_text_stream **out, rr_diag *diag) {
    rr_text_stream *s = calloc(1, sizeof *s);
    if (s == NULL) {
        return rr_fail(diag, RR_E_MEMORY, "%s: out of memory", path);
    }
    rr_status status = RR_OK;
    s->label = rr_text_label(path);
    RR_TRY_GOTO(rr_stream_in_open(path, &s->file, diag));
    RR_TRY_GOTO(need(s, HEAD_BYTES, diag));
    if (rr_text_packing(s->piece + s->begin, s->end - s->begin) == gzip) {
        s->packed = inflateInit2(&s->z, 15 + 16) == Z_OK; /* any window, gzip alone */
        status = s->packed ? RR_OK : rr_fail(diag, RR_E_MEMORY, "%s: out of memory", path);
    }
    RR_TRY_GOTO(status);
    *out = s;
    return RR_OK;
fail:
    rr_text_stream_close(&s);
    return status;
}

void rr_text_stream_close(rr_text_stream **stream) {
    rr_text_stream *s = *stream;
    if (s == NULL) {
        return;
    }
    if (s->packed) {
        inflateEnd(&s->z);
    }
    rr_stream_in_close(&s->file);
    free(s);
    *stream = NULL;
}

/* Whole texts */

rr_status rr_text_file_read(const char *path, uint64_t max_bytes, rr_buf *out, rr_diag *diag) {
    rr_text_stream *s = NULL;
    unsigned char *piece = malloc(PIECE_BYTES);
    rr_status status = piece != NULL ? rr_text_stream_open(path, &s, diag)
                                     : rr_fail(diag, RR_E_MEMORY, "%s: out of memory", path);
    const uint64_t most = s != NULL && s->packed && max_bytes > RR_TEXT_MAX_UNPACKED
        ? RR_TEXT_MAX_UNPACKED
        : max_bytes;
    size_t n = PIECE_BYTES;
    while (status == RR_OK && n == PIECE_BYTES) {
        status = rr_text_stream_read(s, piece, PIECE_BYTES, &n, diag);
        if (status == RR_OK && s->n_given > most) {
            status = rr_fail(diag, RR_E_INPUT, "%s: longer than the %llu bytes that are accepted%s",
                s->label, (unsigned long long)most, s->packed ? " of a packed file" : "");
        }
        if (status == RR_OK) {
            rr_buf_append(out, piece, n);
            status = out->failed ? rr_fail(diag, RR_E_MEMORY, "%s: out of memory after %llu bytes",
                                       s->label, (unsigned long long)s->n_given)
                                 : RR_OK;
        }
    }
    rr_text_stream_close(&s);
    free(piece);
    return status;
}

/* False: to be read, not to be mapped. */
static rr_status try_map(const char *path, rr_mapping *map, bool *mapped, rr_diag *diag) {
    rr_diag fault = {0};
    *mapped = false;
    if (strcmp(path, "-") == 0) {
        return RR_OK;
    }
    rr_status status = rr_file_map(path, map, &fault);
    if (status == RR_E_INPUT) { /* no regular file: a pipe can be read */
        return RR_OK;
    }
    if (status != RR_OK) {
        return rr_fail(diag, status, "%s", fault.text);
    }
    const size_t head = map->bytes < HEAD_BYTES ? (size_t)map->bytes : HEAD_BYTES;
    *mapped = rr_text_packing(map->data, head) != gzip;
    if (!*mapped) {
        rr_file_unmap(map);
        return RR_OK;
    }
    RR_TRY(check_head(path, map->data, head, diag));
    return check_nul(
        path, map->data, map->bytes < LOOK_BYTES ? (size_t)map->bytes : LOOK_BYTES, 0, diag);
}

rr_status rr_text_file_open(
    const char *path, uint64_t max_bytes, rr_text_file *out, rr_diag *diag) {
    rr_text_file file = {0};
    bool mapped;
    rr_status status = try_map(path, &file.map, &mapped, diag);
    if (status == RR_OK && !mapped) {
        status = rr_text_file_read(path, max_bytes, &file.text, diag);
    }
    if (status != RR_OK) {
        rr_text_file_close(&file);
        return status;
    }
    file.data = mapped ? (const char *)file.map.data : file.text.data;
    file.data = file.data != NULL ? file.data : "";
    file.bytes = mapped ? (size_t)file.map.bytes : file.text.bytes;
    *out = file;
    return RR_OK;
}

void rr_text_file_close(rr_text_file *file) {
    rr_file_unmap(&file->map);
    rr_buf_destroy(&file->text);
    *file = (rr_text_file){0};
}
