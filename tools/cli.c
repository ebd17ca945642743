/* Options, usage texts and messages of all verbs. The manual is in cli.h. */
#include "tools/cli.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char *current_verb; /* NULL before one is chosen */

void rr_cli_set_verb(const char *verb) {
    current_verb = verb;
}

static void print_error(const char *format, va_list args) {
    char message[2048];
    vsnprintf(message, sizeof message, format, args);
    fprintf(stderr, current_verb != NULL ? "rearank %s: %s\n" : "rearank%s: %s\n",
        current_verb != NULL ? current_verb : "", message);
}

void rr_cli_error(const char *format, ...) {
    va_list args;
    va_start(args, format);
    print_error(format, args);
    va_end(args);
}

void rr_cli_note(const char *format, ...) {
    va_list args;
    va_start(args, format);
    print_error(format, args);
    va_end(args);
}

int rr_cli_usage_error(const char *format, ...) {
    va_list args;
    va_start(args, format);
    print_error(format, args);
    va_end(args);
    fprintf(stderr, "Try `rearank %s%s--help`.\n", current_verb != NULL ? current_verb : "",
        current_verb != NULL ? " " : "");
    return RR_EXIT_USAGE;
}

int rr_cli_exit_code(rr_status status) {
    switch (status) {
    case RR_OK:
        return RR_EXIT_OK;
    case RR_E_USAGE:
    case RR_E_INPUT:
    case RR_E_UNSUPPORTED:
        return RR_EXIT_USAGE;
    case RR_E_CANCELLED:
        return RR_EXIT_INTERRUPTED;
    default:
        return RR_EXIT_FAILURE;
    }
}

int rr_cli_fail(rr_status status, const rr_diag *diag) {
    if (status != RR_E_CANCELLED) {
        rr_cli_error("%s", diag->text[0] != '\0' ? diag->text : rr_status_name(status));
    }
    return rr_cli_exit_code(status);
}

/* Nearest word */

enum { MAX_WORD = 32 };

/* Edits (insert, delete, replace, swap of neighbours) that turn a into b; words longer than
 * MAX_WORD are far apart. */
static unsigned word_distance(const char *a, const char *b) {
    size_t n = strlen(a), m = strlen(b);
    if (n > MAX_WORD || m > MAX_WORD) {
        return MAX_WORD;
    }
    unsigned rows[MAX_WORD + 1][MAX_WORD + 1];
    for (size_t i = 0; i <= n; i++) {
        for (size_t j = 0; j <= m; j++) {
            if (i == 0 || j == 0) {
                rows[i][j] = (unsigned)(i + j);
                continue;
            }
            unsigned best = rows[i - 1][j - 1] + (a[i - 1] != b[j - 1]);
            best = rows[i - 1][j] + 1 < best ? rows[i - 1][j] + 1 : best;
            best = rows[i][j - 1] + 1 < best ? rows[i][j - 1] + 1 : best;
            if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] &&
                rows[i - 2][j - 2] + 1 < best) {
                best = rows[i - 2][j - 2] + 1;
            }
            rows[i][j] = best;
        }
    }
    return rows[n][m];
}

const char *rr_cli_nearest(const char *word, const char *const *candidates) {
    const char *near = NULL;
    size_t length = strlen(word);
    unsigned best = length <= 3 ? 2 : length <= 6 ? 3 : 4; /* nearer than this */
    for (; *candidates != NULL; candidates++) {
        unsigned distance = word_distance(word, *candidates);
        if (length >= 2 && strncmp(word, *candidates, length) == 0 && distance > 1) {
            distance = 1; /* a beginning is as good as one slip */
        }
        if (distance < best) {
            best = distance;
            near = *candidates;
        }
    }
    return near;
}

/* Usage text */

static bool wants_help, wants_version;
static bool is_verbose;
static const rr_opt common_options[] = {
    {.name = "verbose",
        .letter = 'v',
        .kind = RR_OPT_FLAG,
        .target = &is_verbose,
        .help = "say more on standard error"},
    {.name = "help",
        .letter = 'h',
        .kind = RR_OPT_FLAG,
        .target = &wants_help,
        .help = "show this text"},
    {.name = "version",
        .kind = RR_OPT_FLAG,
        .target = &wants_version,
        .help = "show the program's version"},
};

