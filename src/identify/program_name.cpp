#include "heapscan/identify/program_name.h"

namespace heapscan {

std::string_view name_of_program(const MemoryImage& image) {
  constexpr std::string_view kDeleted = " (deleted)";
  for (const Module& module : image.modules()) {
    if (!module.is_executable) continue;
    std::string_view name = module.file_name();
    if (name.ends_with(kDeleted)) name.remove_suffix(kDeleted.size());
    return name;
  }
  return {};
}

}  // namespace heapscan
