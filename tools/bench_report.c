/* The figures as a table, as JSON and as CSV. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <yyjson.h>

#include "runtime/base/file_out.h"
#include "tools/bench.h"

/* The larger of the shares that `bytes` and `flops` in `ns` are of the two roofs, in percent; 0
 * without roofs. `which` gets the roof's name. */
static double roof_percent(
    const rr_bench *bench, double bytes, double flops, double ns, const char **which) {
    const rr_bench_roof *memory = rr_bench_memory_roof(bench),
                        *arithmetic = rr_bench_arithmetic_roof(bench);
    double best = 0.0;
    *which = "";
    if (memory != NULL && ns > 0.0) {
        best = 100.0 * bytes / ns / memory->per_ns;
        *which = memory->name;
    }
    if (arithmetic != NULL && ns > 0.0 && 100.0 * flops / ns / arithmetic->per_ns > best) {
        best = 100.0 * flops / ns / arithmetic->per_ns;
        *which = arithmetic->name;
    }
    return best;
}

static double rate(const rr_bench_point *point, double ns) {
    return point->tokens / (ns * 1e-9);
}

static void name_point(const rr_bench_point *p, char *out, size_t bytes) {
    switch (p->kind) {
    case RR_BENCH_PREFILL:
        snprintf(out, bytes, "prefill %u", p->prompt);
        break;
    case RR_BENCH_DECODE:
        snprintf(out, bytes, "decode behind %u", p->prompt);
        break;
    case RR_BENCH_BATCH:
        snprintf(out, bytes, "decode %u at once", p->rows);
        break;
    case RR_BENCH_WINDOW:
        snprintf(out, bytes, "window %u + %u", p->prompt, p->gen);
        break;
    case RR_BENCH_START:
        snprintf(out, bytes, "start");
        break;
    }
}

static void print_point(const rr_bench *bench, const rr_bench_point *p) {
    char name[48];
    name_point(p, name, sizeof name);
    if (p->n == 0) {
        rr_out_printf("%-20s %s\n", name, p->note);
        return;
    }
    double median = rr_bench_median_ns(p), least = rr_bench_least_ns(p);
    rr_out_printf("%-20s %3u %12.2f %12.2f", name, p->n, median * 1e-6, least * 1e-6);
    if (p->tokens > 0) {
        const char *roof;
        double percent = roof_percent(bench, p->bytes, p->flops, least, &roof);
        rr_out_printf(" %10.2f %10.2f %8.2f %9.3f", rate(p, median), rate(p, least),
            p->bytes / least, p->flops / least / 1000.0);
        if (bench->n_roofs > 0) {
            rr_out_printf(" %5.1f %% %s", percent, roof);
        }
    }
    rr_out_printf("%s%s\n", p->note[0] != '\0' ? "  " : "", p->note);
}

static double phase_ns(const rr_bench *bench, rr_bench_kind kind) {
    double sum = 0.0;
    for (size_t i = 0; i < bench->n_kernels; i++) {
        sum += bench->kernels[i].kind == kind ? bench->kernels[i].row.time_ns : 0.0;
    }
    return sum;
}

static void kernel_shape(const rr_profile_row *row, char *out, size_t bytes) {
    if (row->n_out != 0) {
        snprintf(out, bytes, "%s %u x %u", row->format, row->n_out, row->cols);
    } else {
        snprintf(out, bytes, "%s", row->format);
    }
}

static void print_kernels(const rr_bench *bench, rr_bench_kind kind, const char *title) {
    double all_ns = phase_ns(bench, kind);
    rr_out_printf("\n%-24s %-8s %-22s %7s %10s %6s %9s %10s %8s\n", title, "variant", "weights",
        "n", "us each", "share", "GB/s", "GFLOP/s", "of roof");
    for (size_t i = 0; i < bench->n_kernels; i++) {
        const rr_profile_row *row = &bench->kernels[i].row;
        if (bench->kernels[i].kind != kind) {
            continue;
        }
        char shape[40];
        const char *roof;
        kernel_shape(row, shape, sizeof shape);
        double percent = roof_percent(bench, row->bytes, row->flops, row->time_ns, &roof);
        double ns = row->time_ns > 0.0 ? row->time_ns : 1.0;
        rr_out_printf("%-24s %-8s %-22s %7llu %10.1f %4.1f %% %9.2f %10.2f", row->op, row->variant,
            shape, (unsigned long long)row->n_dispatches,
            row->time_ns / 1000.0 / (double)row->n_dispatches,
            all_ns > 0.0 ? 100.0 * row->time_ns / all_ns : 0.0, row->bytes / ns, row->flops / ns);
        rr_out_printf(bench->n_roofs > 0 ? " %6.1f %% %s\n" : "\n", percent, roof);
    }
    rr_out_printf("%-24s %-8s %-22s %7s %10.1f\n", "all", "", "", "", all_ns / 1000.0);
}

