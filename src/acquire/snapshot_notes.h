// The notes of a snapshot that other programs read, as Linux writes them.
#pragma once

#include <cstdint>
#include <string_view>
#include <vector>

#include "acquire/snapshot_facts.h"
#include "heapscan/acquire/snapshot.h"

namespace heapscan {

// Appends one note, padded to four bytes. `content` is shorter than 4 GiB.
void append_note(std::vector<std::byte>& out, std::string_view owner, uint32_t type, Bytes content);

// All notes: registers of threads, auxiliary vector, mapped files, and `facts` in ours.
[[nodiscard]] std::vector<std::byte> snapshot_notes(const MemoryImage& image,
                                                    const SnapshotFacts& facts,
                                                    const ContentRules& content);

}  // namespace heapscan
