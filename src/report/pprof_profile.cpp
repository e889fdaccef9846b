#include "report/pprof_profile.h"

#include <ostream>
#include <string_view>
#include <vector>

namespace heapscan {

void PprofProfile::add_type(const std::string& what, const char* unit) {
  ProtoMessage type;
  type.number(1, text(what));
  type.number(2, text(unit));
  fields_.message(1, type);
}

void PprofProfile::add_sample(const std::vector<uint64_t>& places,
                              const std::vector<uint64_t>& values) {
  ProtoMessage sample;
  sample.packed(1, places);
  sample.packed(2, values);
  fields_.message(2, sample);
}

void PprofProfile::set_time(double seconds_since_1970) {
  constexpr double kNanoseconds = 1e9;
  if (seconds_since_1970 > 0)
    fields_.number(9, static_cast<uint64_t>(seconds_since_1970 * kNanoseconds));
}

void PprofProfile::write(std::ostream& out) {
  std::vector<std::string_view> ordered(texts_.size());
  for (const auto& [string, index] : texts_) ordered[index] = string;
  for (const std::string_view string : ordered) fields_.text(6, string);
  write_gzip(fields_.bytes(), out);
}

}  // namespace heapscan
