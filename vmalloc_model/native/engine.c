/* The whole engine as one piece, so that the compiler sees all of it. */
#include "paths.c"
