/* The `rearank` program: finds the verb and runs it.
 * Owns: the table of verbs. A verb owns its options and its work. */
#include <stdio.h>
#include <string.h>

#include "runtime/vk/vk.h"
#include "tools/cli.h"

#define X(name, summary) int rr_verb_##name(int argc, char **argv);
#include "tools/verbs.def"
#undef X

typedef struct rr_verb {
    const char *name;
    const char *summary;
    int (*run)(int argc, char **argv);
} rr_verb;

static const rr_verb verbs[] = {
#define X(name, summary) {#name, summary, rr_verb_##name},
#include "tools/verbs.def"
#undef X
};
enum { N_VERBS = sizeof verbs / sizeof verbs[0] };

static void print_help(void) {
    rr_out_text(
        "rearank: listwise passage reranking with a reasoning model, on any Vulkan device\n\n"
        "Usage: rearank VERB [OPTIONS] [ARGUMENTS]\n"
        "       rearank help VERB\n"
        "       rearank --version\n\nVerbs:\n");
    for (size_t i = 0; i < N_VERBS; i++) {
        rr_out_printf("  %-10s %s\n", verbs[i].name, verbs[i].summary);
    }
    rr_out_text(
        "\nExit status: 0 success, 1 device or input/output failure, 2 wrong usage, malformed or\nunsupported input, "
        "130 interrupted.\n");
}

static const rr_verb *find_verb(const char *name) {
    for (size_t i = 0; i < N_VERBS; i++) {
        if (strcmp(verbs[i].name, name) == 0) {
            return &verbs[i];
        }
    }
    return NULL;
}

static int unknown_verb(const char *name) {
    const char *names[N_VERBS + 2] = {0};
    for (size_t i = 0; i < N_VERBS; i++) {
        names[i] = verbs[i].name;
    }
    names[N_VERBS] = "help";
    const char *near = rr_cli_nearest(name, names);
    if (near != NULL) {
        rr_cli_error(
            "there is no verb \"%s\"; did you mean \"%s\"? `rearank --help` lists all verbs", name,
            near);
    } else {
        rr_cli_error("there is no verb \"%s\"; `rearank --help` lists all verbs", name);
    }
    return RR_EXIT_USAGE;
}

static int run(int argc, char **argv) {
    if (argc < 2) {
        rr_cli_error("no verb given; `rearank --help` lists all verbs");
        return RR_EXIT_USAGE;
    }
    const char *name = argv[1];
    bool wants_help = strcmp(name, "help") == 0;
    if (strcmp(name, "--help") == 0 || strcmp(name, "-h") == 0 || (wants_help && argc == 2)) {
        print_help();
        return RR_EXIT_OK;
    }
    if (strcmp(name, "--version") == 0) {
        rr_out_text("rearank " REARANK_VERSION "\n");
        return RR_EXIT_OK;
    }
    const rr_verb *verb = find_verb(wants_help ? argv[2] : name);
    if (verb == NULL) {
        return unknown_verb(wants_help ? argv[2] : name);
    }
    rr_cli_set_verb(verb->name);
    if (wants_help) {
        char help[] = "--help";
        char *help_argv[] = {argv[2], help, NULL};
        return verb->run(2, help_argv);
    }
    return verb->run(argc - 1, argv + 1);
}

static bool set_variable(const rr_vk_variable *variable) {
    return rr_environment_set(variable->name, variable->value);
}

int main(int argc, char **argv) {
    rr_cli_signals_setup();
    rr_vk_let_set_variables(set_variable);
    return rr_out_finish(run(argc, argv));
}
