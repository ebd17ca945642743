#include "tools/rank_view.h"

#include <stdio.h>
#include <string.h>

#include "rerank/data/clean.h"
#include "runtime/base/log.h"
#include "runtime/base/thread.h"
#include "tools/cli.h"

/* On the screen are two rows, the line that is being written and the progress; the cursor stands
 * behind the latter. */
static const char erase_rows[] = "\r\033[K\033[1A\r\033[K";
/* With several jobs there is the progress only. */
static const char erase_row[] = "\r\033[K";
enum { REDRAW_NS = 100000000 };

void rr_rank_view_start(rr_rank_view *view, const rr_query *queries, size_t n_queries,
    size_t n_windows, size_t n_jobs) {
    *view = (rr_rank_view){.n_windows = n_windows,
        .queries = queries,
        .n_queries = n_queries,
        .n_jobs = n_jobs,
        .start_ns = rr_time_ns()};
    view->has_lock = rr_mutex_create(&view->lock);
    view->live = view->has_lock && rr_terminal_redraws(RR_STREAM_ERROR);
    const size_t columns = rr_terminal_columns(RR_STREAM_ERROR);
    view->columns = columns >= 20 ? columns : 80;
}

static void append_duration(rr_buf *out, double seconds) {
    if (seconds < 90.0) {
        rr_buf_printf(out, "%.0f s", seconds);
    } else if (seconds < 5400.0) {
        rr_buf_printf(out, "%.0f min", seconds / 60.0);
    } else {
        rr_buf_printf(out, "%.1f h", seconds / 3600.0);
    }
}

static double seconds_since(uint64_t start_ns) {
    return (double)(rr_time_ns() - start_ns) * 1e-9;
}

static void append_time_left(const rr_rank_view *view, rr_buf *out) {
    if (view->n_windows_done > 0 && view->n_windows_done < view->n_windows) {
        double each =
            (double)(view->window_ns - view->start_ns) * 1e-9 / (double)view->n_windows_done;
        double left = each * (double)(view->n_windows - view->n_windows_done) -
            seconds_since(view->window_ns);
        rr_buf_text(out, " | about ");
        append_duration(out, left > 0.0 ? left : 0.0);
        rr_buf_text(out, " left");
    }
}

static void append_tokens(const rr_rank_view *view, rr_buf *out) {
    double seconds = seconds_since(view->first_token_ns);
    rr_buf_printf(out, " | %zu tokens", view->n_tokens);
    if (view->n_tokens > 1 && seconds > 0.0) {
        rr_buf_printf(out, ", %.1f tokens/s", (double)(view->n_tokens - 1) / seconds);
    }
}

static void append_progress(const rr_rank_view *view, rr_buf *out) {
    size_t from = out->bytes;
    if (view->n_jobs > 1) {
        rr_buf_printf(out, "%zu of %zu windows", view->n_windows_done, view->n_windows);
        if (view->n_queries > 1) {
            rr_buf_printf(out, ", %zu of %zu queries", view->n_queries_done, view->n_queries);
        }
        rr_buf_printf(out, " | %zu jobs", view->n_jobs);
        if (view->n_tokens > 0) {
            append_tokens(view, out);
        }
    } else {
        rr_buf_printf(out, "window %zu of %zu", view->n_windows_done + 1, view->n_windows);
        if (view->n_queries > 1) {
            rr_buf_printf(out, ", query %zu of %zu", view->query + 1, view->n_queries);
        }
        if (view->n_tokens == 0) {
            rr_buf_printf(
                out, " | prompt %zu of %zu tokens", view->prompt_done, view->prompt_total);
        } else {
            append_tokens(view, out);
        }
    }
    append_time_left(view, out);
    if (out->bytes - from >= view->columns) { /* plain ASCII: a byte a column */
        out->bytes = from + view->columns - 1;
        out->data[out->bytes] = '\0';
    }
}

