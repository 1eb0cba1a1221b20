#ifndef BENCH_INSPECT_H
#define BENCH_INSPECT_H

#include <stddef.h>

/* Asks a manager so many times for a container, one time after the other. Ends the program when
 * that fails. */
void bench_inspect(size_t count);

#endif
