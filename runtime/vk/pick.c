/* Which device a wish means. Pure: looks at nothing but its arguments. */
#include "runtime/vk/vk.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>

/* "found …; devices: 0 = NAME, 1 = NAME (not usable: …)" */
static rr_status fail_with_list(
    const rr_device_info *devices, size_t n, rr_status why, const char *what, rr_diag *diag) {
    rr_buf list = {0};
    for (size_t i = 0; i < n; i++) {
        rr_buf_printf(&list, "%s%zu = %s", i > 0 ? ", " : "", i, devices[i].name);
        if (!devices[i].usable) {
            rr_buf_printf(&list, " (not usable: %s)", devices[i].reason);
        }
    }
    rr_status status = rr_fail(
        diag, why, "%s; devices: %s", what, list.data != NULL && !list.failed ? list.data : "none");
    rr_buf_destroy(&list);
    return status;
}

/* Lower is better. */
static int rank_of(rr_device_type type) {
    switch (type) {
    case RR_DEVICE_DISCRETE:
        return 0;
    case RR_DEVICE_INTEGRATED:
        return 1;
    case RR_DEVICE_VIRTUAL:
        return 2;
    case RR_DEVICE_OTHER:
        return 3;
    case RR_DEVICE_CPU:
        return 4;
    }
    return 5;
}

static int hex_value(char c) {
    return c >= '0' && c <= '9' ? c - '0'
        : c >= 'a' && c <= 'f'  ? c - 'a' + 10
        : c >= 'A' && c <= 'F'  ? c - 'A' + 10
                                : -1;
}

/* 32 hexadecimal digits, dashes allowed between bytes. */
static bool parse_uuid(const char *text, uint8_t uuid[16]) {
    size_t n = 0;
    while (*text != '\0' && n < 16) {
        if (*text == '-' && n > 0) {
            text++;
            continue;
        }
        int high = hex_value(text[0]);
        int low = high < 0 ? -1 : hex_value(text[1]);
        if (low < 0) {
            return false;
        }
        uuid[n++] = (uint8_t)(high * 16 + low);
        text += 2;
    }
    return n == 16 && *text == '\0';
}

static bool parse_index(const char *text, size_t n, size_t *out) {
    size_t value = 0;
    for (const char *at = text; *at != '\0'; at++) {
        if (!isdigit((unsigned char)*at) || value > n) {
            return false;
        }
        value = value * 10 + (size_t)(*at - '0');
    }
    *out = value;
    return value < n;
}

static bool contains_ignoring_case(const char *text, const char *part) {
    size_t n = strlen(part);
    for (; *text != '\0'; text++) {
        size_t i = 0;
        while (i < n && tolower((unsigned char)text[i]) == tolower((unsigned char)part[i])) {
            i++;
        }
        if (i == n) {
            return true;
        }
    }
    return false;
}

/* By type, then by memory. */
static bool is_better(const rr_device_info *a, const rr_device_info *b) {
    int rank_a = rank_of(a->type);
    int rank_b = rank_of(b->type);
    return rank_a != rank_b ? rank_a < rank_b : a->device_memory_bytes > b->device_memory_bytes;
}

static rr_status pick_best(const rr_device_info *devices, size_t n, size_t *out, rr_diag *diag) {
    size_t best = n;
    for (size_t i = 0; i < n; i++) {
        if (devices[i].usable && (best == n || is_better(&devices[i], &devices[best]))) {
            best = i;
        }
    }
    if (best == n) {
        return fail_with_list(devices, n, RR_E_DEVICE, "no usable Vulkan device", diag);
    }
    *out = best;
    return RR_OK;
}

rr_status rr_vk_pick(
    const rr_device_info *devices, size_t n, const char *wish, size_t *out, rr_diag *diag) {
    if (wish == NULL || wish[0] == '\0') {
        return pick_best(devices, n, out, diag);
    }
    size_t found = n;
    size_t n_found = 0;
    uint8_t uuid[16];
    bool is_uuid = parse_uuid(wish, uuid);
    if (parse_index(wish, n, &found)) {
        n_found = 1;
    } else {
        for (size_t i = 0; i < n; i++) {
            if (is_uuid ? memcmp(devices[i].uuid, uuid, 16) == 0
                        : contains_ignoring_case(devices[i].name, wish)) {
                found = i;
                n_found++;
            }
        }
    }
    char what[400];
    if (n_found != 1) {
        snprintf(what, sizeof what,
            "device \"%.200s\" matches %zu devices, expected exactly one: name an index, a UUID or "
            "more of the name",
            wish, n_found);
        return fail_with_list(devices, n, n > 0 ? RR_E_USAGE : RR_E_DEVICE, what, diag);
    }
    if (!devices[found].usable) {
        snprintf(what, sizeof what, "device \"%.200s\" is not usable", wish);
        return fail_with_list(devices, n, RR_E_DEVICE, what, diag);
    }
    *out = found;
    return RR_OK;
}