/* Moves the line that is being written up for good. */
static void end_line(rr_rank_view *view) {
    rr_buf_append(&view->screen, view->partial.data, view->partial.bytes);
    rr_buf_text(&view->screen, "\n");
    rr_buf_clear(&view->partial);
    view->partial_width = 0;
}

/* Adds text that is safe for a terminal, broken into lines that fit. */
static void add_text(rr_rank_view *view, const char *text, size_t bytes) {
    for (size_t i = 0; i < bytes;) {
        size_t length = rr_clean_cut(text + i, bytes - i, 1);
        /* two columns for whatever might be wide: a line too short does no harm, one too long
         * would */
        size_t width = length > 2 ? 2 : 1;
        if (text[i] == '\n' || view->partial_width + width >= view->columns) {
            end_line(view);
        }
        if (text[i] != '\n') {
            rr_buf_append(&view->partial, text[i] == '\t' ? " " : text + i, length);
            view->partial_width += width;
        }
        i += length;
    }
}

static void begin_update(rr_rank_view *view) {
    rr_buf_clear(&view->screen);
    if (view->shown) {
        rr_buf_text(&view->screen, view->n_jobs > 1 ? erase_row : erase_rows);
    }
}

static void end_update(rr_rank_view *view) {
    if (view->n_jobs == 1) {
        rr_buf_append(&view->screen, view->partial.data, view->partial.bytes);
        rr_buf_text(&view->screen, "\n");
    }
    append_progress(view, &view->screen);
    if (!view->screen.failed && !view->partial.failed) {
        fwrite(view->screen.data, 1, view->screen.bytes, stderr);
        fflush(stderr);
        view->shown = true;
    }
}

/* With several jobs: the progress alone, unless it was drawn a moment ago. */
static void update_progress(rr_rank_view *view) {
    uint64_t now_ns = rr_time_ns();
    if (!view->held && now_ns - view->drawn_ns > REDRAW_NS) {
        view->drawn_ns = now_ns;
        begin_update(view);
        end_update(view);
    }
}

/* A line of our own between the windows. */
static void add_heading(rr_rank_view *view, const rr_call *call) {
    if (view->partial_width > 0) {
        end_line(view);
    }
    char line[160];
    int n = snprintf(line, sizeof line, "-- window %zu of %zu: ranks %zu to %zu", call->index + 1,
        call->n_calls, call->window.begin + 1, call->window.end);
    add_text(view, line, (size_t)n);
    end_line(view);
}

static void show_prompt(rr_rank_view *view, const rr_call *call, size_t done, size_t total) {
    if (view->n_tokens > 0) { /* a forced finish reads a few tokens more */
        return;
    }
    begin_update(view);
    if (view->prompt_total == 0) {
        add_heading(view, call);
    }
    view->prompt_done = done;
    view->prompt_total = total;
    end_update(view);
}

static void on_prompt(void *user, const rr_call *call, size_t done, size_t total) {
    rr_rank_view *view = user;
    if (!view->live) {
        return;
    }
    rr_mutex_lock(&view->lock);
    if (view->n_jobs > 1) {
        update_progress(view);
    } else {
        view->query = (size_t)(call->query - view->queries);
        show_prompt(view, call, done, total);
    }
    rr_mutex_unlock(&view->lock);
}

static void show_text(rr_rank_view *view, const char *text, size_t bytes) {
    rr_buf safe = {0};
    rr_clean_terminal(text, bytes, false, &safe);
    begin_update(view);
    add_text(view, safe.data, safe.bytes);
    end_update(view);
    rr_buf_destroy(&safe);
}

static bool on_text(
    void *user, const rr_call *call, const char *text, size_t bytes, size_t n_tokens) {
    rr_rank_view *view = user;
    if (!view->live) {
        return true;
    }
    rr_mutex_lock(&view->lock);
    if (view->n_tokens == 0) {
        view->first_token_ns = rr_time_ns();
    }
    if (view->n_jobs > 1) {
        view->n_tokens++;
        update_progress(view);
    } else {
        view->n_tokens = n_tokens;
        view->query = (size_t)(call->query - view->queries);
        show_text(view, text, bytes);
    }
    rr_mutex_unlock(&view->lock);
    return true;
}

