#include "runtime/model/gguf_parts.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "runtime/base/log.h"

#define KEY_PART "split.no"
#define KEY_PARTS "split.count"
#define KEY_TENSORS "split.tensors.count"

enum { NUMBER_DIGITS = 5 };

/* What a name says: "STEM-00002-of-00003.gguf". */
typedef struct part_name {
    size_t stem_bytes;
    uint32_t place, n; /* place from 1 */
} part_name;

static bool read_digits(const char *at, uint32_t *out) {
    *out = 0;
    for (int i = 0; i < NUMBER_DIGITS; i++) {
        if (at[i] < '0' || at[i] > '9') {
            return false;
        }
        *out = *out * 10 + (uint32_t)(at[i] - '0');
    }
    return true;
}

static bool read_name(const char *path, part_name *out) {
    static const char middle[] = "-of-", ending[] = ".gguf";
    const size_t tail =
        1 + NUMBER_DIGITS + (sizeof middle - 1) + NUMBER_DIGITS + (sizeof ending - 1);
    const size_t n = strlen(path);
    if (n <= tail) {
        return false;
    }
    const char *at = path + n - tail;
    out->stem_bytes = n - tail;
    return at[0] == '-' && read_digits(at + 1, &out->place) &&
        strncmp(at + 1 + NUMBER_DIGITS, middle, sizeof middle - 1) == 0 &&
        read_digits(at + NUMBER_DIGITS + sizeof middle, &out->n) &&
        strcmp(at + 2 * NUMBER_DIGITS + sizeof middle, ending) == 0 && out->place >= 1 &&
        out->place <= out->n;
}

/* A number of the file, `otherwise` when it has none. */
static rr_status number_of(
    const rr_gguf *gguf, const char *key, uint64_t otherwise, uint64_t *out, rr_diag *diag) {
    *out = otherwise;
    return rr_gguf_find(gguf, key) != NULL ? rr_gguf_u64(gguf, key, out, diag) : RR_OK;
}

rr_status rr_gguf_parts_of(rr_gguf **gguf, rr_gguf_parts *out, rr_diag *diag) {
    uint64_t n = 1;
    rr_status status = number_of(*gguf, KEY_PARTS, 1, &n, diag);
    if (status == RR_OK && n > 1) {
        status = rr_fail(diag, RR_E_UNSUPPORTED,
            "%s: found one of %llu parts of a model; the parts are found by their names, "
            "STEM-00001-of-%05llu.gguf and so on",
            rr_gguf_path(*gguf), (unsigned long long)n, (unsigned long long)n);
    }
    rr_gguf **items = malloc(sizeof *items);
    if (status == RR_OK && items == NULL) {
        status = rr_fail(diag, RR_E_MEMORY, "%s: out of memory", rr_gguf_path(*gguf));
    }
    if (status != RR_OK) {
        free(items);
        rr_gguf_close(gguf);
        return status;
    }
    items[0] = *gguf;
    *gguf = NULL;
    *out = (rr_gguf_parts){items, 1};
    return RR_OK;
}

void rr_gguf_parts_close(rr_gguf_parts *parts) {
    for (size_t i = 0; i < parts->n; i++) {
        rr_gguf_close(&parts->items[i]);
    }
    free(parts->items);
    *parts = (rr_gguf_parts){0};
}

const rr_gguf_tensor *rr_gguf_parts_find(
    const rr_gguf_parts *parts, const char *name, size_t *part) {
    for (size_t i = 0; i < parts->n; i++) {
        const rr_gguf_tensor *tensor = rr_gguf_tensor_find(parts->items[i], name);
        if (tensor != NULL) {
            *part = i;
            return tensor;
        }
    }
    return NULL;
}

/* Its keys say the place that its name says. */
static rr_status check_part(const rr_gguf *gguf, uint32_t place, uint32_t n, rr_diag *diag) {
    uint64_t found = 0, found_n = 0;
    RR_TRY(rr_gguf_u64(gguf, KEY_PART, &found, diag));
    RR_TRY(rr_gguf_u64(gguf, KEY_PARTS, &found_n, diag));
    if (found_n != n || found != place - 1) {
        return rr_fail(diag, RR_E_INPUT,
            "%s: keys \"" KEY_PART "\" %llu (from 0) and \"" KEY_PARTS
            "\" %llu found, part %u of %u expected by its name; the file was renamed or belongs to "
            "another set",
            rr_gguf_path(gguf), (unsigned long long)found, (unsigned long long)found_n, place, n);
    }
    return RR_OK;
}