static void print_option(const rr_opt *opt) {
    char left[128];
    int n = opt->letter != 0 ? snprintf(left, sizeof left, "-%c, --%s", opt->letter, opt->name)
                             : snprintf(left, sizeof left, "    --%s", opt->name);
    if (opt->kind == RR_OPT_CHOICE) {
        for (size_t i = 0; opt->choices[i] != NULL && n > 0 && (size_t)n < sizeof left; i++) {
            n += snprintf(
                left + n, sizeof left - (size_t)n, "%s%s", i == 0 ? " " : "|", opt->choices[i]);
        }
    } else if (opt->kind != RR_OPT_FLAG && n > 0 && (size_t)n < sizeof left) {
        snprintf(
            left + n, sizeof left - (size_t)n, " %s", opt->value != NULL ? opt->value : "VALUE");
    }
    if (strlen(left) > 24) {
        rr_out_printf("  %s\n  %-24s  %s\n", left, "", opt->help);
    } else {
        rr_out_printf("  %-24s  %s\n", left, opt->help);
    }
}

static void print_usage(const rr_cli_spec *spec) {
    rr_out_printf("Usage: rearank %s [OPTIONS]%s%s\n", current_verb != NULL ? current_verb : "VERB",
        spec->synopsis != NULL ? " " : "", spec->synopsis != NULL ? spec->synopsis : "");
    if (spec->about != NULL) {
        rr_out_printf("\n%s\n", spec->about);
    }
    for (size_t g = 0; g < RR_CLI_GROUPS; g++) {
        const rr_opt_group *group = &spec->groups[g];
        if (group->n == 0) {
            continue;
        }
        rr_out_printf("\n%s:\n", group->title != NULL ? group->title : "Options");
        for (size_t i = 0; i < group->n; i++) {
            print_option(&group->options[i]);
        }
    }
    rr_out_text("\nCommon:\n");
    for (size_t i = 0; i < sizeof common_options / sizeof common_options[0]; i++) {
        print_option(&common_options[i]);
    }
    if (spec->notes != NULL) {
        rr_out_printf("\n%s\n", spec->notes);
    }
}

/* Values */

static int range_error(const rr_opt *opt, const char *text) {
    return rr_cli_usage_error(
        "--%s: found %s, expected %.10g to %.10g", opt->name, text, opt->min, opt->max);
}

static bool outside(const rr_opt *opt, double value) {
    return opt->min < opt->max && (value < opt->min || value > opt->max);
}

/* Whole numbers, within the option's range; sizes take a K, M or G. */
static int read_signed(const rr_opt *opt, const char *text, int64_t *out) {
    char *end;
    errno = 0;
    long long value = strtoll(text, &end, 10);
    if (end == text || *end != '\0' || text[0] == ' ') {
        return rr_cli_usage_error("--%s: found \"%s\", expected a whole number", opt->name, text);
    }
    if (errno == ERANGE) {
        return rr_cli_usage_error("--%s: %s is too large", opt->name, text);
    }
    if (outside(opt, (double)value)) {
        return range_error(opt, text);
    }
    *out = value;
    return RR_CLI_GO_ON;
}

static int read_unsigned(const rr_opt *opt, const char *text, uint64_t high, uint64_t *out) {
    bool is_size = opt->kind == RR_OPT_SIZE;
    if (text[0] < '0' || text[0] > '9') { /* strtoull would take a minus sign and blanks */
        return rr_cli_usage_error(
            "--%s: found \"%s\", expected a whole number, 0 or more", opt->name, text);
    }
    char *end;
    errno = 0;
    uint64_t value = strtoull(text, &end, 10);
    bool fits = errno != ERANGE;
    if (is_size && *end != '\0') {
        const char *units = "KMG",
                   *unit = strchr(units,
                       *end == 'k'       ? 'K'
                           : *end == 'm' ? 'M'
                           : *end == 'g' ? 'G'
                                         : *end);
        if (unit != NULL) {
            fits = fits && rr_mul_u64(value, (uint64_t)1 << (10 * (unit - units + 1)), &value);
            end++;
        }
    }
    if (*end != '\0') {
        return rr_cli_usage_error("--%s: found \"%s\", expected %s", opt->name, text,
            is_size ? "a number of bytes such as 512M or 2G" : "a whole number");
    }
    if (!fits || value > high) {
        return rr_cli_usage_error("--%s: %s is too large", opt->name, text);
    }
    if (outside(opt, (double)value)) {
        return range_error(opt, text);
    }
    *out = value;
    return RR_CLI_GO_ON;
}

