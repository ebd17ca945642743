#include "rerank/serve/metrics.h"

/* Upper ends of the buckets; the last bucket has none. */
static const double bucket_s[RR_METRICS_BUCKETS - 1] = {
    0.01, 0.03, 0.1, 0.3, 1.0, 3.0, 10.0, 30.0, 60.0, 120.0, 300.0};

static void add(atomic_ullong *counter, uint64_t by) {
    atomic_fetch_add_explicit(counter, by, memory_order_relaxed);
}

static unsigned long long get(atomic_ullong *counter) {
    return atomic_load_explicit(counter, memory_order_relaxed);
}

void rr_metrics_request(rr_metrics *metrics, rr_route route, unsigned status) {
    const unsigned class = status / 100;
    add(&metrics->requests[route][class < RR_METRICS_CLASSES ? class : 0], 1);
}

void rr_metrics_ranking(rr_metrics *metrics, size_t documents, size_t windows,
    const rr_serve_usage *usage, uint64_t time_ns) {
    size_t bucket = 0;
    while (bucket + 1 < RR_METRICS_BUCKETS && (double)time_ns * 1e-9 > bucket_s[bucket]) {
        bucket++;
    }
    add(&metrics->rankings, 1);
    add(&metrics->documents, documents);
    add(&metrics->windows, windows);
    add(&metrics->late, usage->n_late > 0);
    add(&metrics->prompt_tokens, usage->prompt_tokens);
    add(&metrics->computed_tokens, usage->computed_tokens);
    add(&metrics->generated_tokens, usage->generated_tokens);
    add(&metrics->window_ns, usage->window_ns);
    add(&metrics->seconds[bucket], 1);
    add(&metrics->time_ns, time_ns);
}

static void write_head(const char *name, const char *type, const char *help, rr_buf *out) {
    rr_buf_printf(out, "# HELP rearank_%s %s\n# TYPE rearank_%s %s\n", name, help, name, type);
}

static void write_count(const char *name, const char *help, unsigned long long value, rr_buf *out) {
    write_head(name, "counter", help, out);
    rr_buf_printf(out, "rearank_%s %llu\n", name, value);
}

static void write_gauge(const char *name, const char *help, double value, rr_buf *out) {
    write_head(name, "gauge", help, out);
    rr_buf_printf(out, "rearank_%s %.17g\n", name, value);
}

static void write_requests(rr_metrics *metrics, rr_buf *out) {
    static const char *const classes[RR_METRICS_CLASSES] = {
        "gone", "1xx", "2xx", "3xx", "4xx", "5xx"};
    write_head(
        "requests_total", "counter", "Requests by what they asked for and their status.", out);
    for (int route = 0; route < RR_ROUTE_COUNT; route++) {
        for (int class = 0; class < RR_METRICS_CLASSES; class ++) {
            const unsigned long long n = get(&metrics->requests[route][class]);
            if (n > 0) {
                rr_buf_printf(out, "rearank_requests_total{route=\"%s\",status=\"%s\"} %llu\n",
                    rr_route_name((rr_route)route), classes[class], n);
            }
        }
    }
}

static void write_seconds(rr_metrics *metrics, rr_buf *out) {
    unsigned long long sum = 0;
    write_head(
        "ranking_seconds", "histogram", "Rankings by their time from request to answer.", out);
    for (int i = 0; i < RR_METRICS_BUCKETS; i++) {
        sum += get(&metrics->seconds[i]);
        if (i + 1 < RR_METRICS_BUCKETS) {
            rr_buf_printf(
                out, "rearank_ranking_seconds_bucket{le=\"%g\"} %llu\n", bucket_s[i], sum);
        }
    }
    rr_buf_printf(out, "rearank_ranking_seconds_bucket{le=\"+Inf\"} %llu\n", sum);
    rr_buf_printf(out, "rearank_ranking_seconds_sum %.9g\n", (double)get(&metrics->time_ns) * 1e-9);
    rr_buf_printf(out, "rearank_ranking_seconds_count %llu\n", sum);
}

void rr_metrics_write(rr_metrics *metrics, const rr_metrics_now *now, rr_buf *out) {
    write_requests(metrics, out);
    write_count("requests_refused_total", "Requests refused for a full queue.",
        get(&metrics->refused), out);
    write_count("clients_gone_total", "Rankings whose client went away before the answer.",
        get(&metrics->gone), out);
    write_count("repeats_total", "Requests answered by a ranking whose client had gone away.",
        get(&metrics->repeats), out);
    write_count("rankings_total", "Rankings made.", get(&metrics->rankings), out);
    write_count("rankings_late_total",
        "Rankings that met their deadline and kept an order they were given.", get(&metrics->late),
        out);
    write_count("documents_total", "Documents of these rankings.", get(&metrics->documents), out);
    write_count("windows_total", "Windows of these rankings.", get(&metrics->windows), out);
    write_count(
        "prompt_tokens_total", "Tokens of their prompts.", get(&metrics->prompt_tokens), out);
    write_count("computed_tokens_total", "Tokens of prompts that were computed, not reused.",
        get(&metrics->computed_tokens), out);
    write_count("generated_tokens_total", "Tokens that the model wrote.",
        get(&metrics->generated_tokens), out);
    write_head("window_seconds_total", "counter",
        "Time that windows took, waits for the device included.", out);
    rr_buf_printf(
        out, "rearank_window_seconds_total %.9g\n", (double)get(&metrics->window_ns) * 1e-9);
    write_seconds(metrics, out);
    write_gauge("queued", "Requests that wait for their first window.", (double)now->queued, out);
    write_gauge("running", "Requests that are being ranked.", (double)now->running, out);
    write_gauge("connections", "Open connections.", (double)now->connections, out);
    write_gauge(
        "held_bytes", "Host memory behind requests in progress.", (double)now->held_bytes, out);
    write_gauge(
        "device_bytes", "Device memory that the engine planned.", (double)now->device_bytes, out);
    write_gauge("ready", "1 = rankings are taken.", now->ready ? 1.0 : 0.0, out);
    write_gauge("uptime_seconds", "Since the start.", now->uptime_s, out);
}