void rr_bench_print(const rr_bench *bench) {
    rr_out_printf("device   %s, %s\n", bench->device.name, bench->device.driver_info);
    rr_out_printf("model    %s, %.0f MiB of weights\n", bench->model_name,
        (double)bench->weight_bytes / 1048576.0);
    for (size_t i = 0; i < bench->n_roofs; i++) {
        rr_out_printf("%s %s %.1f %s", i == 0 ? "roofs   " : ",", bench->roofs[i].name,
            bench->roofs[i].per_ns, i == 0 ? "GB/s" : "GFLOP/s");
    }
    rr_out_text(bench->n_roofs > 0 ? "\n" : "");
    if (bench->n_points > 0) {
        rr_out_printf("\n%-20s %3s %12s %12s %10s %10s %8s %9s%s\n", "", "n", "median ms",
            "best ms", "tokens/s", "best", "GB/s", "TFLOP/s",
            bench->n_roofs > 0 ? "  of roof" : "");
    }
    for (size_t i = 0; i < bench->n_points; i++) {
        print_point(bench, &bench->points[i]);
    }
    if (bench->n_kernels > 0) {
        print_kernels(bench, RR_BENCH_PREFILL, "prefill");
        print_kernels(bench, RR_BENCH_DECODE, "decode");
    }
}

static const char *const kind_names[] = {"prefill", "decode", "batch", "window", "start"};

/* Rates, slowest first as "min": {"n", "min", "median", "max"}. */
static void add_rates(yyjson_mut_doc *doc, yyjson_mut_val *o, const rr_bench_point *p) {
    yyjson_mut_obj_add_uint(doc, o, "n", p->n);
    yyjson_mut_obj_add_real(doc, o, "min", rate(p, p->times_ns[p->n - 1]));
    yyjson_mut_obj_add_real(doc, o, "median", rate(p, rr_bench_median_ns(p)));
    yyjson_mut_obj_add_real(doc, o, "max", rate(p, rr_bench_least_ns(p)));
}

static const rr_bench_point *first_of(const rr_bench *bench, rr_bench_kind kind) {
    for (size_t i = 0; i < bench->n_points; i++) {
        if (bench->points[i].kind == kind && bench->points[i].n > 0) {
            return &bench->points[i];
        }
    }
    return NULL;
}

/* A point that stands at the top of the file; null when it was not measured. */
static void add_first(
    yyjson_mut_doc *doc, yyjson_mut_val *root, const char *key, const rr_bench_point *p) {
    if (p == NULL) {
        yyjson_mut_obj_add_null(doc, root, key);
        return;
    }
    yyjson_mut_val *o = yyjson_mut_obj_add_obj(doc, root, key);
    yyjson_mut_obj_add_uint(doc, o, "prompt", p->prompt);
    yyjson_mut_obj_add_uint(doc, o, "gen", p->gen);
    yyjson_mut_obj_add_uint(doc, o, "rows", p->rows);
    add_rates(doc, o, p);
}

static void add_roof_share(yyjson_mut_doc *doc, yyjson_mut_val *o, const rr_bench *bench,
    double bytes, double flops, double ns) {
    const char *roof;
    double percent = roof_percent(bench, bytes, flops, ns, &roof);
    if (bench->n_roofs > 0) {
        yyjson_mut_obj_add_real(doc, o, "roof_percent", percent);
        yyjson_mut_obj_add_str(doc, o, "roof", roof);
    }
}