static int read_float(const rr_opt *opt, const char *text, float *out) {
    char *end;
    double value = strtod(text, &end);
    if (end == text || *end != '\0' || !isfinite(value) || fabs(value) > 3e38) {
        return rr_cli_usage_error("--%s: found \"%s\", expected a number", opt->name, text);
    }
    if (outside(opt, value)) {
        return range_error(opt, text);
    }
    *out = (float)value;
    return RR_CLI_GO_ON;
}

static int read_choice(const rr_opt *opt, const char *text, int *out) {
    for (int i = 0; opt->choices[i] != NULL; i++) {
        if (strcmp(opt->choices[i], text) == 0) {
            *out = i;
            return RR_CLI_GO_ON;
        }
    }
    char known[256] = "";
    for (size_t i = 0, n = 0; opt->choices[i] != NULL && n < sizeof known; i++) {
        n += (size_t)snprintf(
            known + n, sizeof known - n, "%s%s", i == 0 ? "" : ", ", opt->choices[i]);
    }
    return rr_cli_usage_error("--%s: found \"%s\", expected one of %s", opt->name, text, known);
}

static int store(const rr_opt *opt, const char *text) {
    int code = RR_CLI_GO_ON;
    uint64_t value = 0;
    switch (opt->kind) {
    case RR_OPT_FLAG:
        *(bool *)opt->target = true;
        break;
    case RR_OPT_INT:
        code = read_signed(opt, text, opt->target);
        break;
    case RR_OPT_U32:
        code = read_unsigned(opt, text, UINT32_MAX, &value);
        if (code == RR_CLI_GO_ON) {
            *(uint32_t *)opt->target = (uint32_t)value;
        }
        break;
    case RR_OPT_U64:
    case RR_OPT_SIZE:
        code = read_unsigned(opt, text, UINT64_MAX, opt->target);
        break;
    case RR_OPT_FLOAT:
        code = read_float(opt, text, opt->target);
        break;
    case RR_OPT_TEXT:
        *(const char **)opt->target = text;
        break;
    case RR_OPT_CHOICE:
        code = read_choice(opt, text, opt->target);
        break;
    case RR_OPT_LIST: {
        rr_cli_list *list = opt->target;
        if (list->n == sizeof list->items / sizeof list->items[0]) {
            return rr_cli_usage_error("--%s: given more than %zu times", opt->name, list->n);
        }
        list->items[list->n++] = text;
        break;
    }
    }
    return code;
}

/* Parsing */

/* The i-th option of all groups and of the common ones; NULL past the end. */
static const rr_opt *option_at(const rr_cli_spec *spec, size_t i) {
    for (size_t g = 0; g < RR_CLI_GROUPS; g++) {
        if (i < spec->groups[g].n) {
            return &spec->groups[g].options[i];
        }
        i -= spec->groups[g].n;
    }
    return i < sizeof common_options / sizeof common_options[0] ? &common_options[i] : NULL;
}

static int unknown_option(const rr_cli_spec *spec, const char *name, size_t length) {
    const char *names[128] = {0};
    const rr_opt *opt;
    for (size_t i = 0; i + 1 < sizeof names / sizeof names[0] && (opt = option_at(spec, i)) != NULL;
         i++) {
        names[i] = opt->name;
    }
    char word[64];
    snprintf(
        word, sizeof word, "%.*s", (int)(length < sizeof word ? length : sizeof word - 1), name);
    const char *near = rr_cli_nearest(word, names);
    if (near != NULL) {
        return rr_cli_usage_error("unknown option --%s; did you mean --%s?", word, near);
    }
    return rr_cli_usage_error("unknown option --%s", word);
}

