// What is known of the functions of one module from earlier runs, and what this run adds.
//
// The bytes that a store keeps of a module: a head with a checksum, then each function with the
// records (flow_record.h) of how it was followed. One function has several: it is followed again
// when more allocators are known, and other processes give other answers.
#pragma once

#include <cstdint>
#include <mutex>
#include <optional>
#include <string>
#include <unordered_map>
#include <vector>

#include "heapscan/base/addr.h"
#include "heapscan/base/bytes.h"
#include "heapscan/image/image.h"
#include "heapscan/sites/code_store.h"
#include "sites/data_flow.h"

namespace heapscan {

// All that a table depends on: the module's build-id, every byte of it that nobody can write, and
// heapscan's own reading of code. Empty for a module without a build-id.
[[nodiscard]] std::string name_of_code(const MemoryImage& image, const Module& module);

// `functions` as a store keeps them: with a head that tells of what module they are, and whether they
// are whole.
[[nodiscard]] std::vector<std::byte> sealed(const std::string& name, Bytes functions);

class CodeTable {
 public:
  CodeTable() = default;
  // What `stored` holds; nothing when it is not what it should be.
  CodeTable(const std::string& name, std::vector<std::byte> stored);

  struct Function {
    uint32_t begin = 0;  // bytes from the module's first address
    uint32_t size = 0;
    auto operator<=>(const Function&) const = default;
  };
  // Safe to use from several threads. What is returned stays valid as long as the table.
  [[nodiscard]] std::vector<Bytes> records_of(Function function) const;
  void add(Function function, std::vector<std::byte> record);

  [[nodiscard]] const std::string& name() const { return name_; }
  // Whether enough was added to be worth writing.
  [[nodiscard]] bool has_news() const;
  // Empty when it became too large to keep.
  [[nodiscard]] std::vector<std::byte> bytes() const;

 private:
  struct FunctionHash {
    size_t operator()(Function f) const { return (size_t{f.begin} << 20) ^ f.size; }
  };
  bool read(Bytes content);

  std::string name_;
  std::vector<std::byte> stored_;  // what records point into
  std::unordered_map<Function, std::vector<Bytes>, FunctionHash> records_;
  std::vector<std::vector<std::byte>> added_;
  size_t stored_records_ = 0;
  mutable std::mutex lock_;
};

}  // namespace heapscan