static void add_point(
    yyjson_mut_doc *doc, yyjson_mut_val *list, const rr_bench *bench, const rr_bench_point *p) {
    yyjson_mut_val *o = yyjson_mut_arr_add_obj(doc, list);
    yyjson_mut_obj_add_str(doc, o, "kind", kind_names[p->kind]);
    yyjson_mut_obj_add_uint(doc, o, "prompt", p->prompt);
    yyjson_mut_obj_add_uint(doc, o, "gen", p->gen);
    yyjson_mut_obj_add_uint(doc, o, "rows", p->rows);
    if (p->note[0] != '\0') {
        yyjson_mut_obj_add_str(doc, o, "note", p->note);
    }
    yyjson_mut_obj_add_uint(doc, o, "n", p->n);
    if (p->n == 0) {
        return;
    }
    yyjson_mut_val *times = yyjson_mut_obj_add_obj(doc, o, "time_ms");
    yyjson_mut_obj_add_real(doc, times, "min", rr_bench_least_ns(p) * 1e-6);
    yyjson_mut_obj_add_real(doc, times, "median", rr_bench_median_ns(p) * 1e-6);
    yyjson_mut_obj_add_real(doc, times, "max", p->times_ns[p->n - 1] * 1e-6);
    if (p->tokens > 0) {
        add_rates(doc, yyjson_mut_obj_add_obj(doc, o, "tokens_per_s"), p);
        yyjson_mut_obj_add_real(doc, o, "gb_per_s", p->bytes / rr_bench_least_ns(p));
        yyjson_mut_obj_add_real(doc, o, "tflop_per_s", p->flops / rr_bench_least_ns(p) / 1000.0);
        add_roof_share(doc, o, bench, p->bytes, p->flops, rr_bench_least_ns(p));
    }
}

static void add_kernel(
    yyjson_mut_doc *doc, yyjson_mut_val *list, const rr_bench *bench, size_t index) {
    const rr_profile_row *row = &bench->kernels[index].row;
    yyjson_mut_val *o = yyjson_mut_arr_add_obj(doc, list);
    yyjson_mut_obj_add_str(doc, o, "kind", kind_names[bench->kernels[index].kind]);
    yyjson_mut_obj_add_str(doc, o, "op", row->op);
    yyjson_mut_obj_add_str(doc, o, "variant", row->variant);
    if (row->format[0] != '\0') {
        yyjson_mut_obj_add_str(doc, o, "format", row->format);
    }
    yyjson_mut_obj_add_uint(doc, o, "n_out", row->n_out);
    yyjson_mut_obj_add_uint(doc, o, "cols", row->cols);
    yyjson_mut_obj_add_uint(doc, o, "n", row->n_dispatches);
    yyjson_mut_obj_add_real(doc, o, "time_ms", row->time_ns * 1e-6);
    if (row->time_ns > 0.0) {
        yyjson_mut_obj_add_real(doc, o, "gb_per_s", row->bytes / row->time_ns);
        yyjson_mut_obj_add_real(doc, o, "gflop_per_s", row->flops / row->time_ns);
        add_roof_share(doc, o, bench, row->bytes, row->flops, row->time_ns);
    }
}

/* "copy_gb_per_s", "f32_gflop_per_s", … */
static void add_roofs(yyjson_mut_doc *doc, yyjson_mut_val *root, const rr_bench *bench) {
    yyjson_mut_val *o = yyjson_mut_obj_add_obj(doc, root, "roofs");
    for (size_t i = 0; i < bench->n_roofs; i++) {
        char key[48];
        snprintf(
            key, sizeof key, "%s_%s", bench->roofs[i].name, i == 0 ? "gb_per_s" : "gflop_per_s");
        yyjson_mut_obj_add(
            o, yyjson_mut_strcpy(doc, key), yyjson_mut_real(doc, bench->roofs[i].per_ns));
    }
}

static void add_device(yyjson_mut_doc *doc, yyjson_mut_val *root, const rr_device_info *d) {
    static const char *const types[] = {"other", "integrated", "discrete", "virtual", "software"};
    yyjson_mut_val *o = yyjson_mut_obj_add_obj(doc, root, "device");
    yyjson_mut_obj_add_str(doc, o, "name", d->name);
    yyjson_mut_obj_add_str(doc, o, "type", types[d->type]);
    yyjson_mut_obj_add_str(doc, o, "driver", d->driver);
    yyjson_mut_obj_add_str(doc, o, "driver_info", d->driver_info);
    yyjson_mut_val *caps = yyjson_mut_obj_add_arr(doc, o, "caps");
    for (int bit = 0; bit < RR_CAP_COUNT; bit++) {
        if ((d->caps >> bit & 1u) != 0) {
            yyjson_mut_arr_add_str(doc, caps, rr_cap_text((rr_cap_bit)bit));
        }
    }
    yyjson_mut_obj_add_uint(doc, o, "subgroup_size", d->subgroup_size);
    yyjson_mut_obj_add_uint(doc, o, "device_memory_bytes", d->device_memory_bytes);
}