typedef struct parser {
    const rr_cli_spec *spec;
    int argc, next; /* argv[next] is read next */
    char **argv;
} parser;

static int take_value(parser *p, const rr_opt *opt, const char *attached) {
    if (attached != NULL) {
        return store(opt, attached);
    }
    if (p->next == p->argc) {
        return rr_cli_usage_error("--%s needs a value%s%s", opt->name,
            opt->value != NULL ? ": " : "", opt->value != NULL ? opt->value : "");
    }
    return store(opt, p->argv[p->next++]);
}

static int parse_long(parser *p, const char *name) {
    const char *equals = strchr(name, '=');
    size_t length = equals != NULL ? (size_t)(equals - name) : strlen(name);
    const rr_opt *opt;
    for (size_t i = 0; (opt = option_at(p->spec, i)) != NULL; i++) {
        if (strlen(opt->name) == length && memcmp(opt->name, name, length) == 0) {
            break;
        }
    }
    if (opt == NULL) {
        return unknown_option(p->spec, name, length);
    }
    if (opt->kind != RR_OPT_FLAG) {
        return take_value(p, opt, equals != NULL ? equals + 1 : NULL);
    }
    if (equals != NULL) {
        return rr_cli_usage_error("--%s takes no value, found \"%s\"", opt->name, equals + 1);
    }
    return store(opt, NULL);
}

/* A cluster: flags, and at its end one option with its value attached or following. */
static int parse_short(parser *p, const char *letters) {
    for (; *letters != '\0'; letters++) {
        const rr_opt *opt;
        for (size_t i = 0; (opt = option_at(p->spec, i)) != NULL && opt->letter != *letters; i++) {
        }
        if (opt == NULL) {
            return rr_cli_usage_error("unknown option -%c", *letters);
        }
        if (opt->kind != RR_OPT_FLAG) {
            return take_value(p, opt, letters[1] != '\0' ? letters + 1 : NULL);
        }
        store(opt, NULL);
    }
    return RR_CLI_GO_ON;
}

int rr_cli_parse(const rr_cli_spec *spec, int argc, char **argv, rr_cli_args *args) {
    parser p = {.spec = spec, .argc = argc, .next = 1, .argv = argv};
    size_t n_operands = 0;
    bool only_operands = false;
    wants_help = wants_version = is_verbose = false;
    while (p.next < argc) {
        char *arg = argv[p.next++];
        int code = RR_CLI_GO_ON;
        if (only_operands || arg[0] != '-' || arg[1] == '\0') {
            argv[n_operands++] = arg; /* never catches up with p.next */
        } else if (strcmp(arg, "--") == 0) {
            only_operands = true;
        } else {
            code = arg[1] == '-' ? parse_long(&p, arg + 2) : parse_short(&p, arg + 1);
        }
        if (code != RR_CLI_GO_ON) {
            return code;
        }
        if (wants_help) {
            print_usage(spec);
            return RR_EXIT_OK;
        }
        if (wants_version) {
            rr_out_text("rearank " REARANK_VERSION "\n");
            return RR_EXIT_OK;
        }
    }
    if (n_operands > spec->max_args) {
        return rr_cli_usage_error(
            "found %zu arguments, expected at most %zu (the first too many is \"%s\")", n_operands,
            spec->max_args, argv[spec->max_args]);
    }
    if (n_operands < spec->min_args) {
        return rr_cli_usage_error("found %zu arguments, expected %s%zu: %s", n_operands,
            spec->min_args == spec->max_args ? "" : "at least ", spec->min_args, spec->synopsis);
    }
    if (is_verbose) {
#if defined(REARANK_TRACE)
        rr_log_set_level(RR_LOG_DEBUG);
#else
        rr_log_set_level(RR_LOG_INFO);
#endif
    }
    *args = (rr_cli_args){argv, n_operands};
    return RR_CLI_GO_ON;
}
