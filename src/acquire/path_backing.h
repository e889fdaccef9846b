// What backs memory that is mapped under a name: the same answer for a line of /proc/PID/maps and for
// an entry of a core's list of files.
//
// Sources: mm/shmem.c (/dev/zero, /SYSV, memfd), drivers/dma-buf, fs/hugetlbfs, fs/anon_inodes.c, proc(5).
#pragma once

#include <string_view>

#include "heapscan/image/image.h"

namespace heapscan {

// `path` as the kernel gives it; not empty, and of no special mapping such as [vdso].
[[nodiscard]] Backing backing_of_path(std::string_view path);

// Whether what has this name is memory that processes share and no file: MAP_SHARED | MAP_ANONYMOUS,
// memfd, SysV and POSIX shared memory, dma-buf.
[[nodiscard]] bool is_shared_memory(std::string_view path);

// Whether what has this name is mapped MAP_SHARED: said where the rights do not say it. Files can be
// either.
[[nodiscard]] bool is_shared_by_name(std::string_view path);

}  // namespace heapscan