/* All tensors are there, each once. */
static rr_status check_tensors(const rr_gguf_parts *parts, rr_diag *diag) {
    uint64_t expected = 0, n = 0;
    const char *first = rr_gguf_path(parts->items[0]);
    RR_TRY(rr_gguf_u64(parts->items[0], KEY_TENSORS, &expected, diag));
    for (size_t i = 0; i < parts->n; i++) {
        n += rr_gguf_n_tensors(parts->items[i]);
        for (size_t t = 0; t < rr_gguf_n_tensors(parts->items[i]); t++) {
            const rr_text name = rr_gguf_tensor_at(parts->items[i], t)->name;
            for (size_t other = 0; other < i; other++) {
                char text[256];
                snprintf(text, sizeof text, "%.*s", (int)name.bytes, name.data);
                if (rr_gguf_tensor_find(parts->items[other], text) != NULL) {
                    return rr_fail(diag, RR_E_INPUT,
                        "%s: tensor \"%s\" is in %s too, in one part expected",
                        rr_gguf_path(parts->items[i]), rr_text_show(name).text,
                        rr_gguf_path(parts->items[other]));
                }
            }
        }
    }
    if (n != expected) {
        return rr_fail(diag, RR_E_INPUT,
            "%s: key \"" KEY_TENSORS "\" %llu found, but %llu tensors in the parts", first,
            (unsigned long long)expected, (unsigned long long)n);
    }
    return RR_OK;
}

static rr_status open_part(
    const char *path, const part_name *name, uint32_t place, rr_gguf **out, rr_diag *diag) {
    rr_buf file = {0};
    rr_buf_append(&file, path, name->stem_bytes);
    rr_buf_printf(&file, "-%05u-of-%05u.gguf", place, name->n);
    rr_status status = file.failed ? rr_fail(diag, RR_E_MEMORY, "%s: out of memory", path)
                                   : rr_gguf_open(file.data, out, diag);
    if (status == RR_E_IO) {
        rr_fail_context(diag, status, "part %u of %u", place, name->n);
    }
    rr_buf_destroy(&file);
    return status == RR_OK ? check_part(*out, place, name->n, diag) : status;
}

static rr_status open_set(
    const char *path, const part_name *name, rr_gguf_parts *out, rr_diag *diag) {
    rr_gguf_parts parts = {0};
    rr_status status = RR_OK;
    parts.items = calloc(name->n, sizeof *parts.items);
    if (parts.items == NULL) {
        return rr_fail(diag, RR_E_MEMORY, "%s: out of memory", path);
    }
    for (uint32_t place = 1; place <= name->n; place++) {
        parts.n = place; /* closing takes parts that are not open */
        RR_TRY_GOTO(open_part(path, name, place, &parts.items[place - 1], diag));
    }
    RR_TRY_GOTO(check_tensors(&parts, diag));
    if (name->place != 1) {
        rr_log(RR_LOG_INFO, "%s: part %u of %u: the set is read from its first part on", path,
            name->place, name->n);
    }
    *out = parts;
    return RR_OK;
fail:
    rr_gguf_parts_close(&parts);
    return status;
}

/* Byte cuts of one file are another thing: their first piece looks like a damaged model. */
static bool is_cut(const char *path) {
    const char *name = strrchr(path, '/');
    name = name != NULL ? name + 1 : path;
    const size_t n = strlen(name);
    return strstr(name, ".gguf-split-") != NULL || strstr(name, ".gguf.part") != NULL ||
        strstr(name, ".part1of") != NULL || (n > 7 && strncmp(name + n - 7, ".gguf.", 6) == 0);
}

rr_status rr_gguf_parts_open(const char *path, rr_gguf_parts *out, rr_diag *diag) {
    part_name name;
    rr_gguf *gguf = NULL;
    if (read_name(path, &name) && name.n > 1) {
        return open_set(path, &name, out, diag);
    }
    rr_status status = rr_gguf_open(path, &gguf, diag);
    if (status == RR_E_INPUT && is_cut(path)) {
        rr_fail_context(diag, status, "a piece of a file that was cut? Join the pieces (cat)");
    }
    return status == RR_OK ? rr_gguf_parts_of(&gguf, out, diag) : status;
}
