/* Linked into the tests that open devices: drivers are asked for what the program asks them for
 * (tools/main.c). */
#define _POSIX_C_SOURCE 200809L
#include <stdlib.h>

#include "runtime/vk/vk.h"

static bool set_variable(const rr_vk_variable *variable) {
    return setenv(variable->name, variable->value, 0) == 0;
}

__attribute__((constructor)) static void as_the_program_does(void) {
    rr_vk_let_set_variables(set_variable);
}
