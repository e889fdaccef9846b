// The lists on which glibc keeps every thread it has a descriptor of.
//
// Three rings through the descriptors' list member: stacks that glibc mapped and that are in use,
// stacks that are not glibc's (the first thread's, pthread_attr_setstack), and stacks kept for
// reuse. Source: glibc allocatestack.c, ldsodefs.h; the heads are in _rtld_global since 2.34, in
// libpthread before, in the program when it is static.
#pragma once

#include <span>
#include <vector>

#include "heapscan/base/addr.h"
#include "heapscan/image/image.h"
#include "heapscan/runtime/module_roles.h"
#include "heapscan/symbols/symbols.h"
#include "runtime/thread_descriptor.h"

namespace heapscan {

struct ListedDescriptor {
  enum class List : uint8_t { Used, User, Cache, Unknown };
  Descriptor descriptor;
  List list = List::Unknown;
};

struct ThreadLists {
  std::vector<ListedDescriptor> descriptors;  // by address, each once
  bool complete = false;                      // every list was found and followed to its end
};

// `live`: descriptors of the threads that exist.
[[nodiscard]] ThreadLists read_thread_lists(const MemoryImage& image, const Symbols& symbols,
                                            const ModuleRoles& roles,
                                            std::span<const Descriptor> live);

}  // namespace heapscan
