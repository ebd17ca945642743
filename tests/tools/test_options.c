/* The option parser, exit codes and suggestions of the program. Usage errors print to standard
 * error: that is theirs. */
#include "tests/check.h"
#include "tools/cli.h"

typedef struct values {
    bool flag, other;
    int64_t i;
    uint32_t u32;
    uint64_t u64, size;
    float f;
    const char *text;
    int choice;
    rr_cli_list list;
} values;

static values got;
static rr_cli_args args;
static char words[16][64];
static char *argv[17];

/* Parses the words of `line` (separated by one blank) with options of every kind; at most two
 * operands. */
static int parse(const char *line) {
    static const char *const choices[] = {"table", "json", NULL};
    const rr_opt options[] = {
        {.name = "flag", .letter = 'f', .kind = RR_OPT_FLAG, .target = &got.flag, .help = "a flag"},
        {.name = "other",
            .letter = 'o',
            .kind = RR_OPT_FLAG,
            .target = &got.other,
            .help = "another"},
        {.name = "int", .letter = 'i', .kind = RR_OPT_INT, .target = &got.i, .help = "a number"},
        {.name = "window",
            .letter = 'w',
            .kind = RR_OPT_U32,
            .target = &got.u32,
            .help = "a count",
            .min = 2,
            .max = 64},
    };
    const rr_opt more[] = {
        {.name = "seed", .kind = RR_OPT_U64, .target = &got.u64, .help = "a seed"},
        {.name = "memory", .kind = RR_OPT_SIZE, .target = &got.size, .help = "bytes"},
        {.name = "temperature",
            .letter = 't',
            .kind = RR_OPT_FLOAT,
            .target = &got.f,
            .help = "heat",
            .min = 0,
            .max = 2},
        {.name = "query",
            .letter = 'q',
            .kind = RR_OPT_TEXT,
            .target = &got.text,
            .help = "text",
            .value = "TEXT"},
        {.name = "format",
            .kind = RR_OPT_CHOICE,
            .target = &got.choice,
            .help = "form",
            .choices = choices},
        {.name = "docs", .letter = 'd', .kind = RR_OPT_LIST, .target = &got.list, .help = "many"},
    };
    const rr_cli_spec spec = {.synopsis = "[FILE…]",
        .max_args = 2,
        .groups = {rr_cli_options(options), rr_cli_options(more)}};
    memset(&got, 0, sizeof got);
    int argc = 0;
    snprintf(words[argc++], sizeof words[0], "verb");
    while (*line != '\0') {
        const char *end = strchr(line, ' ');
        size_t n = end != NULL ? (size_t)(end - line) : strlen(line);
        snprintf(words[argc++], sizeof words[0], "%.*s", (int)n, line);
        line += n + (end != NULL);
    }
    for (int i = 0; i < argc; i++) {
        argv[i] = words[i];
    }
    argv[argc] = NULL;
    return rr_cli_parse(&spec, argc, argv, &args);
}

static void check_refused(const char *line) {
    int code = parse(line);
    CHECK_MSG(code == RR_EXIT_USAGE, "\"%s\": code %d, expected %d", line, code, RR_EXIT_USAGE);
}

static void check_forms(void) {
    CHECK_INT(parse(""), RR_CLI_GO_ON);
    CHECK(args.n == 0 && !got.flag && got.text == NULL);
    CHECK_INT(parse("--query=a=b --int -5 -w20 -t 0.5 --format json --flag one -"), RR_CLI_GO_ON);
    CHECK_TEXT(got.text, "a=b");
    CHECK(
        got.i == -5 && got.u32 == 20 && got.f == 0.5f && got.choice == 1 && got.flag && !got.other);
    CHECK(args.n == 2);
    CHECK_TEXT(args.items[0], "one");
    CHECK_TEXT(args.items[1], "-");
    CHECK_INT(parse("one -fow 3 -qx two"), RR_CLI_GO_ON);
    CHECK(got.flag && got.other && got.u32 == 3 && args.n == 2);
    CHECK_TEXT(got.text, "x");
    CHECK_TEXT(args.items[1], "two");
    CHECK_INT(parse("-d a -db --docs=c"), RR_CLI_GO_ON);
    CHECK_INT(got.list.n, 3);
    CHECK_TEXT(got.list.items[2], "c");
    CHECK_INT(parse("-q a -q b"), RR_CLI_GO_ON);
    CHECK_TEXT(got.text, "b");
    /* a value may look like an option; after -- nothing is one */
    CHECK_INT(parse("-q --flag -- --query"), RR_CLI_GO_ON);
    CHECK_TEXT(got.text, "--flag");
    CHECK(!got.flag && args.n == 1);
    CHECK_TEXT(args.items[0], "--query");
    CHECK_INT(parse("--query="), RR_CLI_GO_ON);
    CHECK_TEXT(got.text, "");
    CHECK_INT(parse("--help --nonsense"), RR_EXIT_OK);
    CHECK_INT(parse("one"), RR_CLI_GO_ON); /* help of the call before is forgotten */
}

