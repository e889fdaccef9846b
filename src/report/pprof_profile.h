// A profile as pprof reads it: perftools.profiles.Profile of profile.proto, gzipped. Who makes one knows its fields
// by their numbers there; here is what all have: types of samples, and texts, which are named by number.
#pragma once

#include <cstdint>
#include <iosfwd>
#include <map>
#include <string>

#include "report/proto_encoding.h"

namespace heapscan {

class PprofProfile {
 public:
  PprofProfile() { (void)text(""); }

  // The number of a text, which is the same each time.
  uint64_t text(const std::string& text) {
    return texts_.try_emplace(text, texts_.size()).first->second;
  }
  // What the next number of each sample is: "lost_bytes", "bytes".
  void add_type(const std::string& what, const char* unit);
  void add_sample(const std::vector<uint64_t>& places, const std::vector<uint64_t>& values);
  void set_time(double seconds_since_1970);
  void number(uint32_t field, uint64_t value) { fields_.number(field, value); }
  void message(uint32_t field, const ProtoMessage& inner) { fields_.message(field, inner); }

  // Adds the texts; to be called once, last.
  void write(std::ostream& out);

 private:
  ProtoMessage fields_;
  std::map<std::string, uint64_t> texts_;
};

}  // namespace heapscan
