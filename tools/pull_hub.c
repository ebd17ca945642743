#include <curl/curl.h>
#include <stdlib.h>
#include <string.h>

#include "runtime/base/thread.h"
#include "tools/cli.h"
#include "tools/pull_sources.h"

#define DEFAULT_HUB "https://huggingface.co"

enum { CONNECT_SECONDS = 10, STALLED_SECONDS = 30, TRIES = 100 };

typedef struct transfer {
    CURL *curl;
    rr_partial *partial;
    uint64_t offset; /* asked for */
    bool is_checked; /* the answer's head was looked at */
    rr_status status;
    rr_diag *diag;
} transfer;

/* Looks at the answer before its first byte is kept: is it the file, from where we asked? */
static rr_status check_answer(transfer *t) {
    long code = 0;
    curl_off_t bytes = -1;
    curl_easy_getinfo(t->curl, CURLINFO_RESPONSE_CODE, &code);
    curl_easy_getinfo(t->curl, CURLINFO_CONTENT_LENGTH_DOWNLOAD_T, &bytes);
    if (code == 200 && t->offset > 0) { /* a server without ranges sends everything */
        RR_TRY(rr_partial_restart(t->partial, t->diag));
        t->offset = 0;
    } else if (code != 200 && code != 206) {
        return rr_fail(t->diag, RR_E_IO, "the hub answered with HTTP status %ld", code);
    }
    uint64_t total = rr_partial_total(t->partial);
    if (bytes >= 0 && t->offset + (uint64_t)bytes != total) {
        return rr_fail(t->diag, RR_E_INPUT, "the hub's file has %llu bytes, expected %llu",
            (unsigned long long)t->offset + (unsigned long long)bytes, (unsigned long long)total);
    }
    return RR_OK;
}

static size_t on_data(char *data, size_t size, size_t n, void *user) {
    transfer *t = user;
    if (!t->is_checked) {
        t->is_checked = true;
        t->status = check_answer(t);
    }
    if (t->status == RR_OK) {
        t->status = rr_partial_write(t->partial, data, size * n, t->diag);
    }
    rr_pull_progress(NULL, rr_partial_bytes(t->partial), rr_partial_total(t->partial));
    return t->status == RR_OK ? size * n : 0;
}

static int on_progress(
    void *user, curl_off_t total, curl_off_t now, curl_off_t up_total, curl_off_t up_now) {
    (void)user, (void)total, (void)now, (void)up_total, (void)up_now;
    return rr_cli_interrupted();
}

static void set_options(transfer *t, const char *url) {
    CURL *curl = t->curl;
    const char *protocols = strncmp(url, "http://", 7) == 0 ? "http,https" : "https";
    curl_easy_reset(curl);
    curl_easy_setopt(curl, CURLOPT_URL, url);
    curl_easy_setopt(curl, CURLOPT_PROTOCOLS_STR, protocols);
    curl_easy_setopt(curl, CURLOPT_REDIR_PROTOCOLS_STR, protocols);
    curl_easy_setopt(curl, CURLOPT_FOLLOWLOCATION, 1L);
    curl_easy_setopt(curl, CURLOPT_MAXREDIRS, 8L);
    curl_easy_setopt(curl, CURLOPT_USERAGENT, "rearank/" REARANK_VERSION);
    curl_easy_setopt(curl, CURLOPT_CONNECTTIMEOUT, (long)CONNECT_SECONDS);
    curl_easy_setopt(curl, CURLOPT_LOW_SPEED_LIMIT, 1L);
    curl_easy_setopt(curl, CURLOPT_LOW_SPEED_TIME, (long)STALLED_SECONDS);
    curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(curl, CURLOPT_RESUME_FROM_LARGE, (curl_off_t)t->offset);
    curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, on_data);
    curl_easy_setopt(curl, CURLOPT_WRITEDATA, t);
    curl_easy_setopt(curl, CURLOPT_XFERINFOFUNCTION, on_progress);
    curl_easy_setopt(curl, CURLOPT_NOPROGRESS, 0L);
}

/* One request. *again = it broke off after bytes arrived, and going on from there may work. */
static rr_status request(
    CURL *curl, const char *url, rr_partial *partial, bool *again, rr_diag *diag) {
    char message[CURL_ERROR_SIZE] = "";
    uint64_t before = rr_partial_bytes(partial);
    transfer t = {.curl = curl, .partial = partial, .offset = before, .diag = diag};
    set_options(&t, url);
    curl_easy_setopt(curl, CURLOPT_ERRORBUFFER, message);
    CURLcode result = curl_easy_perform(curl);
    *again = false;
    if (t.status != RR_OK) {
        return t.status;
    }
    if (rr_cli_interrupted()) {
        return rr_fail(diag, RR_E_CANCELLED, "interrupted");
    }
    if (result == CURLE_OK) {
        return t.is_checked ? RR_OK : check_answer(&t); /* an answer without a body */
    }
    if (result == CURLE_RANGE_ERROR) { /* 200 to a range request, said before the body came */
        *again = before > 0;
        RR_TRY(rr_partial_restart(partial, diag));
    } else {
        *again = rr_partial_bytes(partial) > before;
    }
    return rr_fail(diag, RR_E_IO, "%s", message[0] != '\0' ? message : curl_easy_strerror(result));
}

static rr_status make_url(const rr_model_source *source, rr_buf *url, rr_diag *diag) {
    const char *hub = getenv("HF_ENDPOINT");
    if (hub == NULL || hub[0] == '\0') {
        hub = DEFAULT_HUB;
    }
    if (strncmp(hub, "https://", 8) != 0 && strncmp(hub, "http://", 7) != 0) {
        return rr_fail(diag, RR_E_USAGE,
            "HF_ENDPOINT is \"%s\", expected an address that starts with https:// or http://", hub);
    }
    size_t n = strlen(hub);
    while (hub[n - 1] == '/') {
        n--;
    }
    rr_buf_append(url, hub, n);
    rr_buf_printf(url, "/%s/resolve/main/%s", source->repo, source->file);
    return url->failed ? rr_fail(diag, RR_E_MEMORY, "out of memory") : RR_OK;
}

rr_status rr_pull_hub(const rr_model_source *source, rr_partial *partial, rr_diag *diag) {
    rr_buf url = {0};
    CURL *curl = NULL;
    rr_status status = RR_OK;
    RR_TRY_GOTO(make_url(source, &url, diag));
    curl = curl_easy_init();
    if (curl == NULL) {
        status = rr_fail(diag, RR_E_MEMORY, "out of memory");
        goto fail;
    }
    for (int i = 0; i < TRIES; i++) { /* each of them but the last brought something */
        bool again = false;
        status = request(curl, url.data, partial, &again, diag);
        if (!again) {
            break;
        }
        rr_sleep_ns(1000000000);
    }
    if (status != RR_OK && status != RR_E_CANCELLED) {
        rr_fail_context(diag, status, "%s", url.data);
    }
fail:
    curl_easy_cleanup(curl);
    rr_buf_destroy(&url);
    return status;
}
