// What lies in a process's pipes and sockets: read without being taken.
#pragma once

#include <string>
#include <vector>

#include "acquire/kernel_references.h"
#include "heapscan/base/note.h"
#include "heapscan/image/image.h"

namespace heapscan {

// Words in the queues of the stopped process `pid` that may be addresses: of pipes both of whose
// ends it has, and of local stream sockets. The queues, their readers and writers notice nothing:
// tee(2) and MSG_PEEK leave the bytes where they are, on descriptors that are the process's own
// (pidfd_getfd), or in their stead a second one of the same pipe. What could not be looked into
// becomes a note.
[[nodiscard]] std::vector<KernelReference> read_queues(int pid, const std::string& process_folder,
                                                       const WatchedDescriptors& descriptors,
                                                       Notes& notes);

// The words of `bytes`, at multiples of 4, that may be addresses. `where` is for people.
[[nodiscard]] std::vector<KernelReference> queued_words(Bytes bytes, const std::string& where);

}  // namespace heapscan