static void add_all(yyjson_mut_doc *doc, yyjson_mut_val *root, const rr_bench *bench) {
    yyjson_mut_obj_add_str(doc, root, "rearank", REARANK_VERSION);
    yyjson_mut_val *model = yyjson_mut_obj_add_obj(doc, root, "model");
    yyjson_mut_obj_add_str(doc, model, "path", bench->model_path);
    yyjson_mut_obj_add_str(doc, model, "name", bench->model_name);
    yyjson_mut_obj_add_uint(doc, model, "weight_bytes", bench->weight_bytes);
    yyjson_mut_obj_add_uint(doc, model, "parameters", bench->n_parameters);
    yyjson_mut_val *adapters = yyjson_mut_obj_add_arr(doc, model, "adapters");
    for (size_t i = 0; i < bench->n_adapters; i++) {
        yyjson_mut_val *adapter = yyjson_mut_arr_add_obj(doc, adapters);
        yyjson_mut_obj_add_str(doc, adapter, "path", bench->adapters[i].path);
        yyjson_mut_obj_add_real(doc, adapter, "factor", bench->adapters[i].factor);
    }
    add_device(doc, root, &bench->device);
    add_roofs(doc, root, bench);
    const rr_bench_point *decode = first_of(bench, RR_BENCH_DECODE);
    add_first(doc, root, "prefill_tokens_per_s", first_of(bench, RR_BENCH_PREFILL));
    add_first(doc, root, "decode_tokens_per_s",
        decode != NULL ? decode : first_of(bench, RR_BENCH_BATCH));
    yyjson_mut_val *points = yyjson_mut_obj_add_arr(doc, root, "points");
    for (size_t i = 0; i < bench->n_points; i++) {
        add_point(doc, points, bench, &bench->points[i]);
    }
    yyjson_mut_val *kernels = yyjson_mut_obj_add_arr(doc, root, "kernels");
    for (size_t i = 0; i < bench->n_kernels; i++) {
        add_kernel(doc, kernels, bench, i);
    }
}

rr_status rr_bench_write_json(const rr_bench *bench, const char *path, rr_diag *diag) {
    yyjson_mut_doc *doc = yyjson_mut_doc_new(NULL);
    yyjson_mut_val *root = doc != NULL ? yyjson_mut_obj(doc) : NULL;
    char *text = NULL;
    size_t bytes = 0;
    if (root != NULL) {
        yyjson_mut_doc_set_root(doc, root);
        add_all(doc, root, bench);
        /* names given by drivers and files may hold any bytes: escaping turns what is no UTF-8 into
         * U+FFFD */
        text = yyjson_mut_write(doc,
            YYJSON_WRITE_PRETTY_TWO_SPACES | YYJSON_WRITE_ALLOW_INVALID_UNICODE |
                YYJSON_WRITE_ESCAPE_UNICODE | YYJSON_WRITE_INF_AND_NAN_AS_NULL,
            &bytes);
    }
    yyjson_mut_doc_free(doc);
    if (text == NULL) {
        return rr_fail(diag, RR_E_MEMORY, "out of memory writing JSON");
    }
    text[bytes] = '\n'; /* in the place of the final NUL */
    rr_status status = rr_file_write_atomic(path, text, bytes + 1, diag);
    free(text);
    return status;
}

rr_status rr_bench_write_csv(const rr_bench *bench, const char *path, rr_diag *diag) {
    rr_buf text = {0};
    rr_buf_text(&text,
        "kind,prompt,gen,rows,n,min_ms,median_ms,max_ms,median_tokens_per_s,max_tokens_per_s,gb_per_s,"
        "tflop_per_s\n");
    for (size_t i = 0; i < bench->n_points; i++) {
        const rr_bench_point *p = &bench->points[i];
        if (p->n == 0) {
            continue;
        }
        double median = rr_bench_median_ns(p), least = rr_bench_least_ns(p);
        rr_buf_printf(&text, "%s,%u,%u,%u,%u,%.4f,%.4f,%.4f,", kind_names[p->kind], p->prompt,
            p->gen, p->rows, p->n, least * 1e-6, median * 1e-6, p->times_ns[p->n - 1] * 1e-6);
        if (p->tokens > 0) {
            rr_buf_printf(&text, "%.3f,%.3f,%.3f,%.5f\n", rate(p, median), rate(p, least),
                p->bytes / least, p->flops / least / 1000.0);
        } else {
            rr_buf_text(&text, ",,,\n");
        }
    }
    rr_status status = text.failed ? rr_fail(diag, RR_E_MEMORY, "out of memory writing CSV")
                                   : rr_file_write_atomic(path, text.data, text.bytes, diag);
    rr_buf_destroy(&text);
    return status;
}
