#include <sys/ptrace.h>
