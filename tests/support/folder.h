/* A folder or file of a test's own, in $TMPDIR or /tmp. */
#ifndef RR_TESTS_FOLDER_H
#define RR_TESTS_FOLDER_H

#include <stddef.h>

/* Makes it and writes its path; ends the test when it cannot. The caller removes it. */
void rr_test_folder(char *path, size_t room);
/* The same with an empty file. */
void rr_test_file(char *path, size_t room);

#endif