rr_responder_events rr_rank_view_events(rr_rank_view *view) {
    return (rr_responder_events){.prompt = on_prompt, .text = on_text, .user = view};
}

/* Closes a window's text with a line about it. */
static void show_window(rr_rank_view *view, const rr_call *call, const rr_window_result *result) {
    char line[160];
    double seconds = (double)result->generate_ns * 1e-9;
    int n = snprintf(line, sizeof line, "-- %llu tokens, %.1f tokens/s%s%s",
        (unsigned long long)result->generated_tokens,
        seconds > 0.0 ? (double)result->generated_tokens / seconds : 0.0,
        result->truncated ? ", answer cut" : "", result->repaired ? ", answer repaired" : "");
    if (result->late) { /* as all behind it are */
        n = snprintf(line, sizeof line,
            "-- the deadline came: windows %zu to %zu stay as they were", call->index + 1,
            call->n_calls);
    }
    begin_update(view);
    if (view->partial_width > 0) {
        end_line(view);
    }
    if (!result->late || view->late != call->query) {
        add_text(view, line, (size_t)n);
        end_line(view);
    }
    view->late = result->late ? call->query : NULL;
    view->n_tokens = view->prompt_done = view->prompt_total = 0;
    if (view->n_windows_done < view->n_windows) {
        end_update(view);
    } else {
        fwrite(view->screen.data, 1, view->screen.bytes, stderr);
        view->shown = false;
    }
}

void rr_rank_view_window_done(void *user, const rr_call *call, const rr_window_result *result) {
    rr_rank_view *view = user;
    if (!view->live) {
        return;
    }
    rr_mutex_lock(&view->lock);
    view->n_windows_done++;
    view->window_ns = rr_time_ns();
    /* top-down partitioning finds out as it goes */
    bool more = call->index + 1 < call->n_calls && view->n_windows_done == view->n_windows;
    if (view->n_windows_done > view->n_windows || more) {
        view->n_windows = view->n_windows_done + more;
    }
    if (view->n_jobs > 1) {
        update_progress(view);
    } else {
        show_window(view, call, result);
    }
    rr_mutex_unlock(&view->lock);
}

static void hide(rr_rank_view *view) {
    if (!view->shown) {
        return;
    }
    fputs(view->n_jobs > 1 ? erase_row : erase_rows, stderr);
    if (view->partial_width > 0) { /* what was being written stays */
        fwrite(view->partial.data, 1, view->partial.bytes, stderr);
        fputs("\n", stderr);
        rr_buf_clear(&view->partial);
        view->partial_width = 0;
    }
    fflush(stderr);
    view->shown = false;
}

void rr_rank_view_hide(rr_rank_view *view) {
    rr_mutex_lock(&view->lock);
    hide(view);
    view->held = true;
    rr_mutex_unlock(&view->lock);
}

void rr_rank_view_query_done(rr_rank_view *view) {
    rr_mutex_lock(&view->lock);
    view->n_queries_done++;
    view->held = false;
    rr_mutex_unlock(&view->lock);
}

void rr_rank_view_warn(rr_rank_view *view, const char *text) {
    if (!view->has_lock) {
        rr_log(RR_LOG_WARN, "%s", text);
        return;
    }
    rr_mutex_lock(&view->lock);
    hide(view);
    rr_log(RR_LOG_WARN, "%s", text);
    rr_mutex_unlock(&view->lock);
}

void rr_rank_view_finish(rr_rank_view *view) {
    if (view->has_lock) {
        hide(view);
        rr_mutex_destroy(&view->lock);
        view->has_lock = false;
    }
    rr_buf_destroy(&view->partial);
    rr_buf_destroy(&view->screen);
}