static void check_numbers(void) {
    CHECK_INT(parse("--seed 18446744073709551615 --memory 2G"), RR_CLI_GO_ON);
    CHECK(got.u64 == UINT64_MAX && got.size == (uint64_t)2 << 30);
    CHECK_INT(parse("--memory 512k --window 2"), RR_CLI_GO_ON);
    CHECK(got.size == 512 << 10 && got.u32 == 2);
    CHECK_INT(parse("--memory 7 --int -9223372036854775808"), RR_CLI_GO_ON);
    CHECK(got.size == 7 && got.i == INT64_MIN);
    static const char *const wrong[] = {
        "--seed 18446744073709551616",
        "--seed -1",
        "--seed 1x",
        "--seed=",
        "--window 1",
        "--window 65",
        "--window 2K",
        "--window 1e1",
        "--memory 1T",
        "--memory 1Kx",
        "--memory 99999999999G",
        "--memory M",
        "--int 1.5",
        "--int x",
        "--int 9223372036854775808",
        "--temperature 2.1",
        "--temperature -0.1",
        "--temperature nan",
        "--temperature x",
        "--temperature 1e99",
        "--temperature inf",
        "--window 4294967298",
    };
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        check_refused(wrong[i]);
    }
}

static void check_refusals(void) {
    check_refused("--nonsense");
    check_refused("-x");
    check_refused("-fx");
    check_refused("--query");
    check_refused("-q");
    check_refused("--flag=1");
    check_refused("--format yaml");
    check_refused("--format js");
    check_refused("one two three");
    check_refused("--=x");
    check_refused("--quer x"); /* no abbreviations: they would break when an option is added */
}

static void check_many(void) {
    rr_cli_list list = {0};
    const rr_opt options[] = {
        {.name = "doc", .kind = RR_OPT_LIST, .target = &list, .help = "many"}};
    const rr_cli_spec spec = {
        .synopsis = "", .min_args = 1, .max_args = 1, .groups = {rr_cli_options(options)}};
    static char verb[] = "verb", word[] = "--doc=x";
    static char *many[300];
    for (int i = 0; i < 300; i++) {
        many[i] = i == 0 ? verb : word;
    }
    CHECK_INT(rr_cli_parse(&spec, 300, many, &args), RR_EXIT_USAGE);
    list.n = 0;
    CHECK_INT(rr_cli_parse(&spec, 10, many, &args), RR_EXIT_USAGE); /* the operand is missing */
}

static void check_nearest(void) {
    static const char *const verbs[] = {"rank", "replay", "tokenize", "devices", "check", NULL};
    CHECK_TEXT(rr_cli_nearest("tokenzie", verbs), "tokenize");
    CHECK_TEXT(rr_cli_nearest("rnak", verbs), "rank");
    CHECK_TEXT(rr_cli_nearest("dev", verbs), "devices");
    CHECK_TEXT(rr_cli_nearest("repaly", verbs), "replay");
    CHECK(rr_cli_nearest("xyzzy", verbs) == NULL);
    CHECK(rr_cli_nearest("", verbs) == NULL);
    char endless[200];
    memset(endless, 'r', sizeof endless - 1);
    endless[sizeof endless - 1] = '\0';
    CHECK(rr_cli_nearest(endless, verbs) == NULL);
}

static void check_codes(void) {
    static const int expected[RR_STATUS_COUNT] = {[RR_OK] = 0,
        [RR_E_USAGE] = 2,
        [RR_E_INPUT] = 2,
        [RR_E_IO] = 1,
        [RR_E_MEMORY] = 1,
        [RR_E_DEVICE] = 1,
        [RR_E_UNSUPPORTED] = 2,
        [RR_E_CANCELLED] = 130,
        [RR_E_INTERNAL] = 1,
        [RR_E_DEADLINE] = 1,
        [RR_E_BUSY] = 1};
    for (int s = 0; s < RR_STATUS_COUNT; s++) {
        CHECK_INT(rr_cli_exit_code((rr_status)s), expected[s]);
    }
}

int main(void) {
    check_forms();
    check_numbers();
    check_refusals();
    check_many();
    check_nearest();
    check_codes();
    return rr_out_finish(CHECK_END());
}
