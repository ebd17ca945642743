/* The one translation unit that holds volk, the function loader. */
#define VOLK_IMPLEMENTATION
#include <volk.h>
